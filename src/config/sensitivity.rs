//! `sensitivity` and `targets`: which plain rules stand beside the model, and for whom.

use super::{
    Sensitivity, TargetBudget, amount, keys,
    processes::{PATTERNS_MAX, name_pattern},
    reader::{Field, Problems, Section},
    tree::clip,
};
use crate::budget::{Budget, Level, Measure, Preset, Quantity, Rule, table::RULES};
use std::{ops::RangeInclusive, sync::Arc};

/// What puts a preset or a rule out of force.
const OFF: &str = "off";
/// Where an item stands in the list of keys.
const TARGET: &str = "targets[]";
/// The window of growth, in seconds: below a minute it sees garbage alone, above a week nobody waits for it.
const WINDOW_SECS: RangeInclusive<f64> = 60.0..=7.0 * 86_400.0;

/// Reads both keys.
pub(super) fn sensitivity(root: &Section<'_>, problems: &mut Problems) -> Sensitivity {
    let general = preset(root, problems).flatten();
    let items =
        root.field("targets").and_then(|field| field.list(PATTERNS_MAX, problems)).unwrap_or_default();
    let targets = items.iter().filter_map(|item| target(item, general, problems)).collect();
    let general = general.map(|preset| Arc::new(Budget::of_preset(preset)));
    Sensitivity { general, targets }
}

/// What is written of the preset: none where nothing is, and `Some(None)` for `off`.
fn preset(section: &Section<'_>, problems: &mut Problems) -> Option<Option<Preset>> {
    let [strict, production, development] = Preset::ALL.map(|(word, preset)| (word, Some(preset)));
    section.field("sensitivity")?.one_of(&[strict, production, development, (OFF, None)], problems)
}

fn target(item: &Field<'_>, general: Option<Preset>, problems: &mut Problems) -> Option<TargetBudget> {
    let section = item.section(TARGET, problems)?;
    let own = preset(&section, problems);
    let mut budget = own.unwrap_or(general).map(Budget::of_preset).unwrap_or_default();
    if let Some(field) = section.field("thresholds") {
        thresholds(&field, &mut budget, problems);
    }
    // An unknown key was meant as one of the two; its own problem is enough.
    if section.fields().all(|(entry, _)| entry.key == "name") {
        section.wrong(problems, "changes nothing; add `sensitivity`, `thresholds` or both");
    }
    let Some(field) = section.field("name") else {
        section.wrong(problems, "has no `name`; add the name of the target, or a pattern of it");
        return None;
    };
    Some(TargetBudget { name: name_pattern(&field, problems)?, budget: Arc::new(budget.complete()) })
}

fn thresholds(field: &Field<'_>, budget: &mut Budget, problems: &mut Problems) {
    let Some(section) = field.mapping(problems, "rules with their numbers") else { return };
    for (entry, field) in section.fields() {
        let Some(rule) = Rule::named(&entry.key) else {
            section.wrong_key(entry, problems, unknown_rule(&entry.key));
            continue;
        };
        if let Measure::Elsewhere(hint) = rule.measure {
            field.wrong(problems, format!("is not set here: {hint}"));
        } else if let Some(numbers) = numbers(rule, &field, problems) {
            budget.set(rule, &numbers);
        }
    }
}

fn unknown_rule(name: &str) -> String {
    let is_set_here = |rule: &&&Rule| !matches!(rule.measure, Measure::Elsewhere(_));
    let names: Vec<&str> = RULES.iter().filter(is_set_here).map(|rule| rule.name).collect();
    match keys::nearest(name, &names) {
        Some(near) => format!("unknown rule; did you mean `{near}`?"),
        None => format!("unknown rule; the rules are {}", keys::list(&names)),
    }
}

/// The numbers of a rule: one, or one for each level, or none for `off`.
fn numbers(rule: &Rule, field: &Field<'_>, problems: &mut Problems) -> Option<Vec<(Level, f64)>> {
    if !field.is_mapping() {
        let text = field.scalar(&format!("{}, or {OFF}", amount::expected(rule.quantity)), problems)?;
        let value = if text == OFF { None } else { Some(number(rule, field, &text, problems)?) };
        return Some(value.map(|value| (rule.plain_level(), value)).into_iter().collect());
    }
    if rule.measure == Measure::Parameter {
        field.wrong(problems, format!("has no levels; write {}", amount::expected(rule.quantity)));
        return None;
    }
    let section = field.mapping(problems, "levels with their numbers")?;
    let before = problems.len();
    let known = Level::GRADES.map(|(word, _)| word);
    for (entry, _) in section.fields().filter(|(entry, _)| !known.contains(&entry.key.as_str())) {
        section.wrong_key(entry, problems, unknown_level(&entry.key, &known));
    }
    let mut numbers: Vec<(Level, f64)> = Vec::new();
    for (word, level) in Level::GRADES {
        let Some(field) = section.field(word) else { continue };
        let Some(text) = field.scalar(&amount::expected(rule.quantity), problems) else { continue };
        let Some(value) = number(rule, &field, &text, problems) else { continue };
        if let Some((milder, least)) = numbers.last().filter(|(_, least)| value <= *least) {
            let milder = milder.as_str();
            let least = crate::budget::table::Shown { quantity: rule.quantity, value: *least };
            field.wrong(
                problems,
                format!("{} is not above `{milder}`, {least}; write more, or less there", clip(&text)),
            );
        }
        numbers.push((level, value));
    }
    (problems.len() == before).then_some(numbers)
}

