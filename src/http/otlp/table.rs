//! Which metrics of the semantic conventions, present and past, are which areas.
//!
//! The names of the areas are those that every source of a runtime's numbers uses. Conventions:
//! <https://opentelemetry.io/docs/specs/semconv/runtime/>.

use super::text;
use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;

/// What a metric says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The size of an area in bytes.
    Bytes(&'static str),
    /// Its size in objects.
    Objects(&'static str),
    /// Its limit.
    Limit(&'static str),
}

/// One metric, or part of its points, which add up.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) metric: &'static str,
    /// An attribute and the values of it that count; all points where there is none.
    only: Option<(&'static str, &'static [&'static str])>,
    pub(super) role: Role,
}

impl Row {
    /// Whether a point counts.
    pub(super) fn includes(&self, point: &NumberDataPoint) -> bool {
        self.only.is_none_or(|(key, values)| {
            let found = point.attributes.iter().find(|attribute| attribute.key == key).and_then(text);
            found.is_some_and(|found| values.contains(&found.as_str()))
        })
    }
}

const fn all(metric: &'static str, role: Role) -> Row {
    Row { metric, only: None, role }
}

const fn only(metric: &'static str, key: &'static str, values: &'static [&'static str], role: Role) -> Row {
    Row { metric, only: Some((key, values)), role }
}

const HEAP: &[&str] = &["heap"];
const METASPACE: &[&str] = &["Metaspace"];
const DIRECT: &[&str] = &["direct"];
/// Where what survives ends up; the young pools are empty after a collection, or not worth a look.
const OLD_POOLS: &[&str] =
    &["G1 Old Gen", "PS Old Gen", "Tenured Gen", "CMS Old Gen", "ZHeap", "ZGC Old Generation", "Shenandoah"];

use Role::{Bytes, Limit, Objects};

/// The table: of several metrics for one area the first that is sent counts.
#[rustfmt::skip]
pub(super) static TABLE: &[Row] = &[
    // The process, whatever it runs on.
    all("process.memory.usage", Bytes("rss")),
    only("process.runtime.cpython.memory", "type", &["rss"], Bytes("rss")),
    all("dotnet.process.memory.working_set", Bytes("rss")),
    all("process.open_file_descriptor.count", Objects("fds")),
    all("process.unix.file_descriptor.count", Objects("fds")),
    all("process.thread.count", Objects("threads")),
    all("jvm.thread.count", Objects("threads")),

    // Node. What is called the limit of its heap is the size of all spaces as they are.
    all("v8js.memory.heap.used", Bytes("heap")),
    all("v8js.memory.heap.limit", Bytes("heap_committed")),
    all("v8js.heap.space.physical_size", Bytes("heap_resident")),
    all("v8js.memory.heap.space.physical_size", Bytes("heap_resident")),

    // JVM
    only("jvm.memory.used_after_last_gc", "jvm.memory.pool.name", OLD_POOLS, Bytes("heap_after_gc")),
    only("process.runtime.jvm.memory.usage_after_last_gc", "pool", OLD_POOLS, Bytes("heap_after_gc")),
    only("jvm.memory.used", "jvm.memory.type", HEAP, Bytes("heap")),
    only("process.runtime.jvm.memory.usage", "type", HEAP, Bytes("heap")),
    only("jvm.memory.committed", "jvm.memory.type", HEAP, Bytes("heap_committed")),
    only("process.runtime.jvm.memory.committed", "type", HEAP, Bytes("heap_committed")),
    only("jvm.memory.limit", "jvm.memory.type", HEAP, Limit("heap")),
    only("process.runtime.jvm.memory.limit", "type", HEAP, Limit("heap")),
    only("jvm.memory.used", "jvm.memory.pool.name", METASPACE, Bytes("metaspace")),
    only("process.runtime.jvm.memory.usage", "pool", METASPACE, Bytes("metaspace")),
    only("jvm.memory.limit", "jvm.memory.pool.name", METASPACE, Limit("metaspace")),
    only("jvm.buffer.memory.used", "jvm.buffer.pool.name", DIRECT, Bytes("direct_buffers")),
    only("jvm.buffer.memory.usage", "jvm.buffer.pool.name", DIRECT, Bytes("direct_buffers")),
    only("process.runtime.jvm.buffer.usage", "pool", DIRECT, Bytes("direct_buffers")),
    all("jvm.class.count", Objects("classes")),

    // Go
    all("process.runtime.go.mem.heap_alloc", Bytes("heap")),
    only("go.memory.used", "go.memory.type", &["other"], Bytes("heap_committed")),
    all("process.runtime.go.mem.heap_sys", Bytes("heap_committed")),
    only("go.memory.used", "go.memory.type", &["stack"], Bytes("stacks")),
    all("go.memory.limit", Limit("heap_committed")),
    all("process.runtime.go.mem.heap_objects", Objects("heap_objects")),
    all("go.goroutine.count", Objects("goroutines")),
    all("process.runtime.go.goroutines", Objects("goroutines")),

    // .NET
    all("dotnet.gc.last_collection.heap.size", Bytes("heap_after_gc")),
    all("process.runtime.dotnet.gc.heap.size", Bytes("heap_after_gc")),
    all("process.runtime.dotnet.gc.objects.size", Bytes("heap")),
    all("dotnet.gc.last_collection.memory.committed_size", Bytes("heap_committed")),
    all("process.runtime.dotnet.gc.committed_memory.size", Bytes("heap_committed")),
    all("dotnet.timer.count", Objects("timers")),
];
