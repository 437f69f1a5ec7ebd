//! Estimates that one odd bucket cannot move: slope, scale and drift of a short series of floors.

use std::cmp::Ordering;

/// Consistency factor that makes the median absolute deviation estimate a normal deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;
/// The deviation of what is anywhere within a width of 1 (1/√12), as the rounding error of a quantised value is.
pub const UNIFORM_DEVIATION: f64 = 0.289;
/// Autocorrelation is believed up to here; beyond it the level test is left to the drift test anyway.
const MAX_AUTOCORRELATION: f64 = 0.95;
/// Residuals of this share of the size are those of a line without noise.
const EXACT_SHARE: f64 = 1e-12;
/// A thousandth of a byte or object: what keeps a series without any noise from an infinite strength.
const LEAST_DEVIATION: f64 = 1e-3;

/// The median of the values, which are reordered; 0 for none.
pub fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    let is_odd = values.len() % 2 == 1;
    // Less work than `total_cmp`, and the same order: what is measured here are numbers, none of them infinite.
    let order = |one: &f64, other: &f64| one.partial_cmp(other).unwrap_or(Ordering::Equal);
    let (below, upper, _) = values.select_nth_unstable_by(middle, order);
    let upper = *upper;
    if is_odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

/// The slope of Theil and Sen: the median of the slopes between pairs of points (Sen, JASA 63, 1968).
///
/// Of these only the ones at least a third of the window apart count, at every second distance: near ones are mostly noise,
/// and neighbouring distances have much the same slopes.
pub fn theil_sen(times: &[f64], sizes: &[f64], scratch: &mut Vec<f64>) -> f64 {
    // Most floors stand still most of the time.
    if sizes.windows(2).all(|pair| matches!(pair, [one, next] if one.total_cmp(next).is_eq())) {
        return 0.0;
    }
    scratch.clear();
    // All pairs of the same distance at once: what lies side by side is divided side by side.
    for distance in ((sizes.len() / 3).max(1)..sizes.len()).step_by(2) {
        let ends =
            times.get(distance..).unwrap_or_default().iter().zip(sizes.get(distance..).unwrap_or_default());
        let pairs = times.iter().zip(sizes).zip(ends);
        scratch.extend(pairs.map(|((time, size), (later, then))| (then - size) / (later - time)));
    }
    median(scratch)
}

/// The median of values that keep their order; `scratch` is used for a copy.
pub fn median_of(values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend_from_slice(values);
    median(scratch)
}

/// The least-squares slope; 0 for less than two points.
pub fn least_squares(times: &[f64], sizes: &[f64]) -> f64 {
    let count = count(times.len());
    let mean_time = times.iter().sum::<f64>() / count;
    let mean_size = sizes.iter().sum::<f64>() / count;
    let (covariance, variance) =
        times.iter().zip(sizes).fold((0.0, 0.0), |(covariance, variance), (time, size)| {
            let from_mean = time - mean_time;
            (covariance + from_mean * (size - mean_size), variance + from_mean * from_mean)
        });
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

/// A drift with its strength: how many of its own standard errors it is away from none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drift {
    /// The slope in units a step of time.
    pub slope: f64,
    /// Its standard error.
    pub error: f64,
    /// Its strength in standard errors, signed: the mixture of the next two.
    pub strength: f64,
    /// Its strength as a trend with stationary noise.
    pub level_strength: f64,
    /// Its strength as a random walk with drift.
    pub walk_strength: f64,
    /// Correlation of neighbouring residuals, 0 to 1.
    pub autocorrelation: f64,
    /// Deviation of the residuals, in units.
    pub deviation: f64,
}

impl Drift {
    /// The same drift when a step of time is `secs` seconds long.
    #[must_use]
    pub fn per_second(self, secs: f64) -> Self {
        Self { slope: self.slope / secs, error: self.error / secs, ..self }
    }
}

