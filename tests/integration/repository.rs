//! The repository checks itself: the direction of the modules, metric names, dead files, lengths.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The rooms in the order of the flow: a module may use those before it, never one behind it.
const FLOW: [&str; 17] = [
    "sample", "inbox", "budget", "severity", "web", "config", "fetch", "collect", "series", "detect", "text",
    "snapshot", "export", "http", "act", "run", "cli",
];
/// Within that order these are closed to each other all the same: neither knows that the other exists.
const STRANGERS: [(&str, &[&str]); 7] = [
    ("collect", &["budget", "web"]),
    ("series", &["inbox", "budget", "web", "config", "fetch", "collect"]),
    ("detect", &["inbox", "web", "config", "fetch", "collect"]),
    ("text", &["budget", "config", "collect", "series"]),
    ("snapshot", &["config", "collect"]),
    ("export", &["collect", "series"]),
    ("http", &["config", "collect", "series"]),
];
/// A file longer than this should be split along a meaning.
const MOST_LINES: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a directory with one of these endings.
fn files(directory: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![root().join(directory)];
    while let Some(directory) = todo.pop() {
        for entry in
            fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        {
            let path = entry.expect("a readable directory").path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The room that a source file belongs to: the first part of its path below `src`.
fn room(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).expect("below src");
    let first =
        relative.components().next().expect("not src itself").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file without its tests (which may use whatever they need) and without comments.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms that a piece of code names: after `crate::`, one or several in braces.
fn used_rooms(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let behind = &code[at + "crate::".len()..];
        if let Some(list) = behind.strip_prefix('{') {
            used.extend(top_level_names(list));
        } else {
            used.insert(word(behind));
        }
    }
    used
}

/// The first word of each entry of a list in braces, the lists inside it left out.
fn top_level_names(list: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut depth, mut begins) = (0, true);
    for (at, char) in list.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            char if begins && char.is_alphabetic() => {
                names.insert(word(&list[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests" || stem == "fixtures")
        || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn nothing_points_back_against_the_flow() {
    let position = |name: &str| FLOW.iter().position(|room| *room == name);
    let mut wrong = Vec::new();
    for path in files("src", &["rs"]).iter().filter(|path| !is_test(path.strip_prefix(root()).expect("ours")))
    {
        let own = room(path);
        if own == "main" || own == "lib" {
            continue;
        }
        let own_position =
            position(&own).unwrap_or_else(|| panic!("{own} is not in the flow: add it to lib.rs and here"));
        let strangers =
            STRANGERS.iter().find(|(room, _)| *room == own).map_or(&[][..], |(_, strangers)| strangers);
        for used in used_rooms(&code(&read(path))) {
            let used_position =
                position(&used).unwrap_or_else(|| panic!("{}: crate::{used}?", path.display()));
            if used_position > own_position || strangers.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_reader_of_imports_sees_each_form() {
    let text = "use crate::{\n  config::{Config, limits},\n  sample::Unit,\n};\nlet x = crate::detect::y();";
    let used: Vec<String> = used_rooms(text).into_iter().collect();
    assert_eq!(used, ["config", "detect", "sample"]);
}

#[test]
fn no_file_but_the_table_spells_a_metric_name() {
    let names = metric_names();
    assert!(names.len() > 30, "{names:?}");
    let mut wrong = Vec::new();
    for path in files("src", &["rs"]) {
        if path.ends_with("export/metric.rs") || is_test(path.strip_prefix(root()).expect("ours")) {
            continue;
        }
        let code = code(&read(&path));
        wrong.extend(
            names
                .iter()
                .filter(|name| code.contains(*name))
                .map(|name| format!("{}: {name}", path.display())),
        );
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Every metric's name in both worlds.
pub(crate) fn metric_names() -> BTreeSet<&'static str> {
    use memleak_exporter::export::metric::{TARGET_METRICS, own};
    let all = TARGET_METRICS.iter().chain(own::ALL.iter().copied());
    all.flat_map(|metric| [metric.name, metric.otlp_name]).collect()
}

#[test]
fn every_source_file_is_compiled() {
    let sources = files("src", &["rs"]);
    for path in &sources {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.parent() == Some(&root().join("src")) && (stem == "main" || stem == "lib") {
            continue;
        }
        let folder = path.parent().expect("below src");
        let parent =
            if folder == root().join("src") { folder.join("lib.rs") } else { folder.with_extension("rs") };
        let declared = read(&parent).lines().any(|line| {
            let line = line.trim();
            line.strip_suffix(&format!("mod {stem};"))
                .is_some_and(|before| before.is_empty() || before.ends_with(' '))
        });
        assert!(
            declared,
            "{} is declared nowhere: {} should say `mod {stem};`",
            path.display(),
            parent.display()
        );
    }
}

#[test]
fn files_stay_readable() {
    let long: Vec<String> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|directory| files(directory, &["rs"]))
        // A generated table is not read from top to bottom.
        .filter(|path| !path.ends_with("model/weights.rs"))
        .map(|path| (read(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn detect_reads_no_clock_no_file_and_logs_nothing() {
    for path in files("src/detect", &["rs"]).into_iter().chain(files("src/series", &["rs"])) {
        let code = code(&read(&path));
        for absent in [
            "std::time",
            "std::fs",
            "std::env",
            "tracing",
            "Instant",
            "SystemTime",
            "\nstatic ",
            "thread_local",
        ] {
            assert!(!code.contains(absent), "{} uses {absent}", path.display());
        }
    }
}
