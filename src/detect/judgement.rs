//! The verdict on an area: its horizons and circumstances, weighed together.
//!
//! Each horizon that closed a bucket is measured anew; the measures become [features](super::features) that are
//! remembered as bytes, and the [model](super::model) turns all of them into log-odds for a leak. The estimates come
//! from the longest horizon in which the growth was even from its start to its end: the longer, the more exact, as long
//! as it does not look back to before the leak.
//!
//! It speaks once one horizon has [`LEAST_BUCKETS`](super::horizon::LEAST_BUCKETS) buckets and stays silent before.

use super::{
    daily::{self, Daily},
    features::{ALL_FEATURES, Context},
    finding::{Estimate, Evidence, Finding, LastLives, Pattern, Severity},
    horizon::{FEATURES, Horizon, Matters, Measuring, Subject, narrow},
    limit,
    model::{Answered, Binned},
    pattern::{self, Surroundings},
    severity,
};
use crate::{
    sample::{Limit, Seconds, Unit},
    series::{
        ladder::{Closed, LEVELS, Ladder, Window, width_secs},
        life::{Life, PastLife},
    },
    severity::Table,
};
use serde::{Deserialize, Serialize};

/// Quantiles of the normal distribution: 90 % lie within 1.645 deviations.
pub const NINETY_PERCENT: f64 = 1.645;
/// The error of a slope within its window is smaller than that over time, since loads change: measured on seeds 201
/// to 212 of the generator, where it makes nine in ten intervals hold.
const WIDENED: f64 = 1.7;
/// From these odds on it is spoken of a leak when the estimates are chosen.
const EVEN_ODDS: f64 = 0.5;
/// A horizon agrees that there is growth from this many standard errors on.
const AGREES_FROM: f64 = 3.0;
/// A longer horizon shows the same growth if it has at least this share of its pace.
const AGREEING_PACE: f64 = 0.2;
/// Of a last life that rose by less than this share of its size, and did not level off, there is nothing to tell.
const TOLD_SHARE: f32 = 0.01;

/// What is remembered between two verdicts on one area.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Judgement {
    binned: Binned,
    life: Life,
    past: Option<Box<PastLife>>,
    /// In units a second; none while a horizon is silent.
    slopes: [Option<f32>; LEVELS],
    strengths: [f32; LEVELS],
    /// Bit `n`: the growth in horizon `n` is even.
    even: u8,
    /// Bit `n`: the growth has just begun in horizon `n`, and the longer ones show next to nothing of it.
    #[serde(skip)]
    just_begun: u8,
    /// The horizon that the estimates came from.
    decider: u8,
    /// What the model says of the features as they are; asked again only when one of them has become another byte.
    #[serde(skip)]
    confidence: Option<f64>,
}

/// What verdicts share: memory, so that none of them allocates, and the table by which they are graded.
#[derive(Debug)]
pub struct Scratch {
    /// By which rows findings are graded; the built-in table unless another is put here.
    pub severity: Table,
    window: Window,
    measuring: Measuring,
    answered: Answered,
    /// The horizons that closed a bucket at this look.
    fresh: [Option<Horizon>; LEVELS],
    row: [f32; ALL_FEATURES],
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            severity: severity::built_in(),
            window: Window::default(),
            measuring: Measuring::default(),
            answered: Answered::default(),
            fresh: [None; LEVELS],
            row: [f32::NAN; ALL_FEATURES],
        }
    }
}

impl Scratch {
    /// The features of all looks so far, before they became bytes; of one area if this served only one.
    #[must_use]
    pub fn row(&self) -> &[f32] {
        &self.row
    }
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
    /// One that remembers the life before.
    #[must_use]
    pub fn after(past: PastLife) -> Self {
        Self { past: Some(Box::new(past)), ..Self::default() }
    }

