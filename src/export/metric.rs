//! The one table of metrics. No other file spells a metric's name.
//!
//! `/metrics`, OTLP, the README's table and the checks of rules and dashboards all come from here. The Prometheus
//! name follows from the OTLP name and the unit by the standard mapping; a test holds the two together.

use crate::{
    budget::Quantity,
    detect::finding::{Estimate, Pattern},
    sample::{Counter as Counted, Kind, Measure, Unit},
    snapshot::{AreaView, PartView, RuleView, TargetView, Verdict},
};

/// What sort of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A value that goes up and down.
    Gauge,
    /// A value that only rises while its target is known.
    Counter,
    /// A distribution.
    Histogram,
}

/// Where a metric's values come from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// One value of each area that has it; labels `target`, `kind`, `area` (and `pid` where asked for).
    Area(fn(&AreaView) -> Option<f64>),
    /// One value for each pattern of each judged area; the label `pattern` beside the area's.
    Pattern,
    /// One value of each number of a budget that has it; the labels `rule` and `level` beside the area's, and no `area`
    /// where the rule is about the target as a whole.
    Rule(fn(&RuleView) -> Option<f64>),
    /// One value of each part of a target that has it; the label `part` beside the target's.
    Part(fn(&PartView) -> Option<f64>),
    /// One value of each target that has it; labels `target`, `kind`.
    Target(fn(&TargetView) -> Option<f64>),
    /// One value of each target and generation of garbage collection that has it; the label `generation` beside the
    /// target's.
    Generation(fn(&TargetView, Generation) -> Option<f64>),
    /// One value of each target and percentile that has it; the label `percentile` beside the target's.
    Percentile(fn(&TargetView, Percentile) -> Option<f64>),
    /// The target's info labels with the value 1.
    TargetInfo,
    /// The exporter's own registry.
    Own,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name in Prometheus.
    pub name: &'static str,
    /// Its name in OTLP.
    pub otlp_name: &'static str,
    /// Its unit as UCUM, as OTLP writes it; empty where it has none.
    pub unit: &'static str,
    /// Gauge, counter or histogram.
    pub kind: Type,
    /// What it says, in one sentence.
    pub help: &'static str,
    /// The labels beside those of its source.
    pub labels: &'static [&'static str],
    /// Where its values come from.
    pub source: Source,
}

/// Shorthand for the table: the fields in the order in which a reader asks for them.
macro_rules! metric {
    ($name:literal, $otlp:literal, $unit:literal, $kind:ident, $source:expr, [$($label:literal),*], $help:literal) => {
        Metric {
            name: $name,
            otlp_name: $otlp,
            unit: $unit,
            kind: Type::$kind,
            help: $help,
            labels: &[$($label),*],
            source: $source,
        }
    };
}

/// The labels of an area's metrics.
pub const AREA_LABELS: [&str; 3] = ["target", "kind", "area"];
/// The label that names a process, where asked for.
pub const PID_LABEL: &str = "pid";
/// The label that names a pattern.
pub const PATTERN_LABEL: &str = "pattern";
/// The labels of [`Source::Rule`] beside the area's, or beside the target's.
pub const RULE_LABELS: [&str; 2] = ["rule", "level"];
/// The label that names a part.
pub const PART_LABEL: &str = "part";
/// The label of [`Source::Generation`] beside the target's.
pub const GENERATION_LABEL: &str = "generation";
/// The label of [`Source::Percentile`] beside the target's.
pub const PERCENTILE_LABEL: &str = "percentile";
/// The labels of [`Source::TargetInfo`] beside the target's own.
pub const INFO_LABELS: [&str; 8] =
    ["unit", "container", "pod_uid", "namespace", "pod", "container_name", "workload", "runtime"];

