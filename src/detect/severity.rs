//! How much a finding matters: from how sure it is, how soon the limit comes, and how fast the area grows for its size.

use super::{
    episode::{LEAST_SURE, SUSPECT_AT},
    finding::{Estimate, Severity},
};

const HOUR_SECS: f64 = 3600.0;
/// Growth of half the size in a day matters even where no limit is known.
const FAST_SHARE_PER_DAY: f64 = 0.5;

/// The severity; a merely suspected leak is one step milder than a sure one.
#[must_use]
pub fn of(confidence: f64, time_to_limit: Option<&Estimate>, growth_per_sec: f64, floor: f64) -> Severity {
    if confidence < SUSPECT_AT {
        return Severity::None;
    }
    let sure = confidence >= LEAST_SURE;
    let share_per_day = growth_per_sec * 24.0 * HOUR_SECS / floor.abs().max(1.0);
    match time_to_limit.map(|time| time.value / HOUR_SECS) {
        Some(hours) if hours < 1.0 => {
            if sure {
                Severity::Critical
            } else {
                Severity::High
            }
        }
        Some(hours) if hours < 4.0 => {
            if sure {
                Severity::High
            } else {
                Severity::Medium
            }
        }
        Some(hours) if hours < 48.0 => {
            if sure {
                Severity::Medium
            } else {
                Severity::Low
            }
        }
        _ if sure && share_per_day > FAST_SHARE_PER_DAY => Severity::Medium,
        _ => Severity::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_the_limit_and_the_surer_the_worse() {
        let at = |hours: f64| Estimate { value: hours * HOUR_SECS, lower: 0.0, upper: 0.0 };
        let of_hours = |confidence, hours| of(confidence, Some(&at(hours)), 1.0, 1e9);
        assert_eq!(of_hours(0.95, 0.5), Severity::Critical);
        assert_eq!(of_hours(0.8, 0.5), Severity::High);
        assert_eq!(of_hours(0.95, 3.0), Severity::High);
        assert_eq!(of_hours(0.95, 24.0), Severity::Medium);
        assert_eq!(of_hours(0.95, 5000.0), Severity::Low);
        assert_eq!(of_hours(0.5, 0.5), Severity::None);
        assert_eq!(of(0.95, None, 1e9, 1e9), Severity::Medium);
    }
}
