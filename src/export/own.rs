//! The exporter's own metrics: how its collectors, its judging, its configuration and its outputs fare.
//!
//! They live in one registry of the `prometheus` crate. Names, help and labels come from the metric table; label
//! values that are known in advance are counted from 0, so that the first failure is a rise and not a birth. No clock
//! is read here: times and durations are handed in.

use super::{
    metric::{Metric, own},
    otlp::OtlpStats,
    prometheus::selection::{COLLECTORS, collectors_of},
};
use crate::{
    detect::{
        episode::{CLEAR_BELOW, SUSPECT_AT},
        finding::Finding,
    },
    sample::{Errors, Kind, Seconds, Unit},
    severity::Table,
};
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, core::Collector, proto::MetricFamily,
};

/// Durations of one step of a tick: from half a millisecond, a few hundred processes, to ten seconds, by when every
/// usual sampling interval is overrun.
const STEP_SECS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Growth by decades: at 100 B/s a gigabyte takes four months, at 100 MB/s ten seconds. The first holds everything
/// that does not grow.
const GROWTH_BYTES_PER_SEC: [f64; 8] = [0.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
/// Confidence, with a bound at each threshold of an episode, finer where the calibration is promised.
const CONFIDENCE: [f64; 9] = [0.1, CLEAR_BELOW, 0.4, 0.6, SUSPECT_AT, 0.8, 0.9, 0.95, 1.0];
/// From onset to confirmation: one minute, for a fast leak, to a week, for one that a day's rhythm hides.
const DELAY_SECS: [f64; 11] =
    [60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 86_400.0, 172_800.0, 604_800.0];

/// The `reason` of a read that the kernel refused.
const REASON_PERMISSION: &str = "permission";
/// The `reason` of a read that failed otherwise.
const REASON_READ: &str = "read";
/// The `result` of a batch that the OTLP endpoint took.
const RESULT_SENT: &str = "sent";
/// The `result` of a batch that will be tried again.
const RESULT_FAILED: &str = "failed";
/// The `result` of a batch that was given up.
const RESULT_DROPPED: &str = "dropped";

/// What the exporter was built from.
#[derive(Clone, Copy, Debug)]
pub struct BuildInfo {
    /// Its version.
    pub version: &'static str,
    /// The commit, or `unknown`.
    pub revision: &'static str,
    /// The compiler's version, or `unknown`.
    pub rustversion: &'static str,
}

/// The configuration that the exporter starts with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// When it was loaded.
    pub loaded_at: Seconds,
    /// Its sampling interval.
    pub interval_secs: f64,
}

/// A configured limit, as the `limit` label names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DroppedBy {
    /// `limits.processes`.
    Processes,
    /// `limits.cgroups`.
    Cgroups,
    /// `push.areas`.
    PushedAreas,
    /// `limits.targets`.
    Targets,
    /// `limits.areas_per_target`.
    AreasPerTarget,
    /// `limits.series`.
    Series,
    /// `attribution.processes_per_tick` and `attribution.time_per_tick`.
    AttributionTime,
    /// `attribution.largest`.
    AttributionSize,
    /// `attribution.descriptors`.
    AttributionDescriptors,
}

impl DroppedBy {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Processes,
        Self::Cgroups,
        Self::PushedAreas,
        Self::Targets,
        Self::AreasPerTarget,
        Self::Series,
        Self::AttributionTime,
        Self::AttributionSize,
        Self::AttributionDescriptors,
    ];

    /// The limit on the members of a collector's targets.
    #[must_use]
    pub const fn members_of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Process => Some(Self::Processes),
            Kind::Cgroup => Some(Self::Cgroups),
            Kind::Host | Kind::Directory => None,
            Kind::Application => Some(Self::PushedAreas),
        }
    }

    /// The value of the `limit` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Cgroups => "cgroups",
            Self::PushedAreas => "pushed_areas",
            Self::Targets => "targets",
            Self::AreasPerTarget => "areas_per_target",
            Self::Series => "series",
            Self::AttributionTime => "attribution_time",
            Self::AttributionSize => "attribution_size",
            Self::AttributionDescriptors => "attribution_descriptors",
        }
    }
}

