//! The immutable result of one tick. Everything that shows anything reads only this.
//!
//! All times in it are the wall clock's, in seconds since the Unix epoch.

use crate::{
    budget::Threshold,
    detect::{
        attribution,
        episode::{Episode, LeakState},
        finding::Finding,
    },
    sample::{Area, Counts, Limit, Measure, Seconds, Target, TargetInfo},
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
    /// Its areas, sorted by name (and pid, where pids are shown). Empty when the target is gone.
    pub areas: Vec<AreaView>,
    /// The numbers that its areas are held against, sorted by area. Empty where the model stands alone.
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

/// A number that an area of a target, all its processes together, is held against.
#[derive(Clone, Debug)]
pub struct RuleView {
    /// The name of the area.
    pub area: Arc<str>,
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
