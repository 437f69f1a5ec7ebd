//! The ladder: one area's past at several resolutions at once, minutes to days, in 1.3 KiB.
//!
//! Each level is a ring of [`BUCKETS`] buckets that keep the lowest and the highest size seen in their time; the width
//! triples from level to level. The lowest size of a bucket is the floor that a garbage collector returns to as soon as
//! the bucket is wider than the time between two collections, which is why floors and not means are judged.
//!
//! The widths are the same for all areas, 12 s times a power of three, whatever their sampling interval: a horizon of an
//! hour is one of an hour everywhere, and what a detector learned at one interval holds at another. A slower source
//! starts at a coarser level. Intervals below a second are for trials and count as three seconds in fast motion.
//!
//! Buckets lie on absolute time, and the past that was judged stays as it was judged. Levels are allocated when the
//! first bucket closes into them, so a young area is small.
//!
//! | what comes | what becomes of it |
//! | --- | --- |
//! | a gap | missing buckets, never invented ones; the bucket before it closes when the next sample comes |
//! | a gap longer than a ring | that ring holds what is new, and remembers how high it was before |
//! | a late sample, older than the last | dropped |
//! | a repeated sample, several at one time | all go into the bucket of that time; twice the same changes nothing |
//! | a clock that steps back | its samples are late until it is where it was; after that, a gap |
//! | a clock that steps forward | a gap |
//! | a reset: a counter begins at 0 again, a cache is emptied | a low floor from then on; no new life by itself |
//! | quantised sizes | the smallest change is the [quantum](Ladder::quantum), below which nothing is structure |
//! | zero, negative sizes | sizes like any other |
//! | huge sizes | differences from the first size are exact to 24 bits; beyond ±1e30 a size counts as that |
//! | a size or time that is infinite or no number, a time beyond ±2^43 s | dropped |

mod ring;

use crate::sample::Seconds;
use ring::Ring;
use serde::{Deserialize, Serialize};

/// Buckets of a level.
pub const BUCKETS: usize = 36;
/// Levels of the grid: buckets of 12 s to 7.3 h, rings of 7 minutes to 11 days.
pub const LEVELS: usize = 8;
/// How many times wider the buckets of the next level are.
pub const RATIO: u32 = 3;
/// Width of the finest buckets of the grid.
const FINEST_SECS: f64 = 12.0;
/// A bucket spans at least this many sampling intervals; fewer would make floors of single samples.
const LEAST_INTERVALS: f64 = 1.5;
/// Shorter intervals are played in fast motion, as if they were [`TRIAL_SECS`].
const SHORTEST_SECS: f64 = 0.999;
/// What an interval below [`SHORTEST_SECS`] counts as.
const TRIAL_SECS: f64 = 3.0;

/// Larger sizes, either way, count as this: their squares must be numbers too.
const LARGEST_SIZE: f64 = 1e30;
/// Later times, and as much earlier ones, are no times: 280 000 years, whose buckets of any width can still be counted.
const LATEST_SECS: f64 = 8_796_093_022_208.0;

/// One area's past.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ladder {
    /// Sizes are kept as differences from this one, so that narrow numbers are exact enough at any size.
    anchor: f64,
    /// Real seconds for each second of the grid: 1 but for trials in fast motion.
    pace: f32,
    /// The level of the grid that samples go into.
    finest: u8,
    first_at: Seconds,
    last_at: Seconds,
    last_size: f64,
    /// The smallest change seen between two samples: the resolution of the source.
    quantum: f32,
    /// From the finest in use to the coarsest; grown when the first bucket closes into a level.
    rings: Vec<Ring>,
}

/// The closed buckets of one level, oldest first, missing ones left out.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Width of a bucket in seconds.
    pub width_secs: f64,
    /// Real seconds for each second of the grid: 1 but for trials in fast motion.
    pub pace: f64,
    /// When the first bucket begins, in seconds since the epoch.
    pub begin: Seconds,
    /// How many widths each bucket lies after the first one.
    pub steps: Vec<f64>,
    /// Lowest size of each bucket.
    pub floors: Vec<f64>,
    /// Highest size of each bucket.
    pub ceilings: Vec<f64>,
    /// What lay before this window, where the past reaches a quarter of a ring further back.
    pub past: Option<Past>,
}

