//! Budgets: plain rules beside the model, for people who have a number.
//!
//! Data alone. What can be held against a number stands in [`table::RULES`], each rule with its unit, its areas, how it
//! is measured and its numbers in the presets; a [`Budget`] is what is in force for one target. Who reads a written
//! budget is the configuration, who judges by it is `detect::budget`. Without a preset and without a number of one's own
//! there is no budget, and so no rule.

pub mod table;

use crate::sample::{Area, Unit};
use std::fmt;

/// The window of the rules that have one, where a budget names none: as in the preset `strict`.
pub const WINDOW_SECS: f64 = 30.0 * 60.0;
/// The share of the samples that must be high, where a budget names none: as in all presets.
pub const SUSTAINED_SAMPLES: f64 = 0.8;
/// Runtimes that run the program on one thread, so that a process of them can use one processor.
pub const ONE_THREAD: [&str; 3] = ["node", "python", "ruby"];

/// A set of numbers that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// For a program that is known well and must not grow.
    Strict,
    /// For a service with room.
    Production,
    /// For a developer's machine.
    Development,
}

impl Preset {
    /// All of them with the word for each in the file.
    pub const ALL: [(&'static str, Self); 3] =
        [("strict", Self::Strict), ("production", Self::Production), ("development", Self::Development)];
}

/// How grave it is to reach a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Not a grade: the number of a parameter, which holds for all grades.
    Any,
    /// Somebody should look.
    Warning,
    /// A clean-up would begin, where one is configured.
    Cleanup,
    /// A thorough clean-up would begin.
    Aggressive,
    /// Somebody should act.
    Critical,
    /// Somebody must act at once.
    Emergency,
}

impl Level {
    /// The grades from the mildest on, with the word for each in the file.
    pub const GRADES: [(&'static str, Self); 5] = [
        ("warning", Self::Warning),
        ("cleanup", Self::Cleanup),
        ("aggressive", Self::Aggressive),
        ("critical", Self::Critical),
        ("emergency", Self::Emergency),
    ];

    /// The value of the `level` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Warning => "warning",
            Self::Cleanup => "cleanup",
            Self::Aggressive => "aggressive",
            Self::Critical => "critical",
            Self::Emergency => "emergency",
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Bytes.
    Bytes,
    /// Things.
    Objects,
    /// A share or a multiple.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes a second.
    BytesPerSecond,
    /// Times a second.
    PerSecond,
}

impl Quantity {
    /// Its unit in words.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Objects => "objects",
            Self::Ratio => "ratio",
            Self::Seconds => "seconds",
            Self::BytesPerSecond => "bytes a second",
            Self::PerSecond => "times a second",
        }
    }
}

/// How a rule is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// The size.
    Size,
    /// The size as a share of the area's limit.
    ShareOfLimit,
    /// Growth a second, even over the window.
    Rate {
        /// Its length in seconds.
        window_secs: f64,
    },
    /// Growth a second as a multiple of what is usual for the area.
    UsualRate {
        /// Its length in seconds.
        window_secs: f64,
    },
    /// Growth over the configured window, in units.
    Growth,
    /// Growth over the configured window as a share of the size before it.
    GrowthShare,
    /// The size in nearly all samples of the configured window.
    SustainedSize,
    /// The share of the limit in nearly all samples of the configured window.
    SustainedShare,
    /// Full collections of garbage a second: those of the old generation, or all where the runtime tells no generations.
    Collections,
    /// Memory beside the heap for each byte in it.
    ExternalToHeap,
    /// Processor time a second for each processor that the target can use.
    ProcessorShare,
    /// By how much the event loop is late, in seconds.
    EventLoopLag,
    /// The mean time in which requests are answered, in seconds.
    ResponseTime,
    /// Nothing: other rules use the number.
    Parameter,
    /// Nothing: the number is decided elsewhere, as the words say.
    Elsewhere(&'static str),
}

