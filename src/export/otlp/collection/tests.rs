//! What a hand-made snapshot and registry become.

use super::*;
use crate::{
    budget::{Level, Rule, Threshold},
    detect::{
        episode::LeakState,
        finding::{Estimate, Evidence, Finding, Pattern, Severity},
        quantile::Quantiles,
    },
    sample::{Area, Counts, Kind, Limit, LimitSource, Measure, Target, TargetInfo, Unit},
    snapshot::{AreaView, PartView, RuleView, TargetView, Verdict},
};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, HistogramDataPoint, Metric as Sent, MetricData};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use std::collections::BTreeSet;

fn collection(temporality: Temporality) -> Collection {
    let resource = BTreeMap::from([(String::from("host.name"), String::from("a"))]);
    let configured = BTreeMap::from([(String::from("host.name"), String::from("b"))]);
    Collection::new(&Options { resource, temporality, series_max: 10_000 }, &configured)
}

fn finding(time_to_limit: f64) -> Finding {
    Finding {
        growth: Estimate { value: 12.5, lower: 10.0, upper: 15.0 },
        confidence: 0.75,
        pattern: Pattern::Linear,
        severity: Severity::High,
        time_to_limit: Some(Estimate { value: time_to_limit, lower: 60.0, upper: f64::INFINITY }),
        floor: 1.0,
        leaked: 5.0,
        since: 3.0,
        evidence: Evidence::default(),
    }
}

fn area(name: &str, unit: Unit, finding: Option<Finding>) -> AreaView {
    AreaView {
        area: Area::new(name, unit),
        pid: None,
        size: 1000.0,
        limit: Some(Limit { value: 4000.0, used: 2000.0, source: LimitSource::Cgroup }),
        sampled_at: 99.0,
        verdict: finding.map(|finding| Verdict {
            state: LeakState::Suspected,
            finding: Some(finding),
            episode: None,
            leaked: 5.0,
            explained: None,
        }),
    }
}

fn target(name: &str, areas: Vec<AreaView>) -> TargetView {
    TargetView {
        target: Arc::new(Target { kind: Kind::Process, name: name.into() }),
        info: TargetInfo { unit: "a.service".into(), ..TargetInfo::default() },
        is_expected: false,
        members: 2,
        restarts: 3,
        episodes: 4,
        counts: Counts::default(),
        oldest_file_at: None,
        event_loop_lag_secs: None,
        response_times: None,
        areas,
        rules: Vec::new(),
        parts: Vec::new(),
        parts_read_at: None,
    }
}

fn snapshot(targets: Vec<TargetView>) -> Snapshot {
    Snapshot { tick: 1, taken_at: 100.0, targets, member_count: 2, ..Snapshot::default() }
}

fn sent(parts: &[ResourceMetrics]) -> impl Iterator<Item = &Sent> {
    parts.iter().flat_map(|part| part.scope_metrics()).flat_map(|scope| scope.metrics())
}

fn words<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    attributes.map(|pair| format!(" {}={}", pair.key, pair.value)).collect()
}

/// Each gauge and counter as a line: `name unit type attributes value`.
fn lines(parts: &[ResourceMetrics]) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for metric in sent(parts) {
        let head = format!("{} [{}]", metric.name(), metric.unit());
        match metric.data() {
            AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
                for point in gauge.data_points() {
                    lines.insert(format!("{head} gauge{} {}", words(point.attributes()), point.value()));
                }
            }
            AggregatedMetrics::F64(MetricData::Sum(sum)) => {
                assert!(sum.is_monotonic());
                for point in sum.data_points() {
                    lines.insert(format!("{head} counter{} {}", words(point.attributes()), point.value()));
                }
            }
            _ => {}
        }
    }
    lines
}

fn check(parts: &[ResourceMetrics], expected: &[&str]) {
    let lines = lines(parts);
    for line in expected {
        assert!(lines.contains(*line), "no {line:?} in {lines:#?}");
    }
}

#[test]
fn a_judged_area_has_the_names_units_and_values_of_the_table() {
    let areas = vec![area("anon", Unit::Bytes, Some(finding(3600.0))), area("fds", Unit::Objects, None)];
    let parts = collection(Temporality::Cumulative).collect(&snapshot(vec![target("web", areas)]), &[]);
    check(
        &parts,
        &[
            "memleak.area.size [By] gauge area=anon kind=process target=web 1000",
            "memleak.area.size.objects [] gauge area=fds kind=process target=web 1000",
            "memleak.area.limit.used [1] gauge area=anon kind=process target=web 0.5",
            "memleak.area.growth [By/s] gauge area=anon kind=process target=web 12.5",
            "memleak.area.leak.confidence [1] gauge area=anon kind=process target=web 0.75",
            "memleak.area.leak.state [] gauge area=anon kind=process target=web 1",
            "memleak.area.pattern [] gauge area=anon kind=process pattern=linear target=web 1",
            "memleak.area.pattern [] gauge area=anon kind=process pattern=stable target=web 0",
            "memleak.area.severity [] gauge area=anon kind=process target=web 3",
            "memleak.area.time_to_limit [s] gauge area=anon kind=process target=web 3600",
            "memleak.target.info [] gauge kind=process target=web unit=a.service 1",
            "memleak.target.processes [] gauge kind=process target=web 2",
            "memleak.target.restarts [] counter kind=process target=web 3",
            "memleak.episodes [] counter kind=process target=web 4",
        ],
    );
    let all = lines(&parts);
    // 13 of the judged area (no open episode), 12 patterns, 5 of the other, 5 of the target.
    let expected = 10 + Pattern::ALL.len() + 4 + 5;
    assert_eq!(all.len(), expected, "{all:#?}");
}

