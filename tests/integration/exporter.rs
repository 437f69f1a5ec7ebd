//! The exporter under test: the real binary on a free port.

use crate::{
    exposition::Scrape,
    process::{Process, wait_for},
};
use std::{path::PathBuf, process::Command, time::Duration};

/// How long the binary may take to do what it does in milliseconds: other tests run beside this one.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Exporter {
    pub(crate) process: Process,
    pub(crate) base: String,
}

impl Exporter {
    /// The binary as a command, without any flag.
    pub(crate) fn command() -> Command {
        let mut command = Process::command(env!("CARGO_BIN_EXE_memleak_exporter"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command
    }

    /// Starts it on a free port of this machine.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_with(Self::command().args(flags))
    }

    /// Starts it with an own configuration, written to a file below `directory`.
    pub(crate) fn start_configured(directory: &Scratch, configuration: &str, flags: &[&str]) -> Self {
        let file = directory.write("memleak.yml", configuration);
        Self::start_with(Self::command().arg(format!("--config.file={}", file.display())).args(flags))
    }

    pub(crate) fn start_with(command: &mut Command) -> Self {
        command.arg("--web.listen-address=127.0.0.1:0");
        let mut process = Process::start(command);
        let line = process.line_with("listening", PATIENCE);
        let page = line.split("page").nth(1).and_then(|rest| rest.find("http").map(|at| &rest[at..]));
        let base = page.expect("the page's address").split(['"', ' ', '}']).next().expect("not empty");
        Self { process, base: base.trim_end_matches('/').to_owned() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address without its scheme, as Prometheus wants it.
    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Where it takes in OTLP over gRPC, if it was told to.
    pub(crate) fn otlp_address(&mut self) -> String {
        let line = self.process.line_with("taking in OTLP over gRPC", PATIENCE);
        let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        address.expect("an address").trim_matches('"').to_owned()
    }

    pub(crate) fn scrape(&self) -> Scrape {
        Scrape::parse(&get(&self.url("/metrics")).1)
    }

    /// Scrapes until the answer is there.
    pub(crate) fn scrape_until<T>(
        &self,
        what: &str,
        patience: Duration,
        ask: impl Fn(&Scrape) -> Option<T>,
    ) -> T {
        wait_for(what, patience, || ask(&self.scrape()))
    }

    /// The number of the current tick.
    pub(crate) fn ticks(&self) -> f64 {
        self.scrape().value("memleak_exporter_ticks_total", &[]).unwrap_or(0.0)
    }
}

/// Status and body of a GET.
pub(crate) fn get(url: &str) -> (u16, String) {
    request(url, &[])
}

/// Status and body of a GET with headers.
pub(crate) fn request(url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request = agent.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call().unwrap_or_else(|error| panic!("GET {url}: {error}"));
    let status = response.status().as_u16();
    (status, response.body_mut().read_to_string().expect("text"))
}

/// A directory of one test, removed at its end.
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
}

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("memleak-test-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self { path }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, text).expect("a file in our own directory");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.path);
    }
}
