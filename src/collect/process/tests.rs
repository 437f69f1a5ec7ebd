//! The collector on a tree of its own, which changes between two looks as a machine does.

use super::*;
use std::{collections::HashSet, fs, path::PathBuf};

/// A procfs in a temporary directory.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("memleak-process-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let tree = Self(root);
        tree.write("uptime", "1000.00 1.00\n");
        tree.write("meminfo", "MemTotal: 4000 kB\nMemAvailable: 1000 kB\n");
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A process of so many anonymous pages.
    fn process(&self, pid: u32, name: &str, pages: u64) {
        let kibibytes = pages * 4;
        self.write(&format!("{pid}/stat"), &format!("{pid} ({name}) S{} 500 0", " 0".repeat(18)));
        self.write(&format!("{pid}/statm"), &format!("{} {} 100 1 0 5 0\n", pages + 500, pages + 100));
        self.write(
            &format!("{pid}/status"),
            &format!(
                "Name:\t{name}\nVmHWM:\t{kibibytes} kB\nVmRSS:\t{kibibytes} kB\nRssAnon:\t{kibibytes} kB\nVmSwap:\t 8 kB\nThreads:\t3\n"
            ),
        );
        self.write(&format!("{pid}/cmdline"), &format!("/bin/{name}\0"));
        self.write(&format!("{pid}/cgroup"), "0::/\n");
        self.write(
            &format!("{pid}/limits"),
            "Max open files            64                 64               files\n",
        );
        self.write(&format!("{pid}/fd/0"), "");
    }

    fn collector(&self, settings: Processes, most: usize) -> ProcessCollector {
        let mut config = Config { processes: settings, ..Config::default() };
        config.limits.processes = most;
        let paths = Paths { procfs: self.0.clone(), sysfs: self.0.join("sys"), rootfs: self.0.clone() };
        ProcessCollector::new(&config, &paths)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn look(collector: &mut ProcessCollector, at: Seconds) -> Batch {
    collector.collect(&Request { at, ..Request::default() }).unwrap()
}

/// Names and sizes of an area, sorted by name.
fn sizes(batch: &Batch, area: &str) -> Vec<(String, Option<f64>)> {
    let mut sizes: Vec<(String, Option<f64>)> = batch
        .readings()
        .map(|(member, samples)| {
            let size = samples.iter().find(|sample| &*sample.area.name == area).map(|sample| sample.size);
            (member.target.name.to_string(), size)
        })
        .collect();
    sizes.sort_by(|one, other| one.0.cmp(&other.0));
    sizes
}

fn page() -> f64 {
    f64::from(u32::try_from(rustix::param::page_size()).unwrap())
}

#[test]
fn the_exact_split_adds_what_is_swapped_and_the_brief_look_keeps_it() {
    let tree = Tree::new("split");
    tree.process(10, "web", 1000);
    let mut collector = tree.collector(Processes::default(), 100);
    let swapped = 8.0 * 1024.0;
    assert_eq!(sizes(&look(&mut collector, 0.0), "anon"), [("web".into(), Some(4_096_000.0 + swapped))]);
    look(&mut collector, 3.0);
    tree.write("10/statm", "3000 2100 100 1 0 5 0\n");
    let batch = look(&mut collector, 6.0);
    assert_eq!(sizes(&batch, "anon"), [("web".into(), Some(2000.0 * page() + swapped))]);
    assert_eq!(sizes(&batch, "swap"), [("web".into(), None)], "read once a minute");
}

#[test]
fn kernels_that_do_not_tell_anonymous_memory_are_judged_by_the_difference() {
    let tree = Tree::new("old");
    tree.process(10, "web", 1000);
    tree.write("10/status", "Name:\tweb\nVmHWM:\t9 kB\nVmRSS:\t9 kB\nThreads:\t3\n");
    let mut collector = tree.collector(Processes::default(), 100);
    assert_eq!(sizes(&look(&mut collector, 0.0), "anon"), [("web".into(), Some(1000.0 * page()))]);
}

#[test]
fn who_vanishes_is_gone_and_who_cannot_be_read_once_stays() {
    let tree = Tree::new("vanish");
    tree.process(10, "a", 10);
    tree.process(11, "b", 10);
    let mut collector = tree.collector(Processes::default(), 100);
    assert_eq!(look(&mut collector, 0.0).member_count(), 2);
    fs::remove_dir_all(tree.0.join("10")).unwrap();
    tree.write("11/statm", "garbage\n");
    let batch = look(&mut collector, 3.0);
    assert_eq!(sizes(&batch, "anon"), [("b".into(), None)]);
    assert_eq!(batch.errors, Errors { permission: 0, read: 1 });
    tree.process(11, "b", 20);
    assert_eq!(sizes(&look(&mut collector, 6.0), "rss"), [("b".into(), Some(120.0 * page()))]);
}

#[test]
fn kernel_threads_and_zombies_have_no_memory_and_are_left_out() {
    let tree = Tree::new("threads");
    tree.process(2, "kthreadd", 0);
    tree.write("2/statm", "0 0 0 0 0 0 0\n");
    tree.process(10, "a", 10);
    let batch = look(&mut tree.collector(Processes::default(), 100), 0.0);
    assert_eq!(batch.member_count(), 1);
    assert_eq!(batch.errors, Errors::default());
}

#[test]
fn the_limit_on_processes_holds_whatever_the_pids() {
    let tree = Tree::new("limit");
    for pid in [50, 51, 52] {
        tree.process(pid, "late", 10);
    }
    let mut collector = tree.collector(Processes::default(), 3);
    assert_eq!(look(&mut collector, 0.0).member_count(), 3);
    for pid in [10, 11, 12] {
        tree.process(pid, "early", 10);
    }
    for at in [3.0, 6.0, 9.0] {
        let batch = look(&mut collector, at);
        assert_eq!((batch.member_count(), batch.dropped_members), (3, 3));
    }
}

#[test]
fn exec_makes_another_program_of_the_same_process() {
    let tree = Tree::new("exec");
    tree.process(10, "sh", 5000);
    let mut collector = tree.collector(Processes::default(), 100);
    look(&mut collector, 0.0);
    tree.process(10, "node", 3000);
    let batch = look(&mut collector, 3.0);
    let (member, _) = batch.readings().next().unwrap();
    assert_eq!((&*member.target.name, member.generation.execs), ("node", 1));

    // The same program once more: only its memory tells.
    tree.process(10, "node", 100);
    let batch = look(&mut collector, 100.0);
    let (member, _) = batch.readings().next().unwrap();
    assert_eq!((&*member.target.name, member.generation.execs), ("node", 2));
}

#[test]
fn a_limit_on_address_space_counts_where_the_space_is_used_and_not_only_reserved() {
    let tree = Tree::new("reserved");
    tree.process(10, "web", 250);
    tree.write("10/limits", "Max address space         2000000              2000000              bytes\n");
    let status = |size: u32| {
        format!(
            "Name:\tweb\nVmSize:\t{size} kB\nVmHWM:\t1000 kB\nVmRSS:\t1000 kB\nRssAnon:\t1000 kB\nThreads:\t3\n"
        )
    };
    let source = |size| {
        tree.write("10/status", &status(size));
        let batch = look(&mut tree.collector(Processes::default(), 100), 0.0);
        let (_, samples) = batch.readings().next().unwrap();
        samples[0].limit.map(|limit| limit.source)
    };
    assert_eq!(source(1500), Some(crate::sample::LimitSource::Rlimit));
    assert_eq!(source(9000), Some(crate::sample::LimitSource::Host));
}

#[test]
fn suspects_are_read_in_full_at_every_look() {
    let tree = Tree::new("suspects");
    tree.process(10, "web", 10);
    let mut collector = tree.collector(Processes::default(), 100);
    for at in [0.0, 3.0, 6.0] {
        look(&mut collector, at);
    }
    let suspects = Arc::new(HashSet::from([Identity { pid: 10, start_ticks: 500 }]));
    let batch = collector.collect(&Request { at: 9.0, suspects, ..Request::default() }).unwrap();
    assert_eq!(sizes(&batch, "fds"), [("web".into(), Some(1.0))]);
    let limit = batch
        .readings()
        .next()
        .and_then(|(_, samples)| samples.iter().find(|s| &*s.area.name == "fds")?.limit);
    assert_eq!(limit.map(|limit| limit.value), Some(64.0));
}

#[test]
fn the_start_is_told_on_the_clock_of_the_ticks() {
    let tree = Tree::new("start");
    tree.process(10, "web", 10);
    let batch = look(&mut tree.collector(Processes::default(), 100), 5_000.0);
    let (member, _) = batch.readings().next().unwrap();
    let hertz = f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).unwrap());
    assert!((member.started_at - (5_000.0 - 1_000.0 + 500.0 / hertz)).abs() < 1e-6, "{}", member.started_at);
}
