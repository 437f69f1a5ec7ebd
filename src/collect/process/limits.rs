//! The limits of one process: the nearest of the control group's, its own resource limits and the host's.
//!
//! Control groups are shared by many processes, so each is read once and remembered until the next full interval.

use super::{
    count,
    parse::{ResourceLimits, Status},
};
use crate::{
    collect::{
        cgroup::hierarchy::{CgroupLimits, Hierarchy, Place},
        host::{self, HostMemory},
    },
    sample::{Limit, LimitSource, Seconds},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Address space beyond this multiple of the memory in use is reserved (heaps of the JVM and of Go are, at start): memory
/// then grows inside of it, and the limit on it says nothing of the time that is left.
const RESERVED_SHARE: f64 = 2.0;

/// Reads limits that processes share.
pub(super) struct LimitReader {
    hierarchy: Hierarchy,
    procfs: PathBuf,
    host: Option<HostMemory>,
    host_threads: Option<Limit>,
    groups: HashMap<Arc<Place>, CgroupLimits>,
    refreshed_at: Seconds,
    /// How often the groups were read anew.
    refreshes: u64,
}

/// What limits one process.
pub(super) struct ProcessLimits {
    group: Arc<Place>,
    /// The group's limits as of that refresh, so that no tick looks the group up.
    of_group: CgroupLimits,
    as_of: u64,
    resource: ResourceLimits,
    /// What counts against the limits on the data segment and the address space; none where those are mostly reserved
    /// and not used.
    data_bytes: Option<f64>,
    address_space_bytes: Option<f64>,
}

impl LimitReader {
    pub(super) fn new(hierarchy: Hierarchy, procfs: &Path) -> Self {
        Self {
            hierarchy,
            procfs: procfs.to_owned(),
            host: None,
            host_threads: None,
            groups: HashMap::new(),
            refreshed_at: f64::NEG_INFINITY,
            refreshes: 0,
        }
    }

    /// Begins a tick: the host's memory moves fast and is cheap, control groups are read anew once an interval.
    pub(super) fn begin(&mut self, at: Seconds, interval_secs: f64) {
        self.host = HostMemory::read(&self.procfs);
        if at - self.refreshed_at < interval_secs {
            return;
        }
        self.refreshed_at = at;
        self.refreshes += 1;
        self.host_threads = host::thread_limit(&self.procfs);
        // Only the map knows a group that no process is in any more.
        self.groups.retain(|place, _| Arc::strong_count(place) > 1);
        for (place, limits) in &mut self.groups {
            *limits = self.hierarchy.limits(place);
        }
    }

    /// The group that the memory of a process at `place` is accounted to.
    pub(super) fn memory_group<'a>(&self, place: &'a Place) -> &'a str {
        self.hierarchy.memory_group(place)
    }

    /// The limits of a process at `place`.
    pub(super) fn locate(&mut self, place: &Place, resource: &ResourceLimits) -> ProcessLimits {
        let group = match self.groups.get_key_value(place) {
            Some((known, _)) => Arc::clone(known),
            None => {
                let new = Arc::new(place.clone());
                self.groups.insert(Arc::clone(&new), self.hierarchy.limits(place));
                new
            }
        };
        let of_group = self.groups.get(&group).copied().unwrap_or_default();
        let as_of = self.refreshes;
        ProcessLimits {
            group,
            of_group,
            as_of,
            resource: *resource,
            data_bytes: None,
            address_space_bytes: None,
        }
    }

    /// The nearest limit on the process's memory.
    pub(super) fn memory(&self, process: &mut ProcessLimits) -> Option<Limit> {
        if process.as_of != self.refreshes {
            process.as_of = self.refreshes;
            process.of_group = self.groups.get(&process.group).copied().unwrap_or_default();
        }
        let own = [
            process.data_bytes.and_then(|used| rlimit(process.resource.data, used)),
            process.address_space_bytes.and_then(|used| rlimit(process.resource.address_space, used)),
        ];
        let group = process.of_group.memory;
        let host = self.host.as_ref().map(HostMemory::limit);
        own.into_iter().chain([group, host]).flatten().reduce(Limit::nearer)
    }

    /// The limit on swap.
    pub(super) fn swap(&self) -> Option<Limit> {
        self.host.as_ref().and_then(HostMemory::swap_limit)
    }

    /// The nearest limit on threads.
    pub(super) fn threads(&self, process: &ProcessLimits) -> Option<Limit> {
        [process.of_group.threads, self.host_threads].into_iter().flatten().reduce(Limit::nearer)
    }
}

impl ProcessLimits {
    /// Takes over what counts against the resource limits now.
    pub(super) fn note(&mut self, status: &Status) {
        let in_use = count(status.anonymous.unwrap_or(status.peak_resident)) + count(status.swapped);
        let mostly_used = |size: u64| Some(count(size)).filter(|size| *size <= RESERVED_SHARE * in_use);
        self.data_bytes = mostly_used(status.data);
        self.address_space_bytes = mostly_used(status.address_space);
    }

    /// The limit on descriptors, of which `open` are in use.
    pub(super) fn open_files(&self, open: f64) -> Option<Limit> {
        rlimit(self.resource.open_files, open)
    }
}

fn rlimit(value: Option<u64>, used: f64) -> Option<Limit> {
    value.map(|value| Limit { value: count(value), used, source: LimitSource::Rlimit })
}
