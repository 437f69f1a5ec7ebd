//! The shape of a rise: even, in steps, levelling off, accelerating; and where it began.

use super::robust::{UNIFORM_DEVIATION, count, ends, least_squares, span};
use crate::series::ladder::BUCKETS;

/// Time constants that are tried, as shares of the window. Shorter ones look like a step, longer ones like a line.
const TIME_CONSTANTS: [f64; 6] = [0.08, 0.16, 0.32, 0.64, 1.28, 2.56];
/// Differences of fit are believed up to this log-ratio of squared errors.
const MAX_GAIN: f64 = 4.0;
/// What is still to come under a levelling curve is believed up to this multiple of what came.
const MAX_REST: f64 = 20.0;
/// So many buckets must lie behind a bend for its slope to mean something.
const LEAST_BEHIND: usize = 3;

/// What the floors of one window look like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// Net way over walked way: 1 for a straight climb, near 0 for a wanderer.
    pub efficiency: f64,
    /// Share of the rise in its largest single step.
    pub largest_step: f64,
    /// How many of the steps carry the rise, as a share of all: 1 when all rise alike.
    pub participation: f64,
    /// Largest fall from a former top, as a share of the rise.
    pub drawdown: f64,
    /// Pace of the last third over the pace of the whole.
    pub recent_pace: f64,
    /// Pace of the first third over the pace of the whole.
    pub first_pace: f64,
    /// How much better a curve that levels off fits than a line: log-ratio of squared errors.
    pub saturation_gain: f64,
    /// Growth still to come under that curve, as a share of the growth so far.
    pub saturation_rest: f64,
    /// How much better an exponential fits than a line.
    pub exponential_gain: f64,
    /// The time constant of that exponential, in widths of a bucket.
    pub exponential_tau: f64,
    /// What of the last floor is the exponential's, in units.
    pub exponential_part: f64,
    /// How much better one step fits than a line.
    pub step_gain: f64,
    /// How much better "level, then a line" fits than a line.
    pub bend_gain: f64,
    /// The rise behind that bend in standard errors.
    pub bend_strength: f64,
    /// The slope behind that bend, in units a width.
    pub bend_slope: f64,
    /// The bucket of that bend; 0 when the growth was there from the window's start.
    pub bend: usize,
    /// Steps that went up.
    pub steps_up: u16,
    /// Steps in all.
    pub steps: u16,
}

/// The floors of one window, as what is fitted: steps counts widths since the first bucket.
#[derive(Clone, Copy, Debug)]
pub struct Floors<'a> {
    /// How many widths each bucket lies after the first.
    pub steps: &'a [f64],
    /// Their floors.
    pub floors: &'a [f64],
    /// The resolution of the source: it keeps rounding from looking like structure.
    pub quantum: f64,
}

impl Shape {
    /// Measures floors whose overall slope is `slope` a width and which rose by `rise`; `kept` saves work.
    #[must_use]
    pub fn measure(window: Floors<'_>, slope: f64, rise: f64, kept: &mut Kept) -> Self {
        let Floors { steps: times, floors, quantum } = window;
        let (Some(first), Some(last)) = (floors.first(), floors.last()) else { return Self::default() };
        let steps = Steps::of(floors);
        let per_rise = |part: f64| part / rise.abs().max(quantum).max(1e-9);
        let mut shape = Self {
            efficiency: (last - first) / steps.path.max(quantum).max(1e-9),
            largest_step: per_rise(steps.largest).min(2.0),
            participation: steps.participation(),
            drawdown: per_rise(drawdown(floors)).min(3.0),
            steps_up: steps.up,
            steps: steps.all,
            ..Self::default()
        };
        shape.measure_paces(times, floors, slope);
        shape.compare_models(window, kept);
        shape
    }

    fn measure_paces(&mut self, times: &[f64], floors: &[f64], slope: f64) {
        let third = (floors.len() / 3).max(4).min(floors.len());
        let begin = floors.len() - third;
        let pace = |times: Option<&[f64]>, floors: Option<&[f64]>| match (times, floors) {
            (Some(times), Some(floors)) if slope > 0.0 => least_squares(times, floors) / slope,
            _ => 0.0,
        };
        self.recent_pace = pace(times.get(begin..), floors.get(begin..)).clamp(-2.0, 4.0);
        self.first_pace = pace(times.get(..third), floors.get(..third)).clamp(-2.0, 4.0);
    }