/// What has left a ring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Past {
    /// The highest floor.
    pub floor: f64,
    /// The highest ceiling.
    pub ceiling: f64,
}

/// Which levels of the grid closed a bucket at a sample: bit `n` for level `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed(u8);

impl Closed {
    /// All levels did.
    pub const ALL: Self = Self(u8::MAX);

    /// Whether any level from this one on did.
    #[must_use]
    pub const fn any_from(self, level: usize) -> bool {
        self.0 >> level != 0
    }

    /// Whether this level did.
    #[must_use]
    pub const fn contains(self, level: usize) -> bool {
        self.0 >> level & 1 == 1
    }
}

impl Ladder {
    /// An empty past for samples that come every `interval_secs` seconds.
    #[must_use]
    pub fn new(interval_secs: f64) -> Self {
        let pace = pace(interval_secs);
        let least_width = LEAST_INTERVALS * interval_secs / pace;
        let finest = (0..LEVELS).find(|level| width_secs(*level) >= least_width).unwrap_or(LEVELS - 1);
        Self {
            anchor: f64::NAN,
            pace: narrow(pace),
            finest: u8::try_from(finest).unwrap_or(0),
            first_at: f64::NAN,
            last_at: f64::NEG_INFINITY,
            last_size: f64::NAN,
            quantum: f32::INFINITY,
            rings: Vec::new(),
        }
    }

    /// Takes in the size at a time and says which levels closed a bucket; the table above says what is dropped.
    pub fn push(&mut self, at: Seconds, size: f64) -> Closed {
        if !size.is_finite() || at.is_nan() || at.abs() > LATEST_SECS || at < self.last_at {
            return Closed::default();
        }
        let size = size.clamp(-LARGEST_SIZE, LARGEST_SIZE);
        if self.anchor.is_nan() {
            self.anchor = size;
            self.first_at = at;
            self.last_size = size;
        }
        let step = (size - self.last_size).abs();
        if step > 0.0 {
            self.quantum = self.quantum.min(narrow(step));
        }
        self.last_size = size;
        self.last_at = at;
        let index = bucket_index(at, self.pace() * width_secs(self.finest()));
        let closed = self.close_until(index);
        let relative = narrow(size - self.anchor);
        self.widen_into(0, index, relative, relative);
        closed
    }

    /// When the first sample came.
    #[must_use]
    pub fn first_at(&self) -> Seconds {
        self.first_at
    }

    /// When the last sample came.
    #[must_use]
    pub fn last_at(&self) -> Seconds {
        self.last_at
    }

    /// The last size.
    #[must_use]
    pub fn last_size(&self) -> f64 {
        self.last_size
    }

    /// The resolution of the source: the smallest change seen, 0 while nothing has changed.
    #[must_use]
    pub fn quantum(&self) -> f64 {
        if self.quantum.is_finite() { f64::from(self.quantum) } else { 0.0 }
    }

    /// The level of the grid that samples go into.
    #[must_use]
    pub fn finest(&self) -> usize {
        usize::from(self.finest)
    }

    /// Real seconds for each second of the grid: 1 but for trials in fast motion.
    #[must_use]
    pub fn pace(&self) -> f64 {
        f64::from(self.pace)
    }

    /// How many levels have a closed bucket.
    #[must_use]
    pub fn level_count(&self) -> usize {
        self.rings.iter().filter(|ring| ring.used() > 0).count()
    }

    /// The floor of the newest closed bucket of the finest level.
    #[must_use]
    pub fn newest_floor(&self) -> Option<f64> {
        let floor = self.rings.first()?.newest_floor()?;
        Some(self.anchor + floor)
    }

    /// The closed buckets of a level of the grid, oldest first, into `window`, whose memory is used again.
    pub fn window(&self, level: usize, window: &mut Window) {
        window.steps.clear();
        window.floors.clear();
        window.ceilings.clear();
        window.past = None;
        window.pace = self.pace();
        window.width_secs = self.pace() * width_secs(level);
        let Some(ring) = level.checked_sub(self.finest()).and_then(|at| self.rings.get(at)) else { return };
        let mut first = None;
        for (index, floor, ceiling) in ring.buckets() {
            let first = *first.get_or_insert(index);
            window.begin = as_float(first) * window.width_secs;
            window.steps.push(as_float(index - first));
            window.floors.push(self.anchor + floor);
            window.ceilings.push(self.anchor + ceiling);
        }
        window.past = ring
            .past()
            .map(|(floor, ceiling)| Past { floor: self.anchor + floor, ceiling: self.anchor + ceiling });
    }

