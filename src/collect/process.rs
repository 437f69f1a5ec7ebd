//! Processes: every process of the machine, kernel threads left out, grouped into targets.
//!
//! Three depths of reading, for the price of each. At every tick only `statm`, whose file stays open (0.8 µs against
//! 5.6 µs): resident minus shared is the anonymous memory. Once a minute, and for suspects at every tick, also
//! `status` and the descriptors: the exact split, swap, the high-water mark. On first sight, and again when the
//! process turned out to be another program (it called `exec`), its name, control group and limits.
//!
//! A process that vanishes while it is read is normal. An open `statm` belongs to one process for ever: a reused pid
//! does not answer on it.

pub mod parse;
pub mod family;
pub mod naming;
pub mod script;
mod files;
mod limits;

use super::{
    CollectError, Collector, Request,
    cgroup::{hierarchy::Hierarchy, namespace::Namespace},
    count,
    kubernetes::Kubernetes,
    paths::Paths,
};
use crate::{
    config::{Config, Processes},
    sample::{
        Area, Batch, Counter, Counts, Errors, Generation, Identity, Kind, Limit, Member, Sample, Seconds,
        Target, Unit,
    },
};
use files::{Identified, Outcome, ProcessFiles, Procfs};
use limits::LimitReader;
use std::{collections::HashMap, sync::Arc};

/// The name of this collector.
pub const NAME: &str = "process";

/// How many full readings pass between two looks at what rarely changes: control group and resource limits.
const FULL_READINGS_PER_RELOCATION: u32 = 10;
/// A new process is read in full this often at first, since programs settle (exec, raised limits) as they start.
const SETTLING_READINGS: u32 = 2;

/// Samples processes.
pub struct ProcessCollector {
    settings: Processes,
    full_interval_secs: f64,
    max_processes: usize,
    procfs: Procfs,
    kubernetes: Kubernetes,
    limits: LimitReader,
    areas: Areas,
    targets: HashMap<Box<str>, Arc<Target>>,
    expected: Vec<Arc<Target>>,
    known: HashMap<u32, Entry>,
    /// How many of the known are watched: what `limits.processes` limits.
    watched_count: usize,
    tick: u64,
}

/// What we know behind a pid.
enum Entry {
    /// Nobody to watch: a kernel thread, a zombie, or left out by configuration. Looked at again in a while, since the
    /// pid may become somebody else's.
    Ignored { seen: u64, again_at: Seconds, crowded_out: bool },
    /// A process that is watched.
    Watched(Box<Watched>),
}

struct Watched {
    seen: u64,
    member: Arc<Member>,
    files: ProcessFiles,
    /// The name in `status` when the process was identified; another one means that it became another program.
    comm: String,
    /// What belongs to anonymous memory beside the resident part: what was swapped out at the last full reading.
    swapped_bytes: f64,
    /// The largest peak seen; it only falls when the process calls `exec` and gets a new address space.
    peak_bytes: u64,
    /// Tells one program of a process from the next (executable and arguments).
    program: u64,
    full_readings: u32,
    next_full_at: Seconds,
    limits: limits::ProcessLimits,
}

/// The areas of a process, made once.
struct Areas {
    anon: Area,
    rss: Area,
    rss_peak: Area,
    swap: Area,
    fds: Area,
    threads: Area,
}

impl Collector for ProcessCollector {
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
        let mut batch = Batch::new(request.at);
        batch.expected.clone_from(&self.expected);
        self.tick += 1;
        self.limits.begin(request.at, self.full_interval_secs);
        self.procfs.begin(request.at);
        let pids = self.procfs.pids()?;
        for pid in pids {
            self.visit(pid, request, &mut batch);
        }
        let tick = self.tick;
        let known_before = self.known.len();
        self.known.retain(|_, entry| entry.seen() == tick);
        self.watched_count = self.known.values().filter(|entry| matches!(entry, Entry::Watched(_))).count();
        if self.known.len() < known_before / 2 {
            self.known.shrink_to_fit();
        }
        self.procfs.set_open_files(self.known.values().filter(|entry| entry.has_open_file()).count());
        self.targets.retain(|_, target| Arc::strong_count(target) > 1);
        Ok(batch)
    }
}

