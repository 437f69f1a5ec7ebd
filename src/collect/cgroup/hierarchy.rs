//! Which hierarchy of control groups this machine has, where a process is in it, and the nearest limit there.
//!
//! It is detected once, since it cannot change without a reboot. Hybrid machines have a tree of version 2 for processes
//! alone beside those of version 1, or, rarely, with the memory controller in it.

use crate::sample::{Limit, LimitSource};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A limit above this is none: version 1 writes "no limit" as the largest number of pages in 63 bits.
const UNLIMITED_ABOVE: u64 = 1 << 60;

/// Where memory is accounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 2: one tree.
    Unified {
        /// Its root.
        root: PathBuf,
    },
    /// Version 1, or hybrid: a tree for each controller.
    Legacy {
        /// The root of the memory controller's tree.
        memory: PathBuf,
        /// The root of the process-count controller's tree.
        pids: PathBuf,
        /// Whether a tree of version 2 stands beside them.
        is_hybrid: bool,
    },
    /// No memory controller is mounted.
    None,
}

impl Hierarchy {
    /// Looks at what is mounted below `sysfs`.
    #[must_use]
    pub fn detect(sysfs: &Path) -> Self {
        let root = sysfs.join("fs/cgroup");
        let is_file = |path: PathBuf| fs::metadata(path).is_ok_and(|found| !found.is_dir());
        let beside = root.join("unified");
        if is_file(root.join("memory/memory.limit_in_bytes")) {
            let is_hybrid = is_file(beside.join("cgroup.controllers"));
            return Self::Legacy { memory: root.join("memory"), pids: root.join("pids"), is_hybrid };
        }
        if is_file(root.join("cgroup.controllers")) {
            return Self::Unified { root };
        }
        let controllers = fs::read_to_string(beside.join("cgroup.controllers")).unwrap_or_default();
        if controllers.split_whitespace().any(|controller| controller == "memory") {
            return Self::Unified { root: beside };
        }
        Self::None
    }

    /// The root of the tree in which memory is accounted.
    #[must_use]
    pub fn memory_root(&self) -> Option<&Path> {
        match self {
            Self::Unified { root } => Some(root),
            Self::Legacy { memory, .. } => Some(memory),
            Self::None => None,
        }
    }

    /// The group that a process's memory is accounted to, as a path from that root.
    #[must_use]
    pub fn memory_group<'a>(&self, place: &'a Place) -> &'a str {
        match self {
            Self::Unified { .. } => &place.unified,
            Self::Legacy { .. } => &place.memory,
            Self::None => "",
        }
    }

    /// The limit that a group sets itself, where it sets one.
    ///
    /// # Errors
    /// Where the directory is no memory group, or cannot be read.
    pub fn own_limit(&self, directory: &Path) -> io::Result<Option<Limit>> {
        let (file, read): (&str, fn(&Path) -> Option<Limit>) = match self {
            Self::Unified { .. } => ("memory.max", unified_memory),
            Self::Legacy { .. } => ("memory.limit_in_bytes", legacy_memory),
            Self::None => return Ok(None),
        };
        let written = fs::read_to_string(directory.join(file))?;
        let is_limit = written.trim().parse().is_ok_and(|value: u64| value < UNLIMITED_ABOVE);
        Ok(is_limit.then(|| read(directory)).flatten())
    }

    /// The word for logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unified { .. } => "v2",
            Self::Legacy { is_hybrid: false, .. } => "v1",
            Self::Legacy { is_hybrid: true, .. } => "hybrid",
            Self::None => "none",
        }
    }

    /// The nearest limits of the group at `place`.
    #[must_use]
    pub fn limits(&self, place: &Place) -> CgroupLimits {
        match self {
            Self::Unified { root } => CgroupLimits {
                memory: nearest(root, &place.unified, unified_memory),
                threads: nearest(root, &place.unified, |dir| counted(dir, "pids.max", "pids.current")),
            },
            Self::Legacy { memory, pids, .. } => CgroupLimits {
                memory: nearest(memory, &place.memory, legacy_memory),
                threads: nearest(pids, &place.pids, |dir| counted(dir, "pids.max", "pids.current")),
            },
            Self::None => CgroupLimits::default(),
        }
    }
}

