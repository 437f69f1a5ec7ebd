//! Files with series: CSV of one series, CSV of several, JSON lines. Which it is shows the first line.
//!
//! CSV of one series is read while it is judged, so that its length does not matter. Where lines say whose they are,
//! series come mixed: they are read in whole before the first is judged, in bounded memory.

use super::{
    csv::{self, Point, Reader, Wrong, checked, not_rising},
    lines::{Lines, ReadError, quoted},
    parallel::Intake,
    recording::{Recording, Samples, Told},
};
use crate::sample::{Seconds, Unit};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The name of a series that comes from the standard input.
const STDIN_NAME: &str = "stdin";
/// A line of JSON, or a header.
const MOST_LINE_BYTES: u64 = 64 * 1024;
/// Samples of a file with several series, which are held in memory: half a gigabyte.
const MOST_HELD: usize = 30_000_000;
/// Series of such a file.
const MOST_SERIES: usize = 100_000;
/// What a line of JSON should be.
const RECORD: &str = "an object such as {\"series\":\"web\",\"t\":30,\"bytes\":1048576}, one a line";

/// Finds the series of all files. What is wrong with one is found in its place and stops no other.
pub(super) fn find(files: &[PathBuf], intake: &mut Intake) {
    for (path, name) in files.iter().zip(names(files)) {
        let found = match read(path, &name) {
            Ok(recordings) => recordings.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        let is_alone = files.len() == 1;
        for recording in found {
            let recording = recording.map(|recording| within(recording, &name, is_alone));
            if !intake.take(recording) {
                return;
            }
        }
    }
}

/// A series of one file among others is called by both.
fn within(mut recording: Recording, file: &Arc<str>, is_alone: bool) -> Recording {
    if !is_alone && recording.name != *file {
        recording.name = format!("{file}/{}", recording.name).into();
    }
    recording
}

fn read(path: &Path, name: &Arc<str>) -> Result<Vec<Recording>, ReadError> {
    let file = if is_stdin(path) { STDIN_NAME.to_owned() } else { path.display().to_string() };
    let mut lines = Lines::new(&file, open(path)?, MOST_LINE_BYTES);
    let first = lines.next()?.unwrap_or_default();
    if first.trim_start().starts_with('{') {
        lines.again(MOST_LINE_BYTES);
        return Held::of_records(lines, name).map(Held::into_recordings);
    }
    if let Some(unit) = csv::long_header(first).map(csv::unit) {
        return Held::of_named(lines, unit).map(Held::into_recordings);
    }
    let reader = Reader::open(lines)?;
    Ok(vec![Recording {
        name: Arc::clone(name),
        label: stem(path).into(),
        told: Told { unit: reader.unit(), ..Told::default() },
        samples: Samples::File(Box::new(reader)),
    }])
}

/// Several series, read in whole, in the order of their first samples.
#[derive(Default)]
struct Held {
    index: HashMap<Arc<str>, usize>,
    series: Vec<HeldSeries>,
    /// Which one the last sample belongs to: the next one is mostly of the same.
    last: usize,
    samples: usize,
}

struct HeldSeries {
    name: Arc<str>,
    unit: Option<Unit>,
    points: Vec<Point>,
}

/// A line of JSON.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, alias = "name")]
    series: Option<Cow<'a, str>>,
    #[serde(alias = "t_seconds", alias = "time")]
    t: Seconds,
    bytes: Option<f64>,
    objects: Option<f64>,
}

impl Held {
    /// Reads CSV whose lines say whose they are.
    fn of_named(mut lines: Lines<impl BufRead>, unit: Option<Unit>) -> Result<Self, ReadError> {
        let mut held = Self::default();
        while let Some(line) = lines.next()? {
            if line.trim().is_empty() {
                continue;
            }
            let added = csv::long_line(line).and_then(|(name, point)| held.add(&name, unit, point));
            added.map_err(|(found, expected)| lines.wrong(found, expected))?;
        }
        held.unless_empty(&lines, "a name and two plain numbers, such as web,30,1048576")
    }

    /// Reads JSON lines; those that name no series are of the file's.
    fn of_records(mut lines: Lines<impl BufRead>, name: &str) -> Result<Self, ReadError> {
        let mut held = Self::default();
        while let Some(line) = lines.next()? {
            if line.trim().is_empty() {
                continue;
            }
            held.add_record(line, name).map_err(|(found, expected)| lines.wrong(found, expected))?;
        }
        held.unless_empty(&lines, RECORD)
    }

