//! The ladder: one area's past at several resolutions at once, minutes to days, in less than 2 KiB.
//!
//! Each level is a ring of [`BUCKETS`] buckets that keep the lowest and the highest size seen in their time; the width
//! triples from level to level. The lowest size of a bucket is the floor that a garbage collector returns to as soon as
//! the bucket is wider than the time between two collections, which is why floors and not means are judged.
//!
//! Buckets lie on absolute time. A gap is a missing bucket, never an invented one. A late sample goes into the open
//! bucket if it belongs there and is dropped otherwise: the past that was judged stays as it was judged. Levels are
//! allocated when the first bucket closes into them, so a young area is small.

use crate::sample::Seconds;

/// Buckets of a level.
pub const BUCKETS: usize = 28;
/// Levels at most: with 3 s sampling the widest bucket is 2.4 h and the ring of the top level 2.8 days.
pub const LEVELS: usize = 7;
/// How many times wider the buckets of the next level are.
pub const RATIO: u32 = 3;
/// Samples in a bucket of the lowest level. Fewer make floors of single samples, more make verdicts late.
const SAMPLES_PER_BUCKET: f64 = 4.0;

/// One area's past.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// Sizes are kept as differences from this one, so that 32-bit floats are exact enough at any size.
    anchor: f64,
    base_width_secs: f64,
    first_at: Seconds,
    last_at: Seconds,
    /// The last size before the open buckets, for the smallest step.
    last_size: f64,
    /// The smallest change seen between two samples: the resolution of the source.
    quantum: f32,
    /// From the finest to the coarsest; grown when the first bucket closes into a level.
    levels: Vec<Level>,
}

/// One resolution.
#[derive(Clone, Debug)]
struct Level {
    /// The number of the open bucket, counted from the epoch in this level's width.
    open_index: i64,
    open_floor: f32,
    open_ceiling: f32,
    is_open: bool,
    /// The number of the newest closed bucket.
    newest_index: i64,
    /// How many slots of the ring are in use, missing buckets included.
    used: u8,
    /// Floors and ceilings; NaN marks a missing bucket. The slot is the bucket's number modulo [`BUCKETS`].
    floors: [f32; BUCKETS],
    ceilings: [f32; BUCKETS],
    /// The highest floor that has left the ring; its highest ceiling would let one start-up peak hide leaks for ever.
    past_floor: f32,
}

/// The closed buckets of one level, oldest first, missing ones left out.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Width of a bucket in seconds.
    pub width_secs: f64,
    /// Middle of each bucket, in seconds since the epoch.
    pub times: Vec<f64>,
    /// Lowest size of each bucket.
    pub floors: Vec<f64>,
    /// Highest size of each bucket.
    pub ceilings: Vec<f64>,
    /// The highest floor before this window, where the past reaches further back.
    pub past_floor: Option<f64>,
}

/// Which levels closed a bucket at a sample: bit `n` for level `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed(u8);

impl Closed {
    /// Whether any level did.
    #[must_use]
    pub const fn any(self) -> bool {
        self.0 != 0
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
        Self {
            anchor: f64::NAN,
            base_width_secs: (interval_secs * SAMPLES_PER_BUCKET).max(1e-3),
            first_at: f64::NAN,
            last_at: f64::NEG_INFINITY,
            last_size: f64::NAN,
            quantum: f32::INFINITY,
            levels: Vec::new(),
        }
    }

