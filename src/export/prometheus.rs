//! A snapshot and the exporter's own metrics as a page for Prometheus: text or OpenMetrics.
//!
//! Written by hand because a page may hold a hundred thousand series and is made once a tick: the labels of a target
//! or area are escaped once a page, and each of its series costs two copies and a number. The order is that of the
//! metric table, then the exporter's own families by name; all series of a family stand together, each family stands
//! once, and a family without a series leaves no trace. What is not a number is not written.

mod encode;
mod family;
pub mod negotiate;
pub mod selection;

use self::{
    encode::{push_label_value, push_number},
    family::{push_header, push_own_family},
    negotiate::Layout,
    selection::Selection,
};
use super::metric::{
    AREA_LABELS, GENERATION_LABEL, Generation, INFO_LABELS, Metric, PART_LABEL, PATTERN_LABEL,
    PERCENTILE_LABEL, PID_LABEL, Percentile, RULE_LABELS, Source, TARGET_METRICS,
};
use crate::{
    detect::finding::Pattern,
    sample::{Target, TargetInfo},
    snapshot::{AreaView, PartView, RuleView, Snapshot, TargetView},
};
use prometheus::proto::MetricFamily;

/// How many areas are written before the sink may pass on what it has: a few hundred kilobytes at most, even where
/// each area has a dozen series in a family.
const ROWS_AT_A_TIME: usize = 128;

/// What a page shows.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The targets.
    pub snapshot: &'a Snapshot,
    /// Which of them.
    pub selection: &'a Selection,
    /// The exporter's own families, sorted by name.
    pub own: &'a [MetricFamily],
}

/// Where a page is written to: a buffer that may be emptied between two lines.
pub trait Sink {
    /// The buffer to append to.
    fn buffer(&mut self) -> &mut Vec<u8>;

    /// Called now and then, so that the whole page need not lie in memory.
    fn pass_on(&mut self);
}

impl Sink for Vec<u8> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self
    }

    fn pass_on(&mut self) {}
}

/// Appends the page to the sink.
pub fn render(page: &Page<'_>, layout: Layout, sink: &mut impl Sink) {
    let targets = target_rows(page);
    let areas = area_rows(page);
    let rules = rule_rows(page);
    let parts = part_rows(page);
    let mut writer = Writer { layout, sink };
    for metric in TARGET_METRICS {
        match metric.source {
            Source::Area(value) => writer.family(metric, &areas, |line, area| line.sample(value(area))),
            Source::Rule(value) => writer.family(metric, &rules, |line, rule| line.sample(value(rule))),
            Source::Part(value) => writer.family(metric, &parts, |line, part| line.sample(value(part))),
            Source::Target(value) => {
                writer.family(metric, &targets, |line, target| line.sample(value(target)));
            }
            Source::Generation(value) => writer.family(metric, &targets, |line, target| {
                for generation in Generation::ALL {
                    let Some(value) = value(target, generation) else { continue };
                    line.begin();
                    push_label(line.out, b',', GENERATION_LABEL, generation.as_str());
                    line.end(value);
                }
            }),
            Source::Percentile(value) => writer.family(metric, &targets, |line, target| {
                for percentile in Percentile::ALL {
                    let Some(value) = value(target, percentile) else { continue };
                    line.begin();
                    push_label(line.out, b',', PERCENTILE_LABEL, percentile.as_str());
                    line.end(value);
                }
            }),
            Source::Pattern => writer.family(metric, &areas, push_patterns),
            Source::TargetInfo => writer.family(metric, &targets, push_info),
            Source::Own => {}
        }
    }
    for family in page.own {
        push_own_family(writer.sink.buffer(), family, layout);
        writer.sink.pass_on();
    }
    if layout == Layout::OpenMetrics {
        writer.sink.buffer().extend_from_slice(b"# EOF\n");
    }
}

/// Things that have series, each with its labels escaped once: `{target="…",kind="…"`, without the closing brace.
struct Rows<'a, T> {
    labels: Vec<u8>,
    rows: Vec<Row<'a, T>>,
}

/// One of them; its labels lie at `start..end` of the common buffer.
struct Row<'a, T> {
    of: &'a T,
    start: usize,
    end: usize,
}

impl<'a, T> Rows<'a, T> {
    fn with_capacity(rows: usize) -> Self {
        Self { labels: Vec::new(), rows: Vec::with_capacity(rows) }
    }

    fn push(&mut self, of: &'a T, write_labels: impl FnOnce(&mut Vec<u8>)) {
        let start = self.labels.len();
        write_labels(&mut self.labels);
        self.rows.push(Row { of, start, end: self.labels.len() });
    }

    fn labels_of(&self, row: &Row<'_, T>) -> &[u8] {
        self.labels.get(row.start..row.end).unwrap_or_default()
    }
}

fn target_rows<'a>(page: &Page<'a>) -> Rows<'a, TargetView> {
    let mut rows = Rows::with_capacity(page.snapshot.targets.len());
    for target in selected(page) {
        rows.push(target, |labels| push_target_labels(labels, &target.target));
    }
    rows
}

