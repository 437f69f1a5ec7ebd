//! What changes something, over real sockets: by whom, in which form, and what comes of it.

use super::*;
use serde_json::Value;

const PROBLEM: &str = "content-type: application/problem+json\r\n";

fn json(body: &str) -> String {
    with_body("application/json", body)
}

#[test]
fn only_a_whole_request_of_who_may_changes_something() {
    let server = Server::start(&ListenOptions::default());
    for (line, headers, expected) in [
        ("POST /api/v1/sample", json(""), &["200 OK", "{\"tick\":2}", "no-store"] as &[&str]),
        ("POST /api/v1/sample", json("{}"), &["200 OK"]),
        ("POST /api/v1/sample", json("{\"x\":1}"), &["400 Bad Request", PROBLEM, "unknown field"]),
        ("POST /api/v1/sample", json("[]"), &["400 Bad Request", "no JSON object"]),
        ("POST /api/v1/sample", String::new(), &["415 Unsupported", PROBLEM]),
        ("POST /api/v1/sample", with_body("text/plain", "{}"), &["415 Unsupported", "application/json"]),
        (
            "POST /api/v1/sample",
            String::from("Content-Type: application/json\r\nContent-Length: 4097\r\n"),
            &["413"],
        ),
        ("GET /api/v1/sample", String::new(), &["405 Method Not Allowed", "allow: POST\r\n", PROBLEM]),
        ("POST /api/v1/sample", format!("Via: 1.1 edge\r\n{}", json("")), &["403", "basic_auth_changers"]),
        (
            "POST /api/v1/sample",
            format!("Origin: http://evil.example\r\n{}", json("")),
            &["403", "another origin"],
        ),
        (
            "POST /api/v1/sample",
            format!("Sec-Fetch-Site: cross-site\r\n{}", json("")),
            &["403", "another origin"],
        ),
        ("POST /api/v1/forget", json("{}"), &["400 Bad Request", "missing field `kind`"]),
        (
            "POST /api/v1/forget",
            json(r#"{"kind":"process","target":"web"}"#),
            &["404 Not Found", "no such target"],
        ),
        ("POST /api/v1/profiles/0123456789abcdef/end", json(""), &["404 Not Found", "no open profile"]),
        ("POST /api/v1/profiles//end", json(""), &["404 Not Found"]),
        (
            "GET /api/v1/areas/0123456789abcdef/history",
            String::new(),
            &["404 Not Found", "no area with the id"],
        ),
        ("GET /api/v1/stats?period=1w", String::new(), &["400 Bad Request", "from 1m to 11d"]),
        ("GET /api/v1/sparklines", String::new(), &["200 OK", "\"sparklines\":[]"]),
    ] {
        server.check(line, &headers, expected);
    }
    let body =
        |answer: &str| -> Value { serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap() };
    let begun = server.ask("POST /api/v1/profiles", &json(r#"{"kind":"process"}"#));
    assert!(begun.contains("201 Created"), "{begun}");
    let path = format!("POST /api/v1/profiles/{}/end", body(&begun)["id"].as_str().unwrap());
    server.check(&path, &json(""), &["200 OK", "\"ticks\":0"]);
    server.check(&path, &json(""), &["404 Not Found"]);
    assert!(server.pages.counted.lock().unwrap().contains(&("change", 201)));
}

#[test]
fn samples_that_were_just_taken_are_not_taken_again() {
    let shown = Shown { tick: 5, ..Shown::default() };
    let server = Server::start_with(&ListenOptions::default(), Limits::default(), shown);
    server.check("POST /api/v1/sample", &json(""), &["429 Too Many", "retry-after: 1\r\n", PROBLEM]);
}