/// Metrics of targets and areas, read from the snapshot.
#[rustfmt::skip]
pub const TARGET_METRICS: &[Metric] = &[
    metric!("memleak_area_size_bytes", "memleak.area.size", "By", Gauge, Source::Area(|a| of(a, Unit::Bytes, Some(a.size))), [],
        "Size of the area as it was sampled; of a target of processes the sum over them."),
    metric!("memleak_area_size_objects", "memleak.area.size.objects", "", Gauge, Source::Area(|a| of(a, Unit::Objects, Some(a.size))), [],
        "Objects in the area as they were sampled; of a target of processes the sum over them."),
    metric!("memleak_area_limit_bytes", "memleak.area.limit", "By", Gauge, Source::Area(|a| of(a, Unit::Bytes, limit(a))), [],
        "The limit that the area reaches first: of the control group, the process or the host, of the runtime, or a configured one."),
    metric!("memleak_area_limit_objects", "memleak.area.limit.objects", "", Gauge, Source::Area(|a| of(a, Unit::Objects, limit(a))), [],
        "The limit that the area reaches first, in objects."),
    metric!("memleak_area_limit_used_ratio", "memleak.area.limit.used", "1", Gauge, Source::Area(used_ratio), [],
        "Share of that limit which is in use by everything that counts against it, other programs included."),
    metric!("memleak_area_growth_bytes_per_second", "memleak.area.growth", "By/s", Gauge, Source::Area(|a| of(a, Unit::Bytes, growth(a))), [],
        "Robust growth of the area's floor over the horizon that explains it best; unlike deriv() it ignores garbage between collections, spikes and single steps. Negative: shrinking. Absent while evidence is thin."),
    metric!("memleak_area_growth_objects_per_second", "memleak.area.growth.objects_per_second", "", Gauge, Source::Area(|a| of(a, Unit::Objects, growth(a))), [],
        "Robust growth of the area's floor in objects a second. Absent while evidence is thin."),
    metric!("memleak_area_leak_confidence_ratio", "memleak.area.leak.confidence", "1", Gauge, Source::Area(|a| finding(a).map(|f| f.confidence)), [],
        "How sure it is that the area leaks, 0 to 1. Absent while evidence is thin."),
    metric!("memleak_area_leak_state", "memleak.area.leak.state", "", Gauge, Source::Area(|a| a.verdict.as_ref().map(|v| f64::from(v.state as u8))), [],
        "0 no leak, 1 suspected, 2 confirmed."),
    metric!("memleak_area_leak_explained", "memleak.area.leak.explained", "", Gauge, Source::Area(|a| Some(f64::from(u8::from(a.verdict.as_ref()?.explained?)))), [],
        "1 while leaks of the processes or control groups inside make up at least 70 % of the growth of this control group or the host: they raise the alarm, and this one does not. 0 while they do not. Absent for processes and without a suspicion."),
    metric!("memleak_area_pattern", "memleak.area.pattern", "", Gauge, Source::Pattern, ["pattern"],
        "1 for the pattern that the area's growth follows, 0 for the others. Absent while evidence is thin."),
    metric!("memleak_area_severity", "memleak.area.severity", "", Gauge, Source::Area(|a| finding(a).map(|f| f64::from(f.severity as u8))), [],
        "0 none, 1 low, 2 medium, 3 high, 4 critical. Absent while evidence is thin."),
    metric!("memleak_area_time_to_limit_seconds", "memleak.area.time_to_limit", "s", Gauge, Source::Area(|a| time_to_limit(a, |t| t.value)), [],
        "Seconds until the area reaches its limit at the present growth. Absent where nothing grows or nothing limits."),
    metric!("memleak_area_time_to_limit_lower_seconds", "memleak.area.time_to_limit.lower", "s", Gauge, Source::Area(|a| time_to_limit(a, |t| t.lower)), [],
        "Lower end of the 80 % interval of the time to the limit."),
    metric!("memleak_area_leaked_bytes", "memleak.area.leaked", "By", Gauge, Source::Area(|a| of(a, Unit::Bytes, leaked(a))), [],
        "How much the floor has risen since the open episode began. Absent without one."),
    metric!("memleak_area_leaked_objects", "memleak.area.leaked.objects", "", Gauge, Source::Area(|a| of(a, Unit::Objects, leaked(a))), [],
        "How many objects the floor has risen by since the open episode began. Absent without one."),
    metric!("memleak_area_leak_start_timestamp_seconds", "memleak.area.leak.start_timestamp", "s", Gauge, Source::Area(|a| a.verdict.as_ref()?.episode.map(|e| e.since)), [],
        "When the growth of the open episode began, in Unix time. Absent without one."),
    metric!("memleak_area_last_sample_timestamp_seconds", "memleak.area.last_sample_timestamp", "s", Gauge, Source::Area(|a| Some(a.sampled_at)), [],
        "When the area was sampled, in Unix time: the exporter samples on its own timer, not at the scrape."),
    metric!("memleak_area_budget_breached", "memleak.area.budget.breached", "", Gauge, Source::Rule(|r| r.is_breached.map(|is| f64::from(u8::from(is)))), ["rule", "level"],
        "1 while the area, all processes of the target together, is over this number of its budget, 0 while it is not; without the label area it is about the target as a whole. Absent without a budget and while evidence is thin."),
    metric!("memleak_threshold_bytes", "memleak.threshold", "By", Gauge, Source::Rule(|r| threshold(r, Quantity::Bytes)), ["rule", "level"],
        "The number of a rule of the area's budget, in bytes. Absent without a budget, as are all thresholds."),
    metric!("memleak_threshold_objects", "memleak.threshold.objects", "", Gauge, Source::Rule(|r| threshold(r, Quantity::Objects)), ["rule", "level"],
        "The number of a rule of the area's budget, in objects."),
    metric!("memleak_threshold_ratio", "memleak.threshold.ratio", "", Gauge, Source::Rule(|r| threshold(r, Quantity::Ratio)), ["rule", "level"],
        "The number of a rule of the budget of an area or a target, a share or a multiple."),
    metric!("memleak_threshold_seconds", "memleak.threshold.seconds", "", Gauge, Source::Rule(|r| threshold(r, Quantity::Seconds)), ["rule", "level"],
        "The number of a rule of the budget of an area or a target, in seconds: a delay, or the window of those that have one."),
    metric!("memleak_threshold_bytes_per_second", "memleak.threshold.bytes_per_second", "", Gauge, Source::Rule(|r| threshold(r, Quantity::BytesPerSecond)), ["rule", "level"],
        "The number of a rule of the area's budget, in bytes a second."),
    metric!("memleak_threshold_per_second", "memleak.threshold.per_second", "", Gauge, Source::Rule(|r| threshold(r, Quantity::PerSecond)), ["rule", "level"],
        "The number of a rule of the target's budget, in times a second. It has no label area."),
    metric!("memleak_attribution_bytes", "memleak.attribution", "By", Gauge, Source::Part(|p| part(p, Measure::Memory, Some(p.size))), ["part"],
        "Resident and swapped-out memory of the part, over those processes of the target that are under suspicion or named by attribution.targets; all parts of a target add up to all their memory. Absent for other processes."),
    metric!("memleak_attribution_descriptors", "memleak.attribution.descriptors", "", Gauge, Source::Part(|p| part(p, Measure::Descriptors, Some(p.size))), ["part"],
        "Open descriptors of the part: files, pipes, sockets by the usual port of their peer and so on, over the same processes."),
    metric!("memleak_attribution_socket_bytes", "memleak.attribution.socket", "By", Gauge, Source::Part(|p| part(p, Measure::SocketBuffers, Some(p.size))), ["part"],
        "What waits in the kernel's buffers of the part's sockets: sent and not acknowledged, or received and not read. Not in the memory of the processes."),
    metric!("memleak_attribution_confidence_ratio", "memleak.attribution.confidence", "1", Gauge, Source::Part(|p| (p.measure != Measure::SocketBuffers).then_some(p.confidence)), ["part"],
        "How sure it is that the memory or the descriptors of the part are what its name says, 0 to 1: the kernel names some, and the others are told by their shape."),
    metric!("memleak_attribution_growth_bytes_per_second", "memleak.attribution.growth", "By/s", Gauge, Source::Part(|p| part(p, Measure::Memory, p.growth)), ["part"],
        "Growth of the part's memory since its processes came under suspicion, from the lowest of the first readings to the lowest of the last. Absent before the second reading."),
    metric!("memleak_attribution_growth_descriptors_per_second", "memleak.attribution.growth.descriptors_per_second", "", Gauge, Source::Part(|p| part(p, Measure::Descriptors, p.growth)), ["part"],
        "The same of the part's descriptors."),
    metric!("memleak_attribution_last_reading_timestamp_seconds", "memleak.attribution.last_reading_timestamp", "s", Gauge, Source::Target(|t| t.parts_read_at), [],
        "When the parts of the target were read, in Unix time; of several processes the oldest reading."),
    metric!("memleak_target_info", "memleak.target.info", "", Gauge, Source::TargetInfo,
        ["unit", "container", "pod_uid", "namespace", "pod", "container_name", "workload", "runtime"],
        "What is known of a target beside its name; always 1."),
    metric!("memleak_target_present", "memleak.target.present", "", Gauge, Source::Target(|t| (t.members > 0 || t.is_expected).then(|| f64::from(u8::from(t.members > 0)))), [],
        "1 while the target is there, 0 for a configured target that has no process."),
    metric!("memleak_directory_oldest_file_timestamp_seconds", "memleak.directory.oldest_file_timestamp", "s", Gauge, Source::Target(|t| t.oldest_file_at), [],
        "When the oldest file of the directory was written last, in Unix time. Absent for an empty directory."),
    metric!("memleak_target_processes", "memleak.target.processes", "", Gauge, Source::Target(|t| (t.members > 0 && t.target.kind == Kind::Process).then(|| f64::from(t.members))), [],
        "How many processes a target of processes has."),
    metric!("memleak_target_restarts_total", "memleak.target.restarts", "", Counter, Source::Target(|t| (t.target.kind != Kind::Host).then(|| count(t.restarts))), [],
        "How often all processes of the target were replaced by new ones, or its control group was made anew."),
    metric!("memleak_target_oom_kills_total", "memleak.target.oom_kills", "", Counter, Source::Target(|t| t.counts.get(Counted::OomKills)), [],
        "Processes in the control group, or on the host, that the kernel killed for want of memory. When a group ends with its last process, the groups around it and the host have counted the kill."),
    metric!("memleak_target_out_of_memory_total", "memleak.target.out_of_memory", "", Counter, Source::Target(|t| t.counts.get(Counted::OutOfMemory)), [],
        "How often the control group reached its limit and nothing could be reclaimed. Absent under control groups of version 1."),
    metric!("memleak_target_limit_hits_total", "memleak.target.limit_hits", "", Counter, Source::Target(|t| t.counts.get(Counted::LimitHits)), [],
        "How often the control group reached its limit, so that memory had to be reclaimed."),
    metric!("memleak_target_limit_throttles_total", "memleak.target.limit_throttles", "", Counter, Source::Target(|t| t.counts.get(Counted::Throttles)), [],
        "How often the control group was slowed down for going over its soft limit (memory.high). Absent under control groups of version 1."),
    metric!("memleak_target_stall_seconds_total", "memleak.target.stall", "s", Counter, Source::Target(|t| t.counts.get(Counted::StallSecs)), [],
        "Seconds in which some tasks of the control group or the host waited for memory, as the kernel measures pressure. Absent where it does not."),
    metric!("memleak_target_full_stall_seconds_total", "memleak.target.full_stall", "s", Counter, Source::Target(|t| t.counts.get(Counted::FullStallSecs)), [],
        "Seconds in which all tasks of the control group or the host waited for memory at once. Absent where the kernel does not measure pressure."),
    metric!("memleak_target_external_to_heap_ratio", "memleak.target.external_to_heap", "1", Gauge, Source::Target(external_to_heap), [],
        "External memory of an application or of JVMs (resident memory beside the committed heap) for each byte of its used heap. Absent where it does not tell both."),
    metric!("memleak_target_cpu_seconds_total", "memleak.target.cpu", "s", Counter, Source::Target(|t| t.counts.get(Counted::CpuSecs)), [],
        "Processor time used since it was watched: of processes as the kernel counts it, looked at once a minute; of an application as it tells itself."),
    metric!("memleak_target_requests_total", "memleak.target.requests", "", Counter, Source::Target(|t| t.counts.get(Counted::Requests)), [],
        "Requests that an application has answered since it was watched, where it tells under a well-known name."),
    metric!("memleak_target_response_seconds_total", "memleak.target.response", "s", Counter, Source::Target(|t| t.counts.get(Counted::ResponseSecs)), [],
        "Seconds that answering those requests took; over the rate of the requests, the mean response time."),
    metric!("memleak_target_response_time_seconds", "memleak.target.response_time", "s", Gauge, Source::Percentile(response_time), ["percentile"],
        "How long the answers of an application took over the last one to two minutes, by the buckets of its own histogram: 50, 95 and 99 % of them took at most so long. Absent without such a histogram, and while nothing is answered."),
    metric!("memleak_gc_collections_total", "memleak.gc.collections", "", Counter, Source::Generation(collections), ["generation"],
        "Garbage collections of an application, or of the JVMs among processes, since it was watched: young, old, or all where its runtime tells no more than that."),
    metric!("memleak_gc_duration_seconds_total", "memleak.gc.duration", "s", Counter, Source::Target(|t| t.counts.get(Counted::CollectionSecs)), [],
        "Seconds that an application, or the JVMs among processes, spent on garbage collection since it was watched, as the runtime counts them: of Go the pauses, of others all of it."),
    metric!("memleak_event_loop_lag_seconds", "memleak.event_loop.lag", "s", Gauge, Source::Target(|t| t.event_loop_lag_secs), [],
        "By how much the event loop of an application was late when it was asked. Absent where it does not tell."),
    metric!("memleak_episodes_total", "memleak.episodes", "", Counter, Source::Target(|t| Some(count(t.episodes))), [],
        "Leaks confirmed on the target."),
];

