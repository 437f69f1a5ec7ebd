//! How many processors the machine has: the ones that are online, which a share of all of them is a share of.

use super::paths::Paths;
use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// The list of a machine with thousands of processors is shorter.
const LIST_BYTES_MAX: u64 = 4096;

/// The number of online processors; none where the kernel does not tell it.
#[must_use]
pub fn online(paths: &Paths) -> Option<f64> {
    counted(&read(&paths.sysfs.join("devices/system/cpu/online")).ok()?)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LIST_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// How many numbers a list of ranges has: `0-3,8`.
fn counted(list: &str) -> Option<f64> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        Some(f64::from(last.checked_sub(first)?) + 1.0)
    };
    list.trim().split(',').map(range).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_counted_and_nonsense_is_none() {
        assert_eq!(counted("0-3,8\n"), Some(5.0));
        assert_eq!(counted("0\n"), Some(1.0));
        for nonsense in ["", "\n", "a-b", "3-0", "0-"] {
            assert_eq!(counted(nonsense), None, "{nonsense:?}");
        }
    }
}
