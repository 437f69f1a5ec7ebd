//! The verdict on an area: its horizons put together.
//!
//! Long horizons decide, short ones may object. A short horizon alone sees the ramp of every saw-tooth, so the two
//! shortest start with a handicap; but when a short horizon sees clearly that the growth has stopped, the longer one is
//! telling of the past. The estimates come from the longest horizon that is nearly as sure as the surest.
//!
//! It speaks once the shortest horizon has [`LEAST_BUCKETS`](super::horizon::LEAST_BUCKETS) buckets and stays silent
//! before. What it remembers between samples is only what the series already says, so the same samples give the same
//! verdict.

use super::{
    finding::{Estimate, Evidence, Finding, Pattern},
    horizon::{Horizon, Subject},
    limit, pattern, severity,
};
use crate::{
    sample::{Limit, Seconds, Unit},
    series::ladder::{Closed, LEVELS, Ladder, Window},
};

/// Log-odds that a horizon starts with, from the shortest on: a ramp of half a minute is nearly always garbage.
const HANDICAP: [f64; LEVELS] = [-5.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0];
/// What a horizon that holds the process's start loses beside: the shorter it is, the more a warm-up looks like a leak.
const YOUNG_HANDICAP: [f64; LEVELS] = [3.0, 3.0, 2.4, 1.0, 1.0, 0.5, 0.5];
/// A longer horizon may be this much less sure and still give the estimates.
const NEARLY_AS_SURE: f64 = 1.0;
/// A short horizon objects when even the upper end of its growth is below this share of the longer one's.
const STOPPED_SHARE: f64 = 0.35;
/// What one objection costs.
const OBJECTION: f64 = 3.0;
/// What it costs when the rise is no higher than a saw-tooth that a longer horizon knows.
const KNOWN_HEIGHT: f64 = 4.0;
/// Saw-teeth vary: a rise up to this multiple of their median height is one of them.
const KNOWN_SHARE: f64 = 1.3;
/// Quantiles of the normal distribution: 90 % lie within 1.645 deviations.
pub const NINETY_PERCENT: f64 = 1.645;

/// What is remembered between two verdicts on one area.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    horizons: Vec<Option<Box<Horizon>>>,
}

/// Memory that verdicts share, so that none of them allocates.
#[derive(Debug, Default)]
pub struct Scratch {
    window: Window,
    values: Vec<f64>,
}

/// What a verdict needs to know beside the series.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Bytes or objects.
    pub unit: Unit,
    /// When the process started.
    pub started_at: Seconds,
    /// The nearest limit.
    pub limit: Option<Limit>,
}

impl Judgement {
    /// Looks again at the levels that closed a bucket and gives the verdict; none while evidence is thin.
    pub fn update(
        &mut self,
        ladder: &Ladder,
        closed: Closed,
        circumstances: &Circumstances,
        scratch: &mut Scratch,
    ) -> Option<Finding> {
        let subject = Subject {
            unit: circumstances.unit,
            started_at: circumstances.started_at,
            quantum: ladder.quantum(),
        };
        for level in (0..LEVELS).filter(|level| closed.contains(*level)) {
            ladder.window(level, &mut scratch.window);
            let horizon = Horizon::of(&scratch.window, &subject, &mut scratch.values);
            while self.horizons.len() <= level {
                self.horizons.push(None);
            }
            if let Some(slot) = self.horizons.get_mut(level) {
                *slot = horizon.map(Box::new);
            }
        }
        self.conclude(ladder, circumstances)
    }

    /// The horizons that can say something, with their level.
    fn speaking(&self) -> impl DoubleEndedIterator<Item = (usize, &Horizon)> {
        self.horizons.iter().enumerate().filter_map(|(level, horizon)| Some((level, horizon.as_deref()?)))
    }

    /// The evidence of one horizon after handicap and objections.
    fn weighed(&self, level: usize, horizon: &Horizon) -> f64 {
        let own = |handicaps: [f64; LEVELS]| handicaps.get(level).copied().unwrap_or(0.0);
        let young = if horizon.sees_start { own(YOUNG_HANDICAP) } else { 0.0 };
        let objections =
            self.speaking().take_while(|(shorter, _)| *shorter < level).filter(|(_, shorter)| {
                let upper = shorter.drift.slope + NINETY_PERCENT * shorter.drift.error;
                upper < STOPPED_SHARE * horizon.drift.slope && shorter.span_secs > 4.0 * horizon.width_secs
            });
        let count = u32::try_from(objections.count()).unwrap_or(u32::MAX).min(2);
        let known = if self.is_known_height(level, horizon) { KNOWN_HEIGHT } else { 0.0 };
        horizon.log_odds + own(HANDICAP) - young - known - OBJECTION * f64::from(count)
    }