    /// Fits a line, curves that level off, exponentials, one step and one bend, all by least squares.
    fn compare_models(&mut self, window: Floors<'_>, kept: &mut Kept) {
        let Floors { steps: times, floors, quantum } = window;
        let span = span(times);
        if span <= 0.0 {
            return;
        }
        let rounding = count(floors.len()) * (quantum * UNIFORM_DEVIATION).powi(2) + 1e-6;
        let fitting = Fitting::new(floors);
        let of_these_times;
        let regressors = if let Some(kept) = kept.without_gap(times) {
            kept
        } else {
            of_these_times = Regressors::of(times);
            &of_these_times
        };
        let products = fitting.products(&regressors.values);
        let mut fits = regressors
            .sums
            .iter()
            .zip(&regressors.squares)
            .zip(products)
            .map(|((x, xx), xy)| fitting.of_sums(Sums { x: *x, xx: *xx, xy }));
        let line = fits.next().map_or(0.0, |fit| fit.error) + rounding;
        let gain = |error: f64| {
            let better = line / (error + rounding);
            if better.is_finite() { better.ln().clamp(-MAX_GAIN, MAX_GAIN) } else { 0.0 }
        };
        let mut best_saturating = f64::INFINITY;
        let mut best_exponential = f64::INFINITY;
        self.saturation_rest = MAX_REST;
        for share in &TIME_CONSTANTS {
            let (Some(saturating), Some(exponential)) = (fits.next(), fits.next()) else { break };
            if saturating.slope > 0.0 && saturating.error < best_saturating {
                best_saturating = saturating.error;
                let rest = (-1.0 / share).exp();
                self.saturation_rest = rest / (1.0 - rest);
            }
            if exponential.slope > 0.0 && exponential.error < best_exponential {
                best_exponential = exponential.error;
                self.exponential_tau = share * span;
                self.exponential_part = exponential.slope;
            }
        }
        self.saturation_gain = if best_saturating.is_finite() { gain(best_saturating) } else { 0.0 };
        self.exponential_gain = if best_exponential.is_finite() { gain(best_exponential) } else { 0.0 };
        self.step_gain = gain(fitting.best_step());
        self.find_bend(window, &fitting, rounding, gain);
    }

    /// The best fit of "level, then a line". Every second bucket is tried: neighbours hardly differ. One way back through
    /// the window is enough for all of them, since a line from a bend is made of the sums behind it.
    fn find_bend(
        &mut self,
        window: Floors<'_>,
        fitting: &Fitting<'_>,
        rounding: f64,
        gain: impl Fn(f64) -> f64,
    ) {
        let Floors { steps: times, floors, quantum } = window;
        let bends = floors.len().saturating_sub(LEAST_BEHIND);
        let mut best = Fit { slope: 0.0, error: f64::INFINITY };
        let mut behind = Behind::default();
        for (bend, (at, floor)) in times.iter().zip(floors).enumerate().skip(1).rev() {
            behind.take_in(*at, floor - fitting.mean);
            if bend >= bends || bend % 2 == 0 {
                continue;
            }
            let fit = fitting.of_sums(behind.sums_from(*at));
            // Of two that fit alike the earlier one, which is met later.
            if fit.error <= best.error {
                best = fit;
                self.bend = bend;
            }
        }
        if !best.error.is_finite() {
            return;
        }
        self.bend_gain = gain(best.error);
        let deviation = ((best.error + rounding) / count(floors.len())).sqrt().max(0.29 * quantum);
        let behind = count(floors.len() - self.bend);
        let rise = best.slope * (times.last().unwrap_or(&0.0) - times.get(self.bend).unwrap_or(&0.0));
        self.bend_strength = rise / (deviation * (12.0 / behind).sqrt()).max(1e-9);
        self.bend_slope = best.slope;
        // A bend has two parameters more to explain with; a little better is not yet a bend.
        if self.bend_gain < 0.15 {
            self.bend = 0;
        }
    }
}

/// What floors are compared with, which depends on nothing but when they were: a line, and for each of the
/// [`TIME_CONSTANTS`] a curve that levels off, up to 0, and one that grows by a share of itself, up to 1.
#[derive(Debug)]
struct Regressors {
    /// At each time the values of all of them, so that they are fitted side by side.
    values: [[f64; REGRESSORS]; BUCKETS],
    sums: [f64; REGRESSORS],
    squares: [f64; REGRESSORS],
}

/// One more than there are: an even number is computed in pairs.
const REGRESSORS: usize = 2 + 2 * TIME_CONSTANTS.len();

/// Those of windows of so many buckets without a gap, which most windows are: 4 KiB each, made when first needed.
#[derive(Debug, Default)]
pub struct Kept {
    by_buckets: Vec<Option<Box<Regressors>>>,
}

