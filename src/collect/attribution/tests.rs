//! The parser on text that the kernel wrote, and the collector on the fixture tree.

use super::{
    lines,
    smaps::{
        ANONYMOUS, HEAP, JIT, MAPPED_FILES, OTHER_MODULES, RUNTIME_HEAP, SHARED_MEMORY, STACKS, Smaps,
        UNKNOWN,
    },
    *,
};
use crate::sample::{Measure, Part, Unread};
use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Where the stack of the captured programs begins, about.
const STACK_START: u64 = 0x7ffc_4e43_0000;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The parts of a text in KiB, those of no size left out; all of them are `total_kib`.
fn parts(text: &str, total_kib: u64) -> Vec<(String, u64)> {
    let mut smaps = Smaps::new(STACK_START);
    let take = |line: &[u8]| {
        smaps.line(line);
        ControlFlow::Continue(())
    };
    lines::for_each(text.as_bytes(), |_| true, take).unwrap();
    let parts = smaps.finish(2, total_kib * 1024).into_iter();
    parts.filter(|(_, bytes, _)| *bytes > 0).map(|(name, bytes, _)| (name, bytes / 1024)).collect()
}

fn check(text: &str, total_kib: u64, expected: &[(&str, u64)]) {
    let parts = parts(text, total_kib);
    let found: Vec<(&str, u64)> = parts.iter().map(|(name, kib)| (name.as_str(), *kib)).collect();
    assert_eq!(found, expected);
}

fn check_captured(name: &str, total_kib: u64, expected: &[(&str, u64)]) {
    check(&fs::read_to_string(fixture("smaps").join(name)).unwrap(), total_kib, expected);
}

/// Four threads with 58 MB of small blocks each, in an arena each; the kernel's sum was 236,184 KiB.
#[test]
fn arenas_of_threads_are_heap() {
    let expected = [
        (HEAP, 234_580),
        (ANONYMOUS, 12),
        (STACKS, 48),
        (MAPPED_FILES, 1_476),
        (OTHER_MODULES, 8),
        ("module:libc.so.6", 44),
        ("module:ld-linux-x86-64.so.2", 16),
    ];
    check_captured("threads.txt", 236_184, &expected);
}

/// Buffers of 300 KB that are kept, beside the heap of V8.
#[test]
fn the_heap_of_v8_and_its_buffers_are_told_apart() {
    let expected = [
        (HEAP, 2_716),
        (RUNTIME_HEAP, 3_296),
        (ANONYMOUS, 31_844),
        (STACKS, 120),
        (JIT, 28),
        (MAPPED_FILES, 35_164),
        (OTHER_MODULES, 92),
        ("module:node", 196),
        ("module:libstdc++.so.6.0.30", 68),
    ];
    check_captured("node.txt", 73_524, &expected);
}

/// A leak in the heap of the JVM.
#[test]
fn the_heap_of_the_jvm_is_at_an_address_of_its_choice() {
    let expected = [
        (HEAP, 1_864),
        (RUNTIME_HEAP, 53_728),
        (ANONYMOUS, 1_324),
        (STACKS, 612),
        (JIT, 688),
        (MAPPED_FILES, 19_404),
        (OTHER_MODULES, 336),
        ("module:classes.jsa", 9_992),
        ("module:libjvm.so", 1_240),
    ];
    check_captured("java.txt", 89_188, &expected);
}

/// One mapping after the other, each by its first line and the bytes that count: resident, anonymous, swapped out.
fn mappings(rows: &[(&str, [u64; 3], &str)]) -> String {
    let text = rows.iter().map(|(line, [rss, anonymous, swap], flags)| {
        format!("{line}\nSize: 4 kB\nRss:  {rss} kB\nPss: 1 kB\nAnonymous: {anonymous} kB\nSwap: {swap} kB\nVmFlags: {flags} \n")
    });
    text.collect()
}

