//! The tree of memory groups: which of them matter, and the nearest limit of each.
//!
//! A group matters if it is a leaf, sets a limit, or is the group of a unit, a container or a pod. Slices without a limit
//! only hold others, and a mount's group holds nobody.
//!
//! The walk goes level by level, so that where a bound cuts it off, what lies deepest is missing. It is bounded in depth
//! and in the directories that it visits, whatever the tree holds. The price of a leaf is one `stat` and one read: that a
//! directory has no directories is told by its count of links, which the kernel keeps for control groups, as most file
//! systems do.

use super::hierarchy::Hierarchy;
use crate::{
    collect::names,
    sample::{Errors, Limit},
};
use std::{
    collections::VecDeque,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Levels below the root: a cluster node inside of a container needs ten.
const MOST_DEPTH: usize = 16;
/// Directories visited in one walk, a tenth of a second; more only where more groups are asked for.
const MOST_DIRECTORIES: usize = 20_000;
/// Entries of directories read in one walk: a group has some seventy files.
const MOST_ENTRIES: usize = 2_000_000;
/// The count of links of a directory without directories.
const LINKS_OF_A_LEAF: u64 = 2;
/// Endings of systemd's units that hold processes only by way of others, or none at all.
const HOLLOW: [&str; 4] = [".slice", ".mount", ".swap", ".socket"];

/// A group that matters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// Its path from the root, which begins with a slash.
    pub(super) path: String,
    /// Its number; a group that was removed and made anew has another.
    pub(super) inode: u64,
    /// The nearest limit of its own and its ancestors'.
    pub(super) limit: Option<Limit>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The groups that matter, the outer before the inner.
    pub(super) groups: Vec<Group>,
    /// Directories visited.
    pub(super) visited: usize,
    /// Directories that a bound left out, each with whatever is in it.
    pub(super) left_out: u64,
    pub(super) errors: Errors,
    entries: usize,
}

/// A directory to visit.
struct Pending {
    path: String,
    depth: usize,
    limit: Option<Limit>,
}

/// Walks through the tree for at most so many groups that matter.
///
/// # Errors
/// The root cannot be read.
pub(super) fn walk(hierarchy: &Hierarchy, root: &Path, most_groups: usize) -> io::Result<Walk> {
    fs::metadata(root)?;
    let most_directories = MOST_DIRECTORIES.max(most_groups.saturating_mul(2));
    let mut walk = Walk::default();
    let mut pending = VecDeque::from([Pending { path: String::from("/"), depth: 0, limit: None }]);
    while let Some(next) = pending.pop_front() {
        if walk.visited >= most_directories || walk.entries >= MOST_ENTRIES {
            walk.left_out += 1;
            continue;
        }
        walk.visited += 1;
        let room = most_directories.saturating_sub(walk.visited + pending.len());
        let inner = walk.visit(hierarchy, root, &next, room);
        pending.extend(inner);
    }
    Ok(walk)
}

impl Walk {
    /// Looks at one directory; gives the directories in it, at most so many.
    fn visit(&mut self, hierarchy: &Hierarchy, root: &Path, at: &Pending, room: usize) -> Vec<Pending> {
        let is_root = at.depth == 0;
        let directory = below(root, &at.path);
        let Some(found) = self.known(fs::metadata(&directory)) else { return Vec::new() };
        let own = match hierarchy.own_limit(&directory) {
            Ok(own) => own,
            // The root of the machine has no limit to be read, and groups without the controller have no memory.
            Err(_) if is_root => None,
            Err(error) => {
                self.note(&error);
                return Vec::new();
            }
        };
        let limit = own.map_or(at.limit, |own| Some(at.limit.map_or(own, |outer| own.nearer(outer))));
        let inner =
            if found.nlink() == LINKS_OF_A_LEAF { Vec::new() } else { self.list(&directory, at, room) };
        let is_leaf = inner.is_empty() && !is_root;
        let is_hollow = HOLLOW.iter().any(|ending| at.path.ends_with(ending));
        let matters = own.is_some() || (is_leaf && !is_hollow) || names::is_named(&at.path);
        if matters || (is_root && is_own_group(hierarchy, &directory)) {
            self.groups.push(Group { path: at.path.clone(), inode: found.ino(), limit });
        }
        let depth = at.depth + 1;
        if depth > MOST_DEPTH {
            self.left_out += u64::try_from(inner.len()).unwrap_or(u64::MAX);
            return Vec::new();
        }
        inner.into_iter().map(|path| Pending { path, depth, limit }).collect()
    }

    /// The paths of the directories in a directory.
    fn list(&mut self, directory: &Path, at: &Pending, room: usize) -> Vec<String> {
        let mut inner = Vec::new();
        let Some(entries) = self.known(fs::read_dir(directory)) else { return inner };
        for entry in entries {
            self.entries += 1;
            if self.entries >= MOST_ENTRIES {
                self.left_out += 1;
                break;
            }
            let Some(entry) = self.known(entry) else { break };
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if inner.len() >= room {
                self.left_out += 1;
                continue;
            }
            // A name that is no text would not be found again.
            if let Some(name) = entry.file_name().to_str() {
                inner.push(format!("{}/{name}", at.path.trim_end_matches('/')));
            }
        }
        // Directories come in any order, and the bounds should hit the same ones each time.
        inner.sort();
        inner
    }

