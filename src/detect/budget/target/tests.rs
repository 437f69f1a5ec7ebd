//! Targets on series: at the number, just below it, near its end, and silent.

use super::*;
use crate::budget::{Level, Preset, Rule};

const INTERVAL_SECS: f64 = 5.0;

/// What is told of a rule with the numbers 10 and 50, at which second, where its value is a function of the time.
fn told(rule: &str, secs: u32, value: impl Fn(f64) -> Option<f64>) -> Vec<(f64, Level, Option<bool>)> {
    let rule = Rule::named(rule).unwrap();
    let mut budget = Budget::default();
    budget.set(rule, &[(Level::Warning, 10.0), (Level::Critical, 50.0)]);
    let mut judge = TargetJudge::new(&Arc::new(budget), INTERVAL_SECS).unwrap();
    let mut told = Vec::new();
    for index in 0..=secs / 5 {
        let at = f64::from(index) * INTERVAL_SECS;
        let value = value(at);
        let reading = TargetReading {
            at,
            collections_per_sec: value,
            external_to_heap: value,
            processor_share: value,
            event_loop_lag_secs: value,
            response_secs: value,
        };
        judge.take_in(&reading, &mut |change| told.push((at, change.threshold.level, change.is_breached)));
    }
    told
}

const GAUGES: [&str; 2] = ["event_loop_lag", "external_to_heap"];
const MEANS: [&str; 3] = ["gc_frequency", "cpu", "response_time"];

#[test]
fn a_gauge_is_over_when_all_samples_of_half_a_minute_were() {
    for rule in GAUGES {
        let high = |at: f64| Some(if (100.0..200.0).contains(&at) { 10.0 } else { 9.9 });
        let [begin, end] = told(rule, 400, high)[..] else { panic!("{rule}") };
        assert!((130.0..=160.0).contains(&begin.0) && begin.2 == Some(true), "{rule}: {begin:?}");
        assert!((230.0..=260.0).contains(&end.0) && end.2 == Some(false), "{rule}: {end:?}");
        let one_falls_back = |at: f64| Some(if at % 30.0 < 1.0 { 9.0 } else { 100.0 });
        assert_eq!(told(rule, 400, one_falls_back), [], "{rule}");
    }
}

#[test]
fn a_mean_is_over_from_its_number_on_and_kept_again_below_nine_tenths_of_it() {
    for rule in MEANS {
        let levels = |at: f64| {
            Some(match at {
                ..50.0 => 9.99,
                50.0..100.0 => 10.0,
                100.0..150.0 => 9.01,
                150.0..200.0 => 60.0,
                200.0..250.0 => 46.0,
                250.0..300.0 => 44.0,
                _ => 8.9,
            })
        };
        let expected = [
            (50.0, Level::Warning, Some(true)),
            (150.0, Level::Critical, Some(true)),
            (250.0, Level::Critical, Some(false)),
            (300.0, Level::Warning, Some(false)),
        ];
        assert_eq!(told(rule, 400, levels), expected, "{rule}");
    }
}

#[test]
fn whoever_falls_silent_has_no_standing_after_a_minute_and_begins_anew() {
    for rule in [&GAUGES[..], &MEANS].concat() {
        let once_missing = |at: f64| (at % 50.0 > 1.0).then_some(30.0);
        let told_once = told(rule, 600, once_missing);
        assert_eq!(told_once.iter().map(|told| told.2).collect::<Vec<_>>(), [Some(true)], "{rule}");
        let silent = |at: f64| (!(100.0..300.0).contains(&at)).then_some(30.0);
        let [_, end, again] = told(rule, 600, silent)[..] else { panic!("{rule}") };
        assert_eq!(end, (160.0, Level::Warning, None), "{rule}");
        let wait = if MEANS.contains(&rule) { 0.0 } else { 30.0 };
        assert!(again.2 == Some(true) && again.0 >= 300.0 + wait, "{rule}: {again:?}");
    }
}

#[test]
fn what_nobody_ever_told_has_no_number_and_what_is_no_number_is_not_told() {
    let budget = Arc::new(Budget::of_preset(Preset::Strict));
    let mut judge = TargetJudge::new(&budget, INTERVAL_SECS).unwrap();
    let mut take_in = |at, lag| {
        let reading = TargetReading {
            at,
            event_loop_lag_secs: lag,
            response_secs: Some(f64::NAN),
            ..TargetReading::default()
        };
        judge.take_in(&reading, &mut |change| panic!("{change:?}"));
        let shown = |standing: Standing| (standing.threshold.rule.name, standing.is_breached);
        judge.standings().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(take_in(0.0, None), []);
    let of_lag = |is_breached| [("event_loop_lag", is_breached); 2];
    assert_eq!(take_in(10.0, Some(0.001)), of_lag(None), "too little to go by");
    for step in 1..8u32 {
        take_in(10.0 + 5.0 * f64::from(step), Some(0.001));
    }
    assert_eq!(take_in(50.0, Some(0.001)), of_lag(Some(false)));
    assert_eq!(take_in(200.0, None), of_lag(None), "its numbers stay");
    assert!(TargetJudge::new(&Arc::new(Budget::default()), INTERVAL_SECS).is_none());
}
