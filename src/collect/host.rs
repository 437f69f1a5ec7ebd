//! What the host offers: its memory, its threads, and the facts by which a person recognises it.

mod collector;

pub use self::collector::{HostCollector, NAME};

use crate::sample::{Limit, LimitSource};
use std::{fs, path::Path};

/// Memory of the machine in bytes, from `meminfo`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// Memory there is.
    pub total: u64,
    /// Memory that programs can still get without swapping. Kernels before 3.14 do not tell; there it is what is free
    /// and what is cached, which is a little too much.
    pub available: u64,
    /// Swap there is.
    pub swap_total: u64,
    /// Swap that is free.
    pub swap_free: u64,
}

impl HostMemory {
    /// Reads `meminfo` below `procfs`; none where it cannot be read, or does not say what there is and what is left.
    #[must_use]
    pub fn read(procfs: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(procfs.join("meminfo")).ok()?)
    }

    /// Understands the text of `meminfo`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut memory = Self::default();
        let mut available = None;
        let mut free_and_cached: Option<u64> = None;
        for line in text.lines() {
            let Some((key, rest)) = line.split_once(':') else { continue };
            let kibibytes = rest.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
            let Some(bytes) = kibibytes.map(|kibibytes| kibibytes.saturating_mul(1024)) else { continue };
            match key {
                "MemTotal" => memory.total = bytes,
                "MemAvailable" => available = Some(bytes),
                "MemFree" | "Buffers" | "Cached" => {
                    free_and_cached = Some(free_and_cached.unwrap_or(0).saturating_add(bytes));
                }
                "SwapTotal" => memory.swap_total = bytes,
                "SwapFree" => memory.swap_free = bytes,
                _ => {}
            }
        }
        // Without either, a machine that has all of its memory left would look as if it had none.
        memory.available = available.or(free_and_cached)?;
        (memory.total > 0).then_some(memory)
    }

    /// The limit on anonymous memory: memory and swap together, since the OOM killer comes when both are gone.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes")]
    pub fn limit(&self) -> Limit {
        let used = self.total.saturating_sub(self.available) + self.swap_total.saturating_sub(self.swap_free);
        Limit { value: (self.total + self.swap_total) as f64, used: used as f64, source: LimitSource::Host }
    }

    /// The limit on swap alone, where there is swap.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes")]
    pub fn swap_limit(&self) -> Option<Limit> {
        (self.swap_total > 0).then(|| Limit {
            value: self.swap_total as f64,
            used: self.swap_total.saturating_sub(self.swap_free) as f64,
            source: LimitSource::Host,
        })
    }
}

/// The limit on threads of the whole machine and how many there are.
#[must_use]
pub fn thread_limit(procfs: &Path) -> Option<Limit> {
    let most: f64 = fs::read_to_string(procfs.join("sys/kernel/threads-max")).ok()?.trim().parse().ok()?;
    let load = fs::read_to_string(procfs.join("loadavg")).ok()?;
    Some(Limit { value: most, used: parse_thread_count(&load)?, source: LimitSource::Host })
}

/// The number of threads on the machine: the part after the slash in `loadavg`'s fourth field.
fn parse_thread_count(loadavg: &str) -> Option<f64> {
    loadavg.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// Seconds since the machine booted, from `uptime`.
#[must_use]
pub fn uptime_secs(procfs: &Path) -> Option<f64> {
    let text = fs::read_to_string(procfs.join("uptime")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Facts by which a person recognises the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Its name.
    pub name: String,
    /// The operating system with its version.
    pub system: String,
    /// The kernel's version.
    pub kernel: String,
    /// The processor architecture.
    pub architecture: String,
}

impl HostFacts {
    /// Asks the system.
    #[must_use]
    pub fn read() -> Self {
        Self {
            name: sysinfo::System::host_name().unwrap_or_default(),
            system: sysinfo::System::long_os_version().unwrap_or_default(),
            kernel: sysinfo::System::kernel_version().unwrap_or_default(),
            architecture: sysinfo::System::cpu_arch(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_gives_the_limit_of_memory_and_swap_together() {
        let text = "MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    600 kB\nSwapTotal: 200 kB\nSwapFree: 150 kB\n";
        let memory = HostMemory::parse(text).unwrap();
        let limit = memory.limit();
        assert_eq!((limit.value, limit.used), (1_228_800.0, 460_800.0));
        assert_eq!(memory.swap_limit().map(|l| l.used), Some(51_200.0));
    }

    #[test]
    fn kernels_that_do_not_tell_what_is_available_are_judged_by_what_is_free() {
        for (text, available_kibibytes) in [
            ("MemFree: 100 kB\nBuffers: 20 kB\nCached: 3 kB\nSwapCached: 9 kB\n", Some(123)),
            ("MemFree: 100 kB\n", Some(100)),
            ("Cached: 3 kB\n", Some(3)),
            ("MemFree: 100 kB\nMemAvailable: 600 kB\nCached: 3 kB\n", Some(600)),
            ("MemFree: 100 kB\nMemAvailable: 0 kB\n", Some(0)),
            ("MemFree: 100 kB\nMemAvailable: x kB\n", Some(100)),
            ("SwapTotal: 200 kB\nSwapFree: 200 kB\n", None),
        ] {
            let found = HostMemory::parse(&format!("MemTotal: 1000 kB\n{text}"));
            assert_eq!(
                found.map(|memory| memory.available),
                available_kibibytes.map(|kibibytes| kibibytes * 1024),
                "{text:?}"
            );
        }
    }

    #[test]
    fn meminfo_that_makes_no_sense_is_no_memory() {
        for text in ["", "MemTotal: x kB", "MemTotal 5", "garbage\n:::", "MemFree: 5 kB"] {
            assert_eq!(HostMemory::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_thread_count_is_behind_the_slash() {
        assert_eq!(parse_thread_count("0.1 0.2 0.3 2/345 6789"), Some(345.0));
        assert_eq!(parse_thread_count("0.1 0.2"), None);
    }
}
