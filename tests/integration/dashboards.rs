//! The dashboards against real data: a real Prometheus scrapes two exporters, one of them beside programs and applications
//! that really leak, and every query of every panel, variable and annotation has an answer (`grafana/ask`).

use crate::{
    applications::{Application, installed},
    exporter::{Exporter, Scratch, get},
    peers::{free_port, program},
    process::{Process, wait_for},
    programs::Family,
};
use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(400);
const PROGRAMS: Family = Family::new("dashboards", 40);
/// Half a megabyte a second, on the heap of Node.
const LEAK: &str = "500000";
/// Where the kernel counts whom it killed in a control group.
const EVENTS: &str = "sys/fs/cgroup/system.slice/nginx.service/memory.events";

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_query_of_every_dashboard_has_an_answer() {
    let scratch = Scratch::new("dashboards");
    let applications = Applications::start();
    let storage = format!("--storage.path={}", scratch.path.join("state").display());
    let configuration = PROGRAMS.configuration("100ms", &applications.configuration(&scratch));
    let watching = Exporter::start_configured(&scratch, &configuration, &[&storage]);
    // Control groups, kills and pressure need another machine than most: one in files.
    let files = machine_in_files(&scratch);
    let in_files = Exporter::start(&[&format!("--path.rootfs={}", files.display())]);
    let prometheus = prometheus(&scratch, &[watching.address(), in_files.address()]);
    let _leaking = PROGRAMS.start("python", "leak", &["--rate", "600000"]);
    let restarted = PROGRAMS.start("c", "steady", &[]);

    // What ran for a moment only is no target that restarts.
    let judged = format!("memleak_area_growth_bytes_per_second{{target=\"{}\"}}", restarted.target);
    prometheus.wait_for(&judged);
    drop(restarted);
    let _again = PROGRAMS.start("c", "steady", &[]);
    let applications = applications.with_python_restarted();
    // Who says nothing is waited for: a socket for as long as it takes.
    let _client = TcpStream::connect(("127.0.0.1", applications.port.parse().expect("a port")));
    prometheus.wait_for("memleak_target_oom_kills_total{kind=\"cgroup\",target=\"nginx.service\"} == 0");
    kill_in(&files);
    for needed in [
        "ALERTS{alertname=\"MemoryLeakConfirmed\",alertstate=\"firing\"}",
        "memleak_target_restarts_total{kind=\"process\"} == 1",
        "memleak_target_restarts_total{kind=\"application\"} == 1",
        "memleak_target_oom_kills_total{kind=\"cgroup\",target=\"nginx.service\"} == 1",
        "memleak_attribution_socket_bytes",
        "memleak_threshold_objects",
        "memleak_threshold_per_second",
        "memleak_target_response_time_seconds",
        "memleak_area_leak_start_timestamp_seconds{target=\"checkout\",area=\"heap\"}",
        "memleak_area_leak_start_timestamp_seconds{target=\"checkout\",area=\"limiter_keys\"}",
        // The panel shows what grows, and the first readings after a suspicion may not.
        "memleak_attribution_growth_bytes_per_second > 0",
    ] {
        prometheus.wait_for(needed);
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

/// Applications in three runtimes, one of which leaks.
struct Applications {
    node: Application,
    jvm: Application,
    python: Application,
    /// Where Python listens, before and after.
    port: String,
}

impl Applications {
    fn start() -> Self {
        let java = installed("java").display().to_string();
        let classes = format!("{java}/lib/*:{java}/classes");
        let script = installed("node/app.js").display().to_string();
        let port = free_port().to_string();
        Self {
            node: Application::start(program("node"), &[&script, "0", LEAK]),
            jvm: Application::start(
                program("java"),
                &["-XX:+UseSerialGC", "-Xmx256m", "-cp", &classes, "App"],
            ),
            python: python(&port),
            port,
        }
    }

    fn with_python_restarted(mut self) -> Self {
        self.python.process.signal(rustix::process::Signal::KILL);
        self.python.process.wait(PATIENCE);
        let python = python(&self.port);
        Self { python, ..self }
    }

    /// What goes on below `processes`: whatever a target can have, a member that is missing among it.
    fn configuration(&self, scratch: &Scratch) -> String {
        let inbox = scratch.path.join("inbox");
        fs::create_dir_all(&inbox).expect("a directory of our own");
        for name in ["one", "two"] {
            fs::write(inbox.join(name), "2").expect("a file of our own");
        }
        format!(
            "  judge: [anon, fds]\n  expected: ['dashboards: absent']\nsensitivity: production\n\
             collectors:\n  application: {{interval: 300ms, timeout: 250ms}}\n  directory: {{interval: 1s, timeout: 500ms}}\n\
             directories:\n- {{name: inbox, path: '{inbox}', limit: {{files: 5}}}}\n\
             attribution: {{targets: ['dashboards: .*'], interval: 2s}}\napplications:\n\
             - name: checkout\n  prometheus: '{node}'\n  areas:\n  \
             - {{name: timers, unit: objects, limit: 100}}\n  \
             - {{name: limiter_keys, unit: objects, metric: rate_limiter_keys}}\n  \
             - {{name: event_files, unit: objects, file: '{inbox}/one'}}\n\
             - {{name: catalog, prometheus: '{jvm}'}}\n- {{name: orders, prometheus: '{python}'}}\n",
            inbox = inbox.display(),
            node = self.node.url("/metrics"),
            jvm = self.jvm.url("/micrometer"),
            python = self.python.url("/metrics"),
        )
    }
}

/// By the seed its process is a target too.
fn python(port: &str) -> Application {
    Application::python(&[port, "--seed", &PROGRAMS.seed().to_string()])
}

/// A copy of the machine in files, in which something can happen.
fn machine_in_files(scratch: &Scratch) -> PathBuf {
    let copy = scratch.path.join("host");
    let mut command = Process::command("cp");
    let copied = command.arg("-a").arg(repository("tests/fixtures/host")).arg(&copy).status();
    assert!(copied.expect("cp runs").success());
    copy
}

/// One process more was killed in a control group.
fn kill_in(machine: &Path) {
    let events = machine.join(EVENTS);
    let before = fs::read_to_string(&events).expect("the events of the group");
    fs::write(&events, before.replace("oom_kill 1", "oom_kill 2")).expect("a file of our own");
}

struct Prometheus {
    address: String,
    _process: Process,
}

impl Prometheus {
    fn wait_for(&self, expression: &str) {
        wait_for(expression, PATIENCE, || self.knows(expression).then_some(()));
    }

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