    /// Takes in the size at a time and says which levels closed a bucket. Sizes and times that are no finite numbers,
    /// and times before the last sample, are dropped.
    pub fn push(&mut self, at: Seconds, size: f64) -> Closed {
        if !size.is_finite() || !at.is_finite() || at < self.last_at {
            return Closed::default();
        }
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
        let index = bucket_index(at, self.base_width_secs);
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

    /// How many levels have a closed bucket.
    #[must_use]
    pub fn level_count(&self) -> usize {
        self.levels.iter().filter(|level| level.used > 0).count()
    }

    /// The closed buckets of a level, oldest first, into `window`, whose memory is used again.
    pub fn window(&self, level: usize, window: &mut Window) {
        window.times.clear();
        window.floors.clear();
        window.ceilings.clear();
        window.past_floor = None;
        window.width_secs = self.width_secs(level);
        let Some(ring) = self.levels.get(level) else { return };
        for back in (0..i64::from(ring.used)).rev() {
            let index = ring.newest_index - back;
            let (floor, ceiling) = ring.bucket(index);
            if floor.is_nan() {
                continue;
            }
            window.times.push((widen(index) + 0.5) * window.width_secs);
            window.floors.push(self.anchor + f64::from(floor));
            window.ceilings.push(self.anchor + f64::from(ceiling));
        }
        if ring.past_floor.is_finite() {
            window.past_floor = Some(self.anchor + f64::from(ring.past_floor));
        }
    }

    /// Bytes on the heap and in the struct itself.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>() + self.levels.capacity() * size_of::<Level>()
    }

    fn width_secs(&self, level: usize) -> f64 {
        (0..level).fold(self.base_width_secs, |width, _| width * f64::from(RATIO))
    }

    /// Closes every open bucket that `now` (a bucket number of the lowest level) lies behind, each into the next level.
    ///
    /// Widths are whole multiples of each other and all buckets count from the epoch, so a bucket lies inside exactly
    /// one bucket of the next level, and that one is never older than what closes into it.
    fn close_until(&mut self, now: i64) -> Closed {
        let mut closed = Closed::default();
        let mut now = now;
        for level in 0..LEVELS {
            let Some(ring) = self.levels.get_mut(level).filter(|ring| ring.is_open && ring.open_index < now)
            else {
                break;
            };
            let (index, floor, ceiling) = ring.close();
            closed.0 |= 1 << level;
            now = now.div_euclid(i64::from(RATIO));
            if level + 1 < LEVELS {
                self.widen_into(level + 1, index.div_euclid(i64::from(RATIO)), floor, ceiling);
            }
        }
        closed
    }

    /// Takes a closed bucket, or a sample, into the open bucket `index` of a level.
    fn widen_into(&mut self, level: usize, index: i64, floor: f32, ceiling: f32) {
        if self.levels.len() == level {
            // Exactly one more: a doubled capacity would be paid for by every area.
            self.levels.reserve_exact(1);
            self.levels.push(Level::new());
        }
        if let Some(ring) = self.levels.get_mut(level) {
            ring.widen(index, floor, ceiling);
        }
    }
}

impl Level {
    const fn new() -> Self {
        Self {
            open_index: 0,
            open_floor: f32::INFINITY,
            open_ceiling: f32::NEG_INFINITY,
            is_open: false,
            newest_index: 0,
            used: 0,
            floors: [f32::NAN; BUCKETS],
            ceilings: [f32::NAN; BUCKETS],
            past_floor: f32::NEG_INFINITY,
        }
    }

    fn widen(&mut self, index: i64, floor: f32, ceiling: f32) {
        if !self.is_open {
            self.is_open = true;
            self.open_index = index;
        }
        self.open_floor = self.open_floor.min(floor);
        self.open_ceiling = self.open_ceiling.max(ceiling);
    }

    /// Moves the open bucket into the ring and returns it.
    fn close(&mut self) -> (i64, f32, f32) {
        let closed = (self.open_index, self.open_floor, self.open_ceiling);
        let gap = if self.used == 0 { 1 } else { self.open_index - self.newest_index };
        for step in (0..gap.min(slots())).rev() {
            self.evict(self.open_index - step);
        }
        if let Some(floor) = self.floors.get_mut(slot(self.open_index)) {
            *floor = self.open_floor;
        }
        if let Some(ceiling) = self.ceilings.get_mut(slot(self.open_index)) {
            *ceiling = self.open_ceiling;
        }
        let used = i64::from(self.used).saturating_add(gap).min(slots());
        self.used = u8::try_from(used).unwrap_or(u8::MAX);
        self.newest_index = self.open_index;
        self.is_open = false;
        self.open_floor = f32::INFINITY;
        self.open_ceiling = f32::NEG_INFINITY;
        closed
    }

