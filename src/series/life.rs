//! One life of a process, from its start, and what a target remembers of the lives before it.
//!
//! A service warms up at each start much as it did the last time. How far the floor had risen at some ages of the last
//! life tells how much is still to come in this one, and whether the last one levelled off at all.

use crate::sample::Seconds;
use serde::{Deserialize, Serialize};

/// Ages at which the rise is noted: 16 s, 48 s, … 33 days.
const MARKS: usize = 12;
/// The first of them, in seconds.
const FIRST_MARK_SECS: f64 = 16.0;
/// How many times older each is than the one before.
const MARK_RATIO: f64 = 3.0;
/// A life has levelled off at the mark from which on its rise stays within this share of the whole of it,
const PLATEAU_SHARE_OF_RISE: f64 = 0.1;
/// or this share of its size,
const PLATEAU_SHARE_OF_SIZE: f64 = 0.01;
/// if it lived for this many times as long, so that there was a plateau to be seen.
const PLATEAU_LASTS: f64 = 3.0;

/// The rise of the floor since the start of one life, at some ages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Life {
    first_floor: f64,
    newest_floor: f64,
    /// NaN where that age has not come, or passed unseen.
    rises: [f32; MARKS],
}

/// What is remembered of the life before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastLife {
    /// How many lives there were.
    pub lives: u16,
    /// How old the last one became, in seconds.
    pub age_secs: f32,
    /// Its last floor, in units.
    pub size: f32,
    /// How far its floor rose in all, in units.
    pub rise: f32,
    /// The drift of its longest horizon at its end, in standard errors.
    pub strength: f32,
    /// The pace of that horizon's last third over its whole.
    pub recent_pace: f32,
    /// How much better a levelling curve fitted it than a line.
    pub saturation_gain: f32,
    /// At which mark it had levelled off, in seconds; none where it had not.
    pub levelled_after_secs: Option<f32>,
    /// How many lives in a row, this one the last of them, had levelled off.
    pub levelled: u16,
    rises: [f32; MARKS],
}

impl Default for Life {
    fn default() -> Self {
        Self { first_floor: f64::NAN, newest_floor: f64::NAN, rises: [f32::NAN; MARKS] }
    }
}

impl Life {
    /// Notes the floor of a closed bucket of `width_secs` at an age.
    pub fn note(&mut self, age_secs: Seconds, floor: f64, width_secs: f64) {
        if self.first_floor.is_nan() {
            self.first_floor = floor;
        }
        self.newest_floor = floor;
        let rise = narrow(floor - self.first_floor);
        for (mark, age) in self.rises.iter_mut().zip(marks()) {
            // A mark that passed unseen long ago stays empty.
            if mark.is_nan() && (age..age * 1.7 + 2.0 * width_secs).contains(&age_secs) {
                *mark = rise;
            }
        }
    }

    /// How far the floor has risen since the first sample, in units.
    #[must_use]
    pub fn rise(&self) -> f64 {
        if self.first_floor.is_nan() { 0.0 } else { self.newest_floor - self.first_floor }
    }

    /// The last floor.
    #[must_use]
    pub fn newest_floor(&self) -> f64 {
        self.newest_floor
    }

    /// The rise of this life and of the last one at the latest mark before an age, where both were seen.
    #[must_use]
    pub fn beside(&self, past: &PastLife, age_secs: Seconds) -> Option<(f64, f64)> {
        let both = self.rises.iter().zip(&past.rises).zip(marks());
        let (mine, then) = both.take_while(|(_, mark)| *mark <= age_secs).last()?.0;
        (!mine.is_nan() && !then.is_nan()).then(|| (f64::from(*mine), f64::from(*then)))
    }

    /// For each of the latest marks at most two thirds of an age old, the latest first: the rise until it, and the rise
    /// since it, had that lasted as long. Alike in an even climb, the second far smaller in one that levels off.
    pub fn before_and_since(&self, age_secs: Seconds) -> impl Iterator<Item = (f64, f64)> {
        let marks: [Seconds; MARKS] = std::array::from_fn(mark);
        let passed = self.rises.into_iter().zip(marks).rev();
        passed.skip_while(move |(_, mark)| mark * 1.5 > age_secs).map(move |(before, mark)| {
            let before = f64::from(before);
            (before, (self.rise() - before) * mark / (age_secs - mark))
        })
    }

