//! The pattern by its name: the first description that fits, the particular before the general.

use super::{finding::Pattern, horizon::Horizon};
use crate::sample::Limit;

/// A drift weaker than this, in standard errors, is none.
const LEAST_STRENGTH: f64 = 2.0;
/// One jump of this share of the rise makes a step.
const STEP_SHARE: f64 = 0.5;
/// Two jumps of this share do so too.
const TWO_STEPS_SHARE: f64 = 0.75;
/// And what went up must stay up: net way over walked way.
const STEP_EFFICIENCY: f64 = 0.6;
/// A last third slower than this share of the whole has levelled off.
const PLATEAU_PACE: f64 = 0.35;
/// A last third faster than this is accelerating.
const FASTER_PACE: f64 = 1.5;
/// An exponential must fit this much better than a line (log-ratio of squared errors).
const EXPONENTIAL_GAIN: f64 = 0.7;
/// A saturating curve must fit this much better than a line, and have little to come.
const SATURATION_GAIN: f64 = 0.7;
/// Ceilings this share of the floor above it are spikes or cycles rather than noise.
const TALL_AMPLITUDE: f64 = 0.2;
/// More of the limit in use than this, without growth, is sustained.
const HIGH_SHARE: f64 = 0.8;

/// The name of what the horizon shows, for an area of `size` under `limit`.
#[must_use]
pub fn name(horizon: &Horizon, limit: Option<&Limit>, size: f64) -> Pattern {
    let shape = &horizon.shape;
    // A step is no drift, so it is looked for before the strength of the drift is.
    let jumps = shape.largest_step > STEP_SHARE || shape.two_largest_steps > TWO_STEPS_SHARE;
    if horizon.material && jumps && horizon.rise > 0.0 && shape.efficiency > STEP_EFFICIENCY {
        return Pattern::Step;
    }
    if !horizon.material || horizon.drift.strength.abs() < LEAST_STRENGTH {
        return without_growth(horizon, limit, size);
    }
    if horizon.drift.slope < 0.0 {
        return Pattern::Shrinking;
    }
    let levels_off = shape.saturation_gain > SATURATION_GAIN && shape.saturation_rest < 0.5;
    if shape.recent_pace < PLATEAU_PACE || levels_off {
        return Pattern::Saturating;
    }
    if shape.exponential_gain > EXPONENTIAL_GAIN
        && shape.exponential_tau * horizon.width_secs < horizon.span_secs
    {
        return Pattern::Exponential;
    }
    if shape.recent_pace > FASTER_PACE {
        return Pattern::Accelerating;
    }
    Pattern::Linear
}

fn without_growth(horizon: &Horizon, limit: Option<&Limit>, size: f64) -> Pattern {
    if limit.is_some_and(|limit| limit.value > 0.0 && size > HIGH_SHARE * limit.value) {
        return Pattern::SustainedHigh;
    }
    if horizon.amplitude > TALL_AMPLITUDE * horizon.floor.abs().max(1.0) {
        return Pattern::Periodic;
    }
    Pattern::Stable
}