/// Limits of one control group, each the nearest of its ancestors'.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CgroupLimits {
    /// On memory in bytes; what is used leaves out the page cache, which gives way.
    pub memory: Option<Limit>,
    /// On threads.
    pub threads: Option<Limit>,
}

/// A process's places in the hierarchies, as paths from their roots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// In version 2.
    pub unified: String,
    /// In version 1's memory controller.
    pub memory: String,
    /// In version 1's process-count controller.
    pub pids: String,
    /// In systemd's own tree (version 1 and hybrid).
    pub systemd: String,
}

impl Place {
    /// Understands `/proc/PID/cgroup`: lines of `id:controllers:path`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut place = Self::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            for controller in controllers.split(',') {
                let slot = match controller {
                    "" => &mut place.unified,
                    "memory" => &mut place.memory,
                    "pids" => &mut place.pids,
                    "name=systemd" => &mut place.systemd,
                    _ => continue,
                };
                path.clone_into(slot);
            }
        }
        place
    }

    /// The path that names units and containers best: the first of version 2, systemd and memory that is not the root.
    #[must_use]
    pub fn naming_path(&self) -> &str {
        [&self.unified, &self.systemd, &self.memory]
            .into_iter()
            .find(|path| path.len() > 1)
            .map_or("/", String::as_str)
    }
}

/// The limit with the least room between `path` and the root. A group that cannot be read limits nothing that we could
/// know of. Neither does one whose path leads out of the root (`/../b.service`): it lies outside of our own namespace,
/// which could not be [found](super::namespace) in the tree, and what limits our root says nothing about the rest of the node.
fn nearest(root: &Path, path: &str, read: impl Fn(&Path) -> Option<Limit>) -> Option<Limit> {
    let relative = path.trim_start_matches('/');
    if relative.split('/').any(|part| part == "..") {
        return None;
    }
    let mut directory = root.join(relative);
    let mut found: Option<Limit> = None;
    while directory.starts_with(root) {
        if let Some(limit) = read(&directory) {
            found = Some(found.map_or(limit, |nearest| nearest.nearer(limit)));
        }
        if !directory.pop() {
            break;
        }
    }
    found
}

fn unified_memory(directory: &Path) -> Option<Limit> {
    let value = number(&directory.join("memory.max"))?;
    let current = number(&directory.join("memory.current")).unwrap_or(0);
    let cache = stat_sum(directory, &["inactive_file", "active_file"]);
    limit(value, current.saturating_sub(cache))
}

fn legacy_memory(directory: &Path) -> Option<Limit> {
    let value = number(&directory.join("memory.limit_in_bytes"))?;
    let current = number(&directory.join("memory.usage_in_bytes")).unwrap_or(0);
    let cache = stat_sum(directory, &["total_inactive_file", "total_active_file"]);
    limit(value, current.saturating_sub(cache))
}

fn counted(directory: &Path, most: &str, current: &str) -> Option<Limit> {
    limit(number(&directory.join(most))?, number(&directory.join(current)).unwrap_or(0))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "limits above 2^60 are none, and below it 128 bytes do not matter"
)]
fn limit(value: u64, used: u64) -> Option<Limit> {
    (value < UNLIMITED_ABOVE).then_some(Limit {
        value: value as f64,
        used: used as f64,
        source: LimitSource::Cgroup,
    })
}

/// A file that holds one number; `max` and absence are none.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn stat_sum(directory: &Path, keys: &[&str]) -> u64 {
    let text: io::Result<String> = fs::read_to_string(directory.join("memory.stat"));
    text.map_or(0, |text| sum_of(&text, keys))
}

