//! The configuration: what was meant.
//!
//! What was written (YAML, strict, all its errors at once with line and key) is read by [`written`]; the types here
//! are what the rest of the program sees: complete, checked, with every default filled in. A bad file never becomes a
//! [`Config`].

pub mod written;
pub mod applications;
mod amount;
mod attribution;
mod collectors;
mod directories;
pub(crate) mod duration;
pub mod edit;
mod errors;
mod judged;
mod keys;
mod limits;
mod otel;
mod otlp;
mod processes;
mod push;
mod reader;
pub mod selector;
mod sensitivity;
mod severity;
pub mod shown;
pub(crate) mod size;
mod tree;
mod variables;
pub mod web;

#[cfg(test)]
mod fixtures;

pub use self::{
    applications::Application,
    errors::{ConfigErrors, Place, Problem},
    judged::Judged,
};

pub(crate) use self::otlp::http_url;

use crate::{budget::Budget, severity::Table};
use regex::Regex;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

/// How the environment is asked: the value of a variable, `None` where it is not set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything that the configuration file decides.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// How often to sample.
    pub sampling: Sampling,
    /// What single collectors may take.
    pub collectors: Collectors,
    /// Which processes make which target.
    pub processes: Processes,
    /// Which control groups are watched.
    pub cgroups: Cgroups,
    /// What of the machine itself is judged.
    pub host: Host,
    /// Programs that tell of themselves; `applications`.
    pub applications: Vec<Application>,
    /// Whose memory is attributed to its parts, and what that may cost.
    pub attribution: Attribution,
    /// Directories whose files are counted; `directories`.
    pub directories: Vec<Directory>,
    /// What programs may push.
    pub push: Push,
    /// Which plain rules stand beside the model, if any.
    pub sensitivity: Sensitivity,
    /// By which rows findings are graded, if not by the built-in ones; `severity`.
    pub severity: Option<Table>,
    /// What is at most kept and shown.
    pub limits: Limits,
    /// Where to push, if anywhere.
    pub otlp: Option<Otlp>,
}

impl Config {
    /// The configuration without a file: the defaults and what the `OTEL_…` variables say.
    ///
    /// # Errors
    /// All wrong variables at once.
    pub fn from_environment(lookup: Lookup<'_>) -> Result<Self, ConfigErrors> {
        written::without_file(lookup)
    }
}

/// How often to sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Time between two ticks; `sampling.interval`, 100 ms to 1 h.
    pub interval: Duration,
    /// Time between two full readings of a process (swap, descriptors, exact split), never less than `interval`;
    /// `sampling.full_interval`, up to 24 h.
    pub full_interval: Duration,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { interval: Duration::from_secs(3), full_interval: Duration::from_secs(60) }
    }
}

/// The collectors that there are, by the name of their `collector` label.
pub const COLLECTORS: [&str; 8] =
    ["process", "cgroup", "host", "application", "attribution", "jvm", "directory", "push"];

/// A collector has this share of its interval to answer, where nothing else is said; the rest is for judging and
/// rendering.
const ANSWER_SHARE: f64 = 0.8;
/// And never more than this, however long the interval is: the order to stop waits as long as the collectors may.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// What single collectors may take, beside what is said for all; the section `collectors`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collectors(BTreeMap<&'static str, Collector>);

/// What one collector may take; none where nothing is said of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collector {
    /// Time between two of its readings, a whole multiple of `sampling.interval`; `collectors.NAME.interval`.
    pub interval: Option<Duration>,
    /// Time for one reading, at most its interval; `collectors.NAME.timeout`.
    pub timeout: Option<Duration>,
    /// Series shown of its targets; `collectors.NAME.series`.
    pub series: Option<usize>,
}

impl Collectors {
    /// What is said of a collector.
    #[must_use]
    pub fn of(&self, name: &str) -> Collector {
        self.0.get(name).copied().unwrap_or_default()
    }
}

impl Config {
    /// How many ticks lie between two readings of a collector, at least one.
    #[must_use]
    pub fn ticks_between_readings(&self, collector: &str) -> u32 {
        let tick = self.sampling.interval;
        let interval = self.collectors.of(collector).interval.unwrap_or(tick);
        let ticks = interval.as_nanos().checked_div(tick.as_nanos()).unwrap_or(1);
        u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
    }

