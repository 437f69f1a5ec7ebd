//! `severity`: the rows of the table by which findings are graded.

use super::{
    amount,
    reader::{Durations, Field, Problems},
    tree::clip,
};
use crate::{
    budget::Quantity,
    severity::{Row, Severity, Table},
};
use std::{ops::RangeInclusive, time::Duration};

/// Where a row stands in the list of keys.
const ROW: &str = "severity[]";
/// More rows nobody reads.
const ROWS_MAX: usize = 32;
/// The model is never surer than 99.7 %.
const CONFIDENCE: RangeInclusive<f64> = 0.01..=0.99;
/// Below a minute nobody can act; forecasts end after ten years.
const TIME_TO_LIMIT: Durations = Duration::from_secs(60)..=Duration::from_secs(10 * 365 * 86_400);
/// Slower growth than a thousandth a day is no growth to the model; faster than a hundredfold ends within the hour.
const GROWTH_PER_DAY: RangeInclusive<f64> = 0.001..=100.0;

/// Reads the table; none where nothing is written.
pub(super) fn severity(field: &Field<'_>, problems: &mut Problems) -> Option<Table> {
    let items = field.list(ROWS_MAX, problems)?;
    if items.is_empty() {
        field.wrong(problems, "is empty; write rows, or remove the key for the built-in ones");
    }
    let mut rows: Vec<(String, Row)> = Vec::with_capacity(items.len());
    for item in items {
        let Some(row) = row(&item, problems) else { continue };
        if let Some((before, _)) = rows.iter().find(|(_, before)| before.covers(&row)) {
            item.wrong(
                problems,
                format!("never decides: {before} holds wherever this does; put this before it or remove one"),
            );
        }
        rows.push((item.path.clone(), row));
    }
    Some(Table { rows: rows.into_iter().map(|(_, row)| row).collect() })
}

/// One row; none where something in it is wrong.
fn row(item: &Field<'_>, problems: &mut Problems) -> Option<Row> {
    let before = problems.len();
    let section = item.section(ROW, problems)?;
    let mut needed = |key: &str, what: &str| {
        let field = section.field(key);
        if field.is_none() {
            section.wrong(problems, format!("has no `{key}`; add {what}"));
        }
        field
    };
    let level = needed("level", "what a finding of this row is: low, medium, high or critical");
    let confidence = needed("confidence", "how sure a finding must be at least, such as 90%");
    let level = level.and_then(|field| field.one_of(&Severity::LEVELS, problems));
    let confidence = confidence.and_then(|field| ratio(&field, &CONFIDENCE, problems));
    let time_to_limit =
        section.field("time_to_limit").and_then(|field| field.duration(&TIME_TO_LIMIT, problems));
    let growth_per_day =
        section.field("growth_per_day").and_then(|field| ratio(&field, &GROWTH_PER_DAY, problems));
    let row = Row {
        level: level?,
        confidence: confidence?,
        time_to_limit_secs: time_to_limit.map(|time| time.as_secs_f64()),
        growth_per_day,
    };
    (problems.len() == before).then_some(row)
}

/// A ratio within its bounds.
fn ratio(field: &Field<'_>, range: &RangeInclusive<f64>, problems: &mut Problems) -> Option<f64> {
    let text = field.scalar(&amount::expected(Quantity::Ratio), problems)?;
    let checked = amount::parse(Quantity::Ratio, &text).and_then(|value| {
        let percent = |share: &f64| format!("{}%", share * 100.0);
        let (least, most) = (percent(range.start()), percent(range.end()));
        range
            .contains(&value)
            .then_some(value)
            .ok_or_else(|| format!("is out of range; write {least} to {most}"))
    });
    checked.map_err(|message| field.wrong(problems, format!("{} {message}", clip(&text)))).ok()
}