    /// What was read; a group that vanished meanwhile is no error.
    fn known<T>(&mut self, read: io::Result<T>) -> Option<T> {
        read.map_err(|error| self.note(&error)).ok()
    }

    fn note(&mut self, error: &io::Error) {
        note(error, &mut self.errors);
    }
}

/// Counts an error, unless it says that the group is gone.
pub(super) fn note(error: &io::Error, errors: &mut Errors) {
    match error.kind() {
        io::ErrorKind::PermissionDenied => errors.permission += 1,
        _ if is_gone(error) => {}
        _ => errors.read += 1,
    }
}

/// Whether an error says that the group is gone: its directory, or the group behind a file that is still open.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

/// The directory of a group.
pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Whether the root is itself a group, as it is in a container: the root of the machine has no usage to be read.
fn is_own_group(hierarchy: &Hierarchy, root: &Path) -> bool {
    matches!(hierarchy, Hierarchy::Unified { .. }) && fs::metadata(root.join("memory.current")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version 2 tree with a directory for each path; `=` behind it is its limit.
    fn tree(name: &str, groups: &[&str]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("memleak-walk-{name}-{}", std::process::id()));
        let sysfs = root.join("fs/cgroup");
        fs::create_dir_all(&sysfs).unwrap();
        fs::write(sysfs.join("cgroup.controllers"), "memory\n").unwrap();
        for group in groups {
            let (path, limit) = group.split_once('=').unwrap_or((group, "max"));
            let mut directory = sysfs.clone();
            for part in path.split('/') {
                directory = directory.join(part);
                fs::create_dir_all(&directory).unwrap();
                if fs::metadata(directory.join("memory.max")).is_err() {
                    fs::write(directory.join("memory.max"), "max\n").unwrap();
                }
            }
            fs::write(directory.join("memory.max"), limit).unwrap();
        }
        root
    }

    fn walked(root: &Path, most_groups: usize) -> Walk {
        let hierarchy = Hierarchy::detect(root);
        walk(&hierarchy, hierarchy.memory_root().unwrap(), most_groups).unwrap()
    }

    #[test]
    fn leaves_limits_and_names_matter_and_what_only_holds_others_does_not() {
        let root = tree(
            "matters",
            &[
                "system.slice/nginx.service",
                "system.slice/db.service/workers/1",
                "system.slice/tmp.mount",
                "system.slice/limited.mount=4096",
                "empty.slice",
                "user.slice/user-1.slice/session-2.scope",
                "custom/inner/leaf",
            ],
        );
        fs::create_dir_all(root.join("fs/cgroup/without.service")).unwrap();
        fs::write(root.join("fs/cgroup/user.slice/user-1.slice/memory.max"), "1000000").unwrap();
        fs::write(root.join("fs/cgroup/custom/inner/memory.max"), "2000000").unwrap();
        let walk = walked(&root, 100);
        let found: Vec<(&str, Option<f64>)> =
            walk.groups.iter().map(|group| (&*group.path, group.limit.map(|limit| limit.value))).collect();
        assert_eq!(
            found,
            [
                ("/custom/inner", Some(2e6)),
                ("/system.slice/db.service", None),
                ("/system.slice/limited.mount", Some(4096.0)),
                ("/system.slice/nginx.service", None),
                ("/user.slice/user-1.slice", Some(1e6)),
                ("/custom/inner/leaf", Some(2e6)),
                ("/user.slice/user-1.slice/session-2.scope", Some(1e6)),
                ("/system.slice/db.service/workers/1", None),
            ]
        );
        assert_eq!((walk.left_out, walk.errors), (0, Errors::default()));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn depth_and_breadth_are_bounded() {
        let deep = vec!["d"; MOST_DEPTH + 3].join("/");
        let root = tree("deep", &[&deep]);
        let walk = walked(&root, 100);
        assert_eq!((walk.groups.len(), walk.left_out, walk.visited), (0, 1, MOST_DEPTH + 1));
        fs::remove_dir_all(root).unwrap();

        let root = tree("broad", &[]);
        let sysfs = root.join("fs/cgroup");
        for number in 0..300 {
            let directory = sysfs.join(format!("{number:03}"));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("memory.max"), "max\n").unwrap();
        }
        let hierarchy = Hierarchy::detect(&root);
        let mut narrow = Walk::default();
        let at = Pending { path: "/".into(), depth: 0, limit: None };
        let inner = narrow.visit(&hierarchy, &sysfs, &at, 100);
        assert_eq!((inner.len(), narrow.left_out), (100, 200));
        fs::remove_dir_all(root).unwrap();
    }
}
