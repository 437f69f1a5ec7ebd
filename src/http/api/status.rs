//! How the exporter stands, its targets, their episodes, the numbers that they are held against, and the configuration.

use super::{
    Call, Problem,
    areas::worst_first,
    shapes::{AreaId, CountsShape, EpisodeTimes, FindingShape, Row, rows, unit},
};
use crate::{
    detect::{
        episode::{CLEAR_BELOW, CONFIRM_AT, LeakState, SUSPECT_AT},
        quantile::Quantiles,
        severity,
    },
    sample::{Measure, TargetInfo},
    snapshot::{AreaView, CollectorView, EndedEpisode, PartView, Snapshot, TargetView},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// How the exporter stands.
#[derive(Serialize)]
pub(super) struct Status<'a> {
    version: &'static str,
    started_at: f64,
    taken_at: f64,
    tick: u64,
    processes: usize,
    collectors: Vec<CollectorShape<'a>>,
    counts: Counts,
}

#[derive(Serialize)]
pub(super) struct CollectorShape<'a> {
    name: &'static str,
    state: &'static str,
    delivered_at: Option<f64>,
    took_seconds: Option<f64>,
    error: Option<&'a str>,
}

impl<'a> CollectorShape<'a> {
    fn of(view: &'a CollectorView) -> Self {
        Self {
            name: view.name,
            state: view.state.as_str(),
            delivered_at: view.delivered_at,
            took_seconds: view.took_secs,
            error: view.error.as_deref(),
        }
    }
}

/// How many targets and areas there are, and in which state.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) targets: usize,
    pub(super) targets_running: usize,
    pub(super) targets_by_kind: BTreeMap<&'static str, usize>,
    pub(super) areas: usize,
    /// With a finding.
    pub(super) areas_judged: usize,
    /// Watched, but without enough evidence for a finding.
    pub(super) areas_learning: usize,
    pub(super) leaks_suspected: usize,
    pub(super) leaks_confirmed: usize,
    /// Under suspicion, but what leaks inside tells of it.
    pub(super) leaks_explained: usize,
}

impl Counts {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut counts = Self { targets: snapshot.targets.len(), ..Self::default() };
        for target in &snapshot.targets {
            counts.targets_running += usize::from(target.members > 0);
            *counts.targets_by_kind.entry(target.target.kind.as_str()).or_default() += 1;
        }
        for row in rows(&snapshot.targets) {
            counts.areas += 1;
            counts.areas_judged += usize::from(row.finding().is_some());
            counts.areas_learning += usize::from(row.verdict().is_some() && row.finding().is_none());
            match row.state() {
                None | Some(LeakState::None) => {}
                Some(_) if row.is_explained() => counts.leaks_explained += 1,
                Some(LeakState::Suspected) => counts.leaks_suspected += 1,
                Some(LeakState::Confirmed) => counts.leaks_confirmed += 1,
            }
        }
        counts
    }
}

pub(super) fn status<'a>(call: &Call<'a>) -> Status<'a> {
    let Snapshot { tick, taken_at, member_count, standing, .. } = call.snapshot;
    Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: standing.started_at,
        taken_at: *taken_at,
        tick: *tick,
        processes: *member_count,
        collectors: standing.collectors.iter().map(CollectorShape::of).collect(),
        counts: Counts::of(call.snapshot),
    }
}

/// Some of the targets.
#[derive(Serialize)]
pub(super) struct Targets<'a> {
    taken_at: f64,
    total: usize,
    offset: usize,
    limit: usize,
    targets: Vec<TargetShape<'a>>,
}

/// How long answers take, in seconds.
#[derive(Serialize)]
struct ResponseTimes {
    p50: f64,
    p95: f64,
    p99: f64,
}

impl ResponseTimes {
    const fn of(Quantiles { p50, p95, p99 }: Quantiles) -> Self {
        Self { p50, p95, p99 }
    }
}

#[derive(Serialize)]
struct TargetShape<'a> {
    kind: &'static str,
    target: &'a str,
    info: &'a TargetInfo,
    expected: bool,
    members: u32,
    restarts: u64,
    leaks_so_far: u64,
    counters: CountsShape,
    event_loop_lag_seconds: Option<f64>,
    response_time_seconds: Option<ResponseTimes>,
    oldest_file_at: Option<f64>,
    areas: usize,
    /// What those of its processes are made of that were read for it.
    parts: Vec<PartShape<'a>>,
    parts_read_at: Option<f64>,
    /// Of the worst of its areas; none where none is judged.
    state: Option<&'static str>,
    severity: Option<&'static str>,
    worst_area: Option<AreaId>,
}

