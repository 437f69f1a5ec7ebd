//! Growth beneath a load that comes and goes each day: of a morning a line says that it rises, and of a week a leak.
//!
//! The floors of some days are laid out as a level, two waves (a day, and half of one) and a line that begins somewhere, by
//! least squares. If the waves explain far more than a line does alone, there is such a load, and the line is the growth
//! beneath it. Where it begins nobody knows, so each beginning has its say by its likelihood, and how far they are apart
//! counts into the error (averaging over models: Hoeting et al., Statistical Science 14, 1999).

use super::robust::{UNIFORM_DEVIATION, count};
use crate::{
    sample::Seconds,
    series::ladder::{BUCKETS, Window},
};
use std::f64::consts::TAU;

/// The level that days are seen in: 36 buckets of 2.4 h are three days and a half.
pub const LEVEL: usize = 6;

const DAY_SECS: f64 = 86_400.0;
/// Sine and cosine of a day and of half a day.
const WAVES: usize = 4;
/// The level and the waves.
const FIXED: usize = 1 + WAVES;
/// Less than this is not told from a line with a bend, in days.
const LEAST_DAYS: f64 = 1.2;
/// Of the ten buckets of a day so many must have been seen: fewer samples a day are as good as waves of it themselves.
const LEAST_A_DAY: f64 = 6.0;
/// The line goes through this many buckets at least.
const LEAST_ON_LINE: usize = 3;
/// How much likelier a load must be than none, as twice the logarithm. Measured on the generator's seeds 201 to 208: of
/// leaks under a daily load nine in ten have more than 43, of others nine in ten less than 13.
const CLEAR_GAIN: f64 = 25.0;
/// Floors that follow each other tell half as much as ones that know nothing of each other.
const TELLING: f64 = 0.5;
/// Sizes are not told apart by less than this, in units,
const LEAST_ROUNDING: f64 = 1e-3;
/// nor by less than this share of them; squares are computed as exactly.
const EXACT_SHARE: f64 = 1e-12;
/// The growth is some as soon as it is so many of its errors.
const CLEAR_STRENGTH: f64 = 2.0;
/// One day's load differs from that of another by about this share, which two or three days do not show.
const DAYS_DIFFER: f64 = 0.1;
/// The waves are rounder than a load is: a morning may be so many times as steep.
const STEEPER: f64 = 1.5;

/// The growth beneath a daily load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Daily {
    /// The growth in units a second.
    pub slope: f64,
    /// Its standard error.
    pub error: f64,
    /// When it most likely began, as far back as the window goes.
    pub onset: Seconds,
    /// From here the waves are counted.
    begin: Seconds,
    /// How high each wave is, in units.
    waves: [f64; WAVES],
}

impl Daily {
    /// What a window of the [level](LEVEL) shows; none where it is too short, and where there is no load of that kind or no
    /// clear growth beneath it.
    #[must_use]
    pub fn of(window: &Window, quantum: f64) -> Option<Self> {
        let days = Days::of(window)?;
        let (waving, flat) = (Basis::of(&days, FIXED), Basis::of(&days, 1));
        let rounding = days.rounding(quantum, &flat);
        let lines = waving.lines(&days, rounding);
        let (best, without_waves) = (likeliest(&lines)?, likeliest(&flat.lines(&days, rounding))?);
        let gain = count(days.buckets) * (without_waves.rest / best.rest).ln();
        let (slope, scatter) = average(&lines, &best, days.buckets);
        let waves = waving.waves(&days, &best);
        let error = (scatter * waving.lasting(&days, &best)).hypot(days.difference(&waves));
        // What is no number is not clear either.
        let is_clear = gain >= CLEAR_GAIN && slope > 0.0 && slope >= CLEAR_STRENGTH * error;
        if !is_clear {
            return None;
        }
        Some(Self {
            slope: slope / DAY_SECS,
            error: error / DAY_SECS,
            onset: window.begin + days.times.get(best.begin)? * DAY_SECS,
            // A floor is that of any moment of its bucket: the middle, in the mean.
            begin: window.begin + window.width_secs / 2.0,
            waves,
        })
    }

    /// How far an area will have risen `secs` seconds after `now`, line and load together, in units.
    #[must_use]
    pub fn rise(&self, now: Seconds, secs: f64) -> f64 {
        self.slope * secs + self.load(now + secs) - self.load(now)
    }

