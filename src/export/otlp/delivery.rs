//! Sends what is queued, one batch after the other, and tries again while that may help.
//!
//! One line in the log when the endpoint stops taking batches and one when it takes them again, however many attempts
//! lie between; the counters say the rest.

use super::{
    OtlpStats,
    queue::{Batch, Queue},
    transport::{Failure, Transport},
};
use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// The wait after the first failure; it doubles with each further one.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait between two attempts, and the longest that an endpoint may ask for: it is then back within about a
/// minute of its return.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Sends for ever; ends when it is aborted. A notice on `hurry` ends the present wait.
pub(super) async fn run(transport: Transport, queue: Arc<Queue>, hurry: Arc<Notify>, stats: OtlpStats) {
    let mut trouble: Option<Trouble> = None;
    loop {
        let batch = queue.oldest().await;
        match send(&transport, &batch).await {
            Ok(()) => {
                // One that was dropped meanwhile is counted as dropped.
                if queue.remove(&batch) {
                    stats.sent.inc();
                }
                if let Some(trouble) = trouble.take() {
                    trouble.log_end(&transport, &queue);
                }
            }
            Err(Failure::Refused(cause)) => {
                let trouble = trouble.get_or_insert_with(|| Trouble::log_begin(&transport, &queue, &cause));
                if queue.remove(&batch) {
                    trouble.refused += 1;
                    stats.dropped.inc();
                }
            }
            Err(Failure::Later { cause, wait }) => {
                stats.failed.inc();
                let trouble = trouble.get_or_insert_with(|| Trouble::log_begin(&transport, &queue, &cause));
                let wait = wait.map_or_else(|| trouble.wait(), |asked| asked.min(WAIT_MAX));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = hurry.notified() => {}
                }
            }
        }
    }
}

/// Sends the parts that are left, in their order.
async fn send(transport: &Transport, batch: &Batch) -> Result<(), Failure> {
    for part in batch.parts_left() {
        transport.send(part).await?;
        batch.part_sent();
    }
    Ok(())
}

/// A time in which the endpoint does not take what it should.
struct Trouble {
    overflowed_before: u64,
    refused: u64,
    next_wait: Duration,
}

impl Trouble {
    fn log_begin(transport: &Transport, queue: &Queue, cause: &str) -> Self {
        tracing::warn!(
            endpoint = transport.endpoint(),
            cause,
            "otlp endpoint does not take the metrics; further failures are counted, not logged"
        );
        Self { overflowed_before: queue.overflowed(), refused: 0, next_wait: WAIT_MIN }
    }

    fn log_end(&self, transport: &Transport, queue: &Queue) {
        tracing::info!(
            endpoint = transport.endpoint(),
            dropped = queue.overflowed() - self.overflowed_before + self.refused,
            "otlp endpoint takes the metrics again"
        );
    }

    /// How long to wait now; twice as long the next time.
    fn wait(&mut self) -> Duration {
        let wait = self.next_wait;
        self.next_wait = (wait * 2).min(WAIT_MAX);
        spread(wait, RandomState::new().build_hasher().finish())
    }
}

/// Between half of the wait and all of it, so that a thousand exporters do not come back at once.
fn spread(wait: Duration, random: u64) -> Duration {
    let half = wait / 2;
    let thousandths = u32::try_from(random % 1001).unwrap_or(0);
    half + half * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        let mut trouble = Trouble { overflowed_before: 0, refused: 0, next_wait: WAIT_MIN };
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = trouble.wait();
            let expected = Duration::from_secs(expected);
            assert!(wait >= expected / 2 && wait <= expected, "{wait:?} of {expected:?}");
        }
        assert_eq!(spread(WAIT_MIN, 0), WAIT_MIN / 2);
        assert_eq!(spread(WAIT_MIN, 1000), WAIT_MIN);
    }
}
