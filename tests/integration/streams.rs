//! The live stream of the real binary: many clients, some of which never read.

use crate::{
    exporter::{Exporter, Scratch},
    exposition::Scrape,
};
use serde_json::Value;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};
use tokio_tungstenite::tungstenite::{WebSocket, protocol::Role};

const PATIENCE: Duration = Duration::from_secs(120);
const READERS: u32 = 180;
const DEAF: u32 = 20;
/// Threads that read, each for its share of the clients in turn.
const HANDS: u32 = 4;
const TICKS: u32 = 20;
const INTERVAL_SECS: f64 = 0.5;
/// What 200 clients may cost: their buffers and the last ticks, which they share.
const MOST_GROWN_BYTES: f64 = 40e6;

fn listen(exporter: &Exporter) -> WebSocket<TcpStream> {
    let mut stream = TcpStream::connect(exporter.address()).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let head = format!(
        "GET /api/v1/stream HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        exporter.address()
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    WebSocket::from_raw_socket(stream, Role::Client, None)
}

/// The number of the tick that the next `snapshot` is about.
fn next_tick(socket: &mut WebSocket<TcpStream>) -> u64 {
    loop {
        let message = socket.read().expect("a message");
        let text = message.to_text().expect("text");
        if text.starts_with("{\"type\":\"snapshot\"") {
            let snapshot: Value = serde_json::from_str(text).expect("JSON");
            return snapshot["tick"].as_u64().expect("a number");
        }
    }
}

/// Reads for all of these clients in turn until told to end; each was told rising ticks, and of as many as are wanted.
fn read_all(mut sockets: Vec<WebSocket<TcpStream>>, may_end: &AtomicBool) {
    let mut told: Vec<Vec<u64>> = vec![Vec::new(); sockets.len()];
    while !may_end.load(Ordering::Relaxed) {
        for (socket, told) in sockets.iter_mut().zip(&mut told) {
            told.push(next_tick(socket));
        }
    }
    for told in told {
        assert!(told.is_sorted_by(|one, next| one < next), "{told:?}");
        assert!(told.len() >= TICKS as usize, "only {} ticks were told", told.len());
    }
}

fn mean_secs(scrape: &Scrape, histogram: &str) -> f64 {
    let of = |suffix: &str| scrape.value(&format!("{histogram}_{suffix}"), &[]).expect("told");
    of("sum") / of("count")
}

#[test]
fn two_hundred_clients_of_which_twenty_never_read_hold_up_no_tick() {
    let scratch = Scratch::new("streams");
    let configuration = format!("sampling: {{interval: {}ms}}\n", INTERVAL_SECS * 1e3);
    let exporter = Exporter::start_configured(&scratch, &configuration, &[]);
    exporter.scrape_until("its first ticks", PATIENCE, |scrape| {
        scrape.value("memleak_exporter_ticks_total", &[]).filter(|ticks| *ticks >= 5.0)
    });
    let resident = |scrape: &Scrape| scrape.value("process_resident_memory_bytes", &[]).expect("told");
    let before = exporter.scrape();
    let deaf: Vec<_> = (0..DEAF).map(|_| listen(&exporter)).collect();
    let mut sockets: Vec<_> = (0..READERS).map(|_| listen(&exporter)).collect();
    let may_end = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..HANDS {
            let share = sockets.split_off(sockets.len() - (READERS / HANDS) as usize);
            let may_end = &may_end;
            scope.spawn(move || read_all(share, may_end));
        }
        let first = exporter.ticks();
        let dropped = |scrape: &Scrape| -> f64 {
            let of = |reason| scrape.value("memleak_exporter_streams_dropped_total", &[("reason", reason)]);
            of("slow").unwrap_or(0.0) + of("silent").unwrap_or(0.0)
        };
        exporter.scrape_until("those who never read to be let go", PATIENCE, |scrape| {
            let ticks = scrape.value("memleak_exporter_ticks_total", &[])? - first;
            (dropped(scrape) >= f64::from(DEAF) && ticks > 2.0 * f64::from(TICKS)).then_some(())
        });
        let after = exporter.scrape();
        let listening = after.value("memleak_exporter_streams", &[]);
        let grown = resident(&after) - resident(&before);
        let judging = mean_secs(&after, "memleak_exporter_detect_duration_seconds");
        may_end.store(true, Ordering::Relaxed);
        assert_eq!((listening, dropped(&after)), (Some(f64::from(READERS)), f64::from(DEAF)));
        assert!(grown < MOST_GROWN_BYTES, "{grown} bytes more");
        assert!(judging < INTERVAL_SECS / 2.0, "{judging} s");
    });
    drop(deaf);
}
