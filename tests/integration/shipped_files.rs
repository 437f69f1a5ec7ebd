//! What is shipped beside the binary fits it: alert rules and routes name only metrics that exist, the README's table
//! of metrics is the table in code, that of rules too, and every alert has its runbook.

use memleak_exporter::{
    budget::table,
    detect::finding::Pattern,
    export::metric::{Metric, TARGET_METRICS, Type, own},
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn metrics() -> impl Iterator<Item = &'static Metric> {
    TARGET_METRICS.iter().chain(own::ALL.iter().copied())
}

/// Every word of a text that looks like one of our metrics.
fn named_metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    let ours =
        ["memleak_area_", "memleak_target_", "memleak_threshold_", "memleak_episodes_", "memleak_exporter_"];
    // A word that ends in an underscore is the beginning of several names, in a search.
    let is_ours = |word: &&str| ours.iter().any(|prefix| word.starts_with(prefix)) && !word.ends_with('_');
    words.filter(is_ours).map(str::to_owned).collect()
}

#[test]
fn rules_and_runbooks_name_only_metrics_that_exist() {
    let known: BTreeSet<&str> = metrics().map(|metric| metric.name).collect();
    let runbooks =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks")).expect("runbooks");
    let runbooks = runbooks.map(|entry| entry.expect("readable").path());
    let others = ["alerts/memleak.rules.yml", "alerts/README.md", "docs/sensitivity.md"].map(PathBuf::from);
    for path in runbooks.chain(others) {
        let text = read(&path.to_string_lossy());
        let unknown: Vec<String> = named_metrics(&text)
            .into_iter()
            .filter(|name| {
                let family =
                    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
                !known.contains(name.as_str()) && !family.is_some_and(|family| known.contains(family))
            })
            .collect();
        assert_eq!(unknown, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn every_alert_says_what_where_and_what_to_do() {
    let rules: serde_yaml::Value = serde_yaml::from_str(&read("alerts/memleak.rules.yml")).expect("YAML");
    let mut alerts = 0;
    for rule in rules["groups"]
        .as_sequence()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_sequence().expect("rules").iter())
    {
        let Some(name) = rule["alert"].as_str() else { continue };
        alerts += 1;
        assert!(rule["labels"]["severity"].as_str().is_some(), "{name} has no severity");
        for annotation in ["summary", "description", "runbook_url"] {
            assert!(rule["annotations"][annotation].as_str().is_some(), "{name} has no {annotation}");
        }
        let runbook = format!("docs/runbooks/{name}.md");
        assert!(
            read(&runbook).starts_with(&format!("# {name}")),
            "{runbook} does not begin with the alert's name"
        );
        assert!(rule["annotations"]["runbook_url"].as_str().is_some_and(|url| url.contains(name)), "{name}");
    }
    assert!(alerts >= 6, "{alerts} alerts");
}

#[test]
fn every_pattern_has_its_picture() {
    let page = read("docs/detection.md");
    for name in Pattern::ALL.map(Pattern::as_str) {
        let picture = format!("patterns/{name}.svg");
        assert!(page.contains(&format!("({picture})")), "docs/detection.md shows no {picture}");
        let svg = read(&format!("docs/{picture}"));
        assert!(svg.starts_with("<svg ") && svg.contains(&format!("<title>{name}: ")), "{picture}");
        assert!(svg.len() < 12_000, "{picture} has {} bytes", svg.len());
    }
}

/// The README's table of metrics, as it must be.
fn metric_table() -> String {
    let mut table = String::from("| metric | type | what it says |\n| --- | --- | --- |\n");
    for metric in metrics() {
        let kind = match metric.kind {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram => "histogram",
        };
        table.push_str(&format!("| `{}` | {kind} | {} |\n", metric.name, metric.help));
    }
    table
}

#[test]
fn the_documented_metrics_are_those_in_code() {
    check_table("docs/metrics.md", "| metric |", &metric_table());
}

#[test]
fn the_documented_rules_are_those_in_code() {
    check_table("docs/sensitivity.md", "| rule |", &table::document());
}

/// The table stands at the end of the file, from its head on.
fn check_table(file: &str, head: &str, table: &str) {
    let text = read(file);
    if std::env::var_os("UPDATE_EXPECTED").is_some() && !text.ends_with(table) {
        let before = text.split(head).next().expect("a beginning");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        fs::write(path, format!("{before}{table}")).expect("a writable tree");
        return;
    }
    assert!(text.ends_with(table), "UPDATE_EXPECTED=1 writes the table anew into {file}");
}
