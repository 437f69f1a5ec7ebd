//! Reloads: a good configuration takes over, a bad one changes nothing and says so.

use crate::{
    exporter::{Exporter, Scratch, get},
    exposition::Scrape,
    peers::free_port,
    process::wait_for,
};
use rustix::process::Signal;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_bad_configuration_never_replaces_a_good_one() {
    let scratch = Scratch::new("reloads");
    let exporter =
        Exporter::start_configured(&scratch, "sampling:\n  interval: 200ms\n", &["--web.enable-lifecycle"]);
    let value = |name: &str| exporter.scrape().value(name, &[]);
    let expect = |name: &str, wanted: f64| {
        wait_for(&format!("{name} {wanted}"), PATIENCE, || {
            value(name).filter(|found| (found - wanted).abs() < 1e-9)
        });
    };
    let successful = "memleak_exporter_config_last_reload_successful";
    let interval = "memleak_exporter_sampling_interval_seconds";
    expect(successful, 1.0);
    expect(interval, 0.2);

    scratch.write("memleak.yml", "sampling:\n  interval: never\nlimits:\n  targets: -1\n");
    exporter.process.signal(Signal::HUP);
    expect(successful, 0.0);
    expect(interval, 0.2);
    let output = exporter.process.output();
    assert!(output.contains("sampling.interval") && output.contains("limits.targets"), "{output}");
    let ticks = exporter.ticks();
    wait_for("ticks under the old configuration", PATIENCE, || (exporter.ticks() > ticks).then_some(()));

    let severity = "memleak_exporter_severity_confidence_ratio";
    assert_eq!(value(severity), None, "the built-in table");
    scratch
        .write("memleak.yml", "sampling:\n  interval: 150ms\nseverity: [{level: high, confidence: 80%}]\n");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = agent.post(exporter.url("/-/reload")).send_empty().expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    expect(successful, 1.0);
    expect(interval, 0.15);
    expect(severity, 0.8);
    let ticks = exporter.ticks();
    wait_for("ticks under the new configuration", PATIENCE, || {
        (exporter.ticks() > ticks + 3.0).then_some(())
    });
}

#[test]
fn rules_come_and_go_with_the_configuration_and_are_absent_without_it() {
    let scratch = Scratch::new("budgets");
    let own = std::process::id().to_string();
    // The exporter itself is a target, whatever else runs here.
    let configuration = |rest: &str| {
        format!(
            "sampling:\n  interval: 200ms\nprocesses:\n  include: [watcher]\n  rules:\n  - name: watcher\n    \
             executable: memleak_exporte.*\n    command_line: budgets-{own}\n{rest}"
        )
    };
    let exporter = Exporter::start_configured(&scratch, &configuration(""), &[]);
    let watcher = [("target", "watcher"), ("area", "anon")];
    let rules = || {
        let scrape = exporter.scrape();
        let of_rules = |name: &str| name.starts_with("memleak_threshold_") || name.contains("_budget_");
        scrape.value("memleak_area_size_bytes", &watcher)?;
        Some(scrape.0.into_iter().filter(|series| of_rules(&series.name)).collect::<Vec<_>>())
    };
    let told = wait_for("the target", PATIENCE, rules);
    assert_eq!(told, []);

    let reload = |rest: &str| {
        scratch.write("memleak.yml", &configuration(rest));
        exporter.process.signal(Signal::HUP);
    };
    reload(
        "targets: [{name: watch.*, thresholds: {size: {warning: 1GiB, critical: 2GiB}, growth_share: 20%}}]\n",
    );
    let told = wait_for("its numbers", PATIENCE, || rules().filter(|told| !told.is_empty()));
    let shown: Vec<(&str, &str, &str, f64)> = told
        .iter()
        .map(|told| (&*told.name, &*told.labels["rule"], &*told.labels["level"], told.value))
        .collect();
    assert_eq!(
        shown,
        [
            ("memleak_threshold_bytes", "size", "warning", 1_073_741_824.0),
            ("memleak_threshold_bytes", "size", "critical", 2_147_483_648.0),
            ("memleak_threshold_ratio", "growth_share", "warning", 0.2),
            ("memleak_threshold_seconds", "window", "any", 1800.0),
        ]
    );

    reload("sensitivity: off\n");
    wait_for("the model alone", PATIENCE, || rules().filter(Vec::is_empty));
}

#[test]
fn a_shorter_interval_does_not_wait_for_the_end_of_the_old_one() {
    let scratch = Scratch::new("shorter");
    let exporter = Exporter::start_configured(&scratch, "sampling:\n  interval: 1h\n", &[]);
    wait_for("the first tick", PATIENCE, || (exporter.ticks() > 0.0).then_some(()));
    scratch.write("memleak.yml", "sampling:\n  interval: 200ms\n");
    exporter.process.signal(Signal::HUP);
    wait_for("ticks at the new interval", PATIENCE, || (exporter.ticks() > 3.0).then_some(()));
}

#[test]
fn what_waits_to_be_pushed_survives_a_reload_that_does_not_concern_it() {
    let scratch = Scratch::new("queue");
    let endpoint = free_port();
    let configuration = |interval: &str, queue: u32| {
        format!(
            "sampling:\n  interval: {interval}\notlp:\n  endpoint: http://127.0.0.1:{endpoint}\n  \
             protocol: http/protobuf\n  interval: 1h\n  queue: {queue}\n"
        )
    };
    let exporter = Exporter::start_configured(&scratch, &configuration("1h", 5), &[]);
    // A selected page is made for each scrape, the others once a tick: here that would be too seldom.
    let value = |name: &str| {
        let page = get(&exporter.url("/metrics?exclude[]=process")).1;
        Scrape::parse(&page).value(name, &[]).unwrap_or(0.0)
    };
    let waiting = || value("memleak_exporter_otlp_queue_batches");
    wait_for("a batch that waits", PATIENCE, || (waiting() > 0.0).then_some(()));

    // A new pusher would have pushed, and queued, only what it saw itself: nothing before the next tick.
    let reload = |interval: &str, queue: u32, secs: f64| {
        scratch.write("memleak.yml", &configuration(interval, queue));
        exporter.process.signal(Signal::HUP);
        wait_for("the reload", PATIENCE, || {
            let interval = value("memleak_exporter_sampling_interval_seconds");
            ((interval - secs).abs() < 1e-9).then_some(())
        });
    };
    reload("30m", 5, 1800.0);
    assert!(waiting() > 0.0, "the queue was lost");
    reload("40m", 6, 2400.0);
    assert!(waiting() < 1.0, "another configuration of the push is another push");
}