/// Which areas a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Areas {
    /// All that are measured in bytes.
    Bytes,
    /// The one of this name.
    Named(&'static str),
    /// Those whose names begin so.
    Beginning(&'static str),
    /// None: it is about the target as a whole.
    Target,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name: the key in the file and the value of the `rule` label.
    pub name: &'static str,
    /// What its number counts.
    pub quantity: Quantity,
    /// How it is measured.
    pub measure: Measure,
    /// Which areas it is for.
    pub areas: Areas,
    /// What it means to reach the number, in one sentence.
    pub effect: &'static str,
    strict: Numbers,
    production: Numbers,
    development: Numbers,
}

/// The numbers of a rule, from the mildest level on.
type Numbers = &'static [(Level, f64)];

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Rule {
    /// The rule of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        table::RULES.iter().copied().find(|rule| rule.name == name)
    }

    /// Its numbers in a preset, from the mildest level on; empty where the preset does without it.
    #[must_use]
    pub const fn numbers(&self, preset: Preset) -> &'static [(Level, f64)] {
        match preset {
            Preset::Strict => self.strict,
            Preset::Production => self.production,
            Preset::Development => self.development,
        }
    }

    /// The level of a number that is written without one.
    #[must_use]
    pub fn plain_level(&self) -> Level {
        if self.measure == Measure::Parameter { Level::Any } else { Level::Warning }
    }

    /// Whether it is held against what a target tells as a whole.
    #[must_use]
    pub fn is_of_target(&self) -> bool {
        self.areas == Areas::Target && !matches!(self.measure, Measure::Elsewhere(_))
    }

    /// Whether it is held against areas of this name and unit.
    #[must_use]
    pub fn concerns(&self, area: &Area) -> bool {
        let wanted = if self.quantity == Quantity::Objects { Unit::Objects } else { Unit::Bytes };
        area.unit == wanted
            && match self.areas {
                Areas::Bytes => true,
                Areas::Named(name) => *area.name == *name,
                Areas::Beginning(beginning) => area.name.starts_with(beginning),
                Areas::Target => false,
            }
    }

    /// Whether it is measured over the configured window.
    #[must_use]
    pub const fn uses_window(&self) -> bool {
        matches!(self.measure, Measure::Growth | Measure::GrowthShare) || self.uses_sustained_samples()
    }

    /// Whether it asks for a share of the samples.
    #[must_use]
    pub const fn uses_sustained_samples(&self) -> bool {
        matches!(self.measure, Measure::SustainedSize | Measure::SustainedShare)
    }
}

/// One number that is in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Of which rule.
    pub rule: &'static Rule,
    /// At which level.
    pub level: Level,
    /// The number, in the rule's unit.
    pub value: f64,
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table::Shown { quantity: self.rule.quantity, value: self.value }.fmt(f)
    }
}

/// What is in force for one target, in the order of the table and of the levels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Budget {
    thresholds: Vec<Threshold>,
}

impl Budget {
    /// The numbers of a preset.
    #[must_use]
    pub fn of_preset(preset: Preset) -> Self {
        let mut budget = Self::default();
        for rule in table::RULES {
            budget.set(rule, rule.numbers(preset));
        }
        budget
    }

    /// Puts these numbers, from the mildest level on, in the place of those that a rule has; none of them puts the rule
    /// out of force.
    pub fn set(&mut self, rule: &'static Rule, numbers: &[(Level, f64)]) {
        self.thresholds.retain(|threshold| threshold.rule != rule);
        self.thresholds.extend(numbers.iter().map(|&(level, value)| Threshold { rule, level, value }));
        let position = |wanted: &Rule| table::RULES.iter().position(|rule| *rule == wanted);
        // Stable, so that the levels keep their order.
        self.thresholds.sort_by_key(|threshold| position(threshold.rule));
    }

    /// With the parameters that its rules need and nobody has written.
    #[must_use]
    pub fn complete(mut self) -> Self {
        let is_used = |uses: fn(&Rule) -> bool| self.thresholds.iter().any(|threshold| uses(threshold.rule));
        let parameters = [
            (&table::WINDOW, WINDOW_SECS, is_used(Rule::uses_window)),
            (&table::SUSTAINED_SAMPLES, SUSTAINED_SAMPLES, is_used(Rule::uses_sustained_samples)),
        ];
        for (rule, value, is_used) in parameters {
            if is_used && self.parameter(rule).is_none() {
                self.set(rule, &[(Level::Any, value)]);
            }
        }
        self
    }

    /// Whether it has no number at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.thresholds.is_empty()
    }

    /// All of its numbers.
    #[must_use]
    pub fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }

    /// The numbers that are held against an area, and the parameters that these use.
    pub fn of_area(&self, area: &Area) -> impl Iterator<Item = &Threshold> {
        let concerns = |threshold: &&Threshold| {
            threshold.rule.measure != Measure::Parameter && threshold.rule.concerns(area)
        };
        let uses = |uses: fn(&Rule) -> bool| {
            self.thresholds.iter().filter(concerns).any(|threshold| uses(threshold.rule))
        };
        let (window, samples) = (uses(Rule::uses_window), uses(Rule::uses_sustained_samples));
        self.thresholds.iter().filter(move |threshold| match threshold.rule.measure {
            Measure::Parameter if *threshold.rule == table::WINDOW => window,
            Measure::Parameter => samples,
            _ => threshold.rule.concerns(area),
        })
    }

    /// The numbers that are held against a target as a whole.
    pub fn of_target(&self) -> impl Iterator<Item = &Threshold> {
        self.thresholds.iter().filter(|threshold| threshold.rule.is_of_target())
    }

    /// The length of the configured window in seconds.
    #[must_use]
    pub fn window_secs(&self) -> f64 {
        self.parameter(&table::WINDOW).unwrap_or(WINDOW_SECS)
    }

    /// The share of samples that must be high.
    #[must_use]
    pub fn sustained_samples(&self) -> f64 {
        self.parameter(&table::SUSTAINED_SAMPLES).unwrap_or(SUSTAINED_SAMPLES)
    }

    fn parameter(&self, rule: &Rule) -> Option<f64> {
        self.thresholds.iter().find(|threshold| threshold.rule == rule).map(|threshold| threshold.value)
    }
}

#[cfg(test)]
mod tests;