#[test]
fn each_shape_is_its_part() {
    let text = mappings(&[
        ("00400000-00500000 r-xp 00000000 fe:00 1        /opt/a b/libx.so (deleted)", [100, 0, 0], "rd"),
        ("00500000-00510000 rw-p 00000000 fe:00 1        /opt/a b/libx.so (deleted)", [9, 5, 2], "rd"),
        ("00510000-00520000 rw-p 00000000 00:00 0 ", [7, 7, 0], "rd"),
        ("00520000-00530000 rw-p 00000000 00:00 0 ", [20, 20, 0], "rd"),
        ("00540000-00550000 rw-p 00001000 fe:00 2        /opt/python", [0, 0, 0], "rd"),
        ("00550000-00650000 rw-p 00000000 00:00 0 ", [8, 8, 0], "rd"),
        ("01000000-02000000 rw-p 00000000 00:00 0        [heap]", [30, 30, 3], "rd"),
        ("7f0000000000-7f0000010000 rw-s 00000000 00:01 5     /memfd:pool (deleted)", [40, 0, 9], "rd"),
        ("7f0000010000-7f0000020000 rw-s 00000000 00:01 5     /dev/zero (deleted)", [1, 0, 0], "rd"),
        ("7f0000020000-7f0000030000 rw-s 00000000 fe:00 6     /var/lib/db/data", [50, 0, 0], "rd"),
        ("7f0000030000-7f0000040000 rwxp 00000000 00:00 0 ", [60, 60, 0], "rd"),
        ("7f0000100000-7f0000200000 rw-p 00000000 00:00 0     [anon: glibc: malloc]", [70, 70, 0], "rd"),
        ("7f0000200000-7f0000300000 rw-p 00000000 00:00 0     [anon:Go: heap]", [80, 80, 0], "rd"),
        ("7f0000300000-7f0000400000 rw-p 00000000 00:00 0     [anon:pool]", [90, 90, 0], "rd"),
        ("7f0000400000-7f0000401000 ---p 00000000 00:00 0 ", [0, 0, 0], ""),
        ("7f0000401000-7f0000c01000 rw-p 00000000 00:00 0 ", [11, 11, 0], "rd"),
        ("7f0000d00000-7f0000d01000 ---p 00000000 00:00 0 ", [0, 0, 0], ""),
        ("7f0000d01000-7f0001e01000 rw-p 00000000 00:00 0 ", [12, 12, 0], "rd"),
        ("7f0010000000-7f0010021000 rw-p 00000000 00:00 0 ", [13, 13, 0], "rd nr"),
        ("7f0020000000-7f0020021000 rw-p 00000000 00:00 0 ", [14, 14, 0], "rd"),
        ("7f0020100000-7f0020101000 rw-p 00000000 00:0e 9     anon_inode:[perf_event]", [15, 0, 0], "rd"),
        ("7f0020200000-7f0020201000 rw-p 00000000 fe:00 7     /opt/b.so", [1, 1, 0], "rd"),
        ("7f0020300000-7f0020301000 rw-p 00000000 fe:00 7     /opt/c.so", [2, 2, 0], "rd"),
    ]);
    let expected = [
        (HEAP, 30 + 3 + 70 + 13),
        (RUNTIME_HEAP, 20 + 8 + 80),
        (ANONYMOUS, 90 + 12 + 14),
        (STACKS, 11),
        (JIT, 60),
        (SHARED_MEMORY, 41),
        (MAPPED_FILES, 100 + 4 + 50),
        (OTHER_MODULES, 1),
        ("module:libx.so", 5 + 2 + 7),
        ("module:c.so", 2),
        (UNKNOWN, 15),
    ];
    let all: u64 = expected.iter().map(|(_, kib)| kib).sum();
    check(&text, 0, &expected);
    check(&text, all, &expected);
    assert_eq!(parts(&text, all + 100).last(), Some(&(UNKNOWN.into(), 115)), "the kernel counts more");
}

#[test]
fn damaged_text_is_passed_over() {
    for text in [
        "",
        "\n",
        "zzz",
        "7f-",
        "7f00-6f00 rw-p",
        "7f0g-7f10 rw-p 0 0 0",
        "Rss: 5 kB",
        "7f00-7f10",
        ": x",
        "Rss:",
    ] {
        check(text, 0, &[]);
    }
    let huge = mappings(&[("7f0000000000-7f0000001000 rw-p 0 0 0 ", [u64::MAX / 2048, 0, 0], "")]);
    assert_eq!(parts(&format!("Rss: {}9 kB\n{huge}", u64::MAX), 5).len(), 1);
}

/// A collector on the fixture host that reads one process a tick, once a minute.
fn collector(change: impl FnOnce(&mut Attribution)) -> AttributionCollector {
    let mut config = Config::default();
    config.attribution.processes_per_tick = 1;
    change(&mut config.attribution);
    let host = fixture("host");
    AttributionCollector::new(&config, &Paths::below(&host, None, None))
}

const NGINX: Identity = Identity { pid: 100, start_ticks: 900 };
const NODE: Identity = Identity { pid: 200, start_ticks: 12345 };
/// The pid belongs to another by now.
const GONE: Identity = Identity { pid: 300, start_ticks: 1 };

fn ask(collector: &mut AttributionCollector, at: Seconds, who: &[Identity]) -> Batch {
    ask_with(collector, at, who, Stopwatch::default())
}

fn ask_with(
    collector: &mut AttributionCollector,
    at: Seconds,
    who: &[Identity],
    stopwatch: Stopwatch,
) -> Batch {
    collector.collect(&Request { at, attributed: who.into(), stopwatch, ..Request::default() }).unwrap()
}

fn read_pids(batch: &Batch) -> Vec<u32> {
    batch.anatomies.iter().map(|anatomy| anatomy.identity.pid).collect()
}

