//! All features of an area, as one row: those of each horizon and those of its circumstances.

use super::horizon::{self, FEATURES, narrow};
use crate::series::{
    ladder::LEVELS,
    life::{Life, PastLife},
};

/// Features beside those of the horizons.
pub const CONTEXT: usize = 12 + LEVELS - 1 + MARKS;
/// Marks of this life whose rise is compared with that since.
const MARKS: usize = 3;
/// Features in all.
pub const ALL_FEATURES: usize = LEVELS * FEATURES + CONTEXT;
/// Their names beside those of the horizons, but for the paces, of which there is one for each pair of horizons and
/// one for each mark.
const CONTEXT_NAMES: [&str; 12] = [
    "age",
    "quantum",
    "finest_level",
    "rise_in_life",
    "lives_before",
    "age_over_last_age",
    "rise_over_last_rise",
    "rise_over_last_rise_at_age",
    "last_rise_still_to_come",
    "last_strength",
    "last_recent_pace",
    "last_saturation_gain",
];
/// Older than this is old: later starts of leaks are as likely as earlier ones.
const OLD_SECS: f64 = 12.0 * 3600.0;
/// Paces of neighbouring horizons are believed within this.
const PACE_RANGE: (f64, f64) = (-3.0, 5.0);

/// What a model needs to know of an area beside its horizons.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Seconds of the grid since the process started.
    pub age_secs: f64,
    /// The resolution of the source.
    pub quantum: f64,
    /// The level of the grid that samples go into.
    pub finest: usize,
    /// This life so far.
    pub life: &'a Life,
    /// The one before.
    pub past: Option<&'a PastLife>,
    /// The slope of each horizon that speaks, in units a second.
    pub slopes: &'a [Option<f32>; LEVELS],
}

impl Context<'_> {
    /// The features of the circumstances; NaN where there is nothing to say.
    #[must_use]
    pub fn features(&self) -> [f32; CONTEXT] {
        let level = self.life.newest_floor().abs().max(1.0);
        let mut features = [f32::NAN; CONTEXT];
        let first = [
            self.age_secs.clamp(1.0, OLD_SECS).log10(),
            (self.quantum / level).max(1e-7).log10(),
            super::robust::count(self.finest),
            (self.life.rise() / level).max(1e-4).log10(),
        ];
        let values =
            first.into_iter().chain(self.of_the_past()).chain(self.paces()).chain(self.since_marks());
        for (feature, value) in features.iter_mut().zip(values) {
            *feature = narrow(value);
        }
        features
    }

    /// Each horizon's slope over that of the next longer one: below 1 the growth slows down.
    fn paces(&self) -> impl Iterator<Item = f64> {
        self.slopes.iter().zip(self.slopes.iter().skip(1)).map(|(shorter, longer)| match (shorter, longer) {
            (Some(shorter), Some(longer)) if *longer > 0.0 => {
                f64::from(shorter / longer).clamp(PACE_RANGE.0, PACE_RANGE.1)
            }
            _ => f64::NAN,
        })
    }

    /// The pace since each of the latest marks over that until it: 1 in an even climb, less where it levels off.
    fn since_marks(&self) -> impl Iterator<Item = f64> {
        let least = (1e-3 * self.life.newest_floor()).abs().max(self.quantum).max(1.0);
        let ratio = move |(before, since): (f64, f64)| ((since + least) / (before + least)).clamp(-1.0, 8.0);
        self.life.before_and_since(self.age_secs).take(MARKS).map(ratio)
    }

    fn of_the_past(&self) -> [f64; 8] {
        let Some(past) = self.past else { return [f64::NAN; 8] };
        // What is small against the size is no rise.
        let least = (1e-3 * f64::from(past.size)).abs().max(self.quantum).max(1.0);
        let over = |part: f64, whole: f64| ((part + least) / (whole + least)).clamp(-1.0, 8.0);
        let beside = self.life.beside(past, self.age_secs);
        [
            f64::from(past.lives),
            (self.age_secs / f64::from(past.age_secs).max(1.0)).max(1e-3).log10(),
            over(self.life.rise(), f64::from(past.rise)),
            beside.map_or(f64::NAN, |(mine, then)| over(mine, then)),
            beside.map_or(f64::NAN, |(_, then)| {
                ((f64::from(past.rise) - then) / (then.abs() + least)).clamp(-1.0, 20.0)
            }),
            f64::from(past.strength),
            f64::from(past.recent_pace),
            f64::from(past.saturation_gain),
        ]
    }
}

/// The names of all features, in their order.
pub fn names() -> impl Iterator<Item = String> {
    let of_horizons =
        (0..LEVELS).flat_map(|level| horizon::NAMES.iter().map(move |name| format!("{name}_{level}")));
    let of_circumstances = CONTEXT_NAMES.iter().map(|name| String::from(*name));
    let of_paces = (1..LEVELS).map(|level| format!("pace_{}_over_{level}", level - 1));
    let of_marks = (1..=MARKS).map(|back| format!("pace_since_mark_{back}"));
    of_horizons.chain(of_circumstances).chain(of_paces).chain(of_marks)
}
