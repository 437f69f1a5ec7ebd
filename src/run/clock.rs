//! The only place that reads a clock. Everything else is told the time.

use crate::sample::Seconds;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that never steps: the wall clock when it was made, plus the monotonic time since.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_at: Seconds,
    monotonic: Instant,
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// The time that never steps.
    pub steady: Seconds,
    /// What to add to it to get the wall clock's time, which may have stepped since.
    pub wall_offset_secs: f64,
}

impl Now {
    /// The wall clock's time.
    #[must_use]
    pub fn wall(&self) -> Seconds {
        self.steady + self.wall_offset_secs
    }
}

impl Clock {
    /// Starts the clock.
    #[must_use]
    pub fn start() -> Self {
        Self { started_at: wall(), monotonic: instant() }
    }

    /// Reads it.
    #[must_use]
    pub fn now(&self) -> Now {
        let steady = self.started_at + instant().duration_since(self.monotonic).as_secs_f64();
        Now { steady, wall_offset_secs: wall() - steady }
    }
}

/// A point in time from which durations are measured.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
pub fn instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the place where the clock is read")]
fn wall() -> Seconds {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
