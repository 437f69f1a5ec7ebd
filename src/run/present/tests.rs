//! From many processes to one row: sums, the worst verdict, and what limits leave out.

use super::*;
use crate::{
    run::watch::tests::{anon, member, watching},
    sample::Batch,
};

const NO_LIMITS: Limits = Limits { processes: 1_000, targets: 1_000, areas_per_target: 64, series: 100_000 };

/// A target with a leaking and a steady process, a steady small one and a steady large one, after two hours.
fn watched() -> Watch {
    let members = [
        (member("pool", 1, -1e6), 2e8, 1e5),
        (member("pool", 2, -1e6), 1e8, 0.0),
        (member("small", 3, -1e6), 1e6, 0.0),
        (member("large", 4, -1e6), 1e9, 0.0),
    ];
    let mut watch = watching();
    for tick in 0..2400u32 {
        let mut batch = Batch::new(f64::from(tick) * 3.0);
        for (member, size, growth) in &members {
            batch.push(Arc::clone(member), [anon(size + growth * f64::from(tick))]);
        }
        watch.take_in(&batch, &mut Vec::new());
    }
    watch
}

fn show(limits: &Limits, show_pid: bool) -> (Snapshot, LeftOut) {
    let presentation = Presentation { limits, show_pid, wall_offset_secs: 1000.0 };
    presentation.snapshot(&watched(), 2400, 7200.0)
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.targets.iter().map(|target| &*target.target.name).collect()
}

#[test]
fn a_target_shows_the_sum_of_sizes_and_the_worst_verdict() {
    let (snapshot, left_out) = show(&NO_LIMITS, false);
    assert_eq!(names(&snapshot), ["large", "pool", "small"]);
    assert_eq!((left_out, snapshot.member_count), (LeftOut::default(), 4));
    let pool = &snapshot.targets[1].areas[0];
    assert!((pool.size - (3e8 + 2399.0 * 1e5)).abs() < 1.0, "{}", pool.size);
    let verdict = pool.verdict.as_ref().unwrap();
    assert_eq!(verdict.state, LeakState::Confirmed);
    let growth = verdict.finding.as_ref().unwrap().growth.value;
    assert!((growth / (1e5 / 3.0) - 1.0).abs() < 0.02, "{growth}");
    assert!(verdict.leaked > 1e8 && verdict.episode.is_some());
    assert!((pool.sampled_at - (7197.0 + 1000.0)).abs() < 1e-6, "wall time: {}", pool.sampled_at);
}

#[test]
fn pids_are_rows_of_their_own_where_asked_for() {
    let (snapshot, _) = show(&NO_LIMITS, true);
    let pids: Vec<Option<u32>> = snapshot.targets[1].areas.iter().map(|area| area.pid).collect();
    assert_eq!(pids, [Some(1), Some(2)]);
}

#[test]
fn limits_keep_the_suspicious_and_the_large() {
    let (snapshot, left_out) = show(&Limits { targets: 2, ..NO_LIMITS }, false);
    assert_eq!(names(&snapshot), ["large", "pool"]);
    assert_eq!(left_out.targets, 1);
    let (snapshot, _) = show(&Limits { targets: 1, ..NO_LIMITS }, false);
    assert_eq!(names(&snapshot), ["pool"]);
    let (snapshot, left_out) = show(&Limits { areas_per_target: 1, ..NO_LIMITS }, true);
    assert_eq!((snapshot.targets[1].areas.len(), left_out.areas), (1, 1));
    let (snapshot, left_out) = show(&Limits { series: 40, ..NO_LIMITS }, false);
    assert_eq!(names(&snapshot), ["pool"]);
    assert!(left_out.series > 0);
}

#[test]
fn processes_that_grow_together_reach_their_limit_sooner() {
    let estimate = |value: f64| Estimate { value, lower: value * 0.9, upper: value * 1.1 };
    let together = sum(&estimate(1.0), &estimate(3.0));
    assert!(
        (together.value - 4.0).abs() < 1e-12 && together.lower > 3.6 && together.upper < 4.4,
        "{together:?}"
    );
    let (snapshot, _) = show(&NO_LIMITS, false);
    let mut finding = snapshot.targets[1].areas[0].verdict.as_ref().unwrap().finding.clone().unwrap();
    let alone = finding.time_to_limit.unwrap().value;
    let twice = estimate(2.0 * finding.growth.value);
    share_the_limit(&mut finding, twice);
    assert!((finding.time_to_limit.unwrap().value / alone - 0.5).abs() < 1e-9);
}