/// The exporter's own metrics, kept in a registry of the `prometheus` crate.
#[rustfmt::skip]
pub mod own {
    use super::{Metric, Source, Type};

    /// 1, with what was built.
    pub const BUILD_INFO: Metric = metric!("memleak_exporter_build_info", "memleak.exporter.build_info", "", Gauge, Source::Own, ["version", "revision", "rustversion"],
        "What this exporter was built from; always 1.");
    /// The number of the last tick's time.
    pub const LAST_TICK: Metric = metric!("memleak_exporter_last_tick_timestamp_seconds", "memleak.exporter.last_tick_timestamp", "s", Gauge, Source::Own, [],
        "When the tick that these numbers come from began, in Unix time.");
    /// Ticks so far.
    pub const TICKS: Metric = metric!("memleak_exporter_ticks_total", "memleak.exporter.ticks", "", Counter, Source::Own, [],
        "Ticks since the exporter started.");
    /// The sampling interval.
    pub const INTERVAL: Metric = metric!("memleak_exporter_sampling_interval_seconds", "memleak.exporter.sampling_interval", "s", Gauge, Source::Own, [],
        "The configured time between two ticks.");
    /// Whether a collector's last run worked.
    pub const COLLECTOR_SUCCESS: Metric = metric!("memleak_exporter_collector_success", "memleak.exporter.collector.success", "", Gauge, Source::Own, ["collector"],
        "1 if the collector delivered at the last tick, 0 if it failed or was late.");
    /// How long a collector takes.
    pub const COLLECTOR_DURATION: Metric = metric!("memleak_exporter_collector_duration_seconds", "memleak.exporter.collector.duration", "s", Histogram, Source::Own, ["collector"],
        "How long the collector took.");
    /// What could not be read.
    pub const COLLECTOR_ERRORS: Metric = metric!("memleak_exporter_collector_errors_total", "memleak.exporter.collector.errors", "", Counter, Source::Own, ["collector", "reason"],
        "Reads that failed, by reason; a process or control group that vanished while it was read is not counted.");
    /// Whether a configured source worked.
    pub const SOURCE_SUCCESS: Metric = metric!("memleak_exporter_source_success", "memleak.exporter.source.success", "", Gauge, Source::Own, ["source"],
        "1 if a configured source of an application, its endpoint or that of one of its areas (application/area), told what it was asked for when it was asked last, 0 if it did not.");
    /// How long judging takes.
    pub const DETECT_DURATION: Metric = metric!("memleak_exporter_detect_duration_seconds", "memleak.exporter.detect.duration", "s", Histogram, Source::Own, [],
        "How long one tick took to remember and judge all areas.");
    /// What limits drop.
    pub const DROPPED: Metric = metric!("memleak_exporter_dropped_total", "memleak.exporter.dropped", "", Counter, Source::Own, ["limit"],
        "What a configured limit left out, counted at each tick.");
    /// Areas with memory.
    pub const AREAS_JUDGED: Metric = metric!("memleak_exporter_areas_judged", "memleak.exporter.areas_judged", "", Gauge, Source::Own, [],
        "Areas that are remembered and judged, over all processes, control groups and the host.");
    /// The spread of growth.
    pub const GROWTH: Metric = metric!("memleak_exporter_growth_bytes_per_second", "memleak.exporter.growth", "By/s", Histogram, Source::Own, [],
        "Spread of growth rates over all judged byte areas, one observation for each new verdict; shrinking counts as 0.");
    /// The spread of confidence.
    pub const CONFIDENCE: Metric = metric!("memleak_exporter_confidence_ratio", "memleak.exporter.confidence_ratio", "1", Histogram, Source::Own, [],
        "Spread of confidence over all judged areas, one observation for each new verdict.");
    /// How late confirmations are.
    pub const DETECTION_DELAY: Metric = metric!("memleak_exporter_detection_delay_seconds", "memleak.exporter.detection_delay", "s", Histogram, Source::Own, [],
        "From the onset of a leak to its confirmation.");
    /// Whether the last reload worked.
    pub const RELOAD_SUCCESSFUL: Metric = metric!("memleak_exporter_config_last_reload_successful", "memleak.exporter.config.last_reload_successful", "", Gauge, Source::Own, [],
        "1 if the last reload of the configuration worked; at 0 the previous configuration stays in force.");
    /// When the last good one was loaded.
    pub const RELOAD_TIMESTAMP: Metric = metric!("memleak_exporter_config_last_reload_success_timestamp_seconds", "memleak.exporter.config.last_reload_success_timestamp", "s", Gauge, Source::Own, [],
        "When the configuration in force was loaded, in Unix time.");
    /// Whether the web file in place is in force.
    pub const WEB_RELOAD_SUCCESSFUL: Metric = metric!("memleak_exporter_web_config_last_reload_successful", "memleak.exporter.web_config.last_reload_successful", "", Gauge, Source::Own, [],
        "1 if the web file was good when it was read last; at 0 the previous one stays in force. Absent without --web.config.file.");
    /// A row's least confidence.
    pub const SEVERITY_CONFIDENCE: Metric = metric!("memleak_exporter_severity_confidence_ratio", "memleak.exporter.severity.confidence", "1", Gauge, Source::Own, ["row", "level"],
        "The least confidence that a row of the configured table of severities asks for; rows are tried from 1 on. Absent with the built-in table, as are all of its conditions.");
    /// A row's time to the limit.
    pub const SEVERITY_TIME_TO_LIMIT: Metric = metric!("memleak_exporter_severity_time_to_limit_seconds", "memleak.exporter.severity.time_to_limit", "s", Gauge, Source::Own, ["row", "level"],
        "The time to the limit that a row of that table wants it to be below. Absent for a row that does not ask.");
    /// A row's growth.
    pub const SEVERITY_GROWTH: Metric = metric!("memleak_exporter_severity_growth_per_day_ratio", "memleak.exporter.severity.growth_per_day", "1", Gauge, Source::Own, ["row", "level"],
        "The growth a day, as a share of the size, that a row of that table wants it to be above. Absent for a row that does not ask.");
    /// What OTLP sent.
    pub const OTLP_EXPORTS: Metric = metric!("memleak_exporter_otlp_exports_total", "memleak.exporter.otlp.exports", "", Counter, Source::Own, ["result"],
        "Batches for the OTLP endpoint, by result: sent, failed (will be tried again), dropped (the queue was full or the endpoint refused it).");
    /// What OTLP holds back.
    pub const OTLP_QUEUE: Metric = metric!("memleak_exporter_otlp_queue_batches", "memleak.exporter.otlp.queue_batches", "", Gauge, Source::Own, [],
        "Batches that wait for the OTLP endpoint.");
    /// When the state was saved last.
    pub const STORAGE_LAST_SAVE: Metric = metric!("memleak_exporter_storage_last_save_timestamp_seconds", "memleak.exporter.storage.last_save_timestamp", "s", Gauge, Source::Own, [],
        "When the state that lies in --storage.path was taken, in Unix time. Absent without that flag, and until the first save.");
    /// Saves that failed.
    pub const STORAGE_FAILURES: Metric = metric!("memleak_exporter_storage_save_failures_total", "memleak.exporter.storage.save_failures", "", Counter, Source::Own, [],
        "Saves of the state that failed; the state before stays in place. Absent without --storage.path.");
    /// What did not fit.
    pub const STORAGE_LEFT_OUT: Metric = metric!("memleak_exporter_storage_areas_left_out", "memleak.exporter.storage.areas_left_out", "", Gauge, Source::Own, [],
        "Areas whose past did not fit into the last saved state. Absent without --storage.path.");
    /// Requests.
    pub const HTTP_REQUESTS: Metric = metric!("memleak_exporter_http_requests_total", "memleak.exporter.http.requests", "", Counter, Source::Own, ["handler", "code"],
        "HTTP requests answered, by handler and status code.");
    /// Clients of the live stream.
    pub const STREAMS: Metric = metric!("memleak_exporter_streams", "memleak.exporter.streams", "", Gauge, Source::Own, [],
        "Clients that listen to the live stream.");
    /// Those that were let go.
    pub const STREAMS_DROPPED: Metric = metric!("memleak_exporter_streams_dropped_total", "memleak.exporter.streams.dropped", "", Counter, Source::Own, ["reason"],
        "Clients of the live stream that were let go: slow ones, which did not keep up, silent ones, which answered no ping, and rude ones, which said something.");

