//! Answers about the past of areas: one at all resolutions, many as a line each, and their mean, peak and percentiles.
//!
//! The past belongs to the tick's thread, so these are made in two steps: which areas are meant, by the snapshot; and, once
//! the tick has told their past, the answer. It is what the detector remembers, 36 buckets each of 12 seconds to 7 hours,
//! so areas that are not judged have none.

use super::{
    AREA_PREFIX, Body, Call, Endpoint, Problem,
    areas::{chosen, find},
    json,
    shapes::{AreaId, Row, unit},
};
use crate::http::desk::{AreaKey, Bucket, Level, Past};
use serde::Serialize;

/// What begins the path of one area ends its path here.
pub(super) const HISTORY_SUFFIX: &str = "/history";
/// What is looked at where nothing is said, in seconds.
const STATS_PERIOD_SECS: f64 = 3600.0;
const SPARK_PERIOD_SECS: f64 = 3.0 * 3600.0;
const UNITS: [(char, f64); 4] = [('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86_400.0)];
const SHORTEST_SECS: f64 = 60.0;
/// As far back as anything is remembered.
const LONGEST_SECS: f64 = 11.0 * 86_400.0;

/// The areas whose past is asked for, and what becomes of it.
#[derive(Debug)]
pub(in crate::http) struct Picked {
    endpoint: Endpoint,
    taken_at: f64,
    period_secs: f64,
    total: usize,
    offset: usize,
    limit: usize,
    keys: Vec<AreaKey>,
}

#[derive(Serialize)]
struct Whose<'a> {
    area_id: AreaId,
    kind: &'static str,
    target: &'a str,
    area: &'a str,
    pid: Option<u32>,
    unit: &'static str,
}

#[derive(Serialize)]
struct History<'a> {
    taken_at: f64,
    area: Whose<'a>,
    levels: Vec<LevelShape>,
}

#[derive(Serialize)]
struct LevelShape {
    width_seconds: f64,
    buckets: Vec<BucketShape>,
}

#[derive(Serialize)]
struct BucketShape {
    at: f64,
    low: f64,
    high: f64,
}

#[derive(Serialize)]
struct Sparklines<'a> {
    taken_at: f64,
    total: usize,
    offset: usize,
    limit: usize,
    sparklines: Vec<Sparkline<'a>>,
}

#[derive(Serialize)]
struct Sparkline<'a> {
    area: Whose<'a>,
    begin_at: Option<f64>,
    width_seconds: Option<f64>,
    /// The floors of buckets one after the other; null for a missing one.
    sizes: Vec<Option<f64>>,
}

#[derive(Serialize)]
struct Statistics<'a> {
    taken_at: f64,
    period_seconds: f64,
    total: usize,
    offset: usize,
    limit: usize,
    stats: Vec<Stats<'a>>,
}

#[derive(Serialize)]
struct Stats<'a> {
    area: Whose<'a>,
    from_at: Option<f64>,
    width_seconds: Option<f64>,
    buckets: usize,
    lowest: Option<f64>,
    mean: Option<f64>,
    median: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    peak: Option<f64>,
}

/// The areas that a request is about.
pub(super) fn picked(call: &Call<'_>) -> Result<Picked, Problem> {
    let endpoint = call.request.endpoint;
    let taken_at = call.snapshot.taken_at;
    if endpoint == Endpoint::History {
        let path = call.request.path.strip_prefix(AREA_PREFIX).unwrap_or_default();
        let row = find(call.snapshot, path.strip_suffix(HISTORY_SUFFIX).unwrap_or(path))?;
        let (period_secs, keys) = (LONGEST_SECS, vec![key(row)]);
        return Ok(Picked { endpoint, taken_at, period_secs, total: 1, offset: 0, limit: 1, keys });
    }
    let usual = if endpoint == Endpoint::Stats { STATS_PERIOD_SECS } else { SPARK_PERIOD_SECS };
    let period_secs = call.parameters.text("period").map_or(Ok(usual), period)?;
    let rows = chosen(call.snapshot, &call.parameters, |_| true)?;
    let paging = call.parameters.paging()?;
    Ok(Picked {
        endpoint,
        taken_at,
        period_secs,
        total: rows.len(),
        offset: paging.offset,
        limit: paging.limit,
        keys: paging.of(rows).map(key).collect(),
    })
}

