//! A snapshot and the exporter's own metrics as the SDK's data points.
//!
//! Gauges and what rises are collected apart. A gauge needs no memory of the push before, so its instruments are made
//! for one push and dropped with it: the SDK would otherwise keep every attribute set between pushes, would need to be
//! told at the start how many there may ever be (two thousand unless a view says more, and it allocates the number),
//! and would count the sets of two pushes against it when targets change. Made anew, each is as large as this snapshot
//! needs. It also lets a large snapshot be cut into parts that a receiver takes: the default limit of a gRPC message
//! is 4 MiB, about 30,000 points.

use super::{
    Options, Temporality,
    readings::{OwnName, Reading, Rows, own_name, own_readings},
    totals::Totals,
};
use crate::{
    export::metric::{TARGET_METRICS, Type, own},
    snapshot::Snapshot,
};
use opentelemetry::{
    InstrumentationScope, KeyValue,
    metrics::{Meter, MeterProvider},
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{
        InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, data::ResourceMetrics,
        reader::MetricReader,
    },
    resource::TelemetryResourceDetector,
};
use prometheus::proto::{MetricFamily, MetricType};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The name of the instrumentation scope and of the service, unless the configuration says another.
const SCOPE_NAME: &str = env!("CARGO_PKG_NAME");
/// At most this many data points of gauges go into one request. A point takes 100 to 150 bytes there, 400 with names
/// as long as a command line, so the limit of the receiver is far; but while a part is collected and while it is encoded
/// it takes a multiple of that, and the runtime does nothing else: 2 MB and 2 ms with parts of this size.
const PART_POINTS_MAX: usize = 2_000;

/// Turns snapshots into data points.
#[derive(Debug)]
pub(super) struct Collection {
    resource: Resource,
    totals: Totals,
}

impl Collection {
    /// `configured` are the attributes of the configuration; they win over the ones found out.
    pub(super) fn new(options: &Options, configured: &BTreeMap<String, String>) -> Self {
        let resource = resource(&options.resource, configured);
        let totals = Totals::new(resource.clone(), options.temporality, options.series_max);
        Self { resource, totals }
    }

    /// The requests that make up one push. Their data points carry the time of this call.
    pub(super) fn collect(&mut self, snapshot: &Snapshot, families: &[MetricFamily]) -> Vec<ResourceMetrics> {
        let rows = Rows::new(snapshot);
        let mut gauges = Gauges { resource: &self.resource, open: None, parts: Vec::new() };
        for metric in TARGET_METRICS.iter().filter(|metric| metric.kind == Type::Gauge) {
            let name = OwnName { name: metric.otlp_name.into(), unit: metric.unit, help: metric.help.into() };
            gauges.record(&name, rows.count_max(&metric.source), rows.readings(metric));
        }
        for family in families.iter().filter(|family| family.get_field_type() == MetricType::GAUGE) {
            if let Some(name) = own_name(family, own::ALL) {
                gauges.record(&name, family.get_metric().len(), own_readings(family));
            }
        }
        let mut parts = gauges.finish();
        parts.push(self.totals.collect(&rows, families));
        parts
    }
}

/// The gauges of one push, cut into parts.
struct Gauges<'a> {
    resource: &'a Resource,
    open: Option<Part>,
    parts: Vec<ResourceMetrics>,
}

impl Gauges<'_> {
    /// Adds all readings of one gauge, of which there are at most `count_max`.
    fn record<'r>(&mut self, gauge: &OwnName, count_max: usize, readings: impl Iterator<Item = Reading<'r>>) {
        let mut readings = readings.peekable();
        while readings.peek().is_some() {
            let part = self.open.get_or_insert_with(|| Part::new(self.resource.clone()));
            part.record(gauge, count_max, &mut readings);
            if part.room == 0 {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        self.parts.extend(self.open.take().map(Part::finish));
    }

    fn finish(mut self) -> Vec<ResourceMetrics> {
        self.close();
        self.parts
    }
}

/// The gauges of one request.
struct Part {
    provider: SdkMeterProvider,
    reader: Reader,
    meter: Meter,
    /// How many points fit in.
    room: usize,
    /// How many attribute sets the next instrument gets; read by the view when the instrument is made.
    sets_max: Arc<AtomicUsize>,
}

impl Part {
    fn new(resource: Resource) -> Self {
        let reader = Reader::new(Temporality::Cumulative);
        let sets_max = Arc::new(AtomicUsize::new(1));
        let for_view = Arc::clone(&sets_max);
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.clone())
            .with_view(move |_: &_| {
                Stream::builder().with_cardinality_limit(for_view.load(Ordering::Relaxed)).build().ok()
            })
            .build();
        let meter = provider.meter_with_scope(scope());
        Self { provider, reader, meter, room: PART_POINTS_MAX, sets_max }
    }

    fn record<'r>(
        &mut self,
        gauge: &OwnName,
        count_max: usize,
        readings: &mut impl Iterator<Item = Reading<'r>>,
    ) {
        self.sets_max.store(count_max.clamp(1, self.room), Ordering::Relaxed);
        let instrument = self.meter.f64_gauge(gauge.name.clone()).with_unit(gauge.unit);
        let instrument = instrument.with_description(gauge.help.clone()).build();
        for (value, attributes) in readings.take(self.room) {
            instrument.record(value, &attributes);
            self.room -= 1;
        }
    }

    fn finish(self) -> ResourceMetrics {
        let metrics = self.reader.read();
        // Said explicitly, or the SDK logs that nobody did.
        drop(self.provider.shutdown());
        metrics
    }
}

/// The SDK's reader that reads when it is told to, shared with the provider that owns it.
#[derive(Clone, Debug)]
pub(super) struct Reader(Arc<ManualReader>);

impl Reader {
    pub(super) fn new(temporality: Temporality) -> Self {
        Self(Arc::new(ManualReader::builder().with_temporality(temporality).build()))
    }

    /// All data points of now; none if the provider was shut down.
    pub(super) fn read(&self) -> ResourceMetrics {
        let mut metrics = ResourceMetrics::default();
        if let Err(error) = self.0.collect(&mut metrics) {
            tracing::debug!(%error, "nothing to collect");
        }
        metrics
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// Who made the instruments.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE_NAME).with_version(env!("CARGO_PKG_VERSION")).build()
}

/// Who sends: the service, the SDK, what was found out, what was configured; later ones win.
fn resource(found: &BTreeMap<String, String>, configured: &BTreeMap<String, String>) -> Resource {
    let pair = |(key, value): (&String, &String)| KeyValue::new(key.clone(), value.clone());
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_service_name(SCOPE_NAME)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(found.iter().map(pair))
        .with_attributes(configured.iter().map(pair))
        .build()
}

#[cfg(test)]
mod tests;
