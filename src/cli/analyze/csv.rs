//! One series as CSV: `t_seconds,bytes`, plain numbers, one sample a line.
//!
//! A strict reader and not a lenient one: a size that was left out or a column that slipped would be a wrong verdict
//! and not an error. It reads one line at a time, so a series of any length takes no memory.

use super::lines::{Lines, ReadError, quoted};
use crate::sample::{Seconds, Unit};
use std::{borrow::Cow, io::BufRead};

/// Two numbers are far shorter.
const MOST_LINE_BYTES: u64 = 1024;
/// Three years of seconds.
const MOST_SAMPLES: u64 = 100_000_000;
/// Seconds since the epoch until the year 5138; milliseconds since the epoch lie beyond.
const LARGEST_SECONDS: f64 = 1e11;
/// An exabyte; larger ones are no sizes of memory.
const LARGEST_SIZE: f64 = 1e18;
/// What each line should be.
const SAMPLE: &str = "two plain numbers, seconds and size, such as 30,1048576";

/// What each line of several series should be.
const NAMED_SAMPLE: &str = "a name and two plain numbers, seconds and size, such as web,30,1048576";

/// What was found, and what is expected there.
pub(super) type Wrong = (String, &'static str);

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// When.
    pub(super) at: Seconds,
    /// The size, in bytes or objects.
    pub(super) size: f64,
}

/// Reads one series.
#[derive(Debug)]
pub(super) struct Reader<R> {
    lines: Lines<R>,
    /// The name of the second column, where there is a header.
    column: Option<String>,
    /// The first sample, where there is no header.
    ahead: Option<Point>,
    blank_line: Option<u64>,
    last_at: Option<Seconds>,
    samples: u64,
    most_samples: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header, the first of these lines.
    pub(super) fn open(mut lines: Lines<R>) -> Result<Self, ReadError> {
        lines.again(MOST_LINE_BYTES);
        let mut reader = Self {
            lines,
            column: None,
            ahead: None,
            blank_line: None,
            last_at: None,
            samples: 0,
            most_samples: MOST_SAMPLES,
        };
        let Some(line) = reader.lines.next()? else { return Ok(reader) };
        match header(line) {
            Some(column) => reader.column = Some(column),
            None if line.trim().is_empty() => reader.blank_line = Some(1),
            None => {
                let point = parse(line);
                reader.ahead = Some(reader.accept(point)?);
            }
        }
        Ok(reader)
    }

    /// What the header says of the unit.
    pub(super) fn unit(&self) -> Option<Unit> {
        unit(self.column.as_deref()?)
    }

    /// The next sample; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Point>, ReadError> {
        if let Some(point) = self.ahead.take() {
            return Ok(Some(point));
        }
        loop {
            let Some(line) = self.lines.next()? else { return self.end() };
            if line.trim().is_empty() {
                let number = self.lines.number();
                self.blank_line.get_or_insert(number);
                continue;
            }
            let point = parse(line);
            return self.accept(point).map(Some);
        }
    }

    fn end(&self) -> Result<Option<Point>, ReadError> {
        match self.last_at {
            None => Err(self.lines.wrong_at(self.lines.number() + 1, "no sample at all", SAMPLE)),
            Some(_) => Ok(None),
        }
    }

    /// Checks what concerns more than one line.
    fn accept(&mut self, point: Result<Point, Wrong>) -> Result<Point, ReadError> {
        if let Some(blank) = self.blank_line {
            return Err(self.lines.wrong_at(blank, "an empty line before the last sample", SAMPLE));
        }
        let point = point.map_err(|(found, expected)| self.lines.wrong(found, expected))?;
        if let Some(last_at) = self.last_at.filter(|last_at| point.at <= *last_at) {
            let (found, expected) = not_rising(point.at, last_at);
            return Err(self.lines.wrong(found, expected));
        }
        if self.samples == self.most_samples {
            let found = format!("more than {} samples", self.most_samples);
            return Err(self.lines.wrong(found, "a shorter series; split the file"));
        }
        self.samples += 1;
        self.last_at = Some(point.at);
        Ok(point)
    }
}

