//! Quantiles of what was counted in the buckets of a histogram.
//!
//! Within a bucket the values are taken to lie evenly, as Prometheus does (`histogram_quantile`): the error is that of the
//! bucket's width. What lies beyond the last bound is told as that bound, and a lowest bucket begins at 0.

use crate::sample::Bucket;

/// The quantiles that are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// As many are below as above.
    pub p50: f64,
    /// One of twenty is above.
    pub p95: f64,
    /// One of a hundred is above.
    pub p99: f64,
}

impl Quantiles {
    /// Of what was counted in each bucket and below, up to the bucket without a bound; none where nothing was.
    #[must_use]
    pub fn of(buckets: &[Bucket]) -> Option<Self> {
        let of = |share| quantile(buckets, share);
        Some(Self { p50: of(0.5)?, p95: of(0.95)?, p99: of(0.99)? })
    }
}

fn quantile(buckets: &[Bucket], share: f64) -> Option<f64> {
    let (all, bounded) = buckets.split_last()?;
    if all.count.is_nan() || all.count <= 0.0 {
        return None;
    }
    let rank = share * all.count;
    let mut below = Bucket { upper_bound: 0.0, count: 0.0 };
    for bucket in bounded {
        // Series whose buckets differ add up to steps that fall.
        let count = bucket.count.max(below.count);
        if count >= rank && count > below.count {
            let within = (rank - below.count) / (count - below.count);
            let from = below.upper_bound.min(bucket.upper_bound);
            return Some(from + within * (bucket.upper_bound - from));
        }
        below = Bucket { upper_bound: bucket.upper_bound, count };
    }
    bounded.last().map(|last| last.upper_bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(counts: &[(f64, f64)], expected: Option<[f64; 3]>) {
        let buckets: Vec<Bucket> =
            counts.iter().map(|&(upper_bound, count)| Bucket { upper_bound, count }).collect();
        let told = Quantiles::of(&buckets);
        let close = |(told, expected): (f64, f64)| (told - expected).abs() < 1e-9;
        let is_right = match (told, expected) {
            (Some(told), Some(expected)) => {
                [told.p50, told.p95, told.p99].into_iter().zip(expected).all(close)
            }
            (told, expected) => told.is_none() && expected.is_none(),
        };
        assert!(is_right, "{counts:?}: {told:?} and not {expected:?}");
    }

    #[test]
    fn values_lie_evenly_in_their_bucket() {
        let end = f64::INFINITY;
        check(&[(0.1, 100.0), (end, 100.0)], Some([0.05, 0.095, 0.099]));
        check(&[(0.1, 50.0), (0.2, 90.0), (1.0, 100.0), (end, 100.0)], Some([0.1, 0.6, 0.92]));
        check(&[(0.1, 0.0), (0.2, 0.0), (0.4, 10.0), (end, 10.0)], Some([0.3, 0.39, 0.398]));
    }

    #[test]
    fn beyond_the_last_bound_that_is_all_that_is_known_and_of_nothing_there_is_none() {
        let end = f64::INFINITY;
        check(&[(0.1, 40.0), (1.0, 90.0), (end, 100.0)], Some([0.28, 1.0, 1.0]));
        check(&[(0.1, 0.0), (end, 0.0)], None);
        check(&[(end, 7.0)], None);
        check(&[], None);
        check(&[(0.1, 50.0), (0.2, 40.0), (0.4, 100.0), (end, 100.0)], Some([0.1, 0.38, 0.396]));
    }
}
