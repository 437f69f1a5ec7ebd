//! How much a finding matters, as data: a table of rows, of which the first whose conditions all hold decides.
//!
//! Who reads a written table is the configuration; who grades by one, and knows the one that is built in, is
//! `detect::severity`.

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// Nothing to do.
    #[default]
    None = 0,
    /// To look at some day.
    Low = 1,
    /// To look at this week.
    Medium = 2,
    /// To look at today.
    High = 3,
    /// To look at now.
    Critical = 4,
}

impl Severity {
    /// Those that a row may give, from the mildest on, with the word for each in the file.
    pub const LEVELS: [(&'static str, Self); 4] =
        [("low", Self::Low), ("medium", Self::Medium), ("high", Self::High), ("critical", Self::Critical)];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A row: conditions, all of which must hold, and what a finding is then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// What it gives.
    pub level: Severity,
    /// The least confidence, 0 to 1.
    pub confidence: f64,
    /// The limit must be reached in less than so many seconds; none: whether there is a limit or not.
    pub time_to_limit_secs: Option<f64>,
    /// The area must grow by more than this share of its size a day; none: however slowly.
    pub growth_per_day: Option<f64>,
}

impl Row {
    /// Whether all that this row holds for holds for another one too, which then never decides behind it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let is_wider = |own: Option<f64>, others: Option<f64>, holds: fn(&f64, &f64) -> bool| {
            own.is_none_or(|own| others.is_some_and(|others| holds(&own, &others)))
        };
        self.confidence <= other.confidence
            && is_wider(self.time_to_limit_secs, other.time_to_limit_secs, f64::ge)
            && is_wider(self.growth_per_day, other.growth_per_day, f64::le)
    }
}

/// The rows in the order in which they are tried; where none holds, the severity is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The rows.
    pub rows: Vec<Row>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_covers_those_that_ask_for_as_much_or_more() {
        let row = |confidence, time_to_limit_secs, growth_per_day| Row {
            level: Severity::Low,
            confidence,
            time_to_limit_secs,
            growth_per_day,
        };
        let hour = Some(3600.0);
        for (one, other, covers) in [
            (row(0.7, None, None), row(0.7, None, None), true),
            (row(0.7, None, None), row(0.9, hour, Some(0.5)), true),
            (row(0.9, None, None), row(0.7, hour, None), false),
            (row(0.7, hour, None), row(0.7, None, None), false),
            (row(0.7, hour, None), row(0.7, Some(60.0), None), true),
            (row(0.7, Some(60.0), None), row(0.7, hour, None), false),
            (row(0.7, None, Some(0.5)), row(0.7, None, Some(0.6)), true),
            (row(0.7, None, Some(0.5)), row(0.7, None, Some(0.4)), false),
            (row(0.7, None, Some(0.5)), row(0.7, hour, None), false),
        ] {
            assert_eq!(one.covers(&other), covers, "{one:?} {other:?}");
        }
    }
}
