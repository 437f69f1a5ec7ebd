//! When a leak began, in hindsight.
//!
//! An exporter dates a leak when it first suspects it, from the little that it has seen by then, and an early suspicion
//! may look too far back. Whoever has the whole series knows better: of all moments of that life of the process, the
//! leak began at the one from which a level that then rises evenly fits the floor best (least squares). Where this says
//! hardly more than that the floor rose all the time, the exporter's own date stands.

use super::picture::{Column, Picture};
use crate::sample::Seconds;

/// The floor is the lowest of so many columns, which leaves sixty floors at least of a long series.
const FLOOR_COLUMNS: u32 = 8;
/// Fewer floors than this say nothing.
const LEAST_FLOORS: usize = 8;
/// A level before the rise must leave at most this share of what a straight line leaves unexplained.
const CLEAR_SHARE: f64 = 0.7;

/// A floor and its time, in columns.
type Floor = (f64, f64);

/// The life in which a leak was confirmed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    /// Its begin.
    pub(super) from: Seconds,
    /// The leak was confirmed here, and began before.
    pub(super) confirmed_at: Seconds,
    /// The leak ended here.
    pub(super) until: Seconds,
}

/// When it began; none where the floor does not tell.
pub(super) fn began_at(picture: &Picture, life: Life) -> Option<Seconds> {
    let [from, latest, until] = [life.from, life.confirmed_at, life.until].map(|at| picture.position(at));
    let within = |column: &&Column| (from..=until).contains(&f64::from(column.index));
    let columns: Vec<Column> = picture.columns().iter().filter(within).copied().collect();
    let floors: Vec<Floor> = columns
        .chunk_by(|one, next| one.index / FLOOR_COLUMNS == next.index / FLOOR_COLUMNS)
        .filter_map(|stretch| {
            let low = stretch.iter().map(|column| column.low).fold(f64::INFINITY, f64::min);
            Some((f64::from(stretch.first()?.index), low))
        })
        .collect();
    if floors.len() < LEAST_FLOORS {
        return None;
    }
    let straight = unexplained(&floors, f64::NEG_INFINITY)?;
    let candidates = floors.iter().map(|(at, _)| *at).filter(|at| *at <= latest);
    let fits = candidates.filter_map(|at| Some((unexplained(&floors, at)?, at)));
    let (left, at) = fits.min_by(|one, other| one.0.total_cmp(&other.0))?;
    (left < CLEAR_SHARE * straight).then(|| picture.time(at))
}

/// What a level until `bend` and an even rise from there leave unexplained, as the sum of squares; a straight line where
/// the bend lies before all floors. None where that is no rise.
fn unexplained(floors: &[Floor], bend: f64) -> Option<f64> {
    let first = floors.first()?.0;
    let risen = |at: f64| (at - bend.max(first)).max(0.0);
    #[expect(clippy::cast_precision_loss, reason = "there are at most a thousand")]
    let count = floors.len() as f64;
    let mean = |of: &dyn Fn(&Floor) -> f64| floors.iter().map(of).sum::<f64>() / count;
    let (mean_rise, mean_floor) = (mean(&|(at, _)| risen(*at)), mean(&|(_, floor)| *floor));
    let (mut spread, mut together, mut total) = (0.0, 0.0, 0.0);
    for (at, floor) in floors {
        let (rise, floor) = (risen(*at) - mean_rise, floor - mean_floor);
        spread += rise * rise;
        together += rise * floor;
        total += floor * floor;
    }
    (spread > 0.0 && together > 0.0).then(|| total - together * together / spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::analyze::csv::Point;

    /// When a leak of 10 a second from `onset` on began, seen in a saw-tooth over a thousand seconds.
    fn found(onset: f64, confirmed_at: f64) -> Option<Seconds> {
        let mut picture = Picture::new(0.0, 1.0);
        for second in 0..1000_u32 {
            let at = f64::from(second);
            let tooth = f64::from(second % 7) * 40.0;
            picture.take_in(Point { at, size: 1e4 + tooth + 10.0 * (at - onset).max(0.0) });
        }
        began_at(&picture, Life { from: 0.0, confirmed_at, until: 1000.0 })
    }

    #[test]
    fn the_bend_is_found_and_a_straight_line_has_none() {
        for onset in [100.0, 400.0, 700.0] {
            let at = found(onset, 900.0).unwrap();
            assert!((at - onset).abs() < 25.0, "{onset}: {at}");
        }
        assert_eq!(found(0.0, 900.0), None, "it rose all the time");
        assert!(found(700.0, 500.0).is_none_or(|at| at <= 500.0), "not after it was confirmed");
    }
}
