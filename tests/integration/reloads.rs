//! Reloads: a good configuration takes over, a bad one changes nothing and says so.

use crate::{
    exporter::{Exporter, Scratch},
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

    scratch.write("memleak.yml", "sampling:\n  interval: 150ms\n");
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let answer = agent.post(exporter.url("/-/reload")).send_empty().expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    expect(successful, 1.0);
    expect(interval, 0.15);
    let ticks = exporter.ticks();
    wait_for("ticks under the new configuration", PATIENCE, || {
        (exporter.ticks() > ticks + 3.0).then_some(())
    });
}
