//! `demo`: a few small programs of its own, two of which leak, watched in fast motion, so that a newcomer sees verdicts
//! within a minute.
//!
//! Only time is played fast: collectors, detector, model and page are those of the exporter, and what is watched are
//! real processes. An interval of [`INTERVAL`] counts as three seconds, as any below a second does.

mod program;

pub(super) use program::ProgramArguments;

use super::{
    Failure,
    look::{self, COLUMNS},
    output::{Format, Output, Report, Row, print, terminal::Paint},
};
use crate::{
    act::spawn::{Beside, Shares},
    collect::{attribution, paths::Paths, process},
    config::{Config, Rule, duration},
    http::ListenOptions,
    run::{self, News, Options, logging},
    sample::Seconds,
    snapshot::{Snapshot, TargetView},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use program::{Behaviour, READY};
use regex::Regex;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, IsTerminal as _, Write},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};
use tokio::sync::oneshot;

/// The time between two samples; it counts as three seconds.
const INTERVAL: Duration = Duration::from_millis(50);
/// The names of its targets begin with this.
const FAMILY: &str = "demo: ";
/// How often the table on a terminal is drawn anew.
const REDRAW: Duration = Duration::from_millis(500);

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// End after this time; Ctrl-C ends it too.
    #[arg(long = "for", value_name = "DURATION", default_value = "5m", value_parser = duration::argument)]
    lasts: Duration,
    /// Where to serve its page; by default on a free port of this machine alone.
    #[arg(long = "web.listen-address", value_name = "[HOST]:PORT", default_value = "127.0.0.1:0")]
    listen_address: String,
    /// How to write the result at the end.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl DemoArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        let listen =
            ListenOptions { addresses: vec![self.listen_address.clone()], ..ListenOptions::default() };
        listen.check().map_err(Failure::Usage)?;
        // What it finds is told in its own words; a log between them would tell it twice.
        logging::start(logging::Level::Error, logging::Format::Logfmt).map_err(Failure::Other)?;
        let last = self.watch(listen).map_err(Failure::Other)?;
        let Some(last) = last else {
            return Err(Failure::Other(anyhow!("it ended before the first sample")));
        };
        self.conclude(&last)
    }

    /// Starts the programs and the exporter; gives how it stood at the end.
    fn watch(&self, listen: ListenOptions) -> anyhow::Result<Option<Arc<Snapshot>>> {
        let options = Options {
            config_file: None,
            web_file: None,
            listen,
            paths: Paths::below("/".as_ref(), None, None),
            storage_path: None,
            collectors: vec![process::NAME, attribution::NAME],
            audience: None,
        };
        // They end with the thread that starts them: this one, which lasts as long as the demonstration.
        let _programs = start_programs()?;
        let (audience, news) = mpsc::sync_channel(4);
        let (ending, end) = oneshot::channel::<()>();
        let mut stage = Stage::new(self.lasts, self.format);
        let showing = thread::Builder::new()
            .name(String::from("stage"))
            .spawn(move || {
                let _ends_the_exporter_when_dropped = ending;
                stage.play(&news);
                stage.last
            })
            .context("cannot start a thread")?;
        let options = Options { audience: Some(audience), ..options };
        run::run_until(options, config()?, async {
            let _dropped = end.await;
        })?;
        showing.join().map_err(|_told_by_the_panic| anyhow!("it ended unexpectedly; please report this"))
    }

    fn conclude(&self, last: &Snapshot) -> Result<(), Failure> {
        let report = report(last);
        let lines: Vec<look::Line> =
            ours(last).flat_map(|target| look::lines(target, last.taken_at)).collect();
        print(|mut out| Output::new(self.format).write(&mut out, &report, &lines, &lines))
    }
}

fn start_programs() -> anyhow::Result<Vec<Beside>> {
    let own = std::env::current_exe().context("cannot find its own program")?;
    let pid = std::process::id().to_string();
    let start = |(_, name): (Behaviour, &str)| {
        let arguments = ["demo-program", name, "--of", &pid].map(OsString::from);
        let command: Vec<OsString> = [own.clone().into_os_string()].into_iter().chain(arguments).collect();
        Beside::start(&command, Shares::Errors).with_context(|| format!("cannot start {}", own.display()))
    };
    let mut programs = Behaviour::ALL.into_iter().map(start).collect::<anyhow::Result<Vec<_>>>()?;
    // Only then are they watched: the first sample of one that still starts would show a jump, of which nobody knows at
    // first whether it was the start or a cache. Chance would say how soon the leak is confirmed.
    for program in &mut programs {
        let line = program.line().context("cannot hear a program of the demonstration")?;
        anyhow::ensure!(line == READY, "a program of the demonstration ended before it was ready");
    }
    Ok(programs)
}

/// Only its own programs, by their command lines, in fast motion.
fn config() -> anyhow::Result<Config> {
    let pid = std::process::id();
    let mut config = Config::default();
    config.sampling.interval = INTERVAL;
    // Not oftener: it is also when those who are left out are looked at again.
    config.sampling.full_interval = INTERVAL * 10;
    config.attribution.interval = INTERVAL * 40;
    config.processes.rules = vec![Rule {
        name: format!("{FAMILY}{{behaviour}}"),
        executable: None,
        command_line: Some(Regex::new(&format!("demo-program (?<behaviour>[a-z-]+) --of {pid}$"))?),
        unit: None,
        container: None,
    }];
    config.processes.include = vec![Regex::new(&format!("^{FAMILY}.*$"))?];
    config.processes.judge = vec!["anon".into(), "fds".into()];
    Ok(config)
}

