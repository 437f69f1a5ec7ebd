//! The watched programs: real ones in five runtimes, leaking or not.

use crate::process::Process;
use std::{path::PathBuf, time::Duration};

/// A program that runs until it is dropped.
pub(crate) struct Program {
    pub(crate) process: Process,
    /// The name of its target.
    pub(crate) target: String,
}

impl Program {
    /// Starts a behaviour in a runtime and waits until it has allocated its base.
    pub(crate) fn start(runtime: &str, behaviour: &str, options: &[&str]) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs/start");
        let mut command = Process::command(script);
        command.env("PROGRAMS_DIR", directory()).args([runtime, behaviour]).args(options);
        let mut process = Process::start(&mut command);
        process.line_with("ready", Duration::from_secs(60));
        let target = match runtime {
            "node" => format!("node {behaviour}.js"),
            "python" => format!("python {behaviour}.py"),
            "java" => format!("java {behaviour}.jar"),
            native => format!("{behaviour}-{native}"),
        };
        Self { process, target }
    }

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

/// A configuration under which nothing but the watched programs is watched.
pub(crate) fn only_the_programs(interval: &str, rest: &str) -> String {
    format!(
        "sampling:\n  interval: {interval}\n  full_interval: 5s\nprocesses:\n  group_by: [script, executable]\n  \
         include: ['.*(leak|sawtooth|warmup|daily|step|steady)[.-].*']\n{rest}"
    )
}
