//! Counters and histograms: what rises since the exporter started, and so needs instruments that live as long as the
//! push.
//!
//! Their start time must not move, or a receiver would take each push for a restart; and under delta temporality the
//! SDK remembers what it sent last. So there is one provider for all of them. A counter is observed: its value comes
//! whole from the snapshot or the registry. A histogram is copied; see [`super::histogram`].

use super::{
    collection::{Reader, scope},
    histogram::{Copied, bounds},
    readings::{OwnName, Reading, Rows, own_attributes, own_name, own_readings},
};
use crate::export::metric::{TARGET_METRICS, Type, own};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter, MeterProvider},
};
use opentelemetry_sdk::{
    Resource,
    metrics::{
        Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream, Temporality, data::ResourceMetrics,
    },
};
use prometheus::proto::{MetricFamily, MetricType};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The values of all counters at this push, by name, for the callbacks of their instruments.
type Values = Arc<Mutex<HashMap<Cow<'static, str>, Vec<(f64, Vec<KeyValue>)>>>>;
/// The buckets of own histograms by name, for the view that sets them.
type Buckets = Arc<Mutex<HashMap<Cow<'static, str>, Vec<f64>>>>;

/// The counters and histograms of the push.
pub(super) struct Totals {
    provider: SdkMeterProvider,
    reader: Reader,
    meter: Meter,
    values: Values,
    observed: HashSet<Cow<'static, str>>,
    buckets: Buckets,
    histograms: HashMap<Cow<'static, str>, Mirrored>,
    /// Whether the next push is the first one whose differences mean something.
    started: bool,
}

/// An own histogram and what was copied of it, by labels.
struct Mirrored {
    instrument: Histogram<f64>,
    copied: HashMap<Vec<KeyValue>, Copied>,
}

impl fmt::Debug for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totals").field("observed", &self.observed).finish_non_exhaustive()
    }
}

impl Totals {
    /// Instruments come later, when there is something to count. `series_max` bounds the attribute sets of a counter.
    pub(super) fn new(resource: Resource, temporality: Temporality, series_max: usize) -> Self {
        let reader = Reader::new(temporality);
        let buckets = Buckets::default();
        let view = view(series_max, Arc::clone(&buckets));
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.clone())
            .with_view(view)
            .build();
        let meter = provider.meter_with_scope(scope());
        Self {
            provider,
            reader,
            meter,
            values: Values::default(),
            observed: HashSet::new(),
            buckets,
            histograms: HashMap::new(),
            // Since the start means that nothing is a difference.
            started: temporality == Temporality::Cumulative,
        }
    }

    /// The data points of now. The first differences count from the first push on: what was counted before it was
    /// reported by a push that a reload ended, or belongs to the start of the exporter.
    pub(super) fn collect(&mut self, rows: &Rows<'_>, families: &[MetricFamily]) -> ResourceMetrics {
        self.observe(rows, families);
        self.copy_histograms(families);
        if !self.started {
            self.started = true;
            self.reader.read();
        }
        let metrics = self.reader.read();
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clear();
        metrics
    }

    fn observe(&mut self, rows: &Rows<'_>, families: &[MetricFamily]) {
        for metric in TARGET_METRICS.iter().filter(|metric| metric.kind == Type::Counter) {
            let name = OwnName { name: metric.otlp_name.into(), unit: metric.unit, help: metric.help.into() };
            self.set(name, rows.readings(metric));
        }
        for family in families.iter().filter(|family| family.get_field_type() == MetricType::COUNTER) {
            if let Some(name) = own_name(family, own::ALL) {
                self.set(name, own_readings(family));
            }
        }
    }

    /// Lays the values out for the callback of the counter, which is made where there is none yet.
    fn set<'a>(&mut self, counter: OwnName, readings: impl Iterator<Item = Reading<'a>>) {
        let readings = readings.map(|(value, attributes)| (value, attributes.into_owned())).collect();
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(counter.name.clone(), readings);
        drop(values);
        if !self.observed.insert(counter.name.clone()) {
            return;
        }
        let (name, values) = (counter.name.clone(), Arc::clone(&self.values));
        self.meter
            .f64_observable_counter(counter.name)
            .with_unit(counter.unit)
            .with_description(counter.help)
            .with_callback(move |observer| {
                let values = values.lock().unwrap_or_else(PoisonError::into_inner);
                for (value, attributes) in values.get(&name).into_iter().flatten() {
                    observer.observe(*value, attributes);
                }
            })
            .build();
    }

    fn copy_histograms(&mut self, families: &[MetricFamily]) {
        for family in families.iter().filter(|family| family.get_field_type() == MetricType::HISTOGRAM) {
            let (Some(name), Some(first)) = (own_name(family, own::ALL), family.get_metric().first()) else {
                continue;
            };
            let (meter, buckets) = (&self.meter, &self.buckets);
            let mirrored = self.histograms.entry(name.name.clone()).or_insert_with(|| {
                let bounds = bounds(first.get_histogram());
                buckets.lock().unwrap_or_else(PoisonError::into_inner).insert(name.name.clone(), bounds);
                let instrument = meter.f64_histogram(name.name).with_unit(name.unit);
                Mirrored {
                    instrument: instrument.with_description(name.help).build(),
                    copied: HashMap::new(),
                }
            });
            for metric in family.get_metric() {
                let attributes = own_attributes(metric.get_label());
                let copied = mirrored.copied.entry(attributes.clone()).or_default();
                copied.advance(metric.get_histogram(), &mirrored.instrument, &attributes);
            }
        }
    }
}

impl Drop for Totals {
    fn drop(&mut self) {
        // Said explicitly, or the SDK logs that nobody did.
        drop(self.provider.shutdown());
    }
}

/// How the SDK keeps each instrument.
///
/// Counters: the default limit of 2000 attribute sets would merge the targets of a large host into one. The limit is
/// also allocated, but for an observed counter only until its first collection, which gives it back; nothing of it is
/// touched. Histograms have few attribute sets and keep the default; their smallest and largest value are made up.
fn view(series_max: usize, buckets: Buckets) -> impl Fn(&Instrument) -> Option<Stream> + Send + Sync {
    move |instrument| match instrument.kind() {
        InstrumentKind::ObservableCounter => {
            Stream::builder().with_cardinality_limit(series_max.max(1)).build().ok()
        }
        InstrumentKind::Histogram => {
            let buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let boundaries = buckets.get(instrument.name())?.clone();
            let aggregation = Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false };
            Stream::builder().with_aggregation(aggregation).build().ok()
        }
        _ => None,
    }
}