/// The name of the second of two columns, if the line names them: neither is a number.
fn header(line: &str) -> Option<String> {
    let (time, size) = line.split_once(',')?;
    let is_name = |field: &str| {
        let field = field.trim();
        !field.is_empty() && !field.contains(',') && field.parse::<f64>().is_err()
    };
    (is_name(time) && is_name(size)).then(|| size.trim().trim_matches('"').to_owned())
}

/// The unit that a column's name tells.
pub(super) fn unit(column: &str) -> Option<Unit> {
    match column {
        "bytes" => Some(Unit::Bytes),
        "objects" => Some(Unit::Objects),
        _ => None,
    }
}

/// What is wrong with a time that does not come after the one before.
pub(super) fn not_rising(at: Seconds, last_at: Seconds) -> Wrong {
    let found = format!("the time {at} after {last_at} on the line before");
    (found, "times that rise from line to line; sort the file and keep one line a time")
}

/// A sample, or what was found instead and what is expected.
fn parse(line: &str) -> Result<Point, Wrong> {
    if let Some((time, size)) = line.split_once(',').filter(|(_, size)| !size.contains(',')) {
        return point(time, size);
    }
    let count = line.split(',').count();
    let fields = if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
    Err((format!("{fields} in {}", quoted(line)), SAMPLE))
}

/// A sample from its two fields.
fn point(time: &str, size: &str) -> Result<Point, Wrong> {
    let number = |what: &str, text: &str| {
        let text = text.trim();
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| (format!("the {what} {}", quoted(text)), SAMPLE))
    };
    checked(Point { at: number("time", time)?, size: number("size", size)? })
}

/// The sample, if it is one.
pub(super) fn checked(point: Point) -> Result<Point, Wrong> {
    if point.at.is_nan() || point.at.abs() > LARGEST_SECONDS {
        return Err((format!("the time \"{}\"", point.at), "seconds; divide milliseconds by 1000"));
    }
    if !(0.0..=LARGEST_SIZE).contains(&point.size) {
        return Err((format!("the size \"{}\"", point.size), "a size from 0 to 1e18"));
    }
    Ok(point)
}

/// The name of the third column of a header of three, `series,t_seconds,bytes`: then each line says whose it is.
pub(super) fn long_header(line: &str) -> Option<&str> {
    let (series, rest) = line.split_once(',')?;
    let is_named = matches!(series.trim().trim_matches('"'), "series" | "name");
    header(rest).filter(|_| is_named)?;
    Some(rest.rsplit_once(',')?.1.trim().trim_matches('"'))
}

