use super::*;
use crate::{
    detect::finding::{Estimate, Evidence, Pattern, Severity},
    severity::Row,
};
use std::collections::BTreeMap;

fn own() -> Own {
    let build = BuildInfo { version: "1.2.3", revision: "abc", rustversion: "1.95" };
    Own::new(&build, &Start { loaded_at: 1_700_000_000.25, interval_secs: 3.0 }).unwrap()
}

fn finding(growth: f64) -> Finding {
    Finding {
        growth: Estimate { value: growth, lower: growth, upper: growth },
        confidence: 0.9,
        pattern: Pattern::Linear,
        severity: Severity::Low,
        time_to_limit: None,
        floor: 1.0,
        leaked: 0.0,
        since: 0.0,
        evidence: Evidence::default(),
    }
}

/// A row with all conditions and one with the least.
fn table() -> Table {
    let row = Row { level: Severity::Low, confidence: 0.7, time_to_limit_secs: None, growth_per_day: None };
    let full = Row {
        level: Severity::High,
        confidence: 0.9,
        time_to_limit_secs: Some(3600.0),
        growth_per_day: Some(0.5),
    };
    Table { rows: vec![full, row] }
}

/// Everything that can happen to an exporter, once.
fn live(own: &Own) {
    own.ticked(1_700_000_003.5);
    own.collector_finished("process", 0.002);
    own.reads_failed("process", Errors { permission: 5, read: 1 });
    own.source_answered("checkout/cache", true);
    own.dropped(DroppedBy::AreasPerTarget, 7);
    own.judged(12, 0.000_1);
    own.verdict(&finding(-50.0), Unit::Bytes);
    own.verdict(&finding(150.0), Unit::Bytes);
    own.verdict(&finding(1.0), Unit::Objects);
    own.confirmed(120.0);
    own.graded_by(Some(&table()));
    own.web_file_read(true);
    own.otlp().sent.inc();
    own.otlp().queued.set(2);
    own.state_is_kept();
    own.state_saved(1_700_000_002.0, 3);
    own.request_answered("metrics", 200);
}

/// The samples of the text page, by series.
fn samples(own: &Own) -> BTreeMap<String, String> {
    let text = prometheus::TextEncoder::new().encode_to_string(&own.gather()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, value)| (series.into(), value.into()))
        .collect()
}

fn check(own: &Own, expected: &[(&str, Option<&str>)]) {
    let samples = samples(own);
    for (series, value) in expected {
        assert_eq!(samples.get(*series).map(String::as_str), *value, "{series}");
    }
}

#[test]
fn the_registry_holds_the_table_and_the_process_metrics_and_nothing_else() {
    let own = own();
    live(&own);
    let families = own.gather();
    let table: BTreeMap<&str, &Metric> = own::ALL.iter().map(|metric| (metric.name, *metric)).collect();
    let mut seen = Vec::new();
    for family in families.iter().filter(|family| !family.name().starts_with("process_")) {
        let metric = table[family.name()];
        assert_eq!(family.help(), metric.help);
        for series in family.get_metric() {
            let mut labels: Vec<&str> = series.get_label().iter().map(|label| label.name()).collect();
            let mut expected = metric.labels.to_vec();
            labels.sort_unstable();
            expected.sort_unstable();
            assert_eq!(labels, expected, "{}", metric.name);
        }
        seen.push(family.name());
    }
    assert_eq!(seen, table.keys().copied().collect::<Vec<_>>());
    assert!(families.iter().any(|family| family.name() == "process_resident_memory_bytes"));
}