    /// All of them; the registry adds the `process_*` metrics of the exporter itself.
    pub const ALL: &[&Metric] = &[
        &BUILD_INFO, &LAST_TICK, &TICKS, &INTERVAL, &COLLECTOR_SUCCESS, &COLLECTOR_DURATION, &COLLECTOR_ERRORS, &SOURCE_SUCCESS, &DETECT_DURATION,
        &DROPPED, &AREAS_JUDGED, &GROWTH, &CONFIDENCE, &DETECTION_DELAY, &RELOAD_SUCCESSFUL, &RELOAD_TIMESTAMP, &WEB_RELOAD_SUCCESSFUL,
        &SEVERITY_CONFIDENCE, &SEVERITY_TIME_TO_LIMIT, &SEVERITY_GROWTH, &OTLP_EXPORTS, &OTLP_QUEUE, &STORAGE_LAST_SAVE, &STORAGE_FAILURES, &STORAGE_LEFT_OUT, &HTTP_REQUESTS,
        &STREAMS, &STREAMS_DROPPED,
    ];
}

/// A generation of garbage collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Collections of the young generation alone.
    Young,
    /// Collections of the old generation, or of everything.
    Old,
    /// Collections of which no more is told.
    All,
}

impl Generation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Young, Self::Old, Self::All];

    /// The value of the `generation` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Young => "young",
            Self::Old => "old",
            Self::All => "all",
        }
    }
}

