//! Pictures of the patterns for `docs/detection.md`, drawn from what the detector itself says of a series.
//!
//!     cargo run --release --locked --example patterns
//!
//! writes `docs/patterns/*.svg` anew: the size and its floor, below them the confidence, with the moments of suspicion and
//! confirmation, and a bar under the time in which the growth was called by the name of the picture. It fails where the
//! detector never uses that name for the series that stands for it.

use memleak_exporter::{
    detect::{
        episode::{CONFIRM_AT, LeakState, SUSPECT_AT},
        finding::{Finding, Pattern},
        judge::{Judge, Owner},
        judgement::{Circumstances, Scratch},
        pair::Relation,
        words::{Amount, Span},
    },
    sample::{Area, Identity, Limit, LimitSource, Unit},
};
use std::{error::Error, fmt::Write as _, fs, io, io::Write as _, path::Path};

const INTERVAL_SECS: f64 = 30.0;
const HOUR_SECS: f64 = 3600.0;
const MB: f64 = 1e6;
/// Columns of a picture: as many as the eye tells apart, and few enough for a small file.
const COLUMNS: u32 = 170;
/// Buckets that floors are drawn of.
const FLOORS: u32 = 48;
/// Left and right edge of the panels.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 630.0;
/// Top and bottom of the panel of sizes, of that of the confidence, and of the bar below.
const SIZES: (f64, f64) = (44.0, 186.0);
const CONFIDENCE: (f64, f64) = (204.0, 262.0);
const BAR: (f64, f64) = (268.0, 273.0);
/// How wide the longest word beside a mark is.
const ROOM_FOR_A_WORD: f64 = 70.0;

/// Colours for both backgrounds; the card takes its own along, so that the page around it does not matter.
const STYLE: &str = ".card{fill:#fff;stroke:#d0d7de}.text{fill:#57606a;font:11px sans-serif}.title{fill:#1f2328;font:bold 13px sans-serif}\
.axis{stroke:#d0d7de;fill:none}.size{fill:#54aeff;fill-opacity:.4;stroke:#54aeff;stroke-width:.6}.floor{stroke:#0550ae;stroke-width:1.8;fill:none}\
.other{stroke:#8250df;stroke-width:1.3;fill:none}.otext{fill:#8250df}.sure{stroke:#57606a;stroke-width:1.3;fill:none}\
.suspected{stroke:#bc4c00}.confirmed{stroke:#cf222e}.none{stroke:#1a7f37}.mark{stroke-width:1.4;stroke-dasharray:5 3}\
.limit{stroke:#cf222e;stroke-dasharray:2 3}.bar{fill:#0550ae}\
@media(prefers-color-scheme:dark){.card{fill:#161b22;stroke:#3d444d}.text{fill:#9da7b3}.title{fill:#f0f6fc}.axis{stroke:#3d444d}\
.size{fill:#388bfd;stroke:#388bfd}.floor{stroke:#a5d6ff}.other{stroke:#d2a8ff}.otext{fill:#d2a8ff}.sure{stroke:#9da7b3}\
.suspected{stroke:#f0883e}.confirmed{stroke:#ff7b72}.none{stroke:#56d364}.limit{stroke:#ff7b72}.bar{fill:#a5d6ff}}";

/// A series that stands for a pattern.
struct Scene {
    pattern: Pattern,
    /// What it is, for people.
    title: &'static str,
    hours: f64,
    /// How many hours before the first sample the process started.
    age_hours: f64,
    limit_megabytes: f64,
    /// Megabytes at an hour.
    size: fn(f64, &mut Random) -> f64,
    /// The area that is seen beside it.
    beside: Option<Beside>,
}

/// A second area of the same process.
struct Beside {
    name: &'static str,
    unit: Unit,
    /// Megabytes, or objects, at an hour.
    size: fn(f64, &mut Random) -> f64,
}

