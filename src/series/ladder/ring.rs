//! One level of the ladder: a ring of closed buckets and the open one, in about 150 bytes.
//!
//! Floors are whole multiples of a unit around an origin, in 16 bits: a window of any range is kept to within a 65 000th
//! of it. When a size no longer fits, the ring is written anew around its present range. Of a ceiling the height above
//! its floor is kept, in 8 bits: how high a saw-tooth is need not be known to better than 3 %.

use super::BUCKETS;
use serde::{Deserialize, Serialize};
use serde_big_array::BigArray;

/// Marks a missing bucket.
const MISSING: i16 = i16::MIN;
/// The largest distance from the origin, in units.
const REACH: f32 = 32_000.0;
/// After a rewrite the ring takes this much of the reach on either side, and the rest is room to grow into.
const FILLED: f32 = 18_000.0;
/// The largest height, in units: from one end of the reach to the other and some more.
const MOST_HEIGHT: f32 = 66_000.0;
/// Leading zeros of a 32-bit number of five bits.
const LEADING_BITS: u32 = 27;
/// The finest unit: a part of a byte or of an object matters to nobody.
const LEAST_UNIT: f32 = 0.0625;
/// No bucket has a number beyond this: it could not be computed with.
const MOST_INDEX: u64 = 1 << 53;

/// One resolution of one area.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ring {
    /// The number of the open bucket, counted from the epoch in this level's width.
    open_index: i64,
    /// The number of the newest closed bucket.
    newest_index: i64,
    open_floor: f32,
    open_ceiling: f32,
    /// The highest floor and ceiling that have left the ring.
    past_floor: f32,
    past_ceiling: f32,
    /// What code 0 stands for.
    origin: f32,
    /// What one step of a code stands for: a power of two.
    unit: f32,
    /// Buckets that have left, at most as many as a ring has.
    past_count: u8,
    /// Slots in use, missing buckets included.
    used: u8,
    is_open: bool,
    /// The slot is the bucket's number modulo [`BUCKETS`].
    #[serde(with = "BigArray")]
    floors: [i16; BUCKETS],
    /// The height of each ceiling above its floor, by [`encode_height`].
    #[serde(with = "BigArray")]
    heights: [u8; BUCKETS],
}

impl Ring {
    pub(super) const fn new() -> Self {
        Self {
            open_index: 0,
            newest_index: 0,
            open_floor: f32::INFINITY,
            open_ceiling: f32::NEG_INFINITY,
            past_floor: f32::NEG_INFINITY,
            past_ceiling: f32::NEG_INFINITY,
            origin: 0.0,
            unit: LEAST_UNIT,
            past_count: 0,
            used: 0,
            is_open: false,
            floors: [MISSING; BUCKETS],
            heights: [0; BUCKETS],
        }
    }

    /// Whether its numbers can be computed with; see [`super::Ladder::is_sound`].
    pub(super) fn is_sound(&self) -> bool {
        [self.open_index, self.newest_index].iter().all(|index| index.unsigned_abs() <= MOST_INDEX)
            && usize::from(self.used) <= BUCKETS
            && self.origin.is_finite()
            && self.unit.is_finite()
            && self.unit >= LEAST_UNIT
            && (!self.is_open || (self.open_floor.is_finite() && self.open_ceiling.is_finite()))
    }

    /// How many slots are in use, missing buckets included.
    pub(super) fn used(&self) -> u8 {
        self.used
    }

    /// Whether the open bucket ended before bucket `now` began.
    pub(super) fn is_behind(&self, now: i64) -> bool {
        self.is_open && self.open_index < now
    }

    /// Takes a floor and a ceiling into the open bucket, which bucket `index` becomes if none is open.
    pub(super) fn widen(&mut self, index: i64, floor: f32, ceiling: f32) {
        if !self.is_open {
            self.is_open = true;
            self.open_index = index;
        }
        self.open_floor = self.open_floor.min(floor);
        self.open_ceiling = self.open_ceiling.max(ceiling);
    }

