//! The messages of the live stream: what a tick found, as text that all clients share.
//!
//! A page needs no other request to keep itself up to date: `snapshot` has the numbers of the areas that matter most, and
//! `finding` and `episode` tell what changed since the tick before. All of them are bounded.

use super::{
    areas::{Advised, worst_first},
    shapes::{AreaId, Row, rows, unit},
    status::{Counts, EpisodeShape},
};
use crate::{
    detect::{
        episode::{EpisodeId, LeakState},
        finding::{Pattern, Severity},
    },
    snapshot::Snapshot,
};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Areas of one `snapshot`, the worst first: some 15 KB.
const AREAS_MAX: usize = 50;
/// Messages about findings of one tick, the worst first, and as many about episodes.
const CHANGES_MAX: usize = 100;

/// What one tick is to those who listen.
#[derive(Debug)]
pub(in crate::http) struct News {
    /// The `snapshot` message.
    pub(in crate::http) snapshot: String,
    /// The messages about what changed since the tick before.
    pub(in crate::http) changes: Vec<String>,
}

/// What of a tick the next one is compared with.
#[derive(Debug, Default)]
pub(in crate::http) struct Known {
    findings: HashMap<AreaId, Mark>,
    /// Whether each open episode is confirmed.
    open: HashMap<EpisodeId, bool>,
    ended: HashSet<EpisodeId>,
}

/// What must be another for a finding to be a changed one. Its numbers change with every tick and are in the snapshot.
type Mark = (Option<LeakState>, Severity, Pattern, bool);

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Message<'a> {
    Hello { at: f64, version: &'static str, tick: u64 },
    Snapshot(Box<Now<'a>>),
    Finding { at: f64, change: Change, finding: Box<Advised<'a>> },
    Episode { at: f64, change: Change, episode: Box<EpisodeShape<'a>> },
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    New,
    Changed,
    Opened,
    Confirmed,
    Closed,
}

#[derive(Serialize)]
struct Now<'a> {
    at: f64,
    tick: u64,
    processes: usize,
    counts: Counts,
    areas: Vec<AreaNow<'a>>,
    areas_left_out: usize,
}

#[derive(Serialize)]
struct AreaNow<'a> {
    id: AreaId,
    kind: &'static str,
    target: &'a str,
    area: &'a str,
    pid: Option<u32>,
    unit: &'static str,
    size: f64,
    limit: Option<f64>,
    state: Option<&'static str>,
    explained: Option<bool>,
    severity: Option<&'static str>,
    pattern: Option<&'static str>,
    confidence: Option<f64>,
    growth_per_second: Option<f64>,
    time_to_limit_seconds: Option<f64>,
}

impl<'a> AreaNow<'a> {
    fn of(row: Row<'a>) -> Self {
        let finding = row.finding();
        Self {
            id: row.id(),
            kind: row.target.target.kind.as_str(),
            target: &row.target.target.name,
            area: &row.area.area.name,
            pid: row.area.pid,
            unit: unit(row.area.area.unit),
            size: row.area.size,
            limit: row.area.limit.map(|limit| limit.value),
            state: row.state().map(LeakState::as_str),
            explained: row.verdict().and_then(|verdict| verdict.explained),
            severity: finding.map(|finding| finding.severity.as_str()),
            pattern: finding.map(|finding| finding.pattern.as_str()),
            confidence: finding.map(|finding| finding.confidence),
            growth_per_second: finding.map(|finding| finding.growth.value),
            time_to_limit_seconds: finding
                .and_then(|finding| finding.time_to_limit)
                .map(|time| time.value)
                .filter(|secs| secs.is_finite()),
        }
    }
}

impl Known {
    /// What of a tick the next one is compared with.
    pub(in crate::http) fn of(snapshot: &Snapshot) -> Self {
        let open = rows(&snapshot.targets).filter_map(|row| row.verdict()?.episode.as_ref());
        Self {
            findings: rows(&snapshot.targets).filter_map(|row| Some((row.id(), mark(&row)?))).collect(),
            open: open.map(|episode| (episode.id, episode.confirmed_at.is_some())).collect(),
            ended: snapshot.standing.ended.iter().map(|ended| ended.episode.id).collect(),
        }
    }
}

fn mark(row: &Row<'_>) -> Option<Mark> {
    let finding = row.finding()?;
    Some((row.state(), finding.severity, finding.pattern, row.is_explained()))
}

/// The first message to each client.
pub(in crate::http) fn hello(snapshot: &Snapshot) -> String {
    let Snapshot { taken_at, tick, .. } = *snapshot;
    text(&Message::Hello { at: taken_at, version: env!("CARGO_PKG_VERSION"), tick })
}

/// What a tick is to those who listen, and what they know of the one before.
pub(in crate::http) fn news(snapshot: &Snapshot, known: &Known) -> News {
    let mut changes = findings(snapshot, known);
    changes.extend(episodes(snapshot, known));
    News { snapshot: now(snapshot), changes }
}

fn now(snapshot: &Snapshot) -> String {
    let mut areas: Vec<Row<'_>> = rows(&snapshot.targets).collect();
    let areas_left_out = areas.len().saturating_sub(AREAS_MAX);
    areas.sort_by(|one, other| worst_first(one, other).then(other.area.size.total_cmp(&one.area.size)));
    areas.truncate(AREAS_MAX);
    text(&Message::Snapshot(Box::new(Now {
        at: snapshot.taken_at,
        tick: snapshot.tick,
        processes: snapshot.member_count,
        counts: Counts::of(snapshot),
        areas: areas.into_iter().map(AreaNow::of).collect(),
        areas_left_out,
    })))
}

fn findings(snapshot: &Snapshot, known: &Known) -> Vec<String> {
    let mut changed: Vec<(Row<'_>, Change)> = rows(&snapshot.targets)
        .filter_map(|row| {
            let mark = mark(&row)?;
            match known.findings.get(&row.id()) {
                None => Some((row, Change::New)),
                Some(before) if *before != mark => Some((row, Change::Changed)),
                Some(_) => None,
            }
        })
        .collect();
    changed.sort_by(|(one, _), (other, _)| worst_first(one, other));
    changed.truncate(CHANGES_MAX);
    let at = snapshot.taken_at;
    let message = |(row, change)| text(&Message::Finding { at, change, finding: Box::new(Advised::of(row)) });
    changed.into_iter().map(message).collect()
}

fn episodes(snapshot: &Snapshot, known: &Known) -> Vec<String> {
    let open = rows(&snapshot.targets).filter_map(|row| {
        let episode = row.verdict()?.episode.as_ref()?;
        let change = match (known.open.get(&episode.id), episode.confirmed_at.is_some()) {
            (None, _) => Change::Opened,
            (Some(false), true) => Change::Confirmed,
            (Some(_), _) => return None,
        };
        Some((change, EpisodeShape::open(row)?))
    });
    let has_pids = rows(&snapshot.targets).any(|row| row.area.pid.is_some());
    let ended = snapshot.standing.ended.iter().filter(|ended| !known.ended.contains(&ended.episode.id));
    let ended = ended.map(|ended| (Change::Closed, EpisodeShape::ended(ended, has_pids)));
    let at = snapshot.taken_at;
    open.chain(ended)
        .take(CHANGES_MAX)
        .map(|(change, episode)| text(&Message::Episode { at, change, episode: Box::new(episode) }))
        .collect()
}

/// Keys are texts and no map has another one, so this always becomes JSON.
fn text(message: &Message<'_>) -> String {
    serde_json::to_string(message).unwrap_or_default()
}