    /// What is remembered of this life, which ends now.
    #[must_use]
    pub fn end(&self, ladder: &Ladder, started_at: Seconds, scratch: &mut Scratch) -> PastLife {
        let age_secs = (ladder.last_at() - started_at) / ladder.pace();
        let mut past = self.life.end(age_secs, self.past.as_deref());
        let longest = (0..LEVELS).rev().find(|level| self.speaks(*level));
        let subject = Subject { unit: Unit::Bytes, started_at, quantum: ladder.quantum() };
        if let Some(horizon) = longest.and_then(|level| look(ladder, level, &subject, scratch)) {
            let features = horizon.features(subject.quantum);
            let named = |name: &str| {
                super::horizon::NAMES
                    .iter()
                    .position(|known| *known == name)
                    .and_then(|at| features.get(at).copied())
            };
            past.strength = named("strength").unwrap_or(f32::NAN);
            past.recent_pace = named("recent_pace").unwrap_or(f32::NAN);
            past.saturation_gain = named("saturation_gain").unwrap_or(f32::NAN);
        }
        past
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.past.as_ref().map_or(0, |past| size_of_val(&**past))
    }

    /// Looks again at the levels that closed a bucket and gives the verdict; none while evidence is thin. `previous` is
    /// the verdict before.
    #[expect(
        clippy::too_many_arguments,
        reason = "the series, what is around it, and the memory that verdicts share"
    )]
    pub fn update(
        &mut self,
        ladder: &Ladder,
        closed: Closed,
        circumstances: &Circumstances,
        previous: Option<&Finding>,
        scratch: &mut Scratch,
    ) -> Option<Finding> {
        self.measure(ladder, closed, circumstances, scratch);
        if !(0..LEVELS).any(|level| self.speaks(level)) {
            return None;
        }
        let (binned, answered) = (&self.binned, &mut scratch.answered);
        let confidence =
            *self.confidence.get_or_insert_with(|| 1.0 / (1.0 + (-binned.log_odds(answered)).exp()));
        let level = self.choose(confidence)?;
        let is_new = usize::from(self.decider) != level;
        self.decider = u8::try_from(level).unwrap_or(0);
        let seen = scratch.fresh.get(level).copied().flatten();
        // The estimates stand until their horizon has something new to say.
        if let (None, Some(previous), false) = (&seen, previous, is_new) {
            return Some(previous.with_confidence(confidence));
        }
        let subject = subject(ladder, circumstances);
        let horizon = seen.or_else(|| look(ladder, level, &subject, scratch))?;
        let deciding = Deciding { level, horizon, confidence };
        Some(self.conclude(ladder, circumstances, &deciding, scratch))
    }

    /// Measures what is new and keeps it as bytes.
    pub fn measure(
        &mut self,
        ladder: &Ladder,
        closed: Closed,
        circumstances: &Circumstances,
        scratch: &mut Scratch,
    ) {
        scratch.fresh = [None; LEVELS];
        let subject = subject(ladder, circumstances);
        let age_secs = (ladder.last_at() - circumstances.started_at) / ladder.pace();
        if let Some(floor) = ladder.newest_floor() {
            self.life.note(age_secs, floor, width_secs(ladder.finest()));
        }
        for level in (0..LEVELS).filter(|level| closed.contains(*level)) {
            let horizon = look(ladder, level, &subject, scratch);
            self.remember(level, horizon.as_ref(), subject.quantum, scratch);
            if let Some(fresh) = scratch.fresh.get_mut(level) {
                *fresh = horizon;
            }
        }
        let context = Context {
            age_secs,
            quantum: subject.quantum,
            finest: ladder.finest(),
            life: &self.life,
            past: self.past.as_deref(),
            slopes: &self.slopes,
        };
        let features = context.features();
        self.put(LEVELS * FEATURES, &features, scratch);
    }

    fn remember(&mut self, level: usize, horizon: Option<&Horizon>, quantum: f64, scratch: &mut Scratch) {
        let features = horizon.map_or([f32::NAN; FEATURES], |horizon| horizon.features(quantum));
        self.put(level * FEATURES, &features, scratch);
        if let Some(slope) = self.slopes.get_mut(level) {
            *slope = horizon.map(|horizon| narrow(horizon.drift.slope));
        }
        if let Some(strength) = self.strengths.get_mut(level) {
            *strength = horizon.map_or(0.0, |horizon| narrow(horizon.drift.strength));
        }
        let bit = 1u8 << level;
        let put = |bits: u8, is_set: bool| if is_set { bits | bit } else { bits & !bit };
        self.even = put(
            self.even,
            horizon.is_some_and(|horizon| horizon.matters == Matters::Throughout && horizon.is_even()),
        );
        let coarser = self.slopes.iter().skip(level + 1).flatten().map(|slope| f64::from(*slope));
        self.just_begun =
            put(self.just_begun, horizon.is_some_and(|horizon| horizon.has_just_begun(coarser)));
    }

    fn put(&mut self, first: usize, features: &[f32], scratch: &mut Scratch) {
        if self.binned.put(first, features) {
            self.confidence = None;
        }
        for (kept, feature) in scratch.row.iter_mut().skip(first).zip(features) {
            *kept = *feature;
        }
    }

    fn speaks(&self, level: usize) -> bool {
        self.slopes.get(level).is_some_and(Option::is_some)
    }

    /// The horizon to take the estimates from: the longest with even growth, or the clearest, unless growth has just
    /// begun in a shorter one; the longest of all where there is no leak to describe.
    fn choose(&self, confidence: f64) -> Option<usize> {
        let mut speaking = (0..LEVELS).rev().filter(|level| self.speaks(*level));
        if confidence < EVEN_ODDS {
            return speaking.next();
        }
        if let Some(even) = speaking.clone().find(|level| self.even >> level & 1 == 1) {
            return Some(even);
        }
        let strength = |level: &usize| self.strengths.get(*level).copied().unwrap_or(0.0);
        let clearest = speaking.max_by(|one, other| strength(one).total_cmp(&strength(other)))?;
        Some((0..clearest).find(|level| self.just_begun >> level & 1 == 1).unwrap_or(clearest))
    }

    /// The growth beneath a daily load, where there is one that accounts for what the deciding horizon shows.
    fn beneath_load(deciding: &Deciding, ladder: &Ladder, scratch: &mut Scratch) -> Option<Daily> {
        ladder.window(daily::LEVEL, &mut scratch.window);
        let daily = Daily::of(&scratch.window, ladder.quantum())?;
        let (slope, _) = deciding.horizon.pace();
        daily.accounts_for(slope).then_some(daily)
    }

    fn conclude(
        &self,
        ladder: &Ladder,
        circumstances: &Circumstances,
        deciding: &Deciding,
        scratch: &mut Scratch,
    ) -> Finding {
        let Deciding { level, horizon, confidence } = deciding;
        let leaks = *confidence >= EVEN_ODDS;
        let around = Surroundings {
            binned: &self.binned,
            leaks,
            limit: circumstances.limit.as_ref(),
            size: ladder.last_size(),
        };
        let pattern = pattern::name(horizon, &around);
        let daily = if leaks { Self::beneath_load(deciding, ladder, scratch) } else { None };
        let growth = daily.map_or_else(|| interval(horizon, leaks), |daily| interval_of(&daily));
        let time_to_limit =
            circumstances.limit.as_ref().filter(|_| leaks || pattern.grows()).and_then(|limit| {
                let room = limit.room() + (ladder.last_size() - horizon.floor).max(0.0);
                match &daily {
                    Some(daily) => limit::time_beneath_load(room, horizon.amplitude, daily, ladder.last_at()),
                    None => limit::time_to_limit(room, horizon),
                }
            });
        let agreeing = self.strengths.iter().filter(|strength| f64::from(**strength) > AGREES_FROM).count();
        let evidence = Evidence {
            rise: horizon.rise,
            window_secs: horizon.span_secs,
            bucket_secs: horizon.width_secs,
            steps_up: horizon.shape.steps_up,
            steps: horizon.shape.steps,
            horizons: u8::try_from(agreeing).unwrap_or(u8::MAX),
            recent_pace: horizon.shape.recent_pace,
            bytes: circumstances.unit == Unit::Bytes,
            daily_load: daily.is_some(),
            last_lives: self.past.as_deref().and_then(|past| last_lives(past, ladder.pace())),
        };
        let (since, leaked) = match &daily {
            Some(daily) => (daily.onset, daily.slope * (ladder.last_at() - daily.onset)),
            None if leaks => origin(*level, horizon, ladder, &subject(ladder, circumstances), scratch),
            None => (horizon.onset, horizon.floor - horizon.onset_floor),
        };
        Finding {
            growth,
            confidence: *confidence,
            pattern,
            // The judge grades it, this one and those that stand on its estimates.
            severity: Severity::None,
            time_to_limit,
            floor: horizon.floor,
            since: since.max(ladder.first_at()),
            leaked: leaked.max(0.0),
            evidence,
        }
    }
}

