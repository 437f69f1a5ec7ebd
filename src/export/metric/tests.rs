use super::*;
use std::collections::BTreeSet;

/// Labels that belong to Prometheus, to the scrape or to the user's own target labels.
const RESERVED_LABELS: [&str; 12] = [
    "le",
    "quantile",
    "type",
    "region",
    "zone",
    "cluster",
    "env",
    "environment",
    "service",
    "owner",
    "job",
    "instance",
];

fn all() -> impl Iterator<Item = &'static Metric> {
    TARGET_METRICS.iter().chain(own::ALL.iter().copied())
}

/// The name that the standard mapping from OTLP to Prometheus gives.
fn mapped(metric: &Metric) -> String {
    let unit = match (metric.unit, metric.kind) {
        ("By", _) => "_bytes",
        ("By/s", _) => "_bytes_per_second",
        ("s", _) => "_seconds",
        ("1", Type::Gauge) => "_ratio",
        ("" | "1", _) => "",
        (other, _) => panic!("the mapping of the unit {other} is not known here"),
    };
    let total = if metric.kind == Type::Counter { "_total" } else { "" };
    metric.otlp_name.replace('.', "_") + unit + total
}

#[test]
fn each_name_follows_from_its_otlp_name_and_unit() {
    for metric in all() {
        assert_eq!(metric.name, mapped(metric));
    }
}

#[test]
fn names_are_valid_unique_and_prefixed() {
    let mut names = BTreeSet::new();
    let mut otlp_names = BTreeSet::new();
    for metric in all() {
        assert!(metric.name.starts_with("memleak_"), "{}", metric.name);
        assert!(
            metric
                .name
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit()),
            "{}",
            metric.name
        );
        assert!(names.insert(metric.name), "{} stands twice", metric.name);
        assert!(otlp_names.insert(metric.otlp_name), "{} stands twice", metric.otlp_name);
        let series_suffix =
            ["_count", "_sum", "_bucket", "_created"].iter().any(|end| metric.name.ends_with(end));
        assert!(!series_suffix, "{} looks like a part of a histogram", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == Type::Counter, "{}", metric.name);
    }
}

#[test]
fn labels_are_nobody_elses() {
    for metric in all() {
        let area = matches!(metric.source, Source::Area(_) | Source::Pattern | Source::Rule(_))
            .then_some(AREA_LABELS)
            .into_iter()
            .flatten();
        let labels: Vec<&str> = area.chain(metric.labels.iter().copied()).chain([PID_LABEL]).collect();
        let distinct: BTreeSet<&&str> = labels.iter().collect();
        assert_eq!(distinct.len(), labels.len(), "{} has a label twice", metric.name);
        for label in labels {
            assert!(
                !RESERVED_LABELS.contains(&label) && !label.starts_with("__"),
                "{label} on {}",
                metric.name
            );
        }
    }
}

#[test]
fn labels_of_a_source_are_those_that_it_writes() {
    for metric in TARGET_METRICS {
        let written: &[&str] = match metric.source {
            Source::Pattern => &[PATTERN_LABEL],
            Source::Rule(_) => &RULE_LABELS,
            Source::Part(_) => &[PART_LABEL],
            Source::TargetInfo => &INFO_LABELS,
            Source::Generation(_) => &[GENERATION_LABEL],
            Source::Percentile(_) => &[PERCENTILE_LABEL],
            Source::Area(_) | Source::Target(_) => &[],
            Source::Own => panic!("{} belongs to the registry", metric.name),
        };
        assert_eq!(metric.labels, written, "{}", metric.name);
    }
}

#[test]
fn every_help_is_a_sentence() {
    for metric in all() {
        assert!(metric.help.ends_with('.'), "{}: {}", metric.name, metric.help);
        assert!(!metric.help.contains('\n') && !metric.help.contains("  "), "{}", metric.name);
    }
}
