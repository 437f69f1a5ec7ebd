use super::*;
use crate::{
    budget::{Level, Rule, Threshold},
    detect::{
        episode::{Episode, EpisodeId, LeakState},
        finding::{Estimate, Evidence, Finding, Severity},
        quantile::Quantiles,
    },
    sample::{Area, Counts, Identity, Kind, Limit, LimitSource, Measure, Unit},
    snapshot::Verdict,
};
use std::sync::Arc;

fn target(name: &str, areas: Vec<AreaView>) -> TargetView {
    TargetView {
        target: Arc::new(Target { kind: Kind::Process, name: name.into() }),
        info: TargetInfo { unit: "shop.service".into(), runtime: "node".into(), ..TargetInfo::default() },
        is_expected: false,
        members: 2,
        restarts: 3,
        episodes: 1,
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

fn area(name: &str, unit: Unit, size: f64) -> AreaView {
    AreaView {
        area: Area::new(name, unit),
        pid: None,
        size,
        limit: None,
        sampled_at: 1_700_000_000.5,
        verdict: None,
    }
}

fn leak() -> Verdict {
    let finding = Finding {
        growth: Estimate { value: 1234.5, lower: 1000.0, upper: 1500.0 },
        confidence: 0.95,
        pattern: Pattern::Linear,
        severity: Severity::High,
        time_to_limit: Some(Estimate { value: 3600.0, lower: 1800.0, upper: f64::INFINITY }),
        floor: 1.0,
        leaked: 4096.0,
        since: 1_699_990_000.0,
        evidence: Evidence::default(),
    };
    let id = EpisodeId::new(Identity { pid: 1, start_ticks: 2 }, "anon", 5.0);
    let episode =
        Episode { id, since: 1_699_990_000.0, floor_before: 1.0, opened_at: 1.0, confirmed_at: Some(2.0) };
    Verdict {
        state: LeakState::Confirmed,
        finding: Some(finding),
        episode: Some(episode),
        leaked: 4096.0,
        explained: None,
    }
}

/// A breached, a kept and a not yet measured number, and a parameter.
fn rules() -> Vec<RuleView> {
    let rule = |name: &str, level, value, is_breached| RuleView {
        area: Some("anon".into()),
        threshold: Threshold { rule: Rule::named(name).unwrap(), level, value },
        is_breached,
    };
    vec![
        // Of the target as a whole.
        RuleView { area: None, ..rule("gc_frequency", Level::Warning, 0.5, Some(false)) },
        rule("size", Level::Warning, 512.0, Some(true)),
        rule("size", Level::Critical, 2048.0, Some(false)),
        rule("growth", Level::Warning, 2.5, None),
        rule("window", Level::Any, 1800.0, None),
        rule("sustained_samples", Level::Any, 0.8, None),
    ]
}

/// A leaking area of bytes with a limit, one of objects, and a target that is gone.
fn small() -> Snapshot {
    let limit = Some(Limit { value: 8192.0, used: 2048.0, source: LimitSource::Cgroup });
    let leaking = AreaView { limit, verdict: Some(leak()), ..area("anon", Unit::Bytes, 1024.0) };
    let gone = TargetView { members: 0, ..target("gone", Vec::new()) };
    let shop = target("shop", vec![leaking, area("fds", Unit::Objects, 7.0)]);
    let times = Quantiles { p50: 0.02, p95: 0.3, p99: 1.25 };
    let targets = vec![gone, TargetView { rules: rules(), response_times: Some(times), ..shop }];
    Snapshot { tick: 1, taken_at: 1_700_000_000.5, targets, member_count: 2, ..Snapshot::default() }
}

fn page(snapshot: &Snapshot, own: &[MetricFamily], layout: Layout) -> String {
    let mut out = Vec::new();
    render(&Page { snapshot, selection: &Selection::All, own }, layout, &mut out);
    String::from_utf8(out).unwrap()
}

/// A counter, a gauge without labels and a histogram.
fn own() -> Vec<MetricFamily> {
    let registry = prometheus::Registry::new();
    let opts = prometheus::Opts::new("own_tries_total", "Tries, \"good\" or\nbad.");
    let tries = prometheus::IntCounterVec::new(opts, &["result"]).unwrap();
    tries.with_label_values(&["go\"od"]).inc_by(2);
    registry.register(Box::new(tries)).unwrap();
    let ratio = prometheus::Gauge::new("own_ratio", "A ratio.").unwrap();
    ratio.set(0.25);
    registry.register(Box::new(ratio)).unwrap();
    let opts = prometheus::HistogramOpts::new("own_span_seconds", "A span.").buckets(vec![0.5, 1.0, 1e6]);
    let span = prometheus::HistogramVec::new(opts, &["of"]).unwrap();
    span.with_label_values(&["x"]).observe(0.75);
    span.with_label_values(&["x"]).observe(2e6);
    registry.register(Box::new(span)).unwrap();
    registry.gather()
}

/// The page without its help lines, which the metric table alone decides.
fn without_help(page: &str) -> String {
    page.lines()
        .filter(|line| !line.starts_with("# HELP "))
        .fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn text_holds_each_family_once_in_the_order_of_the_table() {
    assert_eq!(without_help(&page(&small(), &own(), Layout::Text)), include_str!("tests/small.txt"));
}

#[test]
fn open_metrics_adds_units_and_the_end() {
    assert_eq!(
        without_help(&page(&small(), &own(), Layout::OpenMetrics)),
        include_str!("tests/small.openmetrics.txt")
    );
}

#[test]
fn every_family_has_its_help_before_its_type() {
    for layout in [Layout::Text, Layout::OpenMetrics] {
        let page = page(&small(), &own(), layout);
        let lines: Vec<&str> = page.lines().collect();
        let types = lines.iter().filter(|line| line.starts_with("# TYPE ")).count();
        let pairs = lines
            .windows(2)
            .filter(|pair| {
                let name = pair[0].strip_prefix("# HELP ").and_then(|rest| rest.split(' ').next());
                let typed = pair[1].strip_prefix("# TYPE ").and_then(|rest| rest.split(' ').next());
                name.is_some() && name == typed
            })
            .count();
        assert_eq!((pairs, types > 20), (types, true));
    }
}

#[test]
fn help_is_escaped_as_each_format_asks() {
    assert!(
        page(&Snapshot::default(), &own(), Layout::Text)
            .contains("# HELP own_tries_total Tries, \"good\" or\\nbad.\n")
    );
    assert!(
        page(&Snapshot::default(), &own(), Layout::OpenMetrics)
            .contains("# HELP own_tries Tries, \\\"good\\\" or\\nbad.\n")
    );
}

#[test]
fn hostile_names_are_escaped_in_every_series() {
    let hostile = "a\"b\\c\nd \u{e9}\u{4e16}";
    let snapshot =
        Snapshot { targets: vec![target(hostile, vec![area(hostile, Unit::Bytes, 1.0)])], ..small() };
    let escaped = "a\\\"b\\\\c\\nd \u{e9}\u{4e16}";
    let page = page(&snapshot, &[], Layout::Text);
    let begin = format!("{{target=\"{escaped}\",kind=\"process\"");
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.contains(&begin), "{line}");
    }
    assert!(page.contains(&format!("memleak_area_size_bytes{begin},area=\"{escaped}\"}} 1\n")));
}

#[test]
fn what_is_no_number_is_not_written_and_infinity_is() {
    let areas = vec![area("a", Unit::Bytes, f64::NAN), area("b", Unit::Objects, f64::INFINITY)];
    let page = page(&Snapshot { targets: vec![target("t", areas)], ..small() }, &[], Layout::Text);
    assert!(!page.contains("NaN"));
    assert!(!page.contains("memleak_area_size_bytes"), "a family without a series leaves its head");
    assert!(page.contains("memleak_area_size_objects{target=\"t\",kind=\"process\",area=\"b\"} +Inf\n"));
}

#[test]
fn an_empty_snapshot_is_an_empty_page() {
    assert_eq!(page(&Snapshot::default(), &[], Layout::Text), "");
    assert_eq!(page(&Snapshot::default(), &[], Layout::OpenMetrics), "# EOF\n");
}

#[test]
fn a_pid_is_a_label_where_asked_for() {
    let one = AreaView { pid: Some(42), ..area("anon", Unit::Bytes, 1.0) };
    let page = page(&Snapshot { targets: vec![target("t", vec![one])], ..small() }, &[], Layout::Text);
    assert!(
        page.contains("memleak_area_size_bytes{target=\"t\",kind=\"process\",area=\"anon\",pid=\"42\"} 1\n")
    );
}

#[test]
fn a_selection_leaves_targets_out_and_keeps_the_own_metrics() {
    let mut out = Vec::new();
    let none = Selection::new::<&str>(&[], &["process"], &["process"]).unwrap();
    render(&Page { snapshot: &small(), selection: &none, own: &own() }, Layout::Text, &mut out);
    let page = String::from_utf8(out).unwrap();
    assert!(!page.contains("memleak_"));
    assert!(page.contains("own_ratio 0.25\n"));
}

/// A sink that empties its buffer as often as it may.
#[derive(Default)]
struct Piecewise {
    buffer: Vec<u8>,
    pieces: Vec<Vec<u8>>,
}

impl Sink for Piecewise {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn pass_on(&mut self) {
        self.pieces.push(std::mem::take(&mut self.buffer));
    }
}

#[test]
fn a_page_in_pieces_is_the_same_page() {
    let areas =
        |count: u32| (0..count).map(|i| area(&format!("a{i}"), Unit::Objects, f64::from(i))).collect();
    let snapshot = Snapshot { targets: vec![target("t", areas(300)), target("u", areas(5))], ..small() };
    let own = own();
    let mut sink = Piecewise::default();
    render(&Page { snapshot: &snapshot, selection: &Selection::All, own: &own }, Layout::Text, &mut sink);
    assert!(sink.pieces.len() > 6, "{} pieces", sink.pieces.len());
    let whole = [sink.pieces.concat(), sink.buffer].concat();
    assert_eq!(String::from_utf8(whole).unwrap(), page(&snapshot, &own, Layout::Text));
}

#[test]
fn parts_are_shown_unless_their_collector_is_left_out() {
    let part = |name: &str, measure, growth| PartView {
        name: name.into(),
        measure,
        size: 5.0,
        confidence: 0.5,
        growth,
    };
    let parts = vec![
        part("module:a\"b.so", Measure::Memory, Some(2.0)),
        part("pipe", Measure::Descriptors, None),
        part("socket_tcp", Measure::SocketBuffers, Some(1.0)),
    ];
    let shop = TargetView { parts, parts_read_at: Some(7.5), ..target("shop", Vec::new()) };
    let snapshot = Snapshot { targets: vec![shop], ..Snapshot::default() };
    let lines = |selection: &Selection| -> Vec<String> {
        let mut out = Vec::new();
        render(&Page { snapshot: &snapshot, selection, own: &[] }, Layout::Text, &mut out);
        let page = String::from_utf8(out).unwrap();
        page.lines().filter(|line| line.starts_with("memleak_attribution")).map(str::to_owned).collect()
    };
    let labels = |part: &str| format!("{{target=\"shop\",kind=\"process\",part=\"{part}\"}}");
    let module = labels("module:a\\\"b.so");
    let expected = [
        format!("memleak_attribution_bytes{module} 5"),
        format!("memleak_attribution_descriptors{} 5", labels("pipe")),
        format!("memleak_attribution_socket_bytes{} 5", labels("socket_tcp")),
        format!("memleak_attribution_confidence_ratio{module} 0.5"),
        format!("memleak_attribution_confidence_ratio{} 0.5", labels("pipe")),
        format!("memleak_attribution_growth_bytes_per_second{module} 2"),
        String::from(
            "memleak_attribution_last_reading_timestamp_seconds{target=\"shop\",kind=\"process\"} 7.5",
        ),
    ];
    assert_eq!(lines(&Selection::All), expected);
    assert_eq!(lines(&Selection::Only(vec!["process"])), expected[6..]);
    assert_eq!(lines(&Selection::Only(vec!["attribution"])), expected[..6]);
}