fn unknown_level(word: &str, known: &[&str]) -> String {
    match keys::nearest(word, known) {
        Some(near) => format!("unknown level; did you mean `{near}`?"),
        None => format!("unknown level; the levels are {}", keys::list(known)),
    }
}

/// A number within the bounds of its rule.
fn number(rule: &Rule, field: &Field<'_>, text: &str, problems: &mut Problems) -> Option<f64> {
    let checked = amount::parse(rule.quantity, text).and_then(|value| within(rule, value));
    checked.map_err(|message| field.wrong(problems, format!("{} {message}", clip(text)))).ok()
}

fn within(rule: &Rule, value: f64) -> Result<f64, String> {
    let is_share = matches!(rule.measure, Measure::ShareOfLimit | Measure::SustainedShare)
        || (rule.measure == Measure::Parameter && rule.quantity == Quantity::Ratio);
    if value <= 0.0 {
        return Err(String::from("is nothing; write more, or `off` to leave the rule out"));
    }
    if is_share && value > 1.0 {
        return Err(String::from("is more than all; write 100% or less"));
    }
    let is_window = rule.measure == Measure::Parameter && rule.quantity == Quantity::Seconds;
    if is_window && !WINDOW_SECS.contains(&value) {
        return Err(String::from("is out of range; write 1m to 7d"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::written;

    /// The numbers that are in force for a target: `size warning 50 MB`.
    fn in_force(text: &str, target: &str) -> Vec<String> {
        let config = written::parse(text, "a.yml", &|_| None).expect(text);
        let budget = config.sensitivity.of(target).cloned().unwrap_or_default();
        let show = |threshold: &crate::budget::Threshold| {
            format!("{} {} {threshold}", threshold.rule.name, threshold.level.as_str())
        };
        budget.thresholds().iter().map(show).collect()
    }

    fn size_of(text: &str, target: &str) -> Vec<String> {
        in_force(text, target).into_iter().filter(|number| number.starts_with("size ")).collect()
    }

    #[test]
    fn without_a_word_about_it_the_model_stands_alone() {
        for text in ["", "sensitivity: off", "targets: []", "targets: [{name: web, sensitivity: off}]"] {
            assert_eq!(in_force(text, "web"), Vec::<String>::new(), "{text}");
            assert!(written::parse(text, "a.yml", &|_| None).expect(text).sensitivity.is_off(), "{text}");
        }
    }

    #[test]
    fn the_first_target_that_matches_whole_wins_over_the_general_preset() {
        let text = "sensitivity: production\ntargets:\n- {name: 'web.*', sensitivity: strict}\n\
                    - {name: web1, sensitivity: off}\n- {name: batch, sensitivity: off}\n\
                    - {name: db, thresholds: {size: 8GiB}}\n";
        assert_eq!(size_of(text, "other"), ["size warning 1 GiB", "size critical 2 GiB"]);
        assert_eq!(size_of(text, "web1"), ["size warning 50 MB"]);
        assert_eq!(size_of(text, "my web1"), ["size warning 1 GiB", "size critical 2 GiB"]);
        assert_eq!(in_force(text, "batch"), Vec::<String>::new());
        assert_eq!(size_of(text, "db"), ["size warning 8 GiB"]);
        assert!(
            in_force(text, "db").contains(&"growth_sustained warning 100 MB/h".into()),
            "the others stay"
        );
    }

    #[test]
    fn numbers_of_ones_own_need_no_preset() {
        let text = "targets: [{name: a, thresholds: {size: {warning: 1GB, emergency: 3GB}, growth_share: 20%, files: 50}}]";
        let expected = [
            "size warning 1 GB",
            "size emergency 3 GB",
            "growth_share warning 20 %",
            "window any 30 min",
            "files warning 50",
        ];
        assert_eq!(in_force(text, "a"), expected);
        assert_eq!(in_force(text, "b"), Vec::<String>::new());
        let off = "targets: [{name: a, sensitivity: strict, thresholds: {size: off}}]";
        assert_eq!((size_of(off, "a").len(), in_force(off, "a").is_empty()), (0, false));
    }
}
