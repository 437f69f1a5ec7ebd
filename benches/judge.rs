//! What judging costs: time per sample beside a naive fit anew at each sample, bytes per area, and a million areas.
//!
//! The detector looks again only when a bucket closes, and then at the horizons that closed one. Each figure below is
//! therefore an average over samples that follow each other, in areas that all horizons already speak for.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "detector/naive.rs"]
mod naive;
#[path = "detector/series.rs"]
mod series;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use memleak_exporter::{
    detect::{judge::Judge, judgement::Scratch},
    series::ladder::Ladder,
};
use naive::Recent;
use series::{Course, START, Watched, take_in};
use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

const DAY_SECS: f64 = 86_400.0;
/// After so long all horizons speak: eight of the coarsest buckets are 2.4 days.
const ALL_SPEAK_SECS: f64 = 3.0 * DAY_SECS;
const INTERVALS_SECS: [f64; 3] = [1.0, 3.0, 30.0];
/// The samples of one iteration.
const BATCH: u32 = 1200;
const MILLION: usize = 1_000_000;
/// What a million areas may take beside what the machine needs for itself.
const ROOM_KIB: u64 = 4_000_000;

fn main() {
    // With a filter only the timed groups run.
    if std::env::args().skip(1).all(|argument| argument.starts_with("--")) {
        sizes();
        beside_naive_fits();
        a_million_areas();
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    each_course(&mut criterion);
    a_mix(&mut criterion);
    criterion.final_summary();
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begin = Instant::now();
    let done = work();
    (begin.elapsed(), done)
}

/// Time per iteration; divided by the samples in the name it is the price of a sample.
fn each_course(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    for course in Course::ALL {
        for interval_secs in INTERVALS_SECS {
            let mut watched = Watched::aged(course, interval_secs, 1, ALL_SPEAK_SECS);
            let mut scratch = Scratch::default();
            let name = format!("{course:?} every {interval_secs} s");
            group.bench_function(BenchmarkId::new(name, BATCH), |bencher| {
                bencher.iter(|| (0..BATCH).for_each(|_| watched.sample(&mut scratch)));
            });
        }
    }
    group.finish();
}

/// A thousand areas of all courses and ages, one sample each: nine of ten are quiet, as on a calm machine.
fn a_mix(criterion: &mut Criterion) {
    let mut areas: Vec<Watched> = (0..1000u32)
        .map(|number| Watched::aged(mixed(number), 3.0, number.into(), age_secs(number)))
        .collect();
    let mut scratch = Scratch::default();
    let mut group = criterion.benchmark_group("judge");
    group.throughput(Throughput::Elements(areas.len() as u64));
    group.bench_function(BenchmarkId::new("a mix every 3 s", areas.len()), |bencher| {
        bencher.iter_batched(
            || (),
            |()| areas.iter_mut().for_each(|area| area.sample(&mut scratch)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn mixed(number: u32) -> Course {
    match number % 20 {
        0 => Course::Leak,
        1 => Course::SawTooth,
        _ => Course::Quiet,
    }
}

/// From four minutes to three days, evenly in logarithms, in whole minutes.
fn age_secs(number: u32) -> f64 {
    let share = f64::from(number % 61) / 60.0;
    (4.0 * (ALL_SPEAK_SECS / 240.0).powf(share)).floor() * 60.0
}

/// Bytes of one area's state, by age: the ladder, and the whole judge without and with a life before.
fn sizes() {
    println!("\nbytes of an area's state (3 s)\n");
    println!("| age | ladder | judge | judge with a past life |");
    println!("| --- | --- | --- | --- |");
    for (age, secs) in [("new", 0.0), ("10 min", 600.0), ("1 d", DAY_SECS), ("12 d", 12.0 * DAY_SECS)] {
        let mut ladder = Ladder::new(3.0);
        let mut scratch = Scratch::default();
        let mut first = Judge::new(3.0);
        let mut second = Judge::after(first.end(START, &mut scratch), 3.0);
        let mut at = 0.0;
        while at < secs {
            let size = Course::Leak.size(at, 1);
            ladder.push(START + at, size);
            take_in(&mut first, START + at, size, &mut scratch);
            take_in(&mut second, START + at, size, &mut scratch);
            at += 3.0;
        }
        println!("| {age} | {} | {} | {} |", ladder.state_bytes(), first.state_bytes(), second.state_bytes());
    }
}

/// The same samples, judged here and fitted anew at each sample there, in the same run.
fn beside_naive_fits() {
    println!(
        "\nnanoseconds a sample, and how many times as much a fit of the last hour at each sample takes\n"
    );
    println!("| series | judge | least squares | times | Theil-Sen | times |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for course in Course::ALL {
        for interval_secs in INTERVALS_SECS {
            let mut scratch = Scratch::default();
            let mut watched = Watched::aged(course, interval_secs, 1, ALL_SPEAK_SECS);
            let judge = nanoseconds(20 * BATCH, || watched.sample(&mut scratch));
            let mut recent = Recent::of(course, interval_secs);
            let least_squares = nanoseconds(BATCH, || {
                recent.next_sample();
                black_box(recent.least_squares());
            });
            let theil_sen = nanoseconds(1, || {
                recent.next_sample();
                black_box(recent.theil_sen());
            });
            println!(
                "| {course:?} every {interval_secs} s | {judge:.0} | {least_squares:.0} | {:.1} | {theil_sen:.0} | {:.0} |",
                least_squares / judge,
                theil_sen / judge
            );
        }
    }
}

/// Nanoseconds of one piece of work: the median of five rounds of `count`.
fn nanoseconds(count: u32, mut work: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| timed(|| (0..count).for_each(|_| work())).0.as_secs_f64() * 1e9 / f64::from(count))
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds.get(2).copied().unwrap_or(f64::NAN)
}

/// A million areas of all courses and ages: what they take, and what a tick over all of them takes.
fn a_million_areas() {
    let available = kibibytes("/proc/meminfo", "MemAvailable:");
    if available < ROOM_KIB {
        println!(
            "\na million areas: left out, for {available} KiB of memory are free and {ROOM_KIB} are wanted"
        );
        return;
    }
    let ends_at = START + ALL_SPEAK_SECS;
    // All end at the same time, as a tick has one time for all.
    let kinds: Vec<Kind> = (0..61).map(|number| Kind::until(ends_at, number)).collect();
    let before = kibibytes("/proc/self/status", "VmRSS:");
    let mut judges: Vec<Judge> = Vec::with_capacity(MILLION);
    judges.extend((0..MILLION).zip(kinds.iter().cycle()).map(|(_, kind)| kind.judge.clone()));
    let grown = kibibytes("/proc/self/status", "VmRSS:").saturating_sub(before);
    println!(
        "\na million areas, from four minutes to three days old: {} MiB, {} bytes each",
        grown / 1024,
        grown * 1024 / 1_000_000
    );

    let mut scratch = Scratch::default();
    let mut ticks: Vec<f64> = (0..8u32)
        .map(|tick| {
            let at = ends_at + 3.0 * f64::from(tick);
            let (time, ()) = timed(|| {
                for (judge, kind) in judges.iter_mut().zip(kinds.iter().cycle()) {
                    take_in(judge, at, kind.size(at), &mut scratch);
                }
            });
            time.as_secs_f64()
        })
        .collect();
    ticks.sort_by(f64::total_cmp);
    let mean = ticks.iter().sum::<f64>() / 8.0;
    let [least, .., most] = ticks.as_slice() else { return };
    println!(
        "a tick over all of them: {mean:.2} s on average, {least:.2} s where no bucket closes, {most:.2} s at most"
    );
}

/// What several of the million are clones of: an area that is so old now.
struct Kind {
    judge: Judge,
    course: Course,
    began_at: f64,
    seed: u64,
}

impl Kind {
    fn until(ends_at: f64, number: u32) -> Self {
        let began_at = ends_at - age_secs(number);
        let mut kind = Self { judge: Judge::new(3.0), course: mixed(number), began_at, seed: number.into() };
        let mut scratch = Scratch::default();
        let mut at = began_at;
        while at < ends_at {
            let size = kind.size(at);
            take_in(&mut kind.judge, at, size, &mut scratch);
            at += 3.0;
        }
        kind
    }

    fn size(&self, at: f64) -> f64 {
        self.course.size(at - self.began_at, self.seed)
    }
}

/// A number of KiB out of a file of the kernel; 0 where it is not there.
fn kibibytes(path: &str, key: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
