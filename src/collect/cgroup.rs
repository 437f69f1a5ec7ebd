//! Control groups: every one with memory that matters, as a target of its own.
//!
//! It sees what no process shows: memory of the kernel, files in a tmpfs, many small processes that grow together, and
//! the limit that a container dies of. Anonymous memory is what is judged; usage and the working set hold the page
//! cache, which gives way.
//!
//! The tree is walked once a minute, and at once where a group has vanished, since its successor has the same name. At
//! every tick only `memory.stat` is read, which stays open; a removed group no longer answers on it. The rest, usage,
//! peak, swap, events and pressure, is read once a minute, and at every tick for suspects.

pub mod hierarchy;
pub mod namespace;
pub mod parse;
mod files;
mod walk;

use super::{
    CollectError, Collector, Request, count, descriptors,
    host::{self, HostMemory},
    kubernetes::Kubernetes,
    names,
    paths::Paths,
};
use crate::{
    config::{Cgroups, Config},
    sample::{Area, Batch, Errors, Generation, Identity, Kind, Limit, Member, Sample, Seconds, Target, Unit},
};
use files::{Files, Full, Reader};
use hierarchy::Hierarchy;
use parse::Stat;
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};
use walk::{Group, Walk};

/// The name of this collector.
pub const NAME: &str = "cgroup";

/// A tree of more directories is not walked again before its time, however many groups vanish.
const MOST_WALKED_AT_ONCE: usize = 1_000;

/// Samples control groups.
pub struct CgroupCollector {
    settings: Cgroups,
    full_interval_secs: f64,
    max_groups: usize,
    max_files: usize,
    hierarchy: Hierarchy,
    procfs: PathBuf,
    kubernetes: Kubernetes,
    areas: Areas,
    targets: HashMap<Box<str>, Arc<Target>>,
    known: HashMap<Box<str>, Watched>,
    reader: Reader,
    next_walk_at: Seconds,
    /// Directories of the last walk.
    walked: usize,
    /// Groups and directories that bounds left out at the last walk.
    left_out: u64,
    host: Option<HostMemory>,
}

/// A group that is watched.
struct Watched {
    member: Arc<Member>,
    files: Files,
    limit: Option<Limit>,
    /// What was swapped out when that was read last.
    swapped_bytes: f64,
    next_full_at: Seconds,
    full_readings: u32,
}

/// The areas of a group, made once.
struct Areas {
    anon: Area,
    file: Area,
    kernel: Area,
    slab: Area,
    sock: Area,
    shmem: Area,
    swap: Area,
    usage: Area,
    peak: Area,
}

impl Collector for CgroupCollector {
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
        let mut batch = Batch::new(request.at);
        let Some(root) = self.hierarchy.memory_root().map(Path::to_path_buf) else { return Ok(batch) };
        self.host = HostMemory::read(&self.procfs);
        let is_due = request.at >= self.next_walk_at;
        if is_due {
            self.walk(&root, request.at, &mut batch.errors)?;
        }
        let has_lost = self.read_all(request, &mut batch, |_| true);
        if has_lost && !is_due && self.walked <= MOST_WALKED_AT_ONCE {
            let before: HashSet<Box<str>> = self.known.keys().cloned().collect();
            self.walk(&root, request.at, &mut batch.errors)?;
            self.read_all(request, &mut batch, |path| !before.contains(path));
        }
        batch.dropped_members += self.left_out;
        Ok(batch)
    }
}

