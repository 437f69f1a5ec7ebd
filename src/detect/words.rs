//! Evidence in words: the sentence that a person reads beside the number.

use super::finding::{Evidence, LastLives};
use std::fmt;

/// Below this share of the overall pace the last third is on the way to a plateau,
const LEVELLING_PACE: f64 = 0.35;
/// and below this one it is there.
const PLATEAU_PACE: f64 = 0.05;
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
        match self.recent_pace {
            pace if pace < PLATEAU_PACE => f.write_str("; it has levelled off")?,
            pace if pace < LEVELLING_PACE => {
                write!(f, "; it is levelling off, at {:.0} % of its pace", pace * 100.0)?;
            }
            pace if pace > FASTER_PACE => write!(f, "; it is getting faster, at {pace:.1} times its pace")?,
            _ => f.write_str("; no plateau")?,
        }
        if self.daily_load {
            f.write_str("; a load that comes and goes each day is no part of its growth")?;
        }
        self.last_lives.map_or(Ok(()), |lives| write!(f, "; {}", Lives { lives, bytes: self.bytes }))
    }
}

/// The last lives of a service with their unit.
struct Lives {
    lives: LastLives,
    bytes: bool,
}

impl fmt::Display for Lives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LastLives { levelled, levelled_after_secs, age_secs, rise } = self.lives;
        let rose = Amount { value: f64::from(rise.max(0.0)), bytes: self.bytes };
        let Some(after) = levelled_after_secs.map(|secs| Span(f64::from(secs))) else {
            let age = Span(f64::from(age_secs));
            return write!(
                f,
                "the last start of this service had risen by {rose} at the age of {age}, without levelling off"
            );
        };
        match levelled {
            0 | 1 => write!(f, "the last start of this service levelled off within {after}, after {rose}"),
            several => write!(
                f,
                "the last {several} starts of this service levelled off, the last one within {after}, after {rose}"
            ),
        }
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
            let count = self.value.round();
            return write!(f, "{count:.0} object{}", if (count - 1.0).abs() < 0.5 { "" } else { "s" });
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
            daily_load: false,
            last_lives: None,
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

    fn check(evidence: Evidence, ending: &str) {
        let beginning = "the floor rose 40 MB in 20 min, 9 of 10 steps going up; ";
        let rising =
            Evidence { rise: 40e6, window_secs: 1200.0, steps_up: 9, steps: 10, bytes: true, ..evidence };
        assert_eq!(rising.to_string(), format!("{beginning}{ending}"));
    }

    #[test]
    fn how_far_it_has_levelled_off_is_said() {
        let at = |recent_pace| Evidence { recent_pace, ..Evidence::default() };
        check(at(-0.4), "it has levelled off");
        check(at(0.04), "it has levelled off");
        check(at(0.2), "it is levelling off, at 20 % of its pace");
        check(at(0.36), "no plateau");
        check(at(1.9), "it is getting faster, at 1.9 times its pace");
        check(
            Evidence { daily_load: true, ..at(1.0) },
            "no plateau; a load that comes and goes each day is no part of its growth",
        );
    }

    #[test]
    fn what_the_last_lives_did_is_said() {
        let lives = |levelled, levelled_after_secs, rise| Evidence {
            recent_pace: 1.0,
            last_lives: Some(LastLives { levelled, levelled_after_secs, age_secs: 32_400.0, rise }),
            ..Evidence::default()
        };
        check(
            lives(0, None, 1.2e9),
            "no plateau; the last start of this service had risen by 1.2 GB at the age of 9 h 0 min, without levelling \
             off",
        );
        check(
            lives(1, Some(1296.0), 4e8),
            "no plateau; the last start of this service levelled off within 22 min, after 400 MB",
        );
        check(
            lives(3, Some(1296.0), 4e8),
            "no plateau; the last 3 starts of this service levelled off, the last one within 22 min, after 400 MB",
        );
        check(
            lives(1, Some(16.0), -5e6),
            "no plateau; the last start of this service levelled off within 16 s, after 0 B",
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
        assert_eq!(Amount { value: 0.6, bytes: false }.to_string(), "1 object");
    }
}
