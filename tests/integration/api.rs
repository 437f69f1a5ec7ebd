//! The API of the real binary: that it tells what is watched, keeps what is secret, and takes whatever it is asked.

use crate::{
    exporter::{Exporter, Scratch, get, request},
    peers::program,
    process::{Process, wait_for},
};
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn ask(exporter: &Exporter, path: &str) -> Value {
    let (status, body) = get(&exporter.url(path));
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error} in {body}"))
}

/// A running exporter of this machine with a secret in its configuration, after its second tick.
fn running(scratch: &Scratch) -> Exporter {
    let configuration = "sampling: {interval: 200ms}\nsensitivity: strict\n\
                         otlp: {endpoint: 'http://127.0.0.1:9', headers: {api-key: hunter2}}\n";
    let exporter = Exporter::start_configured(
        scratch,
        configuration,
        &["--storage.path", &scratch.path.display().to_string()],
    );
    wait_for("two ticks", PATIENCE, || (exporter.ticks() >= 2.0).then_some(()));
    exporter
}

#[test]
fn the_api_tells_what_is_watched_and_keeps_what_is_secret() {
    let scratch = Scratch::new("api");
    let exporter = running(&scratch);
    let status = ask(&exporter, "/api/v1/status");
    assert!(status["tick"].as_u64() >= Some(2) && status["counts"]["targets"].as_u64() > Some(0), "{status}");
    let names: Vec<&str> = status["collectors"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert!(names.contains(&"process") && names.contains(&"host"), "{names:?}");
    let areas = ask(&exporter, "/api/v1/areas?area=rss&sort=size&limit=1");
    let largest = &areas["areas"][0];
    assert!(largest["size"].as_f64() > Some(0.0), "{areas}");
    let id = largest["id"].as_str().expect("an id");
    let one = ask(&exporter, &format!("/api/v1/areas/{id}"));
    assert_eq!((&one["area"]["target"], &one["area"]["area"]), (&largest["target"], &"rss".into()));
    let tick = status["tick"].as_u64();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let change = |path: &str| {
        let answer = agent.post(exporter.url(path)).content_type("application/json").send("");
        let text = answer.expect("an answer").body_mut().read_to_string().expect("text");
        serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{path}: {error} in {text}"))
    };
    assert!(change("/api/v1/sample")["tick"].as_u64() > tick);
    let begun = change("/api/v1/profiles");
    let ended = change(&format!("/api/v1/profiles/{}/end", begun["id"].as_str().expect("an id")));
    assert!(ended["total"].as_u64() > Some(0) && ended["areas"][0]["growth"].is_number(), "{ended}");
    let lines = wait_for("something of the past", PATIENCE, || {
        let lines = ask(&exporter, "/api/v1/sparklines?kind=process&area=anon&limit=1");
        lines["sparklines"][0]["sizes"].as_array().is_some_and(|sizes| sizes.len() > 1).then_some(lines)
    });
    let id = lines["sparklines"][0]["area"]["area_id"].as_str().expect("an id");
    let history = ask(&exporter, &format!("/api/v1/areas/{id}/history"));
    assert!(history["levels"][0]["buckets"][0]["low"].as_f64() > Some(0.0), "{history}");
    let stats = ask(&exporter, "/api/v1/stats?period=60m&kind=process&area=anon&limit=1");
    assert!(stats["stats"][0]["peak"].as_f64() >= stats["stats"][0]["mean"].as_f64(), "{stats}");
    let health = ask(&exporter, "/api/v1/health");
    let own = health["components"].as_array().expect("a list").iter().find(|part| part["name"] == "exporter");
    assert!(own.is_some(), "it watches itself: {health}");
    let (_, config) = get(&exporter.url("/api/v1/config"));
    assert!(config.contains("\"api-key\":\"<secret>\"") && !config.contains("hunter2"), "{config}");
    assert!(ask(&exporter, "/api/v1/rules?limit=1")["total"].as_u64() > Some(0));
    let (status, page) = request(&exporter.url("/api/v1/report?format=html"), &[("Accept-Encoding", "gzip")]);
    assert!(status == 200 && page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
}

/// Every operation with valid and with invalid input, for some seconds: whatever is asked, the answer is one of those
/// that the document promises, in its form, and never an error of the server.
#[test]
fn whatever_is_asked_is_answered_as_documented() {
    let scratch = Scratch::new("api-asked");
    let exporter = running(&scratch);
    let examples = if std::env::var_os("MEMLEAK_TEST_LONG").is_some() { "500" } else { "15" };
    let output = Process::command(program("schemathesis"))
        .current_dir(&scratch.path)
        .args(["run", &exporter.url("/api/v1/openapi.json"), "--url", &exporter.url("/api/v1")])
        // No client of HTTP alone: `streams` opens it.
        .args(["--exclude-path", "/stream"])
        .args(["--max-examples", examples, "--seed", "7", "--phases", "examples,coverage,fuzzing"])
        .args(["--no-color", "--suppress-health-check", "all", "--warnings", "off", "--no-shrink"])
        .env("HYPOTHESIS_STORAGE_DIRECTORY", scratch.path.join("hypothesis"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(ask(&exporter, "/api/v1/status")["tick"].as_u64() > Some(0), "it still answers");
}
