//! One horizon: what the floors of one level of the ladder say, as numbers that a model can weigh.
//!
//! A leak and its look-alikes differ in several ways: the drift is strong even for a random walk, the way is straight,
//! the rise is spread over many steps (a batch or a new pool is one), it does not level off (a warm-up does), it goes
//! beyond what was there before (a daily cycle does not), and it is large against the saw-tooth above it. Each is one
//! [feature](NAMES). All are ratios or logarithms of ratios: the size of a program does not matter, nor the day.

use super::{
    robust::{self, Drift},
    shape::{self, Floors, Shape},
};
use crate::{
    sample::{Seconds, Unit},
    series::ladder::Window,
};

/// Fewer buckets are too thin for any statement.
pub const LEAST_BUCKETS: usize = 8;
/// Features of one horizon.
pub const FEATURES: usize = 24;
/// Their names, in their order.
pub const NAMES: [&str; FEATURES] = [
    "fill",
    "climb",
    "rise",
    "amplitude",
    "rise_over_amplitude",
    "begins_after_start",
    "level_strength",
    "walk_strength",
    "strength",
    "autocorrelation",
    "noise",
    "efficiency",
    "largest_step",
    "participation",
    "drawdown",
    "recent_pace",
    "saturation_gain",
    "saturation_rest",
    "exponential_gain",
    "step_gain",
    "bend_gain",
    "bend_strength",
    "beyond_past_floors",
    "beyond_past_ceilings",
];
/// How many of them are there for a quiet window, whose shape nobody looks at.
const QUIET_FEATURES: usize = 11;
/// A window that climbs by less than this share of the size, and rises by less than three times it, is quiet.
const QUIET_SHARE: f64 = 3e-4;
/// A line behind a bend that fits this much better than one line is the growth now.
const CLEAR_BEND: f64 = 0.5;
/// Growth that is so many times as fast behind the bend as in the whole window has just begun.
const JUST_BEGUN_PACE: f64 = 4.0;
/// The slope of a third has 27 times the variance of that of the whole, so two of them differ by √54 of its errors.
const ERRORS_BETWEEN_THIRDS: f64 = 7.35;
/// From so many standard errors on it is clear that there is growth behind the bend.
const CLEAR_STRENGTH: f64 = 5.0;
/// Ratios are believed within this.
const MAX_RATIO: f64 = 3.0;

/// Growth below any of these does not matter, whatever its statistics.
mod materiality {
    /// Bytes a second: a quarter of a mebibyte an hour.
    pub(super) const LEAST_BYTES_PER_SEC: f64 = 0.25 * 1_048_576.0 / 3600.0;
    /// Share of the size an hour.
    pub(super) const LEAST_SHARE_PER_HOUR: f64 = 2e-4;
    /// Bytes in the window.
    pub(super) const LEAST_RISE_BYTES: f64 = 524_288.0;
    /// Objects in the window.
    pub(super) const LEAST_RISE_OBJECTS: f64 = 8.0;
    /// Share of the size in the window.
    pub(super) const LEAST_RISE_SHARE: f64 = 1e-3;
}

/// What one level says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Horizon {
    /// The drift of the floors, in units a second.
    pub drift: Drift,
    /// Their shape; all zero in a quiet window.
    pub shape: Shape,
    /// Rise from the average of the first quarter to that of the last, in units.
    pub rise: f64,
    /// Width of a bucket in seconds.
    pub width_secs: f64,
    /// Length of the window in seconds.
    pub span_secs: f64,
    /// When its first bucket begins.
    pub begin: Seconds,
    /// Buckets in it.
    pub buckets: usize,
    /// The floor at the window's end, by the line through it, or by that behind a clear bend.
    pub floor: f64,
    /// The median floor, at least 1.
    pub level: f64,
    /// When the growth in it began.
    pub onset: Seconds,
    /// The floor it began from.
    pub onset_floor: f64,
    /// Median height of the ceilings above the floors.
    pub amplitude: f64,
    /// The newest floor over the highest floor before this window, in rises; none without such a past.
    pub beyond_floors: Option<f64>,
    /// The same over the highest ceiling.
    pub beyond_ceilings: Option<f64>,
    /// How many spans after the process's start the window begins.
    pub begins_after_start: f64,
    /// Whether nothing moves that is worth a look.
    pub quiet: bool,
    /// Whether the growth matters at all.
    pub matters: Matters,
}

/// Whether the growth in a window matters at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matters {
    /// It does not.
    No,
    /// What lies behind the bend does, and is too young to show in the window as a whole.
    Lately,
    /// It does.
    Throughout,
}