/// The exporter's own metrics. Each method says what happened.
#[derive(Debug)]
pub struct Own {
    registry: Registry,
    ticks: IntCounter,
    last_tick: GaugeVec,
    interval: Gauge,
    collector_success: GaugeVec,
    collector_duration: HistogramVec,
    collector_errors: IntCounterVec,
    source_success: GaugeVec,
    dropped: IntCounterVec,
    judging: Judging,
    reload_successful: IntGauge,
    reloaded_at: Gauge,
    web_reload_successful: GaugeVec,
    severity: Grading,
    otlp: OtlpStats,
    storage: Storage,
    http_requests: IntCounterVec,
}

/// The table of severities, a gauge for each condition; absent while the built-in one is in force.
#[derive(Debug)]
struct Grading {
    confidence: GaugeVec,
    time_to_limit: GaugeVec,
    growth_per_day: GaugeVec,
}

/// What saving the state tells; absent while nothing is saved.
#[derive(Debug)]
struct Storage {
    saved_at: GaugeVec,
    failures: IntCounterVec,
    left_out: GaugeVec,
}

/// What judging tells.
#[derive(Debug)]
struct Judging {
    duration: Histogram,
    areas: IntGauge,
    growth: Histogram,
    confidence: Histogram,
    delay: Histogram,
}

impl Own {
    /// Registers all metrics of the table.
    ///
    /// # Errors
    /// Only where the table is wrong: an invalid name or one that stands twice.
    pub fn new(build: &BuildInfo, start: &Start) -> prometheus::Result<Self> {
        let registry = Registry::new();
        register_process_metrics(&registry)?;
        let build_info = gauges(&registry, &own::BUILD_INFO)?;
        build_info.with_label_values(&[build.version, build.revision, build.rustversion]).set(1.0);
        let this = Self {
            ticks: counter(&registry, &own::TICKS)?,
            last_tick: gauges(&registry, &own::LAST_TICK)?,
            interval: gauge(&registry, &own::INTERVAL)?,
            collector_success: gauges(&registry, &own::COLLECTOR_SUCCESS)?,
            collector_duration: histograms(&registry, &own::COLLECTOR_DURATION, &STEP_SECS)?,
            collector_errors: counters(&registry, &own::COLLECTOR_ERRORS)?,
            source_success: gauges(&registry, &own::SOURCE_SUCCESS)?,
            dropped: counters(&registry, &own::DROPPED)?,
            judging: Judging::new(&registry)?,
            reload_successful: int_gauge(&registry, &own::RELOAD_SUCCESSFUL)?,
            reloaded_at: gauge(&registry, &own::RELOAD_TIMESTAMP)?,
            web_reload_successful: gauges(&registry, &own::WEB_RELOAD_SUCCESSFUL)?,
            severity: Grading {
                confidence: gauges(&registry, &own::SEVERITY_CONFIDENCE)?,
                time_to_limit: gauges(&registry, &own::SEVERITY_TIME_TO_LIMIT)?,
                growth_per_day: gauges(&registry, &own::SEVERITY_GROWTH)?,
            },
            otlp: otlp_stats(&registry)?,
            storage: Storage {
                saved_at: gauges(&registry, &own::STORAGE_LAST_SAVE)?,
                failures: counters(&registry, &own::STORAGE_FAILURES)?,
                left_out: gauges(&registry, &own::STORAGE_LEFT_OUT)?,
            },
            http_requests: counters(&registry, &own::HTTP_REQUESTS)?,
            registry,
        };
        this.begin_at_zero();
        this.reloaded(start.loaded_at, start.interval_secs);
        Ok(this)
    }

    fn begin_at_zero(&self) {
        for collector in COLLECTORS {
            self.collector_duration.with_label_values(&[collector]);
            self.reads_failed(collector, Errors::default());
        }
        for limit in DroppedBy::ALL {
            self.dropped(limit, 0);
        }
    }

    /// A tick began at `at`.
    pub fn ticked(&self, at: Seconds) {
        self.ticks.inc();
        self.last_tick.with_label_values::<&str>(&[]).set(at);
    }

