//! The detector on series written as mechanisms: what leaks is found, what only looks like it is not.

use super::*;
use crate::{
    detect::{
        episode::LeakState,
        finding::Severity,
        judge::{Judge, Owner},
    },
    sample::{Identity, LimitSource},
};

mod week;

const MEGABYTE: f64 = 1e6;
const INTERVAL_SECS: f64 = 3.0;

/// A fixed sequence that looks random, between −1 and 1.
fn noise(index: u32) -> f64 {
    (f64::from(index) * 78.233).sin() * 43_758.545_3 % 1.0
}

/// What people are told at the end of a series of `hours`, whether they were ever told of a confirmed leak, and the
/// last verdict.
fn judge(hours: f64, size: impl Fn(f64, u32) -> f64) -> (LeakState, bool, Option<Finding>) {
    judge_every(INTERVAL_SECS, hours, size)
}

/// The same of samples that come every `interval_secs`.
fn judge_every(
    interval_secs: f64,
    hours: f64,
    size: impl Fn(f64, u32) -> f64,
) -> (LeakState, bool, Option<Finding>) {
    let (judge, ever) = live(Judge::new(interval_secs), interval_secs, hours, size);
    (judge.state(), ever, judge.finding().cloned())
}

/// What a judge makes of a process from its start on, and whether it ever told people of a confirmed leak.
fn live(mut judge: Judge, interval_secs: f64, hours: f64, size: impl Fn(f64, u32) -> f64) -> (Judge, bool) {
    let mut scratch = Scratch::default();
    let limit = Limit { value: 4e9, used: 1e9, source: LimitSource::Host };
    let circumstances = Circumstances { unit: Unit::Bytes, started_at: 0.0, limit: Some(limit) };
    let owner = Owner { identity: Identity { pid: 1, start_ticks: 1 }, area: "anon" };
    let mut ever = false;
    let mut at = 0.0;
    for index in 0u32.. {
        if at > hours * 3600.0 {
            break;
        }
        judge.take_in(at, size(at, index).round(), &circumstances, owner, &mut scratch);
        ever |= judge.state() == LeakState::Confirmed;
        at += interval_secs;
    }
    (judge, ever)
}

/// How many whole periods have passed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times here are small and positive"
)]
fn turn(at: f64, period: f64) -> u32 {
    (at / period) as u32
}

/// Garbage of `height` collected every `period` seconds, a little irregular.
fn saw(at: f64, period: f64, height: f64) -> f64 {
    height * (at / period).fract() * (1.0 + 0.2 * noise(turn(at, period)))
}

fn check_leak(hours: f64, per_sec: f64, size: impl Fn(f64, u32) -> f64) {
    let (state, _, finding) = judge(hours, size);
    assert_eq!(state, LeakState::Confirmed, "{finding:?}");
    let finding = finding.unwrap();
    assert!((finding.growth.value / per_sec - 1.0).abs() < 0.1, "{finding:?}");
    assert!(finding.growth.lower <= per_sec * 1.05 && per_sec * 0.95 <= finding.growth.upper, "{finding:?}");
}

fn check_healthy(hours: f64, size: impl Fn(f64, u32) -> f64) -> Finding {
    let (_, ever, finding) = judge(hours, size);
    assert!(!ever, "{finding:?}");
    finding.unwrap()
}

#[test]
fn a_steady_leak_is_found_with_its_rate_and_the_time_that_is_left() {
    let per_sec = 100.0 * MEGABYTE / 3600.0;
    let size = |at: f64, index| 500.0 * MEGABYTE + per_sec * at + 0.2 * MEGABYTE * noise(index);
    check_leak(12.0, per_sec, size);
    let (_, _, finding) = judge(12.0, size);
    let finding = finding.unwrap();
    assert_eq!(finding.pattern, Pattern::Linear);
    assert!(finding.severity >= Severity::Medium);
    let expected_secs = 3e9 / per_sec;
    let time = finding.time_to_limit.unwrap();
    assert!(time.lower < expected_secs && expected_secs < time.upper, "{time:?}");
    assert!(finding.leaked > 150.0 * MEGABYTE && finding.since < 600.0, "{finding:?}");
}

#[test]
fn a_leak_under_garbage_is_found_by_its_floor() {
    let per_sec = 60.0 * MEGABYTE / 3600.0;
    check_leak(4.0, per_sec, |at, _| 300.0 * MEGABYTE + per_sec * at + saw(at, 47.0, 120.0 * MEGABYTE));
}

#[test]
fn a_leak_that_begins_later_is_dated() {
    let per_sec = 200.0 * MEGABYTE / 3600.0;
    let begins = 5400.0;
    let (state, _, finding) = judge(3.0, |at, index| {
        400.0 * MEGABYTE + per_sec * (at - begins).max(0.0) + 0.5 * MEGABYTE * noise(index)
    });
    assert_eq!(state, LeakState::Confirmed);
    let since = finding.unwrap().since;
    assert!((since - begins).abs() < 900.0, "{since}");
}

