//! The report: what leaks and what to do about it, what grows, what is over. As JSON, or for people as Markdown or HTML.

mod html;
mod markdown;

use super::{
    Body, Call, Problem,
    areas::{Advised, growth, worst_first},
    health::{self, Health},
    json,
    shapes::{AreaId, EstimateShape, Row, rows, unit},
    status::{Counts, EpisodeShape},
};
use crate::{
    detect::{
        advice::Advice,
        episode::LeakState,
        words::{Amount, Span},
    },
    snapshot::{EndedEpisode, Snapshot},
    text::{Change, Moment, Share, pattern_words},
};
use serde::Serialize;

/// More findings than this nobody reads at once; `/api/v1/findings` has them all.
const FINDINGS_MAX: usize = 100;
const TRENDS_MAX: usize = 20;
const ENDED_MAX: usize = 20;
const DAY_SECS: f64 = 86_400.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Markdown,
    Html,
}

/// What a report is made of, in whichever format.
struct Material<'a> {
    snapshot: &'a Snapshot,
    status: Health,
    counts: Counts,
    /// Suspected and confirmed leaks, the worst first, without what others tell of.
    leaks: Vec<Row<'a>>,
    /// How many more there are.
    leaks_left_out: usize,
    /// What grows, the fastest for its size first.
    trends: Vec<Row<'a>>,
    /// What is over, the last first.
    ended: Vec<&'a EndedEpisode>,
}

pub(super) fn report(call: &Call<'_>) -> Result<Body, Problem> {
    let formats = [("json", Format::Json), ("markdown", Format::Markdown), ("html", Format::Html)];
    let format = call.parameters.one_of("format", &formats)?.unwrap_or(Format::Json);
    let material = Material::of(call.snapshot);
    match format {
        Format::Json => json(&Report::of(&material)),
        Format::Markdown => written(|text| markdown::write(text, &material)).map(Body::Markdown),
        Format::Html => written(|text| html::write(text, &material)).map(Body::Html),
    }
}

fn written(write: impl FnOnce(&mut String) -> std::fmt::Result) -> Result<String, Problem> {
    let mut text = String::with_capacity(16 * 1024);
    write(&mut text).map_err(|_never| Problem::ours("The report could not be written."))?;
    Ok(text)
}

impl<'a> Material<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let is_leak = |row: &Row<'_>| row.state() > Some(LeakState::None) && !row.is_explained();
        let mut leaks: Vec<Row<'a>> = rows(&snapshot.targets).filter(is_leak).collect();
        leaks.sort_by(worst_first);
        let leaks_left_out = leaks.len().saturating_sub(FINDINGS_MAX);
        leaks.truncate(FINDINGS_MAX);
        // Without steps the growth does not matter.
        let grows = |row: &Row<'_>| {
            growth(row) > 0.0 && row.finding().is_some_and(|finding| finding.evidence.steps > 0)
        };
        let mut trends: Vec<Row<'a>> = rows(&snapshot.targets).filter(grows).collect();
        trends.sort_by(|one, other| share_per_day(other).total_cmp(&share_per_day(one)));
        trends.truncate(TRENDS_MAX);
        let ended = snapshot.standing.ended.iter().rev().take(ENDED_MAX).collect();
        let (status, counts) = (health::overall(snapshot), Counts::of(snapshot));
        Self { snapshot, status, counts, leaks, leaks_left_out, trends, ended }
    }

    /// What is said of the whole in one sentence.
    fn summary(&self) -> String {
        let Counts { targets_running, leaks_confirmed, leaks_suspected, areas_judged, .. } = &self.counts;
        format!(
            "The state is {}: {leaks_confirmed} confirmed and {leaks_suspected} suspected leaks; {areas_judged} areas \
             judged, {targets_running} targets running.",
            self.status.as_str()
        )
    }

    fn taken_at(&self) -> String {
        Moment::of(self.snapshot.taken_at)
            .map_or_else(|| String::from("an unknown time"), |moment| moment.to_string())
    }
}

/// By what share of its size an area grows in a day.
fn share_per_day(row: &Row<'_>) -> f64 {
    growth(row) * DAY_SECS / row.area.size.max(1.0)
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    started_at: f64,
    taken_at: f64,
    status: Health,
    summary: String,
    counts: &'a Counts,
    findings: Vec<Advised<'a>>,
    findings_left_out: usize,
    trends: Vec<Trend<'a>>,
    ended_episodes: Vec<EpisodeShape<'a>>,
}

#[derive(Serialize)]
struct Trend<'a> {
    area_id: AreaId,
    kind: &'static str,
    target: &'a str,
    area: &'a str,
    unit: &'static str,
    size: f64,
    growth_per_second: Option<EstimateShape>,
    growth_per_day_ratio: f64,
    size_in_a_day: f64,
    pattern: Option<&'static str>,
    state: Option<&'static str>,
}

