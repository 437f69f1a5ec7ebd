//! From many processes to one row: sums, the worst verdict, and what limits leave out.

use super::*;
use crate::{
    config::{Attribution, written},
    detect::finding::Severity,
    run::watch::tests::{PROCESS, anon, member, terms, watching},
    sample::{Anatomy, Batch, LimitSource, Measure, Member, Sample},
    severity::Row,
};

const NO_LIMITS: Limits =
    Limits { processes: 1_000, cgroups: 1_000, targets: 1_000, areas_per_target: 64, series: 100_000 };

/// Two hours of processes, each with its start size, its growth a tick, and its limit.
fn watched(members: &[(Arc<Member>, f64, f64, Limit)]) -> Watch {
    let mut watch = watching();
    for tick in 0..2400u32 {
        let mut batch = Batch::new(f64::from(tick) * 3.0);
        for (member, start, growth, limit) in members {
            let size = start + growth * f64::from(tick);
            batch.push(Arc::clone(member), [Sample { limit: Some(*limit), ..anon(size) }]);
        }
        watch.take_in(PROCESS, &batch, &mut Vec::new());
    }
    watch
}

const HOST: Limit = Limit { value: 4e9, used: 2e9, source: LimitSource::Host };

/// A target with a leaking, a shrinking and a steady process, a steady small one and a steady large one.
fn fleet() -> Watch {
    watched(&[
        (member("pool", 1, -1e6), 2e8, 1e5, HOST),
        (member("pool", 2, -1e6), 9e8, -3e5, HOST),
        (member("pool", 5, -1e6), 1e8, 0.0, HOST),
        (member("small", 3, -1e6), 1e6, 0.0, HOST),
        (member("large", 4, -1e6), 1e9, 0.0, HOST),
    ])
}

/// The anonymous memory of the only target of these processes.
fn only_area(members: &[(Arc<Member>, f64, f64, Limit)]) -> AreaView {
    shown(&watched(members), &NO_LIMITS, false).0.targets.remove(0).areas.remove(0)
}

fn shown(watch: &Watch, limits: &Limits, show_pid: bool) -> (Snapshot, LeftOut) {
    let presentation = Presentation {
        limits,
        collectors: &Collectors::default(),
        show_pid,
        severity: watch.severity(),
        wall_offset_secs: 1000.0,
    };
    presentation.snapshot(watch, 2400, 7200.0)
}

fn time_to_limit(area: &AreaView) -> f64 {
    area.verdict.as_ref().unwrap().finding.as_ref().unwrap().time_to_limit.unwrap().value
}

fn show(limits: &Limits, show_pid: bool) -> (Snapshot, LeftOut) {
    shown(&fleet(), limits, show_pid)
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.targets.iter().map(|target| &*target.target.name).collect()
}

#[test]
fn a_target_shows_the_sum_of_sizes_and_the_worst_verdict() {
    let (snapshot, left_out) = show(&NO_LIMITS, false);
    assert_eq!(names(&snapshot), ["large", "pool", "small"]);
    assert_eq!((left_out, snapshot.member_count), (LeftOut::default(), 5));
    let pool = &snapshot.targets[1].areas[0];
    assert!((pool.size - (12e8 - 2399.0 * 2e5)).abs() < 1.0, "{}", pool.size);
    let verdict = pool.verdict.as_ref().unwrap();
    assert_eq!(verdict.state, LeakState::Confirmed);
    let growth = verdict.finding.as_ref().unwrap().growth.value;
    assert!((growth / (1e5 / 3.0) - 1.0).abs() < 0.02, "of the one that leaks: {growth}");
    let since = verdict.episode.unwrap().since;
    assert!(verdict.leaked > 1e8 && (1000.0..2000.0).contains(&since), "wall time: {since}");
    assert!((pool.sampled_at - (7197.0 + 1000.0)).abs() < 1e-6, "wall time: {}", pool.sampled_at);
}

