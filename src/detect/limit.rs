//! When the limit is reached, with an honest interval.

use super::{
    daily::Daily,
    finding::Estimate,
    horizon::{Horizon, Matters},
    robust::count,
};
use crate::{sample::Seconds, series::ladder::BUCKETS};

/// 80 % of a normal distribution lie within 1.282 deviations.
const EIGHTY_PERCENT: f64 = 1.282;
/// A forecast beyond ten years says nothing.
const FARTHEST_SECS: f64 = 10.0 * 365.25 * 86_400.0;
/// The present pace is never known better than this share, however well the line fits: loads change.
const LEAST_UNCERTAINTY: f64 = 0.08;
/// Nor is it ever known worse than this: beyond it the interval says nothing any more.
const MOST_UNCERTAINTY: f64 = 2.0;
/// How much sooner than by the line it may be, as a logarithm: an exponential looks like a line until late, and what is
/// sooner than said is worse than what is later. Measured on seeds 201 and 202 of the generator.
const SPEEDING_UP: f64 = 0.9;
/// Errors of one window are smaller than those over time: measured on seeds 201 and 202.
const WIDENED: f64 = 1.5;
/// An exponential is the likelier one from this gain over the line on, in a full window, and possible from the lower one on.
/// Half the gain times the number of floors is a log-likelihood, so the same evidence from fewer floors takes a higher gain:
/// nine rounded ones are now and then bent by chance.
const LIKELY_GAIN: f64 = 0.3;
const POSSIBLE_GAIN: f64 = 0.0;
/// How far off the time of an exponential may be, either way, as a factor.
const EXPONENTIAL_FACTOR: f64 = 1.6;

/// Seconds until `room` units above the present floor are used up, with the 80 % interval; none where the growth may as
/// well be none.
///
/// What ends a program is the tip of its saw-tooth and not the floor, so the room ends an amplitude early. For a line it
/// is room over slope. For an exponential with time constant τ whose present part is `c`: τ·ln(1 + room/c).
#[must_use]
pub fn time_to_limit(room: f64, horizon: &Horizon) -> Option<Estimate> {
    let (slope, error) = horizon.pace();
    if slope <= 0.0 || horizon.matters == Matters::No {
        return None;
    }
    let least = (room - horizon.amplitude).max(0.0);
    let error = (WIDENED * error / slope).clamp(LEAST_UNCERTAINTY, MOST_UNCERTAINTY);
    // Errors of a pace are ratios: the interval is one of logarithms, and never ends below 0.
    let later = EIGHTY_PERCENT * error;
    let sooner = later.max(SPEEDING_UP);
    let mut estimate = Estimate {
        value: least / slope,
        lower: least / slope * (-sooner).exp(),
        upper: room.max(least) / slope * later.exp(),
    };
    let shape = &horizon.shape;
    // A level followed by a line looks like an exponential to a line, so the bend is what it must beat.
    let gain = shape.exponential_gain - shape.bend_gain.max(0.0);
    if gain > POSSIBLE_GAIN && shape.exponential_part > 0.0 {
        let tau = shape.exponential_tau * horizon.width_secs;
        let bent = tau * (least / shape.exponential_part).ln_1p();
        estimate.lower = estimate.lower.min(bent / EXPONENTIAL_FACTOR);
        if gain * count(horizon.buckets) > LIKELY_GAIN * count(BUCKETS) {
            estimate.value = bent;
            estimate.upper = bent * EXPONENTIAL_FACTOR;
        }
    }
    (estimate.value < FARTHEST_SECS).then_some(estimate)
}

/// Seconds until a line and a daily load have used up `room` units above the present floor, with the 80 % interval.
///
/// A slow leak ends a program at the height of a day. `amplitude` is that of the saw-tooth on top of line and load.
#[must_use]
pub fn time_beneath_load(room: f64, amplitude: f64, daily: &Daily, now: Seconds) -> Option<Estimate> {
    let least = (room - amplitude).max(0.0);
    let error = (WIDENED * daily.error / daily.slope).clamp(LEAST_UNCERTAINTY, MOST_UNCERTAINTY);
    let later = EIGHTY_PERCENT * error;
    let sooner = later.max(SPEEDING_UP);
    let estimate = Estimate {
        value: until(least, daily, now),
        lower: until(least, daily, now) * (-sooner).exp(),
        upper: until(room.max(least), daily, now) * later.exp(),
    };
    (estimate.value < FARTHEST_SECS).then_some(estimate)
}

