//! The query of a request: each key known, said once, and its value in range.

use super::Problem;
use crate::http::query::{decode, pairs};
use std::ops::RangeInclusive;

/// So many items come where nothing is said.
const LIMIT: usize = 100;
/// At most so many items come at once: a megabyte and a half of areas.
pub(super) const LIMIT_MAX: usize = 1000;
/// Further no list goes.
const OFFSET_MAX: usize = 1_000_000_000;

/// The keys of a query with their values.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(&'static str, String)>);

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Parameters {
    /// Reads a query without its question mark.
    ///
    /// # Errors
    /// A key that is not `known`, one that stands twice, or broken percent-encoding.
    pub(super) fn read(query: &str, known: &'static [&'static str]) -> Result<Self, Problem> {
        let decoded = |text: &str| {
            decode(text).map_err(|what| Problem::query(what, "Write % as %25 and a space as %20.".into()))
        };
        let mut read: Vec<(&'static str, String)> = Vec::new();
        for (key, value) in pairs(query) {
            let (key, value) = (decoded(key)?, decoded(value)?);
            let Some(known) = known.iter().find(|known| **known == key) else {
                let help = match known {
                    [] => String::from("Leave it out: this takes no query."),
                    known => format!("The keys are {}.", known.join(", ")),
                };
                return Err(Problem::query(format!("The query has the unknown key {key:?}."), help));
            };
            if read.iter().any(|(before, _)| before == known) {
                let detail = format!("The query has the key {key} twice.");
                return Err(Problem::query(detail, String::from("Write it once.")));
            }
            read.push((known, value));
        }
        Ok(Self(read))
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| *own == key).map(|(_, value)| value.as_str())
    }

    /// Which of some words a key has.
    pub(super) fn one_of<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meant)) => Ok(Some(*meant)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(wrong(key, text, &format!("one of {}", words.join(", "))))
            }
        }
    }

    /// A share of a key.
    pub(super) fn share(&self, key: &str) -> Result<Option<f64>, Problem> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Some).ok_or_else(|| wrong(key, text, "a number from 0 to 1"))
    }

    /// Which part of a list is wanted, from `limit` and `offset`.
    pub(super) fn paging(&self) -> Result<Paging, Problem> {
        Ok(Paging {
            limit: self.whole("limit", 1..=LIMIT_MAX)?.unwrap_or(LIMIT),
            offset: self.whole("offset", 0..=OFFSET_MAX)?.unwrap_or(0),
        })
    }

    fn whole(&self, key: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, Problem> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_plain && range.contains(number));
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| wrong(key, text, &expected()))
    }
}

impl Paging {
    /// This part of a list.
    pub(super) fn of<T>(self, items: Vec<T>) -> impl Iterator<Item = T> {
        items.into_iter().skip(self.offset).take(self.limit)
    }
}

fn wrong(key: &str, text: &str, expected: &str) -> Problem {
    Problem::query(
        format!("The query has {key}={text:?}, which is not {expected}."),
        format!("Write {key} as {expected}."),
    )
}
