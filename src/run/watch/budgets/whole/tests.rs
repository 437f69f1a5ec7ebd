//! Targets as a whole: processes that come and go, counters that begin anew, silence, and who counts how many processors.

use super::*;
use crate::{
    budget::{Level, Rule},
    run::watch::{
        BudgetChange, Watch,
        tests::{PROCESS, anon, member, watching},
    },
    sample::{Area, Batch, Beside, Bucket, Member, Sample, TargetInfo, Unit},
};

const INTERVAL_SECS: f64 = 3.0;

/// A watch of four processors under this configuration, and all that it told of targets as a whole.
struct Told {
    watch: Watch,
    told: Vec<(f64, &'static str, Option<bool>)>,
}

impl Told {
    fn of(thresholds: &str) -> Self {
        let text = format!("targets: [{{name: web, thresholds: {{{thresholds}}}}}]");
        let config = crate::config::written::parse(&text, "a.yml", &|_| None).expect(&text);
        let mut watch = watching();
        watch.set_budgets(&config.sensitivity, Some(4.0));
        Self { watch, told: Vec::new() }
    }

    /// A batch at each tick of this time.
    fn run(&mut self, from: f64, until: f64, fill: impl Fn(&mut Batch)) {
        let mut at = from;
        while at < until {
            let mut batch = Batch::new(at);
            fill(&mut batch);
            let mut events = Vec::new();
            self.watch.take_in(PROCESS, &batch, &mut events);
            for event in events {
                let Event::Budget(BudgetChange { area: None, change, .. }) = event else { continue };
                self.told.push((at, change.threshold.rule.name, change.is_breached));
            }
            at += INTERVAL_SECS;
        }
    }

    /// How the target stands to its rules.
    fn standing(&self) -> Vec<(&'static str, Option<bool>)> {
        let rules = self.watch.rules_of(&member("web", 1, 0.0).target);
        rules.iter().map(|rule| (rule.threshold.rule.name, rule.is_breached)).collect()
    }