    /// What is remembered when this life ends at an age, after the lives of `before`.
    #[must_use]
    pub fn end(&self, age_secs: Seconds, before: Option<&PastLife>) -> PastLife {
        let levelled_after_secs = self.levelled_after(age_secs);
        let levelled_before = before.map_or(0, |past| past.levelled);
        PastLife {
            lives: before.map_or(0, |past| past.lives).saturating_add(1),
            age_secs: narrow(age_secs),
            size: narrow(self.newest_floor),
            rise: narrow(self.rise()),
            strength: f32::NAN,
            recent_pace: f32::NAN,
            saturation_gain: f32::NAN,
            levelled_after_secs: levelled_after_secs.map(narrow),
            levelled: levelled_after_secs.map_or(0, |_| levelled_before.saturating_add(1)),
            rises: self.rises,
        }
    }

    /// The age at which it had levelled off, if it had when it ended at `age_secs`.
    fn levelled_after(&self, age_secs: Seconds) -> Option<Seconds> {
        let whole = self.rise();
        let tolerance =
            (PLATEAU_SHARE_OF_RISE * whole.abs()).max(PLATEAU_SHARE_OF_SIZE * self.newest_floor.abs());
        let seen = self.rises.iter().zip(marks()).filter(|(rise, _)| !rise.is_nan());
        let is_level = |rise: f32| (whole - f64::from(rise)).abs() <= tolerance;
        let on_the_plateau = seen.rev().take_while(|(rise, _)| is_level(**rise)).last();
        on_the_plateau.map(|(_, age)| age).filter(|age| age_secs >= PLATEAU_LASTS * age)
    }
}

/// The ages at which the rise is noted.
fn marks() -> impl DoubleEndedIterator<Item = Seconds> + ExactSizeIterator {
    let ages: [Seconds; MARKS] = std::array::from_fn(mark);
    ages.into_iter()
}

fn mark(number: usize) -> Seconds {
    FIRST_MARK_SECS * MARK_RATIO.powi(i32::try_from(number).unwrap_or(i32::MAX))
}

#[expect(clippy::cast_possible_truncation, reason = "a few digits of a rise are enough")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lives_are_compared_at_the_same_age() {
        let live = |pace: f64, until: u32| {
            let mut life = Life::default();
            for age in (0..until).step_by(12) {
                life.note(f64::from(age), 100.0 + pace * f64::from(age), 12.0);
            }
            life
        };
        let past = live(2.0, 4000).end(4000.0, None);
        assert_eq!(past.lives, 1);
        let now = live(3.0, 500);
        let (mine, then) = now.beside(&past, 490.0).unwrap();
        assert!((mine / then - 1.5).abs() < 1e-6, "{mine} {then}");
        assert!(Life::default().beside(&past, 490.0).is_none());
        assert!(now.beside(&past, 3.0).is_none());
    }

    #[test]
    fn a_climb_is_compared_with_itself() {
        let mut life = Life::default();
        for age in (0..3000).step_by(12) {
            life.note(f64::from(age), 100.0 + 2.0 * f64::from(age.min(1500)), 12.0);
        }
        let ratios: Vec<f64> = life.before_and_since(3000.0).map(|(before, since)| since / before).collect();
        // Since 1296 s it has all but stood still, since the marks before (432, 144, 48, 16 s) it was half as fast.
        assert!(ratios[0] < 0.2, "{ratios:?}");
        assert!(
            ratios.len() == 5 && ratios[1..].iter().all(|ratio| (0.3..0.55).contains(ratio)),
            "{ratios:?}"
        );
    }

    /// After which age each of some lives had levelled off, and how many in a row the last one ends.
    fn check(lives: &[(&dyn Fn(f64) -> f64, u32)], levelled_after: &[Option<f64>], levelled: u16) {
        let mut past = None;
        let mut after = Vec::new();
        for (size, until) in lives {
            let mut life = Life::default();
            for age in (0..*until).step_by(12) {
                life.note(f64::from(age), size(f64::from(age)), 12.0);
            }
            let ended = life.end(f64::from(*until), past.as_ref());
            after.push(ended.levelled_after_secs.map(f64::from));
            past = Some(ended);
        }
        assert_eq!(after, levelled_after);
        assert_eq!(past.map(|past| past.levelled), Some(levelled));
    }

    #[test]
    fn a_warm_up_levels_off_and_a_leak_does_not() {
        let warm_up = |age: f64| 1e8 + 3e8 * (1.0 - (-age / 400.0).exp());
        let leak = |age: f64| 1e8 + 1e4 * age;
        let flat = |_: f64| 1e8;
        check(&[(&warm_up, 7200)], &[Some(1296.0)], 1);
        check(&[(&leak, 7200)], &[None], 0);
        check(&[(&flat, 7200)], &[Some(16.0)], 1);
        check(&[(&warm_up, 2000)], &[None], 0);
        check(&[(&leak, 7200), (&warm_up, 7200), (&warm_up, 7200)], &[None, Some(1296.0), Some(1296.0)], 2);
        check(&[(&warm_up, 7200), (&leak, 7200)], &[Some(1296.0), None], 0);
    }
}
