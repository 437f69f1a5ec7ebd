//! One horizon: what the floors of one level of the ladder say, as evidence for or against a leak.
//!
//! It weighs several things that a leak does and its look-alikes do not: the drift is strong even for a random walk,
//! the way is straight, the rise is spread over many steps (a batch or a new pool is one), it does not level off (a
//! warm-up does), it goes beyond what was there before (a daily cycle does not), and it is large against the saw-tooth
//! above it. Each is a term of a log-odds sum, so that the reason for a verdict stays visible.

use super::{
    robust::{self, Drift},
    shape::{self, Shape},
};
use crate::{
    sample::{Seconds, Unit},
    series::ladder::Window,
};

/// Fewer buckets are too thin for any statement.
pub const LEAST_BUCKETS: usize = 10;
/// No single horizon is surer than this, whatever its statistics say: they know nothing of what comes next.
const MAX_LOG_ODDS: f64 = 4.5;
/// No single horizon rules a leak out more firmly than this.
const MIN_LOG_ODDS: f64 = -6.0;
/// A drift as strong as this, in standard errors, is even odds before the shape is looked at.
const EVEN_STRENGTH: f64 = 3.0;

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
    /// Evidence for a leak in log-odds.
    pub log_odds: f64,
    /// The drift of the floors.
    pub drift: Drift,
    /// Their shape.
    pub shape: Shape,
    /// Width of a bucket in seconds.
    pub width_secs: f64,
    /// Length of the window in seconds.
    pub span_secs: f64,
    /// The floor at the window's end, by the line through it.
    pub floor: f64,
    /// When the growth in it began.
    pub onset: Seconds,
    /// The floor it began from.
    pub onset_floor: f64,
    /// The bucket in which it began; 0 when it was there at the window's start already.
    pub onset_bucket: usize,
    /// Median height of the ceilings above the floors.
    pub amplitude: f64,
    /// Whether the growth matters at all.
    pub material: bool,
    /// Whether the window reaches back to the process's start, when everything grows for a while.
    pub sees_start: bool,
}

/// What judges an area need to know beside its series.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Bytes or objects.
    pub unit: Unit,
    /// When the process started.
    pub started_at: Seconds,
    /// The resolution of the source.
    pub quantum: f64,
}

impl Horizon {
    /// Judges one window; none while it is too thin.
    #[must_use]
    pub fn of(window: &Window, subject: &Subject, scratch: &mut Vec<f64>) -> Option<Self> {
        if window.floors.len() < LEAST_BUCKETS {
            return None;
        }
        let (times, floors) = (window.times.as_slice(), window.floors.as_slice());
        let (first_at, last_at) = (*times.first()?, *times.last()?);
        let drift = robust::drift(times, floors, subject.quantum, scratch);
        let amplitude = amplitude(window, scratch);
        let middle_floor = {
            scratch.clear();
            scratch.extend_from_slice(floors);
            robust::median(scratch)
        };
        let span_secs = last_at - first_at;
        let mut horizon = Self {
            log_odds: MIN_LOG_ODDS,
            drift,
            shape: Shape::default(),
            width_secs: window.width_secs,
            span_secs,
            floor: middle_floor + drift.slope * span_secs / 2.0,
            onset: first_at,
            onset_floor: *floors.first()?,
            onset_bucket: 0,
            amplitude,
            material: false,
            sees_start: first_at - subject.started_at < 0.25 * span_secs + window.width_secs,
        };
        let rise = drift.slope * span_secs;
        if !is_material(subject.unit, drift.slope, rise, middle_floor) {
            // Most areas are quiet most of the time, and the rest of the work is for those that are not.
            horizon.shape.rise = rise;
            return Some(horizon);
        }
        horizon.material = true;
        horizon.shape = Shape::measure(times, floors, drift.slope, subject.quantum);
        if drift.slope > 0.0 {
            horizon.date(times, floors);
            horizon.log_odds = horizon.weigh(window);
        }
        Some(horizon)
    }

    /// Finds when the growth began.
    fn date(&mut self, times: &[f64], floors: &[f64]) {
        let bend = shape::onset(times, floors);
        self.onset_bucket = bend;
        if let (Some(time), Some(floor)) = (times.get(bend), floors.get(bend)) {
            self.onset = *time;
            self.onset_floor = *floor;
        }
    }

    /// The sum of the evidence.
    fn weigh(&self, window: &Window) -> f64 {
        let shape = &self.shape;
        let strength = (self.drift.strength - EVEN_STRENGTH).clamp(-4.0, 5.0);
        let straight = 3.0 * (shape.efficiency.clamp(-0.5, 1.0) - 0.6);
        let jumps = 9.0 * (shape.largest_step - 0.3).clamp(0.0, 1.0)
            + 6.0 * (shape.two_largest_steps - 0.55).clamp(0.0, 1.0);
        let plateau = 8.0 * (0.55 - shape.recent_pace).clamp(0.0, 1.0);
        let levelling = self.levelling();
        let known_heights = window.past_floor.map_or(0.0, |past| {
            let beyond = (self.floor - past) / shape.rise.abs().max(f64::MIN_POSITIVE);
            5.0 * (0.4 - beyond).clamp(0.0, 1.0)
        });
        let buried = (self.amplitude / shape.rise.max(f64::MIN_POSITIVE)).ln().clamp(0.0, 3.0);
        let falls = 3.0 * (shape.drawdown - 0.3).clamp(0.0, 1.0);
        let sum = strength + straight - jumps - plateau - levelling - known_heights - buried - falls;
        sum.clamp(MIN_LOG_ODDS, MAX_LOG_ODDS)
    }

    /// What levelling off costs. In a window that holds the process's start any bend counts, since everything warms up;
    /// later only a bend that says how little is to come.
    fn levelling(&self) -> f64 {
        let Shape { saturation_gain: gain, saturation_rest: rest, .. } = self.shape;
        if gain < 0.4 {
            return 0.0;
        }
        let to_come = 2.5 * gain.min(2.0) * (1.0 - rest).max(0.0);
        if self.sees_start { to_come.max(2.0 * gain.min(2.5)) } else { to_come }
    }
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
