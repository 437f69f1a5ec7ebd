//! What the memory and the descriptors of single processes are made of: of suspects, and of those that the configuration
//! names.
//!
//! That is told by `smaps`, for which the kernel walks the page tables of the whole process and keeps it from changing its
//! mappings meanwhile: about 10 ms for each GiB that is resident. So it is read once a minute for a process, for a few of
//! them at a tick, within a time, and not at all for one that is too large: then the kernel's own sums in `status` must
//! do. Nothing that changes the process is done, `clear_refs` least of all.

mod descriptors;
mod lines;
mod reading;
mod smaps;
mod sockets;

use super::{CollectError, Collector, Request, Stopwatch, paths::Paths};
use crate::{
    config::{Attribution, Config},
    sample::{Batch, Identity, Seconds},
};
use reading::{Depth, Reader};
use std::{collections::HashMap, path::PathBuf, time::Duration};

/// The name of this collector.
pub const NAME: &str = "attribution";

/// A process whose reading took too long is read in full again after so many intervals.
const INTERVALS_OF_REST: f64 = 10.0;

/// Takes processes apart.
pub struct AttributionCollector {
    settings: Attribution,
    procfs: PathBuf,
    turns: HashMap<Identity, Turn>,
}

/// When it is the turn of a process.
#[derive(Clone, Copy)]
struct Turn {
    due_at: Seconds,
    /// Until then it is not read in full, since that took too long.
    rests_until: Seconds,
}

/// How much of the time for a tick is left.
struct Time<'a> {
    stopwatch: &'a Stopwatch,
    until: Duration,
}

impl Time<'_> {
    fn is_over(&self) -> bool {
        self.stopwatch.elapsed() >= self.until
    }
}

impl Collector for AttributionCollector {
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
        let at = request.at;
        let mut batch = Batch::new(at);
        let interval_secs = self.settings.interval.as_secs_f64();
        let stopwatch = &request.stopwatch;
        let time = Time { stopwatch, until: stopwatch.elapsed() + self.settings.time_per_tick };
        for (number, identity) in self.due(request).into_iter().enumerate() {
            let Some(turn) = self.turns.get_mut(&identity) else { continue };
            // The first is read in any case, or it might wait for ever.
            if number > 0 && (number >= self.settings.processes_per_tick || time.is_over()) {
                batch.unread.turns += u64::from(at - turn.due_at >= interval_secs);
                continue;
            }
            turn.due_at = at + interval_secs;
            let wanted = if at < turn.rests_until { Depth::Sums } else { Depth::Full };
            let mut reader =
                Reader { procfs: &self.procfs, settings: &self.settings, time: &time, batch: &mut batch };
            if reader.read(identity, wanted) == Some(Depth::TookTooLong) {
                turn.rests_until = at + INTERVALS_OF_REST * interval_secs;
            }
        }
        Ok(batch)
    }
}

impl AttributionCollector {
    /// A collector for these settings and trees.
    #[must_use]
    pub fn new(config: &Config, paths: &Paths) -> Self {
        Self { settings: config.attribution.clone(), procfs: paths.procfs.clone(), turns: HashMap::new() }
    }

    /// Whose turn it is, who has waited longest first. Who is not asked for any more is forgotten.
    fn due(&mut self, request: &Request) -> Vec<Identity> {
        let before = std::mem::take(&mut self.turns);
        let new = Turn { due_at: request.at, rests_until: f64::NEG_INFINITY };
        let turns = request
            .attributed
            .iter()
            .map(|identity| (*identity, before.get(identity).copied().unwrap_or(new)));
        let mut due: Vec<(Identity, Turn)> = turns.collect();
        self.turns = due.iter().copied().collect();
        due.retain(|(_, turn)| turn.due_at <= request.at);
        due.sort_by(|(_, one), (_, other)| one.due_at.total_cmp(&other.due_at));
        due.into_iter().map(|(identity, _)| identity).collect()
    }
}

#[cfg(test)]
mod tests;
