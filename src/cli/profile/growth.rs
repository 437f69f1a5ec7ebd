//! How much an area grew between the beginning and the end of a stretch of work.
//!
//! Both are floors, the lowest size of a tenth of the time, as the detector judges floors: what a collection of garbage
//! gives back a moment later did not grow. A tenth is short against the whole and long against one sample.

use serde::Serialize;

/// Of a course so many points are kept; when there are more, two become one.
const MOST_POINTS: usize = 2_000;
/// The part of the time that is its beginning, and its end.
const PART: usize = 10;

/// The sizes of an area in the order of time, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Course {
    points: Vec<Point>,
    samples: usize,
    /// So many samples make a point.
    each: usize,
    /// How many the last point has.
    last: usize,
}

/// The lowest and the highest of some sizes, from a time on.
#[derive(Clone, Copy, Debug)]
struct Point {
    from_secs: f64,
    low: f64,
    high: f64,
}

/// What a course went from and to, in the area's unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Growth {
    /// The floor at the beginning.
    pub(super) begin: f64,
    /// The floor at the end.
    pub(super) end: f64,
    /// The highest size.
    pub(super) peak: f64,
    /// So many samples were taken, those that were skipped included.
    pub(super) samples: usize,
}

impl Growth {
    /// The end less the beginning.
    pub(super) fn amount(&self) -> f64 {
        self.end - self.begin
    }
}

impl Course {
    /// Adds the size so many seconds after the start.
    pub(super) fn push(&mut self, secs: f64, size: f64) {
        self.samples += 1;
        self.last += 1;
        match self.points.last_mut().filter(|_| self.last <= self.each) {
            Some(point) => {
                point.low = point.low.min(size);
                point.high = point.high.max(size);
            }
            None => {
                self.points.push(Point { from_secs: secs, low: size, high: size });
                self.last = 1;
            }
        }
        if self.points.len() > MOST_POINTS {
            self.halve();
        }
    }

    fn halve(&mut self) {
        let merged = |pair: &[Point]| {
            let first = pair.first()?;
            let merge = |point: Point, next: &Point| Point {
                low: point.low.min(next.low),
                high: point.high.max(next.high),
                ..point
            };
            Some(pair.iter().fold(*first, merge))
        };
        self.points = self.points.chunks(2).filter_map(merged).collect();
        self.each = self.each.max(1) * 2;
        // The last point may be half full; the next sample begins another one.
        self.last = self.each;
    }

    /// What it went from and to, the first seconds left out; none where less than two points are left.
    pub(super) fn growth(&self, skip_secs: f64) -> Option<Growth> {
        let from = self.points.partition_point(|point| point.from_secs < skip_secs);
        let points = self.points.get(from..).filter(|points| points.len() > 1)?;
        let part = points.len().div_ceil(PART);
        let floor = |points: &[Point]| points.iter().map(|point| point.low).fold(f64::INFINITY, f64::min);
        Some(Growth {
            begin: floor(points.get(..part)?),
            end: floor(points.get(points.len() - part..)?),
            peak: points.iter().map(|point| point.high).fold(f64::NEG_INFINITY, f64::max),
            samples: self.samples,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(count: u32, size: impl Fn(u32) -> f64) -> Course {
        let mut course = Course::default();
        for number in 0..count {
            course.push(f64::from(number), size(number));
        }
        course
    }

    fn check(course: &Course, skip_secs: f64, expected: (f64, f64, f64)) {
        let growth = course.growth(skip_secs).unwrap();
        assert_eq!((growth.begin, growth.end, growth.peak), expected, "{growth:?}");
    }

    #[test]
    fn floors_are_compared_and_not_moments() {
        // Garbage that is collected every seventh sample, at any height in between.
        check(&course(100, |number| f64::from(number % 7)), 0.0, (0.0, 0.0, 6.0));
        check(&course(100, |number| f64::from(number) + f64::from(number % 7)), 0.0, (0.0, 91.0, 103.0));
        check(&course(2, f64::from), 0.0, (0.0, 1.0, 1.0));
    }

    #[test]
    fn a_warm_up_can_be_left_out() {
        let warm = |number: u32| if number < 50 { f64::from(number) } else { 50.0 };
        check(&course(200, warm), 0.0, (0.0, 50.0, 50.0));
        check(&course(200, warm), 60.0, (50.0, 50.0, 50.0));
        assert_eq!(course(200, warm).growth(199.0), None);
        assert_eq!(course(1, warm).growth(0.0), None);
    }

    #[test]
    fn a_long_course_keeps_its_extremes_in_bounded_memory() {
        let long = course(1_000_000, |number| if number == 543_210 { 1e9 } else { f64::from(number) });
        assert!(long.points.len() <= MOST_POINTS, "{}", long.points.len());
        let growth = long.growth(0.0).unwrap();
        assert_eq!((growth.begin, growth.peak, growth.samples), (0.0, 1e9, 1_000_000));
        assert!((8.9e5..9.1e5).contains(&growth.end), "{growth:?}");
    }
}
