//! From a leaking program to the person: a real Prometheus scrapes the exporter and fires, a real Alertmanager delivers
//! to a webhook, each stage mutes the one before it, and when the program is gone the alerts resolve and its series
//! vanish.

use crate::{
    exporter::{Exporter, Scratch, get},
    peers::{free_port, program},
    process::{Process, wait_for},
    programs::{Family, Program},
};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(400);
const PROGRAMS: Family = Family::new("alerts", 2);
const CONFIRMED: &str = "MemoryLeakConfirmed";
const NEAR: &str = "MemoryLeakLimitNear";
const IMMINENT: &str = "MemoryLeakLimitImminent";
/// How fast the program leaks, in bytes a second.
const RATE: u64 = 600_000;
/// In place of the hour at which a limit is imminent: an hour's growth would not fit into a test machine.
const HASTENED_HOUR_SECS: u64 = 100;

#[test]
fn a_leak_reaches_a_person_gets_worse_and_ends() {
    let scratch = Scratch::new("alerts");
    let exporter = Exporter::start_configured(&scratch, &PROGRAMS.configuration("100ms", ""), &[]);
    let webhook = Webhook::listen();
    let alertmanager = alertmanager(&scratch, webhook.port);
    let prometheus = prometheus(&scratch, exporter.address(), alertmanager.port);
    let leaking = PROGRAMS.start("python", "leak", &["--rate", &RATE.to_string()]);
    let healthy = PROGRAMS.start("c", "steady", &[]);

    warns(&webhook, &leaking.target);
    assert_eq!(prometheus.query(&format!("up{{instance=\"{}\"}}", exporter.address())), Some(1.0));

    leave_room(&leaking, HASTENED_HOUR_SECS * 5 / 2);
    let critical = wait_for("the critical alert at the webhook", PATIENCE, || webhook.alert(NEAR, "firing"));
    assert_eq!(critical["labels"]["severity"], "critical", "{critical}");
    alertmanager.wait_for_state(NEAR, "active");
    alertmanager.wait_for_state(CONFIRMED, "suppressed");
    assert_eq!(webhook.alert(IMMINENT, "firing"), None, "there is more than an hour");

    leave_room(&leaking, HASTENED_HOUR_SECS * 4 / 5);
    let emergency = wait_for("the emergency at the webhook", PATIENCE, || webhook.alert(IMMINENT, "firing"));
    assert_eq!(emergency["labels"]["escalation"], "emergency", "{emergency}");
    alertmanager.wait_for_state(NEAR, "suppressed");
    alertmanager.wait_for_state(CONFIRMED, "suppressed");
    assert_eq!(webhook.targets(), [leaking.target.as_str()], "nobody but the leaking program is accused");

    let target = leaking.target.clone();
    drop(leaking);
    let gone = format!("memleak_area_size_bytes{{target=\"{target}\"}}");
    wait_for("the series to vanish", PATIENCE, || prometheus.query(&gone).is_none().then_some(()));
    assert!(exporter.scrape().area("memleak_area_size_bytes", &target, "anon").is_none());
    assert!(exporter.scrape().area("memleak_area_size_bytes", &healthy.target, "anon").is_some());
    wait_for("the resolution at the webhook", PATIENCE, || webhook.alert(IMMINENT, "resolved"));
}

/// The first word of it: a warning that says who, how fast, and what to read.
fn warns(webhook: &Webhook, target: &str) {
    let fired = wait_for("the alert at the webhook", PATIENCE, || webhook.alert(CONFIRMED, "firing"));
    let labels = &fired["labels"];
    assert_eq!(labels["target"], target, "{fired}");
    assert_eq!(labels["area"], "anon");
    assert_eq!(labels["severity"], "warning");
    let text = format!("{} {}", fired["annotations"]["summary"], fired["annotations"]["description"]);
    for needle in [target, "/h", "limit", "First:", "confidence", "pattern"] {
        assert!(text.contains(needle), "{needle:?} is not in: {text}");
    }
    assert!(
        fired["annotations"]["runbook_url"].as_str().is_some_and(|url| url.contains(CONFIRMED)),
        "{fired}"
    );
}

/// Gives a program a limit that it reaches at its present pace in so many seconds, once it uses more than half of that.
fn leave_room(leaking: &Program, secs: u64) {
    let pid = leaking.process.pid();
    let room = secs * RATE;
    let used = wait_for("the program to fill half of its limit", PATIENCE, || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running program");
        let used =
            status.lines().find_map(|line| line.strip_prefix("VmData:")).expect("what RLIMIT_DATA limits");
        let used = used.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024;
        (used > room + room / 10).then_some(used)
    });
    let pid = Pid::from_raw(i32::try_from(pid).expect("pids are positive"));
    let limit = Rlimit { current: Some(used + room), maximum: None };
    prlimit(pid, Resource::Data, limit).expect("our own child");
}

/// A peer that answers HTTP.
struct Peer {
    port: u16,
    _process: Process,
}

