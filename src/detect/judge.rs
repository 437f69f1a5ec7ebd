//! One area's judge: what it remembers of the area, what it thinks now, and what people are told.
//!
//! The one entry to the rooms `series` and `detect`: the exporter, `analyze` and the benchmarks all push samples into
//! this and read the same finding and the same state from it.

use super::{
    episode::{Episode, EpisodeTracker, LeakState, Tempo, Transition},
    finding::{Estimate, Finding},
    judgement::{Circumstances, Judgement, Scratch},
    severity,
};
use crate::{
    sample::{Identity, Seconds},
    series::{
        ladder::{Closed, LEVELS, Ladder},
        life::PastLife,
    },
    severity::Table,
};
use serde::{Deserialize, Serialize};

/// There is a new look when a bucket of this level closes, or of a coarser one: every 36 s at most. Floors of the finest
/// level tell little more from one to the next, and each look costs.
pub const LOOK_LEVEL: usize = 1;
/// Below this confidence nobody waits for the next look,
const UNSUSPICIOUS_BELOW: f64 = 0.1;
/// nor at a confirmed leak of this confidence
const SETTLED_FROM: f64 = 0.95;
/// that is further from its limit than this, in seconds. Then there is a look a third as often.
const FAR_SECS: f64 = 4.0 * 3600.0;

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
        if !closed.any_from(self.look_level()) {
            return Step::default();
        }
        let previous = self.finding.take();
        self.finding = self.judgement.update(&self.ladder, closed, circumstances, previous.as_ref(), scratch);
        self.grade(&scratch.severity);
        let transition =
            self.tracker.step(self.finding.as_ref(), owner, at, self.tempo(circumstances.started_at));
        Step { looked: true, transition }
    }

    /// The level of which a bucket must close for a new look.
    fn look_level(&self) -> usize {
        let attentive = self.ladder.finest().max(LOOK_LEVEL);
        let can_wait = self.finding.as_ref().is_some_and(|finding| self.can_wait(finding));
        (attentive + usize::from(can_wait)).min(LEVELS - 1)
    }

    /// Whether nothing hangs on the next look being soon.
    fn can_wait(&self, finding: &Finding) -> bool {
        match self.state() {
            LeakState::None => finding.confidence < UNSUSPICIOUS_BELOW,
            LeakState::Suspected => false,
            LeakState::Confirmed => {
                let is_near = |time: &Estimate| time.lower < FAR_SECS;
                finding.confidence >= SETTLED_FROM && !finding.time_to_limit.as_ref().is_some_and(is_near)
            }
        }
    }

    /// What is remembered of the area.
    #[must_use]
    pub const fn ladder(&self) -> &Ladder {
        &self.ladder
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
        Tempo::of((self.ladder.last_at() - started_at) / pace, self.ladder.finest() == 0, pace)
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
        self.tracker.step(Some(&finding), owner, at, Tempo::AT_ONCE);
        self.finding = Some(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Limit, LimitSource, Unit};

    const INTERVAL_SECS: f64 = 3.0;

    /// The longest time between two looks in the last two hours, in samples.
    fn between_looks(hours: f64, limit: f64, size: impl Fn(f64) -> f64) -> usize {
        let (mut judge, mut scratch) = (Judge::new(INTERVAL_SECS), Scratch::default());
        let owner = Owner { identity: Identity { pid: 1, start_ticks: 1 }, area: "anon" };
        let (mut since, mut longest) = (0, 0);
        let mut at = 0.0;
        while at < hours * 3600.0 {
            let limit = Limit { value: limit, used: size(at), source: LimitSource::Cgroup };
            let circumstances = Circumstances { unit: Unit::Bytes, started_at: -1e6, limit: Some(limit) };
            since += 1;
            if judge.take_in(at, size(at), &circumstances, owner, &mut scratch).looked {
                longest = if at > (hours - 2.0) * 3600.0 { longest.max(since) } else { 0 };
                since = 0;
            }
            at += INTERVAL_SECS;
        }
        longest
    }

    #[test]
    fn what_nobody_suspects_and_what_is_settled_is_looked_at_less_often() {
        let leak = |at: f64| 2e8 + 3e5 * at;
        assert_eq!(between_looks(6.0, 1e12, |_| 2e8), 36, "nothing moves");
        assert_eq!(between_looks(10.0, 1e13, leak), 36, "confirmed, with a year left");
        assert_eq!(between_looks(6.0, 8e9, leak), 12, "confirmed, with an hour or two left");
    }
}
