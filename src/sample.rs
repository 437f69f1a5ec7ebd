//! The nouns that every module shares: target, area, sample, limit, and the batch in which they travel.
//!
//! Nothing here reads the world, remembers or judges. Sizes are `f64` because an area may be any number that a user
//! names; bytes stay exact up to 2^53.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Seconds since the Unix epoch on a clock that never steps: the wall clock at start plus the monotonic time since.
pub type Seconds = f64;

/// What sort of thing owns the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A group of processes under one name.
    Process,
    /// A control group: a unit, a container, a pod.
    Cgroup,
    /// The machine.
    Host,
    /// A directory whose files are counted.
    Directory,
    /// A program that tells of itself.
    Application,
}

impl Kind {
    /// The value of the `kind` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Cgroup => "cgroup",
            Self::Host => "host",
            Self::Directory => "directory",
            Self::Application => "application",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What owns memory: it has a kind and a stable name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The sort of owner.
    pub kind: Kind,
    /// The name a person would use, such as `nginx.service` or `node server.js`.
    pub name: Box<str>,
}

/// What is known of a target beside its name: the labels of its info metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    /// The systemd unit, empty if none.
    pub unit: Box<str>,
    /// The container's id (shortened to twelve characters), empty if none.
    pub container: Box<str>,
    /// The uid of the Kubernetes pod, empty if none.
    pub pod_uid: Box<str>,
    /// The pod's namespace, empty if none or unknown.
    pub namespace: Box<str>,
    /// The pod's name, empty if none or unknown.
    pub pod: Box<str>,
    /// The name that the pod gives the container, empty if none or unknown.
    pub container_name: Box<str>,
    /// What the pod belongs to, by its name: a deployment, a set; empty if none or unknown.
    #[serde(skip)]
    pub workload: Box<str>,
    /// The runtime (`node`, `python`, `jvm`…), empty where the program is its own runtime.
    pub runtime: Box<str>,
}

/// The unit of an area's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// A count of things: descriptors, threads, entries.
    Objects,
}

/// One named population inside a target whose size over time is a signal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Area {
    /// The value of the `area` label: `anon`, `rss`, `fds`…
    pub name: Arc<str>,
    /// Bytes or objects.
    pub unit: Unit,
}

impl Area {
    /// An area by its name and unit.
    #[must_use]
    pub fn new(name: &str, unit: Unit) -> Self {
        Self { name: name.into(), unit }
    }
}

/// What makes a member of a target itself and no other: a reused pid is somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The process id; 0 for what is no process.
    pub pid: u32,
    /// Its start, in clock ticks since boot; of a control group its number, which the next one of its name has not; of an
    /// application a hash of its name and its start.
    pub start_ticks: u64,
}

impl Identity {
    /// The machine, of which there is one.
    pub const HOST: Self = Self { pid: 0, start_ticks: 0 };

    /// A control group by its number.
    #[must_use]
    pub const fn of_group(number: u64) -> Self {
        Self { pid: 0, start_ticks: number }
    }

    /// Anything else, by what no other member of its collector has, as bytes.
    #[must_use]
    pub fn hashed(bytes: impl Iterator<Item = u8>) -> Self {
        Self { pid: 0, start_ticks: bytes.fold(FNV_OFFSET, fnv1a) }
    }

    /// An application by its name and, where it tells, its start in milliseconds since the Unix epoch.
    #[must_use]
    pub fn of_application(name: &str, started_at_millis: u64) -> Self {
        Self::hashed(name.bytes().chain(started_at_millis.to_le_bytes()))
    }

    /// The process id, of a process.
    #[must_use]
    pub const fn process_id(self) -> Option<u32> {
        if self.pid == 0 { None } else { Some(self.pid) }
    }
}

/// What FNV-1a with 64 bits (Fowler, Noll, Vo) begins with. Unlike the standard library's hash it never changes.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv1a(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

/// Which program a process is by now. A process that calls `exec` keeps its identity and loses its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// A number that differs between executables, the same in every run of the exporter.
    pub program: u32,
    /// How often the process called `exec` while it was watched.
    pub execs: u32,
}

