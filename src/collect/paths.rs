//! Where the kernel's trees are. They are configuration, so that a container can watch its host and a test fixture is
//! an ordinary directory.

use std::path::{Path, PathBuf};

/// Mount points of the kernel's trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `--path.procfs`.
    pub procfs: PathBuf,
    /// `--path.sysfs`.
    pub sysfs: PathBuf,
    /// `--path.rootfs`: the other two lie below it where they are not said themselves.
    pub rootfs: PathBuf,
}

impl Paths {
    /// The trees below a root, but for those that are said to lie elsewhere.
    #[must_use]
    pub fn below(rootfs: &Path, procfs: Option<PathBuf>, sysfs: Option<PathBuf>) -> Self {
        Self {
            procfs: procfs.unwrap_or_else(|| rootfs.join("proc")),
            sysfs: sysfs.unwrap_or_else(|| rootfs.join("sys")),
            rootfs: rootfs.to_owned(),
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::below(Path::new("/"), None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_lies_below_the_root() {
        let host = Path::new("/host");
        let paths = Paths::below(host, None, Some("/elsewhere".into()));
        assert_eq!((paths.procfs, paths.sysfs), ("/host/proc".into(), "/elsewhere".into()));
        assert_eq!(Paths::default().procfs, Path::new("/proc"));
    }
}
