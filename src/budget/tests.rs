//! The table is whole, and a budget is what was put into it.

use super::*;
use std::collections::BTreeSet;

fn anon() -> Area {
    Area::new("anon", Unit::Bytes)
}

fn names<'a>(thresholds: impl IntoIterator<Item = &'a Threshold>) -> Vec<&'static str> {
    let mut names: Vec<&str> = thresholds.into_iter().map(|threshold| threshold.rule.name).collect();
    names.dedup();
    names
}

#[test]
fn rules_have_names_of_their_own_and_levels_that_rise() {
    let mut names = BTreeSet::new();
    for rule in table::RULES {
        assert!(names.insert(rule.name), "{} stands twice", rule.name);
        assert!(rule.effect.ends_with('.'), "{}", rule.name);
        for (_, preset) in Preset::ALL {
            let numbers = rule.numbers(preset);
            assert!(
                numbers.windows(2).all(|pair| pair[0] < pair[1] && pair[0].1 < pair[1].1),
                "{}",
                rule.name
            );
            assert!(numbers.iter().all(|(_, value)| *value > 0.0), "{}", rule.name);
        }
    }
}

#[test]
fn numbers_are_shown_as_a_person_writes_them() {
    let check =
        |quantity, value, words: &str| assert_eq!(table::Shown { quantity, value }.to_string(), words);
    check(Quantity::Bytes, 50e6, "50 MB");
    check(Quantity::Bytes, 1_073_741_824.0, "1 GiB");
    check(Quantity::Bytes, 268_435_456.0, "256 MiB");
    check(Quantity::Bytes, 61_312_000.0, "61.3 MB");
    check(Quantity::Bytes, 312.0, "312 B");
    check(Quantity::Objects, 1000.0, "1000");
    check(Quantity::Ratio, 0.8, "80 %");
    check(Quantity::Ratio, 3.0, "3");
    check(Quantity::Ratio, 2.55, "2.5");
    check(Quantity::BytesPerSecond, 2e6 / 60.0, "2 MB/min");
    check(Quantity::BytesPerSecond, 100e6 / 3600.0, "100 MB/h");
    check(Quantity::BytesPerSecond, 1e6, "1 MB/s");
    check(Quantity::BytesPerSecond, 138_012.7, "8.3 MB/min");
    check(Quantity::PerSecond, 10.0 / 60.0, "10/min");
    check(Quantity::Seconds, 0.01, "10 ms");
    check(Quantity::Seconds, 90.0, "90 s");
    check(Quantity::Seconds, 1800.0, "30 min");
    check(Quantity::Seconds, 21_600.0, "6 h");
}

#[test]
fn an_area_gets_the_rules_that_concern_it_and_the_parameters_that_these_use() {
    let strict = Budget::of_preset(Preset::Strict);
    let check = |name: &str, unit, expected: &[&str]| {
        assert_eq!(names(strict.of_area(&Area::new(name, unit))), expected, "{name}");
    };
    let of_bytes =
        ["size", "growth", "growth_sustained", "growth_share", "growth_amount", "window", "growth_rapid"];
    let sustained = ["sustained_size", "sustained_samples"];
    check("anon", Unit::Bytes, &[&of_bytes[..], &sustained].concat());
    check("heap_after_gc", Unit::Bytes, &[&of_bytes[..], &["heap_of_limit"], &sustained].concat());
    check(
        "external",
        Unit::Bytes,
        &[&of_bytes[..], &["external_size", "external_growth"], &sustained].concat(),
    );
    check("event_files", Unit::Objects, &["files"]);
    check("fds", Unit::Objects, &[]);
}

#[test]
fn a_number_takes_the_place_of_all_that_its_rule_had() {
    let size = Rule::named("size").unwrap();
    let mut budget = Budget::of_preset(Preset::Production);
    budget.set(size, &[(Level::Warning, 4e9)]);
    let sizes: Vec<String> = budget
        .of_area(&anon())
        .filter(|threshold| threshold.rule == size)
        .map(|threshold| format!("{} {threshold}", threshold.level.as_str()))
        .collect();
    assert_eq!(sizes, ["warning 4 GB"]);
    assert_eq!(budget.thresholds()[0].rule, size, "in the order of the table");
    budget.set(size, &[]);
    assert!(!names(budget.thresholds()).contains(&"size"));
}

#[test]
fn a_budget_of_ones_own_is_completed_by_what_its_rules_use() {
    let completed = |name: &str| {
        let mut budget = Budget::default();
        budget.set(Rule::named(name).unwrap(), &[(Level::Warning, 0.2)]);
        names(budget.complete().thresholds())
    };
    assert_eq!(completed("size"), ["size"]);
    assert_eq!(completed("growth_share"), ["growth_share", "window"]);
    assert_eq!(completed("sustained_of_limit"), ["window", "sustained_of_limit", "sustained_samples"]);
    let mut own = Budget::default();
    own.set(Rule::named("growth_share").unwrap(), &[(Level::Warning, 0.2)]);
    own.set(&table::WINDOW, &[(Level::Any, 60.0)]);
    assert!((own.complete().window_secs() - 60.0).abs() < 1e-9, "what is written stays");
}
