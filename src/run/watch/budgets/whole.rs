//! A target as a whole: what its processes tell of themselves beside their areas, added up.
//!
//! Each process counts for itself: its counters have a pace of their own, so that one that starts, ends or begins anew
//! neither adds nor hides a rise. A process counts once its counters are known for a minute. Only what the target's own
//! collector tells is here, so that nobody is counted twice; of an application and of its process there are two targets.

use super::{Moment, end, event, view};
use crate::{
    budget::{Budget, Measure, ONE_THREAD},
    detect::budget::{Pace, TargetJudge, TargetReading},
    run::watch::{Event, WatchedMember},
    sample::{Counter, Counts, Identity, Seconds, Target},
    snapshot::RuleView,
};
use std::{collections::HashMap, sync::Arc};

/// The size of an area that was read longer ago is not told any more.
const TOLD_FOR_SECS: f64 = 300.0;

/// What is known of one target.
pub(super) struct Whole {
    judge: TargetJudge,
    meters: HashMap<Identity, Meter>,
    sums: Sums,
}

/// What one process tells.
#[derive(Default)]
struct Meter {
    seen: u64,
    paces: Vec<(Counter, Pace)>,
    lag_secs: Option<Seconds>,
    /// How long one of twenty answers takes at least.
    p95_secs: Option<Seconds>,
    /// Whether it told nothing when it was asked last.
    is_silent: bool,
}

/// What the processes add up to at one tick; none of what none of them tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    collections_per_sec: Option<f64>,
    requests_per_sec: Option<f64>,
    response_secs_per_sec: Option<f64>,
    processors_used: Option<f64>,
    /// How many of those that use them run their program on one thread, and whether any other does.
    of_one_thread: f64,
    has_more_threads: bool,
    heap_and_external: Option<(f64, f64)>,
    worst_lag_secs: Option<Seconds>,
    worst_p95_secs: Option<Seconds>,
}

impl Whole {
    pub(super) fn new(budget: &Arc<Budget>, interval_secs: f64) -> Option<Self> {
        let judge = TargetJudge::new(budget, interval_secs)?;
        Some(Self { judge, meters: HashMap::new(), sums: Sums::default() })
    }

    /// Takes in what a process has counted until now.
    pub(super) fn count(&mut self, identity: Identity, counts: &Counts, at: Seconds) {
        let meter = self.meters.entry(identity).or_default();
        (meter.is_silent, meter.lag_secs, meter.p95_secs) = (false, None, None);
        for counter in Counter::ALL {
            let Some(value) = counts.get(counter) else { continue };
            if measure_of(counter).is_none_or(|measure| !self.judge.asks_for(measure)) {
                continue;
            }
            match meter.paces.iter_mut().find(|(known, _)| *known == counter) {
                Some((_, pace)) => pace.push(at, value),
                None => meter.paces.push((counter, Pace::new(at, value))),
            }
        }
    }

    pub(super) fn take_in_lag(&mut self, identity: Identity, lag_secs: Seconds) {
        self.meters.entry(identity).or_default().lag_secs = Some(lag_secs);
    }

    pub(super) fn take_in_p95(&mut self, identity: Identity, p95_secs: Seconds) {
        self.meters.entry(identity).or_default().p95_secs = Some(p95_secs);
    }

    pub(super) fn fall_silent(&mut self, identity: Identity) {
        self.meters.entry(identity).or_default().is_silent = true;
    }

    /// Adds a process, which was heard of at this tick or not.
    pub(super) fn add(&mut self, watched: &WatchedMember, is_heard: bool, moment: Moment) {
        let meter = self.meters.entry(watched.member.identity).or_default();
        meter.seen = moment.tick;
        if is_heard && !meter.is_silent {
            self.sums.add(meter, watched, moment.at);
        }
    }

