//! Budgets of whole targets: workers that come and go, restarts, limits, reloads and ends.

use super::{super::tests::*, *};
use crate::{
    budget::Preset,
    config::{Collectors, Judged, Limits, written},
    run::{
        present::Presentation,
        watch::{Terms, Watch},
    },
    sample::{Batch, Limit, LimitSource, Member, Sample},
};

const INTERVAL_SECS: f64 = 3.0;
const MB: f64 = 1e6;

fn sensitivity(text: &str) -> Sensitivity {
    written::parse(text, "a.yml", &|_| None).expect(text).sensitivity
}

/// A process with its size at a time.
type Sized<'a> = (&'a Arc<Member>, &'a dyn Fn(f64) -> f64);

/// A watch of anonymous memory under this configuration, and all that it told of budgets.
struct Held {
    watch: Watch,
    tick: u32,
    told: Vec<(String, Option<bool>)>,
}

impl Held {
    fn to(configuration: &str) -> Self {
        let mut watch = watching();
        watch.set_budgets(&sensitivity(configuration), Some(4.0));
        Self { watch, tick: 0, told: Vec::new() }
    }

    fn to_strict() -> Self {
        Self::to("sensitivity: strict")
    }

    /// So many seconds with these processes, each with its size at a time.
    fn run(&mut self, secs: f64, members: &[Sized<'_>]) {
        let until = f64::from(self.tick) * INTERVAL_SECS + secs;
        while f64::from(self.tick) * INTERVAL_SECS < until {
            let at = f64::from(self.tick) * INTERVAL_SECS;
            let samples = members.iter().map(|(member, size)| (Arc::clone(member), anon(size(at))));
            self.tick(samples.collect());
        }
    }

    fn tick(&mut self, samples: Vec<(Arc<Member>, Sample)>) {
        let mut batch = Batch::new(f64::from(self.tick) * INTERVAL_SECS);
        for (member, sample) in samples {
            batch.push(member, [sample]);
        }
        let mut events = Vec::new();
        self.watch.take_in(PROCESS, &batch, &mut events);
        self.tick += 1;
        for event in events {
            let Event::Budget(BudgetChange { target, area, change }) = event else { continue };
            let area = area.as_deref().unwrap_or("-");
            let rule = change.threshold.rule.name;
            let level = change.threshold.level.as_str();
            self.told.push((format!("{} {area} {rule} {level}", target.name), change.is_breached));
        }
    }

    /// What was told of rules that begin so.
    fn told_of(&self, rule: &str) -> Vec<Option<bool>> {
        let is_of = |what: &str| what.split(' ').nth(2).is_some_and(|name| name.starts_with(rule));
        self.told.iter().filter(|(what, _)| is_of(what)).map(|(_, is)| *is).collect()
    }

    /// What is shown of a rule.
    fn shown(&self, rule: &str) -> Vec<Option<bool>> {
        let rules = self.rules();
        rules
            .iter()
            .filter(|shown| shown.threshold.rule.name == rule)
            .map(|shown| shown.is_breached)
            .collect()
    }

    fn rules(&self) -> Vec<RuleView> {
        let limits = Limits::default();
        let presentation = Presentation {
            limits: &limits,
            collectors: &Collectors::default(),
            show_pid: false,
            severity: self.watch.severity(),
            wall_offset_secs: 0.0,
        };
        let (snapshot, _) = presentation.snapshot(&self.watch, 1, 0.0);
        snapshot.targets.into_iter().flat_map(|target| target.rules).collect()
    }
}

#[test]
fn without_a_budget_there_is_no_rule() {
    let worker = member("web", 1, -86_400.0);
    for configuration in ["", "sensitivity: off", "targets: [{name: db, sensitivity: strict}]"] {
        let mut held = Held::to(configuration);
        held.run(1200.0, &[(&worker, &|at| 900.0 * MB + at * MB)]);
        assert_eq!((held.told.len(), held.rules().len()), (0, 0), "{configuration}");
    }
}

#[test]
fn workers_keep_a_budget_together() {
    let workers = [1, 2, 3].map(|pid| member("web", pid, -86_400.0));
    let mut held = Held::to_strict();
    held.run(120.0, &[(&workers[0], &|_| 20.0 * MB), (&workers[1], &|_| 20.0 * MB)]);
    assert_eq!(held.shown("size"), [Some(false)]);
    let three = workers.each_ref().map(|worker| (worker, &(|_| 20.0 * MB) as &dyn Fn(f64) -> f64));
    held.run(120.0, &three);
    assert_eq!(held.shown("size"), [Some(true)]);
    assert_eq!(held.told, [("web anon size warning".into(), Some(true))]);
}

#[test]
fn a_new_worker_is_no_growth_and_a_leak_of_all_is() {
    let (old, new) = (member("web", 1, -86_400.0), member("web", 2, 3600.0));
    let mut held = Held::to_strict();
    let steady: Sized<'_> = (&old, &|_| 300.0 * MB);
    held.run(3600.0, &[steady]);
    // It warms up for five minutes, to 250 MB.
    held.run(3600.0, &[steady, (&new, &|at| 250.0 * MB * ((at - 3600.0) / 300.0).min(1.0))]);
    assert_eq!(held.told_of("growth"), []);
    let leak = |at: f64| (at - 7200.0) * 60.0 * MB / 3600.0;
    held.run(1200.0, &[(&old, &|at| 300.0 * MB + leak(at)), (&new, &|at| 250.0 * MB + leak(at))]);
    assert_eq!(held.told_of("growth_sustained"), [Some(true)], "neither of them grows by 100 MB an hour");
}

#[test]
fn a_restart_begins_anew() {
    let (old, new) = (member("web", 1, -86_400.0), member("web", 2, 9000.0));
    let mut held = Held::to_strict();
    let leak = |at: f64| 300.0 * MB + (at - 7200.0).max(0.0) * 400.0 * MB / 3600.0;
    held.run(9000.0, &[(&old, &leak)]);
    assert_eq!(held.shown("growth_sustained"), [Some(true)]);
    held.run(1200.0, &[(&new, &|_| 300.0 * MB)]);
    assert_eq!(held.shown("growth_sustained"), [None]);
    assert_eq!(held.told_of("growth_sustained"), [Some(true), None]);
    assert_eq!(held.told_of("size"), [Some(true)], "its size is what it was");
}

#[test]
fn what_is_breached_ends_with_its_target_and_with_its_budget() {
    let worker = member("web", 1, -86_400.0);
    let mut held = Held::to_strict();
    held.run(300.0, &[(&worker, &|_| 100.0 * MB)]);
    held.run(3.0, &[]);
    assert_eq!((held.told_of("size"), held.rules().len()), (vec![Some(true), None], 0));
    let mut held = Held::to_strict();
    held.run(300.0, &[(&worker, &|_| 100.0 * MB)]);
    held.watch
        .set_budgets(&sensitivity("sensitivity: strict\ntargets: [{name: db, sensitivity: off}]"), Some(4.0));
    held.run(3.0, &[(&worker, &|_| 100.0 * MB)]);
    assert_eq!(held.shown("size"), [Some(true)], "a reload that does not concern it changes nothing");
    held.watch.set_budgets(&sensitivity("sensitivity: production"), Some(4.0));
    held.run(90.0, &[(&worker, &|_| 100.0 * MB)]);
    assert_eq!(held.told_of("size"), [Some(true), None]);
    assert_eq!(held.shown("size"), [Some(false), Some(false)]);
    held.watch.set_budgets(&Sensitivity::default(), Some(4.0));
    held.run(3.0, &[(&worker, &|_| 100.0 * MB)]);
    assert_eq!(held.rules().len(), 0);
}

#[test]
fn areas_that_are_not_judged_are_not_held_against_anything() {
    let worker = member("web", 1, -86_400.0);
    let mut held = Held::to_strict();
    held.run(300.0, &[(&worker, &|_| 100.0 * MB)]);
    let nothing_judged = Terms { judged: Judged::default(), ..terms(PROCESS, INTERVAL_SECS) };
    held.watch.reconfigure(vec![nothing_judged], INTERVAL_SECS);
    held.run(3.0, &[(&worker, &|_| 100.0 * MB)]);
    assert_eq!((held.told_of("size"), held.rules().len()), (vec![Some(true), None], 0));
}

#[test]
fn a_limit_of_all_is_shared_and_a_limit_of_each_is_not() {
    let share = |limits: [Limit; 2]| {
        let mut area = BudgetedArea::new(
            &anon(1.0).area,
            &Arc::new(Budget::of_preset(Preset::Production)),
            Moment { at: 0.0, tick: 1, interval_secs: INTERVAL_SECS, processors: None },
        );
        for (pid, limit) in (1..).zip(limits) {
            let sample = Sample { limit: Some(limit), ..anon(300.0) };
            let watched = WatchedMember::new(member("web", pid, 0.0));
            let moment = Moment { at: 0.0, tick: 1, interval_secs: INTERVAL_SECS, processors: None };
            area.add(&watched, &WatchedArea::new(&sample, 0.0), moment);
        }
        area.together.share_of_limit().unwrap()
    };
    let cgroup = Limit { value: 1000.0, used: 900.0, source: LimitSource::Cgroup };
    let own = Limit { source: LimitSource::Rlimit, ..cgroup };
    let tight = Limit { value: 400.0, ..own };
    for (limits, expected) in
        [([cgroup, cgroup], 0.6), ([own, own], 0.3), ([own, tight], 0.75), ([cgroup, own], 0.3)]
    {
        assert!((share(limits) - expected).abs() < 1e-12, "{limits:?}: {}", share(limits));
    }
}
