//! Conversations over real sockets: what a client sees, rude ones included.

mod behind_a_door;
mod changes;
mod pushed;
mod streams;

use super::{serve::Limits, *};
use crate::snapshot::Snapshot;
use hyper::body::Bytes;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Longer than any test may take: a hang becomes a failure.
const HANG: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Shown {
    tick: u64,
    body: Bytes,
    counted: Mutex<Vec<(&'static str, u16)>>,
    ticks: watch::Sender<u64>,
    ended: Mutex<Vec<StreamEnd>>,
    selected: Mutex<Vec<Selection>>,
}

impl Pages for Shown {
    fn scrape(&self, wanted: &Wanted) -> Scrape {
        self.selected.lock().unwrap().push(wanted.selection.clone());
        let gzip = wanted.accept_encoding.as_deref().is_some_and(|accepted| accepted.contains("gzip"));
        Scrape { body: self.body.clone(), content_type: String::from("text/plain; version=0.0.4"), gzip }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot { tick: self.tick.max(*self.ticks.borrow()), ..Snapshot::default() })
    }

    fn collectors(&self) -> &[&'static str] {
        &["process"]
    }

    fn ask(&self, question: Question) -> bool {
        match question.what {
            What::Sample(reply) => reply.send((self.tick == 1).then_some(2)).is_ok(),
            What::Forget(_, reply) => reply.send(3).is_ok(),
            What::Past(areas, reply) => reply.send(vec![Past::default(); areas.len()]).is_ok(),
        }
    }

    fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    fn stream_opened(&self) {}

    fn stream_ended(&self, end: StreamEnd) {
        self.ended.lock().unwrap().push(end);
    }

    fn count_request(&self, handler: &'static str, code: u16) {
        self.counted.lock().unwrap().push((handler, code));
    }
}

fn open_inbox() -> Arc<Inbox> {
    let inbox = Inbox::default();
    inbox.open(crate::inbox::Terms { areas_max: 3, metrics: Vec::new() });
    Arc::new(inbox)
}

/// A running server; it stops and is joined when dropped.
struct Server {
    address: SocketAddr,
    pages: Arc<Shown>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected once the server has ended.
    ended: Receiver<()>,
}

impl Server {
    fn start(options: &ListenOptions) -> Self {
        Self::start_with(
            options,
            Limits::default(),
            Shown { tick: 1, body: "a 1\n".into(), ..Shown::default() },
        )
    }

    fn start_with(options: &ListenOptions, limits: Limits, shown: Shown) -> Self {
        Self::start_behind(Door::default(), options, limits, shown)
    }