    /// Whether this can be the past of an area, as far as its numbers are computed with: what was read from a file may be
    /// anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let most_rings = LEVELS.saturating_sub(self.finest());
        let is_number_where_begun = |value: f64| value.is_finite() || self.rings.is_empty();
        self.finest() < LEVELS
            && self.rings.len() <= most_rings
            && self.pace.is_finite()
            && self.pace > 0.0
            && [self.anchor, self.first_at, self.last_at, self.last_size]
                .into_iter()
                .all(is_number_where_begun)
            && self.rings.iter().all(Ring::is_sound)
    }

    /// Bytes on the heap and in the struct itself.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>() + self.rings.capacity() * size_of::<Ring>()
    }

    /// Closes every open bucket that `now` (a bucket number of the finest level) lies behind, each into the next level.
    ///
    /// Widths are whole multiples of each other and all buckets count from the epoch, so a bucket lies inside exactly
    /// one bucket of the next level, and that one is never older than what closes into it.
    fn close_until(&mut self, now: i64) -> Closed {
        let mut closed = Closed::default();
        let mut now = now;
        let levels = LEVELS - self.finest();
        for at in 0..levels {
            let Some(ring) = self.rings.get_mut(at).filter(|ring| ring.is_behind(now)) else { break };
            let (index, floor, ceiling) = ring.close();
            closed.0 |= 1 << (at + usize::from(self.finest));
            now = now.div_euclid(i64::from(RATIO));
            if at + 1 < levels {
                self.widen_into(at + 1, index.div_euclid(i64::from(RATIO)), floor, ceiling);
            }
        }
        closed
    }

    /// Takes a closed bucket, or a sample, into the open bucket `index` of a ring.
    fn widen_into(&mut self, at: usize, index: i64, floor: f32, ceiling: f32) {
        if self.rings.len() == at {
            // Exactly one more: a doubled capacity would be paid for by every area.
            self.rings.reserve_exact(1);
            self.rings.push(Ring::new());
        }
        if let Some(ring) = self.rings.get_mut(at) {
            ring.widen(index, floor, ceiling);
        }
    }
}

/// Real seconds for each second of the grid, at this sampling interval: 1 but for trials in fast motion.
#[must_use]
pub fn pace(interval_secs: f64) -> f64 {
    if interval_secs < SHORTEST_SECS { interval_secs.max(1e-3) / TRIAL_SECS } else { 1.0 }
}

/// Width of a bucket of a level of the grid, in seconds of the grid.
#[must_use]
pub fn width_secs(level: usize) -> f64 {
    (0..level).fold(FINEST_SECS, |width, _| width * f64::from(RATIO))
}

/// The number of the bucket of this width that a time lies in.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and such times are rejected by order")]
fn bucket_index(at: Seconds, width_secs: f64) -> i64 {
    (at / width_secs).floor() as i64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bucket numbers stay below 2^53 for widths of a millisecond and more"
)]
fn as_float(index: i64) -> f64 {
    index as f64
}

