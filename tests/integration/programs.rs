//! The watched programs: real ones in five runtimes, leaking or not.

use crate::{exporter::Scratch, process::Process};
use std::{path::PathBuf, time::Duration};

/// The programs of one test. Tests run side by side, and so may whole test runs, so each tells its own programs apart
/// from the others' by their seed, and names them by rule.
pub(crate) struct Family {
    name: &'static str,
    /// Below [`FAMILIES`], another for each test.
    number: u32,
}

/// So many families are told apart within one run.
const FAMILIES: u32 = 100;

/// A program that runs until it is dropped.
pub(crate) struct Program {
    pub(crate) process: Process,
    /// The name of its target.
    pub(crate) target: String,
}

impl Family {
    pub(crate) const fn new(name: &'static str, number: u32) -> Self {
        Self { name, number }
    }

    /// What tells its programs from those of others.
    pub(crate) fn seed(&self) -> u32 {
        std::process::id() * FAMILIES + self.number
    }

    /// Starts a behaviour in a runtime and waits until it has allocated its base.
    pub(crate) fn start(&self, runtime: &str, behaviour: &str, options: &[&str]) -> Program {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs/start");
        let mut command = Process::command(script);
        command.env("PROGRAMS_DIR", directory()).args([runtime, behaviour]).args(options);
        command.args(["--seed", &self.seed().to_string()]);
        let mut process = Process::start(&mut command);
        process.line_with("ready", Duration::from_secs(60));
        Program { process, target: self.target(runtime, behaviour) }
    }

    /// Starts a copy of the steady program in C under another name, which must end in `-c`.
    pub(crate) fn start_under(&self, scratch: &Scratch, name: &str) -> Program {
        let copy = scratch.path.join(name);
        std::fs::copy(directory().join("steady-c"), &copy).expect("a copy in our own directory");
        let mut command = Process::command(copy);
        command.args(["--behaviour", "steady", "--seed", &self.seed().to_string()]);
        let mut process = Process::start(&mut command);
        process.line_with("ready", Duration::from_secs(60));
        Program { process, target: format!("{}: {name}", self.name) }
    }

    /// The name of the target that a program makes.
    pub(crate) fn target(&self, runtime: &str, behaviour: &str) -> String {
        let program = match runtime {
            "node" => format!("node {behaviour}.js"),
            "python" => format!("python {behaviour}.py"),
            "java" => format!("java {behaviour}.jar"),
            native => format!("{behaviour}-{native}"),
        };
        format!("{}: {program}", self.name)
    }

    /// A configuration under which nothing but this family is watched; `rest` goes on below `processes`.
    pub(crate) fn configuration(&self, interval: &str, rest: &str) -> String {
        let (name, seed) = (self.name, self.seed());
        format!(
            "sampling:\n  interval: {interval}\n  full_interval: 5s\ncgroups:\n  include: ['{name}']\nhost:\n  judge: []\nprocesses:\n  include: ['{name}: .*']\n  rules:\n  \
             - name: '{name}: {{script}}'\n    executable: node|java|python.*\n    command_line: '--seed {seed}$'\n  \
             - name: '{name}: {{executable}}'\n    executable: '.*-(go|c)'\n    command_line: '--seed {seed}$'\n{rest}"
        )
    }
}

impl Program {
    /// Anonymous resident memory by the kernel's own account, in bytes.
    pub(crate) fn anonymous_bytes(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024.0)
    }
}

fn directory() -> PathBuf {
    std::env::var_os("MEMLEAK_TEST_PROGRAMS").map_or_else(
        || panic!("MEMLEAK_TEST_PROGRAMS is not set: run tests/run, or tests/programs/build and set it"),
        PathBuf::from,
    )
}