    /// Whether a slope, in units a second, is no more than such a load and this growth bring about.
    #[must_use]
    pub fn accounts_for(&self, slope: f64) -> bool {
        let [sine, cosine, of_half, and_half] = self.waves;
        let steepest = (sine.hypot(cosine) + 2.0 * of_half.hypot(and_half)) * TAU / DAY_SECS;
        slope <= self.slope + STEEPER * steepest
    }

    fn load(&self, at: Seconds) -> f64 {
        waves_at((at - self.begin) / DAY_SECS)
            .iter()
            .zip(self.waves)
            .map(|(wave, height)| wave * height)
            .sum()
    }
}

/// The floors of a window, and their times in days.
struct Days {
    buckets: usize,
    times: Row,
    floors: Row,
}

impl Days {
    fn of(window: &Window) -> Option<Self> {
        let buckets = window.floors.len();
        let mut days = Self { buckets, times: [0.0; BUCKETS], floors: [0.0; BUCKETS] };
        for (time, step) in days.times.iter_mut().zip(&window.steps) {
            *time = step * window.width_secs / DAY_SECS;
        }
        for (kept, floor) in days.floors.iter_mut().zip(&window.floors) {
            *kept = *floor;
        }
        let last = days.times.get(buckets.checked_sub(1)?)?;
        let is_dense = count(buckets) >= LEAST_A_DAY * last;
        (is_dense && *last >= LEAST_DAYS && buckets > FIXED + 2 + LEAST_ON_LINE).then_some(days)
    }

    /// The error of a slope by how much days with such waves differ, in units a day: a line through values that differ by
    /// σ has a slope with an error of σ·√12 for each one, over their number to the power of three halves.
    fn difference(&self, waves: &[f64; WAVES]) -> f64 {
        let days = self.times.iter().copied().fold(0.0, f64::max);
        DAYS_DIFFER * height(waves) * 12f64.sqrt() / days.powf(1.5)
    }

    /// What of the squares is rounding, by the source and by computing: an exact line leaves nothing for waves to explain.
    fn rounding(&self, quantum: f64, flat: &Basis) -> f64 {
        let from_mean = flat.rest(self.floors);
        let largest = self.floors.iter().fold(0.0f64, |largest, floor| largest.max(floor.abs()));
        let of_one = (UNIFORM_DEVIATION * quantum).max(LEAST_ROUNDING).max(EXACT_SHARE * largest);
        count(self.buckets) * of_one.powi(2) + EXACT_SHARE * dot(&from_mean, &from_mean)
    }

    /// A line of slope 1 a day from a bucket on, and 0 before it.
    fn ramp(&self, begin: usize) -> Row {
        let from = self.times.get(begin).copied().unwrap_or(f64::INFINITY);
        self.row(|time| (time - from).max(0.0))
    }

    fn row(&self, of: impl Fn(f64) -> f64) -> Row {
        let mut row = [0.0; BUCKETS];
        for (value, time) in row.iter_mut().zip(self.times).take(self.buckets) {
            *value = of(time);
        }
        row
    }
}

/// A line that begins somewhere in the window, beside what else is laid out.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// At which bucket it begins.
    begin: usize,
    /// In units a day.
    slope: f64,
    /// The square of its standard error.
    variance: f64,
    /// The sum of the squares that remain.
    rest: f64,
}

/// One value for each bucket; 0 where there is none.
type Row = [f64; BUCKETS];

/// The level and the waves, made independent of each other by Gram and Schmidt; rows that are not in use are 0.
struct Basis {
    rows: [Row; FIXED],
    /// How much of the level and of each wave is in each row.
    recipes: [[f64; FIXED]; FIXED],
}

impl Basis {
    /// The first `used` of the level and the waves.
    fn of(days: &Days, used: usize) -> Self {
        let mut basis = Self { rows: [[0.0; BUCKETS]; FIXED], recipes: [[0.0; FIXED]; FIXED] };
        for at in 0..used {
            let mut row = days.row(|time| all_at(time).get(at).copied().unwrap_or(0.0));
            let mut recipe = std::array::from_fn(|part| if part == at { 1.0 } else { 0.0 });
            let whole = dot(&row, &row);
            for (other, of_other) in basis.rows.iter().zip(&basis.recipes) {
                let shared = dot(&row, other);
                take_off(&mut row, shared, other);
                take_off(&mut recipe, shared, of_other);
            }
            let length = dot(&row, &row).sqrt();
            // What the ones before it say already adds nothing.
            if length * length > 1e-6 * whole
                && let (Some(to), Some(of_it)) = (basis.rows.get_mut(at), basis.recipes.get_mut(at))
            {
                *to = row.map(|value| value / length);
                *of_it = recipe.map(|part| part / length);
            }
        }
        basis
    }

