//! The machine itself, as one target: what the kernel uses, what lies in tmpfs, and all anonymous memory together.
//!
//! No process shows a leak of the kernel or of files in a tmpfs; here it is an area of its own. What is still available
//! is no area: it is the other side of the limit.

use super::{HostMemory, uptime_secs};
use crate::{
    collect::{CollectError, Collector, Request, cgroup::parse::pressure, count, paths::Paths},
    sample::{
        Area, Batch, Counter, Counts, Errors, Generation, Identity, Kind, Limit, LimitSource, Member, Sample,
        Target, TargetInfo, Unit,
    },
};
use std::{fs, io, path::PathBuf, sync::Arc};

/// The name of this collector.
pub const NAME: &str = "host";
/// The name of its target. The machine's own name is for Prometheus to add.
const TARGET: &str = "host";

/// Samples the machine.
pub struct HostCollector {
    procfs: PathBuf,
    member: Option<Arc<Member>>,
    areas: Areas,
}

/// The areas of a machine, made once.
struct Areas {
    anon: Area,
    slab_unreclaimable: Area,
    kernel_stack: Area,
    page_tables: Area,
    vmalloc: Area,
    shmem: Area,
    hugetlb: Area,
    swap: Area,
}

/// What the machine's memory is used for, in bytes, each where the kernel tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    anonymous: Option<u64>,
    /// In memory and in swap at the same time.
    swap_cached: Option<u64>,
    slab_unreclaimable: Option<u64>,
    kernel_stack: Option<u64>,
    page_tables: Option<u64>,
    vmalloc: Option<u64>,
    shmem: Option<u64>,
    hugetlb: Option<u64>,
}

impl Collector for HostCollector {
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
        let path = self.procfs.join("meminfo");
        let failed = |source| CollectError::Read { path: path.display().to_string(), source };
        let text = fs::read_to_string(&path).map_err(failed)?;
        let senseless =
            || failed(io::Error::new(io::ErrorKind::InvalidData, "it does not say what memory there is"));
        let memory = HostMemory::parse(&text).ok_or_else(senseless)?;
        let mut batch = Batch::new(request.at);
        let member = Arc::clone(self.member.get_or_insert_with(|| member(&self.procfs, request.at)));
        let counts = self.counts(&mut batch.errors);
        if !counts.is_empty() {
            batch.counted.push((member.identity, counts));
        }
        batch.push(member, self.areas.samples(&Parts::parse(&text), &memory));
        Ok(batch)
    }
}

impl HostCollector {
    /// A collector for these trees.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        Self { procfs: paths.procfs.clone(), member: None, areas: Areas::new() }
    }

    /// What the kernel has counted since the machine booted. Pressure is not known to every kernel.
    fn counts(&self, errors: &mut Errors) -> Counts {
        let mut counts = Counts::default();
        let mut read = |file: &str| match fs::read_to_string(self.procfs.join(file)) {
            Ok(text) => text,
            Err(error) => {
                errors.permission += u64::from(error.kind() == io::ErrorKind::PermissionDenied);
                String::new()
            }
        };
        if let Some(kills) = oom_kills(&read("vmstat")) {
            counts.set(Counter::OomKills, count(kills));
        }
        pressure(&read("pressure/memory"), &mut counts);
        counts
    }
}

fn member(procfs: &std::path::Path, at: f64) -> Arc<Member> {
    Arc::new(Member {
        target: Arc::new(Target { kind: Kind::Host, name: TARGET.into() }),
        info: TargetInfo::default(),
        identity: Identity::HOST,
        generation: Generation::default(),
        started_at: uptime_secs(procfs).map_or(at, |uptime_secs| at - uptime_secs),
        group: "".into(),
    })
}

