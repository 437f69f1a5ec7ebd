//! The shapes that several answers share, as they are written.

use crate::{
    detect::{
        advice::{self, About, Advice},
        episode::{Episode, LeakState},
        finding::{Estimate, Evidence, Finding},
    },
    sample::{Counter, Counts, Limit, LimitSource, Target, Unit},
    snapshot::{AreaView, Snapshot, TargetView, Verdict},
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use std::fmt;

/// The id of an area: made from its kind, target, name and pid (FNV-1a), so it is the same in every tick and every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) struct AreaId(u64);

impl AreaId {
    pub(super) fn new(target: &Target, area: &str, pid: Option<u32>) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let texts = [target.kind.as_str(), &target.name, area];
        // No UTF-8 text holds this byte, so no two lists of names look alike.
        let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([0xff]));
        let bytes = bytes.chain(pid.into_iter().flat_map(u32::to_le_bytes));
        Self(bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
    }

    /// Reads an id as it is written; none for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(text, 16).ok().filter(|_| is_id).map(Self)
    }
}

impl fmt::Display for AreaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for AreaId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One area with its target.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) target: &'a TargetView,
    pub(super) area: &'a AreaView,
}

impl<'a> Row<'a> {
    pub(super) fn verdict(&self) -> Option<&'a Verdict> {
        self.area.verdict.as_ref()
    }

    pub(super) fn finding(&self) -> Option<&'a Finding> {
        self.verdict()?.finding.as_ref()
    }

    pub(super) fn state(&self) -> Option<LeakState> {
        self.verdict().map(|verdict| verdict.state)
    }

    /// Whether what leaks inside tells of its growth already.
    pub(super) fn is_explained(&self) -> bool {
        self.verdict().is_some_and(|verdict| verdict.explained == Some(true))
    }

    pub(super) fn id(&self) -> AreaId {
        AreaId::new(&self.target.target, &self.area.area.name, self.area.pid)
    }

    pub(super) fn is_bytes(&self) -> bool {
        self.area.area.unit == Unit::Bytes
    }

    /// What to do about it.
    pub(super) fn recommendations(&self) -> Vec<Advice> {
        recommendations(self.target, self.area)
    }
}

/// All areas of all targets.
pub(super) fn rows(targets: &[TargetView]) -> impl Iterator<Item = Row<'_>> {
    targets.iter().flat_map(|target| target.areas.iter().map(move |area| Row { target, area }))
}

/// Which area has which size, for who compares two moments.
#[derive(Serialize)]
pub(in crate::http) struct AreaSize {
    #[serde(rename = "area_id")]
    pub(in crate::http) id: String,
    kind: &'static str,
    target: String,
    area: String,
    pid: Option<u32>,
    unit: &'static str,
}

/// The areas of all targets, or of those of a kind or a name, with their sizes.
pub(in crate::http) fn area_sizes<'a>(
    snapshot: &'a Snapshot,
    kind: Option<&'a str>,
    target: Option<&'a str>,
) -> impl Iterator<Item = (AreaSize, f64)> + 'a {
    let rows = rows(&snapshot.targets).filter(move |row| {
        kind.is_none_or(|kind| row.target.target.kind.as_str() == kind)
            && target.is_none_or(|target| *row.target.target.name == *target)
    });
    rows.map(|row| {
        let AreaView { area, pid, size, .. } = row.area;
        let shape = AreaSize {
            id: row.id().to_string(),
            kind: row.target.target.kind.as_str(),
            target: row.target.target.name.to_string(),
            area: area.name.to_string(),
            pid: *pid,
            unit: unit(area.unit),
        };
        (shape, *size)
    })
}

/// What to do about an area; empty without a finding, and where others tell of its growth already.
pub(in crate::http) fn recommendations(target: &TargetView, area: &AreaView) -> Vec<Advice> {
    let Some((verdict, finding)) =
        area.verdict.as_ref().and_then(|verdict| Some((verdict, verdict.finding.as_ref()?)))
    else {
        return Vec::new();
    };
    if verdict.explained == Some(true) {
        return Vec::new();
    }
    let about = About {
        kind: target.target.kind.as_str(),
        target: &target.target.name,
        area: &area.area.name,
        runtime: &target.info.runtime,
        unit: &target.info.unit,
        container: &target.info.container,
        pid: area.pid,
        state: verdict.state,
        pattern: finding.pattern,
        severity: finding.severity,
    };
    advice::advice(&about)
}

