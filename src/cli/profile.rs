//! `profile -- COMMAND…`: runs a command and says what grew between its beginning and its end, per area.
//!
//! The memory of the command and of all that it starts is summed up. With `--max-growth` it fails where something grew
//! by more, so that a test suite can fail a build that leaks; else it ends as the command did. The report goes to the
//! standard error, beside the command's own output, or to a file.

mod growth;

use super::{
    Failure,
    output::{
        Cell, Column, Format, Output, Report, Row, Tone,
        terminal::{Paint, Progress},
    },
};
use crate::{
    act::spawn::{Beside, Shares},
    collect::{
        Collector as _, Request,
        paths::Paths,
        process::{ProcessCollector, family::descendants},
    },
    config::{Config, duration, size},
    detect::words::{Amount, Span},
    run::clock,
    sample::{Area, Batch, Identity, Unit},
    text::{Change, Plural},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use growth::{Course, Growth};
use rustix::process::{getpid, set_child_subreaper};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    fs::File,
    io::{self, BufWriter, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// The area of `--max-growth` where it names none: what a leak occupies.
const USUAL_AREA: &str = "anon";
/// Areas that are told of; a peak never falls, so its growth says nothing.
const AREAS: [&str; 5] = ["anon", "rss", "swap", "fds", "threads"];
/// The end of the command is noticed so soon.
const REACTION: Duration = Duration::from_millis(20);
/// What a shell adds to the number of the signal that ended a command.
const KILLED_BY: i32 = 128;

/// Flags of `profile`.
#[derive(Debug, Args)]
pub(super) struct ProfileArguments {
    /// The time between two samples.
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = duration::argument)]
    interval: Duration,
    /// Leave out so much of the beginning, while the command warms up.
    #[arg(long, visible_alias = "settle", value_name = "DURATION", value_parser = duration::argument)]
    skip: Option<Duration>,
    /// Fail, with exit code 3, where an area grew by more: anonymous memory, or AREA=NUMBER for another one
    /// (anon, rss, swap, fds, threads); may be repeated.
    #[arg(long, value_name = "[AREA=]SIZE", value_parser = most)]
    max_growth: Vec<Most>,
    /// How to write the report.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write the report into this file instead of to the standard error.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The command and its arguments.
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// How much an area may grow.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Most {
    area: &'static str,
    growth: f64,
}

/// Reads how much an area may grow.
fn most(text: &str) -> anyhow::Result<Most> {
    let (area, amount) = text.split_once('=').unwrap_or((USUAL_AREA, text));
    let area = AREAS.into_iter().find(|known| *known == area);
    let area = area.with_context(|| format!("it names no area; write one of {}", AREAS.join(", ")))?;
    let growth =
        if amount == "0" { 0.0 } else { size::parse(amount).map_err(|error| anyhow!("it {error}"))? };
    Ok(Most { area, growth })
}

/// What was seen of a command.
struct Profile {
    status: ExitStatus,
    secs: f64,
    courses: BTreeMap<&'static str, (Unit, Course)>,
}

