use super::{perfdata::tests::serial, *};
use std::{fs, os::unix::fs::symlink, sync::Arc};

const START: u64 = 500;

/// A tree with one JVM, which calls itself 7 and is 70 from outside.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let tree = Self(std::env::temp_dir().join(format!("memleak-jvm-{name}-{}", std::process::id())));
        fs::create_dir_all(tree.process("root/tmp/hsperfdata_shop")).unwrap();
        let zeros = "0 ".repeat(18);
        fs::write(tree.process("stat"), format!("70 (java) S {zeros}{START} 0")).unwrap();
        fs::write(tree.process("status"), "Name:\tjava\nPid:\t70\nNSpid:\t70\t7\n").unwrap();
        fs::write(tree.process("statm"), "9 2 1 0 0 0 0\n").unwrap();
        tree
    }

    fn process(&self, path: &str) -> PathBuf {
        self.0.join("proc/70").join(path)
    }

    fn file(&self) -> PathBuf {
        self.process("root/tmp/hsperfdata_shop/7")
    }

    fn collector(&self) -> JvmCollector {
        JvmCollector::new(&Paths::below(&self.0, None, None))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn read(collector: &mut JvmCollector, at: Seconds, start_ticks: u64) -> Batch {
    let jvms = Arc::new([Identity { pid: 70, start_ticks }]);
    collector.collect(&Request { at, jvms, ..Request::default() }).unwrap()
}

/// The size of an area of the only process that is told of.
fn size(batch: &Batch, name: &str) -> Option<f64> {
    let [beside] = batch.beside.as_slice() else { return None };
    beside.samples.iter().find(|sample| *sample.area.name == *name).map(|sample| sample.size)
}

#[test]
fn a_jvm_is_read_under_its_own_id_and_what_a_collection_left_is_told_after_it() {
    let tree = Tree::new("read");
    fs::write(tree.file(), serial(90, 2)).unwrap();
    let mut collector = tree.collector();
    let first = read(&mut collector, 0.0, START);
    assert_eq!((size(&first, "heap"), size(&first, "pool_old")), (Some(133.0), Some(90.0)));
    assert_eq!(size(&first, "external"), Some(2.0 * collector.page_bytes - 360.0));
    assert_eq!(size(&first, "heap_after_gc"), None, "it is not known when these collections were");
    assert_eq!(first.beside[0].counts.get(Counter::OldCollections), Some(2.0));
    let limit = first.beside[0].samples[0].limit.unwrap();
    assert_eq!((limit.value, limit.used, limit.source), (500.0, 133.0, LimitSource::Runtime));
    fs::write(tree.file(), serial(50, 3)).unwrap();
    assert_eq!(size(&read(&mut collector, 3.0, START), "heap_after_gc"), Some(50.0));
    fs::write(tree.file(), serial(80, 3)).unwrap();
    assert_eq!(size(&read(&mut collector, 6.0, START), "heap_after_gc"), Some(50.0));
    assert!(read(&mut collector, 9.0, START + 1).beside.is_empty(), "the pid is somebody else's");
}

#[test]
fn what_is_not_the_process_s_own_file_is_left_alone_for_a_minute() {
    let tree = Tree::new("traps");
    let mut collector = tree.collector();
    let elsewhere = tree.0.join("elsewhere");
    fs::write(&elsewhere, serial(90, 2)).unwrap();
    let mut at = 0.0;
    let mut refused = |collector: &mut JvmCollector, errors: u64| {
        let batch = read(collector, at, START);
        assert!(batch.beside.is_empty());
        assert_eq!(batch.errors.read, errors);
        at += PAUSE_SECS;
    };
    refused(&mut collector, 0);
    symlink(&elsewhere, tree.file()).unwrap();
    refused(&mut collector, 0);
    fs::remove_file(tree.file()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, tree.file(), Mode::from(0o600)).unwrap();
    refused(&mut collector, 0);
    fs::remove_file(tree.file()).unwrap();
    fs::write(tree.file(), "nothing of the kind").unwrap();
    refused(&mut collector, 1);
    fs::write(tree.file(), serial(90, 2)).unwrap();
    assert!(read(&mut collector, at - 1.0, START).beside.is_empty(), "it is left alone");
    assert_eq!(size(&read(&mut collector, at, START), "heap"), Some(133.0));
}

#[test]
fn a_directory_that_leads_elsewhere_is_not_entered() {
    let tree = Tree::new("links");
    let elsewhere = tree.0.join("elsewhere");
    fs::create_dir_all(elsewhere.join("hsperfdata_shop")).unwrap();
    fs::write(elsewhere.join("hsperfdata_shop/7"), serial(90, 2)).unwrap();
    fs::remove_dir_all(tree.process("root/tmp")).unwrap();
    symlink(&elsewhere, tree.process("root/tmp")).unwrap();
    assert!(read(&mut tree.collector(), 0.0, START).beside.is_empty());
}
