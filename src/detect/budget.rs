//! The judges of budgets: which rules of an area, or of a target as a whole, are breached now, and at which level.
//!
//! Plain numbers want a measurement that does not shout at every garbage collection, or nobody keeps them switched on:
//!
//! - A size, or a share of a limit, is over its number when every sample of half a minute was ([`held`]).
//! - Growth is measured on floors, is none while it falls in between, and is none where the area only goes back to where
//!   it has been lately ([`rise`]). It is measured once three windows, and ten minutes at least, of past are known.
//! - Something is sustained by its share of the samples of the window ([`sustained`]).
//! - What a target tells beside its areas is held or meant over a minute or two ([`target`], [`pace`]).
//!
//! All of them end later than they begin, so that a number that is just touched is one breach and not twenty. Before
//! there is enough to go by there is no standing: absent, and not "kept".
//!
//! A judge takes less than a kilobyte for an area with all rules of the preset `strict`, and only what its rules need: a
//! few dozen bytes for a rule, twelve dozen for a window of growth. A sample allocates nothing. The verdict of the model
//! is no part of this, and this is no part of that.

mod held;
mod pace;
mod rise;
mod sustained;
mod target;

use self::{held::Held, rise::Rises, sustained::Sustained};
pub use self::{
    pace::Pace,
    target::{TargetJudge, TargetReading},
};
use crate::{
    budget::{Budget, Measure, Threshold},
    sample::{Area, Seconds},
};
use std::sync::Arc;

/// A finite window measures a rate within a few percent; from this share of the number on it counts as reached.
const REACHED: f64 = 0.9;
/// Growth ends below this share of the number.
const GROWTH_ENDS: f64 = 0.7;
/// What is sustained ends below this part of the share of samples that began it.
const SUSTAINED_ENDS: f64 = 0.75;
/// A share of a small size is soon reached. Growth by less than this is nothing, whatever its share, in bytes.
const LEAST_RISE_BYTES: f64 = 1e6;
/// What moves less than this share of its size is as good as still: the least that counts as usual.
const LEAST_USUAL_SHARE: f64 = 0.01;

/// What is known of an area at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// When.
    pub at: Seconds,
    /// The size in bytes or objects.
    pub size: f64,
    /// The size as a share of the limit; none where there is no limit.
    pub share_of_limit: Option<f64>,
    /// The part of the size whose change is growth, in the unit of the size and from any zero: what a newly started
    /// process brings along is none. None while all of it is new; growth is then measured from scratch.
    pub grown: Option<f64>,
}

/// How an area, or a target as a whole, stands to one number of its budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The number.
    pub threshold: Threshold,
    /// Whether it is breached; none for a parameter and while there is too little to go by.
    pub is_breached: Option<bool>,
}

/// A number was reached, is kept again, or can no longer be held against anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The number.
    pub threshold: Threshold,
    /// Whether it is breached now; none where that is no longer known.
    pub is_breached: Option<bool>,
    /// What was measured, in the unit of the number; none where samples were counted, and where nothing was.
    pub measured: Option<f64>,
}

/// One area's judge.
#[derive(Debug)]
pub struct BudgetJudge {
    budget: Arc<Budget>,
    size: Held,
    share_of_limit: Held,
    /// From here growth is counted, so that 32-bit floats are exact enough at any size.
    grown_from: f64,
    rises: Box<[Rises]>,
    lines: Box<[Line]>,
}

/// A number of the budget with what it needs beyond what all share.
#[derive(Debug)]
struct Line {
    /// Its position in the budget.
    position: u16,
    is_breached: Option<bool>,
    sustained: Option<Box<Sustained>>,
}

/// What a measurement says about a number.
#[derive(Clone, Copy, Debug)]
struct Look {
    is_over: bool,
    is_under: bool,
    measured: Option<f64>,
}

impl BudgetJudge {
    /// A judge that knows nothing yet, of samples that come every `interval_secs` seconds. None for an area that no rule
    /// of the budget concerns.
    #[must_use]
    pub fn new(budget: &Arc<Budget>, area: &Area, interval_secs: f64) -> Option<Self> {
        let position = |wanted: &Threshold| budget.thresholds().iter().position(|known| known == wanted);
        let line = |threshold: &Threshold| {
            let is_sustained = threshold.rule.uses_sustained_samples();
            Some(Line {
                position: u16::try_from(position(threshold)?).ok()?,
                is_breached: None,
                sustained: is_sustained
                    .then(|| Box::new(Sustained::new(budget.window_secs(), interval_secs))),
            })
        };
        let lines: Box<[Line]> = budget.of_area(area).filter_map(line).collect();
        if lines.is_empty() {
            return None;
        }
        let mut windows: Vec<f64> =
            budget.of_area(area).filter_map(|threshold| window_secs(budget, threshold)).collect();
        windows.sort_by(f64::total_cmp);
        windows.dedup();
        Some(Self {
            budget: Arc::clone(budget),
            size: Held::new(interval_secs),
            share_of_limit: Held::new(interval_secs),
            grown_from: f64::NAN,
            rises: windows.into_iter().map(|window| Rises::new(window, interval_secs)).collect(),
            lines,
        })
    }

