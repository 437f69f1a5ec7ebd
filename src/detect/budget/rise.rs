//! How far an area has risen over one window, measured on floors.
//!
//! The window has five parts, and six floors are remembered: from the lowest size of the first to the lowest size of the
//! last it is one window. A rise is growth only if
//!
//! - it does not fall in between: what a garbage collector takes back was garbage, so a saw-tooth that is shorter than
//!   the window never grows;
//! - it leads beyond the past: the window reaches higher than the area was in the hour (at least) before it, by most of
//!   the rise. A saw-tooth that is longer than the window, and a daily load under a window of hours, go back to where
//!   they have been;
//! - and, where a rate is asked for, most of the parts have their share in it: one step is no rate.
//!
//! The price: after a spike a rate goes unseen until the spike is an hour or two past. The model has no such blind spot.

use super::held::{Extent, LEAST_INTERVALS};
use crate::sample::Seconds;

/// Parts of a window.
const PARTS: i64 = 5;
/// Floors that are remembered: one more than parts, for both ends of the window count.
const FLOORS: usize = 6;
/// So many windows of past must be known before a rise says anything,
const KNOWN_WINDOWS: i64 = 3;
/// and so many seconds: in the past are the teeth that a rise is told from.
const KNOWN_SECS: f64 = 600.0;
/// The past is remembered for one to two of this, in seconds,
const PAST_SECS: f64 = 3600.0;
/// or of this many windows, whichever is longer.
const PAST_WINDOWS: i64 = 4;
/// A window must reach beyond the past by this share of its rise.
const BEYOND_SHARE: f64 = 0.75;
/// A part has its share in the rise from this portion of an even share on, and falls from this portion downwards.
const PART_SHARE: f64 = 0.5;
/// So many parts must have their share in an even rise.
const EVEN_PARTS: usize = 3;
/// What is usual is the mean over about so many parts; with parts of a minute, an hour.
const USUAL_PARTS: f32 = 60.0;

/// The floors and ceilings of one window, as differences from a common zero.
#[derive(Debug)]
pub(super) struct Rises {
    /// The window that was asked for; the real one is longer where sampling is slow.
    asked_secs: f64,
    part_secs: f64,
    /// The number of the first part ever, counted from the epoch.
    first_index: i64,
    open_index: i64,
    open: Extent<f32>,
    /// Oldest first; NaN where nothing was seen.
    closed: [Extent<f32>; FLOORS],
    /// The highest of this stretch of the past and of the one before it.
    past: [f32; 2],
    past_index: i64,
    /// The mean rise over a window, falls taken as rises.
    usual: f32,
    usual_parts: f32,
    has_news: bool,
}

/// What the window shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rise {
    /// From the first floor to the last, in units.
    pub(super) amount: f64,
    /// By how much the window reaches beyond the past.
    beyond: f64,
    steps: [f64; FLOORS - 1],
}

const NOTHING: Extent<f32> = Extent { floor: f32::NAN, ceiling: f32::NAN };

