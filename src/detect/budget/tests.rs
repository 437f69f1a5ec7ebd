//! Budgets on series written as mechanisms: what a number is for is found in its time, and what only looks like it is not.

use super::*;
use crate::{
    budget::{Level, Preset, Rule},
    sample::Unit,
};

const MB: f64 = 1e6;
const HOUR: f64 = 3600.0;
const INTERVAL_SECS: f64 = 3.0;

/// A fixed sequence that looks random, between −1 and 1.
fn noise(index: u32) -> f64 {
    (f64::from(index) * 78.233).sin() * 43_758.545_3 % 1.0
}

/// Garbage of about `height`, collected every `period` seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times here are small and positive"
)]
fn saw(at: f64, period: f64, height: f64) -> f64 {
    height * (at / period).fract() * (1.0 + 0.2 * noise((at / period) as u32))
}

/// A process of 500 MB with noise and a little garbage.
fn warm(at: f64, index: u32) -> f64 {
    500.0 * MB + 0.5 * MB * noise(index) + saw(at, 17.0, 4.0 * MB)
}

/// What was told, when and of which number.
#[derive(Debug, PartialEq)]
struct Told {
    at: f64,
    number: String,
    is_breached: bool,
}

struct Course {
    told: Vec<Told>,
    judge: BudgetJudge,
}

/// The course of an area under a preset, sampled for `hours`.
fn course(area: &str, preset: Preset, hours: f64, size: impl Fn(f64, u32) -> f64) -> Course {
    let budget = Arc::new(Budget::of_preset(preset));
    run(&budget, area, hours, |at, index| {
        let size = size(at, index);
        Reading { at, size, share_of_limit: None, grown: Some(size) }
    })
}

fn run(budget: &Arc<Budget>, area: &str, hours: f64, reading: impl Fn(f64, u32) -> Reading) -> Course {
    let mut judge = BudgetJudge::new(budget, &Area::new(area, Unit::Bytes), INTERVAL_SECS).unwrap();
    let mut told = Vec::new();
    for index in 0u32.. {
        // A clock's beginning is no round number.
        let at = 1000.7 + f64::from(index) * INTERVAL_SECS;
        if at - 1000.7 > hours * HOUR {
            break;
        }
        judge.take_in(&reading(at - 1000.7, index), &mut |change| {
            told.push(Told {
                at: at - 1000.7,
                number: number(&change.threshold),
                is_breached: change.is_breached == Some(true),
            });
        });
    }
    Course { told, judge }
}

fn number(threshold: &Threshold) -> String {
    format!("{} {}", threshold.rule.name, threshold.level.as_str())
}

impl Course {
    /// Changes of the rules whose names begin so.
    fn of(&self, beginning: &str) -> Vec<&Told> {
        self.told.iter().filter(|told| told.number.starts_with(beginning)).collect()
    }

    fn breached(&self) -> Vec<String> {
        let breached = self.judge.standings().filter(|standing| standing.is_breached == Some(true));
        breached.map(|standing| number(&standing.threshold)).collect()
    }
}

/// One breach of this number, within so many seconds of the onset, and no end of it.
fn check_found(course: &Course, number: &str, onset: f64, within: f64) {
    let told = course.of(number);
    assert_eq!(told.len(), 1, "{number}: {:?}", course.told);
    let delay = told[0].at - onset;
    assert!(told[0].is_breached && (0.0..=within).contains(&delay), "{number} after {delay} s");
}

/// Onsets at several places between two parts of a window.
fn onsets() -> impl Iterator<Item = f64> {
    (0..7u32).map(|step| 2.0 * HOUR + f64::from(step) * 19.0)
}

#[test]
fn a_leak_of_100_mb_an_hour_is_found_within_a_quarter_of_an_hour() {
    for onset in onsets() {
        let leak = |at: f64, index| warm(at, index) + 100.0 * MB / HOUR * (at - onset).max(0.0);
        let course = course("anon", Preset::Strict, onset / HOUR + 0.4, leak);
        check_found(&course, "growth_sustained warning", onset, 15.0 * 60.0);
    }
}

#[test]
fn a_leak_of_500_mb_an_hour_is_found_within_three_minutes() {
    for onset in onsets() {
        let leak = |at: f64, index| warm(at, index) + 500.0 * MB / HOUR * (at - onset).max(0.0);
        let course = course("anon", Preset::Strict, onset / HOUR + 0.4, leak);
        check_found(&course, "growth warning", onset, 180.0);
        check_found(&course, "growth critical", onset, 180.0);
        check_found(&course, "growth_rapid warning", onset, 360.0);
    }
}

