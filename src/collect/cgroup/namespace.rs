//! Which root the paths of control groups count from.
//!
//! A container usually has a namespace of its own for control groups, and in it `/proc/PID/cgroup` names every group as
//! seen from the container's: `/` is the container itself, and `/../../system.slice/web.service` lies outside. The tree that
//! is mounted from the machine has the whole paths. One is turned into the other by finding ourselves in that tree.

use super::{
    hierarchy::{Hierarchy, Place},
    walk,
};
use std::{fs, path::Path};

/// Groups that are looked at to find our own.
const MOST_GROUPS: usize = 10_000;

/// The namespace that we are in, by its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// The parts of the path of its root in the machine's tree; none where that is the machine's own root.
    root: Vec<String>,
}

impl Namespace {
    /// Ours. Where we are not to be found in the tree, paths are taken for whole ones.
    #[must_use]
    pub fn find(hierarchy: &Hierarchy, procfs: &Path) -> Self {
        let Ok(own) = fs::read_to_string(procfs.join("self/cgroup")) else { return Self::default() };
        let Some(tree) = hierarchy.memory_root() else { return Self::default() };
        Self::of_process(hierarchy, tree, &Place::parse(&own), std::process::id())
    }

    fn of_process(hierarchy: &Hierarchy, tree: &Path, own: &Place, pid: u32) -> Self {
        let seen = hierarchy.memory_group(own).trim_end_matches('/');
        if lists(&walk::below(tree, seen), pid) {
            return Self::default();
        }
        let groups = walk::walk(hierarchy, tree, MOST_GROUPS).map(|walk| walk.groups).unwrap_or_default();
        let whole = groups.iter().find(|group| lists(&walk::below(tree, &group.path), pid));
        let root = whole.and_then(|group| group.path.strip_suffix(seen)).unwrap_or_default();
        if !root.is_empty() {
            tracing::debug!(root, "control groups are seen from a namespace");
        }
        Self { root: parts(root).map(str::to_owned).collect() }
    }

    /// A place as the machine's tree has it.
    #[must_use]
    pub fn resolve(&self, mut place: Place) -> Place {
        if !self.root.is_empty() {
            let Place { unified, memory, pids, systemd } = &mut place;
            for path in [unified, memory, pids, systemd].into_iter().filter(|path| !path.is_empty()) {
                if let Some(whole) = self.whole(path) {
                    *path = whole;
                }
            }
        }
        place
    }

    /// The whole path; none for one that leads out of the machine's root.
    fn whole(&self, path: &str) -> Option<String> {
        let mut whole: Vec<&str> = self.root.iter().map(String::as_str).collect();
        for part in parts(path) {
            if part == ".." {
                whole.pop()?;
            } else {
                whole.push(part);
            }
        }
        Some(format!("/{}", whole.join("/")))
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// Whether a group holds this process.
fn lists(group: &Path, pid: u32) -> bool {
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    processes.lines().any(|line| line.parse() == Ok(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID: u32 = 77;

    /// A tree of version 2 in which these groups hold these processes.
    fn tree(name: &str, groups: &[(&str, &str)]) -> Hierarchy {
        let root = std::env::temp_dir().join(format!("memleak-namespace-{name}-{}", std::process::id()));
        for (group, processes) in groups {
            let directory = root.join(group);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("cgroup.procs"), processes).unwrap();
            fs::write(directory.join("memory.max"), "max\n").unwrap();
        }
        Hierarchy::Unified { root }
    }

    fn unified(path: &str) -> Place {
        Place { unified: path.into(), ..Place::default() }
    }

    /// What becomes of a path seen by a process that sees itself at `own`.
    fn check(name: &str, own: &str, paths: &[(&str, &str)]) {
        let hierarchy = tree(
            name,
            &[
                ("", "1\n"),
                ("kube", ""),
                ("kube/pod", ""),
                ("kube/pod/own", "5\n77\n"),
                ("kube/pod/other", "7\n"),
            ],
        );
        let root = hierarchy.memory_root().unwrap();
        let namespace = Namespace::of_process(&hierarchy, root, &unified(own), PID);
        for (path, whole) in paths {
            assert_eq!(namespace.resolve(unified(path)), unified(whole), "{path} from {own}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn paths_in_the_machines_namespace_are_whole() {
        check(
            "machine",
            "/kube/pod/own",
            &[("/kube/pod/other", "/kube/pod/other"), ("/", "/"), ("/../x", "/../x")],
        );
    }

    #[test]
    fn paths_from_a_container_count_from_it() {
        let paths = [
            ("/", "/kube/pod/own"),
            ("/inner", "/kube/pod/own/inner"),
            ("/../other", "/kube/pod/other"),
            ("/../../..", "/"),
            ("/../../../system.slice/a.service", "/system.slice/a.service"),
            ("/../../../../x", "/../../../../x"),
        ];
        check("container", "/", &paths);
    }

    #[test]
    fn who_is_not_in_the_tree_takes_paths_as_they_are() {
        let hierarchy = tree("stranger", &[("", "1\n"), ("a", "7\n")]);
        let root = hierarchy.memory_root().unwrap();
        assert_eq!(Namespace::of_process(&hierarchy, root, &unified("/"), PID), Namespace::default());
        fs::remove_dir_all(root).unwrap();
    }
}