    /// Whether a longer horizon that does not grow knows saw-teeth as high as this rise: then it is one more of them.
    fn is_known_height(&self, level: usize, horizon: &Horizon) -> bool {
        self.speaking()
            .filter(|(longer, _)| *longer > level)
            .any(|(_, longer)| longer.log_odds < 0.0 && KNOWN_SHARE * longer.amplitude > horizon.shape.rise)
    }

    fn conclude(&self, ladder: &Ladder, circumstances: &Circumstances) -> Option<Finding> {
        let weighed = || self.speaking().map(|(level, horizon)| (horizon, self.weighed(level, horizon)));
        let surest = weighed().map(|(_, odds)| odds).fold(f64::NEG_INFINITY, f64::max);
        let confidence = 1.0 / (1.0 + (-surest).exp());
        let leaks = surest > 0.0;
        // Without a leak the longest horizon describes the area best; with one, the longest that is nearly as sure.
        let (horizon, _) = weighed().rev().find(|(_, odds)| !leaks || *odds >= surest - NEARLY_AS_SURE)?;
        let agreeing = weighed().filter(|(_, odds)| *odds > 0.0).count();
        let pattern = pattern::name(horizon, circumstances.limit.as_ref(), ladder.last_size());
        let growth = interval(horizon);
        let time_to_limit = circumstances
            .limit
            .as_ref()
            .filter(|_| leaks || pattern.grows())
            .and_then(|limit| limit::time_to_limit(limit.room(), horizon, pattern));
        let evidence = Evidence {
            rise: horizon.shape.rise,
            window_secs: horizon.span_secs,
            bucket_secs: horizon.width_secs,
            steps_up: horizon.shape.steps_up,
            steps: horizon.shape.steps,
            horizons: u8::try_from(agreeing).unwrap_or(u8::MAX),
            recent_pace: horizon.shape.recent_pace,
            bytes: circumstances.unit == Unit::Bytes,
        };
        let origin = self.origin(horizon, ladder);
        Some(Finding {
            growth,
            confidence,
            pattern,
            severity: severity::of(confidence, time_to_limit.as_ref(), growth.value, horizon.floor),
            time_to_limit,
            floor: horizon.floor,
            since: origin.0,
            leaked: (horizon.floor - origin.1).max(0.0),
            evidence,
        })
    }

    /// When the growth began and from which floor: the deciding horizon's word, or that of a longer one if the growth
    /// was there from its start already.
    fn origin(&self, deciding: &Horizon, ladder: &Ladder) -> (Seconds, f64) {
        let mut origin = (deciding.onset, deciding.onset_floor);
        let mut from_start = deciding.onset_bucket == 0;
        for (_, longer) in self.speaking().filter(|(_, other)| other.width_secs > deciding.width_secs) {
            let agrees = longer.material && longer.drift.slope > STOPPED_SHARE * deciding.drift.slope;
            if !from_start || !agrees {
                break;
            }
            origin = (longer.onset, longer.onset_floor);
            from_start = longer.onset_bucket == 0;
        }
        (origin.0.max(ladder.first_at()), origin.1)
    }
}

/// The growth with its 90 % interval; growth whose sign is not even certain is none.
fn interval(horizon: &Horizon) -> Estimate {
    let Horizon { drift, .. } = horizon;
    let half = NINETY_PERCENT * drift.error;
    let (lower, upper) = (drift.slope - half, drift.slope + half);
    let value = if lower <= 0.0 && upper >= 0.0 { 0.0 } else { drift.slope };
    Estimate { value, lower, upper }
}

impl Pattern {
    /// Whether an area of this pattern goes on growing.
    #[must_use]
    pub const fn grows(self) -> bool {
        matches!(
            self,
            Self::Linear | Self::Exponential | Self::Accelerating | Self::CacheBloat | Self::Fragmentation
        )
    }
}

#[cfg(test)]
mod tests;
