//! How much a finding matters: from how sure it is, how soon the limit comes, and how fast the area grows for its size.
//!
//! The [table] is passed in. The one that is built in makes a merely suspected leak one step milder than a sure one.
//!
//! [table]: crate::severity::Table

use super::{
    episode::{CONFIRM_AT, SUSPECT_AT},
    finding::Finding,
};
use crate::severity::{Row, Severity, Table};

const HOUR_SECS: f64 = 3600.0;
const DAY_SECS: f64 = 24.0 * HOUR_SECS;
/// Growth of half the size in a day matters even where no limit is known.
const FAST_SHARE_PER_DAY: f64 = 0.5;

/// The table that is in force where nobody writes another.
#[must_use]
pub fn built_in() -> Table {
    let before = |level, confidence, hours: f64| Row {
        level,
        confidence,
        time_to_limit_secs: Some(hours * HOUR_SECS),
        growth_per_day: None,
    };
    let any = |level, confidence, growth_per_day| Row {
        level,
        confidence,
        time_to_limit_secs: None,
        growth_per_day,
    };
    let rows = vec![
        before(Severity::Critical, CONFIRM_AT, 1.0),
        before(Severity::High, CONFIRM_AT, 4.0),
        before(Severity::High, SUSPECT_AT, 1.0),
        before(Severity::Medium, CONFIRM_AT, 48.0),
        before(Severity::Medium, SUSPECT_AT, 4.0),
        any(Severity::Medium, CONFIRM_AT, Some(FAST_SHARE_PER_DAY)),
        any(Severity::Low, SUSPECT_AT, None),
    ];
    Table { rows }
}

/// The severity of a finding by a table, whatever the finding itself says of it.
#[must_use]
pub fn of(finding: &Finding, table: &Table) -> Severity {
    let secs_left = finding.time_to_limit.map(|time| time.value);
    let share_per_day = finding.growth.value * DAY_SECS / finding.floor.abs().max(1.0);
    let holds = |row: &&Row| {
        finding.confidence >= row.confidence
            && row.time_to_limit_secs.is_none_or(|secs| secs_left.is_some_and(|left| left < secs))
            && row.growth_per_day.is_none_or(|share| share_per_day > share)
    };
    table.rows.iter().find(holds).map_or(Severity::None, |row| row.level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::{Estimate, Evidence, Pattern};

    /// What the table says of a leak of a gigabyte that is this sure, so many hours from its limit, and grows by this
    /// share of itself a day.
    fn check(table: &Table, confidence: f64, hours: Option<f64>, share_per_day: f64, expected: Severity) {
        let estimate = |value| Estimate { value, lower: value, upper: value };
        let finding = Finding {
            growth: estimate(share_per_day * 1e9 / DAY_SECS),
            confidence,
            pattern: Pattern::Linear,
            severity: Severity::None,
            time_to_limit: hours.map(|hours| estimate(hours * HOUR_SECS)),
            floor: 1e9,
            leaked: 0.0,
            since: 0.0,
            evidence: Evidence::default(),
        };
        assert_eq!(of(&finding, table), expected, "{confidence} {hours:?} {share_per_day}");
    }

    #[test]
    fn the_nearer_the_limit_and_the_surer_the_worse() {
        use Severity::{Critical, High, Low, Medium, None};
        let table = built_in();
        for (confidence, hours, share_per_day, expected) in [
            (0.95, Some(0.5), 0.1, Critical),
            (0.8, Some(0.5), 0.1, High),
            (0.95, Some(3.0), 0.1, High),
            (0.8, Some(3.0), 0.1, Medium),
            (0.95, Some(24.0), 0.1, Medium),
            (0.8, Some(24.0), 9.0, Low),
            (0.95, Some(5000.0), 0.1, Low),
            (0.95, Some(5000.0), 0.6, Medium),
            (0.95, Option::None, 0.6, Medium),
            (0.95, Option::None, 0.4, Low),
            (0.8, Option::None, 0.6, Low),
            (0.5, Some(0.5), 9.0, None),
        ] {
            check(&table, confidence, hours, share_per_day, expected);
        }
    }

    #[test]
    fn no_row_of_the_built_in_table_is_idle() {
        let Table { rows } = built_in();
        for (number, row) in rows.iter().enumerate() {
            assert!(!rows[..number].iter().any(|before| before.covers(row)), "{row:?}");
        }
    }

    #[test]
    fn the_first_row_that_holds_decides_and_without_one_there_is_no_severity() {
        let row = |level, confidence| Row {
            level,
            confidence,
            time_to_limit_secs: None,
            growth_per_day: Some(0.1),
        };
        let table = Table { rows: vec![row(Severity::Low, 0.9), row(Severity::Critical, 0.5)] };
        check(&table, 0.95, None, 0.2, Severity::Low);
        check(&table, 0.6, None, 0.2, Severity::Critical);
        check(&table, 0.95, None, 0.05, Severity::None);
        check(&Table { rows: Vec::new() }, 0.99, Some(0.1), 9.0, Severity::None);
    }
}
