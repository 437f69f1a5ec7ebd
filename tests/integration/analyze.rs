//! `analyze` from outside: its formats on one small series, and what it says of bad input.
//!
//! The series leaks 40 MB an hour from 2 h on, in a process a day old that is started anew at 10 h. `UPDATE_EXPECTED=1`
//! accepts what is there now; look at the difference before committing it.

use crate::exporter::{Exporter, Scratch};
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/analyze").join(name)
}

/// Runs `analyze` to its end, with this on its standard input.
fn analyze(flags: &[&str], input: &str) -> Output {
    let mut command = Exporter::command();
    command.arg("analyze").args(flags);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("our own binary");
    let _it_may_not_want_it = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("our own child")
}

fn on_the_fixture(flags: &[&str]) -> String {
    let (series, labels) = (fixture("web.csv"), fixture("labels.jsonl"));
    let paths = ["--labels", labels.to_str().expect("UTF-8"), series.to_str().expect("UTF-8")];
    let output = analyze(&[flags, &paths].concat(), "");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    text(&output.stdout)
}

/// A page without its style sheet, which changes for reasons of its own.
fn without_style(page: &str) -> String {
    let (Some(from), Some(to)) = (page.find("<style>"), page.find("</style>")) else {
        return page.to_owned();
    };
    format!("{}{}", &page[..from + "<style>".len()], &page[to..])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What a command that fails says, with its exit code.
fn failure(flags: &[&str]) -> (Option<i32>, String) {
    let output = analyze(flags, "");
    (output.status.code(), text(&output.stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn each_format_says_what_is_expected() {
    for (format, file) in [
        ("table", "web.txt"),
        ("json", "web.json"),
        ("jsonl", "web.jsonl"),
        ("markdown", "web.md"),
        ("html", "web.html"),
        ("svg", "web.svg"),
    ] {
        let shown = without_style(&on_the_fixture(&["--format", format]));
        let expected = fixture(file);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &shown).expect("a writable tree");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(shown, wanted, "{file}: UPDATE_EXPECTED=1 accepts this");
    }
}

#[test]
fn the_leak_is_found_once_and_ends_with_the_restart() {
    let lines = on_the_fixture(&["--format", "jsonl"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let state = |line: &Value| line["state"].as_str().expect("a state").to_owned();
    let mut states: Vec<String> = lines.iter().map(state).filter(|state| state != "suspected").collect();
    states.dedup();
    assert_eq!(states[..3], ["none", "confirmed", "resolved"]);
    assert!(!states[3..].iter().any(|state| state == "confirmed"), "{states:?}");
    let confirmed = lines.iter().find(|line| state(line) == "confirmed").expect("a leak");
    let number = |key: &str| confirmed[key].as_f64().unwrap_or_else(|| panic!("{key} in {confirmed}"));
    assert!((number("growth_bytes_per_second") * 3600.0 / 1_048_576.0 - 40.0).abs() < 8.0, "{confirmed}");
    assert!(number("time_to_limit_low") <= number("time_to_limit_seconds"), "{confirmed}");
    assert!(number("time_to_limit_seconds") <= number("time_to_limit_high"), "{confirmed}");
    let resolved = lines.iter().find(|line| state(line) == "resolved").expect("an end");
    assert_eq!(resolved["t"], 36_000.0, "the first sample of the new process");
    // Each full hour and the end are there, whatever happened in between.
    for hour in 1..12 {
        let at = f64::from(hour) * 3600.0;
        assert!(lines.iter().any(|line| line["t"] == at), "{at}");
    }
    assert_eq!(lines.last().expect("lines")["t"], 43_140.0);
}

#[test]
fn every_look_can_be_had() {
    let lines = on_the_fixture(&["--format", "jsonl", "--every-look"]);
    let looks = lines.lines().filter(|line| line.contains("\"tempo\"")).count();
    assert!(looks > 50, "{looks}");
}

#[test]
fn it_reads_the_standard_input_and_counts_objects() {
    let series: String = (0..120).map(|minute| format!("{},{}\n", minute * 60, 100 + minute % 7)).collect();
    let output = analyze(&["--format", "json", "--limit", "500", "-"], &format!("t,objects\r\n{series}\n\n"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let series = &document["series"][0];
    assert_eq!((&series["name"], &series["unit"]), (&Value::from("stdin"), &Value::from("objects")));
    assert!(series["growth_objects_per_second"].is_number(), "{series}");
    assert_eq!((&series["samples"], &series["interval_seconds"]), (&Value::from(120), &Value::from(60.0)));
}

#[test]
fn several_series_of_a_file_are_judged_side_by_side_and_told_in_their_order() {
    let series = fs::read_to_string(fixture("web.csv")).expect("the series");
    let (mut long, mut records) = (String::from("series,t_seconds,bytes\n"), String::new());
    for line in series.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())) {
        let (at, size) = line.split_once(',').expect("two fields");
        for name in ["b", "a", "c"] {
            writeln!(long, "\"{name},{name}\",{at},{size}").expect("a string");
            writeln!(records, "{{\"series\":\"{name},{name}\",\"t\":{at},\"bytes\":{size}}}")
                .expect("a string");
        }
    }
    let alone = analyze(&["--format", "jsonl", path(&fixture("web.csv"))], "");
    let alone = text(&alone.stdout);
    let expected: String = ["b,b", "a,a", "c,c"]
        .map(|name| alone.replace("\"series\":\"web\"", &format!("\"series\":\"{name}\"")))
        .concat();
    assert!(expected.lines().count() > 30);
    for input in [&long, &records] {
        let output = analyze(&["--format", "jsonl", "-"], input);
        assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(0)));
        assert!(text(&output.stdout) == expected, "{}", text(&output.stdout));
    }
}

#[test]
fn each_bad_file_is_named_and_stops_no_other() {
    let scratch = Scratch::new("analyze");
    let bad = scratch.write("bad.csv", "t_seconds,bytes\n0,5\n60,many\n");
    let empty = scratch.write("empty.csv", "");
    let (missing, good) = (scratch.path.join("missing.csv"), fixture("web.csv"));
    let output = analyze(&[path(&bad), path(&missing), path(&empty), path(&good), path(&scratch.path)], "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "bad.csv:3: found the size \"many\"; expected two plain numbers",
        "missing.csv: cannot be read",
        "empty.csv:1: found no sample at all",
        &format!("{}: cannot be read", scratch.path.display()),
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(said.lines().all(|line| line.starts_with("memleak_exporter: ")), "{said}");
    assert!(text(&output.stdout).contains("\nweb "), "{output:?}");
}

#[test]
fn what_cannot_be_meant_is_an_error_of_the_command_line() {
    for (flags, message) in [
        (&["analyze"][..], "or ask a Prometheus with --prometheus URL"),
        (
            &["analyze", "--user=me", "--password-file=x", "a.csv"],
            "credentials and certificates are for --prometheus",
        ),
        (&["analyze", "--query=x", "a.csv"], "--prometheus"),
        (&["analyze", "--limit=2G", "a.csv"], "write GB (of 1000) or GiB (of 1024)"),
        (&["analyze", "--interval=0", "a.csv"], "write seconds above 0"),
        (&["analyze", "--restarts=1,x", "a.csv"], "write seconds of the series"),
        (&["analyze", "--every-look", "a.csv"], "--every-look needs --format jsonl"),
        (&["analyze", "-", "-"], "read only once"),
        (&["--log.level=debug", "analyze", "a.csv"], "cannot be used with"),
    ] {
        let output = Exporter::command().args(flags).output().expect("our own binary");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(message), "{flags:?}: {said}");
    }
}

#[test]
fn wrong_labels_are_named_by_line() {
    let scratch = Scratch::new("analyze-labels");
    let labels = scratch.write("labels.jsonl", "{\"name\": \"web\"}\n{\"nom\": \"db\"}\n");
    let series = fixture("web.csv");
    let (code, said) = failure(&["--labels", path(&labels), path(&series)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("labels.jsonl:2: found missing field `name`"), "{said}");
}

#[test]
fn who_stops_listening_is_no_error() {
    let series = fixture("web.csv");
    let many = vec![path(&series); 200];
    let mut command = Exporter::command();
    command.args(["analyze", "--format", "jsonl"]).args(many);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("our own binary");
    let mut first = [0; 1];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("a first byte");
    let output = child.wait_with_output().expect("our own child");
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}