    /// Moves the open bucket into the ring and returns its number, floor and ceiling.
    pub(super) fn close(&mut self) -> (i64, f32, f32) {
        let closed = (self.open_index, self.open_floor, self.open_ceiling);
        let gap = if self.used == 0 { 1 } else { self.open_index.saturating_sub(self.newest_index).max(1) };
        for back in (0..gap.min(slots())).rev() {
            self.evict(self.open_index - back);
        }
        self.make_room(self.open_floor, self.open_ceiling);
        let floor = encode(self.open_floor, self.origin, self.unit);
        let height = encode_height((self.open_ceiling - self.value(floor)) / self.unit);
        self.put(self.open_index, floor, height);
        let used = i64::from(self.used).saturating_add(gap).min(slots());
        self.used = u8::try_from(used).unwrap_or(u8::MAX);
        self.newest_index = self.open_index;
        self.is_open = false;
        self.open_floor = f32::INFINITY;
        self.open_ceiling = f32::NEG_INFINITY;
        closed
    }

    /// The closed buckets that are not missing, oldest first: number, floor, ceiling.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (i64, f64, f64)> {
        (0..i64::from(self.used)).rev().filter_map(|back| {
            let index = self.newest_index - back;
            let (floor, ceiling) = self.bucket(index)?;
            Some((index, f64::from(floor), f64::from(ceiling)))
        })
    }

    /// The floor of the newest closed bucket.
    pub(super) fn newest_floor(&self) -> Option<f64> {
        let (floor, _) = self.bucket(self.newest_index).filter(|_| self.used > 0)?;
        Some(f64::from(floor))
    }

    /// The highest floor and ceiling before the ring, once as much as a quarter of a ring lies there.
    pub(super) fn past(&self) -> Option<(f64, f64)> {
        let is_long = usize::from(self.past_count) >= BUCKETS / 4;
        is_long.then(|| (f64::from(self.past_floor), f64::from(self.past_ceiling)))
    }

    /// Empties the slot that bucket `index` is about to take; what was in it is past.
    fn evict(&mut self, index: i64) {
        if let Some((floor, ceiling)) = self.bucket(index) {
            self.past_floor = self.past_floor.max(floor);
            self.past_ceiling = self.past_ceiling.max(ceiling);
            self.past_count = self.past_count.saturating_add(1);
        }
        self.put(index, MISSING, 0);
    }

    /// Makes sure that a floor and a ceiling fit, by writing the ring anew around all that it then holds.
    fn make_room(&mut self, floor: f32, ceiling: f32) {
        let fits = |size: f32| ((size - self.origin) / self.unit).abs() <= REACH;
        if fits(floor) && fits(ceiling) {
            return;
        }
        let (mut low, mut high) = (floor, ceiling);
        for (_, floor, ceiling) in self.buckets() {
            low = low.min(narrow(floor));
            high = high.max(narrow(ceiling));
        }
        let mut unit = LEAST_UNIT;
        while unit * 2.0 * FILLED < high - low && unit < f32::MAX / 4.0 {
            unit *= 2.0;
        }
        // A whole multiple of the unit: as long as the unit stays, nothing is rounded a second time.
        let origin = ((low / 2.0 + high / 2.0) / unit).round() * unit;
        let before = self.clone();
        self.unit = unit;
        self.origin = origin;
        let codes = self.floors.iter_mut().zip(&mut self.heights);
        for (floor, height) in codes.filter(|(floor, _)| **floor != MISSING) {
            let size = before.value(*floor);
            let ceiling = size + before.unit * height_of(*height);
            *floor = encode(size, origin, unit);
            *height = encode_height((ceiling - (origin + f32::from(*floor) * unit)) / unit);
        }
    }

    /// The floor and the ceiling of bucket `index`; none where it is missing.
    fn bucket(&self, index: i64) -> Option<(f32, f32)> {
        let at = slot(index);
        let floor = self.floors.get(at).copied().filter(|code| *code != MISSING)?;
        let floor = self.value(floor);
        Some((floor, floor + self.unit * height_of(self.heights.get(at).copied()?)))
    }

    fn put(&mut self, index: i64, floor: i16, height: u8) {
        let at = slot(index);
        if let (Some(kept_floor), Some(kept_height)) = (self.floors.get_mut(at), self.heights.get_mut(at)) {
            *kept_floor = floor;
            *kept_height = height;
        }
    }

    fn value(&self, code: i16) -> f32 {
        self.origin + f32::from(code) * self.unit
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of the type")]
fn encode(size: f32, origin: f32, unit: f32) -> i16 {
    ((size - origin) / unit).round().clamp(-32_767.0, 32_767.0) as i16
}

#[expect(clippy::cast_possible_truncation, reason = "it was a narrow number before")]
fn narrow(size: f64) -> f32 {
    size as f32
}

fn slots() -> i64 {
    i64::try_from(BUCKETS).unwrap_or(i64::MAX)
}

fn slot(index: i64) -> usize {
    usize::try_from(index.rem_euclid(slots())).unwrap_or(0)
}

/// A height in units as a byte: up to 32 as it is, above that the leading five bits and how many are left out.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of the code"
)]
fn encode_height(height: f32) -> u8 {
    let height = height.round().clamp(0.0, MOST_HEIGHT) as u32;
    let shift = LEADING_BITS.saturating_sub(height.leading_zeros());
    let half = (1 << shift) >> 1;
    // 32 leading units at one shift are 16 at the next: the codes go on without a gap.
    (16 * shift + ((height + half) >> shift)) as u8
}

