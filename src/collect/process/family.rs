//! Families: a process with all that it started, directly or not.

use super::parse;
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

/// The processes that descend from this one, itself included where it is there.
///
/// Whose parent has ended is the child of somebody else from then on: of the nearest ancestor that takes in orphans
/// (`PR_SET_CHILD_SUBREAPER`), or of init. Whoever wants to keep a family together takes them in itself.
#[must_use]
pub fn descendants(procfs: &Path, root: u32) -> HashSet<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut family = HashSet::new();
    for entry in fs::read_dir(procfs).into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that has vanished meanwhile is nobody's child any more.
        let stat = fs::read(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parse::parent(&String::from_utf8_lossy(&stat)) {
            children.entry(parent).or_default().push(pid);
            family.extend((pid == root).then_some(pid));
        }
    }
    let mut todo = vec![root];
    while let Some(parent) = todo.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            if family.insert(child) {
                todo.push(child);
            }
        }
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_the_process_and_all_below_it() {
        let procfs = std::env::temp_dir().join(format!("memleak-family-{}", std::process::id()));
        for (pid, parent) in [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (21, 20)] {
            let directory = procfs.join(pid.to_string());
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("stat"), format!("{pid} (a) b) S {parent} 0 0")).unwrap();
        }
        fs::create_dir_all(procfs.join("30")).unwrap();
        let family = |root| {
            let mut family: Vec<u32> = descendants(&procfs, root).into_iter().collect();
            family.sort_unstable();
            family
        };
        assert_eq!(family(10), [10, 11, 12]);
        assert_eq!(family(21), [21]);
        assert_eq!(family(30), [0; 0]);
        fs::remove_dir_all(&procfs).unwrap();
    }
}
