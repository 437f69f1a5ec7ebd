//! `config show|check|init|set|reset`: the configuration in force, and changes of a written one.
//!
//! A change is read as the exporter would read it before anything is written, and then takes the place of the file in
//! one step: at no time is there half a file, and never a wrong one.

use super::{
    Failure,
    output::{Column, Format, Output, Report, Row, print},
};
use crate::{
    config::{edit, written},
    run::reload,
};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::Value;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The file that says all defaults, with an explanation of each key.
const COMMENTED: &str = include_str!("../../deploy/memleak_exporter.yml");
/// What a file is called where nobody says.
const USUAL_FILE: &str = "memleak_exporter.yml";
/// It may hold secrets: its owner alone reads it.
const FILE_MODE: u32 = 0o600;

/// Flags of `config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the configuration in force: every key with its value or its default, secrets left out.
    Show(ShowArguments),
    /// Check a configuration file and say all that is wrong with it; exit code 78 if anything is.
    Check(FileArguments),
    /// Begin a configuration: a file that explains every key. On a terminal it asks which preset to begin with.
    Init(InitArguments),
    /// Set a key in a configuration file. All else stays as it is, comments included.
    Set(SetArguments),
    /// Give a key in a configuration file its default again, by making it a comment.
    Reset(ResetArguments),
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// The configuration file; without one the defaults are shown.
    #[arg(long = "config.file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// How to write it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Args)]
struct FileArguments {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
struct InitArguments {
    /// Where to write it.
    #[arg(value_name = "FILE", default_value = USUAL_FILE)]
    file: PathBuf,
    /// The plain rules that stand beside the detector; off leaves the detector alone.
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Take the place of a file that is there.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// The detector alone.
    Off,
    /// Tight budgets, for a service whose memory is well known.
    Strict,
    /// Wide budgets, for whatever runs in production.
    Production,
    /// For a developer's machine.
    Development,
}

impl Preset {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Strict => "strict",
            Self::Production => "production",
            Self::Development => "development",
        }
    }
}

#[derive(Debug, Args)]
struct SetArguments {
    /// The key with its section, such as sampling.interval.
    #[arg(value_name = "KEY")]
    key: String,
    /// The value, as it would be written in the file.
    #[arg(value_name = "VALUE")]
    value: String,
    /// The configuration file.
    #[arg(long = "config.file", value_name = "FILE", default_value = USUAL_FILE)]
    file: PathBuf,
}

#[derive(Debug, Args)]
struct ResetArguments {
    /// The key with its section, such as sampling.interval; or a whole section.
    #[arg(value_name = "KEY")]
    key: String,
    /// The configuration file.
    #[arg(long = "config.file", value_name = "FILE", default_value = USUAL_FILE)]
    file: PathBuf,
}

impl ConfigArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.what {
            What::Show(show) => show.run(),
            What::Check(check) => {
                check_file(&check.file)?;
                say(&format!("{}: the configuration is good", check.file.display()))
            }
            What::Init(init) => init.run(),
            What::Set(set) => set.run(),
            What::Reset(reset) => reset.run(),
        }
    }
}

fn check_file(file: &Path) -> Result<(), Failure> {
    reload::read(Some(file)).map(drop).map_err(|errors| Failure::Config(errors.to_string()))
}

fn say(text: &str) -> Result<(), Failure> {
    print(|out| writeln!(out, "{text}"))
}

/// A key with its value.
#[derive(Debug, PartialEq, Serialize)]
struct Setting {
    key: String,
    value: Value,
}

impl ShowArguments {
    fn run(&self) -> Result<(), Failure> {
        let config =
            reload::read(self.file.as_deref()).map_err(|errors| Failure::Config(errors.to_string()))?;
        let shown = config.shown();
        let mut settings = Vec::new();
        flatten(&shown, "", &mut settings);
        let row = |Setting { key, value }: &Setting| Row {
            cells: vec![key.as_str().into(), words(value).into()],
            notes: Vec::new(),
        };
        let report = Report {
            title: String::from("The configuration in force"),
            columns: vec![Column::words("Key"), Column::words("Value")],
            rows: settings.iter().map(row).collect(),
            remarks: Vec::new(),
        };
        print(|mut out| Output::new(self.format).write(&mut out, &report, &shown, &settings))
    }
}

/// The keys below a value, sections resolved.
fn flatten(value: &Value, path: &str, settings: &mut Vec<Setting>) {
    match value {
        Value::Object(section) if !section.is_empty() => {
            for (key, value) in section {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(value, &inner, settings);
            }
        }
        _ => settings.push(Setting { key: path.to_owned(), value: value.clone() }),
    }
}

/// A value as it is shown to people.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::from("–"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl InitArguments {
    fn run(&self) -> Result<(), Failure> {
        if !self.force && fs::symlink_metadata(&self.file).is_ok() {
            let file = self.file.display();
            return Err(Failure::Other(anyhow!("{file} is there already; --force takes its place")));
        }
        let preset = match self.preset {
            Some(preset) => preset,
            None if io::stdin().is_terminal() && io::stderr().is_terminal() => {
                ask(&mut io::stdin().lock(), &mut io::stderr()).map_err(Failure::Other)?
            }
            None => Preset::Off,
        };
        let text = begun(preset).map_err(|error| Failure::Other(anyhow!("`sensitivity` {error}")))?;
        replace(&self.file, &text)?;
        say(&format!(
            "{file}: written, with sensitivity {}; memleak_exporter --config.file={file} uses it",
            preset.as_str(),
            file = self.file.display(),
        ))
    }
}

