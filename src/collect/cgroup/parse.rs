//! The texts of a memory group's files, of both versions. Parsers take text, and what they do not know they leave out.

use crate::sample::{Counter, Counts};

/// A size that is told in pages or not at all is none; all sizes are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Anonymous memory, without what is swapped out.
    pub anon: u64,
    /// The page cache, shared memory and tmpfs included.
    pub file: Option<u64>,
    /// Memory of the kernel: stacks, page tables, slab and more.
    pub kernel: Option<u64>,
    /// The kernel's objects.
    pub slab: Option<u64>,
    /// Buffers of sockets.
    pub sock: Option<u64>,
    /// Shared memory and tmpfs.
    pub shmem: Option<u64>,
    /// What is swapped out, where this file tells.
    pub swap: Option<u64>,
}

/// `memory.stat` of version 2; none where it does not tell of anonymous memory.
#[must_use]
pub fn unified_stat(text: &str) -> Option<Stat> {
    let mut stat = Stat::default();
    let mut anon = None;
    let mut kernel_parts: Option<u64> = None;
    for (key, value) in pairs(text) {
        match key {
            "anon" => anon = Some(value),
            "file" => stat.file = Some(value),
            "kernel" => stat.kernel = Some(value),
            "slab" => stat.slab = Some(value),
            "sock" => stat.sock = Some(value),
            "shmem" => stat.shmem = Some(value),
            _ => {}
        }
        // Kernels before 5.18 tell only the parts.
        if let "kernel_stack" | "pagetables" | "percpu" | "slab" = key {
            kernel_parts = Some(kernel_parts.unwrap_or(0).saturating_add(value));
        }
    }
    stat.kernel = stat.kernel.or(kernel_parts);
    stat.anon = anon?;
    Some(stat)
}

/// `memory.stat` of version 1; none where it does not tell of anonymous memory. The `total_` values include the groups
/// inside.
#[must_use]
pub fn legacy_stat(text: &str) -> Option<Stat> {
    let mut stat = Stat::default();
    let mut anon = None;
    for (key, value) in pairs(text) {
        match key {
            "total_rss" => anon = Some(value),
            "total_cache" => stat.file = Some(value),
            "total_shmem" => stat.shmem = Some(value),
            "total_swap" => stat.swap = Some(value),
            _ => {}
        }
    }
    stat.anon = anon?;
    Some(stat)
}

/// `memory.events` of version 2: what happened to the group and the groups inside.
pub fn unified_events(text: &str, counts: &mut Counts) {
    for (key, value) in pairs(text) {
        let counter = match key {
            "high" => Counter::Throttles,
            "max" => Counter::LimitHits,
            "oom" => Counter::OutOfMemory,
            "oom_kill" => Counter::OomKills,
            _ => continue,
        };
        counts.set(counter, super::super::count(value));
    }
}

/// `memory.oom_control` of version 1, which counts kills since Linux 4.13.
pub fn legacy_oom_control(text: &str, counts: &mut Counts) {
    if let Some((_, kills)) = pairs(text).find(|(key, _)| *key == "oom_kill") {
        counts.set(Counter::OomKills, super::super::count(kills));
    }
}

/// A file of pressure (`memory.pressure`, or `pressure/memory` of procfs): how long some and how long all tasks have
/// waited for memory, told in microseconds.
pub fn pressure(text: &str, counts: &mut Counts) {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let counter = match words.next() {
            Some("some") => Counter::StallSecs,
            Some("full") => Counter::FullStallSecs,
            _ => continue,
        };
        let total = words.find_map(|word| word.strip_prefix("total=")?.parse::<u64>().ok());
        if let Some(micros) = total {
            counts.set(counter, super::super::count(micros) / 1e6);
        }
    }
}

/// A file that holds one number; none for `max`.
#[must_use]
pub fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Lines of a word and a whole number.
fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_tells_all_parts() {
        let text = "anon 1000\nfile 2000\nkernel 300\nkernel_stack 16\npagetables 20\npercpu 3\nsock 40\nvmalloc 5\n\
                    shmem 60\nzswap 0\nfile_mapped 70\nanon_thp 0\nslab_reclaimable 5\nslab 80\n";
        let stat = unified_stat(text).unwrap();
        let expected = Stat {
            anon: 1000,
            file: Some(2000),
            kernel: Some(300),
            slab: Some(80),
            sock: Some(40),
            shmem: Some(60),
            swap: None,
        };
        assert_eq!(stat, expected);
        let older = text.replace("kernel 300\n", "");
        assert_eq!(unified_stat(&older).unwrap().kernel, Some(16 + 20 + 3 + 80));
    }

    #[test]
    fn version_1_tells_fewer_and_the_totals_count() {
        let text = "cache 1\nrss 2\nshmem 3\nswap 4\nhierarchical_memory_limit 9223372036854771712\ntotal_cache 100\n\
                    total_rss 200\ntotal_rss_huge 7\ntotal_shmem 30\ntotal_swap 40\n";
        let expected =
            Stat { anon: 200, file: Some(100), shmem: Some(30), swap: Some(40), ..Stat::default() };
        assert_eq!(legacy_stat(text), Some(expected));
    }

    #[test]
    fn what_makes_no_sense_is_no_statistic() {
        for text in
            ["", "anon\n", "anon x\n", "anon -1\n", "garbage", "file 5\n", "total_rss 1e9\n", "anon  \n"]
        {
            assert_eq!((unified_stat(text), legacy_stat(text)), (None, None), "{text:?}");
        }
    }

    fn counted(read: impl Fn(&str, &mut Counts), text: &str) -> [Option<f64>; 6] {
        let mut counts = Counts::default();
        read(text, &mut counts);
        let [kills, out_of_memory, hits, throttles, stall, full_stall, ..] = Counter::ALL;
        [kills, out_of_memory, hits, throttles, stall, full_stall].map(|counter| counts.get(counter))
    }

    #[test]
    fn events_and_pressure_are_counted_and_what_is_not_told_is_absent() {
        let events = "low 9\nhigh 5\nmax 4\noom 3\noom_kill 2\noom_group_kill 1\n";
        let told = [Some(2.0), Some(3.0), Some(4.0), Some(5.0), None, None];
        assert_eq!(counted(unified_events, events), told);
        assert_eq!(counted(unified_events, "oom_kill x\n"), [None; 6]);
        let control = "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n";
        assert_eq!(counted(legacy_oom_control, control)[0], Some(7.0));
        assert_eq!(counted(legacy_oom_control, "oom_kill_disable 0\nunder_oom 0\n"), [None; 6]);
        let stalls = "some avg10=0.00 avg60=0.10 avg300=1.00 total=2500000\nfull avg10=0.00 total=500000\n";
        assert_eq!(counted(pressure, stalls), [None, None, None, None, Some(2.5), Some(0.5)]);
        for broken in ["some\n", "some total=x\n", "none total=1\n", ""] {
            assert_eq!(counted(pressure, broken), [None; 6], "{broken:?}");
        }
    }

    #[test]
    fn no_limit_is_no_number() {
        assert_eq!((number("max\n"), number("4096\n"), number("")), (None, Some(4096), None));
    }
}
