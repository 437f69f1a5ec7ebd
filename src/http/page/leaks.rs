//! The table of verdicts, the worst first.

use super::{is_bytes, write_cell, write_columns, write_end, write_target_cell};
use crate::{
    detect::{
        episode::LeakState,
        finding::{Estimate, Finding, Severity},
        words::{Amount, Span},
    },
    http::api::recommendations,
    sample::{Limit, LimitSource},
    snapshot::{AreaView, Snapshot, TargetView, Verdict},
    text::{Ago, Change, Escaped, Plural, Share, pattern_words},
};
use std::{
    cmp::Ordering,
    fmt::{self, Write as _},
};

const STATE: (&str, &str) = ("State", "state");
const AREA: (&str, &str) = ("Area", "");
const SIZE: (&str, &str) = ("Size", "number");
const GROWTH: (&str, &str) = ("Growth per hour", "number");
const CONFIDENCE: (&str, &str) = ("Confidence", "number");
const PATTERN: (&str, &str) = ("Pattern", "");
const TIME_TO_LIMIT: (&str, &str) = ("Time to limit", "number");
const SINCE: (&str, &str) = ("Since", "number");
const EVIDENCE: (&str, &str) = ("Evidence", "evidence");

/// What surrounds the rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) rows_max: usize,
    /// Areas without enough evidence.
    pub(super) learning: usize,
    pub(super) first_verdict_samples: u32,
}

/// One area with a finding.
struct Row<'a> {
    target: &'a TargetView,
    area: &'a AreaView,
    verdict: &'a Verdict,
    finding: &'a Finding,
}

/// Writes the table, or why there is none, and returns how many rows it has.
pub(super) fn write(html: &mut String, snapshot: &Snapshot, frame: &Frame) -> Result<usize, fmt::Error> {
    let mut rows: Vec<Row<'_>> = snapshot.targets.iter().flat_map(rows_of).collect();
    rows.sort_by(worst_first);
    html.write_str("<section aria-labelledby=\"verdicts\">\n<h2 id=\"verdicts\">Verdicts</h2>\n")?;
    write_words(html, rows.first(), frame)?;
    let shown = rows.len().min(frame.rows_max);
    if shown > 0 {
        let columns =
            [STATE, ("Target", ""), AREA, SIZE, GROWTH, CONFIDENCE, PATTERN, TIME_TO_LIMIT, SINCE, EVIDENCE];
        write_columns(html, "Judged areas, the worst first", &columns)?;
        rows.iter().take(shown).try_for_each(|row| write_row(html, row, snapshot.taken_at))?;
        write_end(html, rows.len() - shown, "area")?;
    }
    html.write_str("</section>\n")?;
    Ok(shown)
}

fn rows_of(target: &TargetView) -> impl Iterator<Item = Row<'_>> {
    target.areas.iter().filter_map(move |area| {
        let verdict = area.verdict.as_ref()?;
        Some(Row { target, area, verdict, finding: verdict.finding.as_ref()? })
    })
}

/// By what people must see first: state, severity, confidence, growth.
fn worst_first(one: &Row<'_>, other: &Row<'_>) -> Ordering {
    // What others explain stands below them.
    let rank = |row: &Row<'_>| (row.verdict.state, row.verdict.explained != Some(true), row.finding.severity);
    rank(other)
        .cmp(&rank(one))
        .then_with(|| other.finding.confidence.total_cmp(&one.finding.confidence))
        .then_with(|| other.finding.growth.value.total_cmp(&one.finding.growth.value))
}

/// The sentence above the table, or in its place.
fn write_words(html: &mut String, worst: Option<&Row<'_>>, frame: &Frame) -> fmt::Result {
    let Some(worst) = worst else {
        return write_empty(html, frame);
    };
    if worst.verdict.state == LeakState::None {
        html.write_str("<p class=\"empty good\"><strong>No leak is suspected.</strong></p>\n")?;
    }
    if frame.learning > 0 {
        let areas = Plural { count: frame.learning, thing: "area" };
        let have = if frame.learning == 1 { "has" } else { "have" };
        writeln!(
            html,
            "<p class=\"note\">{areas} {have} too little evidence yet; a first verdict needs about {} samples.</p>",
            frame.first_verdict_samples,
        )?;
    }
    Ok(())
}

fn write_empty(html: &mut String, frame: &Frame) -> fmt::Result {
    if frame.learning == 0 {
        return html.write_str(
            "<p class=\"empty\"><strong>No area is judged.</strong> No process that is watched runs now, or the \
             configuration judges no area.</p>\n",
        );
    }
    writeln!(
        html,
        "<p class=\"empty\"><strong>No verdict yet.</strong> The first verdicts need about {} samples; {} under \
         observation.</p>",
        frame.first_verdict_samples,
        if frame.learning == 1 { "1 area is".to_owned() } else { format!("{} areas are", frame.learning) },
    )
}

