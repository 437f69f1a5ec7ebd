//! `analyze` on a real Prometheus with a day of history: what it finds, and what it says where something is wrong.
//!
//! Three instances of a shop, scraped every 15 s. One of them was started anew after two hours and leaks 40 MB an hour
//! from ten hours on; one is busy by day; one does nothing.

use crate::{
    exporter::{Exporter, Scratch, get},
    peers::{free_port, program},
    process::{Process, wait_for},
    web_file::certificates,
};
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};

const PATIENCE: Duration = Duration::from_secs(120);
const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;
/// 2026-01-01.
const FROM: u32 = 1_767_225_600;
const RESTART: u32 = 2 * HOUR;
const ONSET: u32 = 10 * HOUR;
const LEAK_PER_SEC: f64 = 40e6 / 3600.0;
const LIMIT: f64 = 2e9;
const SIZE: &str = "process_resident_memory_bytes";
const QUERY: &str = "process_resident_memory_bytes{job=\"shop\"}";

/// What an instance has at a second of the day: a saw-tooth of garbage, and what makes it itself.
fn size(instance: &str, second: u32) -> f64 {
    let tooth = f64::from(second / 15 % 13) * 2e6;
    let noise = f64::from((second / 15).wrapping_mul(2_654_435_761) >> 16) * 3.0;
    let own = match instance {
        "leaking" => LEAK_PER_SEC * f64::from(second.saturating_sub(ONSET)),
        "busy" => 1e8 * (1.0 - (f64::from(second) * std::f64::consts::TAU / f64::from(DAY)).cos()),
        _ => 0.0,
    };
    (5e8 + tooth + noise + own).round()
}

/// The day as OpenMetrics, for promtool.
fn history() -> String {
    let mut text = String::new();
    let mut series = |name: &str, labels: &str, value: &dyn Fn(u32) -> f64| {
        for second in (0..=DAY).step_by(15) {
            writeln!(text, "{name}{{{labels}}} {} {}", value(second), FROM + second).expect("a string");
        }
    };
    for instance in ["leaking", "busy", "idle"] {
        let labels = format!("job=\"shop\",instance=\"{instance}\"");
        series(SIZE, &labels, &|second| size(instance, second));
    }
    series("shop_limit_bytes", "instance=\"leaking\"", &|_| LIMIT);
    series("process_start_time_seconds", "job=\"shop\",instance=\"leaking\"", &|second| {
        f64::from(FROM) + if second < RESTART { -4000.0 } else { f64::from(RESTART) - 7.0 }
    });
    text + "# EOF\n"
}

/// A Prometheus that remembers the day and scrapes nothing.
struct Prometheus {
    base: String,
    _process: Process,
}

impl Prometheus {
    fn start(scratch: &Scratch, flags: &[String]) -> Self {
        let (history, data) = (scratch.write("history.om", &history()), scratch.path.join("tsdb"));
        let made = Process::command(program("promtool"))
            .args(["tsdb", "create-blocks-from", "openmetrics", "-q"])
            .args([&history, &data])
            .output()
            .expect("promtool");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let configuration = scratch.write("prometheus.yml", "scrape_configs: []\n");
        let process = Process::start(
            Process::command(program("prometheus"))
                .args([
                    format!("--config.file={}", configuration.display()),
                    format!("--storage.tsdb.path={}", data.display()),
                    String::from("--storage.tsdb.retention.time=100y"),
                    format!("--web.listen-address=127.0.0.1:{port}"),
                ])
                .args(flags),
        );
        Self { base: format!("http://127.0.0.1:{port}"), _process: process }
    }
}

