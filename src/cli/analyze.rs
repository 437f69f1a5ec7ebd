//! `analyze`: the exporter's verdicts on series that were recorded before.
//!
//! It puts the samples of CSV files before the very judges of the exporter and says what the exporter would have said,
//! and when. Samples are read one at a time; what is kept is a summary of each series.

mod course;
mod csv;
mod html;
mod json;
mod jsonl;
mod labels;
mod lines;
mod markdown;
mod picture;
mod summary;
mod table;
mod words;

use super::Failure;
use crate::{
    config::{Sampling, size},
    sample::{Area, Seconds, Unit},
};
use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use course::{Audience, Course, Series, Standing};
use csv::{Point, Reader};
use labels::{Label, Labels};
use lines::ReadError;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use summary::Summary;

/// So many samples tell the interval.
const SAMPLES_FOR_INTERVAL: usize = 64;
/// The name of a series that comes from the standard input.
const STDIN_NAME: &str = "stdin";

/// Flags of `analyze`.
#[derive(Debug, Args)]
pub(super) struct AnalyzeArguments {
    /// Series as CSV with a line `t_seconds,bytes` for each sample, plain numbers, with a header or without; `-` is the
    /// standard input. A second column called `objects` counts things instead.
    #[arg(value_name = "FILE.csv", required = true)]
    files: Vec<PathBuf>,
    /// What to write. jsonl writes while it reads: each change of state, each full hour, the end.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// JSON lines with `name` (of a file without its ending) and, if known, `limit_bytes` or `limit_objects`, and
    /// `restarts_s`; they go before the flags. Other keys are passed over.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The limit on the size: bytes (or objects), or with a unit as in 512MiB or 2GB.
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| size::parse(text).map_err(|error| anyhow!("it {error}")))]
    limit: Option<f64>,
    /// When the process was started anew, in the seconds of the series.
    #[arg(long, value_name = "T,T,…", value_delimiter = ',', value_parser = time, allow_negative_numbers = true)]
    restarts: Vec<Seconds>,
    /// When the process of the first sample was started, in the seconds of the series; the first sample by default.
    #[arg(long, value_name = "SECS", value_parser = time, allow_negative_numbers = true)]
    started: Option<Seconds>,
    /// Whether sizes are bytes or objects; by default as the header says, else bytes.
    #[arg(long, value_enum)]
    unit: Option<UnitName>,
    /// Seconds between two samples; by default the median distance of the first 64.
    #[arg(long, value_name = "SECS", value_parser = interval)]
    interval: Option<f64>,
    /// What the series is the size of.
    #[arg(long, value_name = "NAME", default_value = "anon")]
    area: String,
    /// With jsonl: a short line at every look as well, with how long a change of mind must last.
    #[arg(long)]
    every_look: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Jsonl,
    Markdown,
    Html,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnitName {
    Bytes,
    Objects,
}

impl AnalyzeArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.check().map_err(Failure::Usage)?;
        let labels = self.read_labels().map_err(|error| Failure::Other(error.into()))?;
        let mut out = BufWriter::new(io::stdout().lock());
        match self.write(&labels, &mut out).and_then(|mistakes| out.flush().map(|()| mistakes)) {
            // Who listened has heard enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                Err(Failure::Other(anyhow::Error::new(error).context("the output cannot be written")))
            }
            Ok(mistakes) if mistakes.is_empty() => Ok(()),
            Ok(mistakes) => Err(Failure::Other(anyhow!("{}", mistakes.join("\nmemleak_exporter: ")))),
        }
    }

    /// Finds what the grammar of the flags does not show.
    fn check(&self) -> anyhow::Result<()> {
        if self.every_look && self.format != Format::Jsonl {
            return Err(anyhow!("--every-look needs --format jsonl"));
        }
        if self.files.iter().filter(|file| is_stdin(file)).count() > 1 {
            return Err(anyhow!("`-` is there twice, but the standard input can be read only once"));
        }
        Ok(())
    }

    fn read_labels(&self) -> Result<Labels, ReadError> {
        let Some(path) = &self.labels else { return Ok(Labels::default()) };
        Labels::read(&path.display().to_string(), open(path)?)
    }

    /// Goes through all files. One that cannot be used is a mistake for the end and stops no other.
    fn write(&self, labels: &Labels, out: &mut impl Write) -> io::Result<Vec<String>> {
        let mut mistakes = Vec::new();
        let mut summaries = Vec::new();
        for (path, name) in self.files.iter().zip(names(&self.files)) {
            match self.follow(path, name, labels, out) {
                Ok(summary) if self.format != Format::Jsonl => summaries.push(summary),
                Ok(_told_already) => {}
                Err(Trouble::Input(error)) => mistakes.push(format!("{:#}", anyhow::Error::new(error))),
                Err(Trouble::Output(error)) => return Err(error),
            }
        }
        match self.format {
            Format::Table => table::write(out, &summaries)?,
            Format::Json => json::write(out, &summaries)?,
            Format::Jsonl => {}
            Format::Markdown => markdown::write(out, &summaries)?,
            Format::Html => html::write(out, &summaries)?,
        }
        Ok(mistakes)
    }

    /// Reads and judges one series.
    fn follow(
        &self,
        path: &Path,
        name: Arc<str>,
        labels: &Labels,
        out: &mut impl Write,
    ) -> Result<Summary, Trouble> {
        let file = if is_stdin(path) { STDIN_NAME.to_owned() } else { path.display().to_string() };
        let mut reader = Reader::open(&file, open(path)?)?;
        let mut ahead = Vec::with_capacity(SAMPLES_FOR_INTERVAL);
        while ahead.len() < SAMPLES_FOR_INTERVAL
            && let Some(point) = reader.next()?
        {
            ahead.push(point);
        }
        let label = labels.of(&stem(path));
        let series = self.series(name, label, reader.column(), &ahead);
        // A reader that has no first sample has said so.
        let from = ahead.first().map_or(0.0, |point| point.at);
        let summary = Summary::new(series.clone(), from, self.format == Format::Html);
        let lines = (self.format == Format::Jsonl).then(|| jsonl::Lines::new(out, &series, self.every_look));
        let mut listeners = Listeners { summary, lines };
        let mut course = Course::new(&series, from);
        for point in ahead {
            listeners.take_in(&mut course, point)?;
        }
        while let Some(point) = reader.next()? {
            listeners.take_in(&mut course, point)?;
        }
        course.end(&mut listeners)?;
        Ok(listeners.summary)
    }

    /// What is known of a series: labels before flags, flags before what the file itself shows.
    fn series(&self, name: Arc<str>, label: Option<&Label>, column: Option<&str>, ahead: &[Point]) -> Series {
        let unit = match self.unit {
            Some(UnitName::Objects) => Unit::Objects,
            None if column == Some("objects") => Unit::Objects,
            Some(UnitName::Bytes) | None => Unit::Bytes,
        };
        let restarts = label.and_then(Label::restarts).unwrap_or(&self.restarts);
        let mut restarts = restarts.to_vec();
        restarts.sort_by(f64::total_cmp);
        Series {
            name,
            area: Area::new(&self.area, unit),
            limit: label.and_then(|label| label.limit(unit)).or(self.limit),
            restarts,
            started_at: self.started,
            interval_secs: self.interval.unwrap_or_else(|| usual_interval_secs(ahead)),
        }
    }
}

