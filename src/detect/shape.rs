//! The shape of a rise: even, in steps, levelling off, accelerating; and where it began.

use super::robust::{count, ends, least_squares, span};

/// Time constants that are tried, as shares of the window. Shorter ones look like a step, longer ones like a line.
const TIME_CONSTANTS: [f64; 6] = [0.08, 0.16, 0.32, 0.64, 1.28, 2.56];
/// Differences of fit are believed up to this log-ratio of squared errors.
const MAX_GAIN: f64 = 4.0;

/// What the floors of one window look like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape {
    /// Rise from the average of the first quarter to that of the last.
    pub rise: f64,
    /// Net way over walked way: 1 for a straight climb, near 0 for a wanderer.
    pub efficiency: f64,
    /// Share of the rise in its largest single step.
    pub largest_step: f64,
    /// Share of the rise in its two largest steps.
    pub two_largest_steps: f64,
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
    /// The time constant of that exponential, in seconds.
    pub exponential_tau_secs: f64,
    /// What of the last floor is the exponential's, in units.
    pub exponential_part: f64,
    /// Steps that went up, and steps in all.
    pub steps_up: u16,
    /// Steps in all.
    pub steps: u16,
}

impl Shape {
    /// Measures the floors, whose overall slope is `slope`. The quantum keeps rounding from looking like structure.
    #[must_use]
    pub fn measure(times: &[f64], floors: &[f64], slope: f64, quantum: f64) -> Self {
        let (Some(first), Some(last)) = (floors.first(), floors.last()) else { return Self::default() };
        let quarter = (floors.len() / 4).max(2);
        let (head, tail) = ends(floors, quarter);
        let rise = tail - head;
        let steps = Steps::of(floors);
        let per_rise = |part: f64| part / rise.abs().max(quantum).max(f64::MIN_POSITIVE);
        let mut shape = Self {
            rise,
            efficiency: (last - first) / steps.path.max(quantum).max(f64::MIN_POSITIVE),
            largest_step: per_rise(steps.largest),
            two_largest_steps: per_rise(steps.largest + steps.second),
            drawdown: per_rise(drawdown(floors)),
            recent_pace: 0.0,
            first_pace: 0.0,
            steps_up: steps.up,
            steps: steps.all,
            ..Self::default()
        };
        shape.measure_paces(times, floors, slope);
        shape.compare_models(times, floors, quantum);
        shape
    }

    fn measure_paces(&mut self, times: &[f64], floors: &[f64], slope: f64) {
        let third = (floors.len() / 3).max(4).min(floors.len());
        let begin = floors.len() - third;
        let pace = |times: Option<&[f64]>, floors: Option<&[f64]>| match (times, floors) {
            (Some(times), Some(floors)) if slope != 0.0 => least_squares(times, floors) / slope,
            _ => 0.0,
        };
        self.recent_pace = pace(times.get(begin..), floors.get(begin..)).clamp(-4.0, 6.0);
        self.first_pace = pace(times.get(..third), floors.get(..third)).clamp(-4.0, 6.0);
    }

    /// Fits a line, curves that level off, and exponentials, all by least squares in two linear parameters.
    fn compare_models(&mut self, times: &[f64], floors: &[f64], quantum: f64) {
        let span = span(times);
        let (Some(start), true) = (times.first().copied(), span > 0.0) else { return };
        let scaled = |time: f64| (time - start) / span;
        let rounding = count(floors.len()) * (quantum * 0.289).powi(2) + f64::MIN_POSITIVE;
        let line = fit(times, floors, scaled).error + rounding;
        let mut best_saturating = f64::INFINITY;
        let mut best_exponential = f64::INFINITY;
        for tau in TIME_CONSTANTS {
            let saturating = fit(times, floors, |time| 1.0 - (-scaled(time) / tau).exp());
            if saturating.slope > 0.0 && saturating.error + rounding < best_saturating {
                best_saturating = saturating.error + rounding;
                let rest = (-1.0 / tau).exp();
                self.saturation_rest = rest / (1.0 - rest);
            }
            let exponential = fit(times, floors, |time| ((scaled(time) - 1.0) / tau).exp());
            if exponential.slope > 0.0 && exponential.error + rounding < best_exponential {
                best_exponential = exponential.error + rounding;
                self.exponential_tau_secs = tau * span;
                self.exponential_part = exponential.slope;
            }
        }
        let gain =
            |other: f64| if other.is_finite() { (line / other).ln().clamp(-MAX_GAIN, MAX_GAIN) } else { 0.0 };
        self.saturation_gain = gain(best_saturating);
        self.exponential_gain = gain(best_exponential);
    }
}

