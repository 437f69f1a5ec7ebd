//! From a leaking program to the person: a real Prometheus scrapes the exporter and fires, a real Alertmanager delivers
//! to a webhook, and when the program is gone the alert resolves and its series vanish.

use crate::{
    exporter::{Exporter, Scratch, get},
    peers::{free_port, program},
    process::{Process, wait_for},
    programs::Family,
};
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
const ALERT: &str = "MemoryLeakConfirmed";

#[test]
fn a_leak_reaches_a_person_and_the_end_of_it_too() {
    let scratch = Scratch::new("alerts");
    let exporter = Exporter::start_configured(&scratch, &PROGRAMS.configuration("100ms", ""), &[]);
    let webhook = Webhook::listen();
    let alertmanager = alertmanager(&scratch, webhook.port);
    let prometheus = prometheus(&scratch, exporter.address(), alertmanager.port);
    let leaking = PROGRAMS.start("python", "leak", &["--rate", "600000"]);
    let healthy = PROGRAMS.start("c", "steady", &[]);

    let fired = wait_for("the alert at the webhook", PATIENCE, || webhook.alert(ALERT, "firing"));
    let labels = &fired["labels"];
    assert_eq!(labels["target"], leaking.target, "{fired}");
    assert_eq!(labels["area"], "anon");
    assert_eq!(labels["severity"], "warning");
    let text = format!("{} {}", fired["annotations"]["summary"], fired["annotations"]["description"]);
    for needle in [leaking.target.as_str(), "/h", "limit"] {
        assert!(text.contains(needle), "{needle:?} is not in: {text}");
    }
    assert!(fired["annotations"]["runbook_url"].as_str().is_some_and(|url| url.contains(ALERT)), "{fired}");
    assert_eq!(prometheus.query(&format!("up{{instance=\"{}\"}}", exporter.address())), Some(1.0));
    assert_eq!(webhook.targets(), [leaking.target.as_str()], "nobody but the leaking program is accused");

    let target = leaking.target.clone();
    drop(leaking);
    let gone = format!("memleak_area_size_bytes{{target=\"{target}\"}}");
    wait_for("the series to vanish", PATIENCE, || prometheus.query(&gone).is_none().then_some(()));
    assert!(exporter.scrape().area("memleak_area_size_bytes", &target, "anon").is_none());
    assert!(exporter.scrape().area("memleak_area_size_bytes", &healthy.target, "anon").is_some());
    wait_for("the resolution at the webhook", PATIENCE, || webhook.alert(ALERT, "resolved"));
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

/// The shipped rules with their waiting times shortened, everything else as it is.
fn hastened_rules(scratch: &Scratch) -> PathBuf {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("alerts/memleak.rules.yml");
    let mut rules: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(shipped).expect("the shipped rules")).expect("YAML");
    for group in rules["groups"].as_sequence_mut().expect("groups") {
        for rule in group["rules"].as_sequence_mut().expect("rules") {
            let rule = rule.as_mapping_mut().expect("a rule");
            for wait in ["for", "keep_firing_for"] {
                if rule.contains_key(wait) {
                    rule.insert(wait.into(), "1s".into());
                }
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

/// The shipped Alertmanager configuration sends to Slack and others, which tests must not; theirs sends everything to
/// one webhook at once.
fn alertmanager(scratch: &Scratch, webhook: u16) -> Peer {
    let port = free_port();
    let configuration = scratch.write(
        "alertmanager.yml",
        &format!(
            "route:\n  receiver: test\n  group_by: [alertname, target]\n  group_wait: 1s\n  group_interval: 1s\n  repeat_interval: 1h\n\
             receivers:\n- name: test\n  webhook_configs:\n  - url: http://127.0.0.1:{webhook}/\n    send_resolved: true\n"
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
