//! `watch PID|NAME`: one program's memory, live on a terminal, without any server.
//!
//! It runs the exporter's own ticks for this one program and shows each result: on a terminal as a view that is drawn
//! anew, elsewhere as a line for each look.

mod screen;
mod view;

use super::{
    Failure, look,
    output::{Format, Output, Report, Row, print},
};
use crate::{
    collect::{attribution, paths::Paths, process},
    config::{Config, Rule, duration},
    run::{clock, local::Local, logging},
    sample::Seconds,
    snapshot::{Snapshot, TargetView},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use regex::Regex;
use screen::{Key, Screen};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use view::Model;

/// So long a key or a signal may wait at most.
const REACTION: Duration = Duration::from_millis(50);
/// Swap, descriptors and threads are read so often, and at each look once there is a suspicion.
const FULL_INTERVAL: Duration = Duration::from_secs(5);
/// A program that is not there at the first looks is not there.
const LOOKS_TO_FIND_IT: u64 = 3;

/// Flags of `watch`.
#[derive(Debug, Args)]
pub(super) struct WatchArguments {
    /// The process id, or (a part of) the name of a target: of a unit, a container, a script or an executable.
    #[arg(value_name = "PID|NAME")]
    what: String,
    /// The time between two samples. Below 1s is fast motion: each sample counts as 3 s, for what leaks fast.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// End after this time.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::argument)]
    lasts: Option<Duration>,
    /// What to write: table is the live view, or a line for each look where the output is no terminal; jsonl is one
    /// object for each area and look; the others tell the last look, and need --for.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Where procfs is mounted.
    #[arg(long = "path.procfs", value_name = "DIR")]
    procfs: Option<PathBuf>,
}

/// Reads the interval: from 10 ms to an hour.
fn interval(text: &str) -> anyhow::Result<Duration> {
    let interval = duration::argument(text)?;
    anyhow::ensure!(
        (Duration::from_millis(10)..=Duration::from_secs(3600)).contains(&interval),
        "it is out of range; write 10ms to 1h"
    );
    Ok(interval)
}

/// How it ends.
enum End {
    /// As it was asked to.
    Asked,
    /// The program was never there.
    NeverThere,
}

impl WatchArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        if !matches!(self.format, Format::Table | Format::Jsonl) && self.lasts.is_none() {
            return Err(Failure::Usage(anyhow!(
                "this --format tells the last look; say with --for when it is"
            )));
        }
        let is_live = self.format == Format::Table && io::stdout().is_terminal();
        if !is_live {
            logging::start(logging::Level::Error, logging::Format::Logfmt).map_err(Failure::Other)?;
        }
        let mut model = Model::new(&self.what, self.interval);
        match self.follow(&mut model, is_live).map_err(Failure::Other)? {
            End::Asked => self.conclude(&model),
            End::NeverThere => Err(Failure::Other(anyhow!(
                "{}: no such process; write a process id, or a part of the name of a target",
                self.what
            ))),
        }
    }

    fn follow(&self, model: &mut Model, is_live: bool) -> anyhow::Result<End> {
        let told_to_end = signals()?;
        let paths = Paths::below("/".as_ref(), self.procfs.clone(), None);
        let local = Local::start(&self.config()?, paths, &[process::NAME, attribution::NAME])?;
        let mut screen =
            if is_live { Some(Screen::open().context("cannot draw on the terminal")?) } else { None };
        let began = clock::instant();
        loop {
            let lasted = clock::instant().saturating_duration_since(began);
            if told_to_end.load(Ordering::Relaxed) || self.lasts.is_some_and(|lasts| lasted >= lasts) {
                return Ok(End::Asked);
            }
            let key = screen.as_mut().map_or(Ok(Key::None), |screen| screen.key())?;
            if key == Key::Quit {
                return Ok(End::Asked);
            }
            let snapshot = local.next(REACTION)?;
            if let Some(snapshot) = &snapshot {
                model.take_in(snapshot);
                if !model.was_there() && snapshot.tick >= LOOKS_TO_FIND_IT {
                    return Ok(End::NeverThere);
                }
            }
            match &mut screen {
                Some(screen) if snapshot.is_some() || key == Key::Resized => screen.draw(model)?,
                Some(_) => {}
                None => {
                    if let Some(snapshot) = &snapshot
                        && !self.tell(model, snapshot)?
                    {
                        return Ok(End::Asked);
                    }
                }
            }
        }
    }

    /// Writes a look on what is no terminal; says whether anybody reads on, and whether there is anything to read.
    fn tell(&self, model: &Model, snapshot: &Snapshot) -> anyhow::Result<bool> {
        // Not there yet, or gone.
        let Some(target) = model.target(snapshot) else { return Ok(!model.was_there()) };
        let mut text = String::new();
        match self.format {
            Format::Table => text = line(target, snapshot.taken_at),
            Format::Jsonl => {
                for line in look::lines(target, snapshot.taken_at) {
                    text += &serde_json::to_string(&line)?;
                    text.push('\n');
                }
            }
            Format::Json | Format::Markdown | Format::Html => {}
        }
        match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error).context("the output cannot be written"),
            Ok(()) => Ok(!target.areas.is_empty()),
        }
    }

    /// Tells the last look at the program, which may have ended by now, where that was asked for.
    fn conclude(&self, model: &Model) -> Result<(), Failure> {
        let is_told = matches!(self.format, Format::Table | Format::Jsonl);
        let Some((last, target)) = model.last_alive().filter(|_| !is_told) else { return Ok(()) };
        let row = |area| Row {
            cells: look::cells(area).to_vec(),
            notes: look::finding(area).map(|finding| finding.evidence.to_string()).into_iter().collect(),
        };
        let report = Report {
            title: target.target.name.to_string(),
            columns: look::COLUMNS.to_vec(),
            rows: target.areas.iter().map(row).collect(),
            remarks: Vec::new(),
        };
        let lines: Vec<look::Line> = look::lines(target, last.taken_at).collect();
        print(|mut out| Output::new(self.format).write(&mut out, &report, &lines, &lines))
    }

    /// Only what was asked for, with all its areas judged that are worth it.
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::default();
        config.sampling.interval = self.interval;
        // Not oftener: it is also when those who are left out are looked at again.
        config.sampling.full_interval = self.interval.max(FULL_INTERVAL);
        config.attribution.interval = self.interval.max(Duration::from_secs(10));
        let processes = &mut config.processes;
        processes.judge = ["anon", "fds", "threads"].map(Arc::from).to_vec();
        if self.what.bytes().all(|byte| byte.is_ascii_digit()) {
            let name = String::from("{executable} (pid {pid})");
            let every = Some(Regex::new("^.*$")?);
            let rule = Rule { name, executable: every, command_line: None, unit: None, container: None };
            processes.rules = vec![rule];
            processes.include = vec![Regex::new(&format!(r"^.* \(pid {}\)$", self.what))?];
        } else {
            processes.include = vec![Regex::new(&format!("^.*{}.*$", regex::escape(&self.what)))?];
        }
        Ok(config)
    }
}

/// One look in one line: when, and what matters most.
fn line(target: &TargetView, at: Seconds) -> String {
    let when = crate::text::Moment::of(at).map_or_else(String::new, |moment| moment.to_string());
    let name = super::output::harmless(&target.target.name);
    match look::worst(target) {
        Some(area) => format!("{when}  {name}: {}\n", look::sentence(area)),
        None => format!("{when}  {name}: has ended\n"),
    }
}

/// Becomes true when the program is told to end.
fn signals() -> anyhow::Result<Arc<AtomicBool>> {
    let told_to_end = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&told_to_end)).context("cannot listen for signals")?;
    }
    Ok(told_to_end)
}
