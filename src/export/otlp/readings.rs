//! Values with their attributes: what one metric of the table says about one snapshot or one family of own metrics.
//!
//! Attributes are written in the order of their keys: the SDK would otherwise keep every set twice, once as written
//! and once sorted.

use crate::{
    detect::finding::Pattern,
    export::metric::{
        GENERATION_LABEL, Generation, INFO_LABELS, Metric, PART_LABEL, PATTERN_LABEL, PERCENTILE_LABEL,
        PID_LABEL, Percentile, RULE_LABELS, Source,
    },
    sample::TargetInfo,
    snapshot::{AreaView, PartView, RuleView, Snapshot, TargetView},
};
use opentelemetry::{KeyValue, StringValue, Value};
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use std::{borrow::Cow, sync::Arc};

/// What the names of the process collector of the `prometheus` crate begin with.
const PROCESS_PREFIX: &str = "process_";

/// A value with its attributes.
pub(super) type Reading<'a> = (f64, Cow<'a, [KeyValue]>);

/// The targets and areas of a snapshot with their attributes, which all metrics share.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    targets: Vec<(&'a TargetView, Vec<KeyValue>)>,
    areas: Vec<(&'a AreaView, Vec<KeyValue>)>,
    rules: Vec<(&'a RuleView, Vec<KeyValue>)>,
    parts: Vec<(&'a PartView, Vec<KeyValue>)>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let targets = Vec::with_capacity(snapshot.targets.len());
        let mut rows = Self { targets, areas: Vec::new(), rules: Vec::new(), parts: Vec::new() };
        for view in &snapshot.targets {
            // One copy of the name, shared by all attribute sets.
            let name: Value = StringValue::from(Arc::<str>::from(&*view.target.name)).into();
            let kind = view.target.kind.as_str();
            for area in &view.areas {
                rows.areas.push((area, area_attributes(area, kind, &name)));
            }
            for rule in &view.rules {
                rows.rules.push((rule, rule_attributes(rule, kind, &name)));
            }
            for part in &view.parts {
                rows.parts.push((part, part_attributes(part, kind, &name)));
            }
            rows.targets.push((view, vec![KeyValue::new("kind", kind), KeyValue::new("target", name)]));
        }
        rows
    }

    /// How many readings a metric of this source has at most.
    pub(super) fn count_max(&self, source: &Source) -> usize {
        match source {
            Source::Area(_) => self.areas.len(),
            Source::Pattern => self.areas.len() * Pattern::ALL.len(),
            Source::Rule(_) => self.rules.len(),
            Source::Part(_) => self.parts.len(),
            Source::Target(_) | Source::TargetInfo => self.targets.len(),
            Source::Generation(_) => self.targets.len() * Generation::ALL.len(),
            Source::Percentile(_) => self.targets.len() * Percentile::ALL.len(),
            Source::Own => 0,
        }
    }

    /// The readings of a metric of targets and areas; those that are not finite are left out.
    pub(super) fn readings<'r>(&'r self, metric: &Metric) -> Box<dyn Iterator<Item = Reading<'r>> + 'r> {
        match metric.source {
            Source::Area(value) => Box::new(self.areas.iter().filter_map(move |(area, attributes)| {
                Some((finite(value(area))?, Cow::Borrowed(attributes.as_slice())))
            })),
            Source::Pattern => {
                Box::new(self.areas.iter().flat_map(|(area, attributes)| patterns(area, attributes)))
            }
            Source::Rule(value) => Box::new(self.rules.iter().filter_map(move |(rule, attributes)| {
                Some((finite(value(rule))?, Cow::Borrowed(attributes.as_slice())))
            })),
            Source::Part(value) => Box::new(self.parts.iter().filter_map(move |(part, attributes)| {
                Some((finite(value(part))?, Cow::Borrowed(attributes.as_slice())))
            })),
            Source::Target(value) => Box::new(self.targets.iter().filter_map(move |(target, attributes)| {
                Some((finite(value(target))?, Cow::Borrowed(attributes.as_slice())))
            })),
            Source::Generation(value) => {
                Box::new(self.targets.iter().flat_map(move |(target, attributes)| {
                    Generation::ALL.into_iter().filter_map(move |generation| {
                        let mut all = vec![KeyValue::new(GENERATION_LABEL, generation.as_str())];
                        all.extend_from_slice(attributes);
                        Some((finite(value(target, generation))?, Cow::Owned(all)))
                    })
                }))
            }
            Source::Percentile(value) => {
                Box::new(self.targets.iter().flat_map(move |(target, attributes)| {
                    Percentile::ALL.into_iter().filter_map(move |percentile| {
                        let value = finite(value(target, percentile))?;
                        Some((value, Cow::Owned(with_percentile(attributes, percentile))))
                    })
                }))
            }
            Source::TargetInfo => Box::new(
                self.targets
                    .iter()
                    .map(|(target, attributes)| (1.0, Cow::Owned(info_attributes(target, attributes)))),
            ),
            Source::Own => Box::new(std::iter::empty()),
        }
    }
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

fn area_attributes(area: &AreaView, kind: &'static str, target: &Value) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(4);
    attributes.push(KeyValue::new("area", StringValue::from(Arc::clone(&area.area.name))));
    attributes.push(KeyValue::new("kind", kind));
    attributes.extend(area.pid.map(|pid| KeyValue::new(PID_LABEL, i64::from(pid))));
    attributes.push(KeyValue::new("target", target.clone()));
    attributes
}

fn rule_attributes(rule: &RuleView, kind: &'static str, target: &Value) -> Vec<KeyValue> {
    let [rule_label, level_label] = RULE_LABELS;
    let mut attributes = Vec::with_capacity(5);
    attributes
        .extend(rule.area.as_ref().map(|area| KeyValue::new("area", StringValue::from(Arc::clone(area)))));
    attributes.extend([
        KeyValue::new("kind", kind),
        KeyValue::new(level_label, rule.threshold.level.as_str()),
        KeyValue::new(rule_label, rule.threshold.rule.name),
        KeyValue::new("target", target.clone()),
    ]);
    attributes
}

fn part_attributes(part: &PartView, kind: &'static str, target: &Value) -> Vec<KeyValue> {
    vec![
        KeyValue::new("kind", kind),
        KeyValue::new(PART_LABEL, StringValue::from(Arc::clone(&part.name))),
        KeyValue::new("target", target.clone()),
    ]
}

/// One reading for each pattern, where the area has a finding: 1 for its own, 0 for the others.
fn patterns<'r>(area: &'r AreaView, attributes: &'r [KeyValue]) -> impl Iterator<Item = Reading<'r>> {
    let found = area.verdict.as_ref().and_then(|verdict| verdict.finding.as_ref());
    found.into_iter().flat_map(move |finding| {
        Pattern::ALL.into_iter().map(move |pattern| {
            let mut with_pattern = Vec::with_capacity(attributes.len() + 1);
            with_pattern.extend(attributes.iter().filter(|pair| pair.key.as_str() < PATTERN_LABEL).cloned());
            with_pattern.push(KeyValue::new(PATTERN_LABEL, pattern.as_str()));
            with_pattern.extend(attributes.iter().filter(|pair| pair.key.as_str() > PATTERN_LABEL).cloned());
            (f64::from(u8::from(pattern == finding.pattern)), Cow::Owned(with_pattern))
        })
    })
}

/// The target's attributes, and between them the percentile, by the order of the keys.
fn with_percentile(attributes: &[KeyValue], percentile: Percentile) -> Vec<KeyValue> {
    let is_before = |pair: &&KeyValue| pair.key.as_str() < PERCENTILE_LABEL;
    let before = attributes.iter().filter(is_before).cloned();
    let own = KeyValue::new(PERCENTILE_LABEL, percentile.as_str());
    let after = attributes.iter().filter(|pair| !is_before(pair)).cloned();
    before.chain([own]).chain(after).collect()
}

/// The target's attributes and what is known beside its name. What is unknown is left out: an empty label is none.
fn info_attributes(view: &TargetView, attributes: &[KeyValue]) -> Vec<KeyValue> {
    let TargetInfo { unit, container, pod_uid, namespace, pod, container_name, workload, runtime } =
        &view.info;
    let values = [unit, container, pod_uid, namespace, pod, container_name, workload, runtime];
    let known = INFO_LABELS.into_iter().zip(values).filter(|(_, value)| !value.is_empty());
    let mut all: Vec<KeyValue> = known.map(|(key, value)| KeyValue::new(key, value.to_string())).collect();
    all.extend_from_slice(attributes);
    all.sort_by(|one, other| one.key.cmp(&other.key));
    all
}

/// An own metric as OTLP names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnName {
    /// Its name in OTLP.
    pub(super) name: Cow<'static, str>,
    /// Its unit as UCUM; empty where it has none.
    pub(super) unit: &'static str,
    /// What it says.
    pub(super) help: Cow<'static, str>,
}