    /// What of a row neither the level nor the waves explain.
    fn rest(&self, mut row: Row) -> Row {
        for known in &self.rows {
            let shared = dot(&row, known);
            take_off(&mut row, shared, known);
        }
        row
    }

    /// The line from each bucket on that fits best, beside level and waves; `rounding` keeps exact ones from being infinitely
    /// likely.
    fn lines(&self, days: &Days, rounding: f64) -> Lines {
        let floors = self.rest(days.floors);
        let squares = dot(&floors, &floors);
        let freedom = count(days.buckets - FIXED - 2);
        std::array::from_fn(|begin| {
            let ramp = (begin + LEAST_ON_LINE <= days.buckets).then(|| self.rest(days.ramp(begin)))?;
            let (of_ramp, shared) = (dot(&ramp, &ramp), dot(&ramp, &floors));
            let slope = shared / of_ramp;
            let rest = (squares - slope * shared).max(0.0) + rounding;
            let line = Line { begin, slope, variance: rest / freedom / of_ramp, rest };
            (slope.is_finite() && line.variance.is_finite()).then_some(line)
        })
    }

    /// By how much errors grow because what is left beside this line lasts from bucket to bucket, as a busy day does.
    fn lasting(&self, days: &Days, line: &Line) -> f64 {
        let mut floors = days.floors;
        take_off(&mut floors, line.slope, &days.ramp(line.begin));
        let rest = self.rest(floors);
        let [_, later @ ..] = &rest;
        // Where nothing is left nothing lasts.
        let correlation = (dot(&rest, later) / dot(&rest, &rest).max(f64::MIN_POSITIVE)).clamp(0.0, 0.9);
        ((1.0 + correlation) / (1.0 - correlation)).sqrt()
    }

    /// The heights of the waves beside this line.
    fn waves(&self, days: &Days, line: &Line) -> [f64; WAVES] {
        let mut floors = days.floors;
        take_off(&mut floors, line.slope, &days.ramp(line.begin));
        let mut heights = [0.0; FIXED];
        for (row, recipe) in self.rows.iter().zip(&self.recipes) {
            take_off(&mut heights, -dot(&floors, row), recipe);
        }
        let [_, waves @ ..] = heights;
        waves
    }
}

type Lines = [Option<Line>; BUCKETS];

fn likeliest(lines: &Lines) -> Option<Line> {
    lines.iter().flatten().min_by(|one, other| one.rest.total_cmp(&other.rest)).copied()
}

/// The mean slope of the lines by their likelihood, and its standard error, in units a day.
fn average(lines: &Lines, best: &Line, buckets: usize) -> (f64, f64) {
    let weight = |line: &Line| (best.rest / line.rest).powf(TELLING * count(buckets) / 2.0);
    let mean = |of: &dyn Fn(&Line) -> f64| {
        let (sum, weights) = lines
            .iter()
            .flatten()
            .fold((0.0, 0.0), |(sum, weights), line| (sum + weight(line) * of(line), weights + weight(line)));
        sum / weights
    };
    let slope = mean(&|line| line.slope);
    (slope, mean(&|line| line.variance + (line.slope - slope).powi(2)).sqrt())
}

/// From the middle to the top, at most.
fn height([sine, cosine, of_half, and_half]: &[f64; WAVES]) -> f64 {
    sine.hypot(*cosine) + of_half.hypot(*and_half)
}

/// Level and waves at a time in days.
fn all_at(time: f64) -> [f64; FIXED] {
    let [sine, cosine, of_half, and_half] = waves_at(time);
    [1.0, sine, cosine, of_half, and_half]
}

