//! The collector on trees of its own, which change between two looks as a machine does, and on this machine's.

use super::*;
use crate::sample::{Counter, LimitSource};
use std::fs;

/// A machine in a temporary directory.
struct Tree {
    root: PathBuf,
    /// The memory tree below it.
    groups: PathBuf,
}

impl Tree {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("memleak-cgroup-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("fs/cgroup")).unwrap();
        fs::write(root.join("uptime"), "1000.00 1.00\n").unwrap();
        fs::write(root.join("meminfo"), "MemTotal: 4000000 kB\nMemAvailable: 1000000 kB\n").unwrap();
        let groups = root.join("fs/cgroup");
        Self { root, groups }
    }

    fn unified(name: &str) -> Self {
        let tree = Self::new(name);
        tree.write("", "cgroup.controllers", "memory pids\n");
        tree
    }

    fn legacy(name: &str) -> Self {
        let mut tree = Self::new(name);
        tree.groups = tree.groups.join("memory");
        tree.write("", "memory.limit_in_bytes", "9223372036854771712\n");
        tree
    }

    fn write(&self, group: &str, file: &str, text: &str) {
        let directory = self.groups.join(group);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(file), text).unwrap();
    }

    /// A group of version 2 with so much anonymous memory.
    fn group(&self, path: &str, anon: u64, limit: &str) {
        self.write(path, "memory.max", limit);
        let rest = "file 100\nkernel 30\nslab 8\nsock 4\nshmem 6\n";
        self.write(path, "memory.stat", &format!("anon {anon}\n{rest}"));
        self.write(path, "memory.current", &format!("{}\n", anon + 200));
        self.write(path, "memory.peak", "9000\n");
        self.write(path, "memory.swap.current", "50\n");
    }

    fn collector(&self, configure: impl FnOnce(&mut Config)) -> CgroupCollector {
        let mut config = Config::default();
        configure(&mut config);
        let paths = Paths { procfs: self.root.clone(), sysfs: self.root.clone(), rootfs: self.root.clone() };
        CgroupCollector::new(&config, &paths)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.root);
    }
}

