//! How much a series costs on a page: text, OpenMetrics and compressed, beside the `prometheus` crate's own encoder
//! on the same series. The time of one iteration divided by the series in the name is the price of a series.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compression, write::GzEncoder};
use memleak_exporter::{
    detect::{
        episode::{Episode, EpisodeId, LeakState},
        finding::{Estimate, Evidence, Finding, Pattern, Severity},
    },
    export::prometheus::{Page, Sink, negotiate::Layout, render, selection::Selection},
    sample::{Area, Counts, Identity, Kind, Limit, LimitSource, Target, TargetInfo, Unit},
    snapshot::{AreaView, Snapshot, TargetView, Verdict},
};
use prometheus::{
    Encoder as _, TextEncoder,
    proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType},
};
use std::{collections::BTreeMap, hint::black_box, io::Write as _, sync::Arc};

/// As a target has them by default: one judged area and five that are only shown.
const AREAS: [(&str, Unit); 6] = [
    ("anon", Unit::Bytes),
    ("fds", Unit::Objects),
    ("rss", Unit::Bytes),
    ("rss_peak", Unit::Bytes),
    ("swap", Unit::Bytes),
    ("threads", Unit::Objects),
];

fn verdict(number: f64) -> Verdict {
    let finding = Finding {
        growth: Estimate { value: 1234.567 * number, lower: 1.0, upper: 2.0 },
        confidence: 0.914_159,
        pattern: Pattern::Linear,
        severity: Severity::High,
        time_to_limit: Some(Estimate { value: 86_399.123 + number, lower: 40_000.5, upper: f64::INFINITY }),
        floor: 1.0,
        leaked: 4096.0 * number,
        since: 1_699_990_000.25,
        evidence: Evidence::default(),
    };
    let id = EpisodeId::new(Identity { pid: 1, start_ticks: 2 }, "anon", 5.0);
    let episode =
        Episode { id, since: 1_699_990_000.25, floor_before: 1.0, opened_at: 1.0, confirmed_at: Some(2.0) };
    Verdict {
        state: LeakState::Confirmed,
        finding: Some(finding),
        episode: Some(episode),
        leaked: 4096.0 * number,
        explained: None,
    }
}

fn target(number: u32) -> TargetView {
    let size = f64::from(number) * 1_048_576.0;
    let area = |(name, unit): (&str, Unit)| AreaView {
        area: Area::new(name, unit),
        pid: None,
        size: size + 4096.0,
        limit: Some(Limit { value: 8_589_934_592.0, used: size, source: LimitSource::Cgroup }),
        sampled_at: 1_700_000_000.125,
        verdict: (name == "anon").then(|| verdict(f64::from(number))),
    };
    TargetView {
        target: Arc::new(Target { kind: Kind::Process, name: format!("service-{number:05}.service").into() }),
        is_expected: false,
        info: TargetInfo {
            unit: "shop.service".into(),
            container: "0123456789ab".into(),
            runtime: "node".into(),
            ..TargetInfo::default()
        },
        members: 1,
        restarts: 0,
        episodes: 1,
        counts: Counts::default(),
        oldest_file_at: None,
        event_loop_lag_secs: None,
        response_times: None,
        areas: AREAS.map(area).into(),
        rules: Vec::new(),
        parts: Vec::new(),
        parts_read_at: None,
    }
}

fn snapshot(targets: u32) -> Snapshot {
    let targets = (0..targets).map(target).collect();
    Snapshot { tick: 1, taken_at: 1_700_000_000.0, targets, member_count: 1, ..Snapshot::default() }
}

fn page(snapshot: &Snapshot, layout: Layout, length_before: usize) -> Vec<u8> {
    let mut page = Vec::with_capacity(length_before);
    render(&Page { snapshot, selection: &Selection::All, own: &[] }, layout, &mut page);
    page
}

fn series_of(page: &[u8]) -> usize {
    page.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")).count()
}

/// The same series in the crate's model. Labels here hold nothing that is escaped.
fn families(page: &[u8]) -> Vec<MetricFamily> {
    let text = String::from_utf8_lossy(page);
    let mut families: BTreeMap<&str, Vec<Metric>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once("} ") else { continue };
        let Some((name, labels)) = series.split_once('{') else { continue };
        let mut gauge = Gauge::default();
        gauge.set_value(value.parse().unwrap_or(f64::NAN));
        let mut metric = Metric::from_gauge(gauge);
        metric.set_label(labels.split(',').filter_map(label).collect());
        families.entry(name).or_default().push(metric);
    }
    families.into_iter().map(|(name, metrics)| family(name, metrics)).collect()
}

fn label(text: &str) -> Option<LabelPair> {
    let (name, value) = text.split_once('=')?;
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.trim_matches('"').to_owned());
    Some(pair)
}

fn family(name: &str, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(String::from("Help."));
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(metrics);
    family
}

/// Compresses while writing, as the exposition does where only the compressed page is asked for.
struct Gzip {
    buffer: Vec<u8>,
    encoder: GzEncoder<Vec<u8>>,
}

impl Sink for Gzip {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn pass_on(&mut self) {
        if self.buffer.len() >= 64 * 1024 {
            self.encoder.write_all(&self.buffer).expect("a vector takes all bytes");
            self.buffer.clear();
        }
    }
}

fn gzip(snapshot: &Snapshot) -> Vec<u8> {
    let mut sink = Gzip {
        buffer: Vec::with_capacity(64 * 1024),
        encoder: GzEncoder::new(Vec::new(), Compression::fast()),
    };
    render(&Page { snapshot, selection: &Selection::All, own: &[] }, Layout::OpenMetrics, &mut sink);
    sink.encoder.write_all(&sink.buffer).expect("a vector takes all bytes");
    sink.encoder.finish().expect("a vector takes all bytes")
}

fn bench(criterion: &mut Criterion) {
    // 49 series a target.
    for targets in [209, 2084] {
        let snapshot = snapshot(targets);
        let text = page(&snapshot, Layout::Text, 0);
        let series = series_of(&text);
        let families = families(&text);
        let mut group = criterion.benchmark_group("render");
        group.throughput(Throughput::Elements(series as u64));
        for (name, layout) in [("text", Layout::Text), ("openmetrics", Layout::OpenMetrics)] {
            let mut out = Vec::with_capacity(text.len() * 2);
            group.bench_function(BenchmarkId::new(name, series), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    let page = Page { snapshot: &snapshot, selection: &Selection::All, own: &[] };
                    render(black_box(&page), layout, &mut out);
                    out.len()
                });
            });
        }
        group.bench_function(BenchmarkId::new("text into a new buffer, as a tick does", series), |bencher| {
            bencher.iter(|| page(black_box(&snapshot), Layout::Text, text.len()));
        });
        group.bench_function(BenchmarkId::new("openmetrics, gzip", series), |bencher| {
            bencher.iter(|| gzip(black_box(&snapshot)));
        });
        let mut out = Vec::with_capacity(text.len() * 2);
        group.bench_function(BenchmarkId::new("prometheus crate's TextEncoder", series), |bencher| {
            bencher.iter(|| {
                out.clear();
                TextEncoder::new().encode(black_box(&families), &mut out).expect("a vector takes all bytes");
                out.len()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