fn key(row: Row<'_>) -> AreaKey {
    AreaKey { target: row.target.target.clone(), area: row.area.area.clone(), pid: row.area.pid }
}

fn period(text: &str) -> Result<f64, Problem> {
    let split = text.char_indices().last().map(|(at, unit)| (text.get(..at), unit));
    let secs = split.and_then(|(number, unit)| {
        let number = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
        let (_, secs) = UNITS.iter().find(|(known, _)| *known == unit)?;
        number.parse::<f64>().ok().map(|number| number * secs)
    });
    secs.filter(|secs| (SHORTEST_SECS..=LONGEST_SECS).contains(secs)).ok_or_else(|| {
        let help = "Write a whole number with s, m, h or d, from 1m to 11d, such as 60m.";
        Problem::query(format!("The period {text:?} is none."), help.into())
    })
}

impl Picked {
    pub(in crate::http) fn keys(&self) -> &[AreaKey] {
        &self.keys
    }

    /// The answer, from the past of each of the areas in their order.
    pub(super) fn body(&self, pasts: &[Past]) -> Result<Body, Problem> {
        let Self { taken_at, period_secs, total, offset, limit, .. } = *self;
        let mut each = self.keys.iter().zip(pasts);
        match self.endpoint {
            Endpoint::History => {
                let (key, past) = each.next().ok_or_else(|| Problem::ours("The past got lost."))?;
                let levels = past.levels.iter().map(LevelShape::of).collect();
                json(&History { taken_at, area: Whose::of(key), levels })
            }
            Endpoint::Stats => {
                let stats = each.map(|(key, past)| Stats::of(key, past, (taken_at, period_secs))).collect();
                json(&Statistics { taken_at, period_seconds: period_secs, total, offset, limit, stats })
            }
            _sparklines => {
                let lines = each.map(|(key, past)| Sparkline::of(key, past, (taken_at, period_secs)));
                json(&Sparklines { taken_at, total, offset, limit, sparklines: lines.collect() })
            }
        }
    }
}

impl<'a> Whose<'a> {
    fn of(key: &'a AreaKey) -> Self {
        Self {
            area_id: AreaId::new(&key.target, &key.area.name, key.pid),
            kind: key.target.kind.as_str(),
            target: &key.target.name,
            area: &key.area.name,
            pid: key.pid,
            unit: unit(key.area.unit),
        }
    }
}

impl LevelShape {
    fn of(level: &Level) -> Self {
        let shape = |Bucket { at, low, high }: &Bucket| BucketShape { at: *at, low: *low, high: *high };
        Self { width_seconds: level.width_secs, buckets: level.buckets.iter().map(shape).collect() }
    }
}

impl<'a> Sparkline<'a> {
    fn of(key: &'a AreaKey, past: &Past, span: (f64, f64)) -> Self {
        let area = Whose::of(key);
        let Some((width, buckets)) = within(past, span) else {
            return Self { area, begin_at: None, width_seconds: None, sizes: Vec::new() };
        };
        let mut sizes: Vec<Option<f64>> = Vec::new();
        let mut next_at = None;
        for bucket in &buckets {
            // No ring is as long as this, so neither is a gap in one.
            while next_at.is_some_and(|next| bucket.at > next + width / 2.0) && sizes.len() < 100 {
                sizes.push(None);
                next_at = next_at.map(|next| next + width);
            }
            sizes.push(Some(bucket.low));
            next_at = Some(bucket.at + width);
        }
        let begin_at = buckets.first().map(|bucket| bucket.at);
        Self { area, begin_at, width_seconds: Some(width), sizes }
    }
}

