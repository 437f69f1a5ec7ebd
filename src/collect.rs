//! Collect: reads the world and returns samples. It computes no rate and judges nothing.
//!
//! A collector is one file here and one line in [`ALL`]. It may keep files open and remember how to read them, but no
//! previous value: whatever is derived from two samples is derived later, from the series.

pub mod paths;
pub mod host;
pub mod cgroup;
pub mod process;

use crate::{
    config::Config,
    sample::{Batch, Identity, Seconds},
};
use paths::Paths;
use std::{collections::HashSet, io, sync::Arc};

/// What a tick asks of a collector.
#[derive(Clone, Debug)]
pub struct Request {
    /// The time of the tick.
    pub at: Seconds,
    /// Who is under suspicion and is therefore read in full.
    pub suspects: Arc<HashSet<Identity>>,
}

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
}

/// A source of samples.
pub trait Collector: Send {
    /// Its name: the `collector` label and the name in `--collector.NAME`.
    fn name(&self) -> &'static str;

    /// Reads everything once. Reads that fail for one member are counted in the batch; the rest is still delivered.
    ///
    /// # Errors
    /// When nothing could be read at all.
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError>;
}

/// A collector by name, with what it is for and how to build it.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// One line for the help text.
    pub help: &'static str,
    /// Builds it from its piece of the configuration.
    pub build: fn(&Config, &Paths) -> Box<dyn Collector>,
}

/// Every collector there is.
pub const ALL: &[Entry] = &[Entry {
    name: process::NAME,
    help: "every process of the machine, grouped into targets",
    build: |config, paths| Box::new(process::ProcessCollector::new(config, paths)),
}];
