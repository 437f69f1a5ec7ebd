//! Child processes of the tests: their output is kept, and none outlives its test.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A running child. Its standard input stays open until it is dropped, and then it is killed.
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
    output: Arc<Mutex<String>>,
    readers: [JoinHandle<()>; 2],
}

impl Process {
    #[expect(clippy::disallowed_methods, reason = "tests start real programs")]
    pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
        Command::new(program)
    }

    /// Starts it and reads along what it says on both outputs.
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Arc::default();
        let readers = [
            read_along(child.stdout.take().expect("piped"), &output),
            read_along(child.stderr.take().expect("piped"), &output),
        ];
        Self { name, child, output, readers }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().expect("no test panics while holding it").clone()
    }

    /// Whether it has closed both outputs and all of them was read, which may be a while after its end.
    pub(crate) fn has_said_all(&self) -> bool {
        self.readers.iter().all(JoinHandle::is_finished)
    }

    /// Waits for a line with this text and returns it.
    pub(crate) fn line_with(&mut self, text: &str, patience: Duration) -> String {
        let what = format!("{} to say {text:?}", self.name);
        wait_for(&what, patience, || {
            let has_said_all = self.has_said_all();
            let found = self.output().lines().find(|line| line.contains(text)).map(str::to_owned);
            if found.is_none()
                && has_said_all
                && let Some(status) = self.child.try_wait().expect("our own child")
            {
                panic!("{} ended with {status} before it said {text:?}:\n{}", self.name, self.output());
            }
            found
        })
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("pids are positive");
        let pid = rustix::process::Pid::from_raw(pid).expect("a real pid");
        rustix::process::kill_process(pid, signal).expect("our own child");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        let child = &mut self.child;
        wait_for(&what, patience, || child.try_wait().expect("our own child"))
    }

    /// Asks it to end and waits.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait(Duration::from_secs(30))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
        if thread::panicking() {
            let output = self.output();
            let tail = output.len().saturating_sub(6000);
            let tail = output.char_indices().map(|(at, _)| at).find(|at| *at >= tail).unwrap_or(0);
            eprintln!("--- {} said:\n{}\n---", self.name, &output[tail..]);
        }
    }
}

fn read_along(stream: impl Read + Send + 'static, output: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let mut output = output.lock().expect("no test panics while holding it");
            output.push_str(&String::from_utf8_lossy(&line));
            output.push('\n');
        }
    })
}

/// Asks again and again until there is an answer; fails with the name of what never came.
pub(crate) fn wait_for<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(now().duration_since(began) < patience, "waited {patience:?} in vain for {what}");
        pause(Duration::from_millis(50));
    }
}

#[expect(clippy::disallowed_methods, reason = "tests wait for real programs")]
pub(crate) fn pause(duration: Duration) {
    thread::sleep(duration);
}

#[expect(clippy::disallowed_methods, reason = "tests wait for real programs")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
