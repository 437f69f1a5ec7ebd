//! `analyze`: the exporter's verdicts on series that were recorded before.
//!
//! It puts the samples of files, or of a range of Prometheus, before the very judges of the exporter and says what the
//! exporter would have said, and when. What is kept is a summary of each series; several are judged at once.

mod course;
mod csv;
mod html;
mod input;
mod json;
mod jsonl;
mod labels;
mod lines;
mod markdown;
mod onset;
mod parallel;
mod picture;
mod plot;
mod prometheus;
mod recording;
mod summary;
mod svg;
mod table;
mod words;

use super::{Failure, access::AccessArguments};
use crate::{
    config::{Sampling, size},
    sample::{Area, Seconds, Unit},
};
use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use course::{Audience, Course, Series, Standing};
use csv::Point;
use labels::{Label, Labels};
use lines::ReadError;
use parallel::{Intake, Pipe, Said, judge_all};
use prometheus::RangeArguments;
use recording::Recording;
use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    sync::Arc,
};
use summary::Summary;

/// So many samples tell the interval.
const SAMPLES_FOR_INTERVAL: usize = 64;

/// Flags of `analyze`.
#[derive(Debug, Args)]
pub(super) struct AnalyzeArguments {
    /// Series as CSV with a line `t_seconds,bytes` for each sample, plain numbers, with a header or without; `-` is the
    /// standard input. A column called `objects` counts things instead. Several series in one file have a header
    /// `series,t_seconds,bytes`, or are JSON lines such as {"series":"web","t":30,"bytes":1048576}.
    #[arg(value_name = "FILE", conflicts_with = "prometheus")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    prometheus: RangeArguments,
    #[command(flatten)]
    access: AccessArguments,
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
    Svg,
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
        let written = match &self.prometheus.url {
            None => self.write(&labels, &mut out, |intake| input::find(&self.files, intake)),
            Some(url) => {
                let found = self.prometheus.ask(url, &self.access).map_err(Failure::Other)?;
                self.write(&labels, &mut out, |intake| found.hand_over(intake))
            }
        };
        match written.and_then(|mistakes| out.flush().map(|()| mistakes)) {
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
        if self.files.is_empty() && self.prometheus.url.is_none() {
            return Err(anyhow!(
                "nothing to analyze: name files with series (`-` is the standard input), or ask a Prometheus with \
                 --prometheus URL --query QUERY --range 7d"
            ));
        }
        if self.every_look && self.format != Format::Jsonl {
            return Err(anyhow!("--every-look needs --format jsonl"));
        }
        if self.files.iter().filter(|file| input::is_stdin(file)).count() > 1 {
            return Err(anyhow!("`-` is there twice, but the standard input can be read only once"));
        }
        if self.prometheus.url.is_none() && self.access.is_set() {
            return Err(anyhow!("credentials and certificates are for --prometheus, which is not there"));
        }
        if self.prometheus.url.is_none() && self.prometheus.is_set() {
            return Err(anyhow!("a query and its end are for --prometheus, which is not there"));
        }
        Ok(())
    }

    fn read_labels(&self) -> Result<Labels, ReadError> {
        let Some(path) = &self.labels else { return Ok(Labels::default()) };
        Labels::read(&path.display().to_string(), input::open(path)?)
    }

    /// Goes through all series. One that cannot be used is a mistake for the end and stops no other.
    fn write(
        &self,
        labels: &Labels,
        out: &mut impl Write,
        find: impl FnOnce(&mut Intake) + Send,
    ) -> io::Result<Vec<String>> {
        let mut mistakes = Vec::new();
        let mut summaries = Vec::new();
        let judge = |recording, pipe: &mut Pipe<'_>| self.judge(recording, labels, pipe);
        judge_all(find, judge, |said| {
            match said {
                Said::Piece(piece) => out.write_all(&piece)?,
                Said::End(end) => match *end {
                    Ok(summary) if self.format != Format::Jsonl => summaries.push(summary),
                    Ok(_told_already) => {}
                    Err(error) => mistakes.push(format!("{:#}", anyhow::Error::new(error))),
                },
            }
            Ok(())
        })?;
        match self.format {
            Format::Table => table::write(out, &summaries)?,
            Format::Json => json::write(out, &summaries)?,
            Format::Jsonl => {}
            Format::Markdown => markdown::write(out, &summaries)?,
            Format::Html => html::write(out, &summaries)?,
            Format::Svg => svg::write(out, &summaries)?,
        }
        Ok(mistakes)
    }

    /// Judges one series: what is wrong with its samples is within, and what is wrong with the output without.
    fn judge(
        &self,
        mut recording: Recording,
        labels: &Labels,
        pipe: &mut Pipe<'_>,
    ) -> io::Result<Result<Summary, ReadError>> {
        let mut ahead = Vec::with_capacity(SAMPLES_FOR_INTERVAL);
        while ahead.len() < SAMPLES_FOR_INTERVAL {
            match recording.samples.next() {
                Ok(Some(point)) => ahead.push(point),
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        let label = labels.of(&recording.label);
        let series = self.series(&recording, label, &ahead);
        // What has no first sample is told as wrong before it comes here.
        let from = ahead.first().map_or(0.0, |point| point.at);
        let is_pictured = matches!(self.format, Format::Html | Format::Svg);
        let summary = Summary::new(series.clone(), from, is_pictured);
        let lines = (self.format == Format::Jsonl).then(|| jsonl::Lines::new(pipe, &series, self.every_look));
        let mut listeners = Listeners { summary, lines };
        let mut course = Course::new(&series, from);
        for point in ahead {
            listeners.take_in(&mut course, point)?;
        }
        loop {
            match recording.samples.next() {
                Ok(Some(point)) => listeners.take_in(&mut course, point)?,
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        course.end(&mut listeners)?;
        Ok(Ok(listeners.summary))
    }

    /// What is known of a series: labels before its source, its source before flags, flags before what it shows itself.
    fn series(&self, recording: &Recording, label: Option<&Label>, ahead: &[Point]) -> Series {
        let told = &recording.told;
        let unit = match self.unit {
            Some(UnitName::Objects) => Unit::Objects,
            Some(UnitName::Bytes) => Unit::Bytes,
            None => told.unit.unwrap_or(Unit::Bytes),
        };
        let restarts = label.and_then(Label::restarts).or(told.restarts.as_deref()).unwrap_or(&self.restarts);
        let mut restarts = restarts.to_vec();
        restarts.sort_by(f64::total_cmp);
        let interval_secs = self.interval.or(told.interval_secs);
        Series {
            name: Arc::clone(&recording.name),
            area: Area::new(&self.area, unit),
            limit: label.and_then(|label| label.limit(unit)).or(told.limit).or(self.limit),
            restarts,
            started_at: self.started,
            interval_secs: interval_secs.unwrap_or_else(|| usual_interval_secs(ahead)),
        }
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
}