    /// How long one reading of a collector may take.
    #[must_use]
    pub fn time_for_a_reading(&self, collector: &str) -> Duration {
        let interval = self.sampling.interval * self.ticks_between_readings(collector);
        let usual = interval.mul_f64(ANSWER_SHARE).min(ANSWER_PATIENCE);
        self.collectors.of(collector).timeout.unwrap_or(usual)
    }
}

/// What a process can be named after, tried in the order of `processes.group_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameSource {
    /// The systemd unit: `nginx.service`.
    Unit,
    /// The container: `docker/0123456789ab`.
    Container,
    /// The script of an interpreter: `node server.js`, `python app.py`, `java x.jar`.
    Script,
    /// The name of the executable; always known, so it ends the list.
    Executable,
}

impl NameSource {
    /// All of them with the word for each in the file.
    pub const ALL: [(&'static str, Self); 4] = [
        ("unit", Self::Unit),
        ("container", Self::Container),
        ("script", Self::Script),
        ("executable", Self::Executable),
    ];
}

/// Which processes make which target.
#[derive(Clone, Debug)]
pub struct Processes {
    /// Order of names, never empty, the executable last; `processes.group_by`.
    pub group_by: Vec<NameSource>,
    /// Names by rule, the first that matches wins, before `group_by`; `processes.rules`.
    pub rules: Vec<Rule>,
    /// If not empty, only targets whose name matches one of these whole; `processes.include`.
    pub include: Vec<Regex>,
    /// Targets whose name matches one of these whole are not watched; `processes.exclude`.
    pub exclude: Vec<Regex>,
    /// Names of targets that should run: absent ones show as not present; `processes.expected`.
    pub expected: Vec<String>,
    /// Areas that are judged; `processes.judge`, out of [`PROCESS_AREAS`].
    pub judge: Vec<Arc<str>>,
    /// Whether areas are shown for each process with a `pid` label; `processes.show_pid`.
    pub show_pid: bool,
}

/// The areas that a process can have: of the process collector, and of a JVM.
pub const PROCESS_AREAS: [&str; 12] = [
    "anon",
    "rss",
    "rss_peak",
    "swap",
    "fds",
    "threads",
    "heap",
    "heap_committed",
    "heap_after_gc",
    "external",
    "metaspace",
    "classes",
];

impl Default for Processes {
    fn default() -> Self {
        Self {
            group_by: NameSource::ALL.map(|(_, source)| source).to_vec(),
            rules: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            expected: Vec::new(),
            judge: vec!["anon".into(), "heap_after_gc".into()],
            show_pid: false,
        }
    }
}

/// Which control groups are watched.
#[derive(Clone, Debug)]
pub struct Cgroups {
    /// If not empty, only targets whose name matches one of these whole; `cgroups.include`.
    pub include: Vec<Regex>,
    /// Targets whose name matches one of these whole are not watched; `cgroups.exclude`.
    pub exclude: Vec<Regex>,
    /// Areas that are judged; `cgroups.judge`, out of [`CGROUP_AREAS`].
    pub judge: Vec<Arc<str>>,
}

/// The areas that the cgroup collector knows.
pub const CGROUP_AREAS: [&str; 9] =
    ["anon", "file", "kernel", "slab", "sock", "shmem", "swap", "usage", "peak"];

impl Default for Cgroups {
    fn default() -> Self {
        Self { include: Vec::new(), exclude: Vec::new(), judge: vec!["anon".into()] }
    }
}

/// What of the machine itself is judged.
#[derive(Clone, Debug)]
pub struct Host {
    /// Areas that are judged; `host.judge`, out of [`HOST_AREAS`].
    pub judge: Vec<Arc<str>>,
}

/// The areas that the host collector knows.
pub const HOST_AREAS: [&str; 8] =
    ["anon", "slab_unreclaimable", "kernel_stack", "page_tables", "vmalloc", "shmem", "hugetlb", "swap"];

impl Default for Host {
    fn default() -> Self {
        let judged = ["anon", "slab_unreclaimable", "kernel_stack", "page_tables", "vmalloc", "shmem"];
        Self { judge: judged.map(Arc::from).to_vec() }
    }
}

/// Whose memory is attributed to its parts beside that of suspects, and what that may cost the process and the exporter.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// Targets whose processes are read even without a suspicion: those whose name matches one of these whole;
    /// `attribution.targets`.
    pub targets: Vec<Regex>,
    /// Time between two readings of a process; `attribution.interval`.
    pub interval: Duration,
    /// A process with more resident and swapped memory is not read in full, in bytes; `attribution.largest`.
    pub largest_bytes: u64,
    /// Processes read at one tick; `attribution.processes_per_tick`.
    pub processes_per_tick: usize,
    /// Time for the readings of one tick; `attribution.time_per_tick`.
    pub time_per_tick: Duration,
    /// Native modules shown by their names, the largest; `attribution.modules`.
    pub modules: usize,
    /// Descriptors of one process that are looked at; `attribution.descriptors`.
    pub descriptors: usize,
}