/// The height in units that a byte stands for.
fn height_of(code: u8) -> f32 {
    let shift = (code / 16).saturating_sub(1);
    f32::from(code - 16 * shift) * f32::from(1u16 << shift.min(15))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The floors of a ring that took in these, one bucket after the other.
    fn floors(sizes: &[f32]) -> Vec<f64> {
        let mut ring = Ring::new();
        for (size, index) in sizes.iter().zip(0..) {
            ring.widen(index, *size, *size);
            ring.close();
        }
        ring.buckets().map(|(_, floor, _)| floor).collect()
    }

    #[test]
    fn sizes_are_kept_to_within_a_part_of_their_range() {
        for range in [1.0f32, 1e3, 1e6, 1e12, 1e18] {
            let sizes: Vec<f32> = (0u8..36).map(|index| range * f32::from(index) / 35.0).collect();
            for (kept, size) in floors(&sizes).iter().zip(&sizes) {
                let error = (kept - f64::from(*size)).abs();
                assert!(error <= f64::from(range) / 18_000.0 + 0.04, "{kept} for {size}");
            }
        }
    }

    #[test]
    fn a_long_climb_does_not_gather_errors() {
        let sizes: Vec<f32> = (0u16..5000).map(|index| 4096.0 * f32::from(index)).collect();
        let kept = floors(&sizes);
        for (kept, size) in kept.iter().zip(sizes.iter().skip(sizes.len() - 36)) {
            assert!((kept - f64::from(*size)).abs() <= 4.0, "{kept} for {size}");
        }
    }

    #[test]
    fn heights_are_kept_to_within_three_percent() {
        for height in (0u16..=65_000).map(f32::from) {
            let kept = height_of(encode_height(height));
            let allowed = if height < 32.0 { 0.0 } else { height / 32.0 };
            assert!((kept - height).abs() <= allowed, "{kept} for {height}");
        }
        assert_eq!(encode_height(f32::INFINITY), encode_height(MOST_HEIGHT));
        assert_eq!((encode_height(f32::NAN), encode_height(-1.0)), (0, 0));
        (0..=u8::MAX).for_each(|code| assert!(height_of(code).is_finite(), "{code}"));
    }

    #[test]
    fn ceilings_stay_above_their_floors_when_the_ring_is_written_anew() {
        let mut ring = Ring::new();
        for (size, index) in [1e3f32, 1e6, 1e9, 1e12].into_iter().zip(0..) {
            ring.widen(index, size, 3.0 * size);
            ring.close();
        }
        let kept: Vec<(f64, f64)> = ring.buckets().map(|(_, floor, ceiling)| (floor, ceiling)).collect();
        let (floor, ceiling) = kept.last().copied().expect("a bucket");
        assert!((ceiling / floor - 3.0).abs() < 0.1, "{kept:?}");
        assert!(kept.iter().all(|(floor, ceiling)| ceiling >= floor), "{kept:?}");
    }

    #[test]
    fn numbers_that_cannot_be_computed_with_are_noticed() {
        let mut ring = Ring::new();
        ring.widen(7, 1.0, 2.0);
        assert!(ring.is_sound());
        for spoil in [
            |ring: &mut Ring| ring.open_index = i64::MAX,
            |ring: &mut Ring| ring.newest_index = i64::MIN,
            |ring: &mut Ring| ring.used = 37,
            |ring: &mut Ring| ring.unit = 0.0,
            |ring: &mut Ring| ring.unit = f32::NAN,
            |ring: &mut Ring| ring.origin = f32::INFINITY,
            |ring: &mut Ring| ring.open_floor = f32::NAN,
        ] {
            let mut spoilt = ring.clone();
            spoil(&mut spoilt);
            assert!(!spoilt.is_sound(), "{spoilt:?}");
        }
    }

    #[test]
    fn a_ring_is_small() {
        assert!(size_of::<Ring>() <= 152, "{}", size_of::<Ring>());
    }
}
