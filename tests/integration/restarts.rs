//! A process that comes back under the same name is a restart, not memory that shrank and leaks again.

use crate::{
    exporter::{Exporter, Scratch},
    programs::Family,
};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const PROGRAMS: Family = Family::new("restarts", 3);

#[test]
fn a_restart_is_counted_and_begins_a_new_series() {
    let scratch = Scratch::new("restarts");
    let target = PROGRAMS.target("c", "steady");
    let expected = format!("  expected: ['{target}']\n");
    let exporter = Exporter::start_configured(&scratch, &PROGRAMS.configuration("100ms", &expected), &[]);
    let present = |scrape: &crate::exposition::Scrape| {
        scrape.value("memleak_target_present", &[("target", target.as_str())])
    };
    exporter
        .scrape_until("the absent target", PATIENCE, |scrape| present(scrape).filter(|there| *there == 0.0));

    let first = PROGRAMS.start("c", "steady", &["--base", "60000000"]);
    exporter.scrape_until("a first verdict", PATIENCE, |scrape| {
        scrape.area("memleak_area_growth_bytes_per_second", &target, "anon")
    });
    let restarts = |scrape: &crate::exposition::Scrape| {
        scrape.value("memleak_target_restarts_total", &[("target", target.as_str())])
    };
    assert_eq!(restarts(&exporter.scrape()), Some(0.0));

    drop(first);
    let _second = PROGRAMS.start("c", "steady", &["--base", "20000000"]);
    exporter.scrape_until("the restart", PATIENCE, |scrape| restarts(scrape).filter(|count| *count == 1.0));
    let scrape = exporter.scrape();
    assert_eq!(present(&scrape), Some(1.0));
    let size = scrape.area("memleak_area_size_bytes", &target, "anon").expect("it runs");
    assert!(size < 40e6, "{size}");
    // The new process has no past: what the exporter says of it at first is nothing, and then that it is stable.
    let growth = exporter.scrape_until("a verdict on the new process", PATIENCE, |scrape| {
        scrape.area("memleak_area_growth_bytes_per_second", &target, "anon")
    });
    assert!(growth.abs() < 1e5, "{growth} bytes a second");
    let shrinking = [("target", target.as_str()), ("pattern", "shrinking")];
    assert_eq!(exporter.scrape().value("memleak_area_pattern", &shrinking), Some(0.0));
    assert!(exporter.process.output().contains("target restarted"));
}
