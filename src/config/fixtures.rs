//! Whole files: every mistake with its exact message, good files with what they mean, and the shipped sample.
//!
//! `UPDATE_EXPECTED=1 cargo test --lib config` writes the messages anew; read each of them before it is kept.

use super::{Config, keys, tree, written};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Stands in bad files where a secret would.
const SECRET: &str = "hunter2";

fn fixtures(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(directory);
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .expect("the directory of fixtures")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    files
}

/// What is shown of a file: the errors under its base name, or the configuration.
fn outcome(path: &Path) -> Result<String, String> {
    match written::load(path, &|_| None) {
        Ok(config) => Ok(show(&config)),
        Err(mut errors) => {
            errors.file_name = path.file_name().expect("a name").to_string_lossy().into_owned();
            Err(errors.to_string())
        }
    }
}

/// The whole configuration, headers with their values: fixtures hold no secret.
fn show(config: &Config) -> String {
    let otlp = config.otlp.as_ref().map(|otlp| {
        let files = [&otlp.certificate_file, &otlp.client_certificate_file, &otlp.client_key_file];
        let names = files.map(|file| file.as_ref().and_then(|path| path.file_name()));
        let super::Otlp { endpoint, protocol, headers, gzip, timeout, temporality, interval, queue, .. } =
            otlp;
        format!(
            "{endpoint} {protocol:?} gzip={gzip} {timeout:?} {temporality:?} {interval:?} queue={queue}\n\
             headers: {headers:?}\nfiles: {names:?}\nattributes: {:?}",
            otlp.resource_attributes
        )
    });
    let Config { sampling, collectors, processes, cgroups, host, limits, sensitivity, severity, .. } = config;
    let attribution = &config.attribution;
    let push = match format!("{:?}", config.push) {
        push if push == format!("{:?}", super::Push::default()) => String::new(),
        push => format!("\n{push}"),
    };
    let directories: String = config.directories.iter().map(|directory| format!("\n{directory:?}")).collect();
    let applications: String =
        config.applications.iter().map(|application| format!("\n{application:#?}")).collect();
    // Files are found from the root of the repository.
    let applications = applications.replace(env!("CARGO_MANIFEST_DIR"), ".");
    let rules = if sensitivity.is_off() { String::new() } else { show_rules(sensitivity) };
    let rows = severity.iter().flat_map(|table| &table.rows);
    let rows: String = rows.map(|row| format!("\nseverity: {row:?}")).collect();
    format!(
        "{sampling:?}\n{collectors:?}\n{processes:#?}\n{cgroups:?}\n{host:?}\n{attribution:?}\n{limits:?}\notlp: {}{rules}{rows}{applications}{directories}{push}",
        otlp.as_deref().unwrap_or("off")
    )
}

/// The general budget and those of targets, a line for each number.
fn show_rules(sensitivity: &super::Sensitivity) -> String {
    let general = sensitivity.general.iter().map(|budget| (String::from("all"), budget));
    let own = sensitivity.targets.iter().map(|own| (own.name.to_string(), &own.budget));
    let mut shown = String::new();
    for (name, budget) in general.chain(own) {
        shown.push_str(&format!("\nbudget of {name}:"));
        for threshold in budget.thresholds() {
            shown.push_str(&format!("\n  {} {} {threshold}", threshold.rule.name, threshold.level.as_str()));
        }
    }
    shown
}

fn compare(path: &Path, extension: &str, actual: &str) {
    let expected_path = path.with_extension(extension);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected_path, format!("{actual}\n")).expect("expected file written");
    }
    let expected = fs::read_to_string(&expected_path).unwrap_or_default();
    assert_eq!(format!("{actual}\n"), expected, "{}", path.display());
}

#[test]
fn bad_files_give_exactly_their_messages() {
    let files = fixtures("bad");
    assert!(files.len() >= 24, "{} files", files.len());
    let mut secrets = 0;
    for path in files {
        let errors = outcome(&path).expect_err(&path.display().to_string());
        compare(&path, "err", &errors);
        assert!(!errors.contains(SECRET), "a secret is shown: {errors}");
        let text = fs::read(&path).expect("a file");
        secrets += usize::from(String::from_utf8_lossy(&text).contains(SECRET));
    }
    assert!(secrets >= 3, "{secrets} files with a secret");
}

#[test]
fn good_files_mean_what_is_expected() {
    let files = fixtures("good");
    assert!(files.len() >= 5, "{} files", files.len());
    for path in files {
        let shown = outcome(&path).unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
        compare(&path, "expected", &shown);
    }
}

/// Whatever a file holds, reading it ends with a configuration or with messages.
#[test]
fn damaged_files_never_panic() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config/good/complete.yml");
    let text = fs::read_to_string(path).expect("a file");
    // Every eleventh place with each damage: all places would take a minute.
    for at in (0..text.len()).step_by(11).filter(|at| text.is_char_boundary(*at)) {
        let (before, after) = text.split_at(at);
        for damaged in ["", "[", "\"", ": ", "\n- "].map(|damage| format!("{before}{damage}{after}")) {
            if let Err(errors) = written::parse(&damaged, "a.yml", &|_| None) {
                assert!(errors.to_string().starts_with("a.yml:"), "{errors}");
            }
        }
        let _outcome: Result<_, _> = written::parse(before, "a.yml", &|_| None);
    }
}

fn sample() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/memleak_exporter.yml");
    fs::read_to_string(path).expect("the shipped sample")
}