impl Peer {
    /// The value of an instant query, if it has one.
    fn query(&self, expression: &str) -> Option<f64> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (_, answer) = get(&format!("http://127.0.0.1:{}/api/v1/query?query={encoded}", self.port));
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("Prometheus answers JSON");
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Peer {
    /// Waits until Alertmanager has an alert in this state: `active`, or `suppressed` by an inhibition.
    fn wait_for_state(&self, name: &str, state: &str) {
        wait_for(&format!("{name} to be {state}"), PATIENCE, || {
            let (_, answer) = get(&format!("http://127.0.0.1:{}/api/v2/alerts", self.port));
            let alerts: serde_json::Value = serde_json::from_str(&answer).expect("Alertmanager answers JSON");
            let mut alerts = alerts.as_array()?.iter();
            let alert = alerts.find(|alert| alert["labels"]["alertname"] == name)?;
            let is_muted_by_another =
                alert["status"]["inhibitedBy"].as_array().is_some_and(|by| !by.is_empty());
            (alert["status"]["state"] == state && is_muted_by_another == (state == "suppressed"))
                .then_some(())
        });
    }
}

/// The shipped rules with their waiting times shortened and a shorter hour, everything else as it is.
fn hastened_rules(scratch: &Scratch) -> PathBuf {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("alerts/memleak.rules.yml");
    let mut rules: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(shipped).expect("the shipped rules")).expect("YAML");
    for group in rules["groups"].as_sequence_mut().expect("groups") {
        group.as_mapping_mut().expect("a group").remove("interval");
        for rule in group["rules"].as_sequence_mut().expect("rules") {
            let rule = rule.as_mapping_mut().expect("a rule");
            for wait in ["for", "keep_firing_for"] {
                if rule.contains_key(wait) {
                    rule.insert(wait.into(), "1s".into());
                }
            }
            if rule.get("alert").is_some_and(|name| name == IMMINENT) {
                let expression = rule["expr"].as_str().expect("an expression");
                let hastened = expression.replace("< 3600", &format!("< {HASTENED_HOUR_SECS}"));
                assert_ne!(hastened, expression, "it has another bound");
                rule.insert("expr".into(), hastened.into());
            }
        }
    }
    scratch.write("rules.yml", &serde_yaml::to_string(&rules).expect("YAML"))
}

fn prometheus(scratch: &Scratch, exporter: &str, alertmanager: u16) -> Peer {
    let rules = hastened_rules(scratch);
    let port = free_port();
    let configuration = scratch.write(
        "prometheus.yml",
        &format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: ['{}']\nscrape_configs:\n- job_name: memleak_exporter\n  \
             honor_labels: true\n  static_configs:\n  - targets: ['{exporter}']\nalerting:\n  alertmanagers:\n  - static_configs:\n    - \
             targets: ['127.0.0.1:{alertmanager}']\n",
            rules.display()
        ),
    );
    let process = Process::start(Process::command(program("prometheus")).args([
        format!("--config.file={}", configuration.display()),
        format!("--storage.tsdb.path={}", scratch.path.join("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ]));
    answers(port);
    Peer { port, _process: process }
}

/// The shipped Alertmanager configuration sends to Slack and others, which alerts/tests/delivery tries; this one sends
/// everything to one webhook at once, and mutes what the shipped one mutes.
fn alertmanager(scratch: &Scratch, webhook: u16) -> Peer {
    let port = free_port();
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("alerts/alertmanager.yml");
    let shipped: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(shipped).expect("the shipped routes")).expect("YAML");
    let inhibitions = serde_yaml::to_string(&shipped["inhibit_rules"]).expect("YAML");
    let configuration = scratch.write(
        "alertmanager.yml",
        &format!(
            "route:\n  receiver: test\n  group_by: [alertname, target]\n  group_wait: 1s\n  group_interval: 1s\n  repeat_interval: 1h\n\
             receivers:\n- name: test\n  webhook_configs:\n  - url: http://127.0.0.1:{webhook}/\n    send_resolved: true\n\
             inhibit_rules:\n{inhibitions}"
        ),
    );
    let process = Process::start(Process::command(program("alertmanager")).args([
        format!("--config.file={}", configuration.display()),
        format!("--storage.path={}", scratch.path.join("alertmanager").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        String::from("--cluster.listen-address="),
    ]));
    answers(port);
    Peer { port, _process: process }
}

fn answers(port: u16) {
    wait_for("a peer to answer", Duration::from_secs(60), || {
        TcpStream::connect(("127.0.0.1", port)).ok()?;
        (get(&format!("http://127.0.0.1:{port}/-/ready")).0 == 200).then_some(())
    });
}

/// Receives what Alertmanager delivers.
struct Webhook {
    port: u16,
    received: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Webhook {
    fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let alerts = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if let Some(body) = take_request(stream) {
                    let delivered = body["alerts"].as_array().cloned().unwrap_or_default();
                    alerts.lock().expect("no panic while held").extend(delivered);
                }
            }
        });
        Self { port, received }
    }

    fn alert(&self, name: &str, status: &str) -> Option<serde_json::Value> {
        let received = self.received.lock().expect("no panic while held");
        received
            .iter()
            .find(|alert| alert["labels"]["alertname"] == name && alert["status"] == status)
            .cloned()
    }

    /// The targets that any alert was about.
    fn targets(&self) -> Vec<String> {
        let received = self.received.lock().expect("no panic while held");
        let mut targets: Vec<String> = received
            .iter()
            .filter_map(|alert| alert["labels"]["target"].as_str().map(str::to_owned))
            .collect();
        targets.sort();
        targets.dedup();
        targets
    }
}

/// Reads one POST and answers 200; none if it is not one with a JSON body.
fn take_request(mut stream: TcpStream) -> Option<serde_json::Value> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let (head, length) = loop {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        received.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&received);
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            })?;
            break (end + 4, length);
        }
    };
    while received.len() < head + length {
        let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        received.extend_from_slice(&buffer[..read]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    serde_json::from_slice(&received[head..]).ok()
}