/// A percentile that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Percentile {
    /// The median.
    P50,
    /// One of twenty is above.
    P95,
    /// One of a hundred is above.
    P99,
}

impl Percentile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P50, Self::P95, Self::P99];

    /// The value of the `percentile` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "50",
            Self::P95 => "95",
            Self::P99 => "99",
        }
    }
}

fn response_time(target: &TargetView, percentile: Percentile) -> Option<f64> {
    let times = target.response_times?;
    Some(match percentile {
        Percentile::P50 => times.p50,
        Percentile::P95 => times.p95,
        Percentile::P99 => times.p99,
    })
}

fn collections(target: &TargetView, generation: Generation) -> Option<f64> {
    target.counts.get(match generation {
        Generation::Young => Counted::YoungCollections,
        Generation::Old => Counted::OldCollections,
        Generation::All => Counted::Collections,
    })
}

fn external_to_heap(target: &TargetView) -> Option<f64> {
    // Where pids are shown, an area of each process is one.
    let size = |name: &str| {
        let areas = target.areas.iter().filter(|area| *area.area.name == *name);
        areas.map(|area| area.size).reduce(|one, other| one + other)
    };
    let heap = size("heap").filter(|heap| *heap > 0.0)?;
    Some(size("external")? / heap)
}

/// How many series a target makes.
#[must_use]
pub fn series_count(target: &TargetView) -> usize {
    let of_source = |metric: &Metric| match metric.source {
        Source::Area(value) => target.areas.iter().filter(|area| value(area).is_some()).count(),
        Source::Pattern => target.areas.iter().filter_map(finding).count() * Pattern::ALL.len(),
        Source::Rule(value) => target.rules.iter().filter(|rule| value(rule).is_some()).count(),
        Source::Part(value) => target.parts.iter().filter(|part| value(part).is_some()).count(),
        Source::Target(value) => usize::from(value(target).is_some()),
        Source::Generation(value) => {
            Generation::ALL.iter().filter(|of| value(target, **of).is_some()).count()
        }
        Source::Percentile(value) => {
            Percentile::ALL.iter().filter(|of| value(target, **of).is_some()).count()
        }
        Source::TargetInfo => usize::from(target.members > 0),
        Source::Own => 0,
    };
    TARGET_METRICS.iter().map(of_source).sum()
}