impl ProfileArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        let profile = self.profile().map_err(Failure::Other)?;
        let growths = self.growths(&profile);
        self.tell(&profile, &growths).map_err(Failure::Other)?;
        match profile.status.code() {
            Some(0) => self.judge(&growths),
            Some(code) => Err(Failure::Code(u8::try_from(code).unwrap_or(u8::MAX))),
            None => {
                let code = KILLED_BY + profile.status.signal().unwrap_or_default();
                Err(Failure::Code(u8::try_from(code).unwrap_or(u8::MAX)))
            }
        }
    }

    /// Runs the command to its end and samples it.
    fn profile(&self) -> anyhow::Result<Profile> {
        let name = self.command.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (told_to_end, _interrupted) = (signal(SIGTERM)?, signal(SIGINT)?);
        // Whom its children leave behind becomes ours, and so stays in the family.
        set_child_subreaper(Some(getpid())).context("cannot take in orphans")?;
        let mut family = Family::new();
        let mut command = Beside::start(&self.command, Shares::Everything)
            .with_context(|| format!("cannot start {name}"))?;
        let mut progress = Progress::new();
        let began = clock::instant();
        let mut next = began;
        let mut courses = BTreeMap::new();
        let status = loop {
            if let Some(status) = command.ended().context("cannot wait for the command")? {
                break status;
            }
            if told_to_end.swap(false, Ordering::Relaxed) {
                command.tell_to_end();
            }
            let now = clock::instant();
            if now >= next {
                next = now + self.interval;
                let secs = now.saturating_duration_since(began).as_secs_f64();
                family.sample(secs, &mut courses);
                progress.say(&format!("memleak_exporter profile: {name} runs for {}", Span(secs)));
            }
            thread::park_timeout(REACTION.min(next.saturating_duration_since(now)));
        };
        Ok(Profile { status, secs: clock::instant().saturating_duration_since(began).as_secs_f64(), courses })
    }

    /// What grew, in the order of [`AREAS`].
    fn growths(&self, profile: &Profile) -> Vec<AreaGrowth> {
        let skip_secs = self.skip.map_or(0.0, |skip| skip.as_secs_f64());
        let of = |name: &'static str| {
            let (unit, course) = profile.courses.get(name)?;
            let growth = course.growth(skip_secs)?;
            let most = self.max_growth.iter().filter(|most| most.area == name).map(|most| most.growth);
            let max_growth = most.reduce(f64::min);
            let exceeded = max_growth.map(|most| growth.amount() > most);
            let bytes = *unit == Unit::Bytes;
            Some(AreaGrowth { area: name, bytes, growth, max_growth, exceeded })
        };
        AREAS.into_iter().filter_map(of).collect()
    }

    fn judge(&self, growths: &[AreaGrowth]) -> Result<(), Failure> {
        for most in &self.max_growth {
            if !growths.iter().any(|growth| growth.area == most.area) {
                return Err(Failure::Other(anyhow!(
                    "the command ended before `{}` was sampled twice; give it more time, or sample oftener",
                    most.area
                )));
            }
        }
        let exceeded = growths.iter().filter(|growth| growth.exceeded == Some(true));
        let said: Vec<String> = exceeded.map(AreaGrowth::said).collect();
        if said.is_empty() { Ok(()) } else { Err(Failure::Grew(said.join("; "))) }
    }

    fn tell(&self, profile: &Profile, growths: &[AreaGrowth]) -> anyhow::Result<()> {
        let document = Document {
            command: self.command.iter().map(|part| part.to_string_lossy().into_owned()).collect(),
            exit_code: profile.status.code(),
            seconds: profile.secs,
            skipped_seconds: self.skip.map_or(0.0, |skip| skip.as_secs_f64()),
            areas: growths,
        };
        let report = report(&document);
        let (mut out, paint): (Box<dyn io::Write>, Paint) = match &self.output {
            Some(path) => {
                let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                (Box::new(BufWriter::new(file)), Paint::OFF)
            }
            None => (Box::new(BufWriter::new(io::stderr())), Paint::of_stderr()),
        };
        let written = Output { format: self.format, paint }.write(&mut out, &report, &document, growths);
        written.and_then(|()| out.flush()).context("the report cannot be written")
    }
}

/// Becomes true with a signal, which then does nothing else: the command decides when this ends.
fn signal(signal: i32) -> anyhow::Result<Arc<AtomicBool>> {
    let told = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal, Arc::clone(&told)).context("cannot listen for signals")?;
    Ok(told)
}

/// The readings of a command with all that it started.
struct Family {
    collector: ProcessCollector,
    paths: Paths,
    /// Who is read in full.
    known: Arc<HashSet<Identity>>,
    /// The last sample: area, unit, time and size.
    newest: Vec<(&'static str, Unit, f64, f64)>,
}

impl Family {
    /// One that knows who runs already, so that its first reading is quick.
    fn new() -> Self {
        let paths = Paths::below("/".as_ref(), None, None);
        let mut family = Self {
            collector: ProcessCollector::new(&Config::default(), &paths),
            paths,
            known: Arc::default(),
            newest: Vec::new(),
        };
        let _before_the_command = family.collect(0.0);
        family
    }

    fn collect(&mut self, at: f64) -> Option<Batch> {
        let request = Request { at, suspects: Arc::clone(&self.known), ..Request::default() };
        self.collector.collect(&request).ok()
    }