/// A line of such a file: whose sample, and the sample. The numbers come last, so that a name may hold commas.
pub(super) fn long_line(line: &str) -> Result<(Cow<'_, str>, Point), Wrong> {
    let mut fields = line.rsplitn(3, ',');
    let (size, time, name) = (fields.next(), fields.next(), fields.next());
    let (Some(size), Some(time), Some(name)) = (size, time, name) else {
        return Err((format!("too few fields in {}", quoted(line)), NAMED_SAMPLE));
    };
    let name = name.trim();
    let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) if inner.contains("\"\"") => Cow::Owned(inner.replace("\"\"", "\"")),
        Some(inner) => Cow::Borrowed(inner),
        None => Cow::Borrowed(name),
    };
    if name.is_empty() {
        return Err((format!("no name in {}", quoted(line)), NAMED_SAMPLE));
    }
    Ok((name, point(time, size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(text: &[u8]) -> Result<Reader<&[u8]>, ReadError> {
        Reader::open(Lines::new("a.csv", text, MOST_LINE_BYTES))
    }

    type Read = (Option<String>, Vec<(f64, f64)>);

    /// The name of the column and all samples, or the first error.
    fn read(text: &str) -> Result<Read, String> {
        let mut reader = opened(text.as_bytes()).map_err(|error| error.to_string())?;
        let mut points = Vec::new();
        while let Some(point) = reader.next().map_err(|error| error.to_string())? {
            points.push((point.at, point.size));
        }
        Ok((reader.column, points))
    }

    #[test]
    fn samples_are_read_with_a_header_and_without() {
        let points = vec![(0.0, 5.0), (30.5, 6e3)];
        let with = |column: &str| Ok((Some(column.to_owned()), points.clone()));
        assert_eq!(read("t_seconds,bytes\n0,5\n30.5,6e3\n"), with("bytes"));
        assert_eq!(read("\u{feff}when, objects \r\n0, 5\r\n30.5 ,6000\r\n\r\n\n"), with("objects"));
        assert_eq!(read("0,5\n30.5,6000"), Ok((None, points.clone())));
        assert_eq!(read("-5,0\n"), Ok((None, vec![(-5.0, 0.0)])));
    }

    #[test]
    fn each_bad_line_is_named_with_what_is_there_and_what_should_be() {
        let long = "1".repeat(1025);
        for (text, message) in [
            ("t,bytes\n0,5\nx,6\n", "a.csv:3: found the time \"x\"; expected two plain numbers"),
            ("t,bytes\n0,\n", "a.csv:2: found the size \"\"; expected two plain numbers"),
            ("0,NaN\n", "a.csv:1: found the size \"NaN\""),
            ("0,5\n1,inf\n", "a.csv:2: found the size \"inf\""),
            ("0,-5\n", "a.csv:1: found the size \"-5\"; expected a size from 0"),
            ("0,5\n1\n", "a.csv:2: found 1 field in \"1\""),
            ("t,a,b\n0,5,6\n", "a.csv:1: found 3 fields in \"t,a,b\""),
            ("0,5\n0,6\n", "a.csv:2: found the time 0 after 0 on the line before; expected times that rise"),
            ("1700000000000,5\n", "expected seconds; divide milliseconds by 1000"),
            ("0,5\n\n1,6\n", "a.csv:2: found an empty line before the last sample"),
            ("\n1,6\n", "a.csv:1: found an empty line before the last sample"),
            ("0,5\n\u{7}\u{1b}[1m,6\n", "a.csv:2: found the time \"\\u{7}\\u{1b}[1m\""),
            ("", "a.csv:1: found no sample at all"),
            ("t,bytes\n\n", "a.csv:3: found no sample at all"),
            (&format!("0,5\n{long}\n"), "a.csv:2: found a line of more than 1024 bytes"),
            (&format!("0,5\n1,{}x\n", "6".repeat(50)), "…; expected two plain numbers"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(message), "{text:?}: {error}");
        }
        let mut reader = opened(b"0,5\n1,\xff\n").unwrap();
        reader.next().unwrap();
        assert!(
            reader.next().unwrap_err().to_string().contains("a.csv:2: found bytes that are no UTF-8 text")
        );
    }

    #[test]
    fn a_line_may_say_whose_it_is() {
        assert_eq!(long_header("series,t_seconds,objects"), Some("objects"));
        assert_eq!(
            (long_header("t,a,b"), long_header("series,1,2"), long_header("t,bytes")),
            (None, None, None)
        );
        let point = Point { at: 30.0, size: 5.0 };
        for (line, name) in
            [("web,30,5", "web"), ("\"a{b=\"\"x\"\",c=\"\"y\"\"}\", 30, 5", "a{b=\"x\",c=\"y\"}")]
        {
            assert_eq!(long_line(line), Ok((Cow::Borrowed(name), point)), "{line}");
        }
        for (line, found) in
            [("30,5", "too few fields in \"30,5\""), (",30,5", "no name"), ("a,b,5", "the time \"b\"")]
        {
            let (message, _) = long_line(line).unwrap_err();
            assert!(message.contains(found), "{line}: {message}");
        }
    }

    #[test]
    fn samples_are_bounded() {
        let mut reader = opened(b"0,5\n1,6\n2,7\n").unwrap();
        reader.most_samples = 2;
        assert!(reader.next().unwrap().is_some() && reader.next().unwrap().is_some());
        assert!(reader.next().unwrap_err().to_string().contains("a.csv:3: found more than 2 samples"));
    }
}
