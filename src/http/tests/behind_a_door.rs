//! What a client sees where there is a web file: TLS, users, the rate of requests, headers, and a file that changes.

use super::*;
use crate::web::{ClientPolicy, Rate, Reading, Tls, Web};
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, STRICT_TRANSPORT_SECURITY, X_FRAME_OPTIONS};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, crypto::ring};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

/// `alice:right`, as basic authentication sends it.
const RIGHT: &str = "Authorization: Basic YWxpY2U6cmlnaHQ=\r\n";
/// `alice:wrong`.
const WRONG: &str = "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n";
/// `nobody:right`.
const UNKNOWN: &str = "Authorization: Basic bm9ib2R5OnJpZ2h0\r\n";
const FROM_AFAR: &str = "X-Forwarded-For: 192.0.2.7\r\n";

fn users(password: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("alice".into(), bcrypt::hash(password, 4).unwrap())])
}

fn with_users() -> Web {
    Web { users: users("right"), ..Web::default() }
}

fn with_tls() -> Web {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = signing_key.serialize_der().try_into().unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    Web { tls: Some(Tls { server: Arc::new(server), clients: ClientPolicy::default() }), ..Web::default() }
}

/// A file whose meaning the test decides, and what was noted of its readings.
#[derive(Clone)]
struct WebFile {
    path: PathBuf,
    meaning: Arc<Mutex<Result<Web, String>>>,
    noted: Arc<Mutex<Vec<bool>>>,
    version: Arc<Mutex<usize>>,
}

impl WebFile {
    fn new(name: &str, web: Web) -> Self {
        let path = std::env::temp_dir().join(format!("memleak-door-{name}-{}", std::process::id()));
        let file = Self {
            path,
            meaning: Arc::new(Mutex::new(Ok(Web::default()))),
            noted: Arc::default(),
            version: Arc::default(),
        };
        file.becomes(Ok(web));
        file
    }

    /// Another content, and so another size.
    fn becomes(&self, meaning: Result<Web, String>) {
        *self.meaning.lock().unwrap() = meaning;
        let mut version = self.version.lock().unwrap();
        *version += 1;
        fs::write(&self.path, "x".repeat(*version)).unwrap();
    }

    fn door(&self) -> Door {
        let (file, noted) = (self.clone(), Arc::clone(&self.noted));
        let read =
            move || Reading { web: file.meaning.lock().unwrap().clone(), files: vec![file.path.clone()] };
        Door::new(Arc::new(read), Box::new(move |good| noted.lock().unwrap().push(good))).unwrap()
    }

    fn serve(&self) -> Server {
        self.serve_with(&ListenOptions::default())
    }

    fn serve_with(&self, options: &ListenOptions) -> Server {
        let shown = Shown { tick: 1, body: "a 1\n".into(), ..Shown::default() };
        Server::start_behind(self.door(), options, Limits::default(), shown)
    }
}

impl Drop for WebFile {
    fn drop(&mut self) {
        // The last of its clones.
        if Arc::strong_count(&self.version) == 1 {
            let _left_behind = fs::remove_file(&self.path);
        }
    }
}

