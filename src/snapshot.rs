//! The immutable result of one tick. Everything that shows anything reads only this.
//!
//! All times in it are the wall clock's, in seconds since the Unix epoch.

use crate::{
    budget::Threshold,
    detect::{
        attribution,
        episode::{Episode, LeakState},
        finding::Finding,
        quantile::Quantiles,
    },
    sample::{Area, Counts, Limit, Measure, Seconds, Target, TargetInfo},
    severity::Table,
};
use std::sync::Arc;

/// The world as it was judged at one tick.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The number of the tick, from 1; 0 is the empty snapshot before the first.
    pub tick: u64,
    /// When the tick began, in wall-clock seconds since the Unix epoch.
    pub taken_at: Seconds,
    /// The targets, sorted by kind and name.
    pub targets: Vec<TargetView>,
    /// How many processes were seen.
    pub member_count: usize,
    /// How the exporter itself stands.
    pub standing: Standing,
}

/// How the exporter itself stands. What is large in it is shared between snapshots.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// When it was started, in wall-clock seconds.
    pub started_at: Seconds,
    /// The collectors that run.
    pub collectors: Vec<CollectorView>,
    /// Whether a newer configuration was refused, and the one before it is still in force.
    pub is_reload_refused: bool,
    /// The configuration in force with all its defaults, without secrets; null before the first tick.
    pub configuration: Arc<serde_json::Value>,
    /// The configured table by which findings are graded; none for the built-in one.
    pub severity: Option<Arc<Table>>,
    /// The episodes that ended since the start, the last ones, in the order of their ends.
    pub ended: Arc<Vec<EndedEpisode>>,
    /// The target that the exporter's own process belongs to, where it is watched.
    pub own_target: Option<Arc<Target>>,
}

/// A collector as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorView {
    /// Its name.
    pub name: &'static str,
    /// How it fared when it was heard of last.
    pub state: CollectorState,
    /// When its last batch came, in wall-clock seconds.
    pub delivered_at: Option<Seconds>,
    /// How long that batch took.
    pub took_secs: Option<f64>,
    /// Why it failed, while it fails.
    pub error: Option<Arc<str>>,
}

/// How a collector fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CollectorState {
    /// It was not heard of yet.
    Waiting,
    /// It delivers.
    Works,
    /// It misses its time.
    Late,
    /// It cannot deliver.
    Fails,
    /// Its thread is gone, and will be started again.
    Dead,
}

impl CollectorState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Works => "works",
            Self::Late => "late",
            Self::Fails => "fails",
            Self::Dead => "dead",
        }
    }
}

/// An episode that is over.
#[derive(Clone, Debug)]
pub struct EndedEpisode {
    /// Of which target.
    pub target: Arc<Target>,
    /// Of which area.
    pub area: Area,
    /// Of which process, of a process.
    pub pid: Option<u32>,
    /// The episode, with wall-clock times.
    pub episode: Episode,
    /// When it ended, in wall-clock seconds.
    pub ended_at: Seconds,
    /// The verdict that ended it; none when the process ended or is no longer judged.
    pub finding: Option<Finding>,
}

/// A target as it is shown.
#[derive(Debug)]
pub struct TargetView {
    /// Kind and name.
    pub target: Arc<Target>,
    /// What is known beside the name.
    pub info: TargetInfo,
    /// Whether the configuration expects it.
    pub is_expected: bool,
    /// How many processes, or control groups of this name, it has now.
    pub members: u32,
    /// How often all its processes were replaced since the exporter saw it first.
    pub restarts: u64,
    /// How many episodes were confirmed since then.
    pub episodes: u64,
    /// What the kernel, or the application itself, has counted since then.
    pub counts: Counts,
    /// When the oldest of its files was written last, of a directory that has any.
    pub oldest_file_at: Option<Seconds>,
    /// By how much its event loop is late, where it tells.
    pub event_loop_lag_secs: Option<Seconds>,
    /// How long its answers take, in seconds, where it tells.
    pub response_times: Option<Quantiles>,
    /// Its areas, sorted by name (and pid, where pids are shown). Empty when the target is gone.
    pub areas: Vec<AreaView>,
    /// The numbers that it and its areas are held against: those of the whole first, then sorted by area. Empty where the
    /// model stands alone.
    pub rules: Vec<RuleView>,
    /// What those of its processes are made of that were read for it, sorted. Empty where none was.
    pub parts: Vec<PartView>,
    /// When the oldest of these readings was, in wall-clock seconds.
    pub parts_read_at: Option<Seconds>,
}

impl TargetView {
    /// The part of its memory that grows fastest, with its growth in bytes a second; none where nothing grows.
    #[must_use]
    pub fn fastest_part(&self) -> Option<(&PartView, f64)> {
        let leaky = self.parts.iter().filter(|part| attribution::can_leak(&part.name, part.measure));
        let growing = leaky.filter_map(|part| Some((part, part.growth?)));
        growing.filter(|(_, growth)| *growth > 0.0).max_by(|(_, one), (_, other)| one.total_cmp(other))
    }
}

/// A part of what the processes of a target hold together.
#[derive(Clone, Debug)]
pub struct PartView {
    /// Its name.
    pub name: Arc<str>,
    /// What its size is a size of.
    pub measure: Measure,
    /// Bytes or descriptors.
    pub size: f64,
    /// How sure it is that this is what the name says, 0 to 1.
    pub confidence: f64,
    /// Its growth since the suspicion, in its unit a second; none while there are too few readings.
    pub growth: Option<f64>,
}

/// A number that an area of a target, all its processes together, or the target as a whole is held against.
#[derive(Clone, Debug)]
pub struct RuleView {
    /// The name of the area; none for a rule of the target as a whole.
    pub area: Option<Arc<str>>,
    /// Rule, level and number.
    pub threshold: Threshold,
    /// Whether it is breached; none for a parameter and while there is too little to go by.
    pub is_breached: Option<bool>,
}

/// An area as it is shown: of the whole target, or of one process where pids are asked for.
#[derive(Debug)]
pub struct AreaView {
    /// Name and unit.
    pub area: Area,
    /// The process, where pids are asked for.
    pub pid: Option<u32>,
    /// Its size, summed over the processes.
    pub size: f64,
    /// The nearest limit.
    pub limit: Option<Limit>,
    /// When its oldest part was read, in wall-clock seconds.
    pub sampled_at: Seconds,
    /// The verdict, where the area is judged.
    pub verdict: Option<Verdict>,
}

/// The worst verdict over the processes of a target.
#[derive(Debug)]
pub struct Verdict {
    /// The state of the worst episode.
    pub state: LeakState,
    /// The worst finding, with the growth of all leaking processes summed; none while evidence is thin.
    pub finding: Option<Finding>,
    /// The worst open episode.
    pub episode: Option<Episode>,
    /// How much all open episodes have leaked, in units.
    pub leaked: f64,
    /// Whether its growth is told of already by what is inside: of a control group and of the host, while they are under
    /// suspicion. What is explained raises no alarm of its own.
    pub explained: Option<bool>,
}