fn write_row(html: &mut String, row: &Row<'_>, now: f64) -> fmt::Result {
    let Row { target, area, verdict, finding } = *row;
    let bytes = is_bytes(area);
    html.write_str("<tr role=\"row\">")?;
    write_cell(
        html,
        STATE,
        Badge { state: verdict.state, severity: finding.severity, explained: verdict.explained },
    )?;
    write_target_cell(html, target)?;
    write_cell(html, AREA, AreaName(area))?;
    write_cell(html, SIZE, Size { size: area.size, limit: area.limit, bytes })?;
    write_cell(html, GROWTH, Change { value: finding.growth.value * 3600.0, bytes })?;
    write_cell(html, CONFIDENCE, Share(finding.confidence))?;
    write_cell(html, PATTERN, pattern_words(finding.pattern))?;
    write_cell(html, TIME_TO_LIMIT, TimeToLimit(finding.time_to_limit))?;
    write_cell(html, SINCE, Since { row, now })?;
    write_cell(html, EVIDENCE, format_args!("{}{}", Told(row), Next(row)))?;
    html.write_str("</tr>\n")
}

/// State and severity in words; the colour only repeats them.
struct Badge {
    state: LeakState,
    severity: Severity,
    explained: Option<bool>,
}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, severity, explained } = *self;
        let word = if state == LeakState::None { "no leak" } else { state.as_str() };
        write!(f, "<span class=\"badge {}\">{word}</span>", state.as_str())?;
        if explained == Some(true) {
            return f.write_str(" <small>explained by what leaks inside</small>");
        }
        match severity {
            Severity::None => Ok(()),
            severity => write!(f, " <small>{}</small>", severity.as_str()),
        }
    }
}

/// The evidence, and which part of a suspect grows.
struct Told<'a>(&'a Row<'a>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { target, area, verdict, finding } = self.0;
        write!(f, "{}", finding.evidence)?;
        match target.fastest_part() {
            Some((part, growth)) if is_bytes(area) && verdict.state > LeakState::None => {
                let growth = Change { value: growth * 3600.0, bytes: true };
                write!(
                    f,
                    " <small>grows most in <bdi>{}</bdi>: {growth} per hour</small>",
                    Escaped(&part.name)
                )
            }
            _ => Ok(()),
        }
    }
}

/// What to do first about a row; nothing where there is nothing to do.
struct Next<'a>(&'a Row<'a>);

impl fmt::Display for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(advice) = recommendations(self.0.target, self.0.area).into_iter().next() else {
            return Ok(());
        };
        write!(f, " <small>{}", Escaped(advice.text))?;
        if let Some(command) = advice.command {
            write!(f, " <code>{}</code>", Escaped(&command))?;
        }
        f.write_str("</small>")
    }
}

struct AreaName<'a>(&'a AreaView);

impl fmt::Display for AreaName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<bdi>{}</bdi>", Escaped(&self.0.area.name))?;
        self.0.pid.map_or(Ok(()), |pid| write!(f, " <small>pid {pid}</small>"))
    }
}

struct Size {
    size: f64,
    limit: Option<Limit>,
    bytes: bool,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, limit, bytes } = *self;
        write!(f, "{}", Amount { value: size, bytes })?;
        let Some(limit) = limit else { return Ok(()) };
        let whose = match limit.source {
            LimitSource::Cgroup => "cgroup",
            LimitSource::Rlimit => "process",
            LimitSource::Host => "machine",
            LimitSource::Runtime => "runtime",
            LimitSource::Configured => "configuration",
            LimitSource::FileSystem => "file system",
        };
        write!(f, " <small>{whose} limit {}", Amount { value: limit.value, bytes })?;
        if limit.value > 0.0 {
            write!(f, "</small> <small>{} used", Share(limit.used / limit.value))?;
        }
        f.write_str("</small>")
    }
}

struct TimeToLimit(Option<Estimate>);

impl fmt::Display for TimeToLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Estimate { value, lower, .. }) => {
                write!(f, "{} <small>at least {}</small>", Span(value), Span(lower))
            }
            None => f.write_str("–"),
        }
    }
}

/// Since when the open episode's growth lasts; without an episode nothing began.
struct Since<'a> {
    row: &'a Row<'a>,
    now: f64,
}

impl fmt::Display for Since<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row.verdict.episode {
            Some(episode) => {
                let bytes = is_bytes(self.row.area);
                write!(f, "{}", Ago { then: episode.since, now: self.now })?;
                let leaked = Change { value: self.row.verdict.leaked, bytes };
                write!(f, " <small>{leaked} since</small>")
            }
            None => f.write_str("–"),
        }
    }
}