/// One process of a target, one control group, one directory, one program that tells of itself, or the machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Member {
    /// The target it belongs to.
    pub target: Arc<Target>,
    /// What is known beside the name.
    pub info: TargetInfo,
    /// Who it is.
    pub identity: Identity,
    /// Which program it is by now.
    pub generation: Generation,
    /// When it started.
    pub started_at: Seconds,
    /// The path of the control group that its memory is accounted to, from the root of their tree: of a group its own.
    /// Empty for the machine, and where there are no groups.
    pub group: Box<str>,
}

impl Member {
    /// The same one, of which something else is known beside its name.
    #[must_use]
    pub fn with_info(&self, info: TargetInfo) -> Self {
        Self { target: Arc::clone(&self.target), info, group: self.group.clone(), ..*self }
    }
}

/// What the kernel, or the application itself, counts since the member is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counter {
    /// Processes that were killed for want of memory.
    OomKills,
    /// Times that the limit was reached and nothing could be reclaimed.
    OutOfMemory,
    /// Times that the limit was reached.
    LimitHits,
    /// Times that it was slowed down for going over its soft limit.
    Throttles,
    /// Seconds in which some of its tasks waited for memory.
    StallSecs,
    /// Seconds in which all of its tasks did.
    FullStallSecs,
    /// Collections of garbage of the young generation.
    YoungCollections,
    /// Collections of the old generation, or of all.
    OldCollections,
    /// Collections of which nothing else is told.
    Collections,
    /// Seconds spent collecting, as the runtime counts them.
    CollectionSecs,
    /// Seconds of processor time.
    CpuSecs,
    /// Requests answered.
    Requests,
    /// Seconds that answering them took.
    ResponseSecs,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::OomKills,
        Self::OutOfMemory,
        Self::LimitHits,
        Self::Throttles,
        Self::StallSecs,
        Self::FullStallSecs,
        Self::YoungCollections,
        Self::OldCollections,
        Self::Collections,
        Self::CollectionSecs,
        Self::CpuSecs,
        Self::Requests,
        Self::ResponseSecs,
    ];
}

/// A value of each [`Counter`], where it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts([Option<f64>; Counter::ALL.len()]);

impl Counts {
    /// The value of one.
    #[must_use]
    pub fn get(&self, counter: Counter) -> Option<f64> {
        self.0.get(counter as usize).copied().flatten()
    }

    /// Sets the value of one.
    pub fn set(&mut self, counter: Counter, value: f64) {
        if let Some(slot) = self.0.get_mut(counter as usize) {
            *slot = Some(value);
        }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether anything was counted at all.
    #[must_use]
    pub fn has_counted(&self) -> bool {
        self.0.iter().flatten().any(|value| *value > 0.0)
    }

    /// Adds what a member's counts have risen by; a counter that appears begins at 0, and one that fell began anew.
    pub fn add_rise(&mut self, before: &Self, now: &Self) {
        for ((sum, before), now) in self.0.iter_mut().zip(before.0).zip(now.0) {
            let Some(now) = now else { continue };
            let rise = before.map_or(0.0, |before| if now >= before { now - before } else { now });
            *sum = Some(sum.unwrap_or(0.0) + rise);
        }
    }

    /// The same, and what is missing from others.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        let mut filled = *self;
        for (slot, other) in filled.0.iter_mut().zip(others.0) {
            *slot = slot.or(other);
        }
        filled
    }

    /// The same counters, all at 0: of a member that has just begun.
    #[must_use]
    pub fn at_zero(&self) -> Self {
        Self(self.0.map(|value| value.map(|_| 0.0)))
    }

    /// Whether these are numbers that can have been counted.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.0.iter().flatten().all(|value| (0.0..=9e15).contains(value))
    }
}

/// Which rule sets a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitSource {
    /// The nearest of the control group's ancestors.
    Cgroup,
    /// The process's own resource limit.
    Rlimit,
    /// The machine's memory.
    Host,
    /// The runtime's own, such as the largest heap, or the program's.
    Runtime,
    /// The configuration.
    Configured,
    /// The file system that the files lie on.
    FileSystem,
}

impl LimitSource {
    /// Whether a limit of this source is each member's own, and never shared by two of them.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Rlimit | Self::Runtime | Self::Configured)
    }
}

