//! The one place that starts a process.
//!
//! No shell stands between the configuration and the program, nothing of the exporter's environment is handed on but
//! `PATH` (the rest may hold secrets), and what it writes and the time it takes are bounded. What it started in turn
//! belongs to its process group and is killed with it.

use crate::collect::{Output, Program};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Read as _},
    process::{ChildStdout, ExitStatus, Stdio},
};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
};

/// Runs a program to its end and gives what it wrote to its standard output.
#[must_use]
pub fn output(program: Program) -> Output {
    Box::pin(run(program))
}

async fn run(program: Program) -> Result<Vec<u8>, String> {
    let Program { arguments, most_bytes, timeout } = program;
    let mut child = start(&arguments)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // From here on the group dies with this, however it comes: a reading that is given up included.
    let mut group = Group(pid);
    let outcome = tokio::time::timeout(timeout, read_to_the_end(&mut child, most_bytes)).await;
    let outcome =
        outcome.unwrap_or_else(|_elapsed| Err(format!("took more than {timeout:?} and was killed")));
    let (bytes, status) = outcome?;
    // It was waited for: its number may be somebody else's by now.
    group.0 = None;
    if status.success() { Ok(bytes) } else { Err(format!("ended with {status}")) }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that starts programs")]
fn start(arguments: &[String]) -> Result<Child, String> {
    let (name, arguments) = arguments.split_first().ok_or_else(|| String::from("has no name"))?;
    let path = std::env::var_os("PATH").map(|path| ("PATH", path));
    Command::new(name)
        .args(arguments)
        .env_clear()
        .envs(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))
}

async fn read_to_the_end(child: &mut Child, most_bytes: usize) -> Result<(Vec<u8>, ExitStatus), String> {
    let mut bytes = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let most = u64::try_from(most_bytes).unwrap_or(u64::MAX);
        let read = stdout.take(most.saturating_add(1)).read_to_end(&mut bytes).await;
        read.map_err(|error| format!("cannot be read: {error}"))?;
    }
    if bytes.len() > most_bytes {
        return Err(format!("wrote more than {most_bytes} bytes and was killed"));
    }
    let status = child.wait().await.map_err(|error| format!("cannot be waited for: {error}"))?;
    Ok((bytes, status))
}

/// The process group of a child that may still run.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // The child was not waited for, so the number is still its own; a group that has ended already is no mistake.
            let _ended_already = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// Of a longer line only so much is read at once.
const MOST_LINE_BYTES: u64 = 4096;

/// What a program that runs beside this one shares with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    /// Everything: input, outputs and environment. For a command that a person runs by way of this one.
    Everything,
    /// The error output alone; what it writes to its standard output is read [line by line](Beside::line).
    Errors,
}

/// A program that runs beside this one. Dropping it kills it.
#[derive(Debug)]
pub struct Beside {
    child: std::process::Child,
    said: Option<BufReader<ChildStdout>>,
    is_over: bool,
}

impl Beside {
    /// Starts a program with its arguments.
    ///
    /// # Errors
    /// When it cannot be started.
    #[expect(clippy::disallowed_methods, reason = "this is the place that starts programs")]
    pub fn start(arguments: &[OsString], shares: Shares) -> io::Result<Self> {
        let (name, arguments) = arguments.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = std::process::Command::new(name);
        command.args(arguments);
        if shares == Shares::Errors {
            command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
        }
        let mut child = command.spawn()?;
        let said = child.stdout.take().map(BufReader::new);
        Ok(Self { child, said, is_over: false })
    }

    /// Waits for the next line that it writes; empty when it ended or closed its output, or shares it.
    ///
    /// # Errors
    /// When its output cannot be read.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if let Some(said) = &mut self.said {
            said.take(MOST_LINE_BYTES).read_line(&mut line)?;
        }
        Ok(line)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the kernel does not tell, which it always does of a child.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.is_over |= status.is_some();
        Ok(status)
    }

    /// Tells it to end, as it was told to this program.
    pub fn tell_to_end(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| !self.is_over) {
            // It was not waited for, so the number is still its own.
            let _ended_already = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.is_over {
            let _ended_already = self.child.kill();
            let _nobody_else_waits = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn check(arguments: &[&str], timeout: Duration, expected: Result<&str, &str>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let program = Program {
            arguments: arguments.iter().map(|text| (*text).into()).collect(),
            most_bytes: 100,
            timeout,
        };
        match (runtime.block_on(output(program)), expected) {
            (Ok(bytes), Ok(expected)) => assert_eq!(String::from_utf8_lossy(&bytes), expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{arguments:?}: {error}"),
            (outcome, expected) => panic!("{arguments:?}: {outcome:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_program_tells_or_says_why_not() {
        check(&["printf", "%s", "$HOME `id`"], PATIENCE, Ok("$HOME `id`"));
        check(&["sh", "-c", "echo 5; exit 3"], PATIENCE, Err("ended with exit status: 3"));
        check(&["yes"], PATIENCE, Err("wrote more than 100 bytes"));
        check(&["/absent/program"], PATIENCE, Err("cannot be started: No such file"));
        check(&["sh", "-c", "echo $HOME$OTEL_EXPORTER_OTLP_HEADERS$CARGO_MANIFEST_DIR"], PATIENCE, Ok("\n"));
        check(&[], PATIENCE, Err("has no name"));
    }

    #[test]
    fn a_program_beside_is_heard_until_it_ends() {
        let command = ["sh", "-c", "echo ready; echo $HOME; printf end"].map(OsString::from);
        let mut beside = Beside::start(&command, Shares::Errors).unwrap();
        let lines = std::iter::repeat_with(|| beside.line().unwrap());
        assert_eq!(lines.take(5).collect::<Vec<_>>(), ["ready\n", "\n", "end", "", ""]);
    }

    /// A child of the child would hold the pipe open for an hour.
    #[test]
    fn what_takes_too_long_is_killed_with_all_that_it_started() {
        let mark = format!("{}.{}", 3600, std::process::id());
        let script = format!("sleep {mark} & sleep {mark}");
        check(&["sh", "-c", &script], Duration::from_millis(200), Err("took more than 200ms and was killed"));
        let lives = |entry: &std::fs::DirEntry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ").contains(&format!("sleep {mark}"))
        };
        // What was killed is there until it was reaped, but has no arguments any more. A busy machine takes its time.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let is_left = || std::fs::read_dir("/proc").unwrap().flatten().any(|entry| lives(&entry));
        for _ in 0..600 {
            if !is_left() {
                return;
            }
            runtime.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
        }
        panic!("something of {script:?} is left");
    }
}
