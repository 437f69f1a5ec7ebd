//! The last one to two minutes of something that is counted: three readings of it, however often it is read.
//!
//! Two stretches of a minute follow each other: the reading with which the one before began, the one with which this one
//! did, and the last of all. What was counted from the first of them to the last is over one to two minutes, or over two
//! readings where these lie further apart.

use crate::sample::Seconds;

/// So long a stretch is at least, in seconds.
const STRETCH_SECS: f64 = 60.0;
/// What was counted is told for so many times its own length after the last reading; then nobody tells any more.
const HOLDS: f64 = 1.5;

/// The three readings.
#[derive(Clone, Debug)]
pub struct Marks<T> {
    before: Mark<T>,
    began: Mark<T>,
    last: Mark<T>,
}

#[derive(Clone, Debug)]
struct Mark<T> {
    at: Seconds,
    value: T,
}

/// The first and the last of them.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a, T> {
    /// How far they lie apart, a minute at least.
    pub secs: f64,
    /// What was read then.
    pub from: &'a T,
    /// What was read last.
    pub to: &'a T,
}

impl<T: Clone> Marks<T> {
    /// The first reading.
    #[must_use]
    pub fn new(at: Seconds, value: T) -> Self {
        let mark = Mark { at, value };
        Self { before: mark.clone(), began: mark.clone(), last: mark }
    }

    /// Takes in a reading; one from before the last one is dropped, and one that does not follow from the last begins anew.
    pub fn push(&mut self, at: Seconds, value: T, follows: impl FnOnce(&T, &T) -> bool) {
        if at <= self.last.at {
            return;
        }
        if !follows(&self.last.value, &value) {
            *self = Self::new(at, value);
            return;
        }
        self.last = Mark { at, value };
        if at - self.began.at >= STRETCH_SECS {
            self.before = std::mem::replace(&mut self.began, self.last.clone());
        }
    }

    /// From which to which reading something was counted; none before a minute is known, and where it was not read for
    /// too long.
    #[must_use]
    pub fn span(&self, now: Seconds) -> Option<Span<'_, T>> {
        let secs = self.last.at - self.before.at;
        let is_told = now - self.last.at <= HOLDS * secs;
        (secs >= STRETCH_SECS && is_told).then_some(Span {
            secs,
            from: &self.before.value,
            to: &self.last.value,
        })
    }
}
