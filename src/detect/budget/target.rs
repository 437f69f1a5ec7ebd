//! The judge of a target as a whole: what it tells of itself beside its areas.
//!
//! How late an event loop is and how much lies beside the heap jump about like sizes: they are over a number when every
//! sample of half a minute was. What comes from counters is a mean of one to two minutes already
//! ([`Pace`](super::Pace)); it is over from the number on, and kept again below nine tenths of it.
//!
//! What nobody tells any more is neither: after a minute of silence there is no standing, and a breach ends as unknown. A
//! rule of which nobody ever told is as good as not in force.

use super::{Change, Line, Look, Standing, held::Held};
use crate::{
    budget::{Budget, Measure, Rule},
    sample::Seconds,
};
use std::sync::Arc;

/// A mean ends its breach below this share of the number.
const MEAN_ENDS: f64 = 0.9;

/// What is known of a target at one moment; none of what nobody tells now.
#[derive(Clone, Copy, Debug, Default)]
pub struct TargetReading {
    /// When.
    pub at: Seconds,
    /// Full collections of garbage a second.
    pub collections_per_sec: Option<f64>,
    /// Bytes beside the heap for each byte in it.
    pub external_to_heap: Option<f64>,
    /// Processor time a second for each processor.
    pub processor_share: Option<f64>,
    /// By how much the event loop is late.
    pub event_loop_lag_secs: Option<f64>,
    /// How long an answer takes.
    pub response_secs: Option<f64>,
}

/// One target's judge.
#[derive(Debug)]
pub struct TargetJudge {
    budget: Arc<Budget>,
    courses: Box<[Course]>,
}

/// How one rule fares.
#[derive(Debug)]
struct Course {
    measure: Measure,
    /// When it was told last; before all times where it never was.
    told_at: Seconds,
    held: Held,
    lines: Box<[Line]>,
}

impl TargetReading {
    fn of(&self, measure: Measure) -> Option<f64> {
        let value = match measure {
            Measure::Collections => self.collections_per_sec,
            Measure::ExternalToHeap => self.external_to_heap,
            Measure::ProcessorShare => self.processor_share,
            Measure::EventLoopLag => self.event_loop_lag_secs,
            Measure::ResponseTime => self.response_secs,
            _ => None,
        };
        value.filter(|value| value.is_finite())
    }
}

impl TargetJudge {
    /// A judge that knows nothing yet, of readings that come every `interval_secs` seconds. None where no rule of the
    /// budget is about a target as a whole.
    #[must_use]
    pub fn new(budget: &Arc<Budget>, interval_secs: f64) -> Option<Self> {
        let mut rules: Vec<&'static Rule> = budget.of_target().map(|threshold| threshold.rule).collect();
        rules.dedup();
        if rules.is_empty() {
            return None;
        }
        let courses = rules.into_iter().map(|rule| Course::new(rule, budget, interval_secs)).collect();
        Some(Self { budget: Arc::clone(budget), courses })
    }

    /// Whether any of its rules needs this.
    #[must_use]
    pub fn asks_for(&self, measure: Measure) -> bool {
        self.courses.iter().any(|course| course.measure == measure)
    }

    /// Takes in what is known now and tells what changed by it.
    pub fn take_in(&mut self, reading: &TargetReading, tell: &mut dyn FnMut(Change)) {
        for course in &mut self.courses {
            course.forget_the_old(reading.at, &self.budget, tell);
            if let Some(value) = reading.of(course.measure) {
                course.take_in(reading.at, value, &self.budget, tell);
            }
        }
    }

    /// How the target stands to each number of which anything was ever told.
    pub fn standings(&self) -> impl Iterator<Item = Standing> {
        let told = self.courses.iter().filter(|course| course.told_at.is_finite());
        told.flat_map(|course| &course.lines).filter_map(|line| {
            let threshold = *self.budget.thresholds().get(usize::from(line.position))?;
            Some(Standing { threshold, is_breached: line.is_breached })
        })
    }
}

impl Course {
    fn new(rule: &'static Rule, budget: &Budget, interval_secs: f64) -> Self {
        let of_rule = budget.thresholds().iter().enumerate().filter(|(_, threshold)| threshold.rule == rule);
        let line = |(position, _)| {
            Some(Line { position: u16::try_from(position).ok()?, is_breached: None, sustained: None })
        };
        Self {
            measure: rule.measure,
            told_at: f64::NEG_INFINITY,
            held: Held::new(interval_secs),
            lines: of_rule.filter_map(line).collect(),
        }
    }

    fn take_in(&mut self, at: Seconds, value: f64, budget: &Budget, tell: &mut dyn FnMut(Change)) {
        self.told_at = at;
        let is_held = matches!(self.measure, Measure::EventLoopLag | Measure::ExternalToHeap);
        if is_held {
            self.held.push(at, value);
        }
        for line in &mut self.lines {
            let Some(threshold) = budget.thresholds().get(usize::from(line.position)) else { continue };
            let number = threshold.value;
            let look = if is_held { self.held.look(number) } else { Some(look_at_mean(value, number)) };
            if let Some(look) = look {
                line.step(*threshold, look, tell);
            }
        }
    }

    /// What was told too long ago says nothing of now.
    fn forget_the_old(&mut self, at: Seconds, budget: &Budget, tell: &mut dyn FnMut(Change)) {
        if at - self.told_at <= self.held.patience_secs() {
            return;
        }
        for line in &mut self.lines {
            if line.is_breached.take() == Some(true)
                && let Some(threshold) = budget.thresholds().get(usize::from(line.position))
            {
                tell(Change { threshold: *threshold, is_breached: None, measured: None });
            }
        }
    }
}

fn look_at_mean(mean: f64, number: f64) -> Look {
    Look { is_over: mean >= number, is_under: mean < MEAN_ENDS * number, measured: Some(mean) }
}

#[cfg(test)]
mod tests;