    /// Adds what the command and all that it started hold now: everything below this process, since who loses its
    /// parent becomes its child.
    fn sample(&mut self, secs: f64, courses: &mut BTreeMap<&'static str, (Unit, Course)>) {
        let family = descendants(&self.paths.procfs, std::process::id());
        let Some(batch) = self.collect(secs) else { return };
        let mut sums: BTreeMap<&'static str, (Unit, f64)> = BTreeMap::new();
        let mut known = HashSet::new();
        let is_ours = |pid: &u32| *pid != std::process::id() && family.contains(pid);
        for (member, samples) in batch.readings().filter(|(member, _)| is_ours(&member.identity.pid)) {
            known.insert(member.identity);
            for sample in samples {
                let Area { name, unit } = &sample.area;
                if let Some(name) = AREAS.into_iter().find(|area| *area == &**name) {
                    sums.entry(name).or_insert((*unit, 0.0)).1 += sample.size;
                }
            }
        }
        // Whom it met just now was read in full at once, as a newcomer is; later it is one of the known.
        self.known = Arc::new(known);
        // A sample counts once there is a later one: the last may see a program that takes itself apart.
        for (name, unit, secs, size) in self.newest.drain(..) {
            courses.entry(name).or_insert_with(|| (unit, Course::default())).1.push(secs, size);
        }
        self.newest.extend(sums.into_iter().map(|(name, (unit, sum))| (name, unit, secs, sum)));
    }
}

/// What the report says to programs.
#[derive(Serialize)]
struct Document<'a> {
    command: Vec<String>,
    /// None where a signal ended it.
    exit_code: Option<i32>,
    seconds: f64,
    skipped_seconds: f64,
    areas: &'a [AreaGrowth],
}

/// How much an area grew, and whether it may.
#[derive(Clone, Debug, Serialize)]
struct AreaGrowth {
    area: &'static str,
    #[serde(rename = "unit", serialize_with = "unit")]
    bytes: bool,
    #[serde(flatten)]
    growth: Growth,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_growth: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exceeded: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn unit<S: serde::Serializer>(bytes: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *bytes { "bytes" } else { "objects" })
}

impl AreaGrowth {
    fn amount(&self, value: f64) -> String {
        Amount { value, bytes: self.bytes }.to_string()
    }

    fn grew_by(&self) -> String {
        Change { value: self.growth.amount(), bytes: self.bytes }.to_string()
    }

    /// That it grew by more than it may, and by how much.
    fn said(&self) -> String {
        let most = self.max_growth.unwrap_or_default();
        let (from, to) = (self.amount(self.growth.begin), self.amount(self.growth.end));
        format!(
            "{} grew by {}, from {from} to {to}; --max-growth allows {}",
            self.area,
            self.grew_by().trim_start_matches('+'),
            self.amount(most)
        )
    }
}

fn report(document: &Document<'_>) -> Report {
    let row = |growth: &AreaGrowth| {
        let tone = if growth.exceeded == Some(true) { Tone::Bad } else { Tone::Plain };
        let cells = vec![
            growth.area.into(),
            growth.amount(growth.growth.begin).into(),
            growth.amount(growth.growth.end).into(),
            Cell::new(growth.grew_by(), tone),
            growth.amount(growth.growth.peak).into(),
            growth.max_growth.map_or_else(|| String::from("–"), |most| growth.amount(most)).into(),
        ];
        Row { cells, notes: Vec::new() }
    };
    let ended = match document.exit_code {
        Some(code) => format!("exit code {code}"),
        None => String::from("ended by a signal"),
    };
    let name = document.command.first().map_or("", String::as_str);
    let ran = format!("{name} ran for {}, {ended}", Span(document.seconds));
    let Some(samples) = document.areas.first().map(|area| area.growth.samples) else {
        let remark =
            Cell::new(format!("{ran}. It was not sampled twice: there is nothing to compare."), Tone::Quiet);
        return Report { title: document.command.join(" "), remarks: vec![remark], ..Report::default() };
    };
    let remark = format!(
        "{ran}; {}. Begin and end are the lowest of the first and the last tenth of them.",
        Plural { count: samples, thing: "sample" },
    );
    Report {
        title: format!("What grew in {}", document.command.join(" ")),
        columns: vec![
            Column::words("Area"),
            Column::number("Begin"),
            Column::number("End"),
            Column::number("Grew by"),
            Column::number("Peak"),
            Column::number("May grow by"),
        ],
        rows: document.areas.iter().map(row).collect(),
        remarks: vec![Cell::new(remark, Tone::Quiet)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_may_grow_is_read() {
        for (text, area, growth) in [("50MB", "anon", 5e7), ("fds=20", "fds", 20.0), ("rss=0", "rss", 0.0)] {
            assert_eq!(most(text).unwrap(), Most { area, growth }, "{text}");
        }
        for (text, message) in
            [("heap=5", "it names no area; write one of anon"), ("5M", "write MB (of 1000)")]
        {
            let error = most(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