#[test]
fn a_number_of_a_budget_has_its_rule_and_level_and_a_time_its_percentile() {
    let rule = |name: &str, level, value, is_breached| RuleView {
        area: Some("anon".into()),
        threshold: Threshold { rule: Rule::named(name).unwrap(), level, value },
        is_breached,
    };
    let budget = vec![
        RuleView { area: None, ..rule("gc_frequency", Level::Warning, 0.5, Some(false)) },
        rule("size", Level::Critical, 500.0, Some(true)),
        rule("growth", Level::Warning, 2.5, None),
        rule("window", Level::Any, 1800.0, None),
        rule("sustained_samples", Level::Any, 0.8, None),
    ];
    let times = Some(Quantiles { p50: 0.02, p95: 0.3, p99: 1.25 });
    let held = TargetView { rules: budget, response_times: times, ..target("web", Vec::new()) };
    let parts = collection(Temporality::Cumulative).collect(&snapshot(vec![held]), &[]);
    check(
        &parts,
        &[
            "memleak.target.response_time [s] gauge kind=process percentile=50 target=web 0.02",
            "memleak.target.response_time [s] gauge kind=process percentile=99 target=web 1.25",
        ],
    );
    let of_rules: Vec<String> = lines(&parts).into_iter().filter(|line| line.contains(" rule=")).collect();
    assert_eq!(
        of_rules,
        [
            "memleak.area.budget.breached [] gauge area=anon kind=process level=critical rule=size target=web 1",
            "memleak.area.budget.breached [] gauge kind=process level=warning rule=gc_frequency target=web 0",
            "memleak.threshold [By] gauge area=anon kind=process level=critical rule=size target=web 500",
            "memleak.threshold.bytes_per_second [] gauge area=anon kind=process level=warning rule=growth target=web 2.5",
            "memleak.threshold.per_second [] gauge kind=process level=warning rule=gc_frequency target=web 0.5",
            "memleak.threshold.ratio [] gauge area=anon kind=process level=any rule=sustained_samples target=web 0.8",
            "memleak.threshold.seconds [] gauge area=anon kind=process level=any rule=window target=web 1800",
        ]
    );
}

#[test]
fn a_part_has_its_name() {
    let heap = PartView {
        name: "heap".into(),
        measure: Measure::Memory,
        size: 5.0,
        confidence: 0.5,
        growth: Some(2.0),
    };
    let taken_apart = TargetView { parts: vec![heap], ..target("web", Vec::new()) };
    let parts = collection(Temporality::Cumulative).collect(&snapshot(vec![taken_apart]), &[]);
    let of_parts: Vec<String> = lines(&parts).into_iter().filter(|line| line.contains(" part=")).collect();
    assert_eq!(
        of_parts,
        [
            "memleak.attribution [By] gauge kind=process part=heap target=web 5",
            "memleak.attribution.confidence [1] gauge kind=process part=heap target=web 0.5",
            "memleak.attribution.growth [By/s] gauge kind=process part=heap target=web 2",
        ]
    );
}

#[test]
fn a_process_has_its_pid_and_what_is_not_finite_is_left_out() {
    let mut endless = area("anon", Unit::Bytes, Some(finding(f64::INFINITY)));
    endless.pid = Some(77);
    let parts =
        collection(Temporality::Cumulative).collect(&snapshot(vec![target("web", vec![endless])]), &[]);
    check(
        &parts,
        &["memleak.area.pattern [] gauge area=anon kind=process pattern=linear pid=77 target=web 1"],
    );
    let names: BTreeSet<&str> = sent(&parts).map(Sent::name).collect();
    assert!(names.contains("memleak.area.time_to_limit.lower"));
    assert!(!names.contains("memleak.area.time_to_limit"));
}

#[test]
fn more_targets_than_the_default_limit_all_arrive_in_parts() {
    let targets = 9_000;
    let many: Vec<TargetView> =
        (0..targets).map(|n| target(&n.to_string(), vec![area("rss", Unit::Bytes, None)])).collect();
    let parts = collection(Temporality::Cumulative).collect(&snapshot(many), &[]);
    let all = lines(&parts);
    assert!(!all.iter().any(|line| line.contains("overflow")));
    for name in ["memleak.area.size [By]", "memleak.target.restarts []"] {
        assert_eq!(all.iter().filter(|line| line.starts_with(name)).count(), targets, "{name}");
    }
    for part in &parts[..parts.len() - 1] {
        let points = lines(std::slice::from_ref(part)).len();
        assert!(points <= PART_POINTS_MAX, "{points}");
    }
}