/// The OTLP name of an own family: from the table, or by rule for the `process_*` metrics, whose names are the
/// `prometheus` crate's. None for a family that neither knows.
pub(super) fn own_name(family: &MetricFamily, table: &[&Metric]) -> Option<OwnName> {
    if let Some(metric) = table.iter().find(|metric| metric.name == family.name()) {
        return Some(OwnName { name: metric.otlp_name.into(), unit: metric.unit, help: metric.help.into() });
    }
    let rest = family.name().strip_prefix(PROCESS_PREFIX)?;
    let rest = rest.strip_suffix("_total").unwrap_or(rest);
    let (rest, unit) = [("_seconds", "s"), ("_bytes", "By")]
        .into_iter()
        .find_map(|(suffix, unit)| Some((rest.strip_suffix(suffix)?, unit)))
        .unwrap_or((rest, ""));
    Some(OwnName { name: format!("process.{rest}").into(), unit, help: family.help().to_owned().into() })
}

/// The readings of an own gauge or counter; none for a histogram.
pub(super) fn own_readings(family: &MetricFamily) -> impl Iterator<Item = Reading<'static>> {
    let kind = family.get_field_type();
    family.get_metric().iter().filter_map(move |metric| {
        let value = match kind {
            MetricType::COUNTER => metric.get_counter().get_value(),
            MetricType::GAUGE => metric.get_gauge().get_value(),
            MetricType::SUMMARY | MetricType::UNTYPED | MetricType::HISTOGRAM => return None,
        };
        Some((finite(Some(value))?, Cow::Owned(own_attributes(metric.get_label()))))
    })
}

/// Labels of an own metric as attributes.
pub(super) fn own_attributes(labels: &[LabelPair]) -> Vec<KeyValue> {
    let named = labels.iter().filter(|label| !label.value().is_empty());
    let mut attributes: Vec<KeyValue> =
        named.map(|label| KeyValue::new(label.name().to_owned(), label.value().to_owned())).collect();
    attributes.sort_by(|one, other| one.key.cmp(&other.key));
    attributes
}