/// What judges of an area need to know beside its series.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Bytes or objects.
    pub unit: Unit,
    /// When the process started.
    pub started_at: Seconds,
    /// The resolution of the source.
    pub quantum: f64,
}

/// Memory for measuring windows, so that no look allocates, and what many of them have in common.
#[derive(Debug, Default)]
pub struct Measuring {
    values: Vec<f64>,
    kept: shape::Kept,
}

impl Horizon {
    /// Judges one window; none while it is too thin.
    #[must_use]
    pub fn of(window: &Window, subject: &Subject, scratch: &mut Measuring) -> Option<Self> {
        let (steps, floors) = (window.steps.as_slice(), window.floors.as_slice());
        if floors.len() < LEAST_BUCKETS {
            return None;
        }
        let (newest, oldest) = (*floors.last()?, *floors.first()?);
        let span = robust::span(steps);
        let per_width = robust::drift(steps, floors, subject.quantum, &mut scratch.values);
        let amplitude = amplitude(window, &mut scratch.values);
        let level = robust::median_of(floors, &mut scratch.values);
        let rise = shape::rise(floors);
        let span_secs = span * window.width_secs;
        let climb = per_width.slope * span;
        let relative = |part: f64| part / level.abs().max(1.0);
        let quiet = relative(climb) < QUIET_SHARE && relative(rise.abs()) < 3.0 * QUIET_SHARE;
        let material = is_material(subject.unit, per_width.slope / window.width_secs, climb, level);
        let mut horizon = Self {
            drift: per_width.per_second(window.width_secs),
            shape: Shape::default(),
            rise,
            width_secs: window.width_secs,
            span_secs,
            begin: window.begin,
            buckets: floors.len(),
            floor: level + climb / 2.0,
            level: level.abs().max(1.0),
            onset: window.begin,
            onset_floor: oldest,
            amplitude,
            beyond_floors: None,
            beyond_ceilings: None,
            begins_after_start: ((window.begin - subject.started_at) / span_secs).clamp(0.0, MAX_RATIO),
            quiet,
            matters: if material { Matters::Throughout } else { Matters::No },
        };
        if !quiet {
            let view = Floors { steps, floors, quantum: subject.quantum };
            horizon.shape = Shape::measure(view, per_width.slope, rise, &mut scratch.kept);
            let beyond = |past: f64| {
                ((newest - past) / rise.abs().max(subject.quantum).max(1e-9)).clamp(-MAX_RATIO, MAX_RATIO)
            };
            horizon.beyond_floors = window.past.map(|past| beyond(past.floor));
            horizon.beyond_ceilings = window.past.map(|past| beyond(past.ceiling));
            horizon.date(steps, floors);
            if horizon.is_bent() {
                horizon.end_behind_bend(steps, floors, subject.unit);
            }
        }
        Some(horizon)
    }