/// The drift of floors over time.
///
/// Memory is close to a random walk, under which tests for a trend with independent noise (Mann-Kendall among them) cry
/// wolf. So two statistics are mixed after Harvey, Leybourne and Taylor (Journal of Econometrics 141, 2007): one that
/// is right for a trend with stationary noise, one that is right for a random walk with drift; the ratio of the
/// long-run variance of the increments to their variance says which of the two worlds this is.
pub fn drift(times: &[f64], floors: &[f64], quantum: f64, scratch: &mut Vec<f64>) -> Drift {
    let slope = theil_sen(times, floors, scratch);
    let span = span(times);
    let points = count(times.len());
    if span <= 0.0 || times.len() < 4 {
        return Drift::default();
    }
    let rounding = quantum * UNIFORM_DEVIATION;
    let Residuals { deviation, autocorrelation } = residuals(times, floors, slope, rounding, scratch);
    let widened = deviation * ((1.0 + autocorrelation) / (1.0 - autocorrelation)).sqrt();
    let level_error = widened * (12.0 / points).sqrt() / span;
    let walk = increments(floors, rounding, scratch);
    let walk_error = (walk.long_run_variance * (points - 1.0)).sqrt() / span;
    let walk_slope = walk.mean * (points - 1.0) / span;
    let share = ((walk.long_run_variance / walk.variance.max(1e-9) - 0.25) / 0.75).clamp(0.0, 1.0);
    let error = (1.0 - share) * level_error + share * walk_error;
    let (level_strength, walk_strength) = (ratio(slope, level_error), ratio(walk_slope, walk_error));
    let strength = (1.0 - share) * level_strength + share * walk_strength;
    Drift { slope, error, strength, level_strength, walk_strength, autocorrelation, deviation }
}

struct Residuals {
    deviation: f64,
    autocorrelation: f64,
}

/// The deviation of the residuals around the line, and their autocorrelation.
fn residuals(times: &[f64], floors: &[f64], slope: f64, rounding: f64, scratch: &mut Vec<f64>) -> Residuals {
    scratch.clear();
    scratch.extend(times.iter().zip(floors).map(|(time, floor)| floor - slope * time));
    let middle = median(scratch);
    // The median reordered the residuals, and the autocorrelation needs their order in time.
    scratch.clear();
    scratch.extend(times.iter().zip(floors).map(|(time, floor)| floor - slope * time - middle));
    let squares: f64 = scratch.iter().map(|residual| residual * residual).sum();
    let products = products_at(scratch, 1);
    let points = count(times.len());
    // The residuals of an exact line are what its sums were rounded by, whose order means nothing.
    let rounded = EXACT_SHARE * (middle.abs() + slope.abs() * times.last().copied().unwrap_or(0.0));
    let least = (points * rounded * rounded).max(1e-9);
    let autocorrelation = (products / squares.max(least) + 1.0 / points).clamp(0.0, MAX_AUTOCORRELATION);
    scratch.iter_mut().for_each(|residual| *residual = residual.abs());
    let robust = MAD_TO_DEVIATION * median(scratch);
    let deviation = robust.max(0.5 * (squares / points).sqrt()).max(rounding).max(LEAST_DEVIATION);
    Residuals { deviation, autocorrelation }
}

struct Increments {
    mean: f64,
    variance: f64,
    long_run_variance: f64,
}

/// Mean, variance and long-run variance (Newey and West, Bartlett weights, √n lags) of the steps between floors.
///
/// The mean comes from the averages of the first and the last quarter, so that one odd end does not decide it.
fn increments(floors: &[f64], rounding: f64, steps: &mut Vec<f64>) -> Increments {
    let points = floors.len();
    let quarter = (points / 4).max(2).min(points);
    let (head, tail) = ends(floors, quarter);
    let mean = (tail - head) / count(points - quarter);
    let later = floors.get(1..).unwrap_or_default();
    steps.clear();
    steps.extend(floors.iter().zip(later).map(|(one, next)| next - one - mean));
    let number = count(points - 1);
    let variance = steps.iter().map(|step| step * step).sum::<f64>() / number;
    let lags = lag_count(points);
    let long_run = (1..=lags).fold(variance, |sum, lag| {
        let covariance = products_at(steps, lag) / number;
        sum + 2.0 * (1.0 - count(lag) / count(lags + 1)) * covariance
    });
    let least = (0.05 * variance).max(0.05 * rounding * rounding).max(1e-6);
    Increments { mean, variance, long_run_variance: long_run.max(least) }
}