/// The horizon that the estimates come from.
struct Deciding {
    level: usize,
    horizon: Horizon,
    confidence: f64,
}

/// What is told of the lives before: nothing where the last one was too short, or seen too late, to show anything;
/// `pace` is 1 but for trials in fast motion.
fn last_lives(past: &PastLife, pace: f64) -> Option<LastLives> {
    let real = |secs: f32| narrow(f64::from(secs) * pace);
    let shows = past.levelled > 0 || past.rise > TOLD_SHARE * past.size;
    shows.then(|| LastLives {
        levelled: past.levelled,
        levelled_after_secs: past.levelled_after_secs.map(real),
        age_secs: real(past.age_secs),
        rise: past.rise,
    })
}

fn subject(ladder: &Ladder, circumstances: &Circumstances) -> Subject {
    Subject { unit: circumstances.unit, started_at: circumstances.started_at, quantum: ladder.quantum() }
}

fn look(ladder: &Ladder, level: usize, subject: &Subject, scratch: &mut Scratch) -> Option<Horizon> {
    ladder.window(level, &mut scratch.window);
    Horizon::of(&scratch.window, subject, &mut scratch.measuring)
}

/// When the growth began and how far the floor has risen since: the deciding horizon's word, or that of the next longer one if the
/// growth was there from its start already.
fn origin(
    level: usize,
    deciding: &Horizon,
    ladder: &Ladder,
    subject: &Subject,
    scratch: &mut Scratch,
) -> (Seconds, f64) {
    let mut origin = (deciding.onset, deciding.onset_floor);
    let mut from_start = deciding.shape.bend == 0;
    for longer in level + 1..LEVELS {
        let Some(longer) = look(ladder, longer, subject, scratch).filter(|_| from_start) else { break };
        if longer.matters != Matters::Throughout || longer.drift.slope < AGREEING_PACE * deciding.drift.slope
        {
            break;
        }
        origin = (longer.onset, longer.onset_floor);
        from_start = longer.shape.bend == 0;
    }
    let (since, floor_before) = origin;
    (since, deciding.floor - floor_before)
}

/// The growth beneath a load with its 90 % interval.
fn interval_of(daily: &Daily) -> Estimate {
    let half = NINETY_PERCENT * WIDENED * daily.error;
    Estimate { value: daily.slope, lower: daily.slope - half, upper: daily.slope + half }
}

/// The growth with its 90 % interval. Growth whose sign is not even certain is none, unless there is a leak: that it grows
/// is certain then, and how fast is said with all its doubt.
fn interval(horizon: &Horizon, leaks: bool) -> Estimate {
    let (slope, error) = horizon.pace();
    let half = NINETY_PERCENT * WIDENED * error;
    let (lower, upper) = (slope - half, slope + half);
    let is_doubtful = lower <= 0.0 && upper >= 0.0;
    let value = if is_doubtful && !(leaks && slope > 0.0) { 0.0 } else { slope };
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
impl Judgement {
    pub(super) fn forget_measures(&mut self) {
        let Self { life, past, decider, .. } = self.clone();
        *self = Self { life, past, decider, ..Self::default() };
    }
}

#[cfg(test)]
mod tests;