#[test]
fn pids_are_rows_of_their_own_where_asked_for() {
    let (snapshot, _) = show(&NO_LIMITS, true);
    let pids: Vec<Option<u32>> = snapshot.targets[1].areas.iter().map(|area| area.pid).collect();
    assert_eq!(pids, [Some(1), Some(2), Some(5)]);
}

#[test]
fn limits_keep_the_suspicious_and_the_large() {
    let (snapshot, left_out) = show(&Limits { targets: 2, ..NO_LIMITS }, false);
    assert_eq!(names(&snapshot), ["large", "pool"]);
    assert_eq!(left_out.targets, 1);
    let (snapshot, _) = show(&Limits { targets: 1, ..NO_LIMITS }, false);
    assert_eq!(names(&snapshot), ["pool"]);
    let (snapshot, left_out) = show(&Limits { areas_per_target: 1, ..NO_LIMITS }, true);
    let kept: Vec<Option<u32>> = snapshot.targets[1].areas.iter().map(|area| area.pid).collect();
    assert_eq!((kept, left_out.areas), (vec![Some(1)], 2), "the one that leaks");
    let (snapshot, left_out) = show(&Limits { series: 40, ..NO_LIMITS }, false);
    assert_eq!(names(&snapshot), ["pool"]);
    assert!(left_out.series > 0);
}

#[test]
fn processes_reach_a_common_limit_together_and_their_own_alone() {
    let growing = |pid| (member("pool", pid, -1e6), 2e8, 1e5, HOST);
    let one = time_to_limit(&only_area(&[growing(1)]));
    let three = time_to_limit(&only_area(&[growing(1), growing(2), growing(3)]));
    assert!((three / one - 1.0 / 3.0).abs() < 0.01, "{three} of {one} seconds");
    let own = Limit { source: LimitSource::Rlimit, ..HOST };
    let growing_alone = |pid| (member("pool", pid, -1e6), 2e8, 1e5, own);
    let three = time_to_limit(&only_area(&[growing_alone(1), growing_alone(2), growing_alone(3)]));
    assert!((three / one - 1.0).abs() < 0.01, "{three} of {one} seconds");
}

#[test]
fn the_nearest_limit_decides_whoever_is_surest() {
    let tight = Limit { value: 6e8, used: 4.5e8, source: LimitSource::Cgroup };
    let area = only_area(&[
        (member("pool", 1, -1e6), 2e8, 5e5, Limit { value: 64e9, ..HOST }),
        (member("pool", 2, -1e6), 2e8, 1e5, tight),
    ]);
    assert!(time_to_limit(&area) < 6000.0, "{} s", time_to_limit(&area));
    assert_eq!(area.limit.map(|limit| limit.source), Some(LimitSource::Cgroup));
    assert_eq!(area.verdict.unwrap().finding.unwrap().severity, Severity::High);
}

#[test]
fn a_table_of_ones_own_grades_each_process_and_all_together() {
    let before = |level, time_to_limit_secs| Row {
        level,
        confidence: 0.5,
        time_to_limit_secs: Some(time_to_limit_secs),
        growth_per_day: None,
    };
    let growing = |pid| (member("pool", pid, -1e6), 2e8, 1e5, HOST);
    let mut watch = watched(&[growing(1), growing(2), growing(3)]);
    let together = || shown(&watch, &NO_LIMITS, false).0.targets.remove(0).areas.remove(0);
    let secs = time_to_limit(&together());
    watch.set_severity(Some(&Table {
        rows: vec![before(Severity::Critical, 2.0 * secs), before(Severity::Low, 9.0 * secs)],
    }));
    let severity = |area: &AreaView| area.verdict.as_ref().unwrap().finding.as_ref().unwrap().severity;
    let (mut all, _) = shown(&watch, &NO_LIMITS, false);
    assert_eq!(
        severity(&all.targets.remove(0).areas[0]),
        Severity::Critical,
        "all reach it in a third of it"
    );
    let (mut each, _) = shown(&watch, &NO_LIMITS, true);
    let alone: Vec<Severity> = each.targets.remove(0).areas.iter().map(severity).collect();
    assert_eq!(alone, [Severity::Low; 3]);
}

