//! Pushes the snapshot over OTLP: the same numbers as `/metrics`, under the names of OpenTelemetry.
//!
//! A tick offers its snapshot; when a push is due, [`collection`] turns it into data points that keep this moment as
//! their time, and [`queue`] takes them. A task of the runtime ([`delivery`]) sends one batch after the other through
//! [`transport`], and tries again as long as that may help. What the tick does never waits for the endpoint, and an
//! endpoint that is away costs at most the queue.
//!
//! Left out, because OTLP has no use for them here: values that are not finite (the SDK drops NaN and infinity).

mod collection;
mod delivery;
mod histogram;
mod queue;
mod readings;
mod totals;
mod transport;

use crate::{config::Otlp, sample::Seconds, snapshot::Snapshot};
use anyhow::Context;
use collection::Collection;
pub use opentelemetry_sdk::metrics::Temporality;
use prometheus::{IntCounter, IntGauge, proto::MetricFamily};
use queue::Queue;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};
use transport::Transport;

/// A push is due this share of the interval early, so that a tick which is a hair too soon does not skip one.
const EARLY_SHARE: f64 = 0.01;

/// What the configuration file does not say about a push.
#[derive(Clone, Debug)]
pub struct Options {
    /// What was found out about this exporter and its host, as resource attributes (`host.name`,
    /// `service.instance.id`…). `service.name` and `service.version` are there by themselves; the configured
    /// attributes win over all of them.
    pub resource: BTreeMap<String, String>,
    /// Whether counters and histograms are sent since the start or since the last push.
    pub temporality: Temporality,
    /// `limits.series`: no counter has more attribute sets than there are series in all.
    pub series_max: usize,
}

/// Where a push counts what it does; the handles of [`crate::export::metric::own::OTLP_EXPORTS`] and
/// [`crate::export::metric::own::OTLP_QUEUE`].
#[derive(Clone, Debug)]
pub struct OtlpStats {
    /// Batches that the endpoint took.
    pub sent: IntCounter,
    /// Attempts that failed and will be made again.
    pub failed: IntCounter,
    /// Batches lost: the queue was full, or the endpoint refused them for good.
    pub dropped: IntCounter,
    /// Batches that wait.
    pub queued: IntGauge,
}

/// A running push. Dropping it ends its task and drops what is queued; see [`Pusher::flush`].
#[derive(Debug)]
pub struct Pusher {
    interval: Seconds,
    intake: Mutex<Intake>,
    queue: Arc<Queue>,
    hurry: Arc<Notify>,
    delivery: JoinHandle<()>,
}

#[derive(Debug)]
struct Intake {
    due_at: Option<Seconds>,
    collection: Collection,
}

impl Pusher {
    /// Builds the transport and starts the delivery on the current tokio runtime. No connection is made yet.
    ///
    /// # Errors
    ///
    /// The endpoint, a header, a certificate or a key cannot be used; nothing secret is in the message.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(config: &Otlp, options: &Options, stats: OtlpStats) -> anyhow::Result<Self> {
        let transport = Transport::new(config).context("cannot set up the push over OTLP")?;
        let queue = Arc::new(Queue::new(config.queue, stats.clone()));
        let hurry = Arc::new(Notify::new());
        let delivery = tokio::spawn(delivery::run(transport, Arc::clone(&queue), Arc::clone(&hurry), stats));
        let collection = Collection::new(options, &config.resource_attributes);
        Ok(Self {
            interval: config.interval.as_secs_f64(),
            intake: Mutex::new(Intake { due_at: None, collection }),
            queue,
            hurry,
            delivery,
        })
    }

    /// Queues the snapshot if a push is due at `now`; the first one always is. `families` is asked for the exporter's
    /// own metrics only then. Never waits for the endpoint, and may be called from any thread.
    pub fn offer(
        &self,
        snapshot: &Arc<Snapshot>,
        families: impl FnOnce() -> Vec<MetricFamily>,
        now: Seconds,
    ) {
        let mut intake = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        if intake.due_at.is_some_and(|due_at| now < due_at - self.interval * EARLY_SHARE) {
            return;
        }
        intake.due_at = Some(following(intake.due_at, self.interval, now));
        let parts = intake.collection.collect(snapshot, &families());
        self.queue.push(parts);
    }

    /// Tries to send what is queued, without waiting for the next regular attempt; gives up after `deadline`.
    /// Returns whether the queue is empty.
    pub async fn flush(&self, deadline: Duration) -> bool {
        self.hurry.notify_one();
        tokio::time::timeout(deadline, self.queue.emptied()).await.is_ok()
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.delivery.abort();
    }
}

/// When the push after the one at `now` is due: on the grid of the first push, so that lateness does not add up, and
/// never before `now`, so that missed pushes are not made up for.
fn following(due_at: Option<Seconds>, interval: Seconds, now: Seconds) -> Seconds {
    let on_grid = due_at.map_or(now, |due_at| due_at) + interval;
    if on_grid > now { on_grid } else { now + interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Handles that nothing else counts with.
    pub(super) fn stats() -> OtlpStats {
        let counter = || IntCounter::new("a", "b").unwrap();
        OtlpStats {
            sent: counter(),
            failed: counter(),
            dropped: counter(),
            queued: IntGauge::new("a", "b").unwrap(),
        }
    }

    #[test]
    fn pushes_stay_on_the_grid_of_the_first_and_are_not_made_up_for() {
        let check = |due_at, now, expected: f64| {
            assert_eq!(following(due_at, 60.0, now).to_bits(), expected.to_bits());
        };
        check(None, 100.0, 160.0);
        check(Some(160.0), 160.2, 220.0);
        check(Some(160.0), 159.9, 220.0);
        check(Some(160.0), 500.0, 560.0);
    }
}