/// How many of them the parts of the target make.
#[must_use]
pub fn part_series_count(target: &TargetView) -> usize {
    let of_parts = TARGET_METRICS.iter().filter_map(|metric| match metric.source {
        Source::Part(value) => Some(value),
        _ => None,
    });
    of_parts.map(|value| target.parts.iter().filter(|part| value(part).is_some()).count()).sum()
}

/// The value, if the area has this unit.
fn of(area: &AreaView, unit: Unit, value: Option<f64>) -> Option<f64> {
    value.filter(|_| area.area.unit == unit)
}

fn limit(area: &AreaView) -> Option<f64> {
    area.limit.map(|limit| limit.value)
}

fn used_ratio(area: &AreaView) -> Option<f64> {
    area.limit.filter(|limit| limit.value > 0.0).map(|limit| limit.used / limit.value)
}

fn finding(area: &AreaView) -> Option<&crate::detect::finding::Finding> {
    area.verdict.as_ref()?.finding.as_ref()
}

fn growth(area: &AreaView) -> Option<f64> {
    finding(area).map(|finding| finding.growth.value)
}

fn time_to_limit(area: &AreaView, part: fn(Estimate) -> f64) -> Option<f64> {
    finding(area)?.time_to_limit.map(part)
}

fn leaked(area: &AreaView) -> Option<f64> {
    area.verdict.as_ref().filter(|verdict: &&Verdict| verdict.episode.is_some()).map(|verdict| verdict.leaked)
}

/// The value, if the part's size is a size of this.
fn part(part: &PartView, measure: Measure, value: Option<f64>) -> Option<f64> {
    value.filter(|_| part.measure == measure)
}

/// The number, if the rule counts this.
fn threshold(rule: &RuleView, quantity: Quantity) -> Option<f64> {
    (rule.threshold.rule.quantity == quantity).then_some(rule.threshold.value)
}

/// A counter as a sample's value; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no counter here reaches 2^53")]
fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests;