impl CgroupCollector {
    /// A collector for these settings and trees.
    #[must_use]
    pub fn new(config: &Config, paths: &Paths) -> Self {
        let hierarchy = Hierarchy::detect(&paths.sysfs);
        if hierarchy == Hierarchy::None {
            let sysfs = paths.sysfs.display();
            tracing::info!(%sysfs, "no memory controller is mounted; no control group is watched");
        } else {
            tracing::debug!(cgroup = hierarchy.as_str(), "detected control groups");
        }
        let max_groups = config.limits.cgroups;
        let max_files = usize::try_from(descriptors::most_kept(descriptors::OF_GROUPS)).unwrap_or(usize::MAX);
        Self {
            settings: config.cgroups.clone(),
            full_interval_secs: config.sampling.full_interval.as_secs_f64(),
            max_groups,
            max_files,
            reader: Reader::new(&hierarchy),
            hierarchy,
            procfs: paths.procfs.clone(),
            kubernetes: Kubernetes::of_machine(&paths.rootfs),
            areas: Areas::new(),
            targets: HashMap::new(),
            known: HashMap::new(),
            next_walk_at: f64::NEG_INFINITY,
            walked: 0,
            left_out: 0,
            host: None,
        }
    }

    /// Looks which groups there are: who is known stays, newcomers are taken in while there is room.
    fn walk(&mut self, root: &Path, at: Seconds, errors: &mut Errors) -> Result<(), CollectError> {
        let walk = walk::walk(&self.hierarchy, root, self.max_groups)
            .map_err(|source| CollectError::Read { path: root.display().to_string(), source })?;
        let Walk { groups, visited, left_out, errors: of_walk, .. } = walk;
        errors.permission += of_walk.permission;
        errors.read += of_walk.read;
        self.next_walk_at = at + self.full_interval_secs;
        self.walked = visited;
        self.left_out = left_out;
        let mut before = std::mem::take(&mut self.known);
        let mut newcomers = Vec::new();
        for group in groups {
            match before.remove(&*group.path) {
                Some(mut known) if known.member.identity == Identity::of_group(group.inode) => {
                    known.limit = group.limit;
                    self.kubernetes.name_member(&mut known.member, at);
                    self.known.insert(group.path.into(), known);
                }
                _ => newcomers.push(group),
            }
        }
        drop(before);
        let uptime_secs = host::uptime_secs(&self.procfs);
        for group in newcomers {
            self.meet(root, &group, at, uptime_secs);
        }
        self.targets.retain(|_, target| Arc::strong_count(target) > 1);
        Ok(())
    }

    /// Takes in a group that was not there before.
    fn meet(&mut self, root: &Path, group: &Group, at: Seconds, uptime_secs: Option<f64>) {
        let (name, mut info) = names::group(&group.path);
        self.kubernetes.name(&mut info, at);
        let Cgroups { include, exclude, .. } = &self.settings;
        let is_wanted = include.is_empty() || include.iter().any(|regex| regex.is_match(&name));
        if !is_wanted || exclude.iter().any(|regex| regex.is_match(&name)) {
            return;
        }
        if self.known.len() >= self.max_groups {
            self.left_out += 1;
            return;
        }
        let directory = walk::below(root, &group.path);
        let booted_at = uptime_secs.map(|uptime_secs| at - uptime_secs);
        let started_at =
            booted_at.and_then(|booted_at| self.reader.started_at(&directory, &self.procfs, booted_at));
        let member = Member {
            target: self.target(name),
            info,
            identity: Identity::of_group(group.inode),
            generation: Generation::default(),
            // Of a group without processes of its own nobody knows; to take it for young is to be slow to accuse it.
            started_at: started_at.unwrap_or(at).min(at),
            group: group.path.as_str().into(),
        };
        let keeps_open = self.known.len() < self.max_files;
        let watched = Watched {
            member: Arc::new(member),
            files: Files::new(directory, keeps_open),
            limit: group.limit,
            swapped_bytes: 0.0,
            next_full_at: at,
            full_readings: 0,
        };
        self.known.insert(group.path.as_str().into(), watched);
    }

    /// The target of this name, one object for all of its groups.
    fn target(&mut self, name: String) -> Arc<Target> {
        if let Some(found) = self.targets.get(name.as_str()) {
            return Arc::clone(found);
        }
        let made = Arc::new(Target { kind: Kind::Cgroup, name: name.as_str().into() });
        self.targets.insert(name.into(), Arc::clone(&made));
        made
    }