    fn start_behind(door: Door, options: &ListenOptions, limits: Limits, shown: Shown) -> Self {
        let options = ListenOptions { addresses: vec!["127.0.0.1:0".into()], ..options.clone() };
        let bound = Bound { limits, ..bind(&options).unwrap() }.behind(door);
        let address = bound.local_addresses()[0];
        let (pages, (stop, stopped)) = (Arc::new(shown), oneshot::channel::<()>());
        let (shown, watched) = (Arc::clone(&pages), Arc::downgrade(&pages));
        let (ending, ended) = channel();
        let thread = std::thread::spawn(move || {
            let _ending = ending;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (reload, mut asked) = mpsc::channel::<ReloadRequest>(4);
                tokio::spawn(async move {
                    let mut outcomes = vec![Err("line 3: no such key".to_owned()), Ok(())];
                    while let Some(request) = asked.recv().await {
                        if let Some(outcome) = outcomes.pop() {
                            request.reply.send(outcome).unwrap();
                        }
                    }
                });
                let state = State { pages: shown, inbox: open_inbox(), reload, first_verdict_samples: 24 };
                bound.serve(state, async { drop(stopped.await) }).await.unwrap();
                assert_eq!(
                    watched.strong_count(),
                    1,
                    "no connection outlives the server, only the test's share"
                );
            });
        });
        Self { address, pages, stop: Some(stop), thread: Some(thread), ended }
    }

    /// Tells the server to stop and waits until it has.
    fn stop(&mut self) {
        drop(self.stop.take());
        assert_eq!(self.ended.recv_timeout(HANG), Err(RecvTimeoutError::Disconnected), "the server goes on");
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream
    }

    /// Sends a whole request and reads until the server ends the connection.
    fn ask(&self, request_line: &str, headers: &str) -> String {
        let mut stream = self.connect();
        // In one piece: the server may refuse the first line and close before the rest is written.
        let request =
            format!("{request_line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn check(&self, request_line: &str, headers: &str, expected: &[&str]) {
        let answer = self.ask(request_line, headers);
        for part in expected {
            assert!(answer.contains(part), "{request_line}: {part:?} is missing in {answer}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
            self.thread.take().unwrap().join().expect("the server panicked");
        }
    }
}

/// Reads one answer with a length and leaves the connection open.
fn read_answer(reader: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the connection ended after {head:?}");
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn quick(patience: patience::Patience) -> Limits {
    Limits { patience, ..Limits::default() }
}

#[test]
fn every_route_answers_with_its_status_and_type() {
    let server = Server::start(&ListenOptions::default());
    for (line, expected) in [
        ("GET /metrics", &["200 OK", "version=0.0.4", "content-length: 4\r\n", "\r\n\r\na 1\n"] as &[&str]),
        ("GET /-/healthy", &["200 OK", "text/plain", "healthy."]),
        ("GET /-/ready", &["200 OK", "ready."]),
        (
            "GET /",
            &["200 OK", "text/html", "default-src 'none'", "no-referrer", "nosniff", "<!doctype html>"],
        ),
        ("GET /widget", &["200 OK", "text/html", "frame-ancestors *", "No verdict yet"]),
        ("GET /static/page.css", &["404 Not Found"]),
        ("GET /nothing", &["404 Not Found"]),
        ("GET /%zz%", &["404 Not Found"]),
        ("POST /metrics", &["405 Method Not Allowed", "allow: GET, HEAD\r\n"]),
        ("GET /-/reload", &["405 Method Not Allowed", "allow: POST, PUT\r\n"]),
        ("POST /-/reload", &["403 Forbidden", "--web.enable-lifecycle"]),
        ("GET metrics", &["403 Forbidden"]),
        ("G<T /metrics", &["400 Bad Request"]),
    ] {
        server.check(line, "", expected);
    }
    let counted = server.pages.counted.lock().unwrap();
    for expected in [("metrics", 200), ("page", 200), ("other", 404), ("metrics", 405), ("reload", 403)] {
        assert!(counted.contains(&expected), "{expected:?} in {counted:?}");
    }
}

/// A body as it goes on the wire, with its headers.
fn with_body(content_type: &str, body: &str) -> String {
    // The empty line after the headers is the test's; what `ask` adds behind is not read.
    format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn the_api_answers_in_json_whatever_is_asked() {
    let server = Server::start(&ListenOptions::default());
    let problem = "content-type: application/problem+json\r\n";
    for (line, headers, expected) in [
        ("GET /api/v1/status", "", &["200 OK", "application/json\r\n", "no-store", "\"tick\":1,"] as &[&str]),
        ("GET /api/v1/openapi.json", "", &["200 OK", "\"openapi\":\"3.1.0\""]),
        ("GET /api/v1/report?format=html", "", &["200 OK", "text/html", "frame-ancestors 'none'", "nosniff"]),
        ("GET /api/v1/areas?x", "", &["400 Bad", problem, "\"instance\":\"/api/v1/areas\""]),
        ("GET /api/v1/nothing", "", &["404 Not Found", problem, "openapi.json"]),
        ("POST /api/v1/nothing", "", &["404 Not Found", problem]),
        ("DELETE /api/v1/status", "", &["405 Method", "allow: GET, HEAD\r\n", problem]),
        ("GET /api/v1/status", "Via: 1.1 edge\r\n", &["403 Forbidden", problem, "--web.remote-read"]),
    ] {
        server.check(line, headers, expected);
    }
    assert!(server.pages.counted.lock().unwrap().contains(&("api", 405)));
    let options =
        ListenOptions { external_url: Some("http://a.example/leaks".into()), ..ListenOptions::default() };
    let behind = Server::start(&options);
    behind.check("GET /leaks/api/v1/openapi.json", "", &["200 OK", "\"url\":\"/leaks/api/v1\""]);
    behind.check("GET /leaks/api/v1/areas/0123456789abcdef", "", &["404 Not Found", "no area with the id"]);
    behind.check("GET /api/v1/status", "", &["404 Not Found", "text/plain"]);
}

#[test]
fn head_has_the_length_and_no_body() {
    let server = Server::start(&ListenOptions::default());
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/nothing", "/api/v1/status"] {
        let answer = server.ask(&format!("HEAD {path}"), "");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let full = server.ask(&format!("GET {path}"), "");
        let length = full.split_once("\r\n\r\n").unwrap().1.len();
        assert_eq!(body, "", "{path}");
        assert!(length > 0 && head.contains(&format!("content-length: {length}")), "{path}: {head}");
    }
}

#[test]
fn a_scrape_is_negotiated_and_selected() {
    let server = Server::start(&ListenOptions::default());
    server.check("GET /metrics", "", &["vary: Accept, Accept-Encoding\r\n"]);
    assert!(!server.ask("GET /metrics", "").contains("content-encoding"));
    server.check(
        "GET /metrics",
        "Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n",
        &["content-encoding: gzip"],
    );
    server.check("GET /metrics?collect%5B%5D=process", "", &["200 OK"]);
    server.check("GET /metrics?collect[]=disk", "", &["400 Bad", "known: process"]);
    server.check("GET /metrics?collect[]=process&exclude[]=process", "", &["400 Bad", "used together"]);
    server.check("GET /metrics?collect[]=%zz", "", &["400 Bad", "percent-encoding"]);
    let selected = server.pages.selected.lock().unwrap();
    let process = Selection::Only(vec!["process"]);
    assert_eq!(*selected, [Selection::All, Selection::All, Selection::All, process]);
}

#[test]
fn it_is_not_ready_before_the_first_tick() {
    let server = Server::start_with(&ListenOptions::default(), Limits::default(), Shown::default());
    server.check("GET /-/ready", "", &["503 Service Unavailable", "retry-after: 1", "not ready"]);
    server.check("GET /-/healthy", "", &["200 OK"]);
}

#[test]
fn a_reload_is_passed_on_and_its_outcome_comes_back() {
    let options = ListenOptions { enable_lifecycle: true, ..ListenOptions::default() };
    let server = Server::start(&options);
    server.check("POST /-/reload", "Content-Length: 0\r\n", &["200 OK", "was reloaded"]);
    server.check("PUT /-/reload", "", &["500 Internal", "line 3: no such key"]);
    server.check("POST /-/reload", "Origin: http://evil.example\r\n", &["403 Forbidden", "origin"]);
    // There is no third outcome, so the question is dropped.
    server.check("POST /-/reload", "", &["500 Internal", "without an outcome"]);
}

#[test]
fn the_files_of_the_page_are_kept_for_ever_and_are_where_the_page_says() {
    let server = Server::start(&ListenOptions::default());
    let page = server.ask("GET /", "");
    let paths: Vec<&str> = page.split('"').filter(|part| part.starts_with("/static/")).collect();
    assert!(paths.len() >= 6, "{paths:?}");
    for path in paths {
        server.check(&format!("GET {path}"), "", &["200 OK", "immutable", "charset=utf-8"]);
        server.check(
            &format!("HEAD {path}"),
            "Accept-Encoding: gzip\r\n",
            &["200 OK", "content-encoding: gzip"],
        );
    }
}

#[test]
fn a_prefix_moves_all_routes() {
    let options = ListenOptions {
        external_url: Some("http://a.example/leaks".into()),
        telemetry_path: "/own".into(),
        ..ListenOptions::default()
    };
    let server = Server::start(&options);
    for path in ["/leaks/own", "/leaks/-/healthy", "/leaks/", "/leaks", "/leaks/widget"] {
        server.check(&format!("GET {path}"), "", &["200 OK"]);
    }
    for path in ["/metrics", "/own", "/", "/-/healthy", "/leaks/metrics", "/leaksown"] {
        server.check(&format!("GET {path}"), "", &["404 Not Found"]);
    }
}

#[test]
fn a_stranger_gets_the_metrics_and_nothing_else() {
    let server = Server::start(&ListenOptions { enable_lifecycle: true, ..ListenOptions::default() });
    let forwarded = "X-Forwarded-For: 192.0.2.7\r\n";
    for path in ["/metrics", "/-/healthy", "/-/ready"] {
        server.check(&format!("GET {path}"), forwarded, &["200 OK"]);
    }
    for path in ["/", "/widget", "/static/page.css", "/nothing"] {
        server.check(&format!("GET {path}"), forwarded, &["403 Forbidden", "--web.remote-read"]);
    }
    server.check("POST /-/reload", forwarded, &["403 Forbidden", "Only this machine"]);
    server.check("GET http://evil.example/", "", &["403 Forbidden", "not known by the name"]);
    let reading = Server::start(&ListenOptions { remote_read: true, ..ListenOptions::default() });
    reading.check("GET /", forwarded, &["200 OK"]);
}

#[test]
fn too_large_requests_are_refused() {
    let server = Server::start(&ListenOptions::default());
    server.check("POST /metrics", "Content-Length: 65537\r\n", &["413 Payload", "64 KiB"]);
    let mut long = server.connect();
    // One byte over the limit, all of which is read, so that no reset overtakes the answer.
    let start = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Padding: ";
    let head = format!("{start}{}", "x".repeat(16 * 1024 + 1 - start.len()));
    long.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    long.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let mut chunked = server.connect();
    write!(chunked, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    write!(chunked, "{chunk}{chunk}1\r\nx\r\n").unwrap();
    let answer = read_answer(&mut BufReader::new(chunked));
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(*server.pages.counted.lock().unwrap(), [("metrics", 413), ("metrics", 413)]);
}

#[test]
fn a_small_body_is_thrown_away_and_the_connection_kept() {
    let server = Server::start(&ListenOptions::default());
    let mut stream = server.connect();
    let body = "x".repeat(60_000);
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    assert!(read_answer(&mut reader).ends_with("a 1\n"));
    assert!(read_answer(&mut reader).contains("healthy"));
}

/// A server with two seats and answers larger than the kernel's buffers on both sides, and two clients that asked for
/// one and do not take it in.
fn with_deaf_clients(patience: patience::Patience) -> (Server, Vec<TcpStream>) {
    let options = ListenOptions { max_requests: 2, ..ListenOptions::default() };
    let shown = Shown { tick: 1, body: vec![b'x'; 64 << 20].into(), ..Shown::default() };
    let server = Server::start_with(&options, quick(patience), shown);
    let mut deaf: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    for stream in &mut deaf {
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        // The first byte has come, so the answer is under way and has its seat.
        stream.read_exact(&mut [0]).unwrap();
    }
    (server, deaf)
}

#[test]
fn too_many_requests_at_once_are_told_to_come_again() {
    let (server, deaf) = with_deaf_clients(patience::Patience::default());
    server.check(
        "GET /metrics",
        "",
        &["503 Service Unavailable", "retry-after: 1\r\n", "--web.max-requests"],
    );
    server.check("GET /-/healthy", "", &["200 OK"]);
    drop(deaf);
    await_seat(&server);
}

#[test]
fn an_idle_connection_holds_no_seat() {
    let server = Server::start(&ListenOptions { max_requests: 1, ..ListenOptions::default() });
    let mut idle = server.connect();
    write!(idle, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_answer(&mut BufReader::new(idle.try_clone().unwrap()));
    await_seat(&server);
}

#[test]
fn who_does_not_take_in_its_answer_loses_its_seat() {
    let patience = patience::Patience { answer: Duration::from_millis(100), ..patience::Patience::default() };
    let (server, mut deaf) = with_deaf_clients(patience);
    await_seat(&server);
    // The connections are over: what the kernel still holds is less than the answer.
    for stream in &mut deaf {
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(rest.len() < 64 << 20);
    }
}

/// Asks until a seat is free again.
fn await_seat(server: &Server) {
    let mut stream = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..1_000_000 {
        write!(stream, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the connection ended after {head:?}");
        }
        if head.starts_with("HTTP/1.1 200") {
            return;
        }
    }
    panic!("no seat was given back");
}

#[test]
fn a_slow_head_ends_its_connection_and_no_other() {
    let patience = patience::Patience { request: Duration::from_secs(1), ..patience::Patience::default() };
    let server = Server::start_with(
        &ListenOptions::default(),
        quick(patience),
        Shown { tick: 1, body: "a 1\n".into(), ..Shown::default() },
    );
    let (mut slow, mut silent, mut bodiless) = (server.connect(), server.connect(), server.connect());
    write!(slow, "GET /metrics HTTP/1.1\r\nHost: ").unwrap();
    write!(bodiless, "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx").unwrap();
    server.check("GET /metrics", "", &["200 OK"]);
    let mut rest = Vec::new();
    assert_eq!(slow.read_to_end(&mut rest).unwrap(), 0, "{rest:?}");
    assert_eq!(silent.read_to_end(&mut rest).unwrap(), 0, "{rest:?}");
    let answer = read_answer(&mut BufReader::new(bodiless));
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    server.check("GET /metrics", "", &["200 OK"]);
}

#[test]
fn an_idle_connection_lives_longer_than_a_slow_head() {
    let patience = patience::Patience { request: Duration::from_secs(1), ..patience::Patience::default() };
    let server = Server::start_with(
        &ListenOptions::default(),
        quick(patience),
        Shown { tick: 1, body: "a 1\n".into(), ..Shown::default() },
    );
    let mut stream = server.connect();
    let mut silent = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_answer(&mut reader);
    // The silent one is dropped after that time, so the idle one was idle for as long.
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_answer(&mut reader);
}

#[test]
fn an_idle_connection_ends_after_its_time() {
    let patience = patience::Patience { idle: Duration::from_millis(50), ..patience::Patience::default() };
    let server = Server::start_with(
        &ListenOptions::default(),
        quick(patience),
        Shown { tick: 1, body: "a 1\n".into(), ..Shown::default() },
    );
    let mut stream = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_answer(&mut reader);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn where_all_connections_are_taken_idle_ones_make_room() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let shown = Shown { tick: 1, body: "a 1\n".into(), ..Shown::default() };
    let server = Server::start_with(&ListenOptions::default(), limits, shown);
    let mut idle: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    for stream in &mut idle {
        write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        read_answer(&mut BufReader::new(stream.try_clone().unwrap()));
    }
    server.check("GET /metrics", "", &["200 OK"]);
}

#[test]
fn stopping_ends_idle_connections_and_cuts_off_stuck_ones() {
    let patience = patience::Patience { answer: HANG * 9, ..patience::Patience::default() };
    let limits = Limits { farewell: Duration::from_millis(50), ..quick(patience) };
    let shown = Shown { tick: 1, body: vec![b'x'; 64 << 20].into(), ..Shown::default() };
    let mut server = Server::start_with(&ListenOptions::default(), limits, shown);
    let (mut idle, mut stuck) = (server.connect(), server.connect());
    write!(idle, "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_answer(&mut BufReader::new(idle.try_clone().unwrap()));
    write!(stuck, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stuck.read_exact(&mut [0]).unwrap();
    server.stop();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn stopping_lets_a_running_answer_end() {
    let size = 64 << 20;
    let shown = Shown { tick: 1, body: vec![b'x'; size].into(), ..Shown::default() };
    let limits = Limits { farewell: HANG, ..Limits::default() };
    let mut server = Server::start_with(&ListenOptions::default(), limits, shown);
    let mut stream = server.connect();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    drop(server.stop.take());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.len() > size, "{} bytes", rest.len());
}
