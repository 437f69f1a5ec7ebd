//! Health in three words: of the exporter, part by part, and of what it watches.

use super::shapes::{AreaId, FindingShape, Row};
use crate::{
    budget::Level,
    detect::{episode::LeakState, finding::Severity, words::Span},
    snapshot::{AreaView, CollectorState, CollectorView, RuleView, Snapshot, TargetView},
};
use serde::Serialize;

/// More troubles than this nobody reads; their number is told in any case.
const TROUBLES_MAX: usize = 100;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Health {
    Healthy,
    Degraded,
    Critical,
}

impl Health {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        }
    }
}

/// The health of all.
#[derive(Serialize)]
pub(super) struct Overall<'a> {
    taken_at: f64,
    pub(super) status: Health,
    /// The parts of the exporter.
    components: Vec<Component>,
    /// What it watches.
    targets: Watched<'a>,
}

#[derive(Serialize)]
struct Component {
    name: String,
    status: Health,
    reason: String,
    /// Of memory, in bytes a second, where it is known of the part.
    growth_per_second: Option<f64>,
    finding: Option<FindingShape>,
}

#[derive(Serialize)]
struct Watched<'a> {
    status: Health,
    healthy: usize,
    degraded: usize,
    critical: usize,
    troubles: Vec<Trouble<'a>>,
}

/// What is wrong with a target, by the worst of its areas.
#[derive(Serialize)]
struct Trouble<'a> {
    kind: &'static str,
    target: &'a str,
    /// Both null where the target as a whole is in trouble.
    area: Option<&'a str>,
    area_id: Option<AreaId>,
    status: Health,
    reason: String,
}

pub(super) fn health(snapshot: &Snapshot) -> Overall<'_> {
    let mut components: Vec<Component> = snapshot.standing.collectors.iter().map(collector).collect();
    components.push(configuration(snapshot));
    components.extend(itself(snapshot));
    let targets = watched(snapshot);
    let worst = components.iter().map(|component| component.status).max().unwrap_or(Health::Healthy);
    Overall { taken_at: snapshot.taken_at, status: worst.max(targets.status), components, targets }
}

fn collector(view: &CollectorView) -> Component {
    let (status, reason) = match view.state {
        CollectorState::Waiting => (Health::Healthy, "it was not heard of yet"),
        CollectorState::Works => (Health::Healthy, "it delivers in time"),
        CollectorState::Late => (Health::Degraded, "it misses its time; its targets keep their last values"),
        CollectorState::Fails => (Health::Critical, "it cannot deliver; its targets keep their last values"),
        CollectorState::Dead => (Health::Critical, "it ended unexpectedly; it is started again"),
    };
    let why = view.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
    let name = format!("collector {}", view.name);
    Component { name, status, reason: format!("{reason}{why}"), growth_per_second: None, finding: None }
}

fn configuration(snapshot: &Snapshot) -> Component {
    let (status, reason) = if snapshot.standing.is_reload_refused {
        (Health::Degraded, "the last one was refused, the one before it is in force; the log says why")
    } else {
        (Health::Healthy, "it is in force as it was written")
    };
    let name = String::from("configuration");
    Component { name, status, reason: reason.into(), growth_per_second: None, finding: None }
}

/// The exporter's own memory; none where it does not watch itself.
fn itself(snapshot: &Snapshot) -> Option<Component> {
    let own = snapshot.standing.own_target.as_ref()?;
    let target = snapshot.targets.iter().find(|target| target.target == *own)?;
    let anon =
        target.areas.iter().map(|area| Row { target, area }).find(|row| &*row.area.area.name == "anon");
    let finding = anon.and_then(|row| row.finding());
    let (status, reason) = match trouble(target) {
        Some(trouble) => (trouble.status, trouble.reason),
        None if finding.is_none() => (Health::Healthy, String::from("too little evidence yet for a verdict")),
        None => (Health::Healthy, String::from("its own memory is not suspected")),
    };
    Some(Component {
        name: String::from("exporter"),
        status,
        reason,
        growth_per_second: finding.map(|finding| finding.growth.value),
        finding: finding.map(FindingShape::of),
    })
}

fn watched(snapshot: &Snapshot) -> Watched<'_> {
    let mut troubles: Vec<Trouble<'_>> = snapshot.targets.iter().filter_map(trouble).collect();
    let count = |wanted: Health| troubles.iter().filter(|trouble| trouble.status == wanted).count();
    let (degraded, critical) = (count(Health::Degraded), count(Health::Critical));
    let healthy = snapshot.targets.len() - troubles.len();
    troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.status));
    let status = troubles.first().map_or(Health::Healthy, |worst| worst.status);
    troubles.truncate(TROUBLES_MAX);
    Watched { status, healthy, degraded, critical, troubles }
}

/// The worst that is wrong with a target; none where all is well.
fn trouble(target: &TargetView) -> Option<Trouble<'_>> {
    let leaks = target.areas.iter().filter_map(|area| leak(Row { target, area }));
    let breaches = target.areas.iter().filter_map(|area| breach(target, Some(area)));
    let breaches = breaches.chain(breach(target, None));
    // Of equals the first, so that a leak is told rather than the budget that it breaks.
    leaks.chain(breaches).reduce(|worst, other| if other.status > worst.status { other } else { worst })
}

fn leak(row: Row<'_>) -> Option<Trouble<'_>> {
    let state = row.state().filter(|state| *state > LeakState::None && !row.is_explained())?;
    let severity = row.finding().map_or(Severity::None, |finding| finding.severity);
    let status = if state == LeakState::Confirmed && severity >= Severity::High {
        Health::Critical
    } else {
        Health::Degraded
    };
    let left = row.finding().and_then(|finding| finding.time_to_limit);
    let left = left.map(|left| format!(", its limit in {}", Span(left.value))).unwrap_or_default();
    let reason = format!("a leak is {}, severity {}{left}", state.as_str(), severity.as_str());
    Some(told(row.target, Some(row.area), (status, reason)))
}

/// The worst number of an area, or of the target as a whole, that is reached.
fn breach<'a>(target: &'a TargetView, area: Option<&'a AreaView>) -> Option<Trouble<'a>> {
    let name = area.map(|area| &area.area.name);
    let is_breached = |view: &&RuleView| view.is_breached == Some(true) && view.area.as_ref() == name;
    let worst = target.rules.iter().filter(is_breached).max_by_key(|view| view.threshold.level)?;
    let threshold = worst.threshold;
    let status = if threshold.level >= Level::Critical { Health::Critical } else { Health::Degraded };
    let reason = format!("{} reached its {} of {threshold}", threshold.rule.name, threshold.level.as_str());
    Some(told(target, area, (status, reason)))
}

fn told<'a>(
    target: &'a TargetView,
    area: Option<&'a AreaView>,
    (status, reason): (Health, String),
) -> Trouble<'a> {
    Trouble {
        kind: target.target.kind.as_str(),
        target: &target.target.name,
        area: area.map(|area| &*area.area.name),
        area_id: area.map(|area| Row { target, area }.id()),
        status,
        reason,
    }
}

/// How well all is, in one word.
pub(super) fn overall(snapshot: &Snapshot) -> Health {
    health(snapshot).status
}