/// The sample with its examples in force: in the first column `#` before a word or an indented line hides a key, while a
/// comment for people is `#` and one space.
fn uncommented(sample: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with("  ") || rest.starts_with(|c: char| c.is_ascii_lowercase()) => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    sample.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn the_sample_is_the_default() {
    let config = written::parse(&sample(), "sample.yml", &|_| None).expect("the sample is right");
    assert_eq!(show(&config), show(&Config::default()));
}

#[test]
fn the_sample_shows_every_key_and_no_other() {
    let text = uncommented(&sample());
    written::parse(&text, "sample.yml", &|_| None).expect("its examples are right");
    let (root, _) = tree::read(&text);
    let mut shown = BTreeSet::new();
    paths(&root.expect("a tree"), "", &mut shown);
    let known: BTreeSet<String> = keys::KEYS.iter().map(|key| String::from(*key)).collect();
    assert_eq!(shown, known);
}

/// Every path, as the list of keys writes them; a section by itself is none, and what a free key holds is its own.
fn paths(node: &tree::Node, path: &str, found: &mut BTreeSet<String>) {
    match &node.value {
        tree::Value::Mapping(entries) => {
            for entry in entries {
                let free = keys::KEYS.contains(&format!("{path}.*").as_str());
                let inner = match path {
                    "" => entry.key.clone(),
                    _ if free => format!("{path}.*"),
                    _ => format!("{path}.{}", entry.key),
                };
                if !path.is_empty() || keys::KEYS.contains(&inner.as_str()) {
                    found.insert(inner.clone());
                }
                if !free {
                    paths(&entry.value, &inner, found);
                }
            }
        }
        tree::Value::List(items) => items.iter().for_each(|item| paths(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

/// Whether a shown configuration has a value at this path: of a list in any item, of a section with free keys in any.
fn has_key(shown: &serde_json::Value, path: &[&str]) -> bool {
    let Some((part, rest)) = path.split_first() else { return !shown.is_null() };
    let found = |name: &str| shown.get(name).unwrap_or(&serde_json::Value::Null).clone();
    match part.strip_suffix("[]") {
        Some(list) => {
            found(list).as_array().is_some_and(|items| items.iter().any(|item| has_key(item, rest)))
        }
        None if *part == "*" => {
            shown.as_object().is_some_and(|free| free.values().any(|value| has_key(value, rest)))
        }
        None => has_key(&found(part), rest),
    }
}

#[test]
fn every_key_is_shown_and_no_secret() {
    let config =
        written::parse(&uncommented(&sample()), "sample.yml", &|_| None).expect("its examples are right");
    let shown = config.shown();
    // What a target's own preset says is in its thresholds; the sample puts the general one out of force.
    let is_merged = |key: &str| matches!(key, "sensitivity" | "targets[].sensitivity");
    let is_shown = |key: &str| has_key(&shown, &key.split('.').collect::<Vec<_>>());
    let missing: Vec<&&str> = keys::KEYS.iter().filter(|key| !is_merged(key) && !is_shown(key)).collect();
    assert!(missing.is_empty(), "{missing:?} in {shown:#}");
    let text = format!("otlp: {{headers: {{api-key: {SECRET}}}}}");
    let shown = written::parse(&text, "a.yml", &|_| None).expect("right").shown().to_string();
    assert!(shown.contains("\"api-key\":\"<secret>\"") && !shown.contains(SECRET), "{shown}");
    let text = format!(
        "applications: [{{name: a, prometheus: 'http://h/m?k={SECRET}', areas: [{{name: b, json: 'http://h/j?k={SECRET}'}}, \
         {{name: c, command: [ask, -p, {SECRET}]}}]}}]"
    );
    let shown = written::parse(&text, "a.yml", &|_| None).expect("right").shown().to_string();
    assert!(shown.contains("http://h/j") && shown.contains("\"ask\"") && !shown.contains(SECRET), "{shown}");
}

#[test]
fn the_otlp_example_of_the_sample_shows_the_defaults() {
    let config =
        written::parse(&uncommented(&sample()), "sample.yml", &|_| None).expect("its examples are right");
    let otlp = config.otlp.expect("a section");
    let default = super::Otlp {
        endpoint: otlp.endpoint.clone(),
        headers: otlp.headers.clone(),
        certificate_file: otlp.certificate_file.clone(),
        client_certificate_file: otlp.client_certificate_file.clone(),
        client_key_file: otlp.client_key_file.clone(),
        resource_attributes: otlp.resource_attributes.clone(),
        ..super::Otlp::default()
    };
    assert!(otlp == default, "{otlp:?}");
    for file in [&otlp.certificate_file, &otlp.client_certificate_file, &otlp.client_key_file] {
        assert!(file.is_some(), "an example of each file");
    }
}

#[test]
fn the_severity_example_of_the_sample_shows_the_built_in_rows() {
    let config =
        written::parse(&uncommented(&sample()), "sample.yml", &|_| None).expect("its examples are right");
    assert_eq!(config.severity, Some(crate::detect::severity::built_in()));
}

#[test]
fn every_key_is_read() {
    for path in keys::KEYS {
        let mut text = String::from("[[1]]");
        for part in path.rsplit('.').map(|part| if part == "*" { "x" } else { part }) {
            text = match part.strip_suffix("[]") {
                Some(part) => format!("{{{part}: [{text}]}}"),
                None => format!("{{{part}: {text}}}"),
            };
        }
        // `{}` is wrong where a list of anything is right.
        let texts = [text.clone(), text.replace("[[1]]", "{a: 1}")];
        let told = texts.iter().any(|text| {
            let errors = written::parse(text, "a.yml", &|_| None).err().map(|errors| errors.problems);
            let place = path.replace("[]", "[0]").replace('*', "x");
            errors
                .unwrap_or_default()
                .iter()
                .any(|problem| problem.key.starts_with(&place) && !problem.message.contains("unknown key"))
        });
        assert!(told, "{path} is known but not read: {texts:?}");
    }
}