/// Seconds until line and load have risen by this much.
fn until(rise: f64, daily: &Daily, now: Seconds) -> f64 {
    const STEPS_OF_A_DAY: u32 = 48;
    const STEP_SECS: f64 = 1800.0;
    let day = || (0..=STEPS_OF_A_DAY).map(|step| f64::from(step) * STEP_SECS);
    let highest = day().map(|at| daily.rise(now, at) - daily.slope * at).fold(0.0, f64::max);
    // Before this not even the height of a day gets there, and a day later it has.
    let soonest = ((rise - highest) / daily.slope).max(0.0);
    let after = day().find(|after| daily.rise(now, soonest + after) >= rise);
    soonest + after.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::horizon::{Measuring, Subject};
    use crate::{sample::Unit, series::ladder::Window};
    use std::f64::consts::TAU;

    /// A horizon of floors with this curve over its 36 buckets of a minute.
    fn horizon(curve: impl Fn(f64) -> f64) -> Horizon {
        of_floors((0..36).map(|step| 1e9 + curve(60.0 * f64::from(step))).collect(), Unit::Bytes)
    }

    /// A horizon of these floors of a minute each.
    fn of_floors(floors: Vec<f64>, unit: Unit) -> Horizon {
        let steps = (0..).map(f64::from).take(floors.len()).collect();
        let ceilings = floors.clone();
        let window = Window { width_secs: 60.0, pace: 1.0, begin: 0.0, steps, floors, ceilings, past: None };
        let subject = Subject { unit, started_at: 0.0, quantum: 1.0 };
        Horizon::of(&window, &subject, &mut Measuring::default()).unwrap()
    }

    #[test]
    fn a_line_uses_up_its_room_evenly() {
        let estimate = time_to_limit(1e9, &horizon(|at| 1e5 * at)).unwrap();
        assert!((estimate.value / 1e4 - 1.0).abs() < 0.01, "{estimate:?}");
        assert!(estimate.lower < 1e4 && 1e4 < estimate.upper, "{estimate:?}");
    }

    #[test]
    fn an_exponential_is_there_sooner_than_a_line_says() {
        let estimate = time_to_limit(1e9, &horizon(|at| 1e7 * (at / 700.0).exp())).unwrap();
        let last = 1e7 * (35.0f64 * 60.0 / 700.0).exp();
        let expected = 700.0 * (1e9 / last).ln_1p();
        assert!(estimate.lower < expected && expected < estimate.upper, "{estimate:?} {expected}");
    }

    /// Files opened at an even pace and counted now and then: whole numbers of a line, and no news of an exponential.
    #[test]
    fn a_few_rounded_floors_are_a_line_that_chance_has_bent() {
        for (pace, begins) in
            (120..200).map(|percent| (f64::from(percent) / 100.0, f64::from(percent % 7) / 7.0))
        {
            let opened = of_floors(
                (0..9).map(|step| (3.0 + begins + pace * f64::from(step)).floor()).collect(),
                Unit::Objects,
            );
            let by_line = 20_000.0 / opened.pace().0;
            let estimate = time_to_limit(20_000.0, &opened).unwrap();
            assert!(
                (estimate.value / by_line - 1.0).abs() < 0.01,
                "{pace} {begins}: {estimate:?}, by a line {by_line}"
            );
        }
    }

    /// Half an hour of rest, and ten minutes of growth: the median of all slopes is that of rest, and the window's own line
    /// ends where the growth began.
    #[test]
    fn growth_that_has_just_begun_has_a_time_to_the_limit() {
        const PACE: f64 = 2e5;
        let young = horizon(|at| PACE * (at - 1500.0).max(0.0));
        let now = 1e9 + PACE * 600.0;
        let estimate = time_to_limit(4e9 - young.floor, &young).unwrap();
        let expected = (4e9 - now) / PACE;
        assert!((estimate.value / expected - 1.0).abs() < 0.03, "{estimate:?} {expected}");
        assert!((young.floor / now - 1.0).abs() < 1e-3, "{} {now}", young.floor);
    }

    /// A leak of 2 MB an hour beneath a load of 200 MB: what is left at night is used up at a noon, long before the line is
    /// there.
    #[test]
    fn a_slow_leak_reaches_its_limit_at_the_height_of_a_day() {
        const DAY_SECS: f64 = 86_400.0;
        let size = |at: f64| 1e9 - 1e8 * (TAU * at / DAY_SECS).cos() + 2e6 * at / 3600.0;
        let steps: Vec<f64> = (0..36).map(f64::from).collect();
        let floors: Vec<f64> = steps.iter().map(|step| size((step + 0.5) * 8640.0)).collect();
        let ceilings = floors.clone();
        let window =
            Window { width_secs: 8640.0, pace: 1.0, begin: 0.0, steps, floors, ceilings, past: None };
        let daily = Daily::of(&window, 1.0).unwrap();
        for hour in [0, 7, 15] {
            let now = 3.0 * DAY_SECS + 3600.0 * f64::from(hour);
            let limit = size(now) + 3e8;
            let reached =
                (0..).map(|step| now + 60.0 * f64::from(step)).find(|at| size(*at) >= limit).unwrap();
            let estimate = time_beneath_load(3e8, 0.0, &daily, now).unwrap();
            let off = estimate.value - (reached - now);
            assert!(off.abs() <= 3.0 * 3600.0, "at {hour} h: {off} s off {}", reached - now);
            assert!(
                estimate.lower < reached - now && reached - now < estimate.upper,
                "at {hour} h: {estimate:?}"
            );
        }
    }

    #[test]
    fn what_does_not_grow_never_gets_there() {
        assert_eq!(time_to_limit(1e9, &horizon(|_| 0.0)), None);
        assert_eq!(time_to_limit(1e9, &horizon(|at| -1e5 * at)), None);
    }
}
