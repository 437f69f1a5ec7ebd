//! What members tell of themselves beside their areas: counters, delays and durations.

use super::Source;
use crate::{
    detect::quantile::Quantiles,
    sample::{Batch, Buckets, Counts, Identity, Seconds},
    series::histogram::Histogram,
};
use std::sync::Arc;

impl Source {
    /// Takes in delays and durations, and who told nothing though it was asked.
    pub(super) fn take_in_told(&mut self, batch: &Batch) {
        for (identity, lag_secs) in &batch.event_loop_lags {
            if let Some(watched) = self.members.get(identity)
                && let Some(record) = self.targets.get_mut(&watched.member.target)
            {
                record.event_loop_lag_secs = Some(*lag_secs);
                self.budgets.take_in_lag(&watched.member.target, *identity, *lag_secs);
            }
        }
        for (identity, buckets) in &batch.response_times {
            self.take_in_response_times(*identity, buckets, batch.at);
        }
        for identity in &batch.untold {
            if let Some(watched) = self.members.get(identity) {
                self.budgets.fall_silent(&watched.member.target, *identity);
                if let Some(record) = self.targets.get_mut(&watched.member.target) {
                    record.response_times = None;
                }
            }
        }
    }

    /// Counts what the kernel's own counters rose by. Of a member that began while it was watched that is all they hold.
    pub(super) fn take_in_counts(&mut self, identity: Identity, counts: &Counts, at: Seconds) {
        let Some(watched) = self.members.get_mut(&identity) else { return };
        let Some(record) = self.targets.get_mut(&watched.member.target) else { return };
        let is_new = self.began_at.is_some_and(|began_at| watched.member.started_at > began_at);
        if is_new {
            watched.counts = watched.counts.or(&counts.at_zero());
        }
        record.counts.add_rise(&watched.counts, counts);
        watched.counts = counts.or(&watched.counts);
        self.budgets.count(&watched.member.target, identity, counts, at);
    }

    /// Takes in how many answers took how long until now.
    fn take_in_response_times(&mut self, identity: Identity, buckets: &Buckets, at: Seconds) {
        let Some(watched) = self.members.get_mut(&identity) else { return };
        let Some(record) = self.targets.get_mut(&watched.member.target) else { return };
        match &mut watched.response_times {
            Some(known) => known.push(at, Arc::clone(buckets)),
            new => *new = Some(Box::new(Histogram::new(at, Arc::clone(buckets)))),
        }
        let lately = watched.response_times.as_ref().and_then(|times| times.rise(at));
        record.response_times = lately.as_deref().and_then(Quantiles::of);
        if let Some(times) = record.response_times {
            self.budgets.take_in_p95(&watched.member.target, identity, times.p95);
        }
    }
}
