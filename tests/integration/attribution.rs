//! Programs that leak in one place each: the exporter must say which, and name no other.
//!
//! They are named in the configuration, so that nobody waits for a suspicion; `leaks.rs` looks at suspects.

use crate::{
    exporter::{Exporter, Scratch},
    exposition::Scrape,
    process::Process,
};
use rustix::process::Signal;
use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(180);
/// A leak has risen by so much before it is looked at.
const RISEN_BYTES: f64 = 8e6;
/// V8 needs some memory of its own beside its heap until it has grown a little.
const RISEN_OBJECTS_BYTES: f64 = 32e6;
/// The same of sockets.
const RISEN_SOCKETS: f64 = 50.0;
/// What else grows in a program that leaks may grow by this share of the leak.
const OTHERS_SHARE: f64 = 0.2;
/// Parts add up to resident and swapped memory within this share.
const SUM_SHARE: f64 = 0.01;
/// At most so much of what is outside of the heaps is unknown.
const UNKNOWN_SHARE: f64 = 0.3;
/// Where a database would listen.
const DATABASE_PORT: u16 = 5432;

/// Where each program leaks.
const MEMORY: [(&str, &str); 6] = [
    ("malloc", "heap"),
    ("pool", "module:module.so"),
    ("objects", "runtime_heap"),
    ("buffers", "anonymous"),
    ("shared", "shared_memory"),
    ("files", "mapped_files"),
];

#[test]
fn each_leak_is_told_to_be_where_it_is() {
    let scratch = Scratch::new("attribution");
    let database = Ipv4Addr::new(127, 99, pid_byte(1), pid_byte(0));
    let _database = listen(database);
    let module = build_module(&scratch.path);
    let file = scratch.write("pages", "");
    std::fs::File::options().write(true).open(&file).unwrap().set_len(1 << 30).unwrap();
    let path = |path: &Path| path.display().to_string();
    let (host, port) = (database.to_string(), DATABASE_PORT.to_string());
    let programs = [
        python(&["malloc", &path(&module)]),
        python(&["pool", &path(&module)]),
        node("objects"),
        node("buffers"),
        python(&["shared"]),
        python(&["files", &path(&file)]),
        python(&["sockets", &host, &port]),
    ];
    let exporter = Exporter::start_configured(&scratch, &configuration(), &[]);
    let first = exporter.scrape_until("a reading of each", PATIENCE, |scrape| {
        let read = scrape.all("memleak_attribution_bytes", &[("part", "unknown")]).count();
        (read == programs.len()).then(|| parts_of_all(scrape))
    });
    for (kind, part) in MEMORY {
        let before =
            first.iter().find(|(of, name, _)| of == kind && name == part).map_or(0.0, |(_, _, size)| *size);
        exporter.scrape_until(&format!("the leak of {kind} in {part}"), PATIENCE, |scrape| {
            let risen = if kind == "objects" { RISEN_OBJECTS_BYTES } else { RISEN_BYTES };
            (size(scrape, kind, part)? >= before + risen).then_some(())
        });
    }
    let scrape = exporter.scrape_until("sockets", PATIENCE, |scrape| {
        let sockets =
            descriptors(scrape, "sockets").into_iter().find(|(name, _)| name == "socket_postgres")?;
        // Growth is told from several readings in a row, which on a busy machine come late.
        let is_told = |(kind, part): &(&str, &str)| {
            let growths = growths(scrape, kind, "memleak_attribution_growth_bytes_per_second");
            growths.iter().any(|(name, growth)| name == part && *growth > 0.0)
        };
        let of_sockets = growths(scrape, "sockets", "memleak_attribution_growth_descriptors_per_second");
        let are_told = !of_sockets.is_empty() && MEMORY.iter().all(is_told);
        (sockets.1 >= RISEN_SOCKETS && are_told).then(|| scrape.clone())
    });
    for (kind, part) in MEMORY {
        is_told(&growths(&scrape, kind, "memleak_attribution_growth_bytes_per_second"), kind, part);
    }
    let growth = growths(&scrape, "sockets", "memleak_attribution_growth_descriptors_per_second");
    is_told(&growth, "sockets", "socket_postgres");
    let accused = scrape.area("memleak_area_leak_state", &target("files"), "anon");
    assert!(accused.is_none_or(|state| state == 0.0), "pages of files are no leak: {accused:?}");
    for program in &programs {
        adds_up(&exporter, program);
    }
}

/// The part grows, and no other to speak of. Pages of files are no leak, so that others may read some.
fn is_told(growths: &[(String, f64)], kind: &str, part: &str) {
    let leak = growths.iter().find(|(name, _)| name == part).map_or(0.0, |(_, growth)| *growth);
    let others = growths.iter().filter(|(name, _)| name != part && name != "mapped_files");
    let most = others.map(|(_, growth)| *growth).fold(0.0, f64::max);
    assert!(leak > 0.0 && most < OTHERS_SHARE * leak, "{kind} in {part}: {growths:?}");
}

