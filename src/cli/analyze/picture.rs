//! A series as a picture: lowest and highest size of each column, in memory that does not grow with the series.

use super::csv::Point;
use crate::sample::Seconds;

/// Columns at most; a picture has half as many at least once the series is long enough.
pub(super) const MOST_COLUMNS: u32 = 960;

/// What stands in one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Column {
    /// Its number, from 0 at the first sample. Where there was no sample there is no column.
    pub(super) index: u32,
    /// The lowest size.
    pub(super) low: f64,
    /// The highest size.
    pub(super) high: f64,
}

/// The picture of a series.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    from: Seconds,
    column_secs: f64,
    columns: Vec<Column>,
}

impl Picture {
    /// The empty picture of a series that begins at `from`. Columns are as wide as the interval and double their width
    /// when there are too many.
    pub(super) fn new(from: Seconds, interval_secs: f64) -> Self {
        Self { from, column_secs: interval_secs, columns: Vec::new() }
    }

    /// Takes in a sample, later than all before.
    pub(super) fn take_in(&mut self, point: Point) {
        let Point { at, size } = point;
        while at - self.from >= self.column_secs * f64::from(MOST_COLUMNS) {
            self.widen();
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below MOST_COLUMNS, and not negative"
        )]
        let index = ((at - self.from) / self.column_secs) as u32;
        self.add(Column { index, low: size, high: size });
    }

    fn add(&mut self, column: Column) {
        match self.columns.last_mut().filter(|last| last.index == column.index) {
            Some(last) => {
                last.low = last.low.min(column.low);
                last.high = last.high.max(column.high);
            }
            None => self.columns.push(column),
        }
    }

    fn widen(&mut self) {
        self.column_secs *= 2.0;
        for column in std::mem::take(&mut self.columns) {
            self.add(Column { index: column.index / 2, ..column });
        }
    }

    /// The columns, from left to right.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Where a time lies, in columns.
    pub(super) fn position(&self, at: Seconds) -> f64 {
        (at - self.from) / self.column_secs
    }

    /// The time of a place in columns.
    pub(super) fn time(&self, position: f64) -> Seconds {
        self.from + position * self.column_secs
    }

    /// The lowest and the highest size of all.
    pub(super) fn range(&self) -> (f64, f64) {
        let empty = (f64::INFINITY, f64::NEG_INFINITY);
        self.columns.iter().fold(empty, |(low, high), column| (low.min(column.low), high.max(column.high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_survive_and_memory_does_not_grow() {
        let mut picture = Picture::new(0.0, 1.0);
        for second in 0..100_000_u32 {
            let size = if second == 54_321 { 9.0 } else { f64::from(1 + second % 2) };
            picture.take_in(Point { at: f64::from(second), size });
        }
        assert!(picture.columns().len() <= 960 && picture.columns().len() > 480);
        assert_eq!(picture.range(), (1.0, 9.0));
        let peak = picture.columns().iter().find(|column| column.high > 2.0).unwrap();
        assert!((picture.position(54_321.0) - f64::from(peak.index) - 0.5).abs() <= 0.5);
    }

    #[test]
    fn a_gap_is_a_missing_column() {
        let mut picture = Picture::new(100.0, 10.0);
        for at in [100.0, 109.0, 150.0] {
            picture.take_in(Point { at, size: at });
        }
        let seen: Vec<(u32, f64, f64)> =
            picture.columns().iter().map(|column| (column.index, column.low, column.high)).collect();
        assert_eq!(seen, [(0, 100.0, 109.0), (5, 150.0, 150.0)]);
        picture.take_in(Point { at: 1e9, size: 1.0 });
        assert_eq!(picture.columns().len(), 2, "{picture:?}");
    }
}
