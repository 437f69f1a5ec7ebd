//! Evidence in words: the sentence that a person reads beside the number.

use super::finding::Evidence;
use std::fmt;

/// Below this share of the overall pace the last third counts as a plateau.
const PLATEAU_PACE: f64 = 0.35;
/// Above this share the last third counts as faster than before.
const FASTER_PACE: f64 = 1.6;

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.rise < 0.0 { "fell" } else { "rose" };
        let amount = Amount { value: self.rise.abs(), bytes: self.bytes };
        let window = Span(self.window_secs);
        if self.steps == 0 {
            return write!(f, "nothing that matters: the floor {direction} {amount} in {window}");
        }
        let Self { steps_up, steps, .. } = self;
        write!(f, "the floor {direction} {amount} in {window}, {steps_up} of {steps} steps going up")?;
        match self.horizons {
            0 => {}
            1 => f.write_str(", seen on 1 horizon")?,
            several => write!(f, ", seen on {several} horizons")?,
        }
        if self.rise <= 0.0 {
            return Ok(());
        }
        f.write_str(match self.recent_pace {
            pace if pace < PLATEAU_PACE => "; it is levelling off",
            pace if pace > FASTER_PACE => "; it is getting faster",
            _ => "; no plateau",
        })
    }
}

/// An amount as a person writes it: `312 MB`, `4.5 GB`, `37 objects`.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// The amount.
    pub value: f64,
    /// Bytes, or objects.
    pub bytes: bool,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.bytes {
            return write!(f, "{:.0} objects", self.value);
        }
        let (scaled, unit) = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
            .into_iter()
            .find(|(factor, _)| self.value >= *factor)
            .map_or((self.value, "B"), |(factor, unit)| (self.value / factor, unit));
        let digits = usize::from(scaled < 10.0 && unit != "B");
        write!(f, "{scaled:.digits$} {unit}")
    }
}

/// A time span as a person writes it: `40 s`, `6 h 10 min`, `3 d 4 h`.
#[derive(Clone, Copy, Debug)]
pub struct Span(pub f64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0;
        if !secs.is_finite() {
            return f.write_str("an unbounded time");
        }
        if secs < 120.0 {
            return write!(f, "{secs:.0} s");
        }
        let minutes = (secs / 60.0).round();
        if minutes < 60.0 {
            return write!(f, "{minutes:.0} min");
        }
        let hours = (minutes / 60.0).floor();
        if hours < 48.0 {
            return write!(f, "{hours:.0} h {:.0} min", minutes - hours * 60.0);
        }
        let days = (hours / 24.0).floor();
        write!(f, "{days:.0} d {:.0} h", hours - days * 24.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_reads_as_a_sentence() {
        let evidence = Evidence {
            rise: 312e6,
            window_secs: 22_200.0,
            bucket_secs: 600.0,
            steps_up: 34,
            steps: 36,
            horizons: 3,
            recent_pace: 1.0,
            bytes: true,
        };
        assert_eq!(
            evidence.to_string(),
            "the floor rose 312 MB in 6 h 10 min, 34 of 36 steps going up, seen on 3 horizons; no plateau"
        );
        let one = Evidence { rise: -2.5e9, horizons: 1, ..evidence };
        assert_eq!(
            one.to_string(),
            "the floor fell 2.5 GB in 6 h 10 min, 34 of 36 steps going up, seen on 1 horizon"
        );
    }

    #[test]
    fn quiet_is_said_in_few_words() {
        let quiet = Evidence { rise: 12e3, window_secs: 240.0, bytes: true, ..Evidence::default() };
        assert_eq!(quiet.to_string(), "nothing that matters: the floor rose 12 kB in 4 min");
    }

    #[test]
    fn spans_and_amounts_read_as_a_person_writes_them() {
        for (secs, words) in [
            (40.0, "40 s"),
            (600.0, "10 min"),
            (3599.0, "1 h 0 min"),
            (3.2e5, "3 d 16 h"),
            (f64::INFINITY, "an unbounded time"),
        ] {
            assert_eq!(Span(secs).to_string(), words);
        }
        assert_eq!(Amount { value: 999.0, bytes: true }.to_string(), "999 B");
        assert_eq!(Amount { value: 37.4, bytes: false }.to_string(), "37 objects");
    }
}