fn waves_at(time: f64) -> [f64; WAVES] {
    let ((sine, cosine), (of_half, and_half)) = ((TAU * time).sin_cos(), (2.0 * TAU * time).sin_cos());
    [sine, cosine, of_half, and_half]
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn take_off(row: &mut [f64], times: f64, other: &[f64]) {
    for (value, part) in row.iter_mut().zip(other) {
        *value -= times * part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH_SECS: f64 = 8748.0;
    const MB_PER_HOUR: f64 = 1e6 / 3600.0;

    /// So many floors of the size at the middle of their buckets, from a week after the epoch on.
    fn window(buckets: u32, size: impl Fn(f64) -> f64) -> Window {
        let begin = 70.0 * WIDTH_SECS;
        let steps: Vec<f64> = (0..buckets).map(f64::from).collect();
        let floors: Vec<f64> = steps.iter().map(|step| size((step + 0.5) * WIDTH_SECS)).collect();
        Window {
            width_secs: WIDTH_SECS,
            pace: 1.0,
            begin,
            ceilings: floors.clone(),
            steps,
            floors,
            past: None,
        }
    }

    /// A load with pointed noons and a noise that is no sine.
    fn load(at: f64) -> f64 {
        let noise = (at / 977.0).sin() + (at / 3331.0).cos();
        2e8 * (TAU * at / DAY_SECS).sin().max(-0.4) + 2e6 * noise
    }

    #[test]
    fn a_leak_is_measured_beneath_a_load_many_times_its_size() {
        for (buckets, rate, began) in
            [(20, 5.0, 0.0), (36, 1.0, 0.0), (20, 20.0, 86_400.0), (15, 50.0, 0.4 * DAY_SECS)]
        {
            let leak = |at: f64| rate * MB_PER_HOUR * (at - began).max(0.0);
            let daily = Daily::of(&window(buckets, |at| 1e9 + load(at) + leak(at)), 4096.0).unwrap();
            let off = daily.slope / (rate * MB_PER_HOUR) - 1.0;
            assert!(off.abs() < 0.15, "{buckets} buckets, {rate} MB/h: {off} off");
            assert!(off.abs() * daily.slope < 2.5 * daily.error, "{buckets}: {daily:?}");
        }
    }

    #[test]
    fn a_load_alone_and_a_leak_alone_are_none() {
        assert_eq!(Daily::of(&window(36, |at| 1e9 + load(at)), 4096.0), None);
        assert_eq!(Daily::of(&window(36, |at| 1e9 + 1e3 * at), 1.0), None);
        let ragged = |at: f64| 1e9 + 1e3 * at + 1e7 * (at / 700.0).sin();
        assert_eq!(Daily::of(&window(20, ragged), 4096.0), None);
        assert_eq!(
            Daily::of(&window(11, |at| 1e9 + load(at) + 1e3 * at), 4096.0),
            None,
            "a day is too short"
        );
        assert_eq!(Daily::of(&Window::default(), 0.0), None);
    }

    /// A line that is sampled every seven hours and a half looks like steps of a bucket, which waves can follow.
    #[test]
    fn three_samples_a_day_show_no_load_of_it() {
        for buckets in 11..30 {
            for phase in 0..20 {
                let mut sparse = window(buckets, |_| 0.0);
                let bucket = |step: f64| (step * 27_000.0 / WIDTH_SECS + f64::from(phase) / 20.0).floor();
                sparse.steps.iter_mut().for_each(|step| *step = bucket(*step));
                (0..buckets)
                    .zip(&mut sparse.floors)
                    .for_each(|(at, floor)| *floor = 4e6 + 2_449_408.0 * f64::from(at));
                assert_eq!(Daily::of(&sparse, 1e-9), None, "{buckets} {phase}");
            }
        }
    }

    /// Waves and a line to the last bit, and nothing beside them.
    #[test]
    fn what_is_left_of_nothing_is_a_number() {
        let exact = |at: f64| (TAU * at / DAY_SECS).sin() * 2f64.powi(40) + at.floor() * 1024.0;
        for buckets in 12..=36 {
            for daily in
                [0.0, 1.0, 1e-30, 4e20].map(|scale| Daily::of(&window(buckets, |at| scale * exact(at)), 0.0))
            {
                let all_finite = daily.is_none_or(|daily| {
                    daily.slope.is_finite() && daily.error.is_finite() && daily.rise(1e9, 3600.0).is_finite()
                });
                assert!(all_finite, "{buckets}: {daily:?}");
            }
        }
    }

    #[test]
    fn what_is_to_come_is_the_line_and_the_time_of_day() {
        let size = |at: f64| 1e9 + 1e8 * (TAU * at / DAY_SECS).sin() + 300.0 * at;
        let window = window(30, size);
        let daily = Daily::of(&window, 1.0).unwrap();
        let now = window.begin + 30.0 * WIDTH_SECS;
        for hours in [0.0, 3.0, 9.0, 20.0, 100.0] {
            let at = 30.0 * WIDTH_SECS;
            let expected = size(at + hours * 3600.0) - size(at);
            let rise = daily.rise(now, hours * 3600.0);
            assert!((rise - expected).abs() < 1e6, "in {hours} h: {rise}, not {expected}");
        }
        let steepest = 1e8 * TAU / DAY_SECS;
        assert!(daily.accounts_for(steepest) && !daily.accounts_for(3.0 * steepest));
    }
}