impl<'a> TargetShape<'a> {
    fn of(target: &'a TargetView) -> Self {
        let judged =
            target.areas.iter().map(|area| Row { target, area }).filter(|row| row.verdict().is_some());
        let worst = judged.min_by(worst_first);
        Self {
            kind: target.target.kind.as_str(),
            target: &target.target.name,
            info: &target.info,
            expected: target.is_expected,
            members: target.members,
            restarts: target.restarts,
            leaks_so_far: target.episodes,
            counters: CountsShape(target.counts),
            event_loop_lag_seconds: target.event_loop_lag_secs,
            response_time_seconds: target.response_times.map(ResponseTimes::of),
            oldest_file_at: target.oldest_file_at,
            areas: target.areas.len(),
            parts: target.parts.iter().map(PartShape::of).collect(),
            parts_read_at: target.parts_read_at,
            state: worst.and_then(|row| row.state()).map(LeakState::as_str),
            severity: worst.and_then(|row| row.finding()).map(|finding| finding.severity.as_str()),
            worst_area: worst.map(|row| row.id()),
        }
    }
}

/// A part of what a target holds.
#[derive(Serialize)]
struct PartShape<'a> {
    part: &'a str,
    measure: &'static str,
    size: f64,
    confidence: f64,
    growth_per_second: Option<f64>,
}

impl<'a> PartShape<'a> {
    fn of(part: &'a PartView) -> Self {
        let PartView { name, measure, size, confidence, growth } = part;
        let measure = match measure {
            Measure::Memory => "memory",
            Measure::Descriptors => "descriptors",
            Measure::SocketBuffers => "socket_buffers",
        };
        Self { part: name, measure, size: *size, confidence: *confidence, growth_per_second: *growth }
    }
}

/// The targets that `kind` and `target` ask for.
fn chosen<'a>(call: &Call<'a>) -> impl Iterator<Item = &'a TargetView> {
    let is = |key: &str, value: &str| call.parameters.text(key).is_none_or(|wanted| wanted == value);
    call.snapshot
        .targets
        .iter()
        .filter(move |target| is("kind", target.target.kind.as_str()) && is("target", &target.target.name))
}

pub(super) fn targets<'a>(call: &Call<'a>) -> Result<Targets<'a>, Problem> {
    let (targets, paging) = (chosen(call).collect::<Vec<_>>(), call.parameters.paging()?);
    Ok(Targets {
        taken_at: call.snapshot.taken_at,
        total: targets.len(),
        offset: paging.offset,
        limit: paging.limit,
        targets: paging.of(targets).map(TargetShape::of).collect(),
    })
}

/// What some of the targets are made of.
#[derive(Serialize)]
pub(super) struct Attributions<'a> {
    taken_at: f64,
    total: usize,
    offset: usize,
    limit: usize,
    attributions: Vec<Attribution<'a>>,
}

#[derive(Serialize)]
struct Attribution<'a> {
    kind: &'static str,
    target: &'a str,
    read_at: Option<f64>,
    grows_most: Option<&'a str>,
    parts: Vec<PartShape<'a>>,
}

/// The targets whose parts were read.
pub(super) fn attribution<'a>(call: &Call<'a>) -> Result<Attributions<'a>, Problem> {
    let targets: Vec<&TargetView> = chosen(call).filter(|target| !target.parts.is_empty()).collect();
    let paging = call.parameters.paging()?;
    let shape = |target: &'a TargetView| Attribution {
        kind: target.target.kind.as_str(),
        target: &target.target.name,
        read_at: target.parts_read_at,
        grows_most: target.fastest_part().map(|(part, _)| &*part.name),
        parts: target.parts.iter().map(PartShape::of).collect(),
    };
    Ok(Attributions {
        taken_at: call.snapshot.taken_at,
        total: targets.len(),
        offset: paging.offset,
        limit: paging.limit,
        attributions: paging.of(targets).map(shape).collect(),
    })
}

/// Some of the episodes.
#[derive(Serialize)]
pub(super) struct Episodes<'a> {
    taken_at: f64,
    total: usize,
    offset: usize,
    limit: usize,
    episodes: Vec<EpisodeShape<'a>>,
}

/// An episode with whose it is.
#[derive(Serialize)]
pub(super) struct EpisodeShape<'a> {
    episode: EpisodeTimes,
    ended_at: Option<f64>,
    area_id: AreaId,
    kind: &'static str,
    target: &'a str,
    area: &'a str,
    pid: Option<u32>,
    unit: &'static str,
    leaked: Option<f64>,
    finding: Option<FindingShape>,
    #[serde(skip)]
    opened_at: f64,
}

impl<'a> EpisodeShape<'a> {
    pub(super) fn open(row: Row<'a>) -> Option<Self> {
        let verdict = row.verdict()?;
        let episode = verdict.episode.as_ref()?;
        let AreaView { area, pid, .. } = row.area;
        Some(Self {
            episode: EpisodeTimes::of(episode),
            ended_at: None,
            area_id: row.id(),
            kind: row.target.target.kind.as_str(),
            target: &row.target.target.name,
            area: &area.name,
            pid: *pid,
            unit: unit(area.unit),
            leaked: Some(verdict.leaked),
            finding: row.finding().map(FindingShape::of),
            opened_at: episode.opened_at,
        })
    }