/// A limit and how much of it is taken by everything that counts against it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The limit, in the area's unit.
    pub value: f64,
    /// What counts against it now, others' use included; at least the area's own size.
    pub used: f64,
    /// Who sets it.
    pub source: LimitSource,
}

impl Limit {
    /// What is left until the limit, never negative.
    #[must_use]
    pub fn room(&self) -> f64 {
        (self.value - self.used).max(0.0)
    }

    /// The one of two limits that is reached first: the one with less room.
    #[must_use]
    pub fn nearer(self, other: Self) -> Self {
        if other.room() < self.room() { other } else { self }
    }
}

/// An area's size at the batch's time.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The area.
    pub area: Area,
    /// Its size, in the area's unit.
    pub size: f64,
    /// The nearest limit, where one is known.
    pub limit: Option<Limit>,
}

/// What the size of a part is a size of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Resident and swapped-out memory of the process, in bytes. The parts of a process add up to all of it.
    Memory,
    /// Open descriptors. The parts of a process add up to all of them.
    Descriptors,
    /// What waits in the kernel's buffers of its sockets, in bytes; no part of the process's own memory.
    SocketBuffers,
}

/// A part of what a process holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The value of the `part` label: `heap`, `module:libx.so`, `socket_postgres`…
    pub name: Arc<str>,
    /// What its size is a size of.
    pub measure: Measure,
    /// Bytes or descriptors.
    pub size: f64,
    /// How sure it is that this is what the name says, 0 to 1.
    pub confidence: f64,
}

/// What a process was made of at the batch's time.
#[derive(Clone, Debug)]
pub struct Anatomy {
    /// Which process.
    pub identity: Identity,
    /// Whether its memory was looked at in full; else only the kernel's own sums are known, and most is `unknown`.
    pub is_full: bool,
    /// Its parts, no two of one name and measure.
    pub parts: Vec<Part>,
}

/// What a histogram has counted up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The bound, which belongs to it.
    pub upper_bound: f64,
    /// How many values are not above it.
    pub count: f64,
}

/// The buckets of a histogram by their bounds, the last of them without one.
pub type Buckets = Arc<[Bucket]>;

/// What a collector that has no targets of its own tells of a process that another one watches.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Which process.
    pub identity: Identity,
    /// Its areas of which the other collector knows nothing.
    pub samples: Vec<Sample>,
    /// What is counted there.
    pub counts: Counts,
}

/// What a limit on attribution left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Processes that have waited for a whole interval beyond their turn, or whose reading ran out of time.
    pub turns: u64,
    /// Processes that are too large to be read in full.
    pub large: u64,
    /// Descriptors that were not looked at.
    pub descriptors: u64,
}

/// Everything that one collector saw at one moment.
///
/// Members and samples lie in two flat lists, so that ten thousand processes cost two allocations and not ten
/// thousand.
#[derive(Debug, Default)]
pub struct Batch {
    /// When the reading began.
    pub at: Seconds,
    readings: Vec<(Arc<Member>, u32)>,
    samples: Vec<Sample>,
    /// What is counted, of the members of which it was read this time.
    pub counted: Vec<(Identity, Counts)>,
    /// When the oldest file of a directory was written last, in wall-clock time, or that it has none; of the directories
    /// of which it was read this time.
    pub oldest_files: Vec<(Identity, Option<Seconds>)>,
    /// By how much the event loop is late, in seconds, of the members that tell.
    pub event_loop_lags: Vec<(Identity, Seconds)>,
    /// How long the members that tell have taken for their answers, in seconds.
    pub response_times: Vec<(Identity, Buckets)>,
    /// Members that are here and told nothing of themselves this time though they were asked: what they counted, and how late
    /// their event loop is, is old.
    pub untold: Vec<Identity>,
    /// Targets that did not answer this time: their members are not here and are not gone.
    pub silent: Vec<Arc<Target>>,
    /// Targets that the configuration expects, whether they run or not.
    pub expected: Vec<Arc<Target>>,
    /// Areas that their members no longer have.
    pub ended: Vec<(Identity, Area)>,
    /// Whether it may lack members that are there all the same: those whom an earlier run knew and who were not heard yet.
    pub may_lack_members: bool,
    /// What could not be read, by reason.
    pub errors: Errors,
    /// How it went with each configured source that was read this time.
    pub sources: Vec<SourceOutcome>,
    /// Members left out because of a limit.
    pub dropped_members: u64,
    /// What processes are made of, of those whose turn it was.
    pub anatomies: Vec<Anatomy>,
    /// What of that a limit left out.
    pub unread: Unread,
    /// What is told of processes that another collector watches.
    pub beside: Vec<Beside>,
}

