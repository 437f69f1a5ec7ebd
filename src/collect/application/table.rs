//! The one table of well-known names: which metrics of which runtime mean what.
//!
//! Names are those that client libraries write for Prometheus, and those of OpenTelemetry's conventions as its exporters
//! spell them there. Where several rows tell the same, the first one that is told counts.
//!
//! - Node: `prom-client`'s default metrics, `v8js.*` and `nodejs.*`
//! - JVM: Micrometer, `client_java` and `jmx_exporter` with old and new names, `jvm.*`
//! - Go: `client_golang`, `go.*`
//! - Python: `prometheus_client`, `cpython.*`
//! - .NET: `prometheus-net`, `dotnet.*`
//! - Ruby: `prometheus_exporter`

use crate::sample::Counter;
use std::collections::HashMap;

/// What a row tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An area in bytes.
    Bytes(&'static str),
    /// An area in bytes that is 0 until there is something to tell.
    BytesOnce(&'static str),
    /// An area in objects.
    Objects(&'static str),
    /// The runtime's own limit of an area.
    Limit(&'static str),
    /// An area in bytes for each value of this label.
    Pools(&'static str),
    /// A counter.
    Count(Counter),
    /// By how much the event loop is late, in seconds.
    Lag,
    /// A histogram of how long answers take, in seconds.
    Answers,
    /// When the process started, in Unix time.
    Start,
}

/// What is told, and by which metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// What.
    pub(super) role: Role,
    /// What adds up to it. Where the first is not told, none of it is.
    pub(super) terms: &'static [Term],
}

/// All series of one metric, or those of them with certain values of one label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) name: &'static str,
    only: Option<(&'static str, &'static [&'static str])>,
    pub(super) factor: f64,
}

impl Term {
    /// Whether a series counts; `label` gives the value of one of its labels.
    pub(super) fn takes<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.only.is_none_or(|(name, values)| label(name).is_some_and(|value| values.contains(&value)))
    }

    const fn only(self, label: &'static str, values: &'static [&'static str]) -> Self {
        Self { only: Some((label, values)), ..self }
    }
}

const fn all(name: &'static str) -> Term {
    Term { name, only: None, factor: 1.0 }
}

const fn less(name: &'static str) -> Term {
    Term { name, only: None, factor: -1.0 }
}

const fn row(role: Role, terms: &'static [Term]) -> Row {
    Row { role, terms }
}

/// The pools of a JVM in which what stays alive ends up, by collector.
const OLD_POOLS: &[&str] = &[
    "G1 Old Gen",
    "PS Old Gen",
    "Tenured Gen",
    "CMS Old Gen",
    "ZHeap",
    "ZGC Old Generation",
    "Shenandoah",
    "GenPauseless Old Gen",
];
/// The collectors of a JVM that collect the young generation alone, and the others.
const YOUNG_COLLECTORS: &[&str] =
    &["G1 Young Generation", "PS Scavenge", "Copy", "ParNew", "ZGC Minor Cycles"];
const OLD_COLLECTORS: &[&str] = &[
    "G1 Old Generation",
    "G1 Concurrent GC",
    "PS MarkSweep",
    "MarkSweepCompact",
    "ConcurrentMarkSweep",
    "ZGC",
    "ZGC Cycles",
    "ZGC Major Cycles",
    "Shenandoah Cycles",
];
const HEAP: &[&str] = &["heap"];
const MINOR: &[&str] = &["minor"];
const MAJOR: &[&str] = &["major"];
const END_OF_MINOR: &[&str] = &["end of minor GC"];
const END_OF_MAJOR: &[&str] = &["end of major GC"];
const METASPACE: &[&str] = &["Metaspace"];
const DIRECT: &[&str] = &["direct"];
const YOUNG_GENERATIONS: &[&str] = &["gen0", "gen1"];
const OLD_GENERATIONS: &[&str] = &["gen2"];

use Counter::{
    CollectionSecs, Collections, CpuSecs, OldCollections, Requests, ResponseSecs, YoungCollections,
};
use Role::{Answers, Bytes, BytesOnce, Count, Lag, Limit, Objects, Pools, Start};

/// The table.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    // The process, in nearly every library.
    row(Start, &[all("process_start_time_seconds")]),
    row(Bytes("rss"), &[all("process_resident_memory_bytes")]),
    row(Bytes("rss"), &[all("process_memory_usage_bytes")]),
    row(Bytes("rss"), &[all("dotnet_process_memory_working_set_bytes")]),
    row(Bytes("rss"), &[all("process_working_set_bytes")]),
    row(Bytes("rss"), &[all("ruby_rss")]),
    row(Objects("fds"), &[all("process_open_fds")]),
    row(Objects("fds"), &[all("process_files_open_files")]),
    row(Objects("fds"), &[all("process_open_file_descriptor_count")]),
    row(Objects("fds"), &[all("jvm_file_descriptor_count")]),
    row(Objects("fds"), &[all("process_open_handles")]),
    row(Limit("fds"), &[all("process_max_fds")]),
    row(Limit("fds"), &[all("process_files_max_files")]),
    row(Limit("fds"), &[all("jvm_file_descriptor_limit")]),
    row(Count(CpuSecs), &[all("process_cpu_seconds_total")]),
    row(Count(CpuSecs), &[all("process_cpu_time_seconds_total")]),
    row(Count(CpuSecs), &[all("jvm_cpu_time_seconds_total")]),
    row(Count(CpuSecs), &[all("dotnet_process_cpu_time_seconds_total")]),
    row(Objects("threads"), &[all("process_threads")]),
    row(Objects("threads"), &[all("process_thread_count")]),
    row(Objects("threads"), &[all("jvm_threads_live_threads")]),
    row(Objects("threads"), &[all("jvm_threads_current")]),
    row(Objects("threads"), &[all("jvm_thread_count")]),
    row(Objects("threads"), &[all("go_threads")]),
    row(Objects("threads"), &[all("process_num_threads")]),

    // Requests that it answers.
    row(Count(Requests), &[all("http_server_request_duration_seconds_count")]),
    row(Count(Requests), &[all("http_server_requests_seconds_count")]),
    row(Count(Requests), &[all("http_request_duration_seconds_count")]),
    row(Count(ResponseSecs), &[all("http_server_request_duration_seconds_sum")]),
    row(Count(ResponseSecs), &[all("http_server_requests_seconds_sum")]),
    row(Count(ResponseSecs), &[all("http_request_duration_seconds_sum")]),
    row(Answers, &[all("http_server_request_duration_seconds_bucket")]),
    row(Answers, &[all("http_server_requests_seconds_bucket")]),
    row(Answers, &[all("http_request_duration_seconds_bucket")]),

    // Node
    row(Bytes("heap"), &[all("nodejs_heap_size_used_bytes")]),
    row(Bytes("heap"), &[all("v8js_memory_heap_used_bytes")]),
    row(Bytes("heap_committed"), &[all("nodejs_heap_size_total_bytes")]),
    // By its convention the size of all spaces as they are, and no limit.
    row(Bytes("heap_committed"), &[all("v8js_memory_heap_limit_bytes")]),
    // These two only its inspector tells.
    row(Bytes("array_buffers"), &[all("nodejs_array_buffers_bytes")]),
    row(Limit("heap"), &[all("nodejs_heap_size_limit_bytes")]),
    row(Bytes("v8_external"), &[all("nodejs_external_memory_bytes")]),
    row(Pools("space"), &[all("nodejs_heap_space_size_used_bytes")]),
    row(Pools("v8js_heap_space_name"), &[all("v8js_memory_heap_used_bytes")]),
    row(Objects("timers"), &[all("nodejs_active_resources").only("type", &["Timeout", "Immediate"])]),
    row(Objects("sockets"), &[all("nodejs_active_resources").only("type", &["TCPSocketWrap", "TLSWrap", "PipeWrap"])]),
    row(Objects("handles"), &[all("nodejs_active_handles_total")]),
    row(Objects("requests"), &[all("nodejs_active_requests_total")]),
    row(Count(YoungCollections), &[all("nodejs_gc_duration_seconds_count").only("kind", MINOR)]),
    row(Count(YoungCollections), &[all("v8js_gc_duration_seconds_count").only("v8js_gc_type", MINOR)]),
    row(Count(OldCollections), &[all("nodejs_gc_duration_seconds_count").only("kind", MAJOR)]),
    row(Count(OldCollections), &[all("v8js_gc_duration_seconds_count").only("v8js_gc_type", MAJOR)]),
    row(Count(CollectionSecs), &[all("nodejs_gc_duration_seconds_sum")]),
    row(Count(CollectionSecs), &[all("v8js_gc_duration_seconds_sum")]),
    row(Lag, &[all("nodejs_eventloop_lag_seconds")]),
    // Measured by a timer, whose own period is in each of its values.
    row(Lag, &[all("nodejs_eventloop_delay_mean_seconds"), less("nodejs_eventloop_delay_min_seconds")]),

    // JVM
    row(BytesOnce("heap_after_gc"), &[all("jvm_memory_used_after_last_gc_bytes").only("jvm_memory_pool_name", OLD_POOLS)]),
    row(BytesOnce("heap_after_gc"), &[all("jvm_gc_live_data_size_bytes")]),
    row(BytesOnce("heap_after_gc"), &[all("jvm_memory_pool_collection_used_bytes").only("pool", OLD_POOLS)]),
    row(Bytes("heap"), &[all("jvm_memory_used_bytes").only("area", HEAP)]),
    row(Bytes("heap"), &[all("jvm_memory_bytes_used").only("area", HEAP)]),
    row(Bytes("heap"), &[all("jvm_memory_used_bytes").only("jvm_memory_type", HEAP)]),
    row(Bytes("heap_committed"), &[all("jvm_memory_committed_bytes").only("area", HEAP)]),
    row(Bytes("heap_committed"), &[all("jvm_memory_bytes_committed").only("area", HEAP)]),
    row(Bytes("heap_committed"), &[all("jvm_memory_committed_bytes").only("jvm_memory_type", HEAP)]),
    row(Limit("heap"), &[all("jvm_memory_max_bytes").only("area", HEAP)]),
    row(Limit("heap"), &[all("jvm_memory_bytes_max").only("area", HEAP)]),
    row(Limit("heap"), &[all("jvm_memory_limit_bytes").only("jvm_memory_type", HEAP)]),
    row(Bytes("metaspace"), &[all("jvm_memory_used_bytes").only("id", METASPACE)]),
    row(Bytes("metaspace"), &[all("jvm_memory_pool_used_bytes").only("pool", METASPACE)]),
    row(Bytes("metaspace"), &[all("jvm_memory_pool_bytes_used").only("pool", METASPACE)]),
    row(Bytes("metaspace"), &[all("jvm_memory_used_bytes").only("jvm_memory_pool_name", METASPACE)]),
    row(Bytes("direct_buffers"), &[all("jvm_buffer_memory_used_bytes").only("id", DIRECT)]),
    row(Bytes("direct_buffers"), &[all("jvm_buffer_pool_used_bytes").only("pool", DIRECT)]),
    row(Bytes("direct_buffers"), &[all("jvm_buffer_memory_used_bytes").only("jvm_buffer_pool_name", DIRECT)]),
    row(Pools("id"), &[all("jvm_memory_used_bytes")]),
    row(Pools("pool"), &[all("jvm_memory_pool_used_bytes")]),
    row(Pools("pool"), &[all("jvm_memory_pool_bytes_used")]),
    row(Pools("jvm_memory_pool_name"), &[all("jvm_memory_used_bytes")]),
    row(Objects("classes"), &[all("jvm_classes_loaded_classes")]),
    row(Objects("classes"), &[all("jvm_classes_currently_loaded")]),
    row(Objects("classes"), &[all("jvm_class_count")]),
    row(Count(YoungCollections), &[all("jvm_gc_pause_seconds_count").only("action", END_OF_MINOR)]),
    row(Count(YoungCollections), &[all("jvm_gc_collection_seconds_count").only("gc", YOUNG_COLLECTORS)]),
    row(Count(YoungCollections), &[all("jvm_gc_duration_seconds_count").only("jvm_gc_action", END_OF_MINOR)]),
    row(Count(OldCollections), &[all("jvm_gc_pause_seconds_count").only("action", END_OF_MAJOR)]),
    row(Count(OldCollections), &[all("jvm_gc_collection_seconds_count").only("gc", OLD_COLLECTORS)]),
    row(Count(OldCollections), &[all("jvm_gc_duration_seconds_count").only("jvm_gc_action", END_OF_MAJOR)]),
    row(Count(CollectionSecs), &[all("jvm_gc_pause_seconds_sum")]),
    row(Count(CollectionSecs), &[all("jvm_gc_collection_seconds_sum")]),
    row(Count(CollectionSecs), &[all("jvm_gc_duration_seconds_sum")]),

    // Go
    row(Bytes("heap"), &[all("go_memstats_heap_alloc_bytes")]),
    row(Bytes("heap_committed"), &[all("go_memstats_heap_sys_bytes"), less("go_memstats_heap_released_bytes")]),
    row(Bytes("heap_committed"), &[all("go_memory_used_bytes").only("go_memory_type", &["other"])]),
    row(Limit("heap_committed"), &[all("go_gc_gomemlimit_bytes")]),
    row(Limit("heap_committed"), &[all("go_memory_limit_bytes")]),
    row(Bytes("stacks"), &[all("go_memstats_stack_inuse_bytes")]),
    row(Bytes("stacks"), &[all("go_memory_used_bytes").only("go_memory_type", &["stack"])]),
    row(Objects("heap_objects"), &[all("go_memstats_heap_objects")]),
    row(Objects("goroutines"), &[all("go_goroutines")]),
    row(Objects("goroutines"), &[all("go_goroutine_count")]),
    row(Count(Collections), &[all("go_gc_duration_seconds_count")]),
    row(Count(CollectionSecs), &[all("go_gc_duration_seconds_sum")]),

    // CPython
    row(Count(YoungCollections), &[all("python_gc_collections_total").only("generation", &["0", "1"])]),
    row(Count(YoungCollections), &[all("cpython_gc_collections_total").only("generation", &["0", "1"])]),
    row(Count(OldCollections), &[all("python_gc_collections_total").only("generation", &["2"])]),
    row(Count(OldCollections), &[all("cpython_gc_collections_total").only("generation", &["2"])]),
    // They stay for good, so that their number is a population too.
    row(Objects("uncollectable"), &[all("python_gc_objects_uncollectable_total")]),

    // .NET
    row(BytesOnce("heap_after_gc"), &[all("dotnet_gc_last_collection_heap_size_bytes")]),
    row(Bytes("heap"), &[all("dotnet_total_memory_bytes")]),
    row(Bytes("heap"), &[all("process_runtime_dotnet_gc_objects_size_bytes")]),
    row(Bytes("heap_committed"), &[all("dotnet_gc_last_collection_memory_committed_size_bytes")]),
    row(Bytes("heap_committed"), &[all("process_runtime_dotnet_gc_committed_memory_size_bytes")]),
    row(Pools("gc_heap_generation"), &[all("dotnet_gc_last_collection_heap_size_bytes")]),
    row(Pools("dotnet_gc_heap_generation"), &[all("dotnet_gc_last_collection_heap_size_bytes")]),
    row(Objects("timers"), &[all("dotnet_timer_count")]),
    row(Count(YoungCollections), &[all("dotnet_gc_collections_total").only("gc_heap_generation", YOUNG_GENERATIONS)]),
    row(Count(YoungCollections), &[all("dotnet_gc_collections_total").only("dotnet_gc_heap_generation", YOUNG_GENERATIONS)]),
    row(Count(OldCollections), &[all("dotnet_gc_collections_total").only("gc_heap_generation", OLD_GENERATIONS)]),
    row(Count(OldCollections), &[all("dotnet_gc_collections_total").only("dotnet_gc_heap_generation", OLD_GENERATIONS)]),
    // Each of these counts those of the older generations as well.
    row(Count(Collections), &[all("dotnet_collection_count_total").only("generation", &["0"])]),
    row(Count(CollectionSecs), &[all("dotnet_gc_pause_time_seconds_total")]),

    // Ruby
    row(Objects("heap_objects"), &[all("ruby_heap_live_slots")]),
    row(Count(YoungCollections), &[all("ruby_minor_gc_ops_total")]),
    row(Count(OldCollections), &[all("ruby_major_gc_ops_total")]),
];

/// What the names of a runtime's own metrics begin with, and what it is called.
const RUNTIMES: &[(&str, &str)] = &[
    ("nodejs_", "node"),
    ("v8js_", "node"),
    ("jvm_", "jvm"),
    ("go_", "go"),
    ("python_", "python"),
    ("cpython_", "python"),
    ("dotnet_", "dotnet"),
    ("process_runtime_dotnet_", "dotnet"),
    ("ruby_", "ruby"),
];

/// The runtime that a metric belongs to.
pub(super) fn runtime(name: &str) -> Option<&'static str> {
    RUNTIMES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, runtime)| *runtime)
}

/// Where a name stands in [`TABLE`]: rows, and the number of the term in each.
pub(super) struct Index(HashMap<&'static str, Vec<(usize, usize)>>);

impl Index {
    pub(super) fn new() -> Self {
        let mut places: HashMap<&'static str, Vec<(usize, usize)>> = HashMap::new();
        for (row, known) in TABLE.iter().enumerate() {
            for (term, known) in known.terms.iter().enumerate() {
                places.entry(known.name).or_default().push((row, term));
            }
        }
        Self(places)
    }

    pub(super) fn places(&self, name: &str) -> &[(usize, usize)] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_told_by_something_and_none_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        for row in TABLE {
            assert!(!row.terms.is_empty(), "{:?}", row.role);
            let only = row.terms[0].only.map(|(label, _)| label);
            assert!(seen.insert((format!("{:?}", row.role), row.terms[0].name, only)), "{row:?}");
        }
    }
}
