//! The head of a family, and the exporter's own families as the registry gives them.

use super::{
    encode::{push_bound, push_count, push_help, push_number},
    negotiate::Layout,
    push_label,
};
use crate::export::metric::{Metric, Type};
use prometheus::proto::{Histogram, LabelPair, MetricFamily, MetricType};

/// What a counter's series end in; in OpenMetrics the family's name goes without.
const COUNTER_SUFFIX: &str = "_total";
/// The units that a name can end in, for OpenMetrics' `# UNIT`. An ending counts only whole, so the order is free.
const UNIT_SUFFIXES: [&str; 4] = ["_bytes", "_seconds", "_ratio", "_bytes_per_second"];

/// Writes the head of a family of the table.
pub(super) fn push_header(out: &mut Vec<u8>, metric: &Metric, layout: Layout) {
    let type_name = match metric.kind {
        Type::Gauge => "gauge",
        Type::Counter => "counter",
        Type::Histogram => "histogram",
    };
    push_head(out, &Head { name: metric.name, type_name, help: metric.help }, layout);
}

/// Writes a family of the registry with all its series.
///
/// Summaries and untyped metrics are not written: the metric table has none.
pub(super) fn push_own_family(out: &mut Vec<u8>, family: &MetricFamily, layout: Layout) {
    let name = family.name();
    let type_name = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY | MetricType::UNTYPED => return,
    };
    if family.get_metric().is_empty() {
        return;
    }
    push_head(out, &Head { name, type_name, help: family.help() }, layout);
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match family.get_field_type() {
            MetricType::COUNTER => push_sample(out, name, labels, metric.get_counter().get_value()),
            MetricType::GAUGE => push_sample(out, name, labels, metric.get_gauge().get_value()),
            _ => push_histogram(out, name, labels, metric.get_histogram()),
        }
    }
}

struct Head<'a> {
    name: &'a str,
    type_name: &'static str,
    help: &'a str,
}

fn push_head(out: &mut Vec<u8>, head: &Head<'_>, layout: Layout) {
    let open = layout == Layout::OpenMetrics;
    let is_counter = head.type_name == "counter";
    let name = head.name.strip_suffix(COUNTER_SUFFIX).filter(|_| open && is_counter).unwrap_or(head.name);
    push_all(out, &["# HELP ", name, " "]);
    push_help(out, head.help, open);
    push_all(out, &["\n# TYPE ", name, " ", head.type_name, "\n"]);
    if let Some(unit) = unit_of(name).filter(|_| open) {
        push_all(out, &["# UNIT ", name, " ", unit, "\n"]);
    }
}

/// The unit that a family's name ends in.
fn unit_of(name: &str) -> Option<&'static str> {
    UNIT_SUFFIXES.into_iter().find(|suffix| name.ends_with(suffix))?.strip_prefix('_')
}

fn push_sample(out: &mut Vec<u8>, name: &str, labels: &[LabelPair], value: f64) {
    push_series(out, [name, ""], labels, None);
    push_number(out, value);
    out.push(b'\n');
}

fn push_histogram(out: &mut Vec<u8>, name: &str, labels: &[LabelPair], histogram: &Histogram) {
    let bounded = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
    let buckets = bounded.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
    for (bound, count) in buckets.chain([(f64::INFINITY, histogram.get_sample_count())]) {
        push_series(out, [name, "_bucket"], labels, Some(bound));
        push_count(out, count);
        out.push(b'\n');
    }
    push_series(out, [name, "_sum"], labels, None);
    push_number(out, histogram.get_sample_sum());
    out.push(b'\n');
    push_series(out, [name, "_count"], labels, None);
    push_count(out, histogram.get_sample_count());
    out.push(b'\n');
}

/// Writes a series up to the space before its value; `bound` is the upper bound of a bucket.
fn push_series(out: &mut Vec<u8>, name: [&str; 2], labels: &[LabelPair], bound: Option<f64>) {
    push_all(out, &name);
    let mut separator = b'{';
    for label in labels {
        push_label(out, separator, label.name(), label.value());
        separator = b',';
    }
    if let Some(bound) = bound {
        out.push(separator);
        out.extend_from_slice(b"le=\"");
        push_bound(out, bound);
        out.push(b'"');
        separator = b',';
    }
    out.extend_from_slice(if separator == b'{' { b" " } else { b"} " });
}

fn push_all(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_counter_of_open_metrics_loses_its_suffix() {
        for (type_name, layout, name) in [
            ("counter", Layout::OpenMetrics, "a"),
            ("counter", Layout::Text, "a_total"),
            ("gauge", Layout::OpenMetrics, "a_total"),
        ] {
            let mut out = Vec::new();
            push_head(&mut out, &Head { name: "a_total", type_name, help: "h" }, layout);
            let head = format!("# HELP {name} h\n# TYPE {name} {type_name}\n");
            assert_eq!(String::from_utf8(out).unwrap(), head);
        }
    }

    #[test]
    fn a_unit_is_what_the_name_ends_in() {
        for (name, unit) in [
            ("a_bytes", Some("bytes")),
            ("a_bytes_per_second", Some("bytes_per_second")),
            ("a_timestamp_seconds", Some("seconds")),
            ("a_ratio", Some("ratio")),
            ("a_objects", None),
            ("a_objects_per_second", None),
            ("kilobytes", None),
        ] {
            assert_eq!(unit_of(name), unit, "{name}");
        }
    }
}