#[test]
fn external_memory_that_grows_by_1_mb_a_second_is_found_within_half_a_minute() {
    for step in 0..60u32 {
        let onset = HOUR + f64::from(step) * 0.37;
        let leak = |at: f64, index| 80.0 * MB + 0.2 * MB * noise(index) + MB * (at - onset).max(0.0);
        let course = course("external", Preset::Strict, 1.04, leak);
        check_found(&course, "external_growth warning", onset, 30.0);
    }
}

#[test]
fn a_leak_under_garbage_is_found_by_its_floor() {
    let leak = |at: f64, index| {
        500.0 * MB
            + 0.5 * MB * noise(index)
            + saw(at, 47.0, 20.0 * MB)
            + 200.0 * MB / HOUR * (at - HOUR).max(0.0)
    };
    check_found(&course("anon", Preset::Strict, 1.5, leak), "growth_sustained warning", HOUR, 15.0 * 60.0);
}

#[test]
fn garbage_is_no_growth() {
    for (period, height) in [(20.0, 200.0), (47.0, 120.0), (90.0, 60.0), (400.0, 200.0)] {
        let saw = |at: f64, index| 500.0 * MB + 0.5 * MB * noise(index) + saw(at, period, height * MB);
        let course = course("anon", Preset::Strict, 48.0, saw);
        assert_eq!(course.of("growth"), Vec::<&Told>::new(), "teeth of {period} s");
    }
}

/// A tooth that is longer than all that is known of the past cannot be told from growth; the second one can.
#[test]
fn garbage_that_is_collected_twice_an_hour_is_no_growth_once_it_is_known() {
    let saw =
        |at: f64, index| 500.0 * MB + 0.5 * MB * noise(index) + 200.0 * MB * ((at + 1000.0) / 1700.0).fract();
    let course = course("anon", Preset::Strict, 48.0, saw);
    let late: Vec<&Told> = course.of("growth").into_iter().filter(|told| told.at > 1700.0).collect();
    assert_eq!(late, Vec::<&Told>::new());
}

#[test]
fn a_step_is_growth_by_its_amount_and_no_rate() {
    let step = |at: f64, index| warm(at, index) + if at > 2.0 * HOUR { 120.0 * MB } else { 0.0 };
    let course = course("anon", Preset::Strict, 4.0, step);
    let told: Vec<(&str, bool)> =
        course.of("growth").iter().map(|told| (&*told.number, told.is_breached)).collect();
    let (share, amount) = ("growth_share warning", "growth_amount warning");
    assert_eq!(told, [(share, true), (amount, true), (share, false), (amount, false)]);
}

#[test]
fn a_large_share_of_little_is_nothing() {
    let grown_by = |rise: f64| {
        let size = move |at: f64, index| {
            3.0 * MB + 1e4 * noise(index) + rise * ((at - HOUR) / 600.0).clamp(0.0, 1.0)
        };
        course("anon", Preset::Strict, 2.0, size).of("growth").len()
    };
    assert_eq!(grown_by(0.8 * MB), 0);
    assert!(grown_by(1.5 * MB) > 0);
}

#[test]
fn a_daily_load_is_no_growth_on_its_second_day() {
    let day = 24.0 * HOUR;
    let load = |at: f64, index| {
        600.0 * MB - 150.0 * MB * (at / day * std::f64::consts::TAU).cos() + MB * noise(index)
    };
    let course = course("anon", Preset::Production, 7.0 * 24.0, load);
    let late: Vec<&Told> = course.of("growth").into_iter().filter(|told| told.at > day).collect();
    assert_eq!(late, Vec::<&Told>::new());
}

#[test]
fn a_size_is_over_its_budget_when_its_garbage_is_not_counted() {
    let size = |at: f64, _| 1.1e9 + if (600.0..1200.0).contains(&at) { 1.1e9 } else { 0.0 };
    let over = course("anon", Preset::Production, 1.0, size);
    let told: Vec<(&str, bool)> =
        over.of("size").iter().map(|told| (&*told.number, told.is_breached)).collect();
    let critical = "size critical";
    assert_eq!(told, [("size warning", true), (critical, true), (critical, false)]);
    assert!((630.0..=666.0).contains(&over.of(critical)[0].at), "{:?}", over.told);
    let touching = course("anon", Preset::Production, 6.0, |at, _| 0.9e9 + saw(at, 20.0, 0.5e9));
    assert_eq!(touching.told, []);
}

