//! The batches that wait for the endpoint: bounded, the oldest dropped first.
//!
//! The batch that is being sent stays at the front until it is sent, so that an endpoint which is away loses the oldest
//! and never the newest.

use super::OtlpStats;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// At most this many data points wait, whatever the configured number of batches: a point takes 235 bytes here, so that
/// this is 24 MB. One batch is always kept, even if it alone has more.
const POINTS_MAX: usize = 100_000;

/// One push.
#[derive(Debug)]
pub(super) struct Batch {
    parts: Vec<ResourceMetrics>,
    parts_sent: AtomicUsize,
    points: usize,
}

impl Batch {
    fn new(parts: Vec<ResourceMetrics>) -> Self {
        let points = parts.iter().map(point_count).sum();
        Self { parts, parts_sent: AtomicUsize::new(0), points }
    }

    /// The requests that were not sent yet. What was sent is not sent again: a difference would count twice.
    pub(super) fn parts_left(&self) -> impl Iterator<Item = &ResourceMetrics> {
        self.parts.iter().skip(self.parts_sent.load(Ordering::Relaxed))
    }

    /// Notes that the first of the parts left is sent.
    pub(super) fn part_sent(&self) {
        self.parts_sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// The batches that wait.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    batches_max: usize,
    stats: OtlpStats,
    arrived: Notify,
    left: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<Arc<Batch>>,
    points: usize,
    overflowed: u64,
}

impl Waiting {
    fn pop(&mut self) {
        if let Some(batch) = self.batches.pop_front() {
            self.points -= batch.points;
        }
    }
}

impl Queue {
    /// A queue for `batches_max` batches, at least one.
    pub(super) fn new(batches_max: usize, stats: OtlpStats) -> Self {
        stats.queued.set(0);
        Self {
            waiting: Mutex::default(),
            batches_max: batches_max.max(1),
            stats,
            arrived: Notify::new(),
            left: Notify::new(),
        }
    }

    /// Adds a push, and drops the oldest ones if it is one too many.
    pub(super) fn push(&self, parts: Vec<ResourceMetrics>) {
        self.add(Batch::new(parts));
    }

    fn add(&self, batch: Batch) {
        let mut waiting = self.lock();
        while !waiting.batches.is_empty()
            && (waiting.batches.len() >= self.batches_max || waiting.points + batch.points > POINTS_MAX)
        {
            waiting.pop();
            waiting.overflowed += 1;
            self.stats.dropped.inc();
        }
        waiting.points += batch.points;
        waiting.batches.push_back(Arc::new(batch));
        self.show(&waiting);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// The oldest batch, as soon as there is one. It stays in the queue.
    pub(super) async fn oldest(&self) -> Arc<Batch> {
        loop {
            // Asked for before the look into the queue, or an arrival in between would be missed.
            let arrived = self.arrived.notified();
            if let Some(batch) = self.lock().batches.front() {
                return Arc::clone(batch);
            }
            arrived.await;
        }
    }

    /// Takes the batch out. Returns whether it was still there: it may have been dropped while it was being sent.
    pub(super) fn remove(&self, batch: &Arc<Batch>) -> bool {
        let mut waiting = self.lock();
        let there = waiting.batches.front().is_some_and(|front| Arc::ptr_eq(front, batch));
        if there {
            waiting.pop();
            self.show(&waiting);
            drop(waiting);
            self.left.notify_waiters();
        }
        there
    }

    /// Waits until nothing waits.
    pub(super) async fn emptied(&self) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Waiters are only notified from this call on.
            left.as_mut().enable();
            if self.lock().batches.is_empty() {
                return;
            }
            left.await;
        }
    }

    /// How many batches were dropped so far because the queue was full.
    pub(super) fn overflowed(&self) -> u64 {
        self.lock().overflowed
    }

    fn show(&self, waiting: &Waiting) {
        self.stats.queued.set(i64::try_from(waiting.batches.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many data points a request has.
fn point_count(metrics: &ResourceMetrics) -> usize {
    let metrics = metrics.scope_metrics().flat_map(|scope| scope.metrics());
    metrics
        .map(|metric| match metric.data() {
            AggregatedMetrics::F64(data) => data_point_count(data),
            AggregatedMetrics::U64(data) => data_point_count(data),
            AggregatedMetrics::I64(data) => data_point_count(data),
        })
        .sum()
}

fn data_point_count<T>(data: &MetricData<T>) -> usize {
    match data {
        MetricData::Gauge(gauge) => gauge.data_points().count(),
        MetricData::Sum(sum) => sum.data_points().count(),
        MetricData::Histogram(histogram) => histogram.data_points().count(),
        MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::otlp::{Options, Temporality, collection::Collection, tests::stats};
    use std::{collections::BTreeMap, time::Duration};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn is_oldest(queue: &Queue, batch: &Arc<Batch>) -> bool {
        Arc::ptr_eq(&runtime().block_on(queue.oldest()), batch)
    }

    #[test]
    fn the_oldest_is_dropped_first_and_counted() {
        let stats = stats();
        let queue = Queue::new(2, stats.clone());
        queue.push(Vec::new());
        let first = runtime().block_on(queue.oldest());
        queue.push(Vec::new());
        assert!(is_oldest(&queue, &first));
        assert_eq!((stats.queued.get(), stats.dropped.get()), (2, 0));
        queue.push(Vec::new());
        assert!(!is_oldest(&queue, &first));
        assert_eq!((stats.queued.get(), stats.dropped.get(), queue.overflowed()), (2, 1, 1));
        assert!(!queue.remove(&first), "it was dropped");
        let second = runtime().block_on(queue.oldest());
        assert!(queue.remove(&second));
        assert_eq!(stats.queued.get(), 1);
    }

    #[test]
    fn points_are_bounded_too_but_the_newest_stays() {
        let queue = Queue::new(32, stats());
        let check = |points, expected: (usize, usize, u64)| {
            queue.add(Batch { parts: Vec::new(), parts_sent: AtomicUsize::new(0), points });
            let waiting = queue.lock();
            assert_eq!((waiting.batches.len(), waiting.points, waiting.overflowed), expected);
        };
        check(POINTS_MAX + 1, (1, POINTS_MAX + 1, 0));
        check(POINTS_MAX - 1, (1, POINTS_MAX - 1, 1));
        check(1, (2, POINTS_MAX, 1));
        check(1, (2, 2, 2));
    }

    #[test]
    fn the_points_of_a_push_are_counted() {
        let registry = prometheus::Registry::new();
        let metric = crate::export::metric::own::INTERVAL;
        let gauge = prometheus::Gauge::new(metric.name, metric.help).unwrap();
        registry.register(Box::new(gauge)).unwrap();
        let options =
            Options { resource: BTreeMap::new(), temporality: Temporality::Cumulative, series_max: 10 };
        let parts = Collection::new(&options, &BTreeMap::new())
            .collect(&crate::snapshot::Snapshot::default(), &registry.gather());
        assert_eq!(Batch::new(parts).points, 1);
    }

    #[test]
    fn the_task_wakes_for_an_arrival_and_the_flush_for_the_last_departure() {
        let queue = Arc::new(Queue::new(2, stats()));
        runtime().block_on(async {
            let taker = Arc::clone(&queue);
            let task = tokio::spawn(async move {
                let batch = taker.oldest().await;
                taker.remove(&batch)
            });
            tokio::task::yield_now().await;
            queue.push(Vec::new());
            tokio::time::timeout(Duration::from_secs(5), queue.emptied()).await.unwrap();
            assert!(task.await.unwrap());
        });
    }
}