    fn changes(&self) -> Vec<Option<bool>> {
        self.told.iter().map(|told| told.2).collect()
    }
}

/// A process of `web` on a runtime.
fn on(runtime: &str, pid: u32) -> Arc<Member> {
    let info = TargetInfo { runtime: runtime.into(), ..TargetInfo::default() };
    Arc::new(member("web", pid, 0.0).with_info(info))
}

/// Says that a process is here with these counters.
fn push(batch: &mut Batch, member: &Arc<Member>, counted: &[(Counter, f64)]) {
    batch.push(Arc::clone(member), [anon(1e6)]);
    let mut counts = Counts::default();
    counted.iter().for_each(|(counter, value)| counts.set(*counter, *value));
    batch.counted.push((member.identity, counts));
}

fn cpu(batch: &mut Batch, member: &Arc<Member>, processors: f64) {
    push(batch, member, &[(Counter::CpuSecs, processors * batch.at)]);
}

#[test]
fn each_process_on_one_thread_has_a_processor_and_all_others_share_those_of_the_machine() {
    // Runtimes, what each uses, and whether that is 80 % of what they have.
    for (runtimes, used, expected) in [
        (&["node"][..], 0.8, true),
        (&["node"], 0.79, false),
        (&["node", "python"], 0.8, true),
        (&["jvm"], 0.8, false),
        (&["jvm"], 3.2, true),
        (&["", ""], 1.6, true),
        (&["node", "jvm"], 0.8, false),
        (&["node", "node", "node", "node", "node", "ruby"], 0.6, true),
    ] {
        let processes: Vec<_> = (1..).zip(runtimes).map(|(pid, runtime)| on(runtime, pid)).collect();
        let mut told = Told::of("cpu: 80%");
        told.run(0.0, 90.0, |batch| processes.iter().for_each(|process| cpu(batch, process, used)));
        assert_eq!(told.standing(), [("cpu", Some(expected))], "{runtimes:?} {used}");
    }
}

#[test]
fn a_process_that_begins_ends_or_counts_anew_is_no_rise() {
    let (old, new) = (on("jvm", 1), on("jvm", 2));
    let mut told = Told::of("cpu: 50%");
    told.run(0.0, 90.0, |batch| cpu(batch, &old, 1.0));
    // It has used an hour of processor time before it was here.
    told.run(90.0, 240.0, |batch| {
        cpu(batch, &old, 1.0);
        push(batch, &new, &[(Counter::CpuSecs, 3600.0 + 0.5 * batch.at)]);
    });
    assert_eq!((told.changes(), told.standing()), (vec![], vec![("cpu", Some(false))]));
    told.run(240.0, 390.0, |batch| push(batch, &new, &[(Counter::CpuSecs, 4.0 * (batch.at - 240.0))]));
    assert_eq!(told.told, [(300.0, "cpu", Some(true))], "since its counter fell a minute ago");
    told.run(390.0, 393.0, |_| {});
    assert_eq!((told.changes(), told.standing()), (vec![Some(true), None], vec![]), "its end is told");
}

#[test]
fn counters_that_are_read_once_a_minute_are_enough() {
    let process = on("node", 1);
    let mut told = Told::of("cpu: 80%");
    told.run(0.0, 600.0, |batch| {
        if batch.at % 60.0 < 1.0 {
            cpu(batch, &process, 0.9);
        } else {
            batch.push(Arc::clone(&process), [anon(1e6)]);
        }
    });
    assert_eq!(told.told, [(60.0, "cpu", Some(true))]);
}

#[test]
fn full_collections_count_and_all_where_no_generation_is_told() {
    use Counter::{Collections, OldCollections, YoungCollections};
    let process = on("node", 1);
    for (counters, expected) in [
        (&[(YoungCollections, 60.0), (OldCollections, 29.0)][..], vec![("gc_frequency", Some(false))]),
        (&[(YoungCollections, 1.0), (OldCollections, 31.0)], vec![("gc_frequency", Some(true))]),
        (&[(Collections, 31.0)], vec![("gc_frequency", Some(true))]),
        // Told by two libraries, and the same ones.
        (&[(OldCollections, 20.0), (Collections, 20.0)], vec![("gc_frequency", Some(false))]),
        (&[(YoungCollections, 60.0)], vec![]),
    ] {
        let mut told = Told::of("gc_frequency: 30/min");
        told.run(0.0, 90.0, |batch| {
            let minutes = batch.at / 60.0;
            let counted: Vec<_> = counters.iter().map(|(counter, pace)| (*counter, pace * minutes)).collect();
            push(batch, &process, &counted);
        });
        assert_eq!(told.standing(), expected, "{counters:?}");
    }
}

#[test]
fn the_mean_answer_counts_and_without_requests_there_is_none() {
    let process = on("node", 1);
    let answers = |batch: &mut Batch, requests: f64, secs: f64| {
        push(batch, &process, &[(Counter::Requests, requests), (Counter::ResponseSecs, secs)]);
    };
    let mut told = Told::of("response_time: 500ms");
    told.run(0.0, 150.0, |batch| answers(batch, 10.0 * batch.at, 5.0 * batch.at));
    assert_eq!(told.standing(), [("response_time", Some(true))]);
    told.run(150.0, 450.0, |batch| answers(batch, 1500.0, 750.0));
    assert_eq!((told.changes(), told.standing()), (vec![Some(true), None], vec![("response_time", None)]));
}

#[test]
fn where_there_is_a_histogram_one_of_twenty_counts_and_not_the_mean() {
    let process = on("node", 1);
    // Ten answers a second, of which so many take a second and the others none.
    for (slow, expected) in [(0.4, Some(false)), (0.6, Some(true))] {
        let mut told = Told::of("response_time: 500ms");
        told.run(0.0, 90.0, |batch| {
            let (all, slow) = (10.0 * batch.at, slow * batch.at);
            push(batch, &process, &[(Counter::Requests, all), (Counter::ResponseSecs, slow)]);
            let bucket = |upper_bound, count| Bucket { upper_bound, count };
            let buckets = [bucket(0.1, all - slow), bucket(0.5, all - slow), bucket(f64::INFINITY, all)];
            batch.response_times.push((process.identity, buckets.into()));
        });
        assert_eq!(told.standing(), [("response_time", expected)], "{slow}");
        let times = told.watch.targets().next().and_then(|(_, record)| record.response_times).unwrap();
        assert!((times.p50 - 0.05).abs() < 0.01 && times.p99 >= 0.5, "{times:?}");
        told.run(90.0, 93.0, |batch| batch.silent.push(Arc::clone(&process.target)));
        assert!(told.watch.targets().all(|(_, record)| record.response_times.is_none()));
    }
}

/// An application that is late by so much, and answers or does not.
fn lag(batch: &mut Batch, process: &Arc<Member>, lag_secs: f64) {
    push(batch, process, &[]);
    batch.event_loop_lags.push((process.identity, lag_secs));
}

#[test]
fn the_latest_process_counts_and_the_silent_ones_do_not() {
    let (calm, late) = (on("node", 1), on("node", 2));
    let silent = |batch: &mut Batch| batch.silent.push(Arc::clone(&late.target));
    // Its endpoint fails, and something else of it is told.
    let untold = |batch: &mut Batch| {
        batch.push(Arc::clone(&late), [anon(1e6)]);
        batch.untold.push(late.identity);
    };
    let lost = |batch: &mut Batch| push(batch, &late, &[]);
    for mute in [&silent as &dyn Fn(&mut Batch), &untold, &lost] {
        let mut told = Told::of("event_loop_lag: 20ms");
        told.run(0.0, 90.0, |batch| {
            lag(batch, &calm, 0.001);
            lag(batch, &late, 0.03);
        });
        assert_eq!(told.standing(), [("event_loop_lag", Some(true))]);
        told.run(90.0, 180.0, mute);
        assert_eq!(told.changes(), [Some(true), None]);
        assert_eq!(told.standing(), [("event_loop_lag", None)]);
        // A last value that was high becomes no breach by being old.
        let mut told = Told::of("event_loop_lag: 20ms");
        told.run(0.0, 9.0, |batch| lag(batch, &late, 0.03));
        told.run(9.0, 180.0, mute);
        assert_eq!(told.changes(), []);
    }
}

#[test]
fn memory_beside_the_heap_is_that_of_all_who_tell_both() {
    let processes = [on("jvm", 1), on("jvm", 2), on("", 3)];
    let sizes = [Some((100e6, 100e6)), Some((10e6, 340e6)), None];
    let mut told = Told::of("external_to_heap: {warning: 3, critical: 5}");
    let tell = |told: &mut Told, at: f64| {
        told.run(at, at + 1.0, |batch| {
            processes.iter().for_each(|process| batch.push(Arc::clone(process), [anon(1e6)]));
            for (process, size) in processes.iter().zip(sizes) {
                let Some((heap, external)) = size else { continue };
                let sample =
                    |name: &str, size| Sample { area: Area::new(name, Unit::Bytes), size, limit: None };
                let samples = vec![sample("heap", heap), sample("external", external)];
                let counts = Counts::default();
                batch.beside.push(Beside { identity: process.identity, samples, counts });
            }
        });
    };
    for step in 0..30u32 {
        tell(&mut told, f64::from(step) * INTERVAL_SECS);
    }
    assert_eq!(told.standing(), [("external_to_heap", Some(true)), ("external_to_heap", Some(false))]);
    // Nobody reads them any more.
    told.run(90.0, 600.0, |batch| {
        processes.iter().for_each(|process| batch.push(Arc::clone(process), [anon(1e6)]));
    });
    assert_eq!(told.changes(), [Some(true), None]);
}

#[test]
fn without_a_rule_of_the_whole_nothing_is_kept() {
    let mut budget = Budget::default();
    budget.set(Rule::named("size").unwrap(), &[(Level::Warning, 1e9)]);
    assert!(Whole::new(&Arc::new(budget.clone()), INTERVAL_SECS).is_none());
    budget.set(Rule::named("cpu").unwrap(), &[(Level::Warning, 0.5)]);
    let mut whole = Whole::new(&Arc::new(budget), INTERVAL_SECS).unwrap();
    let mut counts = Counts::default();
    Counter::ALL.into_iter().for_each(|counter| counts.set(counter, 1.0));
    whole.count(Identity::HOST, &counts, 0.0);
    assert_eq!(whole.meters[&Identity::HOST].paces.len(), 1, "what no rule asks for is not kept");
    assert_eq!(whole.rules().count(), 0);
}