/// The targets of the demonstration, those that leak first.
fn ours(snapshot: &Snapshot) -> impl Iterator<Item = &TargetView> {
    let by_name = |(_, name): (Behaviour, &str)| {
        let name = format!("{FAMILY}{name}");
        snapshot.targets.iter().find(move |target| *target.target.name == *name)
    };
    Behaviour::ALL.into_iter().filter_map(by_name)
}

fn report(snapshot: &Snapshot) -> Report {
    let rows = ours(snapshot).filter_map(|target| {
        let name = target.target.name.strip_prefix(FAMILY).unwrap_or(&target.target.name);
        let (behaviour, _) = Behaviour::ALL.into_iter().find(|(_, known)| *known == name)?;
        let area = look::worst(target)?;
        let cells = [name.into()].into_iter().chain(look::cells(area)).collect();
        Some(Row { cells, notes: vec![behaviour.words().to_owned()] })
    });
    Report {
        title: String::from("What the demonstration found"),
        columns: [look::PROGRAM].into_iter().chain(COLUMNS).collect(),
        rows: rows.collect(),
        remarks: Vec::new(),
    }
}

/// What people see while it runs: a table that is drawn over itself, or on no terminal a line for each change.
struct Stage {
    lasts: Duration,
    is_terminal: bool,
    /// Who reads the result by a program wants nothing beside it.
    is_silent: bool,
    began_at: Option<Seconds>,
    /// Lines of the table that stands on the terminal.
    drawn: usize,
    told: BTreeMap<String, String>,
    last: Option<Arc<Snapshot>>,
}

impl Stage {
    fn new(lasts: Duration, format: Format) -> Self {
        Self {
            lasts,
            is_terminal: io::stdout().is_terminal(),
            is_silent: format != Format::Table,
            began_at: None,
            drawn: 0,
            told: BTreeMap::new(),
            last: None,
        }
    }

    /// Shows what comes until it is over.
    fn play(&mut self, news: &Receiver<News>) {
        let began = run::clock::instant();
        let mut shown = began;
        loop {
            let now = run::clock::instant();
            if now.saturating_duration_since(began) >= self.lasts {
                break;
            }
            match news.recv_timeout(REDRAW) {
                Ok(News::Listening(addresses)) => {
                    self.say(&introduction(addresses.first().map(ToString::to_string), self.lasts));
                }
                Ok(News::Snapshot(snapshot)) => {
                    self.began_at.get_or_insert(snapshot.taken_at);
                    self.last = Some(snapshot);
                    if now.saturating_duration_since(shown) >= REDRAW {
                        shown = now;
                        self.show();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.clear();
    }

    fn say(&self, text: &str) {
        if !self.is_silent {
            let _nobody_reads_any_more = writeln!(io::stdout(), "{text}");
        }
    }

    fn show(&mut self) {
        let Some(snapshot) = self.last.clone() else { return };
        let secs = snapshot.taken_at - self.began_at.unwrap_or(snapshot.taken_at);
        if self.is_silent {
            return;
        }
        if self.is_terminal { self.draw(&snapshot) } else { self.tell(&snapshot, secs) }
    }

    /// Draws the table over the last one.
    fn draw(&mut self, snapshot: &Snapshot) {
        let mut table = Vec::new();
        let output = Output { format: Format::Table, paint: Paint::of_stdout() };
        if output.write(&mut table, &report(snapshot), &(), &[(); 0]).is_err() {
            return;
        }
        self.clear();
        self.drawn = table.iter().filter(|byte| **byte == b'\n').count();
        let _nobody_reads_any_more = io::stdout().write_all(&table);
    }

    fn clear(&mut self) {
        if self.drawn > 0 {
            let _nobody_reads_any_more = write!(io::stdout(), "\u{1b}[{}A\u{1b}[J", self.drawn);
            self.drawn = 0;
        }
    }

    /// Tells of each target whose verdict has changed.
    fn tell(&mut self, snapshot: &Snapshot, secs: Seconds) {
        for target in ours(snapshot) {
            let Some(area) = look::worst(target) else { continue };
            let name = target.target.name.to_string();
            let verdict = look::word(area).to_owned();
            if self.told.get(&name) != Some(&verdict) {
                self.say(&format!("{secs:5.0} s  {name}: {}", look::sentence(area)));
                self.told.insert(name, verdict);
            }
        }
    }
}

/// What is about to happen, and what is not as it usually is.
fn introduction(address: Option<String>, lasts: Duration) -> String {
    let page = address.map_or_else(String::new, |address| {
        format!("\nIts page, for this machine alone: http://{address}/\n")
    });
    format!(
        "Five small programs were started; one of them leaks memory and one descriptors.\n\n\
         This is fast motion: memory is sampled every {} ms, and each sample counts as 3 s, so that a minute here is an\n\
         hour of an exporter. Usually samples come every 3 s, a first verdict takes some minutes and a confirmation\n\
         twenty. Collectors, detector, model and page are those of the exporter, and the processes are real.\n{page}\n\
         It ends after {}, or with Ctrl-C, and the programs with it.\n",
        INTERVAL.as_millis(),
        crate::detect::words::Span(lasts.as_secs_f64()),
    )
}
