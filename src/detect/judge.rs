//! One area's judge: what it remembers of the area, what it thinks now, and what people are told.
//!
//! The one entry to the rooms `series` and `detect`: the exporter, `analyze` and the benchmarks all push samples into
//! this and read the same finding and the same state from it.

use super::{
    episode::{Episode, EpisodeTracker, LeakState, Tempo, Transition},
    finding::Finding,
    judgement::{Circumstances, Judgement, Scratch},
    severity,
};
use crate::{
    sample::{Identity, Seconds},
    series::{
        ladder::{Closed, Ladder},
        life::PastLife,
    },
    severity::Table,
};
use serde::{Deserialize, Serialize};

/// There is a new look when a bucket of this level closes, or of a coarser one: every 36 s at most. Floors of the finest
/// level tell little more from one to the next, and each look costs.
const LOOK_LEVEL: usize = 1;

/// The memory and the opinion of one area.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judge {
    ladder: Ladder,
    judgement: Judgement,
    tracker: EpisodeTracker,
    finding: Option<Finding>,
}

/// What one sample led to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Whether there was a new look at the area; [`Judge::finding`] is its result.
    pub looked: bool,
    /// The change of state that people are told of.
    pub transition: Option<Transition>,
}

/// Whose area it is, for the id of an episode.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The process, the group or the container.
    pub identity: Identity,
    /// The name of the area.
    pub area: &'a str,
}

impl Judge {
    /// A judge that knows nothing yet, of samples that come every `interval_secs` seconds.
    #[must_use]
    pub fn new(interval_secs: f64) -> Self {
        Self {
            ladder: Ladder::new(interval_secs),
            judgement: Judgement::default(),
            tracker: EpisodeTracker::default(),
            finding: None,
        }
    }

    /// A judge of the next life of the same target, which remembers how the last one went.
    #[must_use]
    pub fn after(past: PastLife, interval_secs: f64) -> Self {
        Self { judgement: Judgement::after(past), ..Self::new(interval_secs) }
    }

    /// What the next life's judge should know of this one, which ends now.
    #[must_use]
    pub fn end(&self, started_at: Seconds, scratch: &mut Scratch) -> PastLife {
        self.judgement.end(&self.ladder, started_at, scratch)
    }

    /// Takes in the size (bytes or objects) at a time.
    #[expect(
        clippy::too_many_arguments,
        reason = "a sample, what is around it, and the memory that verdicts share"
    )]
    pub fn take_in(
        &mut self,
        at: Seconds,
        size: f64,
        circumstances: &Circumstances,
        owner: Owner<'_>,
        scratch: &mut Scratch,
    ) -> Step {
        let closed = self.ladder.push(at, size);
        if !closed.any_from(LOOK_LEVEL) {
            return Step::default();
        }
        let previous = self.finding.take();
        self.finding = self.judgement.update(&self.ladder, closed, circumstances, previous.as_ref(), scratch);
        self.grade(&scratch.severity);
        let transition =
            self.tracker.step(self.finding.as_ref(), owner, at, self.tempo(circumstances.started_at));
        Step { looked: true, transition }
    }

    /// Whether this can be what a judge knew at `latest`, as far as its numbers are computed with: what was read from a
    /// file may be anything. Samples from the future would keep out all those of the present.
    #[must_use]
    pub fn is_sound(&self, latest: Seconds) -> bool {
        self.ladder.is_sound() && self.ladder.last_at() <= latest
    }

    /// Measures all horizons anew, for a [model](super::model) with another table than the one that they were measured
    /// for.
    pub fn measure_anew(&mut self, circumstances: &Circumstances, scratch: &mut Scratch) {
        self.judgement.measure(&self.ladder, Closed::ALL, circumstances, scratch);
    }

    /// Grades the last verdict by a table; each new one is graded by that of its `scratch`.
    pub fn grade(&mut self, table: &Table) {
        if let Some(finding) = &mut self.finding {
            finding.severity = severity::of(finding, table);
        }
    }

    /// The verdict of the last look; none while there is too little evidence.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// How soon people are told now of a change of mind, of a process that started then.
    #[must_use]
    pub fn tempo(&self, started_at: Seconds) -> Tempo {
        let pace = self.ladder.pace();
        Tempo::of((self.ladder.last_at() - started_at) / pace, pace)
    }

    /// Bytes that this judge takes, on the heap and in itself.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>() - size_of::<Ladder>() + self.ladder.state_bytes() + self.judgement.heap_bytes()
    }

    /// What people are told.
    #[must_use]
    pub fn state(&self) -> LeakState {
        self.tracker.state()
    }

    /// The open episode.
    #[must_use]
    pub fn episode(&self) -> Option<&Episode> {
        self.tracker.episode()
    }
}

#[cfg(test)]
impl Judge {
    /// Forgets what was measured and keeps what it was measured from.
    pub(crate) fn forget_measures(&mut self) {
        self.judgement.forget_measures();
    }

    /// Takes a verdict from outside for one of its own, and for one that has lasted.
    pub(crate) fn believe(&mut self, finding: Finding, owner: Owner<'_>, at: Seconds) {
        self.tracker.step(Some(&finding), owner, at, Tempo { patience_secs: 0.0, haste: 1.0 });
        self.finding = Some(finding);
    }
}