impl ProcessCollector {
    /// A collector for these settings and trees.
    #[must_use]
    pub fn new(config: &Config, paths: &Paths) -> Self {
        let hierarchy = Hierarchy::detect(&paths.sysfs);
        tracing::debug!(cgroup = hierarchy.as_str(), "detected control groups");
        let settings = config.processes.clone();
        let expected = settings.expected.iter().map(|name| target(name)).collect();
        Self {
            full_interval_secs: config.sampling.full_interval.as_secs_f64(),
            max_processes: config.limits.processes,
            procfs: Procfs::new(&paths.procfs, Namespace::find(&hierarchy, &paths.procfs)),
            kubernetes: Kubernetes::of_machine(&paths.rootfs),
            limits: LimitReader::new(hierarchy, &paths.procfs),
            areas: Areas::new(),
            targets: HashMap::new(),
            expected,
            settings,
            known: HashMap::new(),
            watched_count: 0,
            tick: 0,
        }
    }

    /// Reads one pid, whoever is behind it.
    fn visit(&mut self, pid: u32, request: &Request, batch: &mut Batch) {
        let tick = self.tick;
        match self.known.remove(&pid) {
            Some(Entry::Ignored { again_at, crowded_out, .. }) if request.at < again_at => {
                batch.dropped_members += u64::from(crowded_out);
                self.known.insert(pid, Entry::Ignored { seen: tick, again_at, crowded_out });
            }
            Some(Entry::Watched(mut watched)) => match self.read(&mut watched, request, batch) {
                Next::Keep => {
                    watched.seen = tick;
                    self.known.insert(pid, Entry::Watched(watched));
                }
                Next::Identify => {
                    self.watched_count -= 1;
                    self.meet(pid, Some(&watched), request, batch);
                }
            },
            Some(Entry::Ignored { .. }) | None => self.meet(pid, None, request, batch),
        }
    }

    /// Meets a process for the first time, or again as somebody else.
    fn meet(&mut self, pid: u32, before: Option<&Watched>, request: &Request, batch: &mut Batch) {
        let again_at = request.at + self.full_interval_secs;
        let tick = self.tick;
        let ignored = |crowded_out| Entry::Ignored { seen: tick, again_at, crowded_out };
        match self.identify(pid, before, request.at, &mut batch.errors) {
            Met::Process(mut watched) => {
                if self.watched_count >= self.max_processes {
                    batch.dropped_members += 1;
                    self.known.insert(pid, ignored(true));
                } else if matches!(self.read(&mut watched, request, batch), Next::Keep) {
                    self.watched_count += 1;
                    self.known.insert(pid, Entry::Watched(watched));
                }
            }
            Met::Ignored => {
                self.known.insert(pid, ignored(false));
            }
            Met::Vanished => {}
        }
    }

    fn identify(&mut self, pid: u32, before: Option<&Watched>, at: Seconds, errors: &mut Errors) -> Met {
        let files = match self.procfs.open(pid) {
            Outcome::Data(files) => files,
            Outcome::Absent => return Met::Vanished,
            // Not ignored for a while, but tried again at the next tick.
            Outcome::Failed => {
                errors.read += 1;
                return Met::Vanished;
            }
        };
        match files.statm(&mut self.procfs) {
            Outcome::Data(statm) if statm.size > 0 => {}
            Outcome::Data(_) | Outcome::Failed => return Met::Ignored,
            Outcome::Absent => return Met::Vanished,
        }
        let Some(identified) = files.identify(&self.procfs, errors) else { return Met::Vanished };
        let limits = self.limits.locate(&identified.place, &identified.resource_limits);
        let Some((name, mut info)) = naming::name(&identified.description, &self.settings) else {
            return Met::Ignored;
        };
        self.kubernetes.name(&mut info, at);
        let target = self.target(&name);
        let member = Member {
            target,
            info,
            identity: Identity { pid, start_ticks: identified.start_ticks },
            generation: generation(&identified, pid, before),
            started_at: self.procfs.started_at(identified.start_ticks),
            group: self.limits.memory_group(&identified.place).into(),
        };
        Met::Process(Box::new(Watched {
            seen: self.tick,
            member: Arc::new(member),
            files,
            comm: identified.comm,
            swapped_bytes: 0.0,
            peak_bytes: 0,
            program: identified.program,
            full_readings: 0,
            next_full_at: at,
            limits,
        }))
    }

