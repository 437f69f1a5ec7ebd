//! A client that pushes as hard as it can, with bodies made to be large in memory: what the exporter takes stays bounded,
//! and who pushes as one should is served meanwhile.

use crate::{exporter::Exporter, process::pause};
use std::{thread, time::Duration};

/// What the exporter may take beyond what it has idle.
const MOST_BYTES: u64 = 40_000_000;
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
