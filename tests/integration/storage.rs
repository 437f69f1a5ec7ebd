//! What was learned survives the exporter, however it ends.

use crate::{
    exporter::{Exporter, Scratch},
    exposition::Scrape,
    process::{Process, wait_for},
};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Far fewer than a first verdict needs.
const FEW_TICKS: f64 = 40.0;
const LAST_SAVE: &str = "memleak_exporter_storage_last_save_timestamp_seconds";
const GROWTH: &str = "memleak_area_growth_bytes_per_second";

/// A copy of the fixture tree, to be changed, and a directory for the state.
struct Host {
    scratch: Scratch,
}

impl Host {
    fn new(name: &str) -> Self {
        let host = Self { scratch: Scratch::new(name) };
        copy(&fixture(), &host.scratch.path.join("host"));
        let random = host.proc("sys/kernel/random");
        fs::create_dir_all(&random).expect("our own directory");
        fs::write(random.join("boot_id"), "7d0ac04f-3c52-4a3e-9d5f-5b1a6f0e8c11\n")
            .expect("our own directory");
        host
    }

    fn proc(&self, path: &str) -> PathBuf {
        self.scratch.path.join("host/proc").join(path)
    }

    fn state(&self) -> PathBuf {
        self.scratch.path.join("state")
    }

    fn flags(&self) -> [String; 3] {
        [
            format!("--path.procfs={}", self.proc("").display()),
            format!("--path.sysfs={}", self.scratch.path.join("host/sys").display()),
            format!("--storage.path={}", self.state().display()),
        ]
    }

    fn start(&self) -> Exporter {
        let flags = self.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Exporter::start_configured(&self.scratch, "sampling:\n  interval: 100ms\n", &flags)
    }
}

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("our own directory");
    for entry in fs::read_dir(from).expect("the fixture") {
        let entry = entry.expect("readable");
        let (source, goal) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().expect("readable") {
            kind if kind.is_dir() => copy(&source, &goal),
            kind if kind.is_symlink() => {
                std::os::unix::fs::symlink(fs::read_link(&source).expect("a link"), &goal).expect("ours");
            }
            _ => {
                fs::copy(&source, &goal).expect("our own directory");
            }
        }
    }
}

fn restarts(scrape: &Scrape, target: &str) -> Option<f64> {
    scrape.value("memleak_target_restarts_total", &[("target", target)])
}

/// What is shown after the first ticks, which see everybody but are too few for a verdict.
pub(crate) fn first_sight(exporter: &Exporter) -> Scrape {
    let scrape = wait_for("the first ticks", PATIENCE, || {
        let scrape = exporter.scrape();
        let ticks = scrape.value("memleak_exporter_ticks_total", &[]).unwrap_or(0.0);
        (ticks >= 1.0).then_some((ticks, scrape))
    });
    assert!(scrape.0 < FEW_TICKS, "too late to tell: {} ticks", scrape.0);
    scrape.1
}

/// Waits until all of what is shown now is saved.
pub(crate) fn wait_for_a_save(exporter: &Exporter) {
    let tick = |scrape: &Scrape| scrape.value("memleak_exporter_last_tick_timestamp_seconds", &[]);
    let seen = exporter.scrape_until("a tick", PATIENCE, tick);
    exporter.scrape_until("a save", PATIENCE, |scrape| scrape.value(LAST_SAVE, &[]).filter(|at| *at > seen));
}

#[test]
fn what_was_learned_survives_a_kill_and_a_broken_state_does_not_stop_it() {
    const NODE: &str = "node server.js";
    const SETTLED: &str = "nginx.service";
    let host = Host::new("storage");
    let mut exporter = host.start();
    // It lives long enough to be no mere command, goes, and comes back as another process.
    wait_for("a life", PATIENCE, || (exporter.ticks() > 15.0).then_some(()));
    fs::remove_dir_all(host.proc("200")).expect("our own directory");
    exporter.scrape_until("its absence", PATIENCE, |scrape| {
        scrape
            .value("memleak_target_present", &[("target", NODE)])
            .is_none_or(|there| there == 0.0)
            .then_some(())
    });
    let stat = fs::read_to_string(fixture().join("proc/200/stat")).expect("the fixture");
    let successor = host.scratch.path.join("successor");
    copy(&fixture().join("proc/200"), &successor);
    fs::write(successor.join("stat"), stat.replace(" 12345 ", " 99999 ")).expect("our own directory");
    fs::rename(&successor, host.proc("200")).expect("the same file system");
    exporter
        .scrape_until("the restart", PATIENCE, |scrape| restarts(scrape, NODE).filter(|count| *count == 1.0));
    exporter.scrape_until("a verdict", PATIENCE, |scrape| scrape.area(GROWTH, SETTLED, "anon"));
    wait_for_a_save(&exporter);
    exporter.process.signal(Signal::KILL);
    exporter.process.wait(PATIENCE);

    let mut exporter = host.start();
    let scrape = first_sight(&exporter);
    assert_eq!((restarts(&scrape, NODE), restarts(&scrape, SETTLED)), (Some(1.0), Some(0.0)));
    assert!(scrape.area(GROWTH, SETTLED, "anon").is_some(), "the past of {SETTLED} is lost");
    assert_eq!(scrape.value("memleak_exporter_storage_save_failures_total", &[]), Some(0.0));
    second_is_refused(&host);
    assert!(exporter.process.end().success());

    fs::write(host.state().join("state"), "scribble").expect("our own directory");
    let mut exporter = host.start();
    exporter.process.line_with("the saved state cannot be used", PATIENCE);
    let scrape = first_sight(&exporter);
    assert_eq!((scrape.area(GROWTH, SETTLED, "anon"), restarts(&scrape, NODE)), (None, Some(0.0)));
    assert_eq!(fs::read_to_string(host.state().join("state.broken")).expect("set aside"), "scribble");
}

fn second_is_refused(host: &Host) {
    let mut second =
        Process::start(Exporter::command().args(host.flags()).arg("--web.listen-address=127.0.0.1:0"));
    second.line_with("another memleak_exporter uses", PATIENCE);
    assert_eq!(second.wait(PATIENCE).code(), Some(1));
}

#[test]
fn without_the_flag_nothing_is_kept_and_nothing_is_said() {
    let host = Host::new("nothing-kept");
    let flags = &host.flags()[..2];
    let exporter = Exporter::start(&[flags[0].as_str(), flags[1].as_str()]);
    let scrape = first_sight(&exporter);
    assert_eq!(scrape.value("memleak_exporter_storage_save_failures_total", &[]), None);
    assert_eq!(scrape.value(LAST_SAVE, &[]), None);
    assert!(!exporter.process.output().contains("state"), "{}", exporter.process.output());
}