/// The sum of the products of each value with the one so many places later.
fn products_at(values: &[f64], lag: usize) -> f64 {
    let later = values.get(lag..).unwrap_or_default();
    values.iter().zip(later).map(|(one, later)| one * later).sum()
}

/// The averages of the first and the last `width` values.
pub fn ends(values: &[f64], width: usize) -> (f64, f64) {
    let mean = |part: &mut dyn Iterator<Item = &f64>| part.take(width).sum::<f64>() / count(width.max(1));
    (mean(&mut values.iter()), mean(&mut values.iter().rev()))
}

/// The time between the first and the last point.
pub fn span(times: &[f64]) -> f64 {
    match times {
        [first, .., last] => last - first,
        _ => 0.0,
    }
}

/// A quotient that is 0 where there is nothing and large, but finite, where there is no noise.
fn ratio(value: f64, error: f64) -> f64 {
    const STRONGEST: f64 = 1e6;
    if value == 0.0 {
        return 0.0;
    }
    (value / error.max(f64::MIN_POSITIVE)).clamp(-STRONGEST, STRONGEST)
}

fn lag_count(points: usize) -> usize {
    (1..).take_while(|lag| lag * lag <= points).last().unwrap_or(1)
}

/// A small number of points as a float.
#[expect(clippy::cast_precision_loss, reason = "windows have tens of points")]
pub fn count(points: usize) -> f64 {
    points as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed sequence that looks random, between −1 and 1.
    fn noise(index: u32) -> f64 {
        (f64::from(index) * 12.9898).sin() * 43_758.545_3 % 1.0
    }

    fn times() -> Vec<f64> {
        (0..28).map(f64::from).collect()
    }

    fn strength(floors: &[f64]) -> f64 {
        drift(&times(), floors, 0.0, &mut Vec::new()).strength
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]).to_bits(), 2f64.to_bits());
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]).to_bits(), 2.5f64.to_bits());
        assert_eq!(median(&mut []).to_bits(), 0f64.to_bits());
    }

    #[test]
    fn one_odd_bucket_does_not_move_the_slope() {
        let mut floors: Vec<f64> = times().iter().map(|time| 2.0 * time).collect();
        floors[9] = 5000.0;
        assert!((theil_sen(&times(), &floors, &mut Vec::new()) - 2.0).abs() < 1e-9);
        assert!((least_squares(&times(), &times()) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_trend_is_strong_and_noise_is_not() {
        let trend: Vec<f64> = (0..28).map(|index| f64::from(index) + noise(index)).collect();
        assert!(strength(&trend) > 8.0, "{}", strength(&trend));
        let flat: Vec<f64> = (0..28).map(noise).collect();
        assert!(strength(&flat).abs() < 2.5, "{}", strength(&flat));
    }

    #[test]
    fn a_random_walk_is_not_taken_for_a_trend() {
        let walks = (0..200u32).map(|seed| {
            let mut size = 0.0;
            let walk: Vec<f64> = (0..28)
                .map(|index| {
                    size += noise(seed * 1000 + index);
                    size
                })
                .collect();
            strength(&walk)
        });
        let strong = walks.filter(|strength| strength.abs() > 3.5).count();
        assert!(strong <= 20, "{strong} of 200 walks look like trends");
    }

    #[test]
    fn the_residuals_of_an_exact_line_follow_no_order() {
        // Thirds of a large number are no binary fractions, so the line is rounded everywhere.
        let times: Vec<f64> = (0..12).map(|index| 3.0 * f64::from(index)).collect();
        let floors: Vec<f64> = (0..12).map(|index| 1e12 + 402_784_256.0 * f64::from(index)).collect();
        let exact = drift(&times, &floors, 4096.0, &mut Vec::new());
        assert!((exact.autocorrelation - 1.0 / 12.0).abs() < 1e-3, "{exact:?}");
    }

    #[test]
    fn a_constant_has_no_drift() {
        let constant = drift(&times(), &[7.0; 28], 0.0, &mut Vec::new());
        assert_eq!(constant.slope.to_bits(), 0f64.to_bits());
        assert_eq!(constant.strength.to_bits(), 0f64.to_bits());
    }
}