impl Kept {
    /// Those for windows as long as this one; none where there is a gap. Times are whole widths since the first, and none
    /// comes twice.
    fn without_gap(&mut self, times: &[f64]) -> Option<&Regressors> {
        if span(times) > count(times.len().saturating_sub(1)) {
            return None;
        }
        self.by_buckets.resize_with(BUCKETS + 1, || None);
        let kept = self.by_buckets.get_mut(times.len())?;
        Some(kept.get_or_insert_with(|| Box::new(Regressors::of(times))))
    }
}

impl Regressors {
    fn of(times: &[f64]) -> Self {
        let span = span(times);
        let mut regressors = Self {
            values: [[0.0; REGRESSORS]; BUCKETS],
            sums: [0.0; REGRESSORS],
            squares: [0.0; REGRESSORS],
        };
        let curves = TIME_CONSTANTS.iter().flat_map(|share| {
            let decays = powers(times, (-1.0 / (share * span)).exp());
            let last = (-1.0 / share).exp();
            let rises = powers(times, (1.0 / (share * span)).exp());
            [decays.map(|decay| -decay), rises.map(|rise| last * rise)]
        });
        let mut line = [0.0; BUCKETS];
        line.iter_mut().zip(times).for_each(|(slot, time)| *slot = *time);
        for (at, of_one) in std::iter::once(line).chain(curves).enumerate() {
            regressors.put(at, of_one.iter().take(times.len()));
        }
        regressors
    }

    fn put<'a>(&mut self, at: usize, values: impl Iterator<Item = &'a f64>) {
        let (Some(sum), Some(squares)) = (self.sums.get_mut(at), self.squares.get_mut(at)) else { return };
        for (row, value) in self.values.iter_mut().zip(values) {
            if let Some(slot) = row.get_mut(at) {
                *slot = *value;
            }
            *sum += value;
            *squares += value * value;
        }
    }
}

/// `one` to the power of each time. Times are whole numbers of widths, so multiplying is enough.
fn powers(times: &[f64], one: f64) -> [f64; BUCKETS] {
    let mut powers = [1.0; BUCKETS];
    let (mut at, mut power) = (0.0, 1.0);
    for (slot, time) in powers.iter_mut().zip(times) {
        while at < *time {
            power *= one;
            at += 1.0;
        }
        *slot = power;
    }
    powers
}

#[derive(Clone, Copy)]
struct Fit {
    slope: f64,
    error: f64,
}

/// Sums over a regressor `x` and the floors `y`, these from their mean.
#[derive(Clone, Copy, Default)]
struct Sums {
    x: f64,
    xx: f64,
    xy: f64,
}

/// Sums over the buckets from one on.
#[derive(Default)]
struct Behind {
    buckets: f64,
    floors: f64,
    times: Sums,
}

impl Behind {
    fn take_in(&mut self, at: f64, floor: f64) {
        self.buckets += 1.0;
        self.floors += floor;
        self.times.x += at;
        self.times.xx += at * at;
        self.times.xy += at * floor;
    }

    /// The sums of the regressor that is 0 up to `bend` and the time since then behind it.
    fn sums_from(&self, bend: f64) -> Sums {
        let Self { buckets, floors, times } = self;
        Sums {
            x: times.x - buckets * bend,
            xx: times.xx + bend * (buckets * bend - 2.0 * times.x),
            xy: times.xy - bend * floors,
        }
    }
}

/// Least squares of `floor = intercept + slope · regressor` for many regressors of the same floors.
struct Fitting<'a> {
    floors: &'a [f64],
    mean: f64,
    squares: f64,
}

impl<'a> Fitting<'a> {
    fn new(floors: &'a [f64]) -> Self {
        let mean = floors.iter().sum::<f64>() / count(floors.len());
        let squares = floors.iter().map(|floor| (floor - mean) * (floor - mean)).sum();
        Self { floors, mean, squares }
    }