#[test]
fn a_number_that_is_just_touched_is_one_breach() {
    let budget = Arc::new(Budget::of_preset(Preset::Production));
    let number = f64::from(1u32 << 30);
    // The lowest samples lie above the number and below it by turns, every few minutes; the highest always above.
    let touch = |at: f64, index| {
        let size = number * (1.01 + 0.01 * noise(index) + 0.005 * (at / 50.0).sin());
        Reading { at, size, share_of_limit: None, grown: None }
    };
    let course = run(&budget, "anon", 2.0, touch);
    assert_eq!(course.of("size warning").len(), 1, "{:?}", course.told);
}

#[test]
fn a_share_of_the_limit_is_for_heaps_and_external_memory() {
    let budget = Arc::new(Budget::of_preset(Preset::Production));
    let at_share = |area: &str, share: f64| {
        run(&budget, area, 0.1, |at, _| Reading { at, size: 1e6, share_of_limit: Some(share), grown: None })
            .breached()
    };
    assert_eq!(at_share("heap", 0.85), ["heap_of_limit warning"]);
    assert_eq!(at_share("heap_after_gc", 0.95), ["heap_of_limit warning", "heap_of_limit critical"]);
    assert_eq!(at_share("external", 0.6), ["external_of_limit warning", "external_of_limit critical"]);
    assert_eq!(at_share("anon", 0.95), Vec::<String>::new());
}

#[test]
fn external_memory_climbs_through_its_levels() {
    let breached = course("external", Preset::Strict, 0.1, |_, _| 450.0 * MB).breached();
    let expected = ["external_size warning", "external_size cleanup", "external_size aggressive"];
    assert_eq!(&breached[breached.len() - 3..], expected, "{breached:?}");
    let breached = course("external", Preset::Strict, 0.1, |_, _| 650.0 * MB).breached();
    assert_eq!(breached.last().map(String::as_str), Some("external_size emergency"));
}

#[test]
fn sustained_is_a_share_of_the_samples() {
    let high_for = |share: f64| {
        let size = move |at: f64, _| if (at / 100.0).fract() < share { 510.0 * MB } else { 400.0 * MB };
        course("anon", Preset::Strict, 2.0, size).of("sustained_size").len()
    };
    assert_eq!((high_for(0.7), high_for(0.9)), (0, 1));
    let production = Arc::new(Budget::of_preset(Preset::Production));
    let full = |at: f64, _| Reading { at, size: 1e6, share_of_limit: Some(0.83), grown: None };
    assert_eq!(run(&production, "anon", 7.0, full).breached(), ["sustained_of_limit warning"]);
}

#[test]
fn files_pile_up() {
    let budget = Arc::new(Budget::of_preset(Preset::Strict));
    let area = Area::new("event_files", Unit::Objects);
    let mut judge = BudgetJudge::new(&budget, &area, INTERVAL_SECS).unwrap();
    let mut told = Vec::new();
    for index in 0..200u32 {
        let files = f64::from(index) * 10.0;
        let reading = Reading { at: f64::from(index) * 3.0, size: files, ..Reading::default() };
        judge.take_in(&reading, &mut |change| told.push((number(&change.threshold), change.measured)));
    }
    let [(name, Some(measured))] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(name, "files warning");
    assert!((1000.0..1200.0).contains(measured), "{measured}");
}

#[test]
fn what_is_not_known_yet_has_no_standing() {
    let of_growth = |minutes: f64| {
        let course = course("anon", Preset::Strict, minutes / 60.0, warm);
        let standings: Vec<(&str, Option<bool>)> =
            course.judge.standings().map(|one| (one.threshold.rule.name, one.is_breached)).collect();
        ["size", "growth", "growth_sustained", "window"]
            .map(|name| standings.iter().find(|(known, _)| *known == name).unwrap().1)
    };
    assert_eq!(of_growth(0.2), [None, None, None, None]);
    assert_eq!(of_growth(2.0), [Some(true), None, None, None]);
    assert_eq!(of_growth(12.0), [Some(true), Some(false), None, None]);
    assert_eq!(of_growth(40.0), [Some(true), Some(false), Some(false), None]);
}