fn sum_of(stat: &str, keys: &[&str]) -> u64 {
    stat.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(key, _)| keys.contains(key))
        .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_machine_gives_a_place_in_each_hierarchy() {
        let place = Place::parse(
            "9:name=systemd:/system.slice/a.service\n4:memory:/x/y\n8:pids:/p\n0::/u\nnonsense\n",
        );
        assert_eq!(place.unified, "/u");
        assert_eq!(place.memory, "/x/y");
        assert_eq!(place.pids, "/p");
        assert_eq!(place.naming_path(), "/u");
        assert_eq!(Place::parse("1:name=systemd:/a.service\n0::/\n").naming_path(), "/a.service");
        assert_eq!(Place::parse("3:cpu,memory:/a:b\n").memory, "/a:b");
    }

    /// A tree of files below a temporary directory.
    fn tree(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("memleak-cgroup-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join("fs/cgroup").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn version_2_takes_the_ancestor_with_the_least_room() {
        let sysfs = tree(
            "v2",
            &[
                ("cgroup.controllers", "memory pids"),
                ("a/memory.max", "1000000\n"),
                ("a/memory.current", "900000\n"),
                ("a/memory.stat", "anon 5\ninactive_file 100000\nactive_file 50000\n"),
                ("a/b/memory.max", "500000\n"),
                ("a/b/memory.current", "100000\n"),
                ("a/b/c/memory.max", "max\n"),
            ],
        );
        let hierarchy = Hierarchy::detect(&sysfs);
        assert_eq!(hierarchy.as_str(), "v2");
        let place = Place { unified: "/a/b/c".into(), ..Place::default() };
        let limit = hierarchy.limits(&place).memory.unwrap();
        assert_eq!((limit.value, limit.used), (1_000_000.0, 750_000.0));
        let outside = Place { unified: "/../b".into(), ..Place::default() };
        assert_eq!(hierarchy.limits(&outside).memory, None);
        fs::remove_dir_all(sysfs).unwrap();
    }

    #[test]
    fn who_is_outside_of_our_namespace_has_no_limit_that_we_know() {
        let sysfs = tree(
            "outside",
            &[
                ("cgroup.controllers", "memory pids"),
                ("memory.max", "1000000\n"),
                ("memory.current", "900000\n"),
                ("pids.max", "100\n"),
                ("pids.current", "99\n"),
                ("a/memory.current", "5\n"),
            ],
        );
        let hierarchy = Hierarchy::detect(&sysfs);
        for (path, known) in [
            ("/", true),
            ("/a", true),
            ("/a..b", true),
            ("/..", false),
            ("/../b", false),
            ("/../../system.slice/b.service", false),
            ("/a/..", false),
        ] {
            let limits = hierarchy.limits(&Place { unified: path.into(), ..Place::default() });
            assert_eq!((limits.memory.is_some(), limits.threads.is_some()), (known, known), "{path}");
        }
        fs::remove_dir_all(sysfs).unwrap();
    }

    #[test]
    fn a_hybrid_machine_accounts_memory_where_the_controller_is() {
        let sysfs = tree(
            "hybrid",
            &[
                ("unified/cgroup.controllers", "\n"),
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
        );
        let place = Place { unified: "/u".into(), memory: "/m".into(), ..Place::default() };
        let hierarchy = Hierarchy::detect(&sysfs);
        assert_eq!((hierarchy.as_str(), hierarchy.memory_group(&place)), ("hybrid", "/m"));
        assert!(hierarchy.memory_root().is_some_and(|root| root.ends_with("memory")));
        fs::remove_dir_all(&sysfs).unwrap();
        let sysfs = tree("hybrid", &[("unified/cgroup.controllers", "cpu memory\n")]);
        let hierarchy = Hierarchy::detect(&sysfs);
        assert_eq!((hierarchy.as_str(), hierarchy.memory_group(&place)), ("v2", "/u"));
        fs::remove_dir_all(&sysfs).unwrap();
        assert_eq!(Hierarchy::detect(&sysfs), Hierarchy::None);
    }

    #[test]
    fn version_1_knows_its_own_way_of_saying_unlimited() {
        let sysfs = tree(
            "v1",
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/a/memory.limit_in_bytes", "4096\n"),
                ("memory/a/memory.usage_in_bytes", "1024\n"),
            ],
        );
        let hierarchy = Hierarchy::detect(&sysfs);
        assert_eq!(hierarchy.as_str(), "v1");
        let limited = Place { memory: "/a/gone".into(), ..Place::default() };
        assert_eq!(hierarchy.limits(&limited).memory.map(|l| l.value), Some(4096.0));
        assert_eq!(hierarchy.limits(&Place::default()).memory, None);
        fs::remove_dir_all(sysfs).unwrap();
    }
}