    pub(super) fn ended(ended: &'a EndedEpisode, has_pids: bool) -> Self {
        let EndedEpisode { target, area, pid, episode, ended_at, finding } = ended;
        Self {
            episode: EpisodeTimes::of(episode),
            ended_at: Some(*ended_at),
            area_id: AreaId::new(target, &area.name, pid.filter(|_| has_pids)),
            kind: target.kind.as_str(),
            target: &target.name,
            area: &area.name,
            pid: *pid,
            unit: unit(area.unit),
            leaked: None,
            finding: finding.as_ref().map(FindingShape::of),
            opened_at: episode.opened_at,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Open,
    Ended,
    All,
}

pub(super) fn episodes<'a>(call: &Call<'a>) -> Result<Episodes<'a>, Problem> {
    let words = [("open", Which::Open), ("ended", Which::Ended), ("all", Which::All)];
    let which = call.parameters.one_of("state", &words)?.unwrap_or(Which::All);
    let paging = call.parameters.paging()?;
    let mut episodes = Vec::new();
    if which != Which::Ended {
        episodes.extend(rows(&call.snapshot.targets).filter_map(EpisodeShape::open));
    }
    if which != Which::Open {
        // With pids shown, an area is that of one process.
        let has_pids = rows(&call.snapshot.targets).any(|row| row.area.pid.is_some());
        let ended = call.snapshot.standing.ended.iter();
        episodes.extend(ended.map(|ended| EpisodeShape::ended(ended, has_pids)));
    }
    episodes.sort_by(|one, other| other.opened_at.total_cmp(&one.opened_at));
    Ok(Episodes {
        taken_at: call.snapshot.taken_at,
        total: episodes.len(),
        offset: paging.offset,
        limit: paging.limit,
        episodes: paging.of(episodes).collect(),
    })
}

/// By which numbers findings are made and graded, and those that targets are held against.
#[derive(Serialize)]
pub(super) struct Rules<'a> {
    taken_at: f64,
    suspected_at_confidence: f64,
    confirmed_at_confidence: f64,
    cleared_below_confidence: f64,
    severity: SeverityShape,
    total: usize,
    offset: usize,
    limit: usize,
    thresholds: Vec<RuleShape<'a>>,
}

#[derive(Serialize)]
struct SeverityShape {
    built_in: bool,
    rows: Vec<SeverityRow>,
}

#[derive(Serialize)]
struct SeverityRow {
    level: &'static str,
    confidence: f64,
    time_to_limit_seconds: Option<f64>,
    growth_per_day: Option<f64>,
}

/// One number that an area, or a target as a whole, is held against.
#[derive(Serialize)]
pub(super) struct RuleShape<'a> {
    kind: &'static str,
    target: &'a str,
    area: Option<&'a str>,
    rule: &'static str,
    level: &'static str,
    value: f64,
    quantity: &'static str,
    words: String,
    breached: Option<bool>,
}

impl RuleShape<'_> {
    /// Whether it is about this area, or about all that the target is.
    pub(super) fn is_about(&self, area: &str) -> bool {
        self.area.is_none_or(|known| known == area)
    }
}

/// The numbers that a target's areas are held against.
pub(super) fn rules_of(target: &TargetView) -> impl Iterator<Item = RuleShape<'_>> {
    target.rules.iter().map(|view| RuleShape {
        kind: target.target.kind.as_str(),
        target: &target.target.name,
        area: view.area.as_deref(),
        rule: view.threshold.rule.name,
        level: view.threshold.level.as_str(),
        value: view.threshold.value,
        quantity: view.threshold.rule.quantity.unit(),
        words: view.threshold.to_string(),
        breached: view.is_breached,
    })
}

pub(super) fn rules<'a>(call: &Call<'a>) -> Result<Rules<'a>, Problem> {
    let (thresholds, paging) =
        (chosen(call).flat_map(rules_of).collect::<Vec<_>>(), call.parameters.paging()?);
    Ok(Rules {
        taken_at: call.snapshot.taken_at,
        suspected_at_confidence: SUSPECT_AT,
        confirmed_at_confidence: CONFIRM_AT,
        cleared_below_confidence: CLEAR_BELOW,
        severity: severity_shape(call.snapshot),
        total: thresholds.len(),
        offset: paging.offset,
        limit: paging.limit,
        thresholds: paging.of(thresholds).collect(),
    })
}

fn severity_shape(snapshot: &Snapshot) -> SeverityShape {
    let written = snapshot.standing.severity.as_deref();
    let table = written.cloned().unwrap_or_else(severity::built_in);
    let rows = table.rows.iter().map(|row| SeverityRow {
        level: row.level.as_str(),
        confidence: row.confidence,
        time_to_limit_seconds: row.time_to_limit_secs,
        growth_per_day: row.growth_per_day,
    });
    SeverityShape { built_in: written.is_none(), rows: rows.collect() }
}

/// The configuration in force.
#[derive(Serialize)]
pub(super) struct Configuration<'a> {
    reload_refused: bool,
    configuration: &'a serde_json::Value,
}

pub(super) fn configuration<'a>(call: &Call<'a>) -> Configuration<'a> {
    let standing = &call.snapshot.standing;
    Configuration { reload_refused: standing.is_reload_refused, configuration: &standing.configuration }
}