    /// The sums of the products of each regressor and the floors.
    fn products(&self, values: &[[f64; REGRESSORS]]) -> [f64; REGRESSORS] {
        let mut sums = [0.0; REGRESSORS];
        for (row, floor) in values.iter().zip(self.floors) {
            let from_mean = floor - self.mean;
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value * from_mean;
            }
        }
        sums
    }

    fn of_sums(&self, sums: Sums) -> Fit {
        let squares = sums.xx - sums.x * sums.x / count(self.floors.len());
        if squares <= 1e-12 {
            return Fit { slope: 0.0, error: self.squares };
        }
        Fit { slope: sums.xy / squares, error: (self.squares - sums.xy * sums.xy / squares).max(0.0) }
    }

    /// The squared error of the best two levels.
    fn best_step(&self) -> f64 {
        let all = count(self.floors.len());
        let (mut before, mut sum) = (0.0, 0.0);
        let mut best = self.squares;
        for floor in self.floors.iter().take(self.floors.len().saturating_sub(1)) {
            before += 1.0;
            sum += floor - self.mean;
            best = best.min(self.squares - sum * sum / before - sum * sum / (all - before));
        }
        best.max(0.0)
    }
}

#[derive(Default)]
struct Steps {
    path: f64,
    largest: f64,
    climbed: f64,
    climbed_squares: f64,
    up: u16,
    all: u16,
}

impl Steps {
    fn of(floors: &[f64]) -> Self {
        let mut steps = Self::default();
        for (one, next) in floors.iter().zip(floors.iter().skip(1)) {
            let step = next - one;
            steps.path += step.abs();
            steps.all += 1;
            if step <= 0.0 {
                continue;
            }
            steps.up += 1;
            steps.climbed += step;
            steps.climbed_squares += step * step;
            steps.largest = steps.largest.max(step);
        }
        steps
    }

    fn participation(&self) -> f64 {
        self.climbed * self.climbed / self.climbed_squares.max(1e-9) / f64::from(self.all.max(1))
    }
}

fn drawdown(floors: &[f64]) -> f64 {
    let mut top = f64::NEG_INFINITY;
    floors.iter().fold(0.0, |largest: f64, floor| {
        top = top.max(*floor);
        largest.max(top - floor)
    })
}

/// Rise from the average of the first quarter to that of the last.
#[must_use]
pub fn rise(floors: &[f64]) -> f64 {
    let (head, tail) = ends(floors, (floors.len() / 4).max(2));
    tail - head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Vec<f64> {
        (0..36).map(f64::from).collect()
    }

    fn shape(curve: impl Fn(f64) -> f64) -> Shape {
        let steps = times();
        let floors: Vec<f64> = steps.iter().copied().map(curve).collect();
        let window = Floors { steps: &steps, floors: &floors, quantum: 0.0 };
        Shape::measure(window, least_squares(&steps, &floors), rise(&floors), &mut Kept::default())
    }

    #[test]
    fn a_line_is_even() {
        let line = shape(|time| 5.0 * time);
        assert!((line.efficiency - 1.0).abs() < 1e-9 && (line.recent_pace - 1.0).abs() < 1e-9);
        assert!(line.largest_step < 0.1 && line.drawdown < 1e-9 && line.participation > 0.99);
        assert_eq!((line.steps_up, line.steps, line.bend), (35, 35, 0));
    }

    #[test]
    fn a_line_with_a_gap_is_no_curve() {
        let steps: Vec<f64> = times().into_iter().filter(|time| !(9.0..20.0).contains(time)).collect();
        let floors: Vec<f64> = steps.iter().map(|time| 5.0 * time).collect();
        let window = Floors { steps: &steps, floors: &floors, quantum: 0.0 };
        let line = Shape::measure(window, 5.0, rise(&floors), &mut Kept::default());
        assert!(line.saturation_gain <= -MAX_GAIN && line.exponential_gain <= -MAX_GAIN, "{line:?}");
    }

    #[test]
    fn a_step_is_one_jump() {
        let step = shape(|time| if time > 10.0 { 50.0 } else { 0.0 });
        assert!(step.largest_step > 0.95 && step.step_gain > 2.0, "{step:?}");
    }

    #[test]
    fn a_warm_up_has_little_to_come_and_an_exponential_has_not() {
        let warm_up = shape(|time| 100.0 * (1.0 - (-time / 6.0).exp()));
        assert!(warm_up.saturation_gain > 2.0 && warm_up.saturation_rest < 0.05, "{warm_up:?}");
        assert!(warm_up.recent_pace < 0.2);
        let exponential = shape(|time| (time / 11.0).exp());
        assert!(exponential.exponential_gain > 2.0 && exponential.recent_pace > 1.5, "{exponential:?}");
        assert!((exponential.exponential_tau / 11.0 - 1.0).abs() < 0.2);
    }

    #[test]
    fn growth_begins_at_the_bend() {
        let bent = shape(|time| (time - 13.0).max(0.0));
        assert_eq!(bent.bend, 13);
        assert!(bent.bend_gain > 2.0 && bent.bend_strength > 20.0, "{bent:?}");
    }
}
