//! Collect: reads the world and returns samples. It computes no rate and judges nothing.
//!
//! A collector is one file here and one line in [`ALL`]. It may keep files open and remember how to read them, but no
//! previous value: whatever is derived from two samples is derived later, from the series.

pub mod paths;
pub mod names;
mod kubernetes;
mod descriptors;
pub mod processors;
pub mod host;
pub mod cgroup;
pub mod process;
pub mod application;
pub mod attribution;
pub mod jvm;
pub mod directory;
pub mod push;

use crate::{
    config::{Config, Judged},
    inbox::Inbox,
    sample::{Batch, Identity, Seconds, Target},
};
use paths::Paths;
use std::{
    collections::HashSet,
    fmt, io,
    path::Path,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

/// A program that a collector needs to be run to its end.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program and its arguments; no shell reads them.
    pub arguments: Vec<String>,
    /// It may write so much.
    pub most_bytes: usize,
    /// It may take so long.
    pub timeout: Duration,
}

/// What a program will have written once it has ended, or why it did not, to follow its name.
pub type Output = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// Runs a program.
pub type Spawn = fn(Program) -> Output;

/// Has a Node process, of the tree of processes that lies there, open its inspector.
pub type Wake = fn(&Path, Identity) -> Result<(), String>;

/// What a tick asks of a collector.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The time of the tick.
    pub at: Seconds,
    /// Who is under suspicion and is therefore read in full.
    pub suspects: Arc<HashSet<Identity>>,
    /// Processes whose memory is to be attributed to its parts, the most suspicious first.
    pub attributed: Arc<[Identity]>,
    /// Processes that run on a JVM, sorted.
    pub jvms: Arc<[Identity]>,
    /// Processes that run on Node, each with the name of its target, where any of them may have to be woken.
    pub nodes: Arc<[(Arc<Target>, Identity)]>,
    /// For a collector that may only take so long.
    pub stopwatch: Stopwatch,
}

/// Tells how much time has passed since some moment. It is lent by `run`, which alone reads the clock.
#[derive(Clone)]
pub struct Stopwatch(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Stopwatch {
    /// A stopwatch that shows what `elapsed` says.
    pub fn new(elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(elapsed))
    }

    /// The time since that moment.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Stopwatch {
    /// One that stands still.
    fn default() -> Self {
        Self::new(|| Duration::ZERO)
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stopwatch").field(&self.elapsed()).finish()
    }
}

/// What `run` lends to all collectors.
#[derive(Clone, Debug)]
pub struct Lent {
    /// Where the kernel's trees are.
    pub paths: Paths,
    /// What programs have pushed.
    pub inbox: Arc<Inbox>,
    /// The clock from which durations are measured, for what must end within a time.
    pub instant: fn() -> Instant,
    /// Starts programs, which no collector does by itself.
    pub spawn: Spawn,
    /// Has a process open its inspector, which no collector does by itself.
    pub wake: Wake,
}

/// Areas that are not judged unless they are named: they hold others that are, and would tell of each leak again.
pub const NEVER_OF_ALL: [&str; 2] = ["rss", "heap_committed"];

/// Why a collector could deliver nothing at all. What it could not read of a single process is in the batch instead.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file or directory without which there is nothing to collect.
    #[error("cannot read {path}")]
    Read {
        /// Which one.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something without which nothing can be asked.
    #[error("cannot start {what}")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A source of samples.
pub trait Collector: Send {
    /// Reads everything once. Reads that fail for one member are counted in the batch; the rest is still delivered.
    ///
    /// # Errors
    /// When nothing could be read at all.
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError>;
}

/// A collector by name, with what it is for and how to build it.
pub struct Entry {
    /// Its name, out of [`COLLECTORS`](crate::config::COLLECTORS): the `collector` label and the name in
    /// `--collector.NAME`.
    pub name: &'static str,
    /// What it watches, to follow "watching" and "watch".
    pub watches: &'static str,
    /// Builds it from its piece of the configuration.
    pub build: fn(&Config, &Lent) -> Box<dyn Collector>,
    /// Whether the configuration gives it anything to do. A thread that has nothing to do would take memory all the same.
    pub is_needed: fn(&Config) -> bool,
    /// The areas of its targets that are judged.
    pub judged: fn(&Config) -> Judged,
    /// Whether its targets can have budgets.
    pub has_budgets: bool,
}

/// Every collector there is.
pub const ALL: &[Entry] = &[
    Entry {
        name: process::NAME,
        watches: "every process",
        build: |config, lent| Box::new(process::ProcessCollector::new(config, &lent.paths)),
        is_needed: |_| true,
        judged: |config| Judged::everywhere(config.processes.judge.clone()),
        has_budgets: true,
    },
    Entry {
        name: cgroup::NAME,
        watches: "every control group",
        build: |config, lent| Box::new(cgroup::CgroupCollector::new(config, &lent.paths)),
        is_needed: |_| true,
        judged: |config| Judged::everywhere(config.cgroups.judge.clone()),
        has_budgets: false,
    },
    Entry {
        name: host::NAME,
        watches: "the machine itself",
        build: |_, lent| Box::new(host::HostCollector::new(&lent.paths)),
        is_needed: |_| true,
        judged: |config| Judged::everywhere(config.host.judge.clone()),
        has_budgets: false,
    },
    Entry {
        name: application::NAME,
        watches: "the configured applications",
        build: |config, lent| Box::new(application::ApplicationCollector::new(config, lent)),
        is_needed: |config| !config.applications.is_empty(),
        judged: application::judged,
        has_budgets: true,
    },
    Entry {
        name: attribution::NAME,
        watches: "the parts of suspects",
        build: |config, lent| Box::new(attribution::AttributionCollector::new(config, &lent.paths)),
        is_needed: |_| true,
        judged: |_| Judged::default(),
        has_budgets: false,
    },
    Entry {
        name: jvm::NAME,
        watches: "the heaps of JVMs",
        build: |_, lent| Box::new(jvm::JvmCollector::new(&lent.paths)),
        is_needed: |_| true,
        // What it reads belongs to processes, and is judged with them.
        judged: |_| Judged::default(),
        has_budgets: false,
    },
    Entry {
        name: directory::NAME,
        watches: "the directories of the configuration",
        build: |config, lent| Box::new(directory::DirectoryCollector::new(config, lent)),
        is_needed: |config| !config.directories.is_empty(),
        judged: |_| Judged::everywhere(directory::AREAS.map(Arc::from).to_vec()),
        has_budgets: false,
    },
    Entry {
        name: push::NAME,
        watches: "what programs push",
        build: |config, lent| Box::new(push::PushCollector::new(config, lent)),
        is_needed: |_| true,
        judged: |_| Judged::all_but(&NEVER_OF_ALL),
        has_budgets: false,
    },
];

/// A kernel's count as a size; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes")]
pub(crate) fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::config::COLLECTORS;

    #[test]
    fn the_configuration_knows_every_collector() {
        let names: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
        assert_eq!(names, COLLECTORS);
    }
}
