//! The dashboards against real data: a real Prometheus scrapes two exporters, one of them beside programs that really
//! leak, and every query of every panel, variable and annotation has an answer (`grafana/ask`).

use crate::{
    exporter::{Exporter, Scratch, get},
    peers::{free_port, program},
    process::{Process, wait_for},
    programs::Family,
};
use std::{fs, path::PathBuf, time::Duration};

const PATIENCE: Duration = Duration::from_secs(400);
const PROGRAMS: Family = Family::new("dashboards", 40);
/// What a target of processes can have: a budget, areas that are counted, and a member that is missing.
const REST: &str = "  judge: [anon, fds]\n  expected: ['dashboards: absent']\nsensitivity: production\n";

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_query_of_every_dashboard_has_an_answer() {
    let scratch = Scratch::new("dashboards");
    let storage = format!("--storage.path={}", scratch.path.join("state").display());
    let watching = Exporter::start_configured(&scratch, &PROGRAMS.configuration("100ms", REST), &[&storage]);
    // Control groups, kills and pressure need another machine than most: one in files.
    let files = format!("--path.rootfs={}", repository("tests/fixtures/host").display());
    let in_files = Exporter::start(&[&files]);
    let prometheus = prometheus(&scratch, &[watching.address(), in_files.address()]);
    let _leaking = PROGRAMS.start("python", "leak", &["--rate", "600000"]);
    let restarted = PROGRAMS.start("c", "steady", &[]);

    // What ran for a moment only is no target that restarts.
    let judged = format!("memleak_area_growth_bytes_per_second{{target=\"{}\"}}", restarted.target);
    wait_for("a verdict on the program that is to restart", PATIENCE, || {
        prometheus.knows(&judged).then_some(())
    });
    drop(restarted);
    let _again = PROGRAMS.start("c", "steady", &[]);
    for needed in [
        "ALERTS{alertname=\"MemoryLeakConfirmed\",alertstate=\"firing\"}",
        "memleak_area_growth_objects_per_second",
        "memleak_target_restarts_total == 1",
    ] {
        wait_for(needed, PATIENCE, || prometheus.knows(needed).then_some(()));
    }

    let mut ask = Process::start(Process::command(program("python3")).arg(repository("grafana/ask")).args([
        &prometheus.address,
        "--range=600",
        "--scrape-interval=1",
    ]));
    let status = ask.wait(PATIENCE);
    wait_for("all that it says", PATIENCE, || ask.has_said_all().then_some(()));
    assert!(status.success(), "{}", ask.output());
}

struct Prometheus {
    address: String,
    _process: Process,
}

impl Prometheus {
    /// Whether an expression has a value now.
    fn knows(&self, expression: &str) -> bool {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (_, answer) = get(&format!("{}/api/v1/query?query={encoded}", self.address));
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("Prometheus answers JSON");
        answer["data"]["result"].as_array().is_some_and(|series| !series.is_empty())
    }
}

fn prometheus(scratch: &Scratch, exporters: &[&str]) -> Prometheus {
    let port = free_port();
    let rules = scratch.write("rules.yml", &without_waiting(&read("alerts/memleak.rules.yml")));
    let targets = exporters.iter().map(|address| format!("'{address}'")).collect::<Vec<_>>().join(", ");
    let configuration = scratch.write(
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n\
             - job_name: memleak_exporter\n  honor_labels: true\n  static_configs: [{{targets: [{targets}]}}]\n",
            rules.display()
        ),
    );
    let mut process = Process::start(Process::command(program("prometheus")).args([
        format!("--config.file={}", configuration.display()),
        format!("--storage.tsdb.path={}", scratch.path.join("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ]));
    process.line_with("Server is ready to receive web requests", PATIENCE);
    Prometheus { address: format!("http://127.0.0.1:{port}"), _process: process }
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The shipped rules, which fire at once.
fn without_waiting(rules: &str) -> String {
    let waits = |line: &&str| !line.trim_start().starts_with("for:");
    rules.lines().filter(waits).collect::<Vec<_>>().join("\n")
}