    pub(super) fn judge(&mut self, target: &Arc<Target>, moment: Moment, events: &mut Vec<Event>) {
        self.meters.retain(|_, meter| meter.seen == moment.tick);
        let reading = std::mem::take(&mut self.sums).reading(moment);
        self.judge.take_in(&reading, &mut |change| events.push(event(target, None, change)));
    }

    pub(super) fn end(&self, target: &Arc<Target>, events: &mut Vec<Event>) {
        end(self.judge.standings(), (target, None), events);
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = RuleView> {
        self.judge.standings().map(|standing| view(standing, None))
    }
}

impl Meter {
    fn per_sec(&self, counter: Counter, now: Seconds) -> Option<f64> {
        self.paces.iter().find(|(known, _)| *known == counter)?.1.per_sec(now)
    }
}

impl Sums {
    fn add(&mut self, meter: &Meter, watched: &WatchedMember, now: Seconds) {
        let per_sec = |counter| meter.per_sec(counter, now);
        let collections = per_sec(Counter::OldCollections).or_else(|| per_sec(Counter::Collections));
        add(&mut self.collections_per_sec, collections);
        if let Some((requests, secs)) = per_sec(Counter::Requests).zip(per_sec(Counter::ResponseSecs)) {
            add(&mut self.requests_per_sec, Some(requests));
            add(&mut self.response_secs_per_sec, Some(secs));
        }
        if let Some(used) = per_sec(Counter::CpuSecs) {
            add(&mut self.processors_used, Some(used));
            if ONE_THREAD.contains(&&*watched.member.info.runtime) {
                self.of_one_thread += 1.0;
            } else {
                self.has_more_threads = true;
            }
        }
        let told = watched.areas.iter().filter(|area| now - area.sampled_at <= TOLD_FOR_SECS);
        let size = |name: &str| told.clone().find(|area| *area.area.name == *name).map(|area| area.size);
        if let Some((heap, external)) = size("heap").zip(size("external")) {
            let (heaps, externals) = self.heap_and_external.unwrap_or_default();
            self.heap_and_external = Some((heaps + heap, externals + external));
        }
        worst(&mut self.worst_lag_secs, meter.lag_secs);
        worst(&mut self.worst_p95_secs, meter.p95_secs);
    }

    fn reading(self, moment: Moment) -> TargetReading {
        let processors = if self.has_more_threads {
            moment.processors
        } else {
            Some(moment.processors.map_or(self.of_one_thread, |all| all.min(self.of_one_thread)))
        };
        TargetReading {
            at: moment.at,
            collections_per_sec: self.collections_per_sec,
            external_to_heap: quotient(self.heap_and_external.map(|(heap, external)| (external, heap))),
            processor_share: quotient(self.processors_used.zip(processors)),
            event_loop_lag_secs: self.worst_lag_secs,
            response_secs: self
                .worst_p95_secs
                .or_else(|| quotient(self.response_secs_per_sec.zip(self.requests_per_sec))),
        }
    }
}

/// Which rules a counter is for.
const fn measure_of(counter: Counter) -> Option<Measure> {
    match counter {
        Counter::OldCollections | Counter::Collections => Some(Measure::Collections),
        Counter::CpuSecs => Some(Measure::ProcessorShare),
        Counter::Requests | Counter::ResponseSecs => Some(Measure::ResponseTime),
        _ => None,
    }
}

fn add(sum: &mut Option<f64>, value: Option<f64>) {
    if let Some(value) = value {
        *sum = Some(sum.unwrap_or(0.0) + value);
    }
}

fn worst(known: &mut Option<f64>, value: Option<f64>) {
    if let Some(value) = value {
        *known = Some(known.map_or(value, |known| known.max(value)));
    }
}

/// The one by the other; none by nothing.
fn quotient(of: Option<(f64, f64)>) -> Option<f64> {
    of.filter(|(_, divisor)| *divisor > 0.0).map(|(dividend, divisor)| dividend / divisor)
}

#[cfg(test)]
mod tests;
