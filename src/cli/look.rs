//! A look at an area, for people: the same words and columns wherever a command shows one.

use super::output::{Cell, Column, Tone};
use crate::{
    detect::{
        episode::LeakState,
        finding::Finding,
        words::{Amount, Span},
    },
    sample::{Seconds, Unit},
    snapshot::{AreaView, TargetView},
    text::{Change, Share, pattern_words},
};
use serde::Serialize;

const HOUR_SECS: f64 = 3600.0;
/// Where there is nothing to say.
const NOTHING: &str = "–";

/// The column of the name of a target.
pub(super) const PROGRAM: Column = Column::words("Program");
/// The columns of an area.
pub(super) const COLUMNS: [Column; 7] = [
    Column::words("Area"),
    Column::number("Size"),
    Column::words("Verdict"),
    Column::number("Confidence"),
    Column::number("Growth per hour"),
    Column::words("Pattern"),
    Column::number("Time to limit"),
];

/// The cells of an area, one for each of [`COLUMNS`].
pub(super) fn cells(view: &AreaView) -> [Cell; COLUMNS.len()] {
    let bytes = view.area.unit == Unit::Bytes;
    let finding = finding(view);
    let said = |say: &dyn Fn(&Finding) -> String| {
        finding.map_or_else(|| Cell::new(NOTHING, Tone::Quiet), |finding| say(finding).into())
    };
    [
        name(view).into(),
        Amount { value: view.size, bytes }.to_string().into(),
        Cell::new(word(view), tone(view)),
        said(&|finding| Share(finding.confidence).to_string()),
        said(&|finding| Change { value: finding.growth.value * HOUR_SECS, bytes }.to_string()),
        said(&|finding| pattern_words(finding.pattern).to_owned()),
        said(&|finding| time_to_limit(finding).unwrap_or_else(|| NOTHING.to_owned())),
    ]
}

fn name(view: &AreaView) -> String {
    let name = &view.area.name;
    view.pid.map_or_else(|| name.to_string(), |pid| format!("{name} of {pid}"))
}

fn time_to_limit(finding: &Finding) -> Option<String> {
    finding.time_to_limit.map(|time| Span(time.value).to_string())
}

/// The verdict on an area, if there is one.
pub(super) fn finding(view: &AreaView) -> Option<&Finding> {
    view.verdict.as_ref()?.finding.as_ref()
}

/// What people are told of an area.
pub(super) fn state(view: &AreaView) -> LeakState {
    view.verdict.as_ref().map_or(LeakState::None, |verdict| verdict.state)
}

/// The verdict in a word or two.
pub(super) fn word(view: &AreaView) -> &'static str {
    match (state(view), finding(view)) {
        (LeakState::Confirmed, _) => "confirmed leak",
        (LeakState::Suspected, _) => "suspected",
        (LeakState::None, Some(_)) => "no leak",
        (LeakState::None, None) if view.verdict.is_some() => "too early",
        (LeakState::None, None) => "not judged",
    }
}

fn tone(view: &AreaView) -> Tone {
    match (state(view), finding(view)) {
        (LeakState::Confirmed, _) => Tone::Bad,
        (LeakState::Suspected, _) => Tone::Warn,
        (LeakState::None, Some(_)) => Tone::Good,
        (LeakState::None, None) => Tone::Quiet,
    }
}

/// The area of a target that matters most: the worst verdict, and among equals the first.
pub(super) fn worst(target: &TargetView) -> Option<&AreaView> {
    let rank = |view: &AreaView| {
        (state(view), finding(view).map_or(0.0, |finding| finding.confidence), view.verdict.is_some())
    };
    let mut worst: Option<&AreaView> = None;
    for view in &target.areas {
        if worst.is_none_or(|worst| rank(view) > rank(worst)) {
            worst = Some(view);
        }
    }
    worst
}

/// A look in one line.
pub(super) fn sentence(view: &AreaView) -> String {
    let bytes = view.area.unit == Unit::Bytes;
    let size = Amount { value: view.size, bytes };
    let mut text = format!("{} {size}: {}", name(view), word(view));
    if let Some(finding) = finding(view) {
        let growth = Change { value: finding.growth.value * HOUR_SECS, bytes };
        let pattern = pattern_words(finding.pattern);
        text += &format!(", {} sure, {growth} an hour, {pattern}", Share(finding.confidence));
        if let Some(time) = time_to_limit(finding) {
            text += &format!(", {time} to the limit");
        }
    }
    text
}

/// A look as JSON. The unit of sizes is in `unit`; what is unknown is left out.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// When the tick was, in seconds since the Unix epoch.
    t: Seconds,
    target: String,
    area: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    unit: &'static str,
    size: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    finding: Option<FindingLine>,
}

#[derive(Debug, Serialize)]
struct FindingLine {
    confidence: f64,
    growth_per_second: f64,
    pattern: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_limit_seconds: Option<f64>,
    evidence: String,
}

/// The areas of a target as JSON.
pub(super) fn lines(target: &TargetView, at: Seconds) -> impl Iterator<Item = Line> {
    target.areas.iter().map(move |view| Line {
        t: at,
        target: target.target.name.to_string(),
        area: view.area.name.to_string(),
        pid: view.pid,
        unit: if view.area.unit == Unit::Bytes { "bytes" } else { "objects" },
        size: view.size,
        limit: view.limit.map(|limit| limit.value),
        state: state(view).as_str(),
        finding: finding(view).map(|finding| FindingLine {
            confidence: finding.confidence,
            growth_per_second: finding.growth.value,
            pattern: finding.pattern.as_str(),
            severity: finding.severity.as_str(),
            time_to_limit_seconds: finding.time_to_limit.map(|time| time.value),
            evidence: finding.evidence.to_string(),
        }),
    })
}
