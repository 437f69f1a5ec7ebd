//! Parsers of what the kernel says about one process. They take text, never a path, and never trust it.

/// Sizes of `/proc/PID/statm`, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statm {
    /// The whole address space; 0 for a kernel thread or a zombie, which have no memory.
    pub size: u64,
    /// Resident pages.
    pub resident: u64,
    /// Resident pages of files and shared memory.
    pub shared: u64,
}

/// Understands `statm`: three numbers of seven. The fast path, so it reads bytes in place.
#[must_use]
pub fn statm(bytes: &[u8]) -> Option<Statm> {
    let mut numbers = bytes.split(|byte| *byte == b' ').map(number);
    Some(Statm { size: numbers.next()??, resident: numbers.next()??, shared: numbers.next()?? })
}

/// A decimal number that fits 64 bits.
fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The start time in `/proc/PID/stat`, in clock ticks since boot.
///
/// The name may hold blanks and brackets, so fields count from the last closing bracket: the 22nd field overall is the
/// 20th behind it.
#[must_use]
pub fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The parent in `/proc/PID/stat`: the 4th field overall, the 2nd behind the name.
#[must_use]
pub fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Where the stack begins, in `/proc/PID/stat`; 0 where the kernel does not let us see. It is the 28th field.
#[must_use]
pub fn stack_start(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(25)?.parse().ok()
}

/// What `/proc/PID/status` says of memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The name of the thread group's leader, at most fifteen bytes.
    pub name: String,
    /// The largest resident size so far.
    pub peak_resident: u64,
    /// The resident size.
    pub resident: u64,
    /// Resident anonymous memory; kernels before 4.5 do not say, nor how the rest is split.
    pub anonymous: Option<u64>,
    /// Resident pages of files.
    pub file: u64,
    /// Resident shared memory.
    pub shared_memory: u64,
    /// Anonymous memory that was swapped out.
    pub swapped: u64,
    /// Private writable address space: what `RLIMIT_DATA` limits.
    pub data: u64,
    /// The whole address space: what `RLIMIT_AS` limits.
    pub address_space: u64,
    /// How many threads it has.
    pub threads: u64,
}

/// Understands `status`; fields that are missing stay 0. None when no memory is named at all (a zombie or a kernel
/// thread).
#[must_use]
pub fn status(text: &str) -> Option<Status> {
    let mut status = Status::default();
    let mut has_memory = false;
    for line in text.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let value = rest.trim();
        match key {
            "Name" => value.clone_into(&mut status.name),
            "VmHWM" => status.peak_resident = kibibytes(value),
            "VmRSS" => (has_memory, status.resident) = (true, kibibytes(value)),
            "RssFile" => status.file = kibibytes(value),
            "RssShmem" => status.shared_memory = kibibytes(value),
            "RssAnon" => status.anonymous = Some(kibibytes(value)),
            "VmSwap" => status.swapped = kibibytes(value),
            "VmData" => status.data = kibibytes(value),
            "VmSize" => status.address_space = kibibytes(value),
            "Threads" => status.threads = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    has_memory.then_some(status)
}

/// A value such as `123 kB`, in bytes.
fn kibibytes(value: &str) -> u64 {
    value
        .strip_suffix("kB")
        .and_then(|digits| digits.trim().parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes.saturating_mul(1024))
}

/// The soft limits of `/proc/PID/limits` that bound something we watch; none is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// `RLIMIT_DATA` in bytes.
    pub data: Option<u64>,
    /// `RLIMIT_AS` in bytes.
    pub address_space: Option<u64>,
    /// `RLIMIT_NOFILE`.
    pub open_files: Option<u64>,
}

/// Understands `limits`: a table with a fixed width name, then the soft limit.
#[must_use]
pub fn resource_limits(text: &str) -> ResourceLimits {
    let soft = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()?.parse().ok()
    };
    ResourceLimits {
        data: soft("Max data size"),
        address_space: soft("Max address space"),
        open_files: soft("Max open files"),
    }
}

/// The arguments in `/proc/PID/cmdline`: separated by NUL, not always UTF-8, sometimes overwritten by the program.
#[must_use]
pub fn arguments(bytes: &[u8]) -> Vec<String> {
    let trimmed =
        bytes.iter().rposition(|byte| *byte != 0).map_or(&[][..], |last| bytes.get(..=last).unwrap_or(bytes));
    if trimmed.is_empty() {
        return Vec::new();
    }
    trimmed.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statm_takes_three_of_seven_numbers() {
        assert_eq!(statm(b"1000 200 30 4 0 5 0\n"), Some(Statm { size: 1000, resident: 200, shared: 30 }));
        for bad in [&b""[..], b"1 2", b"1 2 x", b"1 2 -3", b"1  2 3", b"99999999999999999999 1 1"] {
            assert_eq!(statm(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_start_is_found_behind_any_name() {
        let fields = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        for name in ["(bash)", "(a b)", "(tmux: server)", "() )", "(\u{fffd})"] {
            assert_eq!(start_ticks(&format!("12 {name} {fields}")), Some(987_654), "{name}");
        }
        assert_eq!(start_ticks("12 (bash) S 1"), None);
        assert_eq!(stack_start(&format!("12 () ) {fields} 6 7 140736")), Some(140_736));
        assert_eq!(stack_start(&format!("12 (bash) {fields}")), None);
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    fn status_without_resident_memory_is_nobody() {
        let text = "Name:\tkworker/0:1\nThreads:\t1\n";
        assert_eq!(status(text), None);
        let text = "Name:\tnode\nVmSize:\t 900 kB\nVmHWM:\t 300 kB\nVmRSS:\t 200 kB\nRssAnon:\t 150 kB\nRssFile:\t 40 kB\nRssShmem:\t 10 kB\nVmData:\t 500 kB\nVmSwap:\t 8 kB\nThreads:\t11\n";
        let expected = Status {
            name: "node".into(),
            peak_resident: 307_200,
            resident: 204_800,
            anonymous: Some(153_600),
            file: 40_960,
            shared_memory: 10_240,
            swapped: 8192,
            data: 512_000,
            address_space: 921_600,
            threads: 11,
        };
        assert_eq!(status(text), Some(expected));
    }

    #[test]
    fn unlimited_is_no_limit() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max data size             unlimited            unlimited            bytes     \n\
                    Max open files            1024                 524288               files     \n\
                    Max address space         4096                 unlimited            bytes     \n";
        let limits = resource_limits(text);
        assert_eq!(limits, ResourceLimits { data: None, address_space: Some(4096), open_files: Some(1024) });
        assert_eq!(resource_limits("nonsense"), ResourceLimits::default());
    }

    #[test]
    fn arguments_keep_empty_ones_in_the_middle() {
        assert_eq!(arguments(b"node\0\0--x\0\0"), ["node", "", "--x"]);
        assert_eq!(arguments(b"nginx: master process\0\0\0"), ["nginx: master process"]);
        assert!(arguments(b"").is_empty());
        assert_eq!(arguments(b"\xff\xfe\0a"), ["\u{fffd}\u{fffd}", "a"]);
    }
}