    /// A collector delivered after so many seconds.
    pub fn collector_finished(&self, collector: &str, secs: f64) {
        self.collector_success.with_label_values(&[collector]).set(1.0);
        self.collector_duration.with_label_values(&[collector]).observe(secs);
    }

    /// A collector failed or was late.
    pub fn collector_failed(&self, collector: &str) {
        self.collector_success.with_label_values(&[collector]).set(0.0);
    }

    /// A collector could not read some of what it wanted.
    pub fn reads_failed(&self, collector: &str, errors: Errors) {
        let Errors { permission, read } = errors;
        self.collector_errors.with_label_values(&[collector, REASON_PERMISSION]).inc_by(permission);
        self.collector_errors.with_label_values(&[collector, REASON_READ]).inc_by(read);
    }

    /// A configured source told what it was asked for, or did not.
    pub fn source_answered(&self, source: &str, worked: bool) {
        self.source_success.with_label_values(&[source]).set(f64::from(u8::from(worked)));
    }

    /// Another configuration may have other sources.
    pub fn forget_sources(&self) {
        self.source_success.reset();
    }

    /// A limit left out so many things at this tick.
    pub fn dropped(&self, limit: DroppedBy, count: u64) {
        self.dropped.with_label_values(&[limit.as_str()]).inc_by(count);
    }

    /// A tick remembered and judged so many areas in so many seconds.
    pub fn judged(&self, areas: usize, secs: f64) {
        self.judging.areas.set(i64::try_from(areas).unwrap_or(i64::MAX));
        self.judging.duration.observe(secs);
    }

    /// A collector left out so many members because of its limit.
    pub fn members_dropped(&self, collector: &str, count: u64) {
        let kinds = [Kind::Process, Kind::Cgroup, Kind::Application].into_iter();
        let limit =
            kinds.filter(|kind| collectors_of(*kind).contains(&collector)).find_map(DroppedBy::members_of);
        if let Some(limit) = limit {
            self.dropped(limit, count);
        }
    }

    /// A new verdict on an area of this unit. Shrinking counts as no growth: a histogram with negative observations
    /// has no sum that only rises.
    pub fn verdict(&self, finding: &Finding, unit: Unit) {
        self.judging.confidence.observe(finding.confidence);
        if unit == Unit::Bytes {
            self.judging.growth.observe(finding.growth.value.max(0.0));
        }
    }

    /// A leak was confirmed so many seconds after its onset.
    pub fn confirmed(&self, delay_secs: f64) {
        self.judging.delay.observe(delay_secs);
    }

    /// A configuration with this sampling interval came into force.
    pub fn reloaded(&self, at: Seconds, interval_secs: f64) {
        self.reload_successful.set(1);
        self.reloaded_at.set(at);
        self.interval.set(interval_secs);
    }

    /// A new configuration was refused; the one before stays in force.
    pub fn reload_failed(&self) {
        self.reload_successful.set(0);
    }

    /// Whether the last configuration that was to come into force was refused.
    #[must_use]
    pub fn is_reload_refused(&self) -> bool {
        self.reload_successful.get() == 0
    }

    /// The web file was read; whether it was good.
    pub fn web_file_read(&self, is_good: bool) {
        self.web_reload_successful.with_label_values::<&str>(&[]).set(f64::from(u8::from(is_good)));
    }

    /// Findings are graded by this table from now on; none is the built-in one.
    pub fn graded_by(&self, table: Option<&Table>) {
        let Grading { confidence, time_to_limit, growth_per_day } = &self.severity;
        for gauges in [confidence, time_to_limit, growth_per_day] {
            gauges.reset();
        }
        for (number, row) in (1u32..).zip(table.into_iter().flat_map(|table| &table.rows)) {
            let mut buffer = itoa::Buffer::new();
            let labels = [buffer.format(number), row.level.as_str()];
            let conditions = [
                (confidence, Some(row.confidence)),
                (time_to_limit, row.time_to_limit_secs),
                (growth_per_day, row.growth_per_day),
            ];
            for (gauges, asked_for) in conditions {
                if let Some(value) = asked_for {
                    gauges.with_label_values(&labels).set(value);
                }
            }
        }
    }