impl<'a> Report<'a> {
    fn of(material: &'a Material<'a>) -> Self {
        let Snapshot { taken_at, standing, .. } = material.snapshot;
        let has_pids = rows(&material.snapshot.targets).any(|row| row.area.pid.is_some());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at: standing.started_at,
            taken_at: *taken_at,
            status: material.status,
            summary: material.summary(),
            counts: &material.counts,
            findings: material.leaks.iter().map(|row| Advised::of(*row)).collect(),
            findings_left_out: material.leaks_left_out,
            trends: material.trends.iter().map(|row| Trend::of(*row)).collect(),
            ended_episodes: material.ended.iter().map(|ended| EpisodeShape::ended(ended, has_pids)).collect(),
        }
    }
}

impl<'a> Trend<'a> {
    fn of(row: Row<'a>) -> Self {
        Self {
            area_id: row.id(),
            kind: row.target.target.kind.as_str(),
            target: &row.target.target.name,
            area: &row.area.area.name,
            unit: unit(row.area.area.unit),
            size: row.area.size,
            growth_per_second: row.finding().map(|finding| EstimateShape::of(finding.growth)),
            growth_per_day_ratio: share_per_day(&row),
            size_in_a_day: row.area.size + growth(&row) * DAY_SECS,
            pattern: row.finding().map(|finding| finding.pattern.as_str()),
            state: row.state().map(LeakState::as_str),
        }
    }
}

/// One leak in words, nothing of it escaped yet.
struct Told {
    title: String,
    facts: Vec<String>,
    advice: Vec<Advice>,
}

impl Told {
    fn of(row: &Row<'_>, now: f64) -> Self {
        let bytes = row.is_bytes();
        let title = format!("{} of {}", row.area.area.name, name(row));
        let mut facts = Vec::new();
        let state = row.state().unwrap_or_default().as_str();
        match row.finding() {
            None => facts.push(format!("{state}; too little evidence just now for numbers")),
            Some(finding) => {
                facts.push(format!("{state}, severity {}", finding.severity.as_str()));
                facts.push(format!(
                    "{} per hour, {} sure, {}",
                    Change { value: finding.growth.value * 3600.0, bytes },
                    Share(finding.confidence),
                    pattern_words(finding.pattern),
                ));
                if let Some(left) = finding.time_to_limit {
                    facts.push(format!("limit in {}, at least {}", Span(left.value), Span(left.lower)));
                }
                facts.push(finding.evidence.to_string());
            }
        }
        let size = Amount { value: row.area.size, bytes };
        facts.push(match row.area.limit {
            Some(limit) => format!("{size} now, limit {}", Amount { value: limit.value, bytes }),
            None => format!("{size} now"),
        });
        if let Some((verdict, episode)) = row.verdict().and_then(|verdict| Some((verdict, verdict.episode?)))
        {
            let since = Span((now - episode.since).max(0.0));
            facts.push(format!("{} in the {since} since it began", Change { value: verdict.leaked, bytes }));
        }
        Self { title, facts, advice: row.recommendations() }
    }
}

/// The name of a row's owner, with its kind.
fn name(row: &Row<'_>) -> String {
    let pid = row.area.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    format!("{} ({}{pid})", row.target.target.name, row.target.target.kind)
}

/// The columns of the table of trends.
const TREND_COLUMNS: [&str; 6] = ["Target", "Area", "Size", "Growth per hour", "In a day", "Pattern"];

/// A row of that table, nothing of it escaped yet.
fn trend_cells(row: &Row<'_>) -> [String; 6] {
    let bytes = row.is_bytes();
    [
        name(row),
        row.area.area.name.to_string(),
        Amount { value: row.area.size, bytes }.to_string(),
        Change { value: growth(row) * 3600.0, bytes }.to_string(),
        Amount { value: row.area.size + growth(row) * DAY_SECS, bytes }.to_string(),
        row.finding().map(|finding| pattern_words(finding.pattern).to_owned()).unwrap_or_default(),
    ]
}

/// An episode that is over in words, nothing of it escaped yet.
fn ended_words(ended: &EndedEpisode) -> String {
    let EndedEpisode { target, area, episode, ended_at, .. } = ended;
    let how = if episode.confirmed_at.is_some() { "confirmed" } else { "suspected" };
    let lasted = Span((ended_at - episode.since).max(0.0));
    let end = Moment::of(*ended_at).map(|moment| format!(", over since {moment}")).unwrap_or_default();
    format!("{} of {} ({}): {how}, lasted {lasted}{end}", area.name, target.name, target.kind)
}
