//! Copies a histogram of the `prometheus` crate into one of the OpenTelemetry SDK, exactly.
//!
//! The SDK has no observable histogram: a data point can only come from recorded values, and the `prometheus` crate
//! does not keep the values. But a data point is nothing more than a count for each bucket and a sum, and those can be
//! reached by other values: as many in each bucket as were observed there since the last push, placed inside their
//! buckets so that they add up to what the sum rose by. Such a placing always exists, since the true values are one.
//! Count, buckets and sum are then those of `/metrics`; the smallest and the largest value would be made up and are
//! not sent. The price is one recording for each observation.

use opentelemetry::{KeyValue, metrics::Histogram};
use prometheus::proto;

/// What was copied so far of one histogram with one set of labels.
#[derive(Debug, Default)]
pub(super) struct Copied {
    counts: Vec<u64>,
    sum: f64,
}

impl Copied {
    /// Records what `source` observed since the last call.
    pub(super) fn advance(&mut self, source: &proto::Histogram, into: &Histogram<f64>, with: &[KeyValue]) {
        if !source.get_sample_sum().is_finite() {
            return;
        }
        let counts = bucket_counts(source);
        self.counts.resize(counts.len(), 0);
        let new: Vec<u64> =
            counts.iter().zip(&self.counts).map(|(count, copied)| count.saturating_sub(*copied)).collect();
        // The difference to what was recorded, not to what was wanted: rounding does not add up.
        let values = stand_ins(&bounds(source), &new, source.get_sample_sum() - self.sum);
        for (value, count) in values.into_iter().zip(&new) {
            for _ in 0..*count {
                into.record(value, with);
                self.sum += value;
            }
        }
        self.counts = counts;
    }
}

/// The upper bounds of the buckets without the last one's, which is infinite.
pub(super) fn bounds(source: &proto::Histogram) -> Vec<f64> {
    source.get_bucket().iter().map(proto::Bucket::upper_bound).filter(|bound| bound.is_finite()).collect()
}

/// How many values lie in each bucket, the one beyond the last bound included.
fn bucket_counts(source: &proto::Histogram) -> Vec<u64> {
    let finite = source.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
    let mut below = 0;
    let mut counts: Vec<u64> = finite
        .map(|bucket| {
            let count = bucket.cumulative_count().saturating_sub(below);
            below = bucket.cumulative_count();
            count
        })
        .collect();
    counts.push(source.get_sample_count().saturating_sub(below));
    counts
}

/// A bucket (low, high] with how many values it holds and the one value that stands for all of them.
struct Bucket {
    low: f64,
    high: f64,
    count: f64,
    value: f64,
}

impl Bucket {
    fn new(low: f64, high: f64, count: u64) -> Self {
        let value = match (low.is_finite(), high.is_finite()) {
            (true, true) => low + (high - low) / 2.0,
            (false, true) => high,
            (true, false) => low.next_up(),
            (false, false) => 0.0,
        };
        #[expect(clippy::cast_precision_loss, reason = "no histogram sees 2^53 values between two pushes")]
        let count = count as f64;
        Self { low, high, count, value }
    }

    /// How far the sum can rise (or fall) within this bucket, if both its ends are known.
    fn room(&self, up: bool) -> f64 {
        let end = if up { self.high } else { self.low };
        if self.low.is_finite() && self.high.is_finite() { self.count * (end - self.value) } else { 0.0 }
    }
}

/// One value for each bucket; taken `counts` times they add up to `sum`, and each lies in its bucket.
fn stand_ins(bounds: &[f64], counts: &[u64], sum: f64) -> Vec<f64> {
    let lows = std::iter::once(f64::NEG_INFINITY).chain(bounds.iter().copied());
    let highs = bounds.iter().copied().chain(std::iter::once(f64::INFINITY));
    let mut buckets: Vec<Bucket> =
        lows.zip(highs).zip(counts).map(|((low, high), count)| Bucket::new(low, high, *count)).collect();

    let missing = sum - total(&buckets);
    let up = missing > 0.0;
    let room: f64 = buckets.iter().map(|bucket| bucket.room(up)).sum();
    let share = if room == 0.0 { 0.0 } else { (missing / room).min(1.0) };
    for bucket in buckets.iter_mut().filter(|bucket| bucket.low.is_finite() && bucket.high.is_finite()) {
        let end = if up { bucket.high } else { bucket.low };
        let moved = bucket.value + share * (end - bucket.value);
        bucket.value = moved.clamp(bucket.low.next_up(), bucket.high);
    }
    // What the closed buckets cannot hold is in the one that is open to that side.
    let missing = sum - total(&buckets);
    let open = if missing > 0.0 { buckets.last_mut() } else { buckets.first_mut() };
    if let Some(open) = open.filter(|bucket| bucket.count > 0.0) {
        let moved = open.value + missing / open.count;
        open.value = if open.low.is_finite() { moved.max(open.low.next_up()) } else { moved.min(open.high) };
    }
    buckets.iter().map(|bucket| bucket.value).collect()
}

fn total(buckets: &[Bucket]) -> f64 {
    buckets.iter().map(|bucket| bucket.count * bucket.value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observes `values`, and demands stand-ins with the same sum in the same buckets.
    fn check(bounds: &[f64], values: &[f64]) {
        let bucket_of = |value: f64| bounds.partition_point(|bound| *bound < value);
        let mut counts = vec![0u64; bounds.len() + 1];
        for value in values {
            counts[bucket_of(*value)] += 1;
        }
        let sum: f64 = values.iter().sum();
        let stand_ins = stand_ins(bounds, &counts, sum);
        let mut reached = 0.0;
        for (bucket, (value, count)) in stand_ins.iter().zip(&counts).enumerate() {
            if *count > 0 {
                assert_eq!(bucket_of(*value), bucket, "{value} left its bucket, {values:?}");
            }
            reached += value * f64::from(u32::try_from(*count).unwrap());
        }
        assert!((reached - sum).abs() <= 1e-9 * (1.0 + sum.abs()), "{reached} instead of {sum}, {values:?}");
    }

    #[test]
    fn stand_ins_have_the_same_sum_in_the_same_buckets() {
        let durations = [0.001, 0.01, 0.1, 1.0];
        check(&durations, &[]);
        check(&durations, &[0.0005, 0.0002]);
        check(&durations, &[0.001, 0.01, 0.1, 1.0]);
        check(&durations, &[0.0011, 0.011, 0.11]);
        check(&durations, &[0.002, 0.05, 0.7, 3.0, 80.0]);
        check(&durations, &[0.0003, 0.0099, 0.0098, 0.95, 0.97]);
        check(&durations, &[1.0000001, 1.5]);
        check(&[-100.0, 0.0, 100.0], &[-5000.0, -3.0, 0.0, 7.0, 99.0, 1e9]);
        check(&[-100.0, 0.0, 100.0], &[-5000.0, -100.0, -99.0]);
        check(&[0.0], &[5.0, 6.0, -2.0]);
        check(&[], &[5.0, 6.0, -2.0]);
    }
}