impl Default for Attribution {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            interval: Duration::from_secs(60),
            largest_bytes: 8 << 30,
            processes_per_tick: 4,
            time_per_tick: Duration::from_millis(250),
            modules: 5,
            descriptors: 10_000,
        }
    }
}

/// A directory whose files are counted.
#[derive(Clone, Debug)]
pub struct Directory {
    /// The name of its target, at most 128 characters and no other directory's; `directories[].name`, by default the path.
    pub name: String,
    /// Where it is, from the root of the watched system; `directories[].path`.
    pub path: PathBuf,
    /// Only files whose name matches whole are counted, if there is one; `directories[].pattern`.
    pub pattern: Option<Regex>,
    /// Whether files in directories inside are counted too; `directories[].recursive`.
    pub recursive: bool,
    /// The limit of the area `files`; `directories[].limit.files`.
    pub most_files: Option<f64>,
    /// The limit of the area `file_bytes`; `directories[].limit.bytes`.
    pub most_bytes: Option<f64>,
}

/// What programs may push.
#[derive(Clone, Debug)]
pub struct Push {
    /// Areas of all programs together; `push.areas`.
    pub areas: usize,
    /// An area that is silent for so long is gone; `push.forget_after`.
    pub forget_after: Duration,
    /// Metrics of OTLP that become areas beside the known ones: those whose name matches one of these whole;
    /// `push.metrics`.
    pub metrics: Vec<Regex>,
}

impl Default for Push {
    fn default() -> Self {
        Self { areas: 1_000, forget_after: Duration::from_secs(300), metrics: Vec::new() }
    }
}

/// Names the processes that match all of its conditions.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name to give; may use `{unit}`, `{container}`, `{script}`, `{executable}`, `{pid}` and `{NAME}` for a
    /// named group of one of the expressions.
    pub name: String,
    /// Must match the name of the executable whole.
    pub executable: Option<Regex>,
    /// Must match somewhere in the command line (arguments joined by one space).
    pub command_line: Option<Regex>,
    /// Must match the unit whole.
    pub unit: Option<Regex>,
    /// Must match the container whole.
    pub container: Option<Regex>,
}

/// Which plain rules stand beside the model: none unless they are asked for.
#[derive(Clone, Debug, Default)]
pub struct Sensitivity {
    /// The budget of all targets that no other is for; `sensitivity`.
    pub general: Option<Arc<Budget>>,
    /// Budgets of some targets, the first that matches wins; `targets`. An empty one leaves its targets to the model.
    pub targets: Vec<TargetBudget>,
}

/// The budget of the targets whose name matches whole.
#[derive(Clone, Debug)]
pub struct TargetBudget {
    /// Must match the name of the target whole; `targets[].name`.
    pub name: Regex,
    /// The preset with the target's own numbers; `targets[].sensitivity`, `targets[].thresholds`.
    pub budget: Arc<Budget>,
}

impl Sensitivity {
    /// The budget of a target; none where the model stands alone.
    #[must_use]
    pub fn of(&self, target: &str) -> Option<&Arc<Budget>> {
        let own = self.targets.iter().find(|own| own.name.is_match(target)).map(|own| &own.budget);
        own.or(self.general.as_ref()).filter(|budget| !budget.is_empty())
    }