/// Stops a program, so that it and what is said of it are the same, and compares the two.
fn adds_up(exporter: &Exporter, program: &Program) {
    program.process.signal(Signal::STOP);
    let read_at = |scrape: &Scrape| {
        scrape.value(
            "memleak_attribution_last_reading_timestamp_seconds",
            &[("target", &target(&program.kind))],
        )
    };
    // Who has come under suspicion meanwhile begins anew, and is without a reading until the next one.
    let mut last = exporter.scrape_until("a reading", PATIENCE, read_at);
    // The next reading may have begun before it was stopped, the one behind it has not.
    for _ in 0..2 {
        last = exporter.scrape_until("a reading of what is stopped", PATIENCE, |scrape| {
            read_at(scrape).filter(|at| *at > last)
        });
    }
    let scrape = exporter.scrape();
    let parts = parts(&scrape, &program.kind);
    let sum: f64 = parts.iter().map(|(_, size)| size).sum();
    let of = |name: &str| parts.iter().find(|(part, _)| part == name).map_or(0.0, |(_, size)| *size);
    let in_memory = program.in_memory();
    assert!((sum / in_memory - 1.0).abs() < SUM_SHARE, "{}: {sum} of {in_memory}: {parts:?}", program.kind);
    let outside = in_memory - of("heap") - of("runtime_heap");
    assert!(of("unknown") < UNKNOWN_SHARE * outside, "{}: {parts:?}", program.kind);
    eprintln!(
        "{:8} {:6.1} MB, outside of the heaps {:6.1} MB, unknown {:.2} MB",
        program.kind,
        in_memory / 1e6,
        outside / 1e6,
        of("unknown") / 1e6
    );
}

struct Program {
    process: Process,
    kind: String,
}

impl Program {
    fn start(kind: &str, command: &mut Command) -> Self {
        let mut process = Process::start(command.arg(run()));
        process.line_with("ready", Duration::from_secs(60));
        Self { process, kind: kind.into() }
    }

    /// Resident and swapped memory by the kernel's own account, in bytes.
    fn in_memory(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).expect("it runs");
        let lines = status
            .lines()
            .filter_map(|line| line.strip_prefix("VmRSS:").or_else(|| line.strip_prefix("VmSwap:")));
        let kibibytes = lines.map(|line| line.trim().trim_end_matches(" kB").parse::<f64>().expect("a size"));
        kibibytes.sum::<f64>() * 1024.0
    }
}

fn python(arguments: &[&str]) -> Program {
    let mut command = Process::command("python3");
    command.arg("-B").arg(source("planted.py")).args(arguments);
    Program::start(arguments[0], &mut command)
}

fn node(kind: &str) -> Program {
    Program::start(kind, Process::command("node").arg(source("planted.js")).arg(kind))
}

fn source(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs/planted").join(name)
}

/// Compiles the native module.
fn build_module(directory: &Path) -> PathBuf {
    let module = directory.join("module.so");
    let mut gcc = Process::command("gcc");
    gcc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"])
        .arg(&module)
        .arg(source("module.c"));
    let output = gcc.output().expect("gcc is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    module
}

/// Takes connections and keeps them. All of 127.0.0.0/8 is this machine, so that no real database is in the way, nor
/// another run of this test.
fn listen(host: Ipv4Addr) -> thread::JoinHandle<()> {
    let listener = TcpListener::bind((host, DATABASE_PORT)).unwrap_or_else(|error| panic!("{host}: {error}"));
    thread::spawn(move || {
        let _kept: Vec<_> = listener.incoming().map_while(Result::ok).collect();
    })
}

fn pid_byte(number: usize) -> u8 {
    std::process::id().to_le_bytes()[number]
}

/// What tells the programs of this run from those of others.
fn run() -> String {
    format!("--run={}", std::process::id())
}

fn target(kind: &str) -> String {
    format!("planted {kind}")
}

fn configuration() -> String {
    let run = run();
    format!(
        "sampling: {{interval: 500ms}}\ncgroups: {{include: [planted]}}\nhost: {{judge: []}}\n\
         attribution: {{targets: ['planted .*'], interval: 1s, processes_per_tick: 10, time_per_tick: 5s}}\n\
         processes:\n  include: ['planted .*']\n  rules:\n  - name: 'planted {{kind}}'\n    \
         command_line: 'planted\\.(py|js) (?P<kind>\\w+).* {run}$'\n"
    )
}

/// Of a program the parts of one measure with their values.
fn values(scrape: &Scrape, kind: &str, name: &str) -> Vec<(String, f64)> {
    let target = target(kind);
    let labels = [("target", target.as_str())];
    scrape.all(name, &labels).map(|series| (series.labels["part"].clone(), series.value)).collect()
}

fn parts(scrape: &Scrape, kind: &str) -> Vec<(String, f64)> {
    values(scrape, kind, "memleak_attribution_bytes")
}

fn descriptors(scrape: &Scrape, kind: &str) -> Vec<(String, f64)> {
    values(scrape, kind, "memleak_attribution_descriptors")
}

fn growths(scrape: &Scrape, kind: &str, name: &str) -> Vec<(String, f64)> {
    values(scrape, kind, name)
}

fn size(scrape: &Scrape, kind: &str, part: &str) -> Option<f64> {
    parts(scrape, kind).into_iter().find(|(name, _)| name == part).map(|(_, size)| size)
}

/// Program, part and size of all.
fn parts_of_all(scrape: &Scrape) -> Vec<(String, String, f64)> {
    let of = |(kind, _): (&str, &str)| {
        let kind = String::from(kind);
        parts(scrape, &kind)
            .into_iter()
            .map(move |(name, size)| (kind.clone(), name, size))
            .collect::<Vec<_>>()
    };
    MEMORY.into_iter().flat_map(of).collect()
}
