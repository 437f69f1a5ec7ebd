//! A working day in fast motion: what the exporter itself holds must not grow while everything around it moves.

use crate::{
    exporter::{Exporter, Scratch, get},
    process::pause,
};
use rustix::process::Signal;
use std::{
    fs,
    io::Write as _,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

/// Ticks of eight hours at the default interval, three seconds.
const TICKS: f64 = 9_600.0;
/// Services at any time.
const SERVICES: u32 = 200;
/// Services that end in a round, with as many that start.
const CHANGES: u32 = 2;
/// Clients at any time that ask for something and never read, or never finish to ask.
const SLOW_CLIENTS: usize = 12;
const ROUND: Duration = Duration::from_millis(250);
/// What the second half may hold more than the quarter before it: what an allocator scatters, no more.
const MOST_GROWTH_BYTES: f64 = 400_000.0;

/// A directory in the form of `/proc`, of services that come and go.
struct Services {
    proc: PathBuf,
    first: u32,
    next: u32,
}

impl Services {
    fn new(proc: PathBuf) -> Self {
        let write = |name: &str, text: &str| fs::write(proc.join(name), text).expect("our own directory");
        fs::create_dir_all(proc.join("sys/kernel/random")).expect("our own directory");
        write("stat", "cpu 1 2 3 4\nbtime 1700000000\n");
        write("uptime", "1000000.00 1000000.00\n");
        write("meminfo", "MemTotal: 64000000 kB\nMemFree: 32000000 kB\nMemAvailable: 32000000 kB\n");
        write("sys/kernel/random/boot_id", "00000000-0000-4000-8000-000000000000\n");
        let mut services = Self { proc, first: 1_000, next: 1_000 };
        (0..SERVICES).for_each(|_| services.start());
        services
    }

    fn directory(&self, pid: u32) -> PathBuf {
        self.proc.join(pid.to_string())
    }

    fn start(&mut self) {
        let pid = self.next;
        self.next += 1;
        let directory = self.directory(pid);
        fs::create_dir_all(directory.join("fd")).expect("our own directory");
        let write =
            |name: &str, text: String| fs::write(directory.join(name), text).expect("our own directory");
        // A few hundred names in turn: some are remembered, some are forgotten.
        let name = format!("service-{}", pid % 700);
        write("cmdline", format!("/usr/bin/{name}\0--number={pid}\0"));
        write("cgroup", format!("0::/system.slice/{name}.service\n"));
        let zeros = ["0"; 13].join(" ");
        write(
            "stat",
            format!("{pid} ({name}) S 1 {pid} {pid} 0 -1 {zeros} 20 0 4 0 {pid}00 900000000 20000\n"),
        );
        let executable = format!("/usr/bin/{name}");
        std::os::unix::fs::symlink(executable, directory.join("exe")).expect("our own directory");
        self.resize(pid, 20_000);
    }

    fn resize(&self, pid: u32, pages: u32) {
        let directory = self.directory(pid);
        let (kilobytes, anonymous) = (4 * pages, 3 * pages);
        let write =
            |name: &str, text: String| fs::write(directory.join(name), text).expect("our own directory");
        write("statm", format!("200000 {pages} {} 1 0 5 0\n", pages / 4));
        write(
            "status",
            format!(
                "Name:\tservice\nState:\tS (sleeping)\nVmSize:\t800000 kB\nVmHWM:\t{kilobytes} kB\nVmRSS:\t{kilobytes} kB\n\
                 RssAnon:\t{anonymous} kB\nRssFile:\t{pages} kB\nRssShmem:\t0 kB\nVmSwap:\t0 kB\nThreads:\t4\n"
            ),
        );
    }

    /// A few end, as many start, and all others go on: every seventh leaks.
    fn go_on(&mut self, round: u32) {
        for _ in 0..CHANGES {
            fs::remove_dir_all(self.directory(self.first)).expect("our own directory");
            self.first += 1;
            self.start();
        }
        for pid in (self.first..self.next).filter(|pid| pid % 10 == round % 10) {
            let age = (pid - 1_000) / CHANGES;
            let leaked = if pid % 7 == 0 { 20 * round.saturating_sub(age) } else { 0 };
            self.resize(pid, 20_000 + leaked + pid.wrapping_mul(7_919).wrapping_add(round) % 97);
        }
    }
}

/// Clients that ask and do not read, ask half, or say nothing.
fn slow_client(address: &str, number: u32) -> Option<TcpStream> {
    let mut client = TcpStream::connect(address).ok()?;
    let said: &[u8] = match number % 3 {
        0 => b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        1 => b"GET /metrics HTTP/1.1\r\nHost: loc",
        _ => b"",
    };
    client.write_all(said).ok()?;
    Some(client)
}

fn anonymous_bytes(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("our own child");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line of status");
    1024.0 * line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number")
}

fn configuration(dead: &str, reload: u32) -> String {
    // Every reload changes something, so that it is one.
    format!(
        "sampling: {{interval: 100ms}}\nprocesses: {{judge: [anon, fds]}}\nlimits: {{targets: {}}}\n\
         applications:\n- {{name: dead, prometheus: 'http://{dead}/metrics'}}\ndirectories:\n- {{path: /proc}}\n",
        1_000 + reload % 2
    )
}

/// The environment that the unit gives it, names and values.
fn as_deployed() -> Vec<(String, String)> {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/memleak_exporter.service");
    let unit = fs::read_to_string(unit).expect("our own unit");
    let lines = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
    let pairs = lines.flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('='));
    let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert!(pairs.iter().any(|(name, _)| name == "MALLOC_MMAP_THRESHOLD_"), "{pairs:?}");
    pairs
}

