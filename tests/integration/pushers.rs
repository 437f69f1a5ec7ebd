//! A client that pushes as hard as it can, with bodies made to be large in memory: what the exporter takes stays bounded,
//! and who pushes as one should is served meanwhile.

use crate::{
    exporter::Exporter,
    peers::directory,
    process::{Process, pause},
};
use std::{thread, time::Duration};

/// What the exporter may take beyond what it has idle.
const MOST_BYTES: u64 = 40_000_000;
/// The same of calls over gRPC, whose messages are at most half a megabyte and read one at a time.
const MOST_BYTES_OF_CALLS: u64 = 10_000_000;
/// Packing them takes seconds, and more of them on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Hostile clients at once; one address has six of eight seats.
const CLIENTS: usize = 5;
/// Requests of each of them, for each body.
const ROUNDS: usize = 12;

/// A field with a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f | 0x80).expect("seven bits and one"));
        length >>= 7;
    }
    message.push(u8::try_from(length).expect("seven bits"));
    message.extend_from_slice(bytes);
    message
}

/// Bodies with their types: of empty things as many as fit, each of which is far larger in memory.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    const PROTOBUF: &str = "application/x-protobuf";
    const JSON: &str = "application/json";
    let empties = |number: u8, bytes: usize| [number << 3 | 2, 0].repeat(bytes / 2);
    let export = |scope: Vec<u8>| field(1, &field(2, &scope));
    let metric = |points: usize| {
        field(2, &[field(1, b"process.memory.usage"), field(5, &empties(1, points))].concat())
    };
    let json = |metrics: String| {
        format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#)
    };
    vec![
        (PROTOBUF, export(empties(2, 510_000))),
        (PROTOBUF, export(metric(60_000).repeat(8))),
        (PROTOBUF, export(metric(500_000))),
        (PROTOBUF, field(1, &field(1, &empties(1, 500_000)))),
        (PROTOBUF, empties(1, 510_000)),
        (JSON, json(vec!["{}"; 80_000].join(",")).into_bytes()),
        (
            "samples",
            format!("[{}]", vec![r#"{"target":"a","area":"b","bytes":1}"#; 25_000].join(",")).into_bytes(),
        ),
    ]
}

fn post(url: &str, content_type: &str, body: &[u8]) -> u16 {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = agent.post(url).content_type(content_type).send(body);
    answer.map_or(0, |answer| answer.status().as_u16())
}

/// A line of the exporter's `status`, in bytes.
fn status(exporter: &Exporter, key: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", exporter.process.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the line");
    line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn a_hostile_client_takes_bounded_memory_and_leaves_room_for_others() {
    let exporter = Exporter::start(&["--collector.disable-defaults", "--collector.push"]);
    let url = |content_type: &str| {
        exporter.url(if content_type == "samples" { "/api/v1/samples" } else { "/v1/metrics" })
    };
    let polite =
        || post(&url("samples"), "application/json", br#"{"target":"shop","area":"cache","bytes":5}"#);
    // Pages and threads that everybody needs are there before it is measured.
    assert_eq!((polite(), exporter.ticks() >= 0.0), (200, true));
    let idle = status(&exporter, "VmRSS");
    let bodies = hostile();
    let served = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    for (content_type, body) in &bodies {
                        let sent_as =
                            if *content_type == "samples" { "application/json" } else { content_type };
                        for _ in 0..ROUNDS {
                            let code = post(&url(content_type), sent_as, body);
                            assert!(matches!(code, 200 | 400 | 413 | 429 | 503), "{code}");
                        }
                    }
                })
            })
            .collect();
        let mut served = Vec::new();
        while clients.iter().any(|client| !client.is_finished()) {
            served.push(polite());
            pause(Duration::from_millis(20));
        }
        served
    });
    let peak = status(&exporter, "VmHWM");
    assert!(peak.saturating_sub(idle) <= MOST_BYTES, "{idle} bytes idle, {peak} at the peak");
    assert!(served.iter().all(|code| *code == 200), "{served:?}");
}

/// The same over gRPC, five calls at once, with what only gRPC has: frames of any length, and two hundred megabytes
/// that are a fifth of one when they are packed. Prints the code of each call, in order of what was sent.
const HOSTILE_CALLS: &str = r#"
import os, sys, grpc
from concurrent.futures import ThreadPoolExecutor

path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
def field(number, content):
    length, head = len(content), [number << 3 | 2]
    while length >= 0x80:
        head.append(length & 0x7f | 0x80)
        length >>= 7
    return bytes(head + [length]) + content

bodies = [
    ("nonsense", b"\xff" * 100_000, None),
    ("of empty things", field(1, field(2, b"\x12\0" * 255_000)), None),
    ("too long", bytes(600_000), None),
    ("far too long", bytes(50_000_000), None),
    ("too long when unpacked", bytes(200_000_000), grpc.Compression.Gzip),
]
def send(body):
    name, content, packing = body
    with grpc.insecure_channel(sys.argv[1], options=[("grpc.max_send_message_length", -1)]) as channel:
        call = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
        try:
            call(content, compression=packing, timeout=120)
            return name, "OK"
        except grpc.RpcError as error:
            return name, error.code().name
with ThreadPoolExecutor(5) as clients:
    for name, code in clients.map(send, bodies):
        print(f"{name}: {code}", flush=True)
print("done", flush=True)
"#;

#[test]
fn a_hostile_client_over_grpc_takes_bounded_memory_and_leaves_room_for_others() {
    let flags = ["--collector.disable-defaults", "--collector.push", "--otlp.listen-address=127.0.0.1:0"];
    let mut exporter = Exporter::start(&flags);
    let address = exporter.otlp_address();
    let url = exporter.url("/api/v1/samples");
    let polite = || post(&url, "application/json", br#"{"target":"shop","area":"cache","bytes":5}"#);
    assert_eq!((polite(), exporter.ticks() >= 0.0), (200, true));
    let idle = status(&exporter, "VmRSS");
    let mut hostile = Process::start(Process::command(directory().join("venv/bin/python")).args([
        "-c",
        HOSTILE_CALLS,
        &address,
    ]));
    let told = thread::scope(|scope| {
        let clients = scope.spawn(|| {
            hostile.line_with("done", PATIENCE);
            hostile.output()
        });
        while !clients.is_finished() {
            assert_eq!(polite(), 200);
            pause(Duration::from_millis(20));
        }
        clients.join().expect("its lines")
    });
    let codes = [
        "nonsense: INVALID_ARGUMENT",
        "of empty things: OK",
        "too long: OUT_OF_RANGE",
        "far too long: OUT_OF_RANGE",
        "too long when unpacked: RESOURCE_EXHAUSTED",
    ];
    assert_eq!(told.lines().filter(|line| *line != "done").collect::<Vec<_>>(), codes);
    let peak = status(&exporter, "VmHWM");
    assert!(peak.saturating_sub(idle) <= MOST_BYTES_OF_CALLS, "{idle} bytes idle, {peak} at the peak");
}
