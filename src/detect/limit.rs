//! When the limit is reached, with an honest interval.

use super::{
    finding::{Estimate, Pattern},
    horizon::Horizon,
};

/// 80 % of a normal distribution lie within 1.282 deviations.
const EIGHTY_PERCENT: f64 = 1.282;
/// A forecast beyond ten years says nothing.
const FARTHEST_SECS: f64 = 10.0 * 365.25 * 86_400.0;
/// The present pace is never known better than this share, however well the line fits: loads change.
const LEAST_UNCERTAINTY: f64 = 0.05;

/// Seconds until `room` units are used up, with the 80 % interval; none where the growth may as well be none.
///
/// For a line room over slope. For an exponential with time constant τ whose present part is `c`: τ·ln(1 + room/c).
#[must_use]
pub fn time_to_limit(room: f64, horizon: &Horizon, pattern: Pattern) -> Option<Estimate> {
    let slope = horizon.drift.slope;
    if slope <= 0.0 || !horizon.material {
        return None;
    }
    let error = horizon.drift.error.max(LEAST_UNCERTAINTY * slope);
    let at_pace = |pace: f64| if pace > 0.0 { room / pace } else { f64::INFINITY };
    let lower_pace = slope - EIGHTY_PERCENT * error;
    let mut estimate = Estimate {
        value: at_pace(slope),
        lower: at_pace(slope + EIGHTY_PERCENT * error),
        upper: at_pace(lower_pace),
    };
    if pattern == Pattern::Exponential && horizon.shape.exponential_part > 0.0 {
        let tau = horizon.shape.exponential_tau_secs;
        estimate.value = tau * (room / horizon.shape.exponential_part).ln_1p();
        estimate.lower = estimate.lower.min(0.75 * estimate.value);
        estimate.upper = estimate.upper.max(1.5 * estimate.value);
    }
    (estimate.value < FARTHEST_SECS).then_some(estimate)
}