#[test]
fn a_leak_that_has_just_begun_is_measured_by_what_it_does_now() {
    let per_sec = 500.0 * MEGABYTE / 3600.0;
    let begins = 16.0 * 3600.0;
    let (state, _, finding) = judge_every(30.0, 16.35, |at, index| {
        200.0 * MEGABYTE
            + 60.0 * MEGABYTE * (1.0 - (-at / 9000.0).exp())
            + per_sec * (at - begins).max(0.0)
            + 0.2 * MEGABYTE * noise(index)
    });
    let finding = finding.unwrap();
    assert_eq!(state, LeakState::Suspected, "{finding:?}");
    assert!(finding.growth.lower < per_sec && per_sec < finding.growth.upper, "{finding:?}");
    assert!((finding.growth.value / per_sec - 1.0).abs() < 0.25, "{finding:?}");
    assert!((finding.since - begins).abs() < 600.0, "{finding:?}");
}

/// The second life of a service that warms up for some minutes, whose first life showed no more than that: whether
/// a confirmed leak was told of it, and the judge. Its size grows by `per_sec` from half an hour on.
fn deployed(hours: f64, per_sec: f64) -> (Judge, bool) {
    const EVERY_SECS: f64 = 30.0;
    let size = |at: f64, index| {
        500.0 * MEGABYTE + 150.0 * MEGABYTE * (1.0 - (-at / 300.0).exp()) + 0.3 * MEGABYTE * noise(index)
    };
    let (first, ever) = live(Judge::new(EVERY_SECS), EVERY_SECS, 6.0, size);
    assert!(!ever, "{:?}", first.finding());
    let past = first.end(0.0, &mut Scratch::default());
    live(Judge::after(past, EVERY_SECS), EVERY_SECS, hours, |at, index| {
        size(at, index) + per_sec * (at - 1800.0).max(0.0)
    })
}

#[test]
fn a_leak_that_comes_with_a_deploy_is_found_although_the_life_before_had_none() {
    let (judge, _) = deployed(3.0, 100.0 * MEGABYTE / 3600.0);
    assert_eq!(judge.state(), LeakState::Confirmed, "{:?}", judge.finding());
    let (judge, ever) = deployed(12.0, 0.0);
    assert!(!ever, "{:?}", judge.finding());
}

#[test]
fn garbage_alone_is_no_leak() {
    for period in [20.0, 90.0, 400.0, 1200.0] {
        check_healthy(12.0, |at, _| 300.0 * MEGABYTE + saw(at, period, 200.0 * MEGABYTE));
    }
}

#[test]
fn a_warm_up_is_no_leak() {
    for time_constant in [120.0, 600.0, 1800.0] {
        let finding = check_healthy(12.0, |at, index| {
            100.0 * MEGABYTE
                + 400.0 * MEGABYTE * (1.0 - (-at / time_constant).exp())
                + 0.3 * MEGABYTE * noise(index)
        });
        assert!(finding.time_to_limit.is_none(), "{finding:?}");
    }
}

#[test]
fn a_daily_cycle_is_no_leak_on_its_second_day() {
    let day = 86_400.0;
    let (state, _, finding) = judge(96.0, |at, index| {
        600.0 * MEGABYTE - 150.0 * MEGABYTE * (at / day * std::f64::consts::TAU).cos()
            + MEGABYTE * noise(index)
    });
    assert_eq!(state, LeakState::None, "{finding:?}");
}

#[test]
fn a_step_is_no_leak() {
    check_healthy(8.0, |at, index| {
        300.0 * MEGABYTE + if at > 9000.0 { 200.0 * MEGABYTE } else { 0.0 } + 0.3 * MEGABYTE * noise(index)
    });
}

#[test]
fn a_constant_is_stable_and_a_random_walk_is_silent() {
    let finding = check_healthy(2.0, |_, _| 64.0 * MEGABYTE);
    assert_eq!((finding.pattern, finding.severity), (Pattern::Stable, Severity::None));
    assert_eq!(finding.growth.value.to_bits(), 0f64.to_bits());
}

#[test]
fn thin_evidence_is_no_finding() {
    assert_eq!(judge(0.02, |_, _| MEGABYTE).2, None);
}

#[test]
fn an_area_near_its_limit_without_growth_is_sustained() {
    let finding = check_healthy(2.0, |_, index| 3.6e9 + 1e4 * noise(index));
    assert_eq!(finding.pattern, Pattern::SustainedHigh);
}

#[test]
fn a_falling_area_shrinks() {
    let finding = check_healthy(2.0, |at, index| 900.0 * MEGABYTE - 5e4 * at + 1e5 * noise(index));
    assert_eq!(finding.pattern, Pattern::Shrinking);
    assert!(finding.growth.upper < 0.0 && finding.time_to_limit.is_none());
}