    /// Empties the slot that bucket `index` is about to take; what was in it is past.
    fn evict(&mut self, index: i64) {
        if let (Some(floor), Some(ceiling)) =
            (self.floors.get_mut(slot(index)), self.ceilings.get_mut(slot(index)))
        {
            // NaN is never the larger one, so a missing bucket leaves no trace.
            self.past_floor = self.past_floor.max(*floor);
            *floor = f32::NAN;
            *ceiling = f32::NAN;
        }
    }

    fn bucket(&self, index: i64) -> (f32, f32) {
        let at = slot(index);
        let read = |values: &[f32; BUCKETS]| values.get(at).copied().unwrap_or(f32::NAN);
        (read(&self.floors), read(&self.ceilings))
    }
}

fn slots() -> i64 {
    i64::try_from(BUCKETS).unwrap_or(i64::MAX)
}

fn slot(index: i64) -> usize {
    usize::try_from(index.rem_euclid(slots())).unwrap_or(0)
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
fn widen(index: i64) -> f64 {
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

    /// Floors of a level after one sample a second with a bucket of four seconds.
    fn floors(sizes: impl IntoIterator<Item = (u32, f64)>, level: usize) -> Vec<f64> {
        let mut ladder = Ladder::new(1.0);
        for (at, size) in sizes {
            ladder.push(f64::from(at), size);
        }
        let mut window = Window::default();
        ladder.window(level, &mut window);
        window.floors
    }

    #[test]
    fn a_bucket_keeps_its_floor_and_closes_into_the_next_level() {
        let saw = (0..25).map(|at| (at, 100.0 + f64::from(at % 4)));
        assert_eq!(floors(saw.clone(), 0), [100.0; 6]);
        assert_eq!(floors(saw, 1), [100.0; 2]);
    }

    #[test]
    fn a_gap_is_a_missing_bucket() {
        let mut ladder = Ladder::new(1.0);
        for at in (0..9).chain(40..50) {
            ladder.push(f64::from(at), f64::from(at));
        }
        let mut window = Window::default();
        ladder.window(0, &mut window);
        assert_eq!(window.times, [2.0, 6.0, 10.0, 42.0, 46.0]);
        assert_eq!(window.floors, [0.0, 4.0, 8.0, 40.0, 44.0]);
        ladder.window(1, &mut window);
        assert_eq!(window.times, [6.0, 42.0]);
    }

    #[test]
    fn a_gap_longer_than_the_ring_leaves_only_what_is_new() {
        let mut ladder = Ladder::new(1.0);
        for at in (0..100).chain(100_000..100_009) {
            ladder.push(f64::from(at), 1.0);
        }
        let mut window = Window::default();
        ladder.window(0, &mut window);
        assert_eq!(window.times, [100_002.0, 100_006.0]);
        assert_eq!(window.past_floor, Some(1.0));
    }

    #[test]
    fn the_ring_is_bounded_and_remembers_the_highest_floor_that_left_it() {
        let mut ladder = Ladder::new(1.0);
        for at in 0..1000 {
            ladder.push(f64::from(at), if (8..12).contains(&at) { 99.0 } else { 1.0 });
        }
        let mut window = Window::default();
        ladder.window(0, &mut window);
        assert_eq!(window.floors.len(), BUCKETS);
        assert_eq!(window.past_floor, Some(99.0));
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
    fn huge_and_negative_sizes_stay_finite() {
        let mut ladder = Ladder::new(1.0);
        for (at, size) in
            (0u32..).zip([0.0, 2f64.powi(60), -5.0, 1e300, -1e300, 0.0].into_iter().cycle().take(500))
        {
            ladder.push(f64::from(at), size);
        }
        let mut window = Window::default();
        for level in 0..ladder.level_count() {
            ladder.window(level, &mut window);
            assert!(window.floors.iter().chain(&window.ceilings).all(|size| size.is_finite()));
        }
    }

    #[test]
    fn an_area_takes_less_than_two_kibibytes_after_a_year() {
        let mut ladder = Ladder::new(30.0);
        for at in 0..1_000_000 {
            ladder.push(f64::from(at) * 30.0, f64::from(at));
        }
        assert_eq!(ladder.level_count(), LEVELS);
        assert!(ladder.state_bytes() <= 2048, "{} bytes", ladder.state_bytes());
    }
}