impl Rises {
    pub(super) fn new(window_secs: f64, interval_secs: f64) -> Self {
        Self {
            asked_secs: window_secs,
            part_secs: (window_secs / count(PARTS)).max(LEAST_INTERVALS * interval_secs),
            first_index: 0,
            open_index: i64::MIN,
            open: NOTHING,
            closed: [NOTHING; FLOORS],
            past: [f32::NEG_INFINITY; 2],
            past_index: i64::MIN,
            usual: 0.0,
            usual_parts: 0.0,
            has_news: false,
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        *self = Self { asked_secs: self.asked_secs, part_secs: self.part_secs, ..Self::new(0.0, 0.0) };
    }

    /// Whether it was made for this window.
    pub(super) fn is_of(&self, window_secs: f64) -> bool {
        self.asked_secs.to_bits() == window_secs.to_bits()
    }

    /// The real length of the window.
    pub(super) fn window_secs(&self) -> f64 {
        self.part_secs * count(PARTS)
    }

    /// Whether the last value ended a part.
    pub(super) fn has_news(&self) -> bool {
        self.has_news
    }

    /// Takes in a value. One that comes too late for the open part is dropped.
    pub(super) fn push(&mut self, at: Seconds, value: f32) {
        let index = whole(at / self.part_secs);
        self.has_news = false;
        if index < self.open_index {
            return;
        }
        if self.open_index == i64::MIN {
            (self.first_index, self.open_index) = (index, index);
        }
        if index > self.open_index {
            self.learn_usual();
            self.close(self.open);
            // Whatever was not seen is a gap, and a gap longer than the memory is no longer than it.
            let missed = (index - self.open_index - 1).min(PARTS + 1);
            for _ in 0..missed {
                self.close(NOTHING);
            }
            (self.open_index, self.open, self.has_news) = (index, NOTHING, true);
        }
        // `min` and `max` take the number where the other is none.
        self.open = Extent { floor: self.open.floor.min(value), ceiling: self.open.ceiling.max(value) };
    }

    /// What the window shows; none with a gap in it or too little before it.
    pub(super) fn rise(&self) -> Option<Rise> {
        let known_parts = whole((KNOWN_SECS / self.part_secs).ceil()).max(KNOWN_WINDOWS * PARTS);
        if self.open_index.saturating_sub(self.first_index) < known_parts {
            return None;
        }
        let [first, .., last] = &self.closed;
        let amount = f64::from(last.floor) - f64::from(first.floor);
        let mut steps = [0.0; FLOORS - 1];
        for (step, pair) in steps.iter_mut().zip(self.closed.windows(2)) {
            if let [one, next] = pair {
                *step = f64::from(next.floor) - f64::from(one.floor);
            }
        }
        let highest = self.closed.iter().map(|part| part.ceiling).fold(f32::NEG_INFINITY, f32::max);
        let [past, before] = self.past;
        let beyond = f64::from(highest) - f64::from(past.max(before));
        (amount + steps.iter().sum::<f64>()).is_finite().then_some(Rise { amount, beyond, steps })
    }

    /// By how much the area usually moves over a window, in units.
    pub(super) fn usual(&self) -> f64 {
        f64::from(self.usual)
    }

    fn close(&mut self, part: Extent<f32>) {
        if let [oldest, ..] = self.closed
            && !oldest.ceiling.is_nan()
        {
            self.past_takes(oldest.ceiling);
        }
        self.closed.rotate_left(1);
        if let Some(newest) = self.closed.last_mut() {
            *newest = part;
        }
    }

    /// The past gets a ceiling that leaves the window.
    fn past_takes(&mut self, ceiling: f32) {
        let parts = whole((PAST_SECS / self.part_secs).ceil()).max(PAST_WINDOWS * PARTS);
        let index = self.open_index.div_euclid(parts);
        if index != self.past_index {
            let [now, _] = self.past;
            let follows = index == self.past_index.saturating_add(1);
            self.past = [f32::NEG_INFINITY, if follows { now } else { f32::NEG_INFINITY }];
            self.past_index = index;
        }
        let [now, before] = self.past;
        self.past = [now.max(ceiling), before];
    }

    /// A window counts as usual once its successor is here: a rise is not held against itself.
    fn learn_usual(&mut self) {
        let [first, .., last] = &self.closed;
        let moved = (last.floor - first.floor).abs();
        if moved.is_finite() {
            self.usual_parts = (self.usual_parts + 1.0).min(USUAL_PARTS);
            self.usual += (moved - self.usual) / self.usual_parts;
        }
    }
}

impl Rise {
    /// Whether it leads to where the area has not been lately.
    pub(super) fn goes_beyond_the_past(&self) -> bool {
        self.beyond >= BEYOND_SHARE * self.amount
    }

    /// Whether no part takes back what counts for a rise of `wanted`.
    pub(super) fn does_not_fall(&self, wanted: f64) -> bool {
        self.steps.iter().all(|step| *step > -PART_SHARE * wanted / count(PARTS))
    }

    /// Whether most parts have their share in a rise of `wanted`.
    pub(super) fn is_even(&self, wanted: f64) -> bool {
        let share = PART_SHARE * wanted / count(PARTS);
        self.steps.iter().filter(|step| **step >= share).count() >= EVEN_PARTS
    }
}

#[expect(clippy::cast_precision_loss, reason = "a handful")]
fn count(parts: i64) -> f64 {
    parts as f64
}

/// The whole number below; times in seconds and counts of parts fit.
#[expect(clippy::cast_possible_truncation, reason = "beyond the range of i64 it saturates")]
fn whole(value: f64) -> i64 {
    value.floor() as i64
}