    /// The target of this name, one object for all of its processes.
    fn target(&mut self, name: &str) -> Arc<Target> {
        if let Some(found) = self.expected.iter().find(|target| &*target.name == name) {
            return Arc::clone(found);
        }
        if let Some(found) = self.targets.get(name) {
            return Arc::clone(found);
        }
        let made = target(name);
        self.targets.insert(name.into(), Arc::clone(&made));
        made
    }

    /// Reads a known process into the batch: briefly, or in full when that is due.
    fn read(&mut self, watched: &mut Watched, request: &Request, batch: &mut Batch) -> Next {
        let statm = match watched.files.statm(&mut self.procfs) {
            Outcome::Data(statm) if statm.size > 0 => statm,
            Outcome::Data(_) | Outcome::Absent => return Next::Identify,
            Outcome::Failed => {
                // The process is there all the same, and one bad read must not cost it its past.
                batch.errors.read += 1;
                batch.push(Arc::clone(&watched.member), []);
                return Next::Keep;
            }
        };
        let page = self.procfs.page_bytes();
        let rss = page * count(statm.resident);
        let anonymous = page * count(statm.resident.saturating_sub(statm.shared));
        let suspect = request.suspects.contains(&watched.member.identity);
        let full = if suspect || request.at >= watched.next_full_at {
            match self.read_full(watched, request.at, &mut batch.errors) {
                Some(full) => full,
                None => return Next::Identify,
            }
        } else {
            Full::default()
        };
        if let Some(cpu_secs) = full.cpu_secs {
            let mut counts = Counts::default();
            counts.set(Counter::CpuSecs, cpu_secs);
            batch.counted.push((watched.member.identity, counts));
        }
        let memory = self.limits.memory(&mut watched.limits);
        let anon = full.anonymous.unwrap_or(anonymous) + watched.swapped_bytes;
        let sample =
            |area: &Area, size: f64, limit: Option<Limit>| Sample { area: area.clone(), size, limit };
        let brief = [sample(&self.areas.anon, anon, memory), sample(&self.areas.rss, rss, memory)];
        let slow = [
            full.rss_peak.map(|size| sample(&self.areas.rss_peak, size.max(rss), memory)),
            full.swap.map(|size| sample(&self.areas.swap, size, self.limits.swap())),
            full.fds.map(|size| sample(&self.areas.fds, size, watched.limits.open_files(size))),
            full.threads.map(|size| sample(&self.areas.threads, size, self.limits.threads(&watched.limits))),
        ];
        batch.push(Arc::clone(&watched.member), brief.into_iter().chain(slow.into_iter().flatten()));
        Next::Keep
    }