fn look(collector: &mut CgroupCollector, at: Seconds) -> Batch {
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

/// The areas of the only group, in order.
fn areas(batch: &Batch) -> Vec<(&str, f64)> {
    let (_, samples) = batch.readings().next().unwrap();
    samples.iter().map(|sample| (&*sample.area.name, sample.size)).collect()
}

#[test]
fn version_2_is_read_briefly_at_each_look_and_in_full_once_a_minute() {
    let tree = Tree::unified("v2");
    tree.group("system.slice/web.service", 1000, "max\n");
    tree.write("system.slice", "memory.max", "100000\n");
    tree.write("system.slice", "memory.stat", "anon 1000\nfile 100\n");
    tree.write("system.slice", "memory.current", "1100\n");
    let mut collector =
        tree.collector(|config| config.cgroups.include = vec![regex::Regex::new("web").unwrap()]);
    let brief =
        [("anon", 1050.0), ("file", 100.0), ("kernel", 30.0), ("slab", 8.0), ("sock", 4.0), ("shmem", 6.0)];
    let full = [("usage", 1200.0), ("peak", 9000.0), ("swap", 50.0)];
    let batch = look(&mut collector, 0.0);
    assert_eq!(areas(&batch), [&brief[..], &full[..]].concat());
    let (member, samples) = batch.readings().next().unwrap();
    assert_eq!((&*member.info.unit, &*member.group), ("web.service", "/system.slice/web.service"));
    let limit = samples[0].limit.unwrap();
    assert_eq!((limit.value, limit.source), (100_000.0, LimitSource::Cgroup), "the nearest of the ancestors");
    tree.group("system.slice/web.service", 2000, "max\n");
    let batch = look(&mut collector, 0.001);
    assert_eq!(areas(&batch)[0], ("anon", 2050.0), "what was swapped out still counts");
    assert_eq!(areas(&batch).len(), brief.len());
    assert_eq!(areas(&look(&mut collector, 61.0)).len(), brief.len() + full.len());
}

#[test]
fn version_1_tells_what_it_can() {
    let tree = Tree::legacy("v1");
    let group = "docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    tree.write("docker", "memory.limit_in_bytes", "9223372036854771712\n");
    for (file, text) in [
        ("memory.limit_in_bytes", "5000\n"),
        ("memory.stat", "rss 1\ntotal_rss 1000\ntotal_cache 300\ntotal_shmem 20\ntotal_swap 40\n"),
        ("memory.usage_in_bytes", "1500\n"),
        ("memory.max_usage_in_bytes", "4000\n"),
        ("memory.kmem.usage_in_bytes", "70\n"),
        ("memory.kmem.tcp.usage_in_bytes", "8\n"),
        ("memory.failcnt", "3\n"),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    ] {
        tree.write(group, file, text);
    }
    let batch = look(&mut tree.collector(|_| ()), 0.0);
    assert_eq!(
        areas(&batch),
        [
            ("anon", 1040.0),
            ("file", 300.0),
            ("kernel", 70.0),
            ("sock", 8.0),
            ("shmem", 20.0),
            ("usage", 1500.0),
            ("peak", 4000.0),
            ("swap", 40.0),
        ]
    );
    let (member, samples) = batch.readings().next().unwrap();
    assert_eq!(&*member.target.name, "docker/0123456789ab");
    assert_eq!(samples[0].limit.map(|limit| limit.value), Some(5000.0));
    let (identity, counts) = batch.counted[0];
    assert_eq!(identity, member.identity);
    assert_eq!((counts.get(Counter::OomKills), counts.get(Counter::LimitHits)), (Some(2.0), Some(3.0)));
    assert_eq!((batch.errors, batch.dropped_members), (Errors::default(), 0));
}

#[test]
fn a_group_that_is_made_anew_is_another_and_seen_at_once() {
    let tree = Tree::unified("anew");
    tree.group("a.service", 100, "max\n");
    tree.group("b.service", 100, "max\n");
    let mut collector = tree.collector(|_| ());
    let identities = |batch: &Batch| -> HashMap<String, Identity> {
        batch.readings().map(|(member, _)| (member.target.name.to_string(), member.identity)).collect()
    };
    let before = identities(&look(&mut collector, 0.0));
    // It stays below another name, so that its number is not given to the next one.
    fs::rename(tree.groups.join("a.service"), tree.groups.join("held.mount")).unwrap();
    tree.group("a.service", 7, "max\n");
    // A group that was removed does not answer on an open file either; an ordinary directory's file does.
    collector.known.get_mut("/a.service").unwrap().files = Files::new(tree.groups.join("nowhere"), false);
    let batch = look(&mut collector, 3.0);
    let after = identities(&batch);
    assert_eq!(sizes(&batch, "anon"), [("a.service".into(), Some(57.0)), ("b.service".into(), Some(150.0))]);
    assert_eq!(before["b.service"], after["b.service"]);
    assert_ne!(before["a.service"], after["a.service"]);
    fs::remove_dir_all(tree.groups.join("b.service")).unwrap();
    assert_eq!(look(&mut collector, 63.0).member_count(), 1, "whatever the open file says");
}

#[test]
fn the_limit_on_groups_holds_and_who_cannot_be_read_once_stays() {
    let tree = Tree::unified("limit");
    for name in ["c", "d", "e"] {
        tree.group(name, 100, "max\n");
    }
    let mut collector = tree.collector(|config| config.limits.cgroups = 3);
    assert_eq!(look(&mut collector, 0.0).member_count(), 3);
    tree.group("a", 100, "max\n");
    tree.write("d", "memory.stat", "garbage\n");
    let batch = look(&mut collector, 60.0);
    assert_eq!(
        sizes(&batch, "anon"),
        [("c".into(), Some(150.0)), ("d".into(), None), ("e".into(), Some(150.0))]
    );
    assert_eq!((batch.dropped_members, batch.errors.read), (1, 1));
}

#[test]
fn suspects_are_read_in_full_at_every_look() {
    let tree = Tree::unified("suspects");
    tree.group("a.service", 100, "max\n");
    let mut collector = tree.collector(|_| ());
    let identity = look(&mut collector, 0.0).readings().next().unwrap().0.identity;
    let suspects = Arc::new(HashSet::from([identity]));
    let batch = collector.collect(&Request { at: 0.001, suspects, ..Request::default() }).unwrap();
    assert_eq!(sizes(&batch, "usage"), [("a.service".into(), Some(300.0))]);
}

#[test]
fn a_group_is_as_old_as_its_first_process() {
    let tree = Tree::unified("age");
    tree.group("a.service", 100, "max\n");
    tree.group("b.service", 100, "max\n");
    tree.write("a.service", "cgroup.procs", "11\n10\n12\n");
    for (pid, ticks) in [(10, 700), (11, 500)] {
        fs::create_dir_all(tree.root.join(pid.to_string())).unwrap();
        let stat = format!("{pid} (a) S{} {ticks} 0", " 0".repeat(18));
        fs::write(tree.root.join(format!("{pid}/stat")), stat).unwrap();
    }
    let batch = look(&mut tree.collector(|_| ()), 5000.0);
    let started: HashMap<&str, f64> =
        batch.readings().map(|(member, _)| (&*member.target.name, member.started_at)).collect();
    let hertz = count(rustix::param::clock_ticks_per_second());
    assert!((started["a.service"] - (5000.0 - 1000.0 + 500.0 / hertz)).abs() < 1e-6);
    assert!((started["b.service"] - 5000.0).abs() < 1e-6, "of one without processes nobody knows");
}

#[test]
fn a_machine_without_groups_has_none_and_a_tree_that_vanished_is_an_error() {
    let tree = Tree::new("none");
    assert_eq!(look(&mut tree.collector(|_| ()), 0.0).member_count(), 0);
    let tree = Tree::unified("vanished");
    let mut collector = tree.collector(|_| ());
    fs::remove_dir_all(&tree.groups).unwrap();
    assert!(collector.collect(&Request::default()).is_err());
}

/// Against the kernel itself: a group of our own, where we may make one.
#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot be made here says so")]
fn the_kernel_tells_of_a_group_that_was_made_and_of_its_end() {
    let hierarchy = Hierarchy::detect(Path::new("/sys"));
    let Some(root) = hierarchy.memory_root() else {
        eprintln!("skipped: this machine has no memory control groups");
        return;
    };
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = hierarchy.memory_group(&hierarchy::Place::parse(&own)).to_owned();
    let directory = walk::below(root, &own).join(format!("memleak-test-{}", std::process::id()));
    if let Err(error) = fs::create_dir(&directory) {
        eprintln!("skipped: cannot make a control group in {}: {error}", directory.display());
        return;
    }
    let name = directory.file_name().unwrap().to_string_lossy().into_owned();
    let mut collector = CgroupCollector::new(&Config::default(), &Paths::default());
    let seen = |batch: &Batch| {
        let found = batch.readings().find(|(member, _)| member.group.ends_with(&name));
        found
            .map(|(_, samples)| samples.iter().map(|sample| sample.area.name.to_string()).collect::<Vec<_>>())
    };
    let first = seen(&look(&mut collector, 0.0));
    let again = seen(&look(&mut collector, 0.001));
    fs::remove_dir(&directory).unwrap();
    let gone = seen(&look(&mut collector, 0.002));
    let Some(first) = first.filter(|areas| !areas.is_empty()) else {
        eprintln!("skipped: {} has no memory controller", directory.display());
        return;
    };
    for area in ["anon", "file", "shmem", "usage", "swap"] {
        assert!(first.iter().any(|known| known == area), "{area} of {first:?}");
    }
    assert!(
        again.is_some_and(|areas| areas.iter().any(|area| area == "anon")),
        "by the file that stays open"
    );
    assert_eq!(gone, None, "a removed group answers no longer");
}