#[test]
fn where_there_are_users_every_request_needs_one() {
    let file = WebFile::new("users", with_users());
    let server = file.serve();
    for path in ["/metrics", "/-/healthy", "/-/ready", "/", "/nothing"] {
        for who in ["", WRONG, UNKNOWN, "Authorization: Bearer x\r\n"] {
            server.check(
                &format!("GET {path}"),
                who,
                &["401 Unauthorized", "www-authenticate: Basic realm="],
            );
        }
    }
    server.check("GET /metrics", RIGHT, &["200 OK", "a 1\n"]);
    // Twice, because the second time it is remembered.
    for _ in 0..2 {
        server.check("GET /", &format!("{RIGHT}{FROM_AFAR}"), &["200 OK", "<!doctype html>"]);
    }
    server.check("POST /-/reload", &format!("{RIGHT}{FROM_AFAR}"), &["403 Forbidden", "Only this machine"]);
    let sample = with_body("application/json", r#"{"target":"a","area":"x","bytes":1}"#);
    let push = |who: &str, expected: &[&str]| {
        server.check("POST /api/v1/samples", &format!("{who}{FROM_AFAR}{sample}"), expected);
    };
    push(RIGHT, &["200 OK", "{\"taken\":1}"]);
    push(
        &format!("{RIGHT}Origin: https://evil.example\r\n"),
        &["403 Forbidden", "Only this machine may push"],
    );
    push(WRONG, &["401", "www-authenticate: Basic", "application/problem+json", "connection: close"]);
    let body = format!("{WRONG}Content-Length: 60000\r\n");
    server.check("POST /metrics", &body, &["401 Unauthorized", "connection: close"]);
    assert!(server.pages.counted.lock().unwrap().contains(&("metrics", 401)));
}

#[test]
fn where_the_file_says_who_may_change_something_nobody_else_does() {
    let web = Web { changers: BTreeSet::from(["alice".to_owned()]), ..with_users() };
    let file = WebFile::new("changers", web);
    let server = file.serve_with(&ListenOptions { enable_lifecycle: true, ..ListenOptions::default() });
    let body = with_body("application/json", "");
    let change = |headers: &str, expected: &str| {
        server.check("POST /api/v1/sample", &format!("{RIGHT}{headers}{body}"), &[expected]);
    };
    change(FROM_AFAR, "200 OK");
    let reload = |expected: &[&str]| server.check("POST /-/reload", &format!("{RIGHT}{FROM_AFAR}"), expected);
    reload(&["200 OK", "was reloaded"]);
    change("Origin: https://evil.example\r\n", "403 Forbidden");
    let others = BTreeSet::from(["bob".to_owned()]);
    let mut both = with_users();
    both.users.insert("bob".into(), bcrypt::hash("b", 4).unwrap());
    file.becomes(Ok(Web { changers: others, ..both }));
    change("", "This user may not change anything");
    reload(&["403 Forbidden", "This user may not change anything"]);
    // A file that names nobody any more is only half written.
    file.becomes(Ok(with_users()));
    change("", "This user may not change anything");
}

#[test]
fn requests_over_the_rate_are_told_to_wait_before_anyone_is_asked_who_he_is() {
    let rate = Some(Rate { interval: Duration::from_secs(3600), burst: 2 });
    let file = WebFile::new("rate", Web { rate, ..with_users() });
    let server = file.serve();
    server.check("GET /metrics", RIGHT, &["200 OK"]);
    server.check("GET /metrics", "", &["401 Unauthorized"]);
    for who in [RIGHT, WRONG, ""] {
        server.check("GET /-/healthy", who, &["429 Too Many Requests", "retry-after: 1", "rate_limit"]);
    }
}

#[test]
fn headers_of_the_file_are_on_each_answer_and_stand_before_those_of_the_page() {
    let headers = vec![
        (X_FRAME_OPTIONS, HeaderValue::from_static("sameorigin")),
        (STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=1")),
    ];
    let file = WebFile::new("headers", Web { headers, ..with_users() });
    let server = file.serve();
    let expected = ["x-frame-options: sameorigin\r\n", "strict-transport-security: max-age=1\r\n"];
    for who in [RIGHT, ""] {
        server.check("GET /", who, &expected);
    }
    assert!(!server.ask("GET /", RIGHT).contains("DENY"));
}

#[test]
fn a_policy_of_the_file_says_who_may_frame_the_widget() {
    let policy = "default-src 'none'; script-src 'self'; frame-ancestors https://intranet.example";
    let headers = vec![(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))];
    let file = WebFile::new("frames", Web { headers, ..Web::default() });
    let server = file.serve();
    for line in ["GET /widget", "GET /"] {
        server.check(line, "", &["200 OK", &format!("content-security-policy: {policy}\r\n")]);
        assert_eq!(server.ask(line, "").matches("frame-ancestors").count(), 1, "{line}: one policy, not two");
    }
}

#[test]
fn a_changed_file_is_in_force_at_the_next_request_unless_it_is_bad_or_opens_what_was_closed() {
    let file = WebFile::new("changes", with_users());
    let server = file.serve();
    server.check("GET /metrics", RIGHT, &["200 OK"]);
    file.becomes(Ok(Web { users: users("wrong"), ..Web::default() }));
    server.check("GET /metrics", RIGHT, &["401 Unauthorized"]);
    server.check("GET /metrics", WRONG, &["200 OK"]);
    file.becomes(Err(String::from("line 1: no")));
    for _ in 0..3 {
        server.check("GET /metrics", WRONG, &["200 OK"]);
    }
    file.becomes(Ok(Web::default()));
    server.check("GET /metrics", "", &["401 Unauthorized"]);
    file.becomes(Ok(with_users()));
    server.check("GET /metrics", RIGHT, &["200 OK"]);
    assert_eq!(*file.noted.lock().unwrap(), [true, true, false, false, true], "each file once");
}

#[test]
fn a_client_that_does_not_shake_hands_is_let_go() {
    let file = WebFile::new("silent", with_tls());
    let patience =
        patience::Patience { request: Duration::from_millis(300), ..patience::Patience::default() };
    let shown = Shown { tick: 1, ..Shown::default() };
    let server = Server::start_behind(file.door(), &ListenOptions::default(), quick(patience), shown);
    let (mut silent, mut slow, mut plain) = (server.connect(), server.connect(), server.connect());
    // The first five bytes of a handshake's first record, which promise more.
    slow.write_all(&[22, 3, 1, 2, 0]).unwrap();
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    for stream in [&mut silent, &mut slow, &mut plain] {
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(!rest.starts_with(b"HTTP"), "{rest:?}");
    }
}

#[test]
fn where_all_connections_are_taken_unfinished_handshakes_make_room() {
    let file = WebFile::new("room", with_tls());
    let limits = Limits { connections: 2, ..Limits::default() };
    let mut server = Server::start_behind(file.door(), &ListenOptions::default(), limits, Shown::default());
    let mut silent: Vec<TcpStream> = (0..3).map(|_| server.connect()).collect();
    // Long before its time is over.
    assert_eq!(silent[0].read(&mut [0]).unwrap(), 0);
    server.stop();
}
