//! In which share of the samples of a window an area was high.

use super::held::LEAST_INTERVALS;
use crate::sample::Seconds;

/// The window moves on by a fifth of itself.
const PARTS: usize = 5;

/// The counts of one window.
#[derive(Debug)]
pub(super) struct Sustained {
    part_secs: f64,
    open_began_at: Seconds,
    last_at: Seconds,
    open: Count,
    /// Oldest first; empty ones have not been seen.
    closed: [Count; PARTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    high: u32,
    all: u32,
}

impl Sustained {
    pub(super) fn new(window_secs: f64, interval_secs: f64) -> Self {
        Self {
            part_secs: (window_secs / 5.0).max(LEAST_INTERVALS * interval_secs),
            open_began_at: f64::NAN,
            last_at: f64::NEG_INFINITY,
            open: Count::default(),
            closed: [Count::default(); PARTS],
        }
    }

    /// Counts a sample. The share of high samples is given when a part of the window has ended and all parts have been
    /// seen.
    pub(super) fn push(&mut self, at: Seconds, is_high: bool) -> Option<f64> {
        if at < self.last_at {
            return None;
        }
        if at - self.last_at > 2.0 * self.part_secs {
            *self = Self { part_secs: self.part_secs, ..Self::new(0.0, 0.0) };
            self.open_began_at = at;
        }
        self.last_at = at;
        let has_ended = at - self.open_began_at >= self.part_secs;
        if has_ended {
            self.closed.rotate_left(1);
            if let Some(newest) = self.closed.last_mut() {
                *newest = std::mem::take(&mut self.open);
            }
            self.open_began_at = at;
        }
        self.open.high = self.open.high.saturating_add(u32::from(is_high));
        self.open.all = self.open.all.saturating_add(1);
        if has_ended { self.share() } else { None }
    }

    fn share(&self) -> Option<f64> {
        let is_whole = self.closed.iter().all(|count| count.all > 0);
        let sum = |of: fn(&Count) -> u32| self.closed.iter().map(|count| f64::from(of(count))).sum::<f64>();
        is_whole.then(|| sum(|count| count.high) / sum(|count| count.all))
    }
}