struct Fit {
    slope: f64,
    error: f64,
}

/// Least squares of `floor = intercept + slope · regressor(time)`.
fn fit(times: &[f64], floors: &[f64], regressor: impl Fn(f64) -> f64) -> Fit {
    let points = count(times.len());
    let mean_x = times.iter().map(|time| regressor(*time)).sum::<f64>() / points;
    let mean_y = floors.iter().sum::<f64>() / points;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (time, floor) in times.iter().zip(floors) {
        let (x, y) = (regressor(*time) - mean_x, floor - mean_y);
        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    Fit { slope, error: (yy - slope * xy).max(0.0) }
}

#[derive(Default)]
struct Steps {
    path: f64,
    largest: f64,
    second: f64,
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
            steps.up += u16::from(step > 0.0);
            if step > steps.largest {
                steps.second = steps.largest;
                steps.largest = step;
            } else if step > steps.second {
                steps.second = step;
            }
        }
        steps
    }
}

fn drawdown(floors: &[f64]) -> f64 {
    let mut top = f64::NEG_INFINITY;
    floors.iter().fold(0.0, |largest: f64, floor| {
        top = top.max(*floor);
        largest.max(top - floor)
    })
}

/// When growth began and the floor it began from: the best fit of "level, then a line".
///
/// Returns the index of the last level bucket; 0 when the window shows growth from its start.
#[must_use]
pub fn onset(times: &[f64], floors: &[f64]) -> usize {
    /// So many buckets must be behind the bend for its slope to mean something.
    const LEAST_BEHIND: usize = 4;
    let bends = floors.len().saturating_sub(LEAST_BEHIND);
    let error_at = |bend: usize| {
        let Some(at) = times.get(bend).copied() else { return f64::INFINITY };
        fit(times, floors, |time| (time - at).max(0.0)).error
    };
    let whole = error_at(0);
    let best = (1..bends).map(|bend| (bend, error_at(bend))).min_by(|one, other| one.1.total_cmp(&other.1));
    match best {
        // A bend has one parameter more than a line: it must earn it.
        Some((bend, error)) if error < 0.7 * whole => bend,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Vec<f64> {
        (0..28).map(|index| f64::from(index) * 10.0).collect()
    }

    fn shape(curve: impl Fn(f64) -> f64) -> Shape {
        let floors: Vec<f64> = times().into_iter().map(curve).collect();
        Shape::measure(&times(), &floors, least_squares(&times(), &floors), 0.0)
    }

    #[test]
    fn a_line_is_even() {
        let line = shape(|time| 5.0 * time);
        assert!((line.efficiency - 1.0).abs() < 1e-9 && (line.recent_pace - 1.0).abs() < 1e-9);
        assert!(line.largest_step < 0.1 && line.drawdown < 1e-9);
        assert_eq!((line.steps_up, line.steps), (27, 27));
    }

    #[test]
    fn a_step_is_one_jump() {
        let step = shape(|time| if time > 100.0 { 50.0 } else { 0.0 });
        assert!(step.largest_step > 0.95, "{step:?}");
    }

    #[test]
    fn a_warm_up_has_little_to_come_and_an_exponential_has_not() {
        let warm_up = shape(|time| 100.0 * (1.0 - (-time / 60.0).exp()));
        assert!(warm_up.saturation_gain > 2.0 && warm_up.saturation_rest < 0.05, "{warm_up:?}");
        assert!(warm_up.recent_pace < 0.2);
        let exponential = shape(|time| (time / 90.0).exp());
        assert!(exponential.exponential_gain > 2.0 && exponential.recent_pace > 1.5, "{exponential:?}");
        assert!((exponential.exponential_tau_secs / 90.0 - 1.0).abs() < 0.2);
    }

    #[test]
    fn growth_begins_at_the_bend() {
        let floors: Vec<f64> = times().into_iter().map(|time| (time - 120.0).max(0.0)).collect();
        assert_eq!(onset(&times(), &floors), 12);
        let line: Vec<f64> = times();
        assert_eq!(onset(&times(), &line), 0);
    }
}