#[test]
fn the_resource_says_who_sends_and_the_configuration_wins() {
    let parts = collection(Temporality::Cumulative).collect(&snapshot(Vec::new()), &[]);
    let resource = parts[0].resource();
    let value = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
    assert_eq!(value("service.name").as_deref(), Some("memleak_exporter"));
    assert_eq!(value("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(value("telemetry.sdk.language").as_deref(), Some("rust"));
    assert_eq!(value("host.name").as_deref(), Some("b"));
}

/// A registry with a histogram and a counter out of the table.
struct Own {
    registry: Registry,
    durations: HistogramVec,
    requests: IntCounterVec,
}

impl Own {
    fn new() -> Self {
        let (registry, table) = (Registry::new(), (own::COLLECTOR_DURATION, own::HTTP_REQUESTS));
        let buckets = HistogramOpts::new(table.0.name, table.0.help).buckets(vec![0.01, 0.1, 1.0]);
        let durations = HistogramVec::new(buckets, table.0.labels).unwrap();
        let requests = IntCounterVec::new(Opts::new(table.1.name, table.1.help), table.1.labels).unwrap();
        registry.register(Box::new(durations.clone())).unwrap();
        registry.register(Box::new(requests.clone())).unwrap();
        Self { registry, durations, requests }
    }

    fn observe(&self, values: &[f64]) {
        for value in values {
            self.durations.with_label_values(&["process"]).observe(*value);
            self.requests.with_label_values(&["/metrics", "200"]).inc();
        }
    }

    /// Collects, and demands one histogram with these counts and this sum, and a counter of as many requests.
    fn check(&self, collection: &mut Collection, counts: &[u64], expected_sum: f64) {
        let parts = collection.collect(&snapshot(Vec::new()), &self.registry.gather());
        let count: u64 = counts.iter().sum();
        check(
            &parts,
            &[&format!("memleak.exporter.http.requests [] counter code=200 handler=/metrics {count}")],
        );
        let histograms: Vec<&HistogramDataPoint<f64>> = sent(&parts)
            .filter(|metric| metric.name() == "memleak.exporter.collector.duration" && metric.unit() == "s")
            .filter_map(|metric| match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => Some(histogram.data_points()),
                _ => None,
            })
            .flatten()
            .collect();
        if count == 0 {
            assert!(histograms.is_empty());
            return;
        }
        let point = histograms[0];
        assert_eq!(words(point.attributes()), " collector=process");
        assert_eq!(point.bounds().collect::<Vec<_>>(), [0.01, 0.1, 1.0]);
        assert_eq!(point.bucket_counts().collect::<Vec<_>>(), counts);
        assert_eq!((point.count(), point.min(), point.max()), (count, None, None));
        assert!((point.sum() - expected_sum).abs() < 1e-9, "{} is not {expected_sum}", point.sum());
    }
}

#[test]
fn own_histograms_keep_counts_buckets_and_sums_from_push_to_push() {
    let own = Own::new();
    let mut collection = collection(Temporality::Cumulative);
    own.observe(&[0.002, 0.05, 0.051, 3.0]);
    own.check(&mut collection, &[1, 2, 0, 1], 3.103);
    own.check(&mut collection, &[1, 2, 0, 1], 3.103);
    own.observe(&[0.9, 0.0001]);
    own.check(&mut collection, &[2, 2, 1, 1], 4.0031);
}

#[test]
fn differences_begin_with_the_first_push() {
    let own = Own::new();
    let mut collection = collection(Temporality::Delta);
    own.observe(&[0.002, 0.05]);
    own.check(&mut collection, &[0, 0, 0, 0], 0.0);
    own.observe(&[0.9, 0.0001, 0.002]);
    own.check(&mut collection, &[2, 0, 1, 0], 0.9021);
}

#[test]
fn every_own_metric_has_a_name_and_those_of_the_process_follow_a_rule() {
    let family = |name: &str| {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        own_name(&family, own::ALL).map(|own| (own.name.into_owned(), own.unit))
    };
    for metric in own::ALL {
        assert_eq!(family(metric.name), Some((metric.otlp_name.to_owned(), metric.unit)));
    }
    let named = |name: &str, unit| Some((name.to_owned(), unit));
    assert_eq!(family("process_cpu_seconds_total"), named("process.cpu", "s"));
    assert_eq!(family("process_resident_memory_bytes"), named("process.resident_memory", "By"));
    assert_eq!(family("process_open_fds"), named("process.open_fds", ""));
    assert_eq!(family("go_goroutines"), None);
}
