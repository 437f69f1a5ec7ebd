//! Ten real programs at once: the five that leak are confirmed, one in each runtime, and nobody else is.
//!
//! The short form runs for three minutes at 100 ms. The long one (`MEMLEAK_TEST_LONG=1`) runs for ten minutes at
//! 200 ms, three times in a row. An independent reader follows the same processes through the kernel's own account,
//! takes floors and fits a line by least squares; the exporter's growth must agree with it.

use crate::{
    exporter::{Exporter, Scratch},
    exposition::Scrape,
    process::{now, pause},
    programs::{Family, Program},
    storage::{first_sight, wait_for_a_save},
};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The exporter's growth and the independent slope may differ by this share.
const AGREEMENT: f64 = 0.15;
/// Nothing is fitted before this share of the run: runtimes warm up.
const WARM_AFTER: f64 = 0.35;

const PROGRAMS: Family = Family::new("ten", 1);

/// How long and how fast.
struct Form {
    interval: &'static str,
    /// Pause of the independent reader between two looks.
    look_every: Duration,
    lasts: Duration,
    /// Width of the windows whose minimum is a floor: longer than the programs' garbage lives.
    floor_secs: f64,
    /// Options of each program that does not leak, in time with the form.
    sawtooth: [&'static str; 4],
    warmup: [&'static str; 4],
    daily: [&'static str; 4],
    step: [&'static str; 4],
    rate: &'static str,
}

const SHORT: Form = Form {
    interval: "100ms",
    look_every: Duration::from_millis(100),
    lasts: Duration::from_secs(200),
    floor_secs: 5.0,
    sawtooth: ["--amplitude", "33554432", "--period", "10"],
    warmup: ["--amplitude", "41943040", "--period", "12"],
    daily: ["--amplitude", "33554432", "--period", "40"],
    step: ["--amplitude", "31457280", "--period", "70"],
    rate: "800000",
};

const LONG: Form = Form {
    interval: "200ms",
    look_every: Duration::from_millis(200),
    lasts: Duration::from_secs(600),
    floor_secs: 10.0,
    sawtooth: ["--amplitude", "33554432", "--period", "20"],
    warmup: ["--amplitude", "41943040", "--period", "30"],
    daily: ["--amplitude", "33554432", "--period", "90"],
    step: ["--amplitude", "31457280", "--period", "200"],
    rate: "200000",
};

#[test]
fn of_ten_programs_exactly_the_five_that_leak_are_confirmed() {
    if std::env::var_os("MEMLEAK_TEST_LONG").is_some() {
        for _ in 0..3 {
            check(&LONG);
        }
    } else {
        check(&SHORT);
    }
}

fn check(form: &Form) {
    let scratch = Scratch::new("leaks");
    let start = || {
        let storage = format!("--storage.path={}", scratch.path.join("state").display());
        let rest = "attribution: {interval: 5s, processes_per_tick: 10, time_per_tick: 5s}\n";
        Exporter::start_configured(&scratch, &PROGRAMS.configuration(form.interval, rest), &[&storage])
    };
    let exporter = start();
    let leaking: Vec<Watched> =
        ["node", "python", "go", "java", "c"].map(|runtime| Watched::leaking(runtime, form)).into();
    let healthy = [
        PROGRAMS.start("node", "sawtooth", &form.sawtooth),
        PROGRAMS.start("java", "warmup", &form.warmup),
        PROGRAMS.start("python", "daily", &form.daily),
        PROGRAMS.start("c", "step", &form.step),
        PROGRAMS.start("go", "steady", &[]),
    ];
    let (leaking, ever) = follow(&exporter, form, leaking);
    let scrape = kill(exporter);
    let again = first_sight(&start());
    assert_eq!(confirmed(&again), confirmed(&scrape), "confirmed after the exporter was killed");
    assert_eq!(begun(&again), begun(&scrape), "when the leaks began");
    for program in &leaking {
        eprintln!("{}", program.row(&scrape));
    }
    for program in &healthy {
        eprintln!("{}", row(&scrape, &program.target));
    }
    let expected: BTreeSet<String> = leaking.iter().map(|watched| watched.program.target.clone()).collect();
    assert_eq!(confirmed(&scrape), expected, "confirmed at the end");
    assert_eq!(ever, expected, "ever confirmed");
    for program in &leaking {
        program.agrees(&scrape);
        program.is_attributed(&scrape);
    }
}

/// Kills the exporter once what it shows is saved; gives what it showed.
fn kill(mut exporter: Exporter) -> Scrape {
    wait_for_a_save(&exporter);
    let scrape = exporter.scrape();
    exporter.process.signal(Signal::KILL);
    exporter.process.wait(Duration::from_secs(60));
    scrape
}

/// When the open episodes began, to the second.
fn begun(scrape: &Scrape) -> BTreeMap<String, String> {
    let all = scrape.all("memleak_area_leak_start_timestamp_seconds", &[("area", "anon")]);
    all.map(|series| (series.labels["target"].clone(), format!("{:.0}", series.value))).collect()
}

/// A leaking program with what the independent reader saw of it.
struct Watched {
    program: Program,
    runtime: &'static str,
    looks: Vec<(f64, f64)>,
}

/// Reads along until the form's time is over; also gives who was ever confirmed.
fn follow(exporter: &Exporter, form: &Form, mut leaking: Vec<Watched>) -> (Vec<Watched>, BTreeSet<String>) {
    let began = now();
    let mut ever = BTreeSet::new();
    let mut looks = 0u32;
    while now().duration_since(began) < form.lasts {
        for watched in &mut leaking {
            let at = now().duration_since(began).as_secs_f64();
            watched.looks.push((at, watched.program.anonymous_bytes().expect("it runs")));
        }
        looks += 1;
        if looks.is_multiple_of(20) {
            ever.extend(confirmed(&exporter.scrape()));
        }
        pause(form.look_every);
    }
    let warm = WARM_AFTER * form.lasts.as_secs_f64();
    for watched in &mut leaking {
        watched.looks =
            floors(&watched.looks, form.floor_secs).into_iter().filter(|(at, _)| *at > warm).collect();
    }
    (leaking, ever)
}

fn confirmed(scrape: &Scrape) -> BTreeSet<String> {
    let all = scrape.all("memleak_area_leak_state", &[("area", "anon")]);
    all.filter(|series| series.value >= 2.0).map(|series| series.labels["target"].clone()).collect()
}

impl Watched {
    fn leaking(runtime: &'static str, form: &Form) -> Self {
        Self { program: PROGRAMS.start(runtime, "leak", &["--rate", form.rate]), runtime, looks: Vec::new() }
    }

    fn slope(&self) -> f64 {
        least_squares(&self.looks)
    }

    fn growth(&self, scrape: &Scrape) -> Option<f64> {
        scrape.area("memleak_area_growth_bytes_per_second", &self.program.target, "anon")
    }

    /// What grows is the heap of its runtime; Python's is arenas and blocks that the kernel places.
    fn is_attributed(&self, scrape: &Scrape) {
        let target = [("target", self.program.target.as_str())];
        let growths = scrape.all("memleak_attribution_growth_bytes_per_second", &target);
        let leaky = growths.filter(|series| series.labels["part"] != "mapped_files");
        let fastest =
            leaky.max_by(|one, other| one.value.total_cmp(&other.value)).expect("it was read twice");
        let part = fastest.labels["part"].as_str();
        let expected: &[&str] = match self.runtime {
            "c" => &["heap"],
            "python" => &["heap", "anonymous"],
            _ => &["runtime_heap"],
        };
        assert!(expected.contains(&part), "{} grows in {part}", self.program.target);
    }

    fn row(&self, scrape: &Scrape) -> String {
        format!("{} independent {:.0} B/s", row(scrape, &self.program.target), self.slope())
    }

    fn agrees(&self, scrape: &Scrape) {
        let growth = self.growth(scrape).expect("a confirmed leak grows");
        let slope = self.slope();
        let difference = (growth / slope - 1.0).abs();
        assert!(difference < AGREEMENT, "{}: {growth:.0} against {slope:.0} B/s", self.program.target);
    }
}

/// What the exporter says of a target, for whoever reads the test's output.
fn row(scrape: &Scrape, target: &str) -> String {
    let value = |name: &str| scrape.area(name, target, "anon").unwrap_or(f64::NAN);
    let patterns = scrape
        .all("memleak_area_pattern", &[("target", target), ("area", "anon")])
        .find(|series| series.value == 1.0)
        .map(|series| series.labels["pattern"].clone());
    format!(
        "{target:24} state {} confidence {:.3} growth {:9.0} B/s {:14} size {:.1} MB",
        value("memleak_area_leak_state"),
        value("memleak_area_leak_confidence_ratio"),
        value("memleak_area_growth_bytes_per_second"),
        patterns.unwrap_or_default(),
        value("memleak_area_size_bytes") / 1e6,
    )
}

/// The lowest look in each window of so many seconds.
fn floors(looks: &[(f64, f64)], window_secs: f64) -> Vec<(f64, f64)> {
    let mut floors: Vec<(f64, f64)> = Vec::new();
    let mut open = f64::NAN;
    for (at, size) in looks {
        let window = (at / window_secs).floor();
        match floors.last_mut() {
            Some(last) if window == open => {
                if *size < last.1 {
                    *last = (*at, *size);
                }
            }
            _ => floors.push((*at, *size)),
        }
        open = window;
    }
    floors
}

fn least_squares(points: &[(f64, f64)]) -> f64 {
    let count = f64::from(u32::try_from(points.len()).expect("few"));
    let mean = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>() / count;
    let (mean_at, mean_size) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|(at, size)| (at - mean_at) * (size - mean_size)).sum();
    let variance: f64 = points.iter().map(|(at, _)| (at - mean_at).powi(2)).sum();
    covariance / variance
}

#[test]
fn the_independent_reader_fits_floors() {
    let looks: Vec<(f64, f64)> = (0..1000)
        .map(|index| (f64::from(index) * 0.1, f64::from(index) * 5.0 + f64::from(index % 20) * 400.0))
        .collect();
    let slope = least_squares(&floors(&looks, 4.0));
    assert!((slope - 50.0).abs() < 1.0, "{slope}");
}