#[test]
fn what_is_known_in_advance_starts_at_zero_and_the_rest_is_absent() {
    check(
        &own(),
        &[
            (r#"memleak_exporter_build_info{revision="abc",rustversion="1.95",version="1.2.3"}"#, Some("1")),
            (
                r#"memleak_exporter_collector_errors_total{collector="process",reason="permission"}"#,
                Some("0"),
            ),
            (r#"memleak_exporter_collector_errors_total{collector="process",reason="read"}"#, Some("0")),
            (r#"memleak_exporter_collector_duration_seconds_count{collector="process"}"#, Some("0")),
            (r#"memleak_exporter_dropped_total{limit="processes"}"#, Some("0")),
            (r#"memleak_exporter_dropped_total{limit="targets"}"#, Some("0")),
            (r#"memleak_exporter_dropped_total{limit="areas_per_target"}"#, Some("0")),
            (r#"memleak_exporter_dropped_total{limit="series"}"#, Some("0")),
            (r#"memleak_exporter_otlp_exports_total{result="sent"}"#, Some("0")),
            (r#"memleak_exporter_otlp_exports_total{result="failed"}"#, Some("0")),
            (r#"memleak_exporter_otlp_exports_total{result="dropped"}"#, Some("0")),
            ("memleak_exporter_ticks_total", Some("0")),
            ("memleak_exporter_config_last_reload_successful", Some("1")),
            ("memleak_exporter_config_last_reload_success_timestamp_seconds", Some("1700000000.25")),
            ("memleak_exporter_sampling_interval_seconds", Some("3")),
            // Before the first tick neither is true of anything.
            ("memleak_exporter_last_tick_timestamp_seconds", None),
            (r#"memleak_exporter_collector_success{collector="process"}"#, None),
        ],
    );
}

#[test]
fn each_event_moves_its_own_series() {
    let own = own();
    live(&own);
    check(
        &own,
        &[
            ("memleak_exporter_ticks_total", Some("1")),
            ("memleak_exporter_last_tick_timestamp_seconds", Some("1700000003.5")),
            (r#"memleak_exporter_collector_success{collector="process"}"#, Some("1")),
            (r#"memleak_exporter_collector_duration_seconds_sum{collector="process"}"#, Some("0.002")),
            (
                r#"memleak_exporter_collector_errors_total{collector="process",reason="permission"}"#,
                Some("5"),
            ),
            (r#"memleak_exporter_collector_errors_total{collector="process",reason="read"}"#, Some("1")),
            (r#"memleak_exporter_dropped_total{limit="areas_per_target"}"#, Some("7")),
            (r#"memleak_exporter_dropped_total{limit="targets"}"#, Some("0")),
            ("memleak_exporter_areas_judged", Some("12")),
            ("memleak_exporter_detect_duration_seconds_count", Some("1")),
            // Shrinking counts as 0, objects are not bytes.
            ("memleak_exporter_growth_bytes_per_second_sum", Some("150")),
            ("memleak_exporter_growth_bytes_per_second_count", Some("2")),
            (r#"memleak_exporter_growth_bytes_per_second_bucket{le="0"}"#, Some("1")),
            ("memleak_exporter_confidence_ratio_count", Some("3")),
            ("memleak_exporter_detection_delay_seconds_sum", Some("120")),
            (r#"memleak_exporter_otlp_exports_total{result="sent"}"#, Some("1")),
            ("memleak_exporter_otlp_queue_batches", Some("2")),
            (r#"memleak_exporter_http_requests_total{code="200",handler="metrics"}"#, Some("1")),
        ],
    );
    let of_severity = |values: [Option<&'static str>; 5]| {
        let series = [
            r#"memleak_exporter_severity_confidence_ratio{level="high",row="1"}"#,
            r#"memleak_exporter_severity_confidence_ratio{level="low",row="2"}"#,
            r#"memleak_exporter_severity_time_to_limit_seconds{level="high",row="1"}"#,
            r#"memleak_exporter_severity_time_to_limit_seconds{level="low",row="2"}"#,
            r#"memleak_exporter_severity_growth_per_day_ratio{level="high",row="1"}"#,
        ];
        series.into_iter().zip(values).collect::<Vec<_>>()
    };
    check(&own, &of_severity([Some("0.9"), Some("0.7"), Some("3600"), None, Some("0.5")]));
    own.graded_by(None);
    check(&own, &of_severity([None; 5]));
    own.collector_failed("process");
    own.reload_failed();
    check(
        &own,
        &[
            (r#"memleak_exporter_collector_success{collector="process"}"#, Some("0")),
            ("memleak_exporter_config_last_reload_successful", Some("0")),
            ("memleak_exporter_config_last_reload_success_timestamp_seconds", Some("1700000000.25")),
        ],
    );
    own.reloaded(1_700_000_010.0, 15.0);
    check(
        &own,
        &[
            ("memleak_exporter_config_last_reload_successful", Some("1")),
            ("memleak_exporter_config_last_reload_success_timestamp_seconds", Some("1700000010")),
            ("memleak_exporter_sampling_interval_seconds", Some("15")),
        ],
    );
}