    /// The exact split; none when the process vanished or became another program.
    fn read_full(&mut self, watched: &mut Watched, at: Seconds, errors: &mut Errors) -> Option<Full> {
        let status = match watched.files.status(&mut self.procfs) {
            Outcome::Data(status) => status,
            Outcome::Absent => return None,
            Outcome::Failed => {
                errors.read += 1;
                return Some(Full::default());
            }
        };
        if status.name != watched.comm || has_new_memory(watched.peak_bytes, status.peak_resident) {
            return None;
        }
        let start_ticks = watched.member.identity.start_ticks;
        let cpu_secs = watched.files.cpu_secs(&mut self.procfs, start_ticks);
        // A kept file answers for one process alone; without one its start tells whether the pid is still the same one's.
        if cpu_secs.is_none() && !watched.files.keeps_open() {
            return None;
        }
        watched.peak_bytes = watched.peak_bytes.max(status.peak_resident);
        let relocate = watched.full_readings < SETTLING_READINGS
            || watched.full_readings.is_multiple_of(FULL_READINGS_PER_RELOCATION);
        if relocate && let Some((place, limits)) = watched.files.locate(&self.procfs) {
            watched.limits = self.limits.locate(&place, &limits);
            watched.move_to(self.limits.memory_group(&place));
        }
        self.kubernetes.name_member(&mut watched.member, at);
        watched.limits.note(&status);
        watched.swapped_bytes = count(status.swapped);
        watched.full_readings = watched.full_readings.saturating_add(1);
        watched.next_full_at = match watched.full_readings {
            1..SETTLING_READINGS => at,
            // Spread over the interval by pid, so that no tick pays for all.
            SETTLING_READINGS => at + self.full_interval_secs * spread(watched.member.identity.pid),
            _ => at + self.full_interval_secs,
        };
        Some(Full {
            cpu_secs,
            anonymous: status.anonymous.map(count),
            rss_peak: Some(count(status.peak_resident)),
            swap: Some(count(status.swapped)),
            fds: watched.files.descriptors(&mut self.procfs, errors).map(count),
            threads: Some(count(status.threads)),
        })
    }
}

/// What only the full reading tells.
#[derive(Default)]
struct Full {
    cpu_secs: Option<f64>,
    anonymous: Option<f64>,
    rss_peak: Option<f64>,
    swap: Option<f64>,
    fds: Option<f64>,
    threads: Option<f64>,
}

/// What becomes of an entry after a reading.
enum Next {
    Keep,
    Identify,
}

/// Whom we met behind a pid.
enum Met {
    Process(Box<Watched>),
    Ignored,
    Vanished,
}

impl Watched {
    /// Service managers put a process into its group after they have started it.
    fn move_to(&mut self, group: &str) {
        if *self.member.group != *group {
            let Member { target, info, .. } = &*self.member;
            let moved = Member {
                target: Arc::clone(target),
                info: info.clone(),
                group: group.into(),
                ..*self.member
            };
            self.member = Arc::new(moved);
        }
    }
}

impl Entry {
    fn seen(&self) -> u64 {
        match self {
            Self::Ignored { seen, .. } => *seen,
            Self::Watched(watched) => watched.seen,
        }
    }

    fn has_open_file(&self) -> bool {
        matches!(self, Self::Watched(watched) if watched.files.keeps_open())
    }
}

impl Areas {
    fn new() -> Self {
        Self {
            anon: Area::new("anon", Unit::Bytes),
            rss: Area::new("rss", Unit::Bytes),
            rss_peak: Area::new("rss_peak", Unit::Bytes),
            swap: Area::new("swap", Unit::Bytes),
            fds: Area::new("fds", Unit::Objects),
            threads: Area::new("threads", Unit::Objects),
        }
    }
}

/// Whether a peak fell from one reading to the next, which it only does when `exec` gives the process a new address
/// space. The kernel's counters are off by some pages per processor, so a small fall is none.
fn has_new_memory(peak_before: u64, peak_now: u64) -> bool {
    peak_now < peak_before - peak_before / 8
}

/// Which program the process is: another one than before when it called `exec`. A new name alone is none, since programs
/// rename themselves.
fn generation(identified: &Identified, pid: u32, before: Option<&Watched>) -> Generation {
    let program = crc32fast::hash(identified.description.executable.as_bytes());
    let same_process = before
        .filter(|before| before.member.identity == Identity { pid, start_ticks: identified.start_ticks });
    let Some(before) = same_process else { return Generation { program, execs: 0 } };
    let is_new =
        identified.program != before.program || has_new_memory(before.peak_bytes, identified.peak_bytes);
    let known = before.member.generation;
    if is_new { Generation { program, execs: known.execs.saturating_add(1) } } else { known }
}

fn target(name: &str) -> Arc<Target> {
    Arc::new(Target { kind: Kind::Process, name: name.into() })
}

/// A share between 0 and 1 that spreads pids evenly (the golden ratio's multiples).
fn spread(pid: u32) -> f64 {
    (f64::from(pid) * 0.618_033_988_749_895).fract()
}

#[cfg(test)]
mod tests;