impl<'a> Stats<'a> {
    fn of(key: &'a AreaKey, past: &Past, span: (f64, f64)) -> Self {
        let (width, buckets) = within(past, span).unzip();
        let buckets = buckets.unwrap_or_default();
        let mut lows: Vec<f64> = buckets.iter().map(|bucket| bucket.low).collect();
        lows.sort_by(f64::total_cmp);
        Self {
            area: Whose::of(key),
            from_at: buckets.first().map(|bucket| bucket.at),
            width_seconds: width,
            buckets: lows.len(),
            lowest: lows.first().copied(),
            mean: mean(&lows),
            median: percentile(&lows, 50),
            p90: percentile(&lows, 90),
            p99: percentile(&lows, 99),
            peak: buckets.iter().map(|bucket| bucket.high).reduce(f64::max),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are a few dozen")]
fn mean(sizes: &[f64]) -> Option<f64> {
    (!sizes.is_empty()).then(|| sizes.iter().sum::<f64>() / sizes.len() as f64)
}

/// The nearest rank: the smallest of the sorted sizes that so many of a hundred do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// The buckets of the last seconds of the period, of the finest level that reaches as far back as any; none where nothing
/// is remembered.
fn within(past: &Past, (taken_at, period_secs): (f64, f64)) -> Option<(f64, Vec<Bucket>)> {
    let from = taken_at - period_secs;
    let begins = |level: &Level| level.buckets.first().map_or(f64::INFINITY, |bucket| bucket.at).max(from);
    let level = past.levels.iter().reduce(|finer, coarser| {
        // Its first bucket begins up to a width before the first sample.
        if begins(coarser) + coarser.width_secs < begins(finer) { coarser } else { finer }
    })?;
    let inside = level.buckets.iter().filter(|bucket| bucket.at + level.width_secs > from);
    Some((level.width_secs, inside.copied().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(width_secs: f64, begins: impl IntoIterator<Item = f64>) -> Level {
        let bucket = |at: f64| Bucket { at, low: at / 10.0, high: at };
        Level { width_secs, buckets: begins.into_iter().map(bucket).collect() }
    }

    #[test]
    fn the_finest_level_that_reaches_far_enough_is_shown() {
        let fine = level(10.0, (0..36).map(|index| 640.0 + 10.0 * f64::from(index)));
        let coarse = level(30.0, (0..33).map(|index| 30.0 * f64::from(index)));
        let past = Past { levels: vec![fine, coarse] };
        for (period, width, count) in
            [(100.0, 10.0, 10), (360.0, 10.0, 36), (600.0, 30.0, 20), (9e9, 30.0, 33)]
        {
            let (found, buckets) = within(&past, (1000.0, period)).unwrap();
            assert_eq!((found, buckets.len()), (width, count), "{period}");
        }
        assert!(within(&Past::default(), (1000.0, 60.0)).is_none());
        let young = Past { levels: vec![level(10.0, [100.0, 110.0, 120.0, 130.0]), level(30.0, [90.0])] };
        assert_eq!(
            within(&young, (140.0, 3600.0)).map(|(width, _)| width),
            Some(10.0),
            "no coarser one tells more"
        );
    }

    #[test]
    fn percentiles_are_sizes_that_were_seen() {
        let sizes: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(
            [50, 90, 99].map(|percent| percentile(&sizes, percent)),
            [Some(5.0), Some(9.0), Some(10.0)]
        );
        assert_eq!((percentile(&[], 50), mean(&[]), mean(&sizes)), (None, None, Some(5.5)));
    }

    #[test]
    fn a_period_is_a_number_with_its_unit() {
        for (text, secs) in [("60m", 3600.0), ("90s", 90.0), ("11d", 950_400.0)] {
            assert_eq!(period(text).ok(), Some(secs));
        }
        for text in ["", "m", "60", "59s", "12d", "-5m", "1.5h", "1w", "99999999999999999999d"] {
            assert!(period(text).is_err(), "{text}");
        }
    }
}