/// How the reading of one configured source went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceOutcome {
    /// Its name: that of the application, or `application/area`.
    pub name: Arc<str>,
    /// Why it failed, to follow the name.
    pub failure: Option<String>,
}

/// How many reads failed, by reason. A process that vanished while it was being read is no error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Reads that the kernel refused.
    pub permission: u64,
    /// Reads that failed otherwise or gave what cannot be understood.
    pub read: u64,
}

impl Batch {
    /// An empty batch for the moment `at`.
    #[must_use]
    pub fn new(at: Seconds) -> Self {
        Self { at, ..Self::default() }
    }

    /// Adds what was read of one member. A member without a sample is still present.
    pub fn push(&mut self, member: Arc<Member>, samples: impl IntoIterator<Item = Sample>) {
        let before = self.samples.len();
        self.samples.extend(samples);
        let added = u32::try_from(self.samples.len() - before).unwrap_or(u32::MAX);
        self.readings.push((member, added));
    }

    /// How many members were seen.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.readings.len()
    }

    /// Each member with its samples.
    pub fn readings(&self) -> impl Iterator<Item = (&Arc<Member>, &[Sample])> {
        let mut rest = self.samples.as_slice();
        self.readings.iter().map(move |(member, count)| {
            let (own, others) = rest.split_at_checked(*count as usize).unwrap_or((rest, &[]));
            rest = others;
            (member, own)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pid: u32) -> Arc<Member> {
        Arc::new(Member {
            target: Arc::new(Target { kind: Kind::Process, name: "a".into() }),
            info: TargetInfo::default(),
            identity: Identity { pid, start_ticks: 1 },
            generation: Generation::default(),
            started_at: 0.0,
            group: "".into(),
        })
    }

    fn sample(size: f64) -> Sample {
        Sample { area: Area::new("anon", Unit::Bytes), size, limit: None }
    }

    #[test]
    fn a_batch_gives_each_member_its_own_samples() {
        let mut batch = Batch::new(1.0);
        batch.push(member(1), [sample(1.0), sample(2.0)]);
        batch.push(member(2), []);
        batch.push(member(3), [sample(3.0)]);
        let seen: Vec<(u32, Vec<f64>)> = batch
            .readings()
            .map(|(member, samples)| (member.identity.pid, samples.iter().map(|s| s.size).collect()))
            .collect();
        assert_eq!(seen, [(1, vec![1.0, 2.0]), (2, vec![]), (3, vec![3.0])]);
    }

    #[test]
    fn counters_begin_at_zero_rise_and_survive_a_successor() {
        let with = |kills: f64| {
            let mut counts = Counts::default();
            counts.set(Counter::OomKills, kills);
            counts
        };
        let mut sum = Counts::default();
        assert!(sum.is_empty() && sum.get(Counter::OomKills).is_none());
        sum.add_rise(&Counts::default(), &with(5.0));
        assert_eq!(sum.get(Counter::OomKills), Some(0.0), "what was before is nobody's");
        sum.add_rise(&with(5.0), &with(7.0));
        sum.add_rise(&with(7.0), &with(1.0));
        assert_eq!(sum.get(Counter::OomKills), Some(3.0));
        sum.add_rise(&with(4.0).at_zero(), &with(4.0));
        assert_eq!((sum.get(Counter::OomKills), sum.get(Counter::Throttles)), (Some(7.0), None));
    }

    #[test]
    fn the_nearer_limit_is_the_one_with_less_room() {
        let cgroup = Limit { value: 100.0, used: 90.0, source: LimitSource::Cgroup };
        let rlimit = Limit { value: 80.0, used: 20.0, source: LimitSource::Rlimit };
        assert_eq!(rlimit.nearer(cgroup).source, LimitSource::Cgroup);
        assert_eq!(
            Limit { value: 1.0, used: 2.0, source: LimitSource::Host }.room().to_bits(),
            0f64.to_bits()
        );
    }
}