/// A difference from the anchor; beyond the range of the type it saturates to its largest finite value.
#[expect(
    clippy::cast_possible_truncation,
    reason = "24 bits of a difference are enough, and it saturates below"
)]
fn narrow(size: f64) -> f32 {
    size.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time of a sample, when four of them make a bucket of 12 s.
    fn time(index: u32) -> f64 {
        3.0 * f64::from(index)
    }

    /// Floors of a level after these samples.
    fn floors(sizes: impl IntoIterator<Item = (u32, f64)>, level: usize) -> Vec<f64> {
        let mut ladder = Ladder::new(3.0);
        for (index, size) in sizes {
            ladder.push(time(index), size);
        }
        window(&ladder, level).floors
    }

    fn window(ladder: &Ladder, level: usize) -> Window {
        let mut window = Window::default();
        ladder.window(level, &mut window);
        window
    }

    #[test]
    fn a_bucket_keeps_its_floor_and_closes_into_the_next_level() {
        let saw = (0..25).map(|at| (at, 100.0 + f64::from(at % 4)));
        assert_eq!(floors(saw.clone(), 0), [100.0; 6]);
        assert_eq!(floors(saw, 1), [100.0; 2]);
    }

    #[test]
    fn a_slow_source_starts_at_a_coarser_level_of_the_same_grid() {
        for (interval, level) in
            [(1.0, 0), (3.0, 0), (8.0, 0), (10.0, 1), (15.0, 1), (30.0, 2), (60.0, 2), (300.0, 4)]
        {
            assert_eq!(Ladder::new(interval).finest(), level, "{interval} s");
        }
        assert_eq!(Ladder::new(1e9).finest(), LEVELS - 1);
    }

    #[test]
    fn a_trial_in_fast_motion_sees_what_three_seconds_would() {
        let mut trial = Ladder::new(0.1);
        let mut real = Ladder::new(3.0);
        for index in 0..2000 {
            let size = f64::from(index * 7 % 50);
            let (fast, slow) =
                (trial.push(time(index) / 30.0 + 1e-4, size), real.push(time(index) + 3e-3, size));
            assert_eq!(fast, slow, "{index}");
        }
        assert_eq!(window(&trial, 3).floors, window(&real, 3).floors);
    }

    #[test]
    fn a_gap_is_a_missing_bucket() {
        let mut ladder = Ladder::new(3.0);
        for index in (0..9).chain(40..50) {
            ladder.push(time(index), f64::from(index));
        }
        assert_eq!(window(&ladder, 0).steps, [0.0, 1.0, 2.0, 10.0, 11.0]);
        assert_eq!(window(&ladder, 0).floors, [0.0, 4.0, 8.0, 40.0, 44.0]);
        assert_eq!(window(&ladder, 1).steps, [0.0, 3.0]);
    }

    #[test]
    fn a_gap_longer_than_the_ring_leaves_only_what_is_new() {
        let mut ladder = Ladder::new(3.0);
        for index in (0..100).chain(100_000..100_009) {
            ladder.push(time(index), 1.0);
        }
        let window = window(&ladder, 0);
        assert_eq!((window.begin, window.steps), (300_000.0, vec![0.0, 1.0]));
        assert_eq!(window.past, Some(Past { floor: 1.0, ceiling: 1.0 }));
    }

    #[test]
    fn the_ring_is_bounded_and_remembers_the_heights_that_left_it() {
        let mut ladder = Ladder::new(3.0);
        for index in 0..1000 {
            ladder.push(time(index), if (8..14).contains(&index) { 99.0 } else { 1.0 });
        }
        let window = window(&ladder, 0);
        assert_eq!(window.floors.len(), BUCKETS);
        let past = window.past.expect("far more than a quarter of a ring has left it");
        assert_eq!(past.floor.to_bits(), 99.0f64.to_bits());
        assert!((past.ceiling - 99.0).abs() <= 0.03 * 98.0, "{past:?}");
    }

    #[test]
    fn late_samples_and_nonsense_are_dropped() {
        let mut ladder = Ladder::new(1.0);
        for (at, size) in [(10.0, 5.0), (3.0, 1.0), (11.0, f64::NAN), (f64::INFINITY, 1.0), (12.0, 6.0)] {
            ladder.push(at, size);
        }
        assert_eq!((ladder.first_at(), ladder.last_at(), ladder.last_size()), (10.0, 12.0, 6.0));
    }

    #[test]
    fn numbers_that_cannot_be_computed_with_are_noticed() {
        let mut ladder = Ladder::new(3.0);
        assert!(ladder.is_sound(), "before the first sample");
        ladder.push(1.0, 5.0);
        assert!(ladder.is_sound());
        for spoilt in [
            Ladder { finest: 8, ..ladder.clone() },
            Ladder { rings: vec![Ring::new(); LEVELS + 1], ..ladder.clone() },
            Ladder { pace: 0.0, ..ladder.clone() },
            Ladder { anchor: f64::NAN, ..ladder.clone() },
            Ladder { last_at: f64::INFINITY, ..ladder.clone() },
        ] {
            assert!(!spoilt.is_sound(), "{spoilt:?}");
        }
    }

    #[test]
    fn samples_of_one_time_share_a_bucket() {
        let mut ladder = Ladder::new(3.0);
        for (at, size) in [(0.0, 5.0), (0.0, 5.0), (0.0, 9.0), (0.0, 2.0), (12.0, 5.0)] {
            ladder.push(at, size);
        }
        let window = window(&ladder, 0);
        assert_eq!((window.floors, window.ceilings), (vec![2.0], vec![9.0]));
    }

    #[test]
    fn a_clock_that_steps_back_is_waited_for() {
        let forth = (0..20).map(time);
        let back = (10..40).map(|index| time(index) + 0.5);
        let mut ladder = Ladder::new(3.0);
        for at in forth.chain(back) {
            ladder.push(at, if at.fract() > 0.0 { 8.0 } else { 7.0 });
        }
        // The last sample before the step is that of 57 s, the first one after it that counts is of 57.5 s.
        assert_eq!(window(&ladder, 0).steps, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(window(&ladder, 0).floors, [7.0, 7.0, 7.0, 7.0, 7.0, 8.0, 8.0, 8.0, 8.0]);
    }

    #[test]
    fn a_clock_that_steps_forward_leaves_a_gap() {
        let mut ladder = Ladder::new(3.0);
        for index in (0..8).chain(1_000_000..1_000_005) {
            ladder.push(time(index), 1.0);
        }
        assert_eq!((window(&ladder, 0).begin, window(&ladder, 0).steps), (3_000_000.0, vec![0.0]));
        // What is no time at all must not stop the clock for good.
        assert_eq!(ladder.push(1e300, 1.0), Closed::default());
        assert!(ladder.push(3_000_024.0, 1.0).any_from(0));
    }

    #[test]
    fn a_reset_is_a_low_floor_from_then_on() {
        let counted =
            (0..33).map(|index| (index, f64::from(if index < 24 { 1000 + index } else { index - 24 })));
        assert_eq!(floors(counted, 0)[4..], [1016.0, 1020.0, 0.0, 4.0]);
    }

    #[test]
    fn the_quantum_is_the_smallest_change_and_quantised_sizes_are_kept_exactly() {
        let mut ladder = Ladder::new(3.0);
        let before = ladder.quantum();
        for index in 0..100 {
            ladder.push(time(index), 4096.0 * f64::from(index * index % 11));
        }
        assert_eq!((before, ladder.quantum()), (0.0, 4096.0));
        assert!(window(&ladder, 0).floors.iter().all(|floor| floor % 4096.0 == 0.0));
    }

    #[test]
    fn zero_and_negative_sizes_are_sizes() {
        let sizes = (0..13).map(|index| (index, if index < 4 { 0.0 } else { -5.0 * f64::from(index) }));
        assert_eq!(floors(sizes, 0), [0.0, -35.0, -55.0]);
    }

    #[test]
    fn huge_sizes_stay_finite_and_keep_their_differences() {
        let huge = 2f64.powi(60);
        assert_eq!(
            floors((0..9).map(|index| (index, huge + 2048.0 * f64::from(index / 4))), 0),
            [huge, huge + 2048.0]
        );
        let mut ladder = Ladder::new(1.0);
        for (at, size) in (0u32..).zip([f64::MAX, huge, -5.0, 1e300, f64::MIN].into_iter().cycle().take(500))
        {
            ladder.push(f64::from(at), size);
        }
        for level in 0..ladder.level_count() {
            let window = window(&ladder, level);
            let squares = window.floors.iter().chain(&window.ceilings).map(|size| size * size);
            assert!(squares.sum::<f64>().is_finite());
        }
    }

    #[test]
    fn an_area_takes_less_than_two_kibibytes_after_a_year() {
        let mut ladder = Ladder::new(3.0);
        for index in (0..10_512_000).step_by(7) {
            ladder.push(time(index), f64::from(index));
        }
        assert_eq!(ladder.level_count(), LEVELS);
        assert!(ladder.state_bytes() <= 2048, "{} bytes", ladder.state_bytes());
    }
}