/// Exit code and both outputs of `analyze` on the day.
fn analyze(flags: &[&str]) -> (Option<i32>, String, String) {
    let end = (FROM + DAY).to_string();
    let output = Exporter::command()
        .args(["analyze", "--range", "1d", "--query", QUERY])
        .args(flags)
        .args(if flags.contains(&"--end") { vec![] } else { vec!["--end", &end] })
        .output()
        .expect("our own binary");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_planted_leak_is_found_in_every_format() {
    let scratch = Scratch::new("analyze-prometheus");
    let prometheus = Prometheus::start(&scratch, &[]);
    wait_for("Prometheus", PATIENCE, || {
        let url = format!("{}/-/ready", prometheus.base);
        (std::net::TcpStream::connect(prometheus.base.trim_start_matches("http://")).is_ok()
            && get(&url).0 == 200)
            .then_some(())
    });
    // More points than Prometheus answers at once, so that the day comes in two pieces.
    let asked = |format: &str| {
        let (code, out, said) = analyze(&[
            "--prometheus",
            &prometheus.base,
            "--step",
            "5s",
            "--format",
            format,
            "--limit-query",
            "shop_limit_bytes",
            "--start-query",
            "process_start_time_seconds",
        ]);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{format}");
        out
    };
    let document: Value = serde_json::from_str(&asked("json")).expect("JSON");
    let series = document["series"].as_array().expect("a list");
    let names: Vec<&str> = series.iter().filter_map(|series| series["name"].as_str()).collect();
    let called = |instance: &str| format!("{SIZE}{{instance=\"{instance}\",job=\"shop\"}}");
    assert_eq!(names, ["busy", "idle", "leaking"].map(called));
    assert!(series.iter().all(|series| series["samples"] == DAY / 5 + 1), "{series:?}");
    is_found(&series[2]);
    for healthy in &series[..2] {
        assert_ne!(healthy["state"], "confirmed", "{healthy}");
        assert!(healthy["limit"].is_null(), "{healthy}");
    }
    let lines: Vec<Value> =
        asked("jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let tells = |line: &&Value| line["state"] == "confirmed" && line["series"] == called("leaking");
    assert!(lines.iter().any(|line| tells(&line)), "{lines:?}");
    for (format, begin, end) in [
        ("table", "SERIES", "\n"),
        ("markdown", "| Series |", "\n"),
        ("html", "<!doctype html>", "</html>\n"),
        ("svg", "<svg ", "</svg>\n"),
    ] {
        let shown = asked(format);
        assert!(shown.starts_with(begin) && shown.ends_with(end), "{format}: {shown}");
        assert!(shown.contains("confirmed") && shown.contains("leaking"), "{format}: {shown}");
    }
}

/// The leak as it was planted: its onset within 5 % of the range, its pace and its limit.
fn is_found(series: &Value) {
    assert_eq!(
        (&series["state"], &series["limit"]),
        (&Value::from("confirmed"), &Value::from(LIMIT)),
        "{series}"
    );
    // The first look after it.
    assert_eq!(series["restarts"], Value::from(vec![f64::from(FROM + RESTART - 5)]), "{series}");
    let episodes = series["episodes"].as_array().expect("a list");
    let leak = episodes.iter().find(|episode| !episode["confirmed"].is_null()).expect("a leak");
    let number = |key: &str| leak[key].as_f64().unwrap_or_else(|| panic!("{key} in {leak}"));
    let late = number("onset") - f64::from(FROM + ONSET);
    assert!(late.abs() < 0.05 * f64::from(DAY), "{late} s");
    assert!((number("growth_bytes_per_second") / LEAK_PER_SEC - 1.0).abs() < 0.1, "{leak}");
    let left = (LIMIT - size("leaking", DAY)) / LEAK_PER_SEC;
    assert!((number("time_to_limit_seconds") / left - 1.0).abs() < 0.2, "{left} s: {leak}");
}

#[test]
fn what_is_wrong_with_prometheus_is_said_with_what_to_do() {
    let scratch = certificates("analyze-locked");
    let hash = bcrypt::hash("hunter2", 4).expect("a hash");
    scratch.write(
        "web.yml",
        &format!("tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{me: '{hash}'}}\n"),
    );
    let mut locked = Prometheus::start(
        &scratch,
        &[
            format!("--web.config.file={}", scratch.path.join("web.yml").display()),
            String::from("--query.max-samples=10000"),
        ],
    );
    locked.base = locked.base.replace("http", "https");
    let (password, wrong) = (scratch.write("password", "hunter2\n"), scratch.write("wrong", "hunter3\n"));
    let authority = scratch.path.join("ca.crt");
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let ca = format!("--ca-file={}", path(&authority));
    let me = |file| ["--user=me".to_owned(), format!("--password-file={}", path(file))];
    let ask = |flags: &[&str]| analyze(&[&["--prometheus", &locked.base][..], flags].concat());
    let [user, right] = &me(&password);
    let (_, table, _) = wait_for("Prometheus", PATIENCE, || {
        // It has room for fewer samples than the day has at this distance: the pieces become smaller.
        Some(ask(&[&ca, user, right, "--step", "15s"])).filter(|(code, ..)| *code == Some(0))
    });
    assert!(table.contains(" 5761 "), "{table}");
    let [_, bad] = &me(&wrong);
    for (flags, message) in [
        (&[user.as_str(), right][..], "cannot be reached: invalid peer certificate"),
        (&[ca.as_str()], "asks who we are (401); set --user and --password-file, or --token-file"),
        (&[&ca, user, bad], "refuses the credentials (401)"),
        (&[&ca, user, right, "--limit-query", "sum("], "does not understand the query: "),
        (&["--ca-file=/absent"], "/absent holds no certificate"),
    ] {
        let (code, out, said) = ask(flags);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{flags:?}: {said}");
        assert!(said.contains(message) && !said.contains("hunter"), "{flags:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (_, _, said) = analyze(&["--prometheus", &format!("http://127.0.0.1:{}", free_port())]);
    assert!(said.contains("cannot be reached: Connection refused"), "{said}");
    for (flags, message) in [
        (&["--prometheus", "ftp://a"][..], "is no http:// or https:// URL"),
        (&["--prometheus", "http://u:secret@a"], "holds a user name or a password"),
        (&["--prometheus", "http://a", "--step", "7"], "write 7s if seconds are meant"),
        (&["--prometheus", "http://a", "--end", "soon"], "it is no time; write seconds since 1970"),
        (&["--prometheus", "http://a", "x.csv"], "cannot be used with"),
    ] {
        let (code, _, said) = analyze(flags);
        assert!(code == Some(2) && said.contains(message) && !said.contains("secret"), "{flags:?}: {said}");
    }
}
