//! The lowest and highest value of the last half minute to minute: what a size is held against.
//!
//! A single sample says little: garbage that is about to be collected, a buffer on its way out. Two stretches follow each
//! other, and a number is reached when both of them lay above it, and kept again when both of them lay below.

use super::Look;
use crate::sample::Seconds;

/// So long a value must hold, in seconds.
const HELD_SECS: f64 = 30.0;
/// A stretch is so many intervals long at least, or it could go without a sample.
pub(super) const LEAST_INTERVALS: f64 = 1.2;

/// The last two stretches of one value.
#[derive(Debug)]
pub(super) struct Held {
    length_secs: f64,
    began_at: Seconds,
    last_at: Seconds,
    now: Extent<f64>,
    before: Option<Extent<f64>>,
}

/// The lowest and the highest value of a time; the other way round while there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent<T> {
    pub(super) floor: T,
    pub(super) ceiling: T,
}

impl Held {
    pub(super) fn new(interval_secs: f64) -> Self {
        Self {
            length_secs: HELD_SECS.max(LEAST_INTERVALS * interval_secs),
            began_at: f64::NAN,
            last_at: f64::NEG_INFINITY,
            now: Extent { floor: f64::NAN, ceiling: f64::NAN },
            before: None,
        }
    }

    /// For so long a value may be missing.
    pub(super) fn patience_secs(&self) -> f64 {
        2.0 * self.length_secs
    }

    /// Takes in a value. After a gap of two stretches the past is forgotten.
    pub(super) fn push(&mut self, at: Seconds, value: f64) {
        if at < self.last_at {
            return;
        }
        let gap_secs = at - self.last_at;
        self.last_at = at;
        let one = Extent { floor: value, ceiling: value };
        if self.began_at.is_nan() || gap_secs > self.patience_secs() {
            (self.began_at, self.now, self.before) = (at, one, None);
        } else if at - self.began_at >= self.length_secs {
            (self.began_at, self.before, self.now) = (at, Some(self.now), one);
        } else {
            self.now = Extent { floor: self.now.floor.min(value), ceiling: self.now.ceiling.max(value) };
        }
    }

    /// Holds the value against a number; none before it has been seen for half a minute.
    pub(super) fn look(&self, number: f64) -> Option<Look> {
        let before = self.before?;
        let floor = self.now.floor.min(before.floor);
        let ceiling = self.now.ceiling.max(before.ceiling);
        Some(Look { is_over: floor >= number, is_under: ceiling < number, measured: Some(floor) })
    }

    /// The lowest value of the last stretches.
    pub(super) fn floor(&self) -> Option<f64> {
        let before = self.before.map_or(f64::INFINITY, |before| before.floor);
        (!self.now.floor.is_nan()).then(|| self.now.floor.min(before))
    }
}
