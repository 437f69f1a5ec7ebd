//! Streams of samples that nobody would think of: gaps, late and repeated samples, clocks that step, counters that are
//! reset, numbers that are none.

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
};

/// The epoch of buckets of all widths, some time in 2023: whole seconds from here on are exact in every sum.
pub(crate) const START: f64 = 64_800.0 * COARSEST_SECS;
/// The width of the coarsest buckets.
pub(crate) const COARSEST_SECS: f64 = 26_244.0;
/// What sizes of [`paged`] streams are whole multiples of.
pub(crate) const PAGE: f64 = 4096.0;

/// A time and a size.
pub(crate) type Sample = (f64, f64);

/// A part of a stream.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Samples at an even distance that move on from the last size.
    Run { count: u16, every_secs: f64, climb: f64, noise: f64 },
    /// A run that falls back to where it began, again and again.
    Saw { count: u16, every_secs: f64, height: f64 },
    /// From now on it is this size.
    Jump(f64),
    /// Nothing comes for so long.
    Gap(f64),
    /// The clock goes back.
    Back(f64),
    /// One sample that is so late.
    Late(f64),
    /// The last sample once more.
    Repeat,
    /// One sample at a time that may be no number.
    At(f64),
}

/// All sorts of streams.
pub(crate) fn wild() -> impl Strategy<Value = Vec<Part>> {
    let odd_size = prop_oneof![
        Just(0.0),
        Just(-4096.0),
        Just(2f64.powi(60)),
        Just(-(2f64.powi(60))),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX),
        Just(f64::MIN),
        Just(f64::MIN_POSITIVE),
        any::<f64>(),
    ];
    let odd_time = prop_oneof![Just(f64::NAN), Just(f64::NEG_INFINITY), Just(f64::INFINITY), Just(f64::MIN)];
    let part = prop_oneof![
        4 => run(odd_step()),
        4 => run(pages(1000)),
        2 => saw(),
        2 => odd_size.prop_map(Part::Jump),
        2 => pages(1_000_000).prop_map(|size| Part::Jump(size.abs())),
        1 => gap(),
        1 => eighths(40_000).prop_map(Part::Back),
        1 => eighths(400).prop_map(Part::Late),
        1 => Just(Part::Repeat),
        1 => odd_time.prop_map(Part::At),
    ];
    vec(part, 0..12)
}

/// Streams of a source that counts pages, from a mebibyte on: quantised, with gaps, late and repeated samples.
pub(crate) fn paged() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        5 => run(pages(1000)),
        2 => saw(),
        2 => pages(1_000_000).prop_map(|size| Part::Jump(size.abs())),
        1 => gap(),
        1 => eighths(400).prop_map(Part::Late),
        1 => Just(Part::Repeat),
    ];
    vec(part, 0..10)
}

/// The samples of a stream, which begins at `start` with a few mebibytes.
pub(crate) fn samples(parts: &[Part], start: f64) -> Vec<Sample> {
    let mut stream = Stream { at: start, size: 4_194_304.0, chance: 1, samples: Vec::new() };
    stream.samples.push((start, stream.size));
    for part in parts {
        stream.add(part);
    }
    stream.samples
}

struct Stream {
    at: f64,
    size: f64,
    chance: u32,
    samples: Vec<Sample>,
}

impl Stream {
    fn add(&mut self, part: &Part) {
        match *part {
            Part::Run { count, every_secs, climb, noise } => {
                for _ in 0..count {
                    self.size += climb;
                    let size = self.size + noise * self.chance();
                    self.push(every_secs, size);
                }
            }
            Part::Saw { count, every_secs, height } => {
                for turn in 0..count {
                    self.push(every_secs, self.size + f64::from(turn % 17) * height);
                }
            }
            Part::Jump(size) => self.size = size,
            Part::Gap(secs) => self.at += secs,
            Part::Back(secs) => self.at -= secs,
            Part::Late(secs) => self.samples.push((self.at - secs, self.size)),
            Part::Repeat => self.samples.extend(self.samples.last().copied()),
            Part::At(at) => self.samples.push((at, self.size)),
        }
    }

    fn push(&mut self, secs: f64, size: f64) {
        self.at += secs;
        self.samples.push((self.at, size));
    }

    /// A small whole number that looks random, between −4 and 4.
    fn chance(&mut self) -> f64 {
        self.chance = self.chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.chance >> 16).rem_euclid(9.0) - 4.0
    }
}

fn run(step: impl Strategy<Value = f64> + Clone) -> impl Strategy<Value = Part> {
    (1..200u16, spacing(), step.clone(), step).prop_map(|(count, every_secs, climb, noise)| Part::Run {
        count,
        every_secs,
        climb,
        noise,
    })
}

fn saw() -> impl Strategy<Value = Part> {
    (1..200u16, spacing(), pages(10_000)).prop_map(|(count, every_secs, height)| Part::Saw {
        count,
        every_secs,
        height: height.abs(),
    })
}

/// From samples of the same time to one every second bucket of the coarsest level.
fn spacing() -> impl Strategy<Value = f64> {
    prop_oneof![
        1 => Just(0.0),
        1 => eighths(100),
        3 => Just(3.0),
        3 => Just(12.0),
        1 => Just(100.0),
        1 => Just(5000.0),
        1 => Just(27_000.0),
    ]
}

fn gap() -> impl Strategy<Value = Part> {
    prop_oneof![eighths(100_000), (0..40u32).prop_map(|buckets| f64::from(buckets) * COARSEST_SECS)]
        .prop_map(Part::Gap)
}

fn eighths(most: u32) -> impl Strategy<Value = f64> {
    (0..most).prop_map(|eighths| f64::from(eighths) / 8.0)
}

fn pages(most: i32) -> impl Strategy<Value = f64> + Clone {
    prop_oneof![Just(0.0), Just(PAGE), (-most..most).prop_map(|pages| PAGE * f64::from(pages))]
}

fn odd_step() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        Just(-1.0),
        Just(1e-9),
        Just(2f64.powi(60)),
        -1e6..1e6f64,
        Just(1e300),
        Just(-1e36)
    ]
}