    /// Whether the model stands alone everywhere.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let budgets = self.targets.iter().map(|own| &own.budget).chain(&self.general);
        budgets.into_iter().all(|budget| budget.is_empty())
    }
}

/// What is at most kept and shown; what a limit drops is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processes with memory of their own; `limits.processes`.
    pub processes: usize,
    /// Control groups; `limits.cgroups`.
    pub cgroups: usize,
    /// Targets shown, the most suspicious, fastest-growing and largest first; `limits.targets`.
    pub targets: usize,
    /// Areas (with pids: rows) shown of one target; `limits.areas_per_target`.
    pub areas_per_target: usize,
    /// Series shown in all; `limits.series`.
    pub series: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { processes: 20_000, cgroups: 2_000, targets: 1_000, areas_per_target: 64, series: 100_000 }
    }
}

/// How OTLP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// `grpc`.
    Grpc,
    /// `http/protobuf`.
    HttpProtobuf,
}

impl OtlpProtocol {
    /// All of them with the word for each in the file.
    pub const ALL: [(&'static str, Self); 2] = [("grpc", Self::Grpc), ("http/protobuf", Self::HttpProtobuf)];
}

/// How a counter or histogram counts from one push to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtlpTemporality {
    /// `cumulative`: since the start of the exporter.
    #[default]
    Cumulative,
    /// `delta`: since the last push.
    Delta,
    /// `lowmemory`: delta for synchronous counters and histograms, cumulative for the others.
    LowMemory,
}

impl OtlpTemporality {
    /// All of them with the word for each in the file.
    pub const ALL: [(&'static str, Self); 3] =
        [("cumulative", Self::Cumulative), ("delta", Self::Delta), ("lowmemory", Self::LowMemory)];
}

/// Where and how to push.
///
/// Each field is what the file says, or else what the environment says, or else the default.
#[derive(Clone, PartialEq, Eq)]
pub struct Otlp {
    /// The URL to send to, complete. For HTTP it ends with the path: `/v1/metrics` has been appended to what the file
    /// or `OTEL_EXPORTER_OTLP_ENDPOINT` says unless it was there, while `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` is used
    /// as it is. For gRPC it is scheme, host and port; `otlp.endpoint`.
    pub endpoint: String,
    /// `otlp.protocol`.
    pub protocol: OtlpProtocol,
    /// Sent with each request, never logged, names in lower case; `otlp.headers`.
    pub headers: BTreeMap<String, String>,
    /// gzip or nothing; `otlp.compression`.
    pub gzip: bool,
    /// For one request; `otlp.timeout`.
    pub timeout: Duration,
    /// `otlp.temporality`.
    pub temporality: OtlpTemporality,
    /// Time between two pushes; `otlp.interval`.
    pub interval: Duration,
    /// Batches kept while the endpoint is away, the oldest dropped first; `otlp.queue`.
    pub queue: usize,
    /// CA certificates (PEM) to trust beside the system's; `otlp.certificate_file`.
    pub certificate_file: Option<PathBuf>,
    /// Client certificate (PEM); `otlp.client_certificate_file`.
    pub client_certificate_file: Option<PathBuf>,
    /// Its key (PEM); `otlp.client_key_file`.
    pub client_key_file: Option<PathBuf>,
    /// Attributes of the resource beside the detected ones; `otlp.resource_attributes`.
    pub resource_attributes: BTreeMap<String, String>,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: String::from("http://localhost:4318/v1/metrics"),
            protocol: OtlpProtocol::HttpProtobuf,
            headers: BTreeMap::new(),
            gzip: false,
            timeout: Duration::from_secs(10),
            temporality: OtlpTemporality::Cumulative,
            interval: Duration::from_secs(60),
            queue: 32,
            certificate_file: None,
            client_certificate_file: None,
            client_key_file: None,
            resource_attributes: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Otlp")
            // A query may hold a key.
            .field("endpoint", &self.endpoint.split('?').next())
            .field("protocol", &self.protocol)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
