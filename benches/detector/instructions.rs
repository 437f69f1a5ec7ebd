//! Fixed work for the detector, to be counted in instructions: `instructions SCENARIO` does it and prints how many
//! samples it judged; without a scenario it lists them. `benches/instructions` runs this under valgrind.

#![expect(clippy::print_stdout, reason = "it answers the script that started it")]

mod series;

use memleak_exporter::{
    detect::{judge::Judge, judgement::Scratch},
    series::ladder::Ladder,
};
use series::{Course, START, Watched, take_in};
use std::{error::Error, hint::black_box};

const HOUR_SECS: f64 = 3600.0;

/// What is done, and how it is called.
type Scenario = (&'static str, fn() -> u32);

const SCENARIOS: [Scenario; 9] = [
    // What starting a program costs; taken off the others.
    ("nothing", || 1),
    ("ladder alone, 3 s", || ladder(24.0 * HOUR_SECS)),
    ("quiet, 3 s", || judged(Course::Quiet, 3.0, 24.0 * HOUR_SECS)),
    ("saw-tooth, 3 s", || judged(Course::SawTooth, 3.0, 12.0 * HOUR_SECS)),
    ("leak, 1 s", || judged(Course::Leak, 1.0, 6.0 * HOUR_SECS)),
    ("leak, 3 s", || judged(Course::Leak, 3.0, 12.0 * HOUR_SECS)),
    ("leak, 30 s", || judged(Course::Leak, 30.0, 96.0 * HOUR_SECS)),
    ("first ten minutes, 3 s", || young(50)),
    ("lives of half an hour, 3 s", || lives(20)),
];

fn main() -> Result<(), Box<dyn Error>> {
    let Some(wanted) = std::env::args().nth(1) else {
        SCENARIOS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let (_, work) = SCENARIOS
        .iter()
        .find(|(name, _)| *name == wanted)
        .ok_or_else(|| format!("no scenario is called {wanted:?}; without an argument they are listed"))?;
    println!("{}", work());
    Ok(())
}

fn judged(course: Course, interval_secs: f64, secs: f64) -> u32 {
    black_box(Watched::aged(course, interval_secs, 1, secs)).samples
}

fn ladder(secs: f64) -> u32 {
    let mut ladder = Ladder::new(3.0);
    let (mut age_secs, mut samples) = (0.0, 0);
    while age_secs < secs {
        black_box(ladder.push(START + age_secs, Course::Leak.size(age_secs, 1)));
        age_secs += 3.0;
        samples += 1;
    }
    samples
}

/// Processes that have just started, of all courses in turn.
fn young(areas: u32) -> u32 {
    (0..areas).zip(Course::ALL.into_iter().cycle()).map(|(_, course)| judged(course, 3.0, 600.0)).sum()
}

/// One service that is restarted again and again.
fn lives(lives: u32) -> u32 {
    let mut scratch = Scratch::default();
    let mut judge = Judge::new(3.0);
    let (mut at, mut samples) = (START, 0);
    for _ in 0..lives {
        let started_at = at;
        while at - started_at < 0.5 * HOUR_SECS {
            take_in(&mut judge, at, Course::Leak.size(at - started_at, 1), &mut scratch);
            at += 3.0;
            samples += 1;
        }
        judge = Judge::after(judge.end(started_at, &mut scratch), 3.0);
    }
    samples
}