/// Processes that the kernel killed for want of memory, from `vmstat`; it tells since Linux 4.13.
fn oom_kills(vmstat: &str) -> Option<u64> {
    vmstat.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

impl Parts {
    /// Understands the text of `meminfo`.
    fn parse(text: &str) -> Self {
        let mut parts = Self::default();
        for line in text.lines() {
            let Some((key, rest)) = line.split_once(':') else { continue };
            let part = match key {
                "AnonPages" => &mut parts.anonymous,
                "SwapCached" => &mut parts.swap_cached,
                "SUnreclaim" => &mut parts.slab_unreclaimable,
                "KernelStack" => &mut parts.kernel_stack,
                "PageTables" => &mut parts.page_tables,
                "VmallocUsed" => &mut parts.vmalloc,
                "Shmem" => &mut parts.shmem,
                "Hugetlb" => &mut parts.hugetlb,
                _ => continue,
            };
            let kibibytes = rest.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
            *part = kibibytes.map(|kibibytes| kibibytes.saturating_mul(1024));
        }
        parts
    }
}

impl Areas {
    fn new() -> Self {
        let bytes = |name| Area::new(name, Unit::Bytes);
        Self {
            anon: bytes("anon"),
            slab_unreclaimable: bytes("slab_unreclaimable"),
            kernel_stack: bytes("kernel_stack"),
            page_tables: bytes("page_tables"),
            vmalloc: bytes("vmalloc"),
            shmem: bytes("shmem"),
            hugetlb: bytes("hugetlb"),
            swap: bytes("swap"),
        }
    }

    fn samples(&self, parts: &Parts, memory: &HostMemory) -> impl Iterator<Item = Sample> {
        let swapped = memory.swap_total.saturating_sub(memory.swap_free);
        // What is in both places counts once.
        let away = swapped.saturating_sub(parts.swap_cached.unwrap_or(0));
        // What can be swapped out has room there too; the kernel's own memory has not.
        let (swappable, fixed) = (Some(memory.limit()), Some(fixed_limit(memory)));
        let all = [
            (&self.anon, parts.anonymous.map(|resident| resident.saturating_add(away)), swappable),
            (&self.slab_unreclaimable, parts.slab_unreclaimable, fixed),
            (&self.kernel_stack, parts.kernel_stack, fixed),
            (&self.page_tables, parts.page_tables, fixed),
            (&self.vmalloc, parts.vmalloc, fixed),
            (&self.shmem, parts.shmem, swappable),
            (&self.hugetlb, parts.hugetlb, fixed),
            (&self.swap, Some(swapped), memory.swap_limit()),
        ];
        all.into_iter()
            .filter_map(|(area, size, limit)| Some(Sample { area: area.clone(), size: count(size?), limit }))
    }
}

/// The limit on what cannot be swapped out: memory, of which what is available is not in use.
fn fixed_limit(memory: &HostMemory) -> Limit {
    let used = memory.total.saturating_sub(memory.available);
    Limit { value: count(memory.total), used: count(used), source: LimitSource::Host }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nSwapCached: 5 kB\nSwapTotal: 200 kB\n\
                           SwapFree: 150 kB\nAnonPages: 300 kB\nShmem: 20 kB\nSUnreclaim: 30 kB\nKernelStack: 4 kB\n\
                           PageTables: 6 kB\nVmallocUsed: 7 kB\nHugetlb: 8 kB\n";

    #[test]
    fn memory_is_split_by_use_and_each_part_has_its_limit() {
        let areas = Areas::new();
        let memory = HostMemory::parse(MEMINFO).unwrap();
        let kibibytes = |bytes: f64| bytes / 1024.0;
        let told: Vec<(String, f64, Option<f64>)> = areas
            .samples(&Parts::parse(MEMINFO), &memory)
            .map(|s| (s.area.name.to_string(), kibibytes(s.size), s.limit.map(|l| kibibytes(l.value))))
            .collect();
        let told: Vec<(&str, f64, f64)> =
            told.iter().map(|(name, size, limit)| (name.as_str(), *size, limit.unwrap())).collect();
        assert_eq!(
            told,
            [
                ("anon", 345.0, 1200.0),
                ("slab_unreclaimable", 30.0, 1000.0),
                ("kernel_stack", 4.0, 1000.0),
                ("page_tables", 6.0, 1000.0),
                ("vmalloc", 7.0, 1000.0),
                ("shmem", 20.0, 1200.0),
                ("hugetlb", 8.0, 1000.0),
                ("swap", 50.0, 200.0),
            ]
        );
        assert_eq!(kibibytes(fixed_limit(&memory).used).to_bits(), 600f64.to_bits());
    }

    #[test]
    fn what_a_kernel_does_not_tell_is_no_area() {
        let old = "MemTotal: 1000 kB\nMemFree: 100 kB\nAnonPages: x kB\nShmem 5\nPageTables: 6 kB\n";
        let memory = HostMemory::parse(old).unwrap();
        let told: Vec<String> =
            Areas::new().samples(&Parts::parse(old), &memory).map(|s| s.area.name.to_string()).collect();
        assert_eq!(told, ["page_tables", "swap"]);
    }

    #[test]
    fn kills_are_counted_where_the_kernel_tells() {
        assert_eq!(oom_kills("nr_free_pages 5\noom_kill 3\noom_killer 9\n"), Some(3));
        assert_eq!((oom_kills("oom_kill\n"), oom_kills("")), (None, None));
    }

    #[test]
    fn the_machine_is_one_target_and_a_tree_without_it_an_error() {
        let root = std::env::temp_dir().join(format!("memleak-host-{}", std::process::id()));
        fs::create_dir_all(root.join("pressure")).unwrap();
        let paths = Paths { procfs: root.clone(), ..Paths::default() };
        let request = Request { at: 5000.0, ..Request::default() };
        assert!(HostCollector::new(&paths).collect(&request).is_err());
        fs::write(root.join("meminfo"), "nonsense\n").unwrap();
        assert!(HostCollector::new(&paths).collect(&request).is_err());

        fs::write(root.join("meminfo"), MEMINFO).unwrap();
        fs::write(root.join("uptime"), "1000.00 1.00\n").unwrap();
        fs::write(root.join("vmstat"), "oom_kill 2\n").unwrap();
        fs::write(root.join("pressure/memory"), "some total=1500000\nfull total=0\n").unwrap();
        let batch = HostCollector::new(&paths).collect(&request).unwrap();
        let (member, samples) = batch.readings().next().unwrap();
        assert_eq!((&*member.target.name, member.target.kind, samples.len()), ("host", Kind::Host, 8));
        assert!((member.started_at - 4000.0).abs() < 1e-6);
        let (_, counts) = batch.counted[0];
        assert_eq!(counts.get(Counter::OomKills), Some(2.0));
        assert_eq!(counts.get(Counter::StallSecs), Some(1.5));
        fs::remove_dir_all(root).unwrap();
    }
}
