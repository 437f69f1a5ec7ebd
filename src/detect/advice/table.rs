//! The table of advice, what helps first at the top.

use crate::detect::finding::{Pattern, Severity};

/// A piece of advice and for which findings it is. An empty list holds for all.
#[derive(Debug)]
pub struct Row {
    /// The least severity.
    pub least: Severity,
    /// Shapes of growth. A row that names some is also for findings that are no leak.
    pub patterns: &'static [Pattern],
    /// Kinds of targets.
    pub kinds: &'static [&'static str],
    /// Names of areas.
    pub areas: &'static [&'static str],
    /// Runtimes.
    pub runtimes: &'static [&'static str],
    /// What to look at or to do.
    pub text: &'static str,
    /// A command for a shell. `{pid}`, `{unit}`, `{container}` and `{target}` are filled in; without the name that it
    /// needs the row does not hold.
    pub command: Option<&'static str>,
}

const ANY: Row = Row {
    least: Severity::None,
    patterns: &[],
    kinds: &[],
    areas: &[],
    runtimes: &[],
    text: "",
    command: None,
};

/// Kinds whose memory is that of processes.
const PROGRAMS: &[&str] = &["process", "application"];
/// Areas that hold what a program allocates.
const HEAPS: &[&str] = &["anon", "rss", "heap", "heap_after_gc", "external", "swap"];
/// Areas that hold open files and connections.
const DESCRIPTORS: &[&str] = &["fds", "sockets", "connections", "http_pool"];

