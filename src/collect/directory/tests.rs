use super::*;
use crate::collect::paths::Paths;
use std::{
    fs,
    path::Path,
    sync::{LazyLock, Mutex, PoisonError},
};

/// A tree below the temporary directory, removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("memleak-directory-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("spool")).unwrap();
        Self(root)
    }

    fn write(&self, path: &str, bytes: usize) {
        fs::write(self.0.join(path), vec![1; bytes]).unwrap();
    }

    fn directory(&self) -> Directory {
        Directory {
            name: String::from("spool"),
            path: PathBuf::from("/spool"),
            pattern: None,
            recursive: false,
            most_files: None,
            most_bytes: None,
        }
    }

    fn collector(&self, directories: Vec<Directory>) -> DirectoryCollector {
        let config = Config { directories, ..Config::default() };
        let lent = Lent {
            paths: Paths::below(&self.0, None, None),
            inbox: Arc::default(),
            instant: stopped,
            spawn: |_| Box::pin(async { Err(String::new()) }),
            wake: |_, _| Ok(()),
        };
        DirectoryCollector::new(&config, &lent)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

/// The only instant that a test needs: its clock stands still.
static NOW: LazyLock<Mutex<Instant>> = LazyLock::new(|| Mutex::new(crate::run::clock::instant()));

fn stopped() -> Instant {
    *NOW.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(collector: &mut DirectoryCollector, at: f64) -> Batch {
    collector.collect(&Request { at, ..Request::default() }).unwrap()
}

/// Files and bytes of the only member, if a pass came to its end.
fn sizes(batch: &Batch) -> Option<(f64, f64)> {
    let (_, samples) = batch.readings().next()?;
    let [files, bytes] = samples else { return None };
    Some((files.size, bytes.size))
}

#[test]
fn files_are_counted_by_name_and_links_and_directories_are_not() {
    let tree = Tree::new("names");
    tree.write("spool/a.jsonl", 5_000);
    tree.write("spool/b.jsonl", 0);
    tree.write("spool/b.jsonl.tmp", 9_000);
    tree.write("elsewhere.jsonl", 1);
    fs::create_dir_all(tree.0.join("spool/inner.jsonl")).unwrap();
    tree.write("spool/inner.jsonl/c.jsonl", 100);
    std::os::unix::fs::symlink(tree.0.join("elsewhere.jsonl"), tree.0.join("spool/link.jsonl")).unwrap();
    std::os::unix::fs::symlink(&tree.0, tree.0.join("spool/inner.jsonl/up.jsonl")).unwrap();
    let check = |directory: Directory, files: f64| {
        let batch = read(&mut tree.collector(vec![directory]), 1e10);
        let (found, bytes) = sizes(&batch).unwrap();
        assert_eq!(found.to_bits(), files.to_bits());
        // Whole blocks, of whatever size they are here.
        assert!(bytes >= 5_000.0 && bytes <= files * 65_536.0 && bytes % 512.0 < 1.0, "{bytes}");
        assert_eq!(batch.errors, crate::sample::Errors::default());
        assert!(batch.oldest_files[0].1.unwrap() > 1.7e9);
    };
    check(tree.directory(), 3.0);
    let pattern = Some(regex::Regex::new(r"^(?:.*\.jsonl)$").unwrap());
    check(Directory { pattern: pattern.clone(), ..tree.directory() }, 2.0);
    check(Directory { recursive: true, ..tree.directory() }, 4.0);
    check(Directory { recursive: true, pattern, ..tree.directory() }, 3.0);
}

#[test]
fn a_large_directory_is_gone_through_in_portions_and_then_rests() {
    let tree = Tree::new("large");
    let most = usize::try_from(ENTRIES).unwrap();
    (0..most + 500).for_each(|number| tree.write(&format!("spool/{number}"), 0));
    let mut collector = tree.collector(vec![tree.directory()]);
    let batch = read(&mut collector, 1e10);
    assert_eq!((sizes(&batch), batch.member_count()), (None, 1), "half-way");
    let batch = read(&mut collector, 1e10 + 3.0);
    assert_eq!(sizes(&batch).map(|(files, _)| files), Some(f64::from(ENTRIES) + 500.0));
    let told: Vec<bool> =
        (2..=22).map(|tick| sizes(&read(&mut collector, 1e10 + f64::from(tick) * 3.0)).is_some()).collect();
    let first = told.iter().position(|told| *told);
    assert_eq!(first, Some(19), "the next pass begins a minute after the last one, at the twentieth tick");
}

#[test]
fn the_time_of_a_reading_ends_it_too() {
    let tree = Tree::new("slow");
    (0..200).for_each(|number| tree.write(&format!("spool/{number}"), 0));
    let config = tree.directory();
    let root = Root::open(&tree.0, &config.path).unwrap();
    let mut walk = Walk::begin(root, &config, 0.0).unwrap();
    let mut readings = 0;
    while !walk.go_on(&mut Budget::new(130, Duration::ZERO, stopped)).unwrap() {
        readings += 1;
        assert!(readings < 200, "a reading of no time makes headway all the same");
    }
    assert_eq!((walk.totals.files, readings > 50), (200, true), "{readings}");
}

#[test]
fn directories_take_turns() {
    let tree = Tree::new("turns");
    let most = usize::try_from(ENTRIES).unwrap();
    (0..most + 500).for_each(|number| tree.write(&format!("spool/{number}"), 0));
    fs::create_dir_all(tree.0.join("other")).unwrap();
    let other = Directory { name: "other".into(), path: "/other".into(), ..tree.directory() };
    let mut collector = tree.collector(vec![tree.directory(), other]);
    let with_samples = |batch: &Batch| {
        let told = batch.readings().filter(|(_, samples)| !samples.is_empty());
        told.map(|(member, _)| member.target.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(with_samples(&read(&mut collector, 1e10)), Vec::<String>::new());
    assert_eq!(with_samples(&read(&mut collector, 1e10 + 3.0)), ["other", "spool"]);
}

#[test]
fn one_that_is_missing_is_absent_and_one_that_is_made_anew_another() {
    let tree = Tree::new("missing");
    let mut collector = tree.collector(vec![tree.directory()]);
    let identity = |batch: &Batch| batch.readings().next().map(|(member, _)| member.identity);
    let first = identity(&read(&mut collector, 1e10));
    assert!(first.is_some() && first == identity(&read(&mut collector, 1e10 + 3.0)));
    fs::rename(tree.0.join("spool"), tree.0.join("old")).unwrap();
    let batch = read(&mut collector, 1e10 + 6.0);
    assert_eq!((identity(&batch), batch.expected.len()), (None, 1));
    assert_eq!(batch.errors, crate::sample::Errors::default());
    fs::create_dir(tree.0.join("spool")).unwrap();
    let again = identity(&read(&mut collector, 1e10 + 9.0));
    assert!(again.is_some() && again != first);
    fs::remove_dir(tree.0.join("spool")).unwrap();
    tree.write("spool", 1);
    let batch = read(&mut collector, 1e10 + 12.0);
    assert_eq!((identity(&batch), batch.errors.read), (None, 1), "no directory");
}

#[test]
fn a_pass_whose_directory_is_removed_tells_no_totals() {
    let tree = Tree::new("removed");
    (0..200).for_each(|number| tree.write(&format!("spool/{number}"), 0));
    let root = Root::open(&tree.0, Path::new("/spool")).unwrap();
    let mut walk = Walk::begin(root, &tree.directory(), 0.0).unwrap();
    assert!(!walk.go_on(&mut Budget::new(50, Duration::from_secs(1), stopped)).unwrap());
    fs::remove_dir_all(tree.0.join("spool")).unwrap();
    let ended = walk.go_on(&mut Budget::new(500, Duration::from_secs(1), stopped));
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn links_in_the_path_stay_within_the_root() {
    let tree = Tree::new("links");
    tree.write("spool/a", 1);
    std::os::unix::fs::symlink("/spool", tree.0.join("link")).unwrap();
    std::os::unix::fs::symlink("../../../../../../../spool", tree.0.join("up")).unwrap();
    for path in ["/link", "/up", "/"] {
        let directory = Directory { path: path.into(), ..tree.directory() };
        let batch = read(&mut tree.collector(vec![directory]), 1e10);
        let files = if path == "/" { 0.0 } else { 1.0 };
        assert_eq!(sizes(&batch).map(|(files, _)| files), Some(files), "{path}");
    }
}

#[test]
fn the_nearest_limit_counts_the_file_systems_included() {
    let tree = Tree::new("limits");
    tree.write("spool/a", 1);
    let limits = |most: Option<f64>| {
        let directory = Directory { most_files: most, most_bytes: most, ..tree.directory() };
        let batch = read(&mut tree.collector(vec![directory]), 1e10);
        let (_, samples) = batch.readings().next().unwrap();
        samples.iter().map(|sample| sample.limit.map(|limit| limit.source)).collect::<Vec<_>>()
    };
    assert_eq!(limits(Some(5.0)), [Some(LimitSource::Configured); 2]);
    assert_eq!(limits(None)[1], Some(LimitSource::FileSystem));
    assert_eq!(limits(Some(1e18))[1], Some(LimitSource::FileSystem));
    assert_eq!(limit_of(0, 0, 4096), None, "a file system that does not count");
}