/// The commented file with this preset.
fn begun(preset: Preset) -> Result<String, String> {
    match preset {
        Preset::Off => Ok(COMMENTED.to_owned()),
        preset => edit::set(COMMENTED, "sensitivity", preset.as_str()),
    }
}

/// Asks a person for a preset.
fn ask(from: &mut impl io::BufRead, to: &mut impl io::Write) -> anyhow::Result<Preset> {
    writeln!(to, "Which plain rules should stand beside the detector?")?;
    for preset in Preset::value_variants() {
        let value = preset.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help()).map(ToString::to_string);
        writeln!(to, "  {:<12} {}", preset.as_str(), help.unwrap_or_default())?;
    }
    loop {
        write!(to, "[off] ")?;
        to.flush()?;
        let mut answer = String::new();
        if from.read_line(&mut answer)? == 0 {
            return Err(anyhow!("there was no answer; say --preset instead"));
        }
        let answer = answer.trim();
        if answer.is_empty() {
            return Ok(Preset::Off);
        }
        match Preset::from_str(answer, true) {
            Ok(preset) => return Ok(preset),
            Err(_unknown) => writeln!(to, "Write off, strict, production or development.")?,
        }
    }
}

impl SetArguments {
    fn run(&self) -> Result<(), Failure> {
        let text = read(&self.file)?;
        let edited = edit::set(&text, &self.key, &self.value).map_err(|error| refused(&self.key, &error))?;
        replace(&self.file, &edited)?;
        say(&format!("{}: {} is {} now", self.file.display(), self.key, self.value.trim()))
    }
}

impl ResetArguments {
    fn run(&self) -> Result<(), Failure> {
        let text = read(&self.file)?;
        let (file, key) = (self.file.display(), &self.key);
        match edit::reset(&text, key).map_err(|error| refused(key, &error))? {
            Some(edited) => {
                replace(&self.file, &edited)?;
                say(&format!("{file}: {key} has its default again"))
            }
            None => say(&format!("{file}: {key} has its default already")),
        }
    }
}

fn refused(key: &str, error: &str) -> Failure {
    Failure::Other(anyhow!("`{key}` {error}"))
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .with_context(|| {
            let file = file.display();
            format!("cannot read {file}; name another by --config.file, or begin it with `memleak_exporter config init {file}`")
        })
        .map_err(Failure::Other)
}

/// Puts a text in the place of a file, once it was read as a configuration and found good.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    let lookup = |name: &str| std::env::var(name).ok();
    written::parse(text, &file.display().to_string(), &lookup)
        .map_err(|errors| Failure::Config(errors.to_string()))?;
    // A link goes on pointing to its file.
    let target = fs::canonicalize(file).unwrap_or_else(|_not_there_yet| file.to_owned());
    let mut beside = target.clone().into_os_string();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = write(&beside, &target, text);
    if written.is_err() {
        let _was_never_there = fs::remove_file(&beside);
    }
    written.with_context(|| format!("cannot write {}", file.display())).map_err(Failure::Other)
}

fn write(beside: &Path, target: &Path, text: &str) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(beside)?;
    new.write_all(text.as_bytes())?;
    if let Ok(before) = File::open(target).and_then(|before| before.metadata()) {
        new.set_permissions(before.permissions())?;
    }
    new.sync_all()?;
    fs::rename(beside, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_makes_a_good_file_that_explains_itself() {
        for preset in Preset::value_variants() {
            let text = begun(*preset).unwrap();
            let config =
                written::parse(&text, "begun", &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(config.sensitivity.is_off(), *preset == Preset::Off, "{preset:?}");
            let comments = text.lines().filter(|line| line.trim_start().starts_with('#')).count();
            assert!(comments > 100, "{comments}");
        }
    }

    #[test]
    fn a_person_is_asked_until_the_answer_is_one() {
        let mut said = Vec::new();
        assert_eq!(ask(&mut &b"what\nSTRICT\n"[..], &mut said).unwrap(), Preset::Strict);
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("Write off, strict, production or development"), "{said}");
        assert_eq!(ask(&mut &b"\n"[..], &mut Vec::new()).unwrap(), Preset::Off);
        assert!(ask(&mut &b""[..], &mut Vec::new()).is_err());
    }

    #[test]
    fn sections_are_resolved_into_keys() {
        let mut settings = Vec::new();
        flatten(&serde_json::json!({ "a": { "b": [1, "x"], "c": {} }, "d": null }), "", &mut settings);
        let shown: Vec<String> =
            settings.iter().map(|setting| format!("{} {}", setting.key, words(&setting.value))).collect();
        assert_eq!(shown, ["a.b [1,\"x\"]", "a.c {}", "d –"]);
    }
}