#[test]
fn eight_hours_in_fast_motion_leave_no_trace_in_its_own_memory() {
    if std::env::var_os("MEMLEAK_TEST_LONG").is_none() {
        return;
    }
    let scratch = Scratch::new("soak");
    // It takes connections and never answers.
    let dead = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let dead = dead.local_addr().expect("bound").to_string();
    let mut services = Services::new(scratch.path.join("proc"));
    let procfs = format!("--path.procfs={}", services.proc.display());
    let rootfs = format!("--path.rootfs={}", scratch.path.display());
    let text = configuration(&dead, 0);
    let storage = format!("--storage.path={}", scratch.path.join("remembered").display());
    let file = format!("--config.file={}", scratch.write("memleak.yml", &text).display());
    let mut command = Exporter::command();
    let exporter =
        Exporter::start_with(command.args([&file, &procfs, &rootfs, &storage]).envs(as_deployed()));
    let (mut held, mut slow, mut round) = (Vec::new(), Vec::new(), 0u32);
    let mut ticks = 0.0;
    while ticks < TICKS {
        round += 1;
        services.go_on(round);
        slow.extend(slow_client(exporter.address(), round));
        if slow.len() > SLOW_CLIENTS {
            slow.remove(0);
        }
        if round % 15 == 0 {
            scratch.write("memleak.yml", &configuration(&dead, round / 15));
            exporter.process.signal(Signal::HUP);
        }
        if round % 20 == 0 {
            let (status, _) = get(&exporter.url("/"));
            assert_eq!(status, 200);
            ticks = exporter.ticks();
            held.push((ticks, anonymous_bytes(exporter.process.pid())));
        }
        pause(ROUND);
    }
    let least = |from: f64, to: f64| {
        let part = held.iter().filter(|(at, _)| (from * TICKS..to * TICKS).contains(at));
        part.map(|(_, bytes)| *bytes).fold(f64::INFINITY, f64::min)
    };
    let quarters = [least(0.0, 0.25), least(0.25, 0.5), least(0.5, 0.75), least(0.75, 1.0)];
    let reloads = exporter.scrape().value("memleak_exporter_config_last_reload_successful", &[]);
    eprintln!("{ticks} ticks, {round} rounds, {quarters:?} bytes held at least in each quarter");
    assert_eq!(reloads, Some(1.0));
    assert!(quarters[3] - quarters[1] < MOST_GROWTH_BYTES, "{quarters:?}: {held:?}");
}