const SCENES: [Scene; 12] = [
    Scene {
        pattern: Pattern::Stable,
        title: "an even size with some noise",
        hours: 12.0,
        age_hours: 48.0,
        limit_megabytes: 4000.0,
        size: |_, random| 400.0 + noise(2.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::Linear,
        title: "a leak of 40 MB an hour under garbage, from 3 h on",
        hours: 12.0,
        age_hours: 48.0,
        limit_megabytes: 2000.0,
        size: |at, random| 400.0 + 40.0 * (at - 3.0).max(0.0) + saw(at, 0.11, 60.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::Exponential,
        title: "a leak that doubles every two and a half hours",
        hours: 18.0,
        age_hours: 48.0,
        limit_megabytes: 4000.0,
        size: |at, random| 300.0 + 10.0 * (at / 3.6).exp() + noise(2.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::Accelerating,
        title: "a leak of 20 MB an hour that is twice as fast from 10 h on",
        hours: 16.0,
        age_hours: 48.0,
        limit_megabytes: 4000.0,
        size: |at, random| 300.0 + 20.0 * at + 20.0 * (at - 10.0).max(0.0) + noise(10.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::Step,
        title: "a new pool of 200 MB at 5 h",
        hours: 12.0,
        age_hours: 48.0,
        limit_megabytes: 4000.0,
        size: |at, random| 400.0 + if at > 5.0 { 200.0 } else { 0.0 } + noise(2.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::Spike,
        title: "batches that come and go",
        hours: 12.0,
        age_hours: 48.0,
        limit_megabytes: 4000.0,
        size: |at, random| 400.0 + if (at / 1.7).fract() < 0.05 { 500.0 } else { 0.0 } + noise(2.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::Periodic,
        title: "a daily load, over five days",
        hours: 120.0,
        age_hours: 480.0,
        limit_megabytes: 4000.0,
        size: |at, random| 500.0 - 150.0 * (at / 24.0 * std::f64::consts::TAU).cos() + noise(4.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::SustainedHigh,
        title: "nine tenths of the limit, without growth",
        hours: 12.0,
        age_hours: 48.0,
        limit_megabytes: 1000.0,
        size: |_, random| 900.0 + noise(3.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::Saturating,
        title: "a cache that warms up after the start",
        hours: 12.0,
        age_hours: 0.0,
        limit_megabytes: 4000.0,
        size: |at, random| 200.0 + 500.0 * (1.0 - (-at / 1.2).exp()) + noise(2.0, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::Shrinking,
        title: "a backlog that is worked off",
        hours: 6.0,
        age_hours: 48.0,
        limit_megabytes: 4000.0,
        size: |at, random| 900.0 - 30.0 * at + noise(0.3, random),
        beside: None,
    },
    Scene {
        pattern: Pattern::CacheBloat,
        title: "a cache whose entries grow from 3 h on, beside their number",
        hours: 12.0,
        age_hours: 48.0,
        limit_megabytes: 4000.0,
        size: |at, random| 400.0 + 80.0 * (at - 3.0).max(0.0) + noise(4.0, random),
        beside: Some(Beside {
            name: "anon_entries",
            unit: Unit::Objects,
            size: |_, random| (20_000.0 + noise(150.0, random)).round(),
        }),
    },
    Scene {
        pattern: Pattern::Fragmentation,
        title: "resident memory that grows from 3 h on, beside the live heap",
        hours: 12.0,
        age_hours: 48.0,
        limit_megabytes: 4000.0,
        size: |at, random| 400.0 + 80.0 * (at - 3.0).max(0.0) + noise(4.0, random),
        beside: Some(Beside {
            name: "heap_after_gc",
            unit: Unit::Bytes,
            size: |_, random| 330.0 + noise(6.0, random),
        }),
    },
];

/// A small seeded generator (xorshift): the same pictures each time.
struct Random(u64);

impl Random {
    /// From −1 to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits of chance are enough")]
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

fn noise(height: f64, random: &mut Random) -> f64 {
    height * random.next()
}

/// Garbage of a height that is collected every so many hours.
fn saw(at: f64, period: f64, height: f64, random: &mut Random) -> f64 {
    height * (at / period).fract() * (1.0 + 0.1 * random.next())
}

/// A moment and a value.
#[derive(Clone, Copy)]
struct Point {
    at: f64,
    value: f64,
}

/// What a look at the series said.
struct Look {
    at: f64,
    confidence: f64,
    pattern: Pattern,
}

/// A series before its judge.
struct Course {
    samples: Vec<Point>,
    beside: Vec<Point>,
    looks: Vec<Look>,
    changes: Vec<(f64, LeakState)>,
    last: Option<Finding>,
}

impl Scene {
    fn play(&self) -> Course {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut judge, mut other) = (Judge::new(INTERVAL_SECS), Judge::new(INTERVAL_SECS));
        let mut scratch = Scratch::default();
        let area = Area::new("anon", Unit::Bytes);
        let owner = Owner { identity: Identity { pid: 1, start_ticks: 1 }, area: &area.name };
        let mut course = Course {
            samples: Vec::new(),
            beside: Vec::new(),
            looks: Vec::new(),
            changes: Vec::new(),
            last: None,
        };
        let mut at = 0.0;
        while at <= self.hours * HOUR_SECS {
            let size = (self.size)(at / HOUR_SECS, &mut random) * MB;
            let limit = Limit { value: self.limit_megabytes * MB, used: size, source: LimitSource::Cgroup };
            let started_at = -self.age_hours * HOUR_SECS;
            let around = Circumstances { unit: Unit::Bytes, started_at, limit: Some(limit) };
            course.samples.push(Point { at, value: size });
            let mut relation = None;
            if let Some(beside) = &self.beside {
                let factor = if beside.unit == Unit::Bytes { MB } else { 1.0 };
                let value = (beside.size)(at / HOUR_SECS, &mut random) * factor;
                let around = Circumstances { unit: beside.unit, limit: None, ..around };
                other.take_in(at, value, &around, owner, &mut scratch);
                course.beside.push(Point { at, value });
                relation = Relation::of(&area, &Area::new(beside.name, beside.unit));
            }
            let step = judge.take_in(at, size, &around, owner, &mut scratch);
            if let Some(finding) = judge.finding().filter(|_| step.looked) {
                let named = relation.and_then(|relation| relation.name(finding, other.finding()?));
                let pattern = named.unwrap_or(finding.pattern);
                course.looks.push(Look { at, confidence: finding.confidence, pattern });
            }
            course.changes.extend(step.transition.map(|transition| (at, transition.to)));
            at += INTERVAL_SECS;
        }
        course.last = judge.finding().cloned();
        course
    }
}

/// How times and values become places in a picture.
struct Scale {
    span_secs: f64,
    least: f64,
    most: f64,
    panel: (f64, f64),
}

impl Scale {
    /// A scale that shows all points, and flat series as flat.
    fn of<'a>(points: impl Iterator<Item = &'a Point> + Clone, span_secs: f64, panel: (f64, f64)) -> Self {
        let most = points.clone().map(|point| point.value).fold(f64::MIN, f64::max);
        let least = points.map(|point| point.value).fold(f64::MAX, f64::min);
        let height = (most - least).max(0.3 * most);
        Self {
            span_secs,
            least: (least - 0.15 * height).max(0.0),
            most: (least + 1.1 * height).max(most),
            panel,
        }
    }

    fn x(&self, at: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * at / self.span_secs
    }

    fn y(&self, value: f64) -> f64 {
        let (top, bottom) = self.panel;
        bottom - (bottom - top) * (value - self.least) / (self.most - self.least)
    }

    fn place(&self, point: Point) -> String {
        format!("{:.1} {:.1}", self.x(point.at), self.y(point.value))
    }
}

/// The lowest and the highest point of each of so many equal parts of the time.
fn parts(points: &[Point], span_secs: f64, count: u32) -> Vec<(Point, Point)> {
    let part_of = |point: &Point| (point.at / span_secs * f64::from(count)).floor();
    points
        .chunk_by(|one, next| part_of(one) >= part_of(next))
        .filter_map(|part| {
            let at = part.first()?.at;
            let values = || part.iter().map(|point| point.value);
            let (least, most) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
            Some((Point { at, value: least }, Point { at, value: most }))
        })
        .collect()
}

/// A path through points: straight lines, or steps.
fn path(class: &str, scale: &Scale, points: impl Iterator<Item = Point>, in_steps: bool) -> String {
    let mut shape = format!("<path class=\"{class}\" d=\"M");
    for (number, point) in points.enumerate() {
        if in_steps && number > 0 {
            // Writing to a string never fails.
            let _written = write!(shape, "H{:.1}V{:.1}", scale.x(point.at), scale.y(point.value));
        } else {
            shape.push_str(if number == 0 { "" } else { "L" });
            shape.push_str(&scale.place(point));
        }
    }
    shape.push_str(if class == "size" { "Z\"/>\n" } else { "\"/>\n" });
    shape
}

fn text(class: &str, (x, y): (f64, f64), anchor: &str, words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\">{words}</text>\n")
}

fn horizontal(class: &str, y: f64) -> String {
    format!("<path class=\"{class}\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\n")
}

impl Scene {
    /// The picture of a course.
    fn draw(&self, course: &Course) -> String {
        let mut svg = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 300\" width=\"640\" height=\"300\" role=\"img\">\n",
        );
        svg += &format!("<title>{}: {}</title>\n<style>{STYLE}</style>\n", self.pattern.as_str(), self.title);
        svg += "<rect class=\"card\" x=\".5\" y=\".5\" width=\"639\" height=\"299\" rx=\"6\"/>\n";
        svg += &text("title", (14.0, 20.0), "start", self.pattern.as_str());
        let behind_title = 24.0 + 7.6 * f64::from(u8::try_from(self.pattern.as_str().len()).unwrap_or(0));
        svg += &text("text", (behind_title, 20.0), "start", self.title);
        svg += &text("text", (RIGHT, 36.0), "end", &self.last_word(course));
        svg += &self.sizes(course);
        svg += &self.confidence(course);
        svg += "</svg>\n";
        svg
    }

    /// What the detector says at the end.
    fn last_word(&self, course: &Course) -> String {
        let Some(finding) = &course.last else { return String::new() };
        let growth = finding.growth.value * HOUR_SECS;
        let amount = Amount { value: growth.abs(), bytes: true };
        let growth = match growth {
            0.0 => String::from("no growth"),
            growth if growth < 0.0 => format!("−{amount} an hour"),
            _ => format!("+{amount} an hour"),
        };
        let time = finding.time_to_limit.map(|time| format!(", limit in {}", Span(time.value)));
        format!("at the end: confidence {:.2}, {growth}{}", finding.confidence, time.unwrap_or_default())
    }

    fn sizes(&self, course: &Course) -> String {
        let span_secs = self.hours * HOUR_SECS;
        let limit = Point { at: 0.0, value: self.limit_megabytes * MB };
        let highest = course.samples.iter().map(|point| point.value).fold(0.0, f64::max);
        let shown_limit = Some(limit).filter(|limit| limit.value < 1.3 * highest);
        let in_bytes = self.beside.as_ref().is_some_and(|beside| beside.unit == Unit::Bytes);
        let of_scale =
            course.samples.iter().chain(&shown_limit).chain(course.beside.iter().filter(|_| in_bytes));
        let scale = Scale::of(of_scale, span_secs, SIZES);
        let columns = parts(&course.samples, span_secs, COLUMNS);
        let upper = columns.iter().map(|(_, most)| *most);
        let lower = columns.iter().rev().map(|(least, _)| *least);
        let mut svg = path("size", &scale, upper.chain(lower), false);
        let floors = parts(&course.samples, span_secs, FLOORS);
        let last = floors.last().map(|(floor, _)| Point { at: span_secs, value: floor.value });
        svg += &path("floor", &scale, floors.iter().map(|(floor, _)| *floor).chain(last), true);
        if let Some(limit) = shown_limit {
            svg += &horizontal("limit", scale.y(limit.value));
            svg += &text("text", (LEFT + 4.0, scale.y(limit.value) - 4.0), "start", "limit");
        }
        if let Some(beside) = &self.beside {
            let own = Scale::of(course.beside.iter(), span_secs, (SIZES.0 + 60.0, SIZES.1));
            let scale = if in_bytes { &scale } else { &own };
            let floors = parts(&course.beside, span_secs, FLOORS);
            svg += &path("other", scale, floors.iter().map(|(floor, _)| *floor), false);
            let height = floors.last().map_or(0.0, |(floor, _)| scale.y(floor.value));
            let amount = floors.last().map_or(0.0, |(floor, _)| floor.value);
            let amount = Amount { value: amount, bytes: in_bytes };
            svg += &text(
                "text otext",
                (RIGHT - 4.0, height - 5.0),
                "end",
                &format!("{}: {amount}", beside.name),
            );
        }
        svg += &horizontal("axis", SIZES.0);
        svg += &horizontal("axis", SIZES.1);
        for (y, value) in [(SIZES.0 + 4.0, scale.most), (SIZES.1 + 4.0, scale.least)] {
            svg += &text("text", (LEFT - 6.0, y), "end", &Amount { value, bytes: true }.to_string());
        }
        svg
    }

    fn confidence(&self, course: &Course) -> String {
        let span_secs = self.hours * HOUR_SECS;
        let scale = Scale { span_secs, least: 0.0, most: 1.0, panel: CONFIDENCE };
        let points: Vec<Point> =
            course.looks.iter().map(|look| Point { at: look.at, value: look.confidence }).collect();
        let mut svg = String::new();
        for (value, class) in
            [(1.0, "axis"), (0.0, "axis"), (SUSPECT_AT, "suspected"), (CONFIRM_AT, "confirmed")]
        {
            svg += &horizontal(if class == "axis" { "axis" } else { "axis mark" }, scale.y(value));
        }
        for (value, word) in [(0.0, "0"), (1.0, "sure: 1")] {
            svg += &text("text", (LEFT - 6.0, scale.y(value) + 4.0), "end", word);
        }
        let columns = parts(&points, span_secs, COLUMNS);
        svg += &path("sure", &scale, columns.iter().map(|(least, _)| *least), true);
        for (at, state) in &course.changes {
            let x = scale.x(*at);
            let word = if *state == LeakState::None { "over" } else { state.as_str() };
            let class = state.as_str();
            svg += &format!("<path class=\"mark {class}\" d=\"M{x:.1} {}V{}\"/>\n", SIZES.0, CONFIDENCE.1);
            let y = if *state == LeakState::Suspected { SIZES.0 + 12.0 } else { SIZES.0 + 26.0 };
            // A confirmation may follow soon, on the right.
            let (x, anchor) = if *state == LeakState::Suspected && x > LEFT + ROOM_FOR_A_WORD {
                (x - 4.0, "end")
            } else {
                (x + 4.0, "start")
            };
            svg += &text("text", (x, y), anchor, word);
        }
        svg += &self.bar(course, &scale);
        for quarter in 0..=4u8 {
            let at = span_secs * f64::from(quarter) / 4.0;
            let anchor = ["start", "middle", "middle", "middle", "end"].get(usize::from(quarter));
            let hours = format!("{} h", self.hours * f64::from(quarter) / 4.0);
            svg += &text("text", (scale.x(at), 290.0), anchor.copied().unwrap_or("middle"), &hours);
        }
        svg
    }

    /// The times in which the growth bears the name of the picture.
    fn bar(&self, course: &Course, scale: &Scale) -> String {
        let mut svg = String::from("<path class=\"bar\" d=\"");
        let ends = course.looks.iter().skip(1).map(|look| look.at).chain([scale.span_secs]);
        let looks: Vec<(&Look, f64)> = course.looks.iter().zip(ends).collect();
        for named in looks.chunk_by(|one, next| one.0.pattern == next.0.pattern) {
            let (Some((first, _)), Some((_, end))) = (named.first(), named.last()) else { continue };
            if first.pattern == self.pattern {
                let (from, to) = (scale.x(first.at), scale.x(*end));
                svg += &format!("M{from:.1} {}H{to:.1}V{}H{from:.1}Z", BAR.0, BAR.1);
            }
        }
        svg + "\"/>\n"
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/patterns");
    fs::create_dir_all(&directory)?;
    let mut unnamed = Vec::new();
    for scene in SCENES {
        let course = scene.play();
        let name = scene.pattern.as_str();
        let svg = scene.draw(&course);
        let named = course.looks.iter().filter(|look| look.pattern == scene.pattern).count();
        let told: Vec<String> =
            course.changes.iter().map(|(at, to)| format!("{} at {}", to.as_str(), Span(*at))).collect();
        writeln!(
            io::stdout(),
            "{name}: {named} of {} looks, {}; {} bytes",
            course.looks.len(),
            told.join(", "),
            svg.len()
        )?;
        if named == 0 {
            unnamed.push(name);
        }
        fs::write(directory.join(name).with_extension("svg"), svg)?;
    }
    if unnamed.is_empty() { Ok(()) } else { Err(format!("never named: {}", unnamed.join(", ")).into()) }
}