fn area_rows<'a>(page: &Page<'a>) -> Rows<'a, AreaView> {
    let mut rows = Rows::with_capacity(selected(page).map(|target| target.areas.len()).sum());
    let mut common = Vec::new();
    for target in selected(page) {
        common.clear();
        push_target_labels(&mut common, &target.target);
        for area in &target.areas {
            rows.push(area, |labels| {
                labels.extend_from_slice(&common);
                push_area_labels(labels, area);
            });
        }
    }
    rows
}

fn rule_rows<'a>(page: &Page<'a>) -> Rows<'a, RuleView> {
    let mut rows = Rows::with_capacity(selected(page).map(|target| target.rules.len()).sum());
    let [_, _, area_label] = AREA_LABELS;
    let [rule_label, level_label] = RULE_LABELS;
    for target in selected(page) {
        for rule in &target.rules {
            rows.push(rule, |labels| {
                push_target_labels(labels, &target.target);
                if let Some(area) = &rule.area {
                    push_label(labels, b',', area_label, area);
                }
                push_label(labels, b',', rule_label, rule.threshold.rule.name);
                push_label(labels, b',', level_label, rule.threshold.level.as_str());
            });
        }
    }
    rows
}

fn part_rows<'a>(page: &Page<'a>) -> Rows<'a, PartView> {
    let mut rows = Rows::with_capacity(0);
    let targets = page.snapshot.targets.iter().filter(|_| page.selection.includes_parts());
    for target in targets {
        for part in &target.parts {
            rows.push(part, |labels| {
                push_target_labels(labels, &target.target);
                push_label(labels, b',', PART_LABEL, &part.name);
            });
        }
    }
    rows
}

fn selected<'a>(page: &Page<'a>) -> impl Iterator<Item = &'a TargetView> {
    let selection = page.selection;
    page.snapshot.targets.iter().filter(|target| selection.includes(target.target.kind))
}

fn push_target_labels(out: &mut Vec<u8>, target: &Target) {
    let [target_label, kind_label, _] = AREA_LABELS;
    push_label(out, b'{', target_label, &target.name);
    push_label(out, b',', kind_label, target.kind.as_str());
}

fn push_area_labels(out: &mut Vec<u8>, area: &AreaView) {
    let [_, _, area_label] = AREA_LABELS;
    push_label(out, b',', area_label, &area.area.name);
    if let Some(pid) = area.pid {
        push_label(out, b',', PID_LABEL, itoa::Buffer::new().format(pid));
    }
}

fn push_label(out: &mut Vec<u8>, separator: u8, name: &str, value: &str) {
    out.push(separator);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    push_label_value(out, value);
    out.push(b'"');
}

struct Writer<'w, S> {
    layout: Layout,
    sink: &'w mut S,
}

impl<S: Sink> Writer<'_, S> {
    /// Writes one family; its header is taken back where no row has a series.
    fn family<T>(&mut self, metric: &Metric, rows: &Rows<'_, T>, write: impl Fn(&mut Line<'_>, &T)) {
        let before = self.sink.buffer().len();
        push_header(self.sink.buffer(), metric, self.layout);
        let header_end = self.sink.buffer().len();
        let mut empty = true;
        for chunk in rows.rows.chunks(ROWS_AT_A_TIME) {
            let out = self.sink.buffer();
            for row in chunk {
                write(&mut Line { out, name: metric.name, labels: rows.labels_of(row) }, row.of);
            }
            if empty && out.len() == header_end {
                continue;
            }
            empty = false;
            self.sink.pass_on();
        }
        if empty {
            self.sink.buffer().truncate(before);
        }
    }
}

/// What the lines of one row begin with.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    name: &'static str,
    labels: &'a [u8],
}

impl Line<'_> {
    /// Writes the row's only series, where it has a value.
    fn sample(&mut self, value: Option<f64>) {
        let Some(value) = value.filter(|value| !value.is_nan()) else { return };
        self.begin();
        self.end(value);
    }

    /// Writes the name and the row's labels; more labels may follow.
    fn begin(&mut self) {
        self.out.extend_from_slice(self.name.as_bytes());
        self.out.extend_from_slice(self.labels);
    }

    fn end(&mut self, value: f64) {
        self.out.extend_from_slice(b"} ");
        push_number(self.out, value);
        self.out.push(b'\n');
    }
}

/// One series for each pattern of a judged area: 1 for its own, 0 for the others.
fn push_patterns(line: &mut Line<'_>, area: &AreaView) {
    let Some(finding) = area.verdict.as_ref().and_then(|verdict| verdict.finding.as_ref()) else { return };
    for pattern in Pattern::ALL {
        line.begin();
        push_label(line.out, b',', PATTERN_LABEL, pattern.as_str());
        line.end(f64::from(u8::from(pattern == finding.pattern)));
    }
}

/// The info series of a target that runs; of one that is gone nothing is known. An empty label is none, and not written.
fn push_info(line: &mut Line<'_>, view: &TargetView) {
    if view.members == 0 {
        return;
    }
    let TargetInfo { unit, container, pod_uid, namespace, pod, container_name, workload, runtime } =
        &view.info;
    let values = [unit, container, pod_uid, namespace, pod, container_name, workload, runtime];
    line.begin();
    let known = INFO_LABELS.into_iter().zip(values).filter(|(_, value)| !value.is_empty());
    for (name, value) in known {
        push_label(line.out, b',', name, value);
    }
    line.end(1.0);
}

#[cfg(test)]
mod tests;
