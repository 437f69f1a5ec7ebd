//! The pattern by its name: what the second model says, and plain rules for what it was not taught.

use super::{
    finding::Pattern,
    horizon::{Horizon, Matters},
    model::Binned,
};
use crate::sample::Limit;

/// A drift weaker than this, in standard errors, is none.
const LEAST_STRENGTH: f64 = 2.0;
/// A last third faster than this share of the whole is accelerating.
const FASTER_PACE: f64 = 1.5;
/// More of the limit in use than this, without growth, is sustained.
const HIGH_SHARE: f64 = 0.8;

/// The area around a horizon.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// All features.
    pub binned: &'a Binned,
    /// Whether a leak is more likely than not.
    pub leaks: bool,
    /// The nearest limit.
    pub limit: Option<&'a Limit>,
    /// The last size.
    pub size: f64,
}

/// The name of what the horizon shows.
#[must_use]
pub fn name(horizon: &Horizon, around: &Surroundings<'_>) -> Pattern {
    if around.leaks {
        return growing(horizon, around.binned);
    }
    let falls = horizon.matters == Matters::Throughout
        && horizon.drift.slope < 0.0
        && horizon.drift.strength < -LEAST_STRENGTH;
    let learned = around.binned.likeliest(|pattern| !pattern.grows());
    match learned {
        Pattern::Stable | Pattern::Saturating | Pattern::Step if falls => Pattern::Shrinking,
        Pattern::Stable if is_high(around) => Pattern::SustainedHigh,
        learned => learned,
    }
}

fn growing(horizon: &Horizon, binned: &Binned) -> Pattern {
    let learned = binned.likeliest(Pattern::grows);
    if learned == Pattern::Linear && horizon.is_even() && horizon.shape.recent_pace > FASTER_PACE {
        return Pattern::Accelerating;
    }
    learned
}

fn is_high(around: &Surroundings<'_>) -> bool {
    around.limit.is_some_and(|limit| limit.value > 0.0 && around.size > HIGH_SHARE * limit.value)
}