/// What goes wrong with one series: its file, or our output.
enum Trouble {
    Input(ReadError),
    Output(io::Error),
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        Self::Input(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Who hears of a series.
struct Listeners<'a, W> {
    summary: Summary,
    lines: Option<jsonl::Lines<'a, W>>,
}

impl<W: Write> Listeners<'_, W> {
    fn take_in(&mut self, course: &mut Course<'_>, point: Point) -> io::Result<()> {
        course.take_in(point, self)?;
        self.summary.take_in(point);
        Ok(())
    }
}

impl<W: Write> Audience for Listeners<'_, W> {
    fn hear(&mut self, standing: &Standing<'_>) -> io::Result<()> {
        self.summary.hear(standing)?;
        self.lines.as_mut().map_or(Ok(()), |lines| lines.hear(standing))
    }
}

/// The usual distance of samples: their median. One sample has none, and none matters to it.
fn usual_interval_secs(points: &[Point]) -> f64 {
    let mut distances: Vec<f64> =
        points.iter().zip(points.iter().skip(1)).map(|(one, next)| next.at - one.at).collect();
    let middle = distances.len() / 2;
    if distances.is_empty() {
        return Sampling::default().interval.as_secs_f64();
    }
    *distances.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, ReadError> {
    if is_stdin(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path)
        .map_err(|source| ReadError::Io { file: path.display().to_string().into(), source })?;
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

/// A file's name without its ending.
fn stem(path: &Path) -> String {
    if is_stdin(path) {
        return STDIN_NAME.to_owned();
    }
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What the series are called: by the stems of their files, or by whole paths where several have the same stem.
fn names(files: &[PathBuf]) -> Vec<Arc<str>> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for file in files {
        *counts.entry(stem(file)).or_default() += 1;
    }
    let name = |file: &PathBuf| {
        let stem = stem(file);
        if counts.get(&stem).is_some_and(|count| *count > 1) {
            file.display().to_string().into()
        } else {
            stem.into()
        }
    };
    files.iter().map(name).collect()
}

/// Reads a time of the series.
fn time(text: &str) -> anyhow::Result<Seconds> {
    let time: Option<Seconds> = text.trim().parse().ok().filter(|time: &Seconds| time.is_finite());
    time.context("it is no time; write seconds of the series, such as 3600")
}

/// Reads the distance of two samples.
fn interval(text: &str) -> anyhow::Result<f64> {
    let interval = time(text).ok().filter(|interval| *interval > 0.0);
    interval.context("it is no interval; write seconds above 0, such as 30")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_median_distance() {
        for (times, expected) in
            [(&[0.0, 10.0, 20.0, 500.0, 510.0, 521.0][..], 10.0f64), (&[7.0], 3.0), (&[1.0, 1.5], 0.5)]
        {
            let points: Vec<Point> = times.iter().map(|at| Point { at: *at, size: 1.0 }).collect();
            assert_eq!(usual_interval_secs(&points).to_bits(), expected.to_bits(), "{times:?}");
        }
    }

    #[test]
    fn series_are_called_by_their_files_and_never_two_alike() {
        let names = names(&["a/x.csv", "b/x.csv", "b/y.csv", "-"].map(PathBuf::from));
        assert_eq!(
            names.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["a/x.csv", "b/x.csv", "y", "stdin"]
        );
    }
}
