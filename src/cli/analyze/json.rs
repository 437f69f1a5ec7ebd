//! JSON: one document with all series.

use super::{
    course::Series,
    summary::{Ending, EpisodeSummary, Summary},
    words::Word,
};
use crate::{
    detect::finding::{Estimate, Finding},
    sample::{Seconds, Unit},
};
use serde::Serialize;
use std::io::{self, Write};

/// JSON knows no infinity, and who reads the end of an interval wants a number.
const UNBOUNDED: f64 = 1e18;

/// The estimates of a finding. Each unit has its keys; the other unit's are left out.
#[derive(Serialize)]
pub(super) struct Estimates {
    #[serde(skip_serializing_if = "Option::is_none")]
    growth_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    growth_objects_per_second: Option<f64>,
    growth_low: f64,
    growth_high: f64,
    pattern: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_limit_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_limit_low: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_to_limit_high: Option<f64>,
    evidence: String,
}

impl Estimates {
    /// The estimates of a finding on an area of this unit.
    pub(super) fn of(finding: &Finding, unit: Unit) -> Self {
        let number = |value: f64| value.clamp(-UNBOUNDED, UNBOUNDED);
        let time = |part: fn(&Estimate) -> f64| finding.time_to_limit.as_ref().map(part).map(number);
        let growth = number(finding.growth.value);
        let [bytes, objects] = in_unit(growth, unit);
        Self {
            growth_bytes_per_second: bytes,
            growth_objects_per_second: objects,
            growth_low: number(finding.growth.lower),
            growth_high: number(finding.growth.upper),
            pattern: finding.pattern.as_str(),
            severity: finding.severity.as_str(),
            time_to_limit_seconds: time(|time| time.value),
            time_to_limit_low: time(|time| time.lower),
            time_to_limit_high: time(|time| time.upper),
            evidence: finding.evidence.to_string(),
        }
    }
}

/// A value as bytes and as objects, of which it is one.
pub(super) fn in_unit(value: f64, unit: Unit) -> [Option<f64>; 2] {
    match unit {
        Unit::Bytes => [Some(value), None],
        Unit::Objects => [None, Some(value)],
    }
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    series: Vec<Record<'a>>,
}

/// One series of it.
#[derive(Serialize)]
struct Record<'a> {
    name: &'a str,
    area: &'a str,
    unit: &'static str,
    samples: u64,
    from: Seconds,
    to: Seconds,
    interval_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    restarts: &'a [Seconds],
    size: f64,
    verdict: &'static str,
    state: &'static str,
    /// None: too little evidence.
    confidence: Option<f64>,
    #[serde(flatten)]
    estimates: Option<Estimates>,
    episodes: Vec<EpisodeRecord>,
    episodes_left_out: u64,
}

#[derive(Serialize)]
struct EpisodeRecord {
    onset: Seconds,
    onset_told: Seconds,
    opened: Seconds,
    confirmed: Option<Seconds>,
    ended: Option<Seconds>,
    ended_by: Option<&'static str>,
    confidence: f64,
    #[serde(flatten)]
    estimates: Estimates,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaked_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaked_objects: Option<f64>,
}

/// Writes one document with all series.
pub(super) fn write(out: &mut impl Write, summaries: &[Summary]) -> io::Result<()> {
    let document = Document { series: summaries.iter().map(record).collect() };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

fn record(summary: &Summary) -> Record<'_> {
    let Series { name, area, limit, interval_secs, .. } = &summary.series;
    let finding = summary.finding.as_ref();
    Record {
        name,
        area: &area.name,
        unit: if summary.is_bytes() { "bytes" } else { "objects" },
        samples: summary.samples,
        from: summary.from,
        to: summary.last.at,
        interval_seconds: *interval_secs,
        limit: *limit,
        restarts: &summary.restarts,
        size: summary.last.size,
        verdict: Word::of(summary).as_str(),
        state: summary.state.as_str(),
        confidence: finding.map(|finding| finding.confidence),
        estimates: finding.map(|finding| Estimates::of(finding, area.unit)),
        episodes: summary.episodes.iter().map(|episode| episode_record(episode, area.unit)).collect(),
        episodes_left_out: summary.episodes_left_out,
    }
}

fn episode_record(episode: &EpisodeSummary, unit: Unit) -> EpisodeRecord {
    let [leaked_bytes, leaked_objects] = in_unit(episode.leaked, unit);
    EpisodeRecord {
        onset: episode.onset_at,
        onset_told: episode.told_onset_at,
        opened: episode.opened_at,
        confirmed: episode.confirmed_at,
        ended: episode.ended.map(|(at, _)| at),
        ended_by: episode.ended.map(|(_, how)| match how {
            Ending::Stopped => "growth stopped",
            Ending::Restart => "restart",
        }),
        confidence: episode.finding.confidence,
        estimates: Estimates::of(&episode.finding, unit),
        leaked_bytes,
        leaked_objects,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::analyze::summary::tests::finding;

    #[test]
    fn each_unit_has_its_keys_and_nothing_is_infinite() {
        let mut finding = finding(0.9, 1.0);
        finding.time_to_limit = Some(Estimate { value: 5.0, lower: 2.5, upper: f64::INFINITY });
        let keys = |unit| serde_json::to_string(&Estimates::of(&finding, unit)).unwrap();
        let (bytes, objects) = (keys(Unit::Bytes), keys(Unit::Objects));
        assert!(
            bytes.contains("\"growth_bytes_per_second\":0.9,") && !bytes.contains("objects_per"),
            "{bytes}"
        );
        assert!(objects.contains("\"growth_objects_per_second\":0.9,"), "{objects}");
        assert!(bytes.contains("\"time_to_limit_high\":1e+18"), "{bytes}");
    }
}
