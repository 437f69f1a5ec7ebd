//! How fast a counter rises: its mean over the last one to two minutes.
//!
//! Counters are read at ticks, once a minute, or as somebody's endpoint happens to be asked, and what is judged must not
//! hang on which. A counter that fell began anew, and so does the mean.

use crate::{sample::Seconds, series::marks::Marks};

/// The last readings of one counter.
#[derive(Clone, Debug)]
pub struct Pace(Marks<f64>);

impl Pace {
    /// The first reading.
    #[must_use]
    pub fn new(at: Seconds, value: f64) -> Self {
        Self(Marks::new(at, value))
    }

    /// Takes in a reading; one from before the last one is dropped.
    pub fn push(&mut self, at: Seconds, value: f64) {
        self.0.push(at, value, |before, now| before <= now);
    }

    /// By how much it rises a second; none before it is known for a minute, and where it was not read for too long.
    #[must_use]
    pub fn per_sec(&self, now: Seconds) -> Option<f64> {
        let span = self.0.span(now)?;
        Some((span.to - span.from) / span.secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said after each reading, two digits behind the point.
    fn said(readings: &[(f64, f64)]) -> Vec<Option<String>> {
        let mut pace = Pace::new(readings[0].0, readings[0].1);
        let mut said = vec![pace.per_sec(readings[0].0)];
        for &(at, value) in &readings[1..] {
            pace.push(at, value);
            said.push(pace.per_sec(at));
        }
        said.into_iter().map(|pace| pace.map(|pace| format!("{pace:.2}"))).collect()
    }

    fn check(readings: &[(f64, f64)], expected: &[&str]) {
        let expected: Vec<Option<String>> =
            expected.iter().map(|word| (*word != "-").then(|| (*word).to_owned())).collect();
        assert_eq!(said(readings), expected, "{readings:?}");
    }

    #[test]
    fn the_mean_is_over_one_to_two_minutes_however_often_it_is_read() {
        let steady: Vec<(f64, f64)> =
            (0..12u32).map(|step| (f64::from(step) * 15.0, f64::from(step))).collect();
        check(&steady, &["-", "-", "-", "-", "0.07", "0.07", "0.07", "0.07", "0.07", "0.07", "0.07", "0.07"]);
        check(&[(7.0, 100.0), (67.0, 130.0), (127.0, 130.0)], &["-", "0.50", "0.00"]);
        check(&[(0.0, 0.0), (300.0, 30.0), (600.0, 90.0)], &["-", "0.10", "0.20"]);
        // A burst of ten seconds is a sixth of a minute.
        let burst: Vec<(f64, f64)> =
            vec![(0.0, 0.0), (60.0, 0.0), (70.0, 10.0), (130.0, 10.0), (190.0, 10.0)];
        check(&burst, &["-", "0.00", "0.14", "0.14", "0.00"]);
    }

    #[test]
    fn a_counter_that_fell_begins_anew_and_a_late_reading_is_none() {
        check(
            &[(0.0, 50.0), (60.0, 80.0), (75.0, 3.0), (120.0, 48.0), (135.0, 63.0)],
            &["-", "0.50", "-", "-", "1.00"],
        );
        check(&[(0.0, 0.0), (60.0, 60.0), (30.0, 5.0)], &["-", "1.00", "1.00"]);
    }

    #[test]
    fn what_is_not_read_any_more_is_not_told_any_more() {
        let mut pace = Pace::new(0.0, 0.0);
        pace.push(60.0, 6.0);
        assert_eq!((pace.per_sec(150.0), pace.per_sec(151.0)), (Some(0.1), None));
    }
}
