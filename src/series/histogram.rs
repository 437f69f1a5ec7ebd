//! What was counted in each bucket of a histogram over the last one to two minutes.

use super::marks::Marks;
use crate::sample::{Bucket, Buckets, Seconds};

/// The last readings of a histogram.
#[derive(Debug)]
pub struct Histogram(Marks<Buckets>);

impl Histogram {
    /// The first reading.
    #[must_use]
    pub fn new(at: Seconds, buckets: Buckets) -> Self {
        Self(Marks::new(at, buckets))
    }

    /// Takes in a reading. A histogram with other buckets, or one that counts less, began anew.
    pub fn push(&mut self, at: Seconds, buckets: Buckets) {
        self.0.push(at, buckets, |before, now| {
            let has_risen = |(before, now): (&Bucket, &Bucket)| {
                before.upper_bound.to_bits() == now.upper_bound.to_bits() && before.count <= now.count
            };
            before.len() == now.len() && before.iter().zip(now.iter()).all(has_risen)
        });
    }

    /// What was counted in each bucket and below; none before a minute is known.
    #[must_use]
    pub fn rise(&self, now: Seconds) -> Option<Vec<Bucket>> {
        let span = self.0.span(now)?;
        let risen = |(from, to): (&Bucket, &Bucket)| Bucket { count: to.count - from.count, ..*to };
        Some(span.from.iter().zip(span.to.iter()).map(risen).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(of: &[(f64, f64)]) -> Buckets {
        of.iter().map(|&(upper_bound, count)| Bucket { upper_bound, count }).collect()
    }

    #[test]
    fn a_minute_counts_and_another_histogram_begins_anew() {
        let mut histogram = Histogram::new(0.0, buckets(&[(0.1, 5.0), (f64::INFINITY, 9.0)]));
        histogram.push(30.0, buckets(&[(0.1, 6.0), (f64::INFINITY, 11.0)]));
        assert_eq!(histogram.rise(30.0), None);
        histogram.push(60.0, buckets(&[(0.1, 7.0), (f64::INFINITY, 19.0)]));
        let counts = |rise: Option<Vec<Bucket>>| -> Option<Vec<f64>> {
            rise.map(|rise| rise.iter().map(|bucket| bucket.count).collect())
        };
        assert_eq!(counts(histogram.rise(60.0)), Some(vec![2.0, 10.0]));
        assert_eq!(histogram.rise(160.0), None, "nobody tells any more");
        histogram.push(90.0, buckets(&[(0.1, 7.0), (f64::INFINITY, 18.0)]));
        assert_eq!(histogram.rise(90.0), None, "it counts less");
        histogram.push(150.0, buckets(&[(0.2, 7.0), (f64::INFINITY, 28.0)]));
        assert_eq!(histogram.rise(150.0), None, "it has other buckets");
    }
}
