//! The only place that reads a clock. Everything else is told the time.

use crate::sample::Seconds;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that never steps: the wall clock when it was made, plus the monotonic time since.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started_at: Seconds,
    monotonic: Instant,
}

/// A reading that a later run on the same boot goes on from.
///
/// What is remembered lies on the steady clock, whose distance from the wall clock is another in every run. The kernel's
/// monotonic clock goes on between two runs, however the wall clock is set meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The time that never steps.
    pub steady: Seconds,
    /// The kernel's monotonic clock at the same moment, in seconds since some moment of the boot.
    pub monotonic_secs: f64,
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

    /// A clock that goes on from a mark as if it had never stopped; none where the mark lies in the future.
    #[must_use]
    pub fn resume(mark: Mark) -> Option<Self> {
        Some(Self { started_at: mark.continued(monotonic_secs())?, monotonic: instant() })
    }

    /// A reading to go on from.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { steady: self.now().steady, monotonic_secs: monotonic_secs() }
    }

    /// Reads it.
    #[must_use]
    pub fn now(&self) -> Now {
        let steady = self.started_at + instant().duration_since(self.monotonic).as_secs_f64();
        Now { steady, wall_offset_secs: wall() - steady }
    }
}

impl Mark {
    /// The steady time when the monotonic clock stands at so many seconds.
    fn continued(&self, monotonic_secs: f64) -> Option<Seconds> {
        let passed_secs = monotonic_secs - self.monotonic_secs;
        (self.steady.is_finite() && passed_secs >= 0.0).then_some(self.steady + passed_secs)
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

/// The kernel's monotonic clock, which [`Instant`] reads too but does not tell.
#[expect(clippy::cast_precision_loss, reason = "a boot lasts far less than 2^53 seconds")]
fn monotonic_secs() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_from_a_mark_of_the_past_and_from_none_of_the_future() {
        let mark = Mark { steady: 1000.0, monotonic_secs: 50.0 };
        assert_eq!(mark.continued(62.5), Some(1012.5));
        assert_eq!(mark.continued(49.0), None);
        assert_eq!(Mark { monotonic_secs: f64::NAN, ..mark }.continued(62.5), None);
        let clock = Clock::start();
        let next = Clock::resume(clock.mark()).expect("the mark is of the past");
        assert!((next.now().steady - clock.now().steady).abs() < 60.0);
    }
}