#[test]
fn independent_errors_add_up_in_squares() {
    let estimate = |value: f64| Estimate { value, lower: value * 0.9, upper: value * 1.1 };
    let together = sum(&estimate(3.0), &estimate(4.0));
    assert!((together.value - 7.0).abs() < 1e-12);
    assert!((together.upper - 7.5).abs() < 1e-12 && (together.lower - 6.5).abs() < 1e-12, "{together:?}");
}

#[test]
fn a_collector_has_room_of_its_own_within_that_of_all() {
    let narrow =
        written::parse("collectors: {process: {series: 40}}", "a.yml", &|_| None).unwrap().collectors;
    let fleet = fleet();
    let presentation = Presentation {
        limits: &NO_LIMITS,
        collectors: &narrow,
        show_pid: false,
        severity: fleet.severity(),
        wall_offset_secs: 0.0,
    };
    let (snapshot, left_out) = presentation.snapshot(&fleet, 2400, 7200.0);
    assert_eq!(names(&snapshot), ["pool"]);
    assert!(left_out.series > 0);
}

#[test]
fn parts_of_processes_add_up() {
    let mut watch = Watch::new(vec![terms(PROCESS, 3.0), terms("attribution", 3.0)], 3.0);
    let targets = vec![regex::Regex::new("pool").unwrap()];
    watch.set_attribution(&Attribution { targets, ..Attribution::default() });
    let members = [member("pool", 1, -1e6), member("pool", 2, -1e6)];
    let mut batch = Batch::new(0.0);
    members.iter().for_each(|member| batch.push(Arc::clone(member), [anon(1e6)]));
    watch.take_in(PROCESS, &batch, &mut Vec::new());
    assert_eq!(watch.wanted_attributions().len(), 2);
    let reading = |at, sizes: [f64; 2]| {
        let part =
            |size, confidence| vec![Part { name: "heap".into(), measure: Measure::Memory, size, confidence }];
        let anatomies = members.iter().zip(sizes).zip([1.0, 0.5]).map(|((member, size), confidence)| {
            Anatomy { identity: member.identity, is_full: true, parts: part(size, confidence) }
        });
        let mut batch = Batch::new(at);
        batch.anatomies.extend(anatomies);
        batch
    };
    watch.take_in("attribution", &reading(10.0, [10.0, 20.0]), &mut Vec::new());
    watch.take_in("attribution", &reading(70.0, [70.0, 80.0]), &mut Vec::new());
    let (snapshot, _) = shown(&watch, &NO_LIMITS, false);
    let [target] = snapshot.targets.as_slice() else { panic!("{snapshot:?}") };
    let [heap] = target.parts.as_slice() else { panic!("{target:?}") };
    assert_eq!((heap.size, heap.growth, target.parts_read_at), (150.0, Some(2.0), Some(1070.0)));
    assert!((heap.confidence - 110.0 / 150.0).abs() < 1e-9, "{heap:?}");
    assert_eq!(target.fastest_part().map(|(part, growth)| (&*part.name, growth)), Some(("heap", 2.0)));
}

#[test]
fn a_target_that_two_collectors_know_is_shown_once() {
    let view = |name: &str, members: u32| TargetView {
        target: Arc::new(Target { kind: Kind::Application, name: name.into() }),
        info: crate::sample::TargetInfo::default(),
        is_expected: members > 1,
        members,
        restarts: 1,
        episodes: 0,
        counts: crate::sample::Counts::default(),
        oldest_file_at: None,
        event_loop_lag_secs: None,
        response_times: None,
        parts: Vec::new(),
        parts_read_at: None,
        areas: Vec::new(),
        rules: Vec::new(),
    };
    let shown = merged(vec![view("web", 1), view("db", 1), view("web", 2)]);
    let told: Vec<(&str, u32, u64, bool)> = shown
        .iter()
        .map(|target| (&*target.target.name, target.members, target.restarts, target.is_expected))
        .collect();
    assert_eq!(told, [("db", 1, 1, false), ("web", 3, 2, true)]);
}
