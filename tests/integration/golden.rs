//! A golden scrape of the real binary on a fixture tree, read by foreign parsers too.
//!
//! `UPDATE_EXPECTED=1` accepts what is there now; look at the difference before committing it.

use crate::{
    exporter::{Exporter, request},
    peers::{directory, program},
    process::{Process, wait_for},
};
use std::{fs, path::PathBuf, process::Stdio, time::Duration};

const PATIENCE: Duration = Duration::from_secs(30);
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The fixtures: a machine with control groups of version 2, and a hybrid one with those of version 1.
const MACHINES: [&str; 2] = ["host", "legacy"];

fn on_the_fixture(name: &str) -> Exporter {
    let host = fixture(name);
    let exporter = Exporter::start(&[
        &format!("--config.file={}", fixture("attributed.yml").display()),
        &format!("--path.rootfs={}", host.display()),
    ]);
    wait_for("a second look at the settled processes", PATIENCE, || (exporter.ticks() >= 2.0).then_some(()));
    exporter
}

/// What shows when something was read.
const TIMES: [&str; 2] =
    ["memleak_area_last_sample_timestamp_seconds{", "memleak_attribution_last_reading_timestamp_seconds{"];

/// The lines about targets, with the times of the run replaced.
fn about_targets(body: &str) -> String {
    let mut kept = String::new();
    let subjects = ["memleak_area_", "memleak_target_", "memleak_attribution_"];
    for line in body.lines().filter(|line| subjects.iter().any(|subject| line.contains(subject))) {
        match line.rsplit_once(' ') {
            Some((series, _)) if TIMES.iter().any(|name| series.starts_with(name)) => {
                kept.push_str(&format!("{series} TIME\n"));
            }
            _ => kept.push_str(&format!("{line}\n")),
        }
    }
    kept
}

#[test]
fn the_scrapes_of_the_fixtures_are_the_expected_ones() {
    for machine in MACHINES {
        let exporter = on_the_fixture(machine);
        let (_, body) = request(&exporter.url("/metrics"), &[]);
        let shown = about_targets(&body);
        let expected = fixture(&format!("{machine}.metrics"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &shown).expect("a writable tree");
        }
        let wanted = fs::read_to_string(&expected).expect("the expected scrape");
        assert_eq!(shown, wanted, "UPDATE_EXPECTED=1 accepts this");
    }
}

#[test]
fn promtool_has_nothing_to_say() {
    let exporter = on_the_fixture("host");
    let (_, body) = request(&exporter.url("/metrics"), &[]);
    let said = feed(Process::command(program("promtool")).args(["check", "metrics"]), &body);
    assert_eq!(said, "");
}

#[test]
fn the_strict_reader_of_open_metrics_takes_all_of_it() {
    let exporter = on_the_fixture("host");
    let (_, body) = request(&exporter.url("/metrics"), &[("Accept", OPEN_METRICS)]);
    let script = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
                  names = [family.name for family in read(sys.stdin.read())]\nassert 'memleak_target_info' in names, names\n\
                  assert len(names) == len(set(names))\n";
    let python = directory().join("venv/bin/python");
    let said = feed(Process::command(python).args(["-c", script]), &body);
    assert_eq!(said, "");
}

/// Runs a program on a text; gives what it said and fails if it failed without a word.
fn feed(command: &mut std::process::Command, text: &str) -> String {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()));
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("our own child");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success() || !said.is_empty(), "it failed without a word");
    said
}
