//! What a process was made of, then and now: its first readings and its last.

use crate::sample::{Measure, Part, Seconds};
use std::collections::VecDeque;

/// So many readings are kept from each end: the lowest of three is free of most garbage.
const KEPT: usize = 3;

/// One reading.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When.
    pub at: Seconds,
    /// The parts, no two of one name and measure.
    pub parts: Vec<Part>,
}

impl Reading {
    /// The size of a part.
    #[must_use]
    pub fn size(&self, name: &str, measure: Measure) -> Option<f64> {
        self.parts.iter().find(|part| part.measure == measure && *part.name == *name).map(|part| part.size)
    }
}

/// The readings of one process from both ends of its past.
#[derive(Clone, Debug, Default)]
pub struct Course {
    is_full: bool,
    count: usize,
    first: Vec<Reading>,
    last: VecDeque<Reading>,
}

impl Course {
    /// Adds a reading. One of another depth than those before begins anew: its parts cannot be compared with theirs.
    pub fn push(&mut self, reading: Reading, is_full: bool) {
        if self.is_full != is_full {
            *self = Self { is_full, ..Self::default() };
        }
        self.count = self.count.saturating_add(1);
        if self.first.len() < KEPT {
            self.first.push(reading.clone());
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(reading);
    }

    /// The last reading.
    #[must_use]
    pub fn latest(&self) -> Option<&Reading> {
        self.last.back()
    }

    /// The same number of readings from the beginning and from the end, no reading in both. None while there are fewer
    /// than two.
    #[must_use]
    pub fn ends(&self) -> Option<(Vec<&Reading>, Vec<&Reading>)> {
        let each = KEPT.min(self.count / 2);
        let beginning = self.first.iter().take(each).collect();
        let end = self.last.iter().skip(self.last.len().saturating_sub(each)).collect();
        (each > 0).then_some((beginning, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(readings: &[&Reading]) -> Vec<f64> {
        readings.iter().map(|reading| reading.at).collect()
    }

    #[test]
    fn both_ends_are_kept_and_never_overlap() {
        let mut course = Course::default();
        assert!(course.ends().is_none() && course.latest().is_none());
        let expected: [(&[f64], &[f64]); 8] = [
            (&[], &[]),
            (&[1.0], &[2.0]),
            (&[1.0], &[3.0]),
            (&[1.0, 2.0], &[3.0, 4.0]),
            (&[1.0, 2.0], &[4.0, 5.0]),
            (&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]),
            (&[1.0, 2.0, 3.0], &[5.0, 6.0, 7.0]),
            (&[1.0, 2.0, 3.0], &[6.0, 7.0, 8.0]),
        ];
        for (at, (beginning, end)) in (1..).map(f64::from).zip(expected) {
            course.push(Reading { at, parts: Vec::new() }, true);
            let (seen_beginning, seen_end) = course.ends().unwrap_or_default();
            assert_eq!((times(&seen_beginning), times(&seen_end)), (beginning.into(), end.into()), "{at}");
        }
        course.push(Reading { at: 9.0, parts: Vec::new() }, false);
        assert!(course.ends().is_none(), "another depth begins anew");
    }
}
