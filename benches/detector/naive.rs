//! What one would write first: keep the samples of the last hour and fit a line through them at each sample.

use crate::series::Course;
use std::collections::VecDeque;

const HOUR_SECS: f64 = 3600.0;

/// The samples of the last hour, in seconds and bytes.
pub(crate) struct Recent {
    course: Course,
    interval_secs: f64,
    samples: VecDeque<(f64, f64)>,
    slopes: Vec<f64>,
    age_secs: f64,
}

impl Recent {
    /// A full hour of this course.
    pub(crate) fn of(course: Course, interval_secs: f64) -> Self {
        let mut recent =
            Self { course, interval_secs, samples: VecDeque::new(), slopes: Vec::new(), age_secs: 0.0 };
        while recent.age_secs <= HOUR_SECS {
            recent.next_sample();
        }
        recent
    }

    pub(crate) fn next_sample(&mut self) {
        let oldest = self.age_secs - HOUR_SECS;
        while self.samples.front().is_some_and(|(at, _)| *at <= oldest) {
            self.samples.pop_front();
        }
        self.samples.push_back((self.age_secs, self.course.size(self.age_secs, 1)));
        self.age_secs += self.interval_secs;
    }

    /// The slope by least squares, in bytes a second.
    pub(crate) fn least_squares(&self) -> f64 {
        let (mut count, mut times, mut sizes) = (0.0, 0.0, 0.0);
        for (at, size) in &self.samples {
            count += 1.0;
            times += at;
            sizes += size;
        }
        let (mean_time, mean_size) = (times / count, sizes / count);
        let (mut products, mut squares) = (0.0, 0.0);
        for (at, size) in &self.samples {
            products += (at - mean_time) * (size - mean_size);
            squares += (at - mean_time) * (at - mean_time);
        }
        products / squares
    }

    /// The median of the slopes between all pairs, in bytes a second.
    pub(crate) fn theil_sen(&mut self) -> f64 {
        self.slopes.clear();
        for (index, (at, size)) in self.samples.iter().enumerate() {
            let later = self.samples.iter().skip(index + 1);
            self.slopes.extend(later.map(|(later, then)| (then - size) / (later - at)));
        }
        let middle = self.slopes.len() / 2;
        *self.slopes.select_nth_unstable_by(middle, f64::total_cmp).1
    }
}