#[derive(Serialize)]
pub(super) struct AreaShape<'a> {
    id: AreaId,
    kind: &'static str,
    target: &'a str,
    area: &'a str,
    pid: Option<u32>,
    unit: &'static str,
    size: f64,
    sampled_at: f64,
    limit: Option<LimitShape>,
    /// None: it is not judged.
    state: Option<&'static str>,
    explained: Option<bool>,
    leaked: Option<f64>,
    finding: Option<FindingShape>,
    episode: Option<EpisodeTimes>,
}

impl<'a> AreaShape<'a> {
    pub(super) fn of(row: Row<'a>) -> Self {
        let AreaView { area, pid, size, limit, sampled_at, .. } = row.area;
        let verdict = row.verdict();
        Self {
            id: row.id(),
            kind: row.target.target.kind.as_str(),
            target: &row.target.target.name,
            area: &area.name,
            pid: *pid,
            unit: unit(area.unit),
            size: *size,
            sampled_at: *sampled_at,
            limit: limit.map(LimitShape::of),
            state: row.state().map(LeakState::as_str),
            explained: verdict.and_then(|verdict| verdict.explained),
            leaked: verdict.map(|verdict| verdict.leaked),
            finding: row.finding().map(FindingShape::of),
            episode: verdict.and_then(|verdict| verdict.episode.as_ref()).map(EpisodeTimes::of),
        }
    }
}

pub(super) const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        Unit::Objects => "objects",
    }
}

#[derive(Serialize)]
struct LimitShape {
    value: f64,
    used: f64,
    room: f64,
    source: LimitSource,
}

impl LimitShape {
    fn of(limit: Limit) -> Self {
        Self { value: limit.value, used: limit.used, room: limit.room(), source: limit.source }
    }
}

/// An estimate; an end that nothing bounds is null, since JSON knows no infinity.
#[derive(Clone, Copy, Serialize)]
pub(super) struct EstimateShape {
    value: f64,
    lower: f64,
    upper: f64,
}

impl EstimateShape {
    pub(super) const fn of(estimate: Estimate) -> Self {
        Self { value: estimate.value, lower: estimate.lower, upper: estimate.upper }
    }
}

#[derive(Serialize)]
pub(super) struct FindingShape {
    growth_per_second: EstimateShape,
    confidence: f64,
    pattern: &'static str,
    severity: &'static str,
    time_to_limit_seconds: Option<EstimateShape>,
    floor: f64,
    since_at: f64,
    evidence: EvidenceShape,
}

impl FindingShape {
    pub(super) fn of(finding: &Finding) -> Self {
        Self {
            growth_per_second: EstimateShape::of(finding.growth),
            confidence: finding.confidence,
            pattern: finding.pattern.as_str(),
            severity: finding.severity.as_str(),
            time_to_limit_seconds: finding.time_to_limit.map(EstimateShape::of),
            floor: finding.floor,
            since_at: finding.since,
            evidence: EvidenceShape::of(&finding.evidence),
        }
    }
}

#[derive(Serialize)]
struct EvidenceShape {
    words: String,
    rise: f64,
    window_seconds: f64,
    steps: u16,
    steps_up: u16,
    horizons: u8,
    recent_pace: f64,
}

impl EvidenceShape {
    fn of(evidence: &Evidence) -> Self {
        Self {
            words: evidence.to_string(),
            rise: evidence.rise,
            window_seconds: evidence.window_secs,
            steps: evidence.steps,
            steps_up: evidence.steps_up,
            horizons: evidence.horizons,
            recent_pace: evidence.recent_pace,
        }
    }
}

#[derive(Serialize)]
pub(super) struct EpisodeTimes {
    id: String,
    since_at: f64,
    opened_at: f64,
    confirmed_at: Option<f64>,
}

impl EpisodeTimes {
    pub(super) fn of(episode: &Episode) -> Self {
        Self {
            id: episode.id.to_string(),
            since_at: episode.since,
            opened_at: episode.opened_at,
            confirmed_at: episode.confirmed_at,
        }
    }
}

/// Those of the counters that are known, by name.
pub(super) struct CountsShape(pub(super) Counts);

impl Serialize for CountsShape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for counter in Counter::ALL {
            if let Some(value) = self.0.get(counter) {
                map.serialize_entry(&counter, &value)?;
            }
        }
        map.end()
    }
}