    /// Where the line behind the bend has led: what was even for most of the window says nothing of its end.
    fn end_behind_bend(&mut self, steps: &[f64], floors: &[f64], unit: Unit) {
        let (Some(steps), Some(floors)) = (steps.get(self.shape.bend..), floors.get(self.shape.bend..))
        else {
            return;
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / robust::count(values.len());
        let since_middle = steps.last().map_or(0.0, |last| last - mean(steps));
        self.floor = mean(floors) + self.shape.bend_slope * since_middle;
        let rise = self.shape.bend_slope * robust::span(steps);
        if self.matters == Matters::No && is_material(unit, self.bend_slope(), rise, self.level) {
            self.matters = Matters::Lately;
        }
    }

    /// Finds when the growth began.
    fn date(&mut self, steps: &[f64], floors: &[f64]) {
        if let (Some(step), Some(floor)) = (steps.get(self.shape.bend), floors.get(self.shape.bend)) {
            self.onset = self.begin + step * self.width_secs;
            self.onset_floor = *floor;
        }
    }

    /// The growth now, in units a second, and its standard error: behind a clear bend that of the line behind it, which
    /// the slope of the whole window would water down.
    #[must_use]
    pub fn pace(&self) -> (f64, f64) {
        if !self.is_bent() {
            return (self.drift.slope, self.drift.error.hypot(self.disagreement()));
        }
        let slope = self.bend_slope();
        // A fall behind the bend has a negative slope and strength, and still an error that is none.
        let by_noise = 1.0 / self.shape.bend_strength.abs().max(1.0);
        // The growth began somewhere in a bucket, and not at its edge.
        let by_bend =
            robust::UNIFORM_DEVIATION / robust::count(self.buckets.saturating_sub(self.shape.bend).max(1));
        (slope, slope.abs() * by_noise.hypot(by_bend))
    }

    /// The error of the drift by how much the slopes of the window's first and last third differ, in units a second: loads
    /// that come and go bend a line in ways that its residuals do not show.
    fn disagreement(&self) -> f64 {
        let difference = self.drift.slope * (self.shape.first_pace - self.shape.recent_pace);
        difference.abs() / ERRORS_BETWEEN_THIRDS
    }

    /// Whether clear growth began so late in the window that the drift of the whole shows little of it, and none of the
    /// `coarser` ones, in units a second, either.
    #[must_use]
    pub fn has_just_begun(&self, mut coarser: impl Iterator<Item = f64>) -> bool {
        let is_far_above = |slope: f64| self.bend_slope() > JUST_BEGUN_PACE * slope;
        self.is_bent()
            && self.shape.bend_strength > CLEAR_STRENGTH
            && is_far_above(self.drift.slope)
            && coarser.all(is_far_above)
    }

    /// Whether the growth began, or became faster, at a clear bend within the window.
    fn is_bent(&self) -> bool {
        let shape = &self.shape;
        shape.bend > 0 && shape.bend_gain >= CLEAR_BEND && self.bend_slope() > self.drift.slope
    }

    fn bend_slope(&self) -> f64 {
        self.shape.bend_slope / self.width_secs
    }

    /// Whether the growth was there from the window's start to its end, so that its slope is that of the growth.
    #[must_use]
    pub fn is_even(&self) -> bool {
        let fair = |pace: f64| (0.5..1.9).contains(&pace);
        !self.quiet
            && self.drift.slope > 0.0
            && self.drift.strength > 2.5
            && fair(self.shape.recent_pace)
            && self.shape.first_pace > 0.4
            && self.shape.bend_gain < 0.7
    }

    /// The [features](NAMES); NaN where there is nothing to say.
    #[must_use]
    pub fn features(&self, quantum: f64) -> [f32; FEATURES] {
        let Self { drift, shape, level, .. } = self;
        let share = |part: f64| (part / level).max(1e-5).log10();
        let optional = |ratio: Option<f64>| ratio.unwrap_or(f64::NAN);
        let all = [
            robust::count(self.buckets) / robust::count(crate::series::ladder::BUCKETS),
            share(drift.slope * self.span_secs),
            share(self.rise),
            share(self.amplitude),
            signed_log(self.rise / self.amplitude.max(quantum).max(1.0)),
            self.begins_after_start.ln_1p(),
            signed_log(drift.level_strength),
            signed_log(drift.walk_strength),
            signed_log(drift.strength),
            drift.autocorrelation,
            (drift.deviation / level).log10(),
            shape.efficiency,
            shape.largest_step,
            shape.participation,
            shape.drawdown,
            shape.recent_pace,
            shape.saturation_gain,
            shape.saturation_rest.max(1e-3).ln(),
            shape.exponential_gain,
            shape.step_gain,
            shape.bend_gain,
            signed_log(shape.bend_strength),
            optional(self.beyond_floors),
            optional(self.beyond_ceilings),
        ];
        let mut features = [f32::NAN; FEATURES];
        let count = if self.quiet { QUIET_FEATURES } else { FEATURES };
        for (feature, value) in features.iter_mut().zip(all).take(count) {
            *feature = narrow(value);
        }
        features
    }
}

/// A logarithm that keeps the sign and is 0 at 0.
fn signed_log(value: f64) -> f64 {
    value.signum() * value.abs().ln_1p()
}

/// Features need few digits.
#[expect(clippy::cast_possible_truncation, reason = "features are compared with a few dozen borders")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}

fn amplitude(window: &Window, scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend(window.ceilings.iter().zip(&window.floors).map(|(ceiling, floor)| ceiling - floor));
    robust::median(scratch)
}

fn is_material(unit: Unit, slope: f64, rise: f64, size: f64) -> bool {
    let share_of_size = |share: f64| share * size.abs();
    let (least_slope, least_rise) = match unit {
        Unit::Bytes => (materiality::LEAST_BYTES_PER_SEC, materiality::LEAST_RISE_BYTES),
        Unit::Objects => (0.0, materiality::LEAST_RISE_OBJECTS),
    };
    slope.abs() >= least_slope.max(share_of_size(materiality::LEAST_SHARE_PER_HOUR) / 3600.0)
        && rise.abs() >= least_rise.max(share_of_size(materiality::LEAST_RISE_SHARE))
}
