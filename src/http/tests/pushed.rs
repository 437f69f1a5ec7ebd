//! What is pushed: from whom it is taken, in which form, and up to which size.

use super::*;

#[test]
fn samples_are_taken_in_from_this_machine_alone_and_only_what_is_whole() {
    let server = Server::start(&ListenOptions::default());
    let json = "application/json; charset=utf-8";
    let sample = |area: &str| format!(r#"{{"target":"a","area":"{area}","bytes":1}}"#);
    for (headers, expected) in [
        (with_body(json, &sample("x")), &["200 OK", "{\"taken\":1}"] as &[&str]),
        (with_body(json, &format!("[{},{}]", sample("x"), sample("y"))), &["200 OK", "{\"taken\":2}"]),
        (with_body(json, "{}"), &["400 Bad Request", "problem+json", "missing field `target`"]),
        (with_body("text/plain", &sample("x")), &["415 Unsupported", "application/json"]),
        (format!("Content-Encoding: br\r\n{}", with_body(json, "x")), &["415 Unsupported", "gzip"]),
        (format!("Content-Encoding: gzip\r\n{}", with_body(json, "x")), &["400 Bad", "not gzip"]),
        (format!("Forwarded: for=192.0.2.7\r\n{}", with_body(json, &sample("x"))), &["403 Forbidden"]),
        (
            format!("Origin: http://evil.example\r\n{}", with_body(json, &sample("x"))),
            &["403", "another origin"],
        ),
    ] {
        server.check("POST /api/v1/samples", &headers, expected);
    }
    let too_long = "Content-Type: application/json\r\nContent-Length: 1048577\r\n";
    server.check("POST /api/v1/samples", too_long, &["413 Payload", "1024 KiB"]);
    server.check("GET /api/v1/samples", "", &["405 Method Not Allowed", "allow: POST\r\n"]);
    let many: Vec<String> = ["p", "q", "r"].into_iter().map(sample).collect();
    let full = &["429 Too Many", "room for 1 of 3", "push.areas", "retry-after"];
    server.check("POST /api/v1/samples", &with_body(json, &format!("[{}]", many.join(","))), full);
    server.check("POST /v1/metrics", &with_body("text/plain", "{}"), &["415 Unsupported", "x-protobuf"]);
    server.check("POST /v1/metrics", &with_body("application/x-protobuf", "\u{1}"), &["400 Bad Request"]);
    server.check("POST /v1/metrics", &with_body("application/x-protobuf", ""), &["200 OK"]);
    let counted = server.pages.counted.lock().unwrap();
    for expected in [("push", 200), ("push", 400), ("push", 413), ("push", 429), ("otlp", 200)] {
        assert!(counted.contains(&expected), "{expected:?} in {counted:?}");
    }
}

#[test]
fn who_holds_the_seats_of_those_who_push_keeps_nobody_from_reading() {
    let server = Server::start(&ListenOptions::default());
    let json = "Content-Type: application/json\r\n";
    let slow: Vec<TcpStream> = std::iter::repeat_with(|| server.connect()).take(16).collect();
    for mut stream in &slow {
        let head =
            format!("POST /api/v1/samples HTTP/1.1\r\nHost: localhost\r\n{json}Content-Length: 9\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
    }
    // Until all of them were heard there is still a seat now and then.
    let ask = || server.ask("POST /api/v1/samples", &with_body("application/json", "[]"));
    let comes = |part: &str| (0..1_000).any(|_| ask().contains(part));
    assert!(comes("503 Service Unavailable"), "no seat is missing");
    let too_long_to_be_thrown_away = format!("{json}Content-Length: 100000\r\n");
    let busy = &["503 Service Unavailable", "retry-after: 1\r\n", "connection: close\r\n"];
    server.check("POST /api/v1/samples", &too_long_to_be_thrown_away, busy);
    server.check("GET /metrics", "", &["200 OK"]);
    drop(slow);
    assert!(comes("200 OK"), "no seat is given back");
}

#[test]
fn a_packed_body_is_unpacked_to_a_bound() {
    let server = Server::start(&ListenOptions::default());
    let packed = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let ask = |body: &[u8]| {
        let mut stream = server.connect();
        let head = format!(
            "POST /api/v1/samples HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask(&packed(r#"{"target":"a","area":"x","bytes":1}"#)).contains("200 OK"));
    let bomb = packed(&" ".repeat(64 << 20));
    assert!(bomb.len() < 1 << 20, "it arrives");
    assert!(ask(&bomb).contains("413 Payload"));
}
