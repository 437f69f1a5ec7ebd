//! The series that the detector is measured on, and judges that are fed with them.
//!
//! A size depends on the series, the time and a seed alone, by integer arithmetic and no foreign library, so that every
//! run does the same work on every machine.

use memleak_exporter::{
    detect::{
        judge::{Judge, Owner},
        judgement::{Circumstances, Scratch},
    },
    sample::{Identity, Limit, LimitSource, Unit},
};

/// When the watched processes start: the epoch of buckets of all widths, some time in 2023.
pub(crate) const START: f64 = 64_800.0 * 26_244.0;
/// What sizes are whole multiples of, as with a kernel.
const PAGE_BYTES: f64 = 4096.0;
const MEBIBYTE: f64 = 1_048_576.0;

/// What an area's size does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// Constant but for a page or two, every ten minutes.
    Quiet,
    /// Garbage of up to 120 MiB, collected every 47 s.
    SawTooth,
    /// 100 MiB an hour, under noise of half a mebibyte.
    Leak,
}

impl Course {
    pub(crate) const ALL: [Self; 3] = [Self::Quiet, Self::SawTooth, Self::Leak];

    /// The size in bytes, so many seconds after the start.
    pub(crate) fn size(self, age_secs: f64, seed: u64) -> f64 {
        let bytes = match self {
            Self::Quiet => 64.0 * MEBIBYTE + PAGE_BYTES * (3.0 * chance(age_secs / 600.0, seed)).floor(),
            Self::SawTooth => {
                let turn = age_secs / 47.0;
                let height = 120.0 * MEBIBYTE * (0.8 + 0.2 * chance(turn, seed));
                300.0 * MEBIBYTE + height * turn.fract()
            }
            Self::Leak => {
                let noise = 0.5 * MEBIBYTE * chance(age_secs, seed);
                500.0 * MEBIBYTE + 100.0 * MEBIBYTE * age_secs / 3600.0 + noise
            }
        };
        (bytes / PAGE_BYTES).floor() * PAGE_BYTES
    }
}

/// A number from 0 to 1 that looks random, the same for the whole of `turn` (the finaliser of splitmix64).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "turns are small and positive, and 53 bits of chance are enough"
)]
fn chance(turn: f64, seed: u64) -> f64 {
    let mut bits = (turn as u64).wrapping_add(seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ bits >> 31) >> 11) as f64 / (1u64 << 53) as f64
}

/// One area that is sampled evenly.
pub(crate) struct Watched {
    pub(crate) judge: Judge,
    /// How many samples were judged.
    pub(crate) samples: u32,
    course: Course,
    interval_secs: f64,
    seed: u64,
}

impl Watched {
    /// One that has been watched for `age_secs`.
    pub(crate) fn aged(course: Course, interval_secs: f64, seed: u64, age_secs: f64) -> Self {
        let mut watched = Self { judge: Judge::new(interval_secs), samples: 0, course, interval_secs, seed };
        let mut scratch = Scratch::default();
        while watched.age_secs() < age_secs {
            watched.sample(&mut scratch);
        }
        watched
    }

    /// Judges the next sample.
    pub(crate) fn sample(&mut self, scratch: &mut Scratch) {
        let age_secs = self.age_secs();
        take_in(&mut self.judge, START + age_secs, self.course.size(age_secs, self.seed), scratch);
        self.samples += 1;
    }

    /// The age at the next sample.
    pub(crate) fn age_secs(&self) -> f64 {
        f64::from(self.samples) * self.interval_secs
    }
}

/// Judges one sample as a tick does.
pub(crate) fn take_in(judge: &mut Judge, at: f64, size: f64, scratch: &mut Scratch) {
    let limit =
        Limit { value: 8192.0 * MEBIBYTE, used: size + 1024.0 * MEBIBYTE, source: LimitSource::Cgroup };
    let circumstances = Circumstances { unit: Unit::Bytes, started_at: START, limit: Some(limit) };
    let owner = Owner { identity: Identity { pid: 1, start_ticks: 1 }, area: "anon" };
    judge.take_in(at, size, &circumstances, owner, scratch);
}
