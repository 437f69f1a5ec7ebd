//! One leak, one alarm: on a machine in files, a process leaks, its control group and the machine grow with it, and the
//! kernel's memory of another group grows by itself.

use crate::exporter::{Exporter, Scratch};
use crate::exposition::Scrape;
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(400);
/// The machine changes faster than it is looked at, so that every look finds another size.
const STEP: Duration = Duration::from_millis(20);
/// What leaks leaks so many bytes a second: a hundredth of its size in each tick's twentieth.
const BYTES_PER_SEC: f64 = 2e6;
const BEGINNING: f64 = 2e8;
const PAGE: f64 = 4096.0;

/// A machine in files.
struct Machine {
    scratch: Scratch,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { scratch: Scratch::new("explained") };
        let process = "10 (leaky) S 1 10 10 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 500 0 0\n";
        for (path, text) in [
            ("proc/uptime", "900000.00 1.00\n"),
            ("proc/10/stat", process),
            ("proc/10/cmdline", "/bin/leaky\0"),
            ("proc/10/cgroup", "0::/leaky.service\n"),
            ("proc/10/limits", "\n"),
            ("sys/fs/cgroup/cgroup.controllers", "memory\n"),
            ("sys/fs/cgroup/leaky.service/memory.max", "max\n"),
            ("sys/fs/cgroup/leaky.service/cgroup.procs", "10\n"),
            ("sys/fs/cgroup/hidden.service/memory.max", "max\n"),
            ("sys/fs/cgroup/hidden.service/cgroup.procs", "10\n"),
        ] {
            let path = machine.path(path);
            fs::create_dir_all(path.parent().expect("below our own")).expect("our own directory");
            fs::write(path, text).expect("our own directory");
        }
        machine.set(0.0);
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.scratch.path.join(path)
    }

    /// The machine after so many seconds. Each file is overwritten in one go and never shorter than before, so that
    /// nobody sees half of it.
    fn set(&self, secs: f64) {
        let leaky = BEGINNING + BYTES_PER_SEC * secs;
        // Half as fast, and of no process that is seen.
        let hidden = BEGINNING + BYTES_PER_SEC / 2.0 * secs;
        let (pages, kibibytes) = ((leaky / PAGE).floor(), (leaky / 1024.0).floor());
        self.overwrite("proc/10/statm", &format!("{:020} {pages:020} {:020} 1 0 5 0\n", pages + 500.0, 0));
        self.overwrite(
            "proc/10/status",
            &format!(
                "Name:\tleaky\nVmHWM:\t{kibibytes:020} kB\nVmRSS:\t{kibibytes:020} kB\nRssAnon:\t{kibibytes:020} kB\n\
                 VmSwap:\t0 kB\nThreads:\t1\n"
            ),
        );
        for (group, anon) in [("leaky", leaky), ("hidden", hidden)] {
            let path = format!("sys/fs/cgroup/{group}.service/memory.stat");
            self.overwrite(&path, &format!("anon {:020}\nfile 0\nslab 0\n", anon.floor()));
        }
        self.overwrite(
            "proc/meminfo",
            &format!(
                "MemTotal: 64000000 kB\nMemAvailable: 60000000 kB\nAnonPages: {:020} kB\nSUnreclaim: 100000 kB\n",
                ((leaky + hidden) / 1024.0).floor()
            ),
        );
    }

    fn overwrite(&self, path: &str, text: &str) {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(path))
            .expect("our own directory");
        file.write_all(text.as_bytes()).expect("our own directory");
    }
}

#[test]
fn a_leak_in_a_process_explains_its_group_and_one_beside_it_stays_an_alarm() {
    let machine = Arc::new(Machine::new());
    let ended = Arc::new(AtomicBool::new(false));
    let (growing, until) = (Arc::clone(&machine), Arc::clone(&ended));
    let growth = thread::spawn(move || {
        let began = crate::process::now();
        while !until.load(Ordering::Relaxed) {
            growing.set(crate::process::now().duration_since(began).as_secs_f64());
            crate::process::pause(STEP);
        }
    });
    let rootfs = format!("--path.rootfs={}", machine.scratch.path.display());
    let exporter = Exporter::start_configured(&machine.scratch, "sampling:\n  interval: 100ms\n", &[&rootfs]);
    let value = |scrape: &Scrape, name: &str, kind: &str, target: &str| {
        scrape.value(name, &[("kind", kind), ("target", target), ("area", "anon")])
    };
    let owners = [
        ("process", "leaky.service"),
        ("cgroup", "leaky.service"),
        ("cgroup", "hidden.service"),
        ("host", "host"),
    ];
    let scrape = exporter.scrape_until("four confirmed verdicts", PATIENCE, |scrape| {
        let state = |(kind, target)| value(scrape, "memleak_area_leak_state", kind, target);
        owners.into_iter().all(|owner| state(owner) == Some(2.0)).then(|| scrape.clone())
    });
    let explained = owners.map(|(kind, target)| value(&scrape, "memleak_area_leak_explained", kind, target));
    assert_eq!(explained, [None, Some(1.0), Some(0.0), Some(1.0)], "{owners:?}");
    let slab = [("kind", "host"), ("area", "slab_unreclaimable")];
    assert_eq!(scrape.value("memleak_area_leak_state", &slab), Some(0.0));
    let warnings: Vec<String> = exporter
        .process
        .output()
        .lines()
        .filter(|line| line.contains("level=warn") && line.contains("leak confirmed"))
        .map(str::to_owned)
        .collect();
    assert!(warnings.iter().any(|line| line.contains("kind=process")), "{warnings:?}");
    assert!(warnings.iter().any(|line| line.contains("hidden.service")), "{warnings:?}");
    ended.store(true, Ordering::Relaxed);
    growth.join().expect("it only writes");
}
