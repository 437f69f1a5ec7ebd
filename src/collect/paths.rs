//! Where the kernel's trees are. They are configuration, so that a container can watch its host and a test fixture is
//! an ordinary directory.

use std::path::PathBuf;

/// Mount points of the kernel's trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `--path.procfs`.
    pub procfs: PathBuf,
    /// `--path.sysfs`.
    pub sysfs: PathBuf,
    /// `--path.rootfs`; no collector reads below it yet.
    pub rootfs: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() }
    }
}
