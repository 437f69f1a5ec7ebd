//! Every example in README.md and docs/*.md is run.
//!
//! A fenced block marked `console` needs no more than itself: each line that begins with `$ ` is run by a shell in a
//! directory of its own, with the binary on the PATH and the fixtures of `analyze` beside it, and what stands below it
//! must be said in this order; `…` stands for anything. Every other block is in [`EXAMPLES`], by the words that it
//! begins with, with what is to be done with it. A new block that is in neither place fails the test, and so does an
//! entry without its block. Runbooks are left out: what their commands name is what is broken that day.

use crate::{
    exporter::{Exporter, Scratch},
    process::Process,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

/// What is done with an example.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Run by a shell; the exit code must be 0.
    Run,
    /// Run by a shell against an exporter, whose address takes the place of `localhost:10099`.
    Ask,
    /// A command that goes on until it is ended: started on a free port, it must say that it listens.
    Start,
    /// What the exporter says as it starts: it must have all these words.
    Says,
    /// What `analyze` says of the fixture, whatever its numbers are: a better detector has others.
    Analyzed,
    /// A configuration.
    Config,
    /// A web file.
    WebFile,
    /// A configuration of Prometheus.
    Prometheus,
    /// PromQL.
    Query,
    /// Not run here, for this reason.
    Elsewhere(&'static str),
}

const PROMETHEUS: Way = Way::Elsewhere("needs a Prometheus with a past; `analyze_prometheus` runs one");

/// The examples that are not marked `console`: where, how they begin, and what is done with them.
const EXAMPLES: &[(&str, &str, Way)] = &[
    ("README.md", "cargo run --release", Way::Elsewhere("builds what all other examples run")),
    ("README.md", "level=info message=\"watching every process", Way::Says),
    (
        "README.md",
        "level=warn message=\"leak confirmed\"",
        Way::Elsewhere("takes a leak of an hour; `leaks` sees the line"),
    ),
    ("README.md", "./tests/run", Way::Elsewhere("is what runs this")),
    ("README.md", "applications:", Way::Config),
    ("README.md", "directories:", Way::Config),
    ("README.md", "curl -H 'Content-Type", Way::Ask),
    ("README.md", "topk by (target)", Way::Query),
    ("README.md", "memleak_exporter --config.file=", Way::Run),
    (
        "README.md",
        "memleak_exporter --web.config.file=",
        Way::Elsewhere("needs certificates; `web_file` makes some and runs it"),
    ),
    ("README.md", "tls_server_config:", Way::Elsewhere("names certificates; `web_file` has every key of it")),
    ("README.md", "memleak_exporter --storage.path=", Way::Start),
    ("README.md", "memleak_exporter analyze web.csv", Way::Run),
    ("README.md", "SERIES  VERDICT", Way::Analyzed),
    ("README.md", "memleak_exporter analyze --prometheus", PROMETHEUS),
    ("README.md", "memleak_exporter health", Way::Ask),
    ("docs/command-line.md", "memleak_exporter analyze web.csv", Way::Run),
    ("docs/command-line.md", "memleak_exporter analyze --prometheus", PROMETHEUS),
    ("docs/command-line.md", "memleak_exporter health", Way::Ask),
    ("README.md", "scrape_configs:", Way::Prometheus),
    ("docs/api.md", "curl -s 'http://localhost:10099/api/v1/areas", Way::Ask),
    ("docs/api.md", "curl -s 'http://localhost:10099/api/v1/stats", Way::Ask),
    (
        "docs/api.md",
        "id=$(curl",
        Way::Elsewhere("has tests of the reader's own between; `api` does the same"),
    ),
    ("docs/page.md", "<iframe", Way::Elsewhere("is markup; `page` frames the widget")),
    ("docs/page.md", "http_server_config:", Way::WebFile),
    ("docs/sensitivity.md", "sensitivity: production", Way::Config),
];

/// A block of a document.
#[derive(Debug)]
struct Block {
    file: String,
    line: usize,
    language: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The fenced and the indented blocks of a document.
fn blocks(file: &str) -> Vec<Block> {
    let document = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut blocks: Vec<Block> = Vec::new();
    let (mut fenced, mut indented, mut after_blank) = (false, false, true);
    for (number, line) in (1..).zip(document.lines()) {
        let begin = |language: &str| Block {
            file: file.into(),
            line: number,
            language: language.into(),
            text: String::new(),
        };
        if let Some(language) = line.strip_prefix("```") {
            fenced = !fenced;
            if fenced {
                blocks.push(begin(language));
            }
            indented = false;
            continue;
        }
        let inner =
            if fenced { Some(line) } else { line.strip_prefix("    ").filter(|_| after_blank || indented) };
        match inner {
            Some(inner) => {
                if !fenced && !indented {
                    blocks.push(begin(""));
                    indented = true;
                }
                let block = blocks.last_mut().expect("begun");
                block.text += inner;
                block.text.push('\n');
            }
            // A blank line within an indented block belongs to it; at its end it does no harm.
            None if indented && line.is_empty() => blocks.last_mut().expect("begun").text.push('\n'),
            None => indented = false,
        }
        after_blank = line.is_empty();
    }
    blocks
}

fn documents() -> Vec<String> {
    let mut files = vec![String::from("README.md")];
    for entry in fs::read_dir(root().join("docs")).expect("docs") {
        let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
        if Path::new(&name).extension().is_some_and(|ending| ending == "md") {
            files.push(format!("docs/{name}"));
        }
    }
    files.sort();
    files
}

fn all_blocks() -> Vec<Block> {
    documents().iter().flat_map(|file| blocks(file)).collect()
}

/// The place where examples are run, with what they name.
struct Place(Scratch);

impl Place {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let copy = |from: &str, to: &str| {
            fs::copy(root().join(from), scratch.path.join(to))
                .unwrap_or_else(|error| panic!("{from}: {error}"));
        };
        copy("tests/fixtures/analyze/web.csv", "web.csv");
        copy("tests/fixtures/analyze/web.csv", "db.csv");
        copy("deploy/memleak_exporter.yml", "memleak_exporter.yml");
        copy("alerts/memleak.rules.yml", "memleak.rules.yml");
        Self(scratch)
    }

    fn run(&self, script: &str) -> Output {
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_memleak_exporter"));
        let path = std::env::var("PATH").unwrap_or_default();
        Process::command("bash")
            .args(["-euo", "pipefail", "-c", script])
            .env("PATH", format!("{}:{path}", binary.parent().expect("a directory").display()))
            .current_dir(&self.0.path)
            .output()
            .expect("bash")
    }

    fn runs(&self, block: &Block, script: &str) {
        let output = self.run(script);
        assert!(
            output.status.success(),
            "{}:{}: {script}\n{}",
            block.file,
            block.line,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn try_out(block: &Block, way: Way) {
    let place = Place::new(&format!("example-{}", block.line));
    match way {
        Way::Run => {
            place.runs(block, "xz -k web.csv");
            place.runs(block, &block.text);
        }
        Way::Ask => {
            let exporter = Exporter::start(&[]);
            exporter.scrape_until("a tick", Duration::from_secs(60), |scrape| {
                scrape.value("memleak_exporter_ticks_total", &[]).filter(|ticks| *ticks > 0.0)
            });
            let script = block.text.replace("localhost:10099", exporter.address());
            let asking = format!("export MEMLEAK_EXPORTER_URL={}\n", exporter.base);
            place.runs(block, &(asking + &script.replace("curl ", "curl -f ")));
        }
        Way::Start => {
            let state = place.0.path.join("state");
            let command = block.text.replace("/var/lib/memleak_exporter", &state.display().to_string());
            let flags: Vec<&str> = command.split_whitespace().skip(1).collect();
            Exporter::start(&flags);
        }
        Way::Says => {
            let said = Exporter::start(&[]).process.output();
            for line in block.text.lines().filter(|line| !line.is_empty()) {
                let message = line.split("message=").nth(1).expect("a message");
                let end = match message.strip_prefix('"') {
                    Some(quoted) => quoted.find('"').map(|at| at + 2),
                    None => message.find(' '),
                };
                let message = &message[..end.expect("an end")];
                assert!(said.contains(&format!("message={message}")), "{message}: {said}");
                for word in line.split(' ').filter_map(|word| word.split_once('=')).map(|(key, _)| key) {
                    assert!(said.contains(&format!("{word}=")), "{word}: {said}");
                }
            }
        }
        Way::Analyzed => {
            let said = place.run("memleak_exporter analyze web.csv").stdout;
            says(block, &numberless(&block.text), &numberless(&String::from_utf8_lossy(&said)));
        }
        Way::Config => {
            let file = place.0.write("example.yml", &block.text);
            place.runs(block, &format!("memleak_exporter config check {}", file.display()));
        }
        Way::WebFile => {
            let file = place.0.write("web.yml", &block.text);
            let checked = format!("memleak_exporter --web.config.file={} --config.check", file.display());
            place.runs(block, &checked);
        }
        Way::Prometheus => {
            place.0.write("prometheus.yml", &block.text);
            place.runs(block, "promtool check config prometheus.yml");
        }
        Way::Query => {
            let rule =
                format!("groups: [{{name: a, rules: [{{record: 'a:b', expr: '{}'}}]}}]\n", block.text.trim());
            place.0.write("query.yml", &rule);
            place.runs(block, "promtool check rules query.yml");
        }
        Way::Elsewhere(reason) => assert!(!reason.is_empty()),
    }
}

/// A text with every number as 0.
fn numberless(text: &str) -> String {
    let mut numberless = String::new();
    for char in text.chars() {
        match char {
            '0'..='9' if numberless.ends_with('0') => {}
            '0'..='9' => numberless.push('0'),
            other => numberless.push(other),
        }
    }
    numberless
}

/// Every line of an example must be said, in this order; `…` stands for anything, blanks for any number of them.
fn says(block: &Block, example: &str, said: &str) {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = said.lines().map(squeezed);
    for line in example.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…") {
        let wanted = squeezed(line);
        let is_said = |said: &String| {
            let mut rest = said.as_str();
            wanted.split('…').all(|part| match rest.find(part) {
                Some(at) => {
                    rest = &rest[at + part.len()..];
                    true
                }
                None => false,
            })
        };
        assert!(
            lines.any(|said| is_said(&said)),
            "{}:{}: {line:?} is not in\n{said}",
            block.file,
            block.line
        );
    }
}

/// Runs the commands of a `console` block one after another and compares what each says.
fn play(block: &Block) {
    let place = Place::new(&format!("console-{}-{}", block.file.replace('/', "-"), block.line));
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in block.text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push((command.to_owned(), String::new())),
            None => {
                let (_, expected) =
                    steps.last_mut().unwrap_or_else(|| panic!("{}:{}: no command", block.file, block.line));
                expected.push_str(line);
                expected.push('\n');
            }
        }
    }
    for (command, expected) in steps {
        // Both outputs in the order in which a terminal shows them.
        let output = place.run(&format!("exec 2>&1\n{command}"));
        let said = String::from_utf8_lossy(&output.stdout);
        says(block, &expected, &said);
        let is_failure_shown = expected.contains("memleak_exporter: ");
        assert!(
            output.status.success() != is_failure_shown,
            "{}:{}: {command}: {said}",
            block.file,
            block.line
        );
    }
}

#[test]
fn every_block_is_known_and_every_entry_has_its_block() {
    let blocks = all_blocks();
    let is_of = |block: &Block, (file, begins, _): &(&str, &str, Way)| {
        block.file == *file && block.text.starts_with(begins)
    };
    for block in blocks.iter().filter(|block| block.language != "console") {
        let count = EXAMPLES.iter().filter(|entry| is_of(block, entry)).count();
        assert_eq!(
            count, 1,
            "{}:{}: mark it `console`, or say in EXAMPLES what to do with it",
            block.file, block.line
        );
    }
    for entry in EXAMPLES {
        let count = blocks.iter().filter(|block| is_of(block, entry)).count();
        assert_eq!(count, 1, "{entry:?}: so many blocks begin like this");
    }
}

#[test]
fn every_listed_example_works() {
    for block in all_blocks().iter().filter(|block| block.language != "console") {
        for (_, _, way) in
            EXAMPLES.iter().filter(|(file, begins, _)| block.file == *file && block.text.starts_with(begins))
        {
            try_out(block, *way);
        }
    }
}

#[test]
fn every_console_says_what_it_shows() {
    let blocks = all_blocks();
    let consoles: Vec<&Block> = blocks.iter().filter(|block| block.language == "console").collect();
    assert!(consoles.len() > 5, "{}", consoles.len());
    for block in consoles {
        play(block);
    }
}

#[test]
fn what_is_not_said_is_noticed() {
    let block = Block { file: "a".into(), line: 1, language: String::new(), text: String::new() };
    says(&block, "one … three\n…\nfour", "zero\none  two three\nx\n four\n");
    let wrong = std::panic::catch_unwind(|| says(&block, "four\none", "one\nfour\n"));
    assert!(wrong.is_err());
}