    /// The handles that whoever sends OTLP counts with.
    #[must_use]
    pub fn otlp(&self) -> OtlpStats {
        self.otlp.clone()
    }

    /// The state will be saved from now on.
    pub fn state_is_kept(&self) {
        self.storage.failures.with_label_values::<&str>(&[]);
    }

    /// The state as it was at `at` was saved, without the past of so many areas.
    pub fn state_saved(&self, at: Seconds, left_out: u32) {
        self.storage.saved_at.with_label_values::<&str>(&[]).set(at);
        self.storage.left_out.with_label_values::<&str>(&[]).set(f64::from(left_out));
    }

    /// The state could not be saved.
    pub fn state_not_saved(&self) {
        self.storage.failures.with_label_values::<&str>(&[]).inc();
    }

    /// An HTTP request was answered with this status by the named handler.
    pub fn request_answered(&self, handler: &str, status: u16) {
        self.http_requests.with_label_values(&[handler, itoa::Buffer::new().format(status)]).inc();
    }

    /// All families sorted by name, those without a series left out; reads the process's own files in `/proc`.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

impl Judging {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            duration: histogram(registry, &own::DETECT_DURATION, &STEP_SECS)?,
            areas: int_gauge(registry, &own::AREAS_JUDGED)?,
            growth: histogram(registry, &own::GROWTH, &GROWTH_BYTES_PER_SEC)?,
            confidence: histogram(registry, &own::CONFIDENCE, &CONFIDENCE)?,
            delay: histogram(registry, &own::DETECTION_DELAY, &DELAY_SECS)?,
        })
    }
}

/// The counters of the push.
fn otlp_stats(registry: &Registry) -> prometheus::Result<OtlpStats> {
    let exports = counters(registry, &own::OTLP_EXPORTS)?;
    Ok(OtlpStats {
        sent: exports.with_label_values(&[RESULT_SENT]),
        failed: exports.with_label_values(&[RESULT_FAILED]),
        dropped: exports.with_label_values(&[RESULT_DROPPED]),
        queued: int_gauge(registry, &own::OTLP_QUEUE)?,
    })
}

/// The `process_*` metrics of the exporter itself, which the crate knows on Linux alone.
#[cfg(target_os = "linux")]
fn register_process_metrics(registry: &Registry) -> prometheus::Result<()> {
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

#[cfg(not(target_os = "linux"))]
fn register_process_metrics(_: &Registry) -> prometheus::Result<()> {
    Ok(())
}

fn counter(registry: &Registry, metric: &Metric) -> prometheus::Result<IntCounter> {
    registered(registry, IntCounter::with_opts(opts(metric))?)
}

fn counters(registry: &Registry, metric: &Metric) -> prometheus::Result<IntCounterVec> {
    registered(registry, IntCounterVec::new(opts(metric), metric.labels)?)
}

fn gauge(registry: &Registry, metric: &Metric) -> prometheus::Result<Gauge> {
    registered(registry, Gauge::with_opts(opts(metric))?)
}

fn int_gauge(registry: &Registry, metric: &Metric) -> prometheus::Result<IntGauge> {
    registered(registry, IntGauge::with_opts(opts(metric))?)
}

/// Gauges by label; without labels, one gauge that is absent until it is first set.
fn gauges(registry: &Registry, metric: &Metric) -> prometheus::Result<GaugeVec> {
    registered(registry, GaugeVec::new(opts(metric), metric.labels)?)
}

fn histogram(registry: &Registry, metric: &Metric, bounds: &[f64]) -> prometheus::Result<Histogram> {
    registered(registry, Histogram::with_opts(HistogramOpts::from(opts(metric)).buckets(bounds.to_vec()))?)
}

fn histograms(registry: &Registry, metric: &Metric, bounds: &[f64]) -> prometheus::Result<HistogramVec> {
    let opts = HistogramOpts::from(opts(metric)).buckets(bounds.to_vec());
    registered(registry, HistogramVec::new(opts, metric.labels)?)
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
mod tests;
