//! The page in a real browser: Chromium opens it while a program really leaks (`tests/browser/check.mjs`).

use crate::{
    exporter::{Exporter, Scratch},
    peers::{directory, program},
    process::{Process, wait_for},
    programs::Family,
};
use std::{fs, path::PathBuf, time::Duration};

const PATIENCE: Duration = Duration::from_secs(900);
const PROGRAMS: Family = Family::new("page", 50);
const REST: &str = "attribution: {interval: 5s, processes_per_tick: 10, time_per_tick: 5s}\n";
/// A process may have any name, and this one is markup.
const HOSTILE: &str = "<img src=x onerror=alert(1)>-c";

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn a_person_finds_the_leak_and_what_to_do_about_it() {
    let scratch = Scratch::new("page");
    let _steady = PROGRAMS.start("c", "steady", &[]);
    let hostile = PROGRAMS.start_under(&scratch, HOSTILE);
    let exporter = Exporter::start_configured(&scratch, &PROGRAMS.configuration("100ms", REST), &[]);
    let leaking = PROGRAMS.start("python", "leak", &["--rate", "800000"]);

    let mut check =
        Process::start(Process::command(program("node")).arg(repository("tests/browser/check.mjs")).args([
            exporter.base.as_str(),
            &leaking.target,
            &hostile.target,
        ]));
    let status = check.wait(PATIENCE);
    wait_for("all that it says", PATIENCE, || check.has_said_all().then_some(()));
    assert!(status.success(), "{}", check.output());
}

#[test]
fn the_chart_library_is_what_its_authors_published() {
    let published = directory().join("browser/node_modules/uplot");
    let vendor = repository("src/http/page/vendor");
    let read = |path: PathBuf| fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (ours, theirs) in [
        ("uPlot.iife.min.js", "dist/uPlot.iife.min.js"),
        ("uPlot.min.css", "dist/uPlot.min.css"),
        ("uPlot.LICENSE", "LICENSE"),
    ] {
        assert!(read(vendor.join(ours)) == read(published.join(theirs)), "{ours} is not the published one");
    }
    let package: serde_json::Value =
        serde_json::from_slice(&read(published.join("package.json"))).expect("JSON");
    let version = package["version"].as_str().expect("a version");
    let told = String::from_utf8(read(vendor.join("README.md"))).expect("text");
    assert!(told.contains(&format!("uPlot {version}")), "the README tells the version {version}");
}
