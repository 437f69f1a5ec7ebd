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
    let ours = [
        "memleak_area_",
        "memleak_target_",
        "memleak_threshold_",
        "memleak_episodes_",
        "memleak_exporter_",
        "memleak_attribution_",
        "memleak_event_loop_",
        "memleak_gc_",
        "memleak_directory_",
    ];
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

/// Every rule of the shipped file that raises an alert.
fn alerts() -> Vec<serde_yaml::Value> {
    let rules: serde_yaml::Value = serde_yaml::from_str(&read("alerts/memleak.rules.yml")).expect("YAML");
    let groups = rules["groups"].as_sequence().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_sequence().expect("rules").clone());
    rules.filter(|rule| rule["alert"].as_str().is_some()).collect()
}

fn alert_names() -> BTreeSet<String> {
    alerts().iter().map(|alert| alert["alert"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn every_alert_says_what_where_and_what_to_do() {
    let alerts = alerts();
    for alert in &alerts {
        let name = alert["alert"].as_str().expect("a name");
        for label in ["severity", "memleak"] {
            assert!(alert["labels"][label].as_str().is_some(), "{name} has no {label}");
        }
        for annotation in ["summary", "description", "runbook_url"] {
            assert!(alert["annotations"][annotation].as_str().is_some(), "{name} has no {annotation}");
        }
        let description = alert["annotations"]["description"].as_str().expect("just seen");
        assert!(description.contains("First:"), "{name} does not say what to do first");
        let runbook = format!("docs/runbooks/{name}.md");
        assert_eq!(alert["annotations"]["runbook_url"].as_str(), Some(runbook.as_str()));
    }
    assert!(alerts.len() >= 40, "{} alerts", alerts.len());
}

/// The state of an area is a leak's own only where nothing inside of it tells of the same growth.
#[test]
fn what_is_explained_raises_no_alert() {
    for alert in alerts().iter().filter(|alert| alert["labels"]["memleak"] == "leak") {
        let expression = alert["expr"].as_str().expect("an expression");
        assert!(expression.contains("memleak_area_leak_explained == 1"), "{expression}");
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let pages = fs::read_dir(folder).expect("runbooks").map(|entry| entry.expect("readable").path());
    let pages: BTreeSet<String> =
        pages.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    assert_eq!(pages, alert_names());
    for name in &pages {
        let page = read(&format!("docs/runbooks/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n\n")), "{name}.md does not begin with the alert's name");
        for section in ["\n## Meaning\n", "\n## Impact\n"] {
            assert!(page.contains(section), "{name}.md has no section {}", section.trim());
        }
        assert!(page.contains("\n    ") && page.contains("curl"), "{name}.md has no command");
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let exists = !file.ends_with(".md")
                || pages.contains(file.trim_end_matches(".md"))
                || file.starts_with("../");
            assert!(exists, "{name}.md leads to {link}, which does not exist");
        }
    }
}

#[test]
fn every_alert_is_listed_routed_and_tested() {
    let tests = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/tests")).expect("tests");
    let tests: String = tests
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yml"))
        .map(|path| read(&path.to_string_lossy()))
        .collect();
    let (list, routes) = (read("alerts/README.md"), read("alerts/tests/routes"));
    for name in alert_names() {
        assert!(list.contains(&format!("| {name} | ")), "alerts/README.md does not list {name}");
        assert!(routes.contains(&name), "alerts/tests/routes does not ask where {name} goes");
        assert!(tests.contains(&format!("alertname: {name}")), "nothing tests what {name} says");
    }
}

#[test]
fn the_resource_for_the_operator_holds_the_same_rules() {
    let parse = |name| serde_yaml::from_str::<serde_yaml::Value>(&read(name)).expect("YAML");
    let resource = parse("alerts/prometheusrule.yml");
    assert_eq!(resource["kind"], "PrometheusRule");
    assert_eq!(resource["spec"], parse("alerts/memleak.rules.yml"), "run alerts/prometheusrule");
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