fn sizes(parts: &[Part], measure: Measure) -> Vec<(&str, f64)> {
    parts.iter().filter(|part| part.measure == measure).map(|part| (&*part.name, part.size)).collect()
}

#[test]
fn descriptors_are_told_apart_and_memory_adds_up() {
    let batch = ask(&mut collector(|_| {}), 1.0, &[NODE]);
    let [anatomy] = batch.anatomies.as_slice() else { panic!("{batch:?}") };
    assert!(anatomy.is_full);
    let memory: f64 = sizes(&anatomy.parts, Measure::Memory).iter().map(|(_, size)| size).sum();
    assert_eq!(memory.to_bits(), (120_000.0f64 * 1024.0).to_bits());
    let mut descriptors = sizes(&anatomy.parts, Measure::Descriptors);
    descriptors.sort_by_key(|(name, _)| *name);
    let expected = [
        ("device", 3.0),
        ("epoll", 1.0),
        ("eventfd", 1.0),
        ("file", 1.0),
        ("pipe", 1.0),
        ("socket_accepted", 1.0),
        ("socket_listening", 1.0),
        ("socket_other", 1.0),
        ("socket_postgres", 2.0),
    ];
    assert_eq!(descriptors, expected);
    let mut buffers = sizes(&anatomy.parts, Measure::SocketBuffers);
    buffers.sort_by_key(|(name, _)| *name);
    assert_eq!(buffers, [("socket_accepted", 512.0), ("socket_postgres", 48.0)]);
}

#[test]
fn descriptors_beyond_the_bound_are_unread() {
    let batch = ask(&mut collector(|settings| settings.descriptors = 4), 1.0, &[NODE]);
    let descriptors = sizes(&batch.anatomies[0].parts, Measure::Descriptors);
    let sum: f64 = descriptors.iter().map(|(_, size)| size).sum();
    assert_eq!(sum.to_bits(), 12f64.to_bits(), "{descriptors:?}");
    assert_eq!(batch.unread, Unread { descriptors: 8, ..Unread::default() });
}

#[test]
fn each_has_its_turn_once_an_interval() {
    let mut collector = collector(|_| {});
    let mut asked = |at, who: &[Identity]| {
        let batch = ask(&mut collector, at, who);
        (read_pids(&batch), batch.unread.turns)
    };
    assert_eq!(asked(0.0, &[NODE, NGINX]), (vec![200], 0));
    assert_eq!(asked(3.0, &[NODE, NGINX]), (vec![100], 0), "the other's turn");
    assert_eq!(asked(6.0, &[NODE, NGINX]), (vec![], 0));
    assert_eq!(asked(63.0, &[NGINX, NODE]), (vec![200], 0), "who has waited longer");
    assert_eq!(asked(123.0, &[NGINX, NODE, GONE]), (vec![100], 0));
    assert_eq!(asked(183.0, &[NGINX, NODE]), (vec![200], 0));
    assert_eq!(
        asked(303.0, &[NGINX, NODE]),
        (vec![100], 1),
        "one has waited for an interval beyond its turn"
    );
    assert_eq!(asked(304.0, &[]), (vec![], 0));
    assert_eq!(asked(305.0, &[NODE]), (vec![200], 0), "who comes back is new");
    assert_eq!(asked(306.0, &[GONE]), (vec![], 0), "another process by now");
}

#[test]
fn what_cannot_be_read_in_full_is_known_by_its_sums() {
    let batch = ask(&mut collector(|settings| settings.largest_bytes = 1 << 20), 1.0, &[NODE]);
    let anatomy = &batch.anatomies[0];
    let kib = |kib: f64| kib * 1024.0;
    let expected = [(MAPPED_FILES, kib(40_000.0)), (SHARED_MEMORY, 0.0), (UNKNOWN, kib(80_000.0))];
    assert_eq!(sizes(&anatomy.parts, Measure::Memory), expected);
    assert_eq!((anatomy.is_full, batch.unread.large), (false, 1));
}

/// Each look at the stopwatch takes 10 ms.
#[test]
fn a_reading_that_takes_too_long_is_given_up_and_not_tried_again_at_once() {
    let mut collector = collector(|settings| settings.time_per_tick = Duration::from_millis(15));
    let elapsed = Arc::new(AtomicU64::new(0));
    let stopwatch = Stopwatch::new(move || Duration::from_millis(elapsed.fetch_add(10, Ordering::Relaxed)));
    let mut asked = |at| {
        let batch = ask_with(&mut collector, at, &[NODE], stopwatch.clone());
        (batch.anatomies[0].is_full, batch.unread.turns)
    };
    assert_eq!(asked(0.0), (false, 1));
    assert_eq!(asked(60.0), (false, 0), "it rests");
    assert_eq!(asked(599.0), (false, 0));
    assert_eq!(asked(660.0), (false, 1), "tried again");
}
