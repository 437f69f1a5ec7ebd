//! What is known of series beside their samples: one JSON object a line, for each series by name.
//!
//! Of a labelled set only what a running exporter would know is read: the limit and the restarts. All other keys, the
//! answers among them, are passed over and never become values.

use super::lines::{Lines, ReadError, quoted};
use crate::sample::{Seconds, Unit};
use serde::Deserialize;
use std::{collections::HashMap, io::BufRead};

/// Room for many restarts.
const MOST_LINE_BYTES: u64 = 1 << 20;
/// So many series at most.
const MOST_SERIES: usize = 1_000_000;
const EXPECTED: &str =
    "an object such as {\"name\":\"web\",\"limit_bytes\":1073741824,\"restarts_s\":[3600]}, one a line";

/// What is known of one series.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Label {
    name: String,
    limit_bytes: Option<f64>,
    limit_objects: Option<f64>,
    restarts_s: Option<Vec<Seconds>>,
}

/// What is known of all series.
#[derive(Debug, Default)]
pub(super) struct Labels(HashMap<String, Label>);

impl Label {
    /// The limit in this unit. A limit of 0 is none, as in many a tool.
    pub(super) fn limit(&self, unit: Unit) -> Option<f64> {
        let limit = match unit {
            Unit::Bytes => self.limit_bytes,
            Unit::Objects => self.limit_objects,
        };
        limit.filter(|limit| *limit > 0.0)
    }

    /// When the process was started anew, in seconds of the series.
    pub(super) fn restarts(&self) -> Option<&[Seconds]> {
        self.restarts_s.as_deref()
    }

    /// What is wrong with the values, if anything.
    fn wrong(&self) -> Option<String> {
        if self.name.is_empty() {
            return Some(String::from("an empty `name`"));
        }
        let limits = [("limit_bytes", self.limit_bytes), ("limit_objects", self.limit_objects)];
        let limit =
            limits.into_iter().find_map(|(key, limit)| Some((key, limit.filter(|limit| *limit < 0.0)?)));
        limit.map(|(key, limit)| format!("`{key}` of {limit}, which is no limit"))
    }
}

impl Labels {
    /// Reads them all; errors call the input `file`.
    pub(super) fn read(file: &str, input: impl BufRead) -> Result<Self, ReadError> {
        let mut lines = Lines::new(file, input, MOST_LINE_BYTES);
        let mut labels = HashMap::new();
        while let Some(line) = lines.next()? {
            if line.trim().is_empty() {
                continue;
            }
            let label: Label = match serde_json::from_str(line) {
                Ok(label) => label,
                Err(error) => {
                    let found = format!("{} in {}", said(&error), quoted(line));
                    return Err(lines.wrong(found, EXPECTED));
                }
            };
            if let Some(found) = label.wrong() {
                return Err(lines.wrong(found, EXPECTED));
            }
            let name = label.name.clone();
            if labels.insert(name.clone(), label).is_some() {
                return Err(lines.wrong(format!("{} a second time", quoted(&name)), "each name once"));
            }
            if labels.len() > MOST_SERIES {
                return Err(lines.wrong(format!("more than {MOST_SERIES} series"), "fewer; split the file"));
            }
        }
        Ok(Self(labels))
    }

    /// What is known of the series of this name.
    pub(super) fn of(&self, name: &str) -> Option<&Label> {
        self.0.get(name)
    }
}

/// What the reader of JSON says, with the column alone: to it every line is the first.
fn said(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    format!("{} (column {})", message.strip_suffix(&place).unwrap_or(&message), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Labels, String> {
        Labels::read("labels.jsonl", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn limit_and_restarts_are_read_and_the_answers_are_not() {
        let labels = read(
            "{\"label\": {\"of\": [\"any sort\"]}, \"onset_s\": \"soon\", \"name\": \"a\", \"limit_bytes\": 1e9, \
             \"restarts_s\": [5, 7.5]}\r\n\n{\"name\": \"b\", \"limit_bytes\": null, \"limit_objects\": 7}\n\
             {\"name\": \"d\", \"limit_bytes\": 0}\n",
        );
        let labels = labels.unwrap();
        let a = labels.of("a").unwrap();
        assert_eq!((a.limit(Unit::Bytes), a.limit(Unit::Objects)), (Some(1e9), None));
        assert_eq!(a.restarts(), Some(&[5.0, 7.5][..]));
        let b = labels.of("b").unwrap();
        assert_eq!((b.limit(Unit::Bytes), b.limit(Unit::Objects), b.restarts()), (None, Some(7.0), None));
        assert!(labels.of("c").is_none());
        assert_eq!(labels.of("d").unwrap().limit(Unit::Bytes), None, "0 is no limit");
    }

    #[test]
    fn each_wrong_line_is_named() {
        for (text, message) in [
            ("{\"name\": \"a\"}\n{\"name\": 5}\n", "labels.jsonl:2: found invalid type: integer `5`"),
            ("{\"name\": 5}\n", "(column 10) in \"{\\\"name\\\": 5}\"; expected an object such as"),
            ("{\"limit_bytes\": 5}\n", "labels.jsonl:1: found missing field `name`"),
            ("{\"name\": \"a\", \"limit_bytes\": \"1GiB\"}", "invalid type: string \"1GiB\", expected f64"),
            ("{\"name\": \"a\", \"limit_bytes\": -1}", "found `limit_bytes` of -1, which is no limit"),
            ("{\"name\": \"a\"}\n{\"name\": \"a\"}\n", "labels.jsonl:2: found \"a\" a second time"),
            ("{\"name\": \"\"}\n", "found an empty `name`"),
            ("name,limit\n", "labels.jsonl:1: found expected "),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(message), "{text:?}: {error}");
        }
    }
}