    /// Reads the groups that are wanted into the batch; says whether one of them has vanished.
    fn read_all(&mut self, request: &Request, batch: &mut Batch, is_wanted: impl Fn(&str) -> bool) -> bool {
        let Self { known, reader, areas, host, full_interval_secs, .. } = self;
        let of_host = host.as_ref().map(HostMemory::limit);
        let swap_limit = host.as_ref().and_then(HostMemory::swap_limit);
        let before = known.len();
        known.retain(|path, watched| {
            if !is_wanted(path) {
                return true;
            }
            let stat = match reader.stat(&mut watched.files) {
                Ok(Some(stat)) => stat,
                Err(error) if walk::is_gone(&error) => return false,
                // The group is there all the same, and one bad read must not cost it its past.
                failed => {
                    match failed {
                        Err(error) => walk::note(&error, &mut batch.errors),
                        Ok(_) => batch.errors.read += 1,
                    }
                    batch.push(Arc::clone(&watched.member), []);
                    return true;
                }
            };
            let identity = watched.member.identity;
            let is_full = request.at >= watched.next_full_at || request.suspects.contains(&identity);
            let full = if is_full { reader.full(&watched.files, &mut batch.errors) } else { Full::default() };
            if is_full {
                watched.note(request.at, *full_interval_secs);
            }
            let limit = [watched.limit, of_host].into_iter().flatten().reduce(Limit::nearer);
            let swap = full.swap.or(stat.swap).map(count);
            watched.swapped_bytes = swap.unwrap_or(watched.swapped_bytes);
            let anon = count(stat.anon) + watched.swapped_bytes;
            let swap = swap.map(|size| Sample { area: areas.swap.clone(), size, limit: swap_limit });
            batch.push(Arc::clone(&watched.member), areas.samples(anon, &stat, &full, limit).chain(swap));
            if !full.counts.is_empty() {
                batch.counted.push((identity, full.counts));
            }
            true
        });
        known.len() < before
    }
}

impl Watched {
    /// Settles when it is read in full again.
    fn note(&mut self, at: Seconds, full_interval_secs: f64) {
        self.full_readings = self.full_readings.saturating_add(1);
        // Spread over the interval after the first reading, so that no tick pays for all.
        let share = if self.full_readings == 1 { spread(self.member.identity.start_ticks) } else { 1.0 };
        self.next_full_at = at + full_interval_secs * share;
    }
}

impl Areas {
    fn new() -> Self {
        let bytes = |name| Area::new(name, Unit::Bytes);
        Self {
            anon: bytes("anon"),
            file: bytes("file"),
            kernel: bytes("kernel"),
            slab: bytes("slab"),
            sock: bytes("sock"),
            shmem: bytes("shmem"),
            swap: bytes("swap"),
            usage: bytes("usage"),
            peak: bytes("peak"),
        }
    }

    /// What counts against the limit on memory, as far as it was read.
    fn samples(
        &self,
        anon: f64,
        stat: &Stat,
        full: &Full,
        limit: Option<Limit>,
    ) -> impl Iterator<Item = Sample> {
        let read = [
            (&self.anon, Some(anon)),
            (&self.file, stat.file.map(count)),
            (&self.kernel, stat.kernel.or(full.kernel).map(count)),
            (&self.slab, stat.slab.map(count)),
            (&self.sock, stat.sock.or(full.sock).map(count)),
            (&self.shmem, stat.shmem.map(count)),
            (&self.usage, full.usage.map(count)),
            (&self.peak, full.peak.map(count)),
        ];
        read.into_iter()
            .filter_map(move |(area, size)| Some(Sample { area: area.clone(), size: size?, limit }))
    }
}

/// A share between 0 and 1 that spreads numbers evenly (the golden ratio's multiples).
fn spread(number: u64) -> f64 {
    (count(number % (1 << 32)) * 0.618_033_988_749_895).fract()
}

#[cfg(test)]
mod tests;