#[test]
fn what_newcomers_bring_is_no_growth_and_a_fresh_start_ends_it() {
    let budget = Arc::new(Budget::of_preset(Preset::Strict));
    let course = run(&budget, "anon", 2.5, |at, index| {
        let leaked = 300.0 * MB / HOUR * (at - HOUR).max(0.0);
        // A worker of 400 MB comes after half an hour; at the end all processes are new ones.
        let size = warm(at, index) + leaked + if at > 0.5 * HOUR { 400.0 * MB } else { 0.0 };
        Reading { at, size, share_of_limit: None, grown: (at < 2.0 * HOUR).then_some(leaked) }
    });
    let first = course.of("growth").into_iter().map(|told| told.at).next().unwrap();
    assert!(first > HOUR, "{:?}", course.told);
    let begun = course.of("growth").iter().filter(|told| told.is_breached).count();
    let ended = course.of("growth").iter().filter(|told| !told.is_breached).count();
    assert_eq!(begun, ended, "{:?}", course.told);
    let growing =
        course.judge.standings().filter(|standing| standing.threshold.rule.name.starts_with("growth"));
    assert!(growing.into_iter().all(|standing| standing.is_breached.is_none()));
}

#[test]
fn a_gap_is_not_filled_in() {
    let leak = |at: f64, index: u32| 500.0 * MB + 0.5 * MB * noise(index) + 40.0 * MB / HOUR * at;
    let budget = Arc::new(Budget::of_preset(Preset::Strict));
    let mut judge = BudgetJudge::new(&budget, &Area::new("anon", Unit::Bytes), INTERVAL_SECS).unwrap();
    let mut told = Vec::new();
    for index in (0..3600u32).filter(|index| !(1200..2400).contains(index)) {
        let at = f64::from(index) * INTERVAL_SECS;
        let reading =
            Reading { at, size: leak(at, index), share_of_limit: None, grown: Some(leak(at, index)) };
        judge.take_in(&reading, &mut |change| told.push(number(&change.threshold)));
    }
    told.retain(|number| number.starts_with("growth"));
    assert_eq!(told, Vec::<String>::new(), "an hour's rise is not one of minutes");
}

#[test]
fn slow_sampling_measures_longer_and_late_samples_change_nothing() {
    let budget = Arc::new(Budget::of_preset(Preset::Production));
    let mut judge = BudgetJudge::new(&budget, &Area::new("anon", Unit::Bytes), 900.0).unwrap();
    let mut told = Vec::new();
    for index in 0..96u32 {
        let at = f64::from(index) * 900.0;
        let size = 300.0 * MB + 120.0 * MB / HOUR * at;
        for (at, size) in [(at, size), (at - 1800.0, 5e12), (at, f64::NAN)] {
            let reading = Reading { at, size, share_of_limit: None, grown: Some(size) };
            judge.take_in(&reading, &mut |change| {
                told.push((number(&change.threshold), change.is_breached == Some(true)));
            });
        }
    }
    assert!(told.contains(&("growth_sustained warning".into(), true)), "{told:?}");
    assert!(told.iter().all(|(_, is_breached)| *is_breached), "{told:?}");
}

#[test]
fn rules_that_are_not_in_force_take_no_memory_and_all_of_them_little() {
    let area = Area::new("anon", Unit::Bytes);
    assert!(BudgetJudge::new(&Arc::new(Budget::default()), &area, INTERVAL_SECS).is_none());
    let waiting = Rule::named("cpu").unwrap();
    let mut of_cpu = Budget::default();
    of_cpu.set(waiting, &[(Level::Warning, 0.5)]);
    assert!(BudgetJudge::new(&Arc::new(of_cpu), &area, INTERVAL_SECS).is_none());
    let strict = Arc::new(Budget::of_preset(Preset::Strict));
    let judge = BudgetJudge::new(&strict, &area, INTERVAL_SECS).unwrap();
    let sustained = judge.lines.iter().filter(|line| line.sustained.is_some()).count();
    let bytes = size_of::<BudgetJudge>()
        + size_of_val(&*judge.rises)
        + size_of_val(&*judge.lines)
        + sustained * size_of::<Sustained>();
    assert!(bytes <= 1024, "{bytes} bytes");
}