    /// Takes in what is known now and tells what changed by it. Samples from before the last one are dropped, as are
    /// sizes that are no finite numbers.
    pub fn take_in(&mut self, reading: &Reading, tell: &mut dyn FnMut(Change)) {
        if !reading.size.is_finite() || !reading.at.is_finite() {
            return;
        }
        self.size.push(reading.at, reading.size);
        if let Some(share) = reading.share_of_limit {
            self.share_of_limit.push(reading.at, share);
        }
        self.grow(reading, tell);
        let Self { budget, size, share_of_limit, rises, lines, .. } = self;
        for line in lines {
            let Some(threshold) = budget.thresholds().get(usize::from(line.position)) else { continue };
            let look = match threshold.rule.measure {
                Measure::Size => size.look(threshold.value),
                Measure::ShareOfLimit => share_of_limit.look(threshold.value),
                Measure::SustainedSize => line.sustain(threshold, budget, reading.at, Some(reading.size)),
                Measure::SustainedShare => {
                    line.sustain(threshold, budget, reading.at, reading.share_of_limit)
                }
                Measure::Rate { .. } | Measure::UsualRate { .. } | Measure::Growth | Measure::GrowthShare => {
                    let window = window_secs(budget, threshold);
                    let rises = rises.iter().find(|rises| window.is_some_and(|window| rises.is_of(window)));
                    rises.and_then(|rises| look_at_rise(threshold, rises, size.floor()))
                }
                // A parameter, or about no area.
                _ => None,
            };
            if let Some(look) = look {
                line.step(*threshold, look, tell);
            }
        }
    }

    /// How the area stands to each number of its budget, parameters included.
    pub fn standings(&self) -> impl Iterator<Item = Standing> {
        self.lines.iter().filter_map(|line| {
            let threshold = *self.budget.thresholds().get(usize::from(line.position))?;
            Some(Standing { threshold, is_breached: line.is_breached })
        })
    }

    /// Remembers growth, or forgets all of it where everything is new.
    fn grow(&mut self, reading: &Reading, tell: &mut dyn FnMut(Change)) {
        let Some(grown) = reading.grown.filter(|grown| grown.is_finite()) else {
            if !self.grown_from.is_nan() {
                self.forget_growth(tell);
            }
            return;
        };
        if self.grown_from.is_nan() {
            self.grown_from = grown;
        }
        for rises in &mut self.rises {
            rises.push(reading.at, narrow(grown - self.grown_from));
        }
    }

    fn forget_growth(&mut self, tell: &mut dyn FnMut(Change)) {
        self.grown_from = f64::NAN;
        for rises in &mut self.rises {
            rises.forget();
        }
        for line in &mut self.lines {
            let Some(threshold) = self.budget.thresholds().get(usize::from(line.position)) else { continue };
            let is_of_growth = line.sustained.is_none() && window_secs(&self.budget, threshold).is_some();
            if is_of_growth && line.is_breached.take() == Some(true) {
                tell(Change { threshold: *threshold, is_breached: None, measured: None });
            }
        }
    }
}

impl Line {
    /// Decides by what was measured, and tells if that is news.
    fn step(&mut self, threshold: Threshold, look: Look, tell: &mut dyn FnMut(Change)) {
        let was_breached = self.is_breached == Some(true);
        let is_breached = look.is_over || (was_breached && !look.is_under);
        self.is_breached = Some(is_breached);
        if is_breached != was_breached {
            tell(Change { threshold, is_breached: Some(is_breached), measured: look.measured });
        }
    }

    /// Counts a sample as high or not; looks when a part of the window has ended.
    fn sustain(
        &mut self,
        threshold: &Threshold,
        budget: &Budget,
        at: Seconds,
        value: Option<f64>,
    ) -> Option<Look> {
        let share = self.sustained.as_mut()?.push(at, value? >= threshold.value)?;
        let wanted = budget.sustained_samples();
        Some(Look { is_over: share >= wanted, is_under: share < SUSTAINED_ENDS * wanted, measured: None })
    }
}

/// The window over which growth is measured for a number; none where it is about something else.
fn window_secs(budget: &Budget, threshold: &Threshold) -> Option<f64> {
    match threshold.rule.measure {
        Measure::Rate { window_secs } | Measure::UsualRate { window_secs } => Some(window_secs),
        Measure::Growth | Measure::GrowthShare => Some(budget.window_secs()),
        _ => None,
    }
}

/// Holds the rise over a window against a number; none where no part of the window has ended just now, or where too
/// little is known.
fn look_at_rise(threshold: &Threshold, rises: &Rises, size_floor: Option<f64>) -> Option<Look> {
    let rise = rises.rise().filter(|_| rises.has_news())?;
    let before = (size_floor? - rise.amount).max(1.0);
    let usual = rises.usual().max(LEAST_USUAL_SHARE * before);
    // The rise that would just reach the number, and one unit of the number as a rise.
    let (wanted, unit, least, is_even) = match threshold.rule.measure {
        Measure::Rate { .. } => (threshold.value * rises.window_secs(), rises.window_secs(), 0.0, true),
        Measure::UsualRate { .. } => (threshold.value * usual, usual, LEAST_RISE_BYTES, true),
        Measure::GrowthShare => (threshold.value * before, before, LEAST_RISE_BYTES, false),
        _ => (threshold.value, 1.0, 0.0, false),
    };
    let is_growth =
        rise.goes_beyond_the_past() && rise.does_not_fall(wanted) && (!is_even || rise.is_even(wanted));
    let reached = if is_even { REACHED } else { 1.0 };
    Some(Look {
        is_over: is_growth && rise.amount >= (reached * wanted).max(least),
        is_under: rise.amount < GROWTH_ENDS * wanted,
        measured: Some(rise.amount / unit),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "differences from a near anchor need no more")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests;