/// All rows.
pub const ROWS: &[Row] = &[
    // What cannot wait.
    Row {
        least: Severity::High,
        kinds: PROGRAMS,
        text: "The limit comes near: save a dump while the program still answers, then restart it at a moment of your \
               choice, or raise the limit to win time.",
        ..ANY
    },
    Row {
        least: Severity::High,
        kinds: &["cgroup"],
        text: "The limit comes near: restart it at a moment of your choice, or raise its limit to win time.",
        command: Some("systemctl show --property=MemoryCurrent,MemoryHigh,MemoryMax {unit}"),
        ..ANY
    },
    // By the shape of the growth.
    Row {
        patterns: &[Pattern::Exponential, Pattern::Accelerating],
        kinds: PROGRAMS,
        text: "It grows faster and faster: look for what feeds on itself, such as retries that queue up, a list that is \
               copied into itself, or listeners that are added on each call.",
        ..ANY
    },
    Row {
        patterns: &[Pattern::Step],
        text: "It grew in jumps: compare the moment of each with deployments, batch jobs and unusual requests in the log.",
        command: Some("journalctl --unit={unit} --since=-6h"),
        ..ANY
    },
    Row {
        patterns: &[Pattern::Fragmentation],
        text: "Resident memory grows while live memory does not: the allocator keeps what was freed. Try another one, or \
               with glibc MALLOC_ARENA_MAX=2; calling malloc_trim tells whether that is it.",
        command: Some("grep -E '^(Rss|Private_Dirty|Anonymous|Swap):' /proc/{pid}/smaps_rollup"),
        ..ANY
    },
    Row {
        patterns: &[Pattern::CacheBloat],
        text: "The entries get larger, not more: look at what is kept with each, such as whole responses, closures or \
               slices that hold a larger buffer. Bound the cache in bytes and not in entries.",
        ..ANY
    },
    Row {
        patterns: &[Pattern::SustainedHigh],
        text: "It stays near its limit without growing: raise the limit, or give caches and pools less.",
        ..ANY
    },
    // By the runtime.
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["node"],
        text: "Switch on the inspector of the running program, take two heap snapshots some minutes apart and compare \
               them by retained size. Where the heap does not grow, look at Buffers and native modules.",
        command: Some("kill -USR1 {pid} && curl -s http://127.0.0.1:9229/json/list"),
        ..ANY
    },
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["python"],
        text: "Attach an allocation profiler for some minutes and look at what is not freed; tracemalloc tells the same \
               from inside.",
        command: Some("memray attach {pid}"),
        ..ANY
    },
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["jvm"],
        text: "Take two class histograms some minutes apart and compare the bytes of each class.",
        command: Some("jcmd {pid} GC.class_histogram | head -n 30"),
        ..ANY
    },
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["jvm"],
        text: "Where the heap does not grow, ask for native memory; the program must run with \
               -XX:NativeMemoryTracking=summary.",
        command: Some("jcmd {pid} VM.native_memory summary"),
        ..ANY
    },
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["go"],
        text: "Compare two heap profiles of net/http/pprof by inuse_space, and look whether goroutines grow too.",
        command: Some("go tool pprof -sample_index=inuse_space -top http://127.0.0.1:6060/debug/pprof/heap"),
        ..ANY
    },
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["ruby"],
        text: "Compare GC.stat over some minutes: live slots that grow are objects that are kept, a steady number with \
               growing memory is the allocator or a native extension.",
        command: Some("rbtrace -p {pid} -e 'GC.stat'"),
        ..ANY
    },
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["dotnet"],
        text: "Take two dumps of the managed heap some minutes apart and compare the types.",
        command: Some("dotnet-gcdump collect --process-id {pid}"),
        ..ANY
    },
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["php"],
        text: "Workers keep what a request leaves behind: bound how many requests one serves (pm.max_requests), then look \
               for static arrays and extensions.",
        ..ANY
    },
    Row {
        kinds: PROGRAMS,
        areas: HEAPS,
        runtimes: &["", "perl", "bun", "deno", "shell"],
        text: "Record its allocations for some minutes and look at what is not freed, the largest first.",
        command: Some("heaptrack --pid {pid}"),
        ..ANY
    },
    // By the area of a program.
    Row {
        areas: DESCRIPTORS,
        text: "See what the descriptors are: many of one sort are handles that nobody closes.",
        command: Some(
            "ls -l /proc/{pid}/fd | awk '{print $NF}' | sed 's/[0-9][0-9]*/N/g' | sort | uniq -c | sort -nr | head",
        ),
        ..ANY
    },
    Row {
        areas: DESCRIPTORS,
        text: "See who is at the other end: many connections to one address are a pool without a bound, and CLOSE-WAIT is \
               a side that was never closed.",
        command: Some("ss -tanp | grep pid={pid},"),
        ..ANY
    },
    Row {
        areas: &["threads"],
        text: "See which threads there are by name: a pool that is made anew on each call shows as many of one.",
        command: Some("cat /proc/{pid}/task/*/comm | sort | uniq -c | sort -nr | head"),
        ..ANY
    },
    Row {
        areas: &["rate_limiter", "bridge_cache", "security_config"],
        text: "Bound it: a table that is filled by each new client or key needs a greatest size and a time after which an \
               entry goes, whether it is asked for again or not.",
        ..ANY
    },
    // By the area of a control group or the machine.
    Row {
        kinds: &["cgroup"],
        text: "See which of its processes is large, and what its log says of the time since it grows.",
        command: Some("systemctl status {unit}"),
        ..ANY
    },
    Row {
        kinds: &["cgroup", "process"],
        text: "See which processes run in the container.",
        command: Some("docker top {container} -o pid,rss,args"),
        ..ANY
    },
    Row {
        areas: &["file"],
        text: "This is page cache, which the kernel takes back: it matters only where it is shared memory or a tmpfs.",
        command: Some("df -h --type=tmpfs"),
        ..ANY
    },
    Row {
        areas: &["shmem"],
        text: "Files in a tmpfs and segments of shared memory stay until they are deleted: see which are large.",
        command: Some("df -h --type=tmpfs; ipcs -m; ls -lS /dev/shm | head"),
        ..ANY
    },
    Row {
        areas: &["slab", "slab_unreclaimable", "kernel"],
        text: "The kernel keeps objects: see which caches are large. Many dentries or inodes come from files that are \
               created and deleted, others from a module or from sockets.",
        command: Some("slabtop --once --sort=c | head -n 20"),
        ..ANY
    },
    Row {
        areas: &["vmalloc"],
        text: "See which part of the kernel holds the mappings; a module that is loaded again and again is a usual cause.",
        command: Some("sort -k2 -n -r /proc/vmallocinfo | head -n 20"),
        ..ANY
    },
    Row {
        areas: &["kernel_stack", "page_tables"],
        text: "This grows with threads and processes: see who has the most.",
        command: Some("ps -e -o nlwp,pid,comm --sort=-nlwp | head"),
        ..ANY
    },
    Row {
        areas: &["sock"],
        text: "Data waits in the buffers of sockets: see which connections have a long queue, and who does not read.",
        command: Some("ss -tanpm | sort -k2 -n -r | head -n 20"),
        ..ANY
    },
    Row {
        areas: &["hugetlb"],
        text: "Huge pages are set aside and not used by others: see how many there are, and who asked for them.",
        command: Some("grep -i huge /proc/meminfo"),
        ..ANY
    },
    Row {
        kinds: &["host"],
        areas: &["anon", "swap"],
        text: "See which processes are the largest; what no process explains is in the kernel or in a tmpfs.",
        command: Some("ps -e -o rss,pid,comm --sort=-rss | head"),
        ..ANY
    },
    // By the kind of what is counted.
    Row {
        kinds: &["directory"],
        text: "Files pile up: see which are the oldest, and why whoever should read and delete them does not.",
        command: Some("ls -ltr {target} | head -n 20"),
        ..ANY
    },
    // What always helps.
    Row {
        kinds: PROGRAMS,
        text: "See what the service said since the growth began, and which version it runs.",
        command: Some("systemctl status {unit}; journalctl --unit={unit} --since=-6h | tail -n 50"),
        ..ANY
    },
    Row {
        text: "Compare its growth with the load: memory that rises with the number of requests, and does not fall with \
               them, is kept by each of them.",
        ..ANY
    },
];