    fn add_record(&mut self, line: &str, name: &str) -> Result<(), Wrong> {
        let record: Record<'_> =
            serde_json::from_str(line).map_err(|error| (format!("{error} in {}", quoted(line)), RECORD))?;
        let (size, unit) = match (record.bytes, record.objects) {
            (Some(bytes), None) => (bytes, Unit::Bytes),
            (None, Some(objects)) => (objects, Unit::Objects),
            (None, None) => return Err((format!("neither bytes nor objects in {}", quoted(line)), RECORD)),
            (Some(_), Some(_)) => return Err((format!("bytes and objects in {}", quoted(line)), RECORD)),
        };
        let point = checked(Point { at: record.t, size })?;
        self.add(record.series.as_deref().unwrap_or(name), Some(unit), point)
    }

    fn add(&mut self, name: &str, unit: Option<Unit>, point: Point) -> Result<(), Wrong> {
        if self.samples == MOST_HELD {
            return Err((format!("more than {MOST_HELD} samples"), "fewer; write a file for each series"));
        }
        if self.series.get(self.last).is_none_or(|last| *last.name != *name) {
            self.last = self.position(name, unit)?;
        }
        let Some(series) = self.series.get_mut(self.last) else { return Ok(()) };
        if let Some(last) = series.points.last().filter(|last| point.at <= last.at) {
            let (found, expected) = not_rising(point.at, last.at);
            return Err((format!("{found} of {}", quoted(name)), expected));
        }
        if series.unit != unit {
            return Err((format!("another unit for {}", quoted(name)), "bytes or objects, not both"));
        }
        series.points.push(point);
        self.samples += 1;
        Ok(())
    }

    fn position(&mut self, name: &str, unit: Option<Unit>) -> Result<usize, Wrong> {
        if let Some(position) = self.index.get(name) {
            return Ok(*position);
        }
        if self.series.len() == MOST_SERIES {
            return Err((format!("more than {MOST_SERIES} series"), "fewer; split the file"));
        }
        let name: Arc<str> = name.into();
        self.index.insert(Arc::clone(&name), self.series.len());
        self.series.push(HeldSeries { name, unit, points: Vec::new() });
        Ok(self.series.len() - 1)
    }

    fn unless_empty(self, lines: &Lines<impl BufRead>, expected: &str) -> Result<Self, ReadError> {
        if self.series.is_empty() {
            return Err(lines.wrong_at(lines.number() + 1, "no sample at all", expected));
        }
        Ok(self)
    }

    fn into_recordings(self) -> Vec<Recording> {
        let recording = |HeldSeries { name, unit, points }| Recording {
            label: Arc::clone(&name),
            name,
            told: Told { unit, ..Told::default() },
            samples: Samples::Memory(points.into_iter()),
        };
        self.series.into_iter().map(recording).collect()
    }
}

/// Whether this is the standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens a file or the standard input.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, ReadError> {
    if is_stdin(path) {
        return Ok(Box::new(BufReader::new(io::stdin())));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_called_by_their_files_and_never_two_alike() {
        let names = names(&["a/x.csv", "b/x.csv", "b/y.csv", "-"].map(PathBuf::from));
        assert_eq!(
            names.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["a/x.csv", "b/x.csv", "y", "stdin"]
        );
    }

    /// Every series with its unit and its samples, or the first error.
    fn records(text: &str) -> Result<Vec<String>, String> {
        let lines = Lines::new("a.jsonl", text.as_bytes(), MOST_LINE_BYTES);
        let held = Held::of_records(lines, "file").map_err(|error| error.to_string())?;
        let told = |series: &HeldSeries| {
            let points: Vec<String> =
                series.points.iter().map(|point| format!("{}:{}", point.at, point.size)).collect();
            format!("{} {:?} {}", series.name, series.unit, points.join(" "))
        };
        Ok(held.series.iter().map(told).collect())
    }

    #[test]
    fn json_lines_may_be_mixed() {
        let text = "{\"t\":1,\"bytes\":5}\n{\"series\":\"b\",\"t\":1,\"objects\":7}\n\n{\"t_seconds\":2,\"bytes\":6,\"x\":0}\n";
        assert_eq!(records(text), Ok(vec!["file Some(Bytes) 1:5 2:6".into(), "b Some(Objects) 1:7".into()]));
    }

    #[test]
    fn each_bad_record_is_named() {
        for (text, message) in [
            ("{\"t\":1}\n", "a.jsonl:1: found neither bytes nor objects"),
            ("{\"t\":1,\"bytes\":-5}\n", "the size \"-5\"; expected a size from 0"),
            ("{\"t\":2,\"bytes\":5}\n{\"t\":2,\"bytes\":5}\n", "a.jsonl:2: found the time 2 after 2"),
            (
                "{\"t\":2,\"bytes\":5}\n{\"t\":3,\"objects\":5}\n",
                "a.jsonl:2: found another unit for \"file\"",
            ),
            ("{\"t\":2,\"bytes\":5}\nx\n", "a.jsonl:2: found expected value"),
            ("\n", "a.jsonl:2: found no sample at all"),
        ] {
            let error = records(text).expect_err(text);
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }
}
