//! What the live view says: a pure function of what was seen and of the size of the window.
//!
//! The areas stand in the order of how much they matter, each with its numbers and a sparkline; below them the evidence
//! for the worst, and what it grows in. What does not fit is left out from below, and lines are cut at the right.

use crate::{
    cli::{
        look,
        output::{Cell, Tone},
    },
    detect::{
        finding::Finding,
        words::{Amount, Span},
    },
    sample::{Measure, Seconds, Unit},
    snapshot::{AreaView, Snapshot, TargetView},
    text::{Change, Moment, Plural, Share, pattern_words},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// Sizes of an area that are remembered for its sparkline; when there are more, every other one is dropped.
const MOST_SIZES: usize = 512;
/// The heights of a sparkline.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Intervals below this one are fast motion.
const FAST_BELOW: Duration = Duration::from_millis(999);
const HOUR_SECS: f64 = 3600.0;

/// One line of the view, in parts of several tones.
pub(super) type Line = Vec<Cell>;

/// Everything that was seen.
pub(super) struct Model {
    what: String,
    interval: Duration,
    began_at: Option<Seconds>,
    last: Option<Arc<Snapshot>>,
    /// The last result in which the target still had an area.
    last_alive: Option<Arc<Snapshot>>,
    /// The name of the target that is shown.
    shown: Option<Box<str>>,
    histories: BTreeMap<Arc<str>, History>,
}

/// The sizes of an area over the whole time, in bounded memory.
#[derive(Debug, Default)]
struct History {
    sizes: VecDeque<f64>,
    /// One of so many looks is kept.
    every: u64,
    passed: u64,
}

impl History {
    fn push(&mut self, size: f64) {
        let every = self.every.max(1);
        self.passed += 1;
        if !self.passed.is_multiple_of(every) {
            return;
        }
        self.sizes.push_back(size);
        if self.sizes.len() >= MOST_SIZES {
            let mut keep = false;
            self.sizes.retain(|_| {
                keep = !keep;
                keep
            });
            self.every = every * 2;
        }
    }

    /// The whole time in so many characters; each as high as the highest size of its time.
    fn sparkline(&self, width: usize) -> String {
        let low = self.sizes.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.sizes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let columns = width.min(self.sizes.len());
        let block = |column: usize| {
            let (from, to) = (column * self.sizes.len() / columns, (column + 1) * self.sizes.len() / columns);
            let top = self.sizes.range(from..to).copied().fold(f64::NEG_INFINITY, f64::max);
            // What moves by less than a thousandth of itself does not move.
            if high - low <= high.abs() * 1e-3 {
                return BLOCKS.first();
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 7.99")]
            let height = ((top - low) / (high - low) * 7.99) as usize;
            BLOCKS.get(height)
        };
        (0..columns).filter_map(block).collect()
    }
}

impl Model {
    /// Nothing yet of what was asked for.
    pub(super) fn new(what: &str, interval: Duration) -> Self {
        Self {
            what: what.to_owned(),
            interval,
            began_at: None,
            last: None,
            last_alive: None,
            shown: None,
            histories: BTreeMap::new(),
        }
    }

    /// Takes in the result of a tick.
    pub(super) fn take_in(&mut self, snapshot: &Arc<Snapshot>) {
        self.began_at.get_or_insert(snapshot.taken_at);
        if self.shown.is_none() || self.is_replaced(snapshot) {
            self.shown = self.choose(snapshot);
        }
        if let Some(target) = self.target(snapshot) {
            for area in &target.areas {
                // Not every area is read at each look; what is shown is the last that was seen.
                self.histories.entry(Arc::clone(&area.area.name)).or_default().push(area.size);
            }
            if !target.areas.is_empty() {
                self.last_alive = Some(Arc::clone(snapshot));
            }
        }
        self.last = Some(Arc::clone(snapshot));
    }

    /// Whether the process that was asked for goes on under another name: it runs another program now.
    fn is_replaced(&self, snapshot: &Snapshot) -> bool {
        let has_areas = |target: &TargetView| !target.areas.is_empty();
        let is_process = self.what.bytes().all(|byte| byte.is_ascii_digit());
        is_process && !self.target(snapshot).is_some_and(has_areas) && snapshot.targets.iter().any(has_areas)
    }

    /// Of several targets the one of exactly this name, else the largest.
    fn choose(&self, snapshot: &Snapshot) -> Option<Box<str>> {
        let size = |target: &&TargetView| {
            (*target.target.name == *self.what, target.areas.first().map_or(0.0, |area| area.size))
        };
        let largest = snapshot.targets.iter().max_by(|one, other| {
            let ((exact, size), (other_exact, other_size)) = (size(one), size(other));
            exact.cmp(&other_exact).then(size.total_cmp(&other_size))
        });
        largest.map(|target| target.target.name.clone())
    }

    /// The target that is shown, in a snapshot.
    pub(super) fn target<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a TargetView> {
        let shown = self.shown.as_deref()?;
        snapshot.targets.iter().find(|target| *target.target.name == *shown)
    }

    /// Whether it was ever there.
    pub(super) fn was_there(&self) -> bool {
        self.shown.is_some()
    }

    /// The result of the last look that saw the target, and the target in it.
    pub(super) fn last_alive(&self) -> Option<(&Snapshot, &TargetView)> {
        let last = self.last_alive.as_deref()?;
        Some((last, self.target(last)?))
    }

    /// The last result.
    pub(super) fn last(&self) -> Option<&Snapshot> {
        self.last.as_deref()
    }
}

/// The view for a window of this size: at most so many lines, each at most so wide.
pub(super) fn lines(model: &Model, width: usize, height: usize) -> Vec<Line> {
    let mut lines = head(model, width);
    let footer = footer(model);
    let target = model.last().and_then(|last| model.target(last));
    let body = target.map_or_else(Vec::new, |target| body(model, target, width));
    let room = height.saturating_sub(lines.len() + footer.len());
    let missing = room.saturating_sub(body.len());
    lines.extend(body.into_iter().take(room));
    lines.extend(std::iter::repeat_n(Line::new(), missing));
    lines.extend(footer);
    lines.truncate(height);
    lines.into_iter().map(|line| cut(line, width)).collect()
}

fn head(model: &Model, width: usize) -> Vec<Line> {
    let name = model.shown.as_deref().unwrap_or(&model.what);
    let when = model.last().and_then(|last| Moment::of(last.taken_at));
    // The day is known to whoever looks at it live.
    let when = when.map_or_else(String::new, |moment| moment.to_string().chars().skip(11).collect());
    let left = format!("memleak_exporter watch: {name}");
    let gap = width.saturating_sub(left.chars().count() + when.chars().count()).max(1);
    let title = vec![left.into(), Cell::from(" ".repeat(gap)), Cell::new(when, Tone::Quiet)];
    let Some((last, began_at)) = model.last.as_ref().zip(model.began_at) else {
        return vec![title, vec![Cell::new("looking for it…", Tone::Quiet)]];
    };
    let watched = Span(last.taken_at - began_at);
    let interval = crate::config::duration::show(model.interval);
    let told = match model.target(last) {
        Some(target) if !target.areas.is_empty() => {
            let members = usize::try_from(target.members).unwrap_or(usize::MAX);
            let processes = match members {
                1 => String::from("1 process"),
                members => format!("{members} processes"),
            };
            let restarts = match target.restarts {
                0 => String::new(),
                1 => String::from(", restarted once"),
                times => format!(", restarted {times} times"),
            };
            Cell::new(format!("{processes}{restarts}, a sample every {interval}, for {watched}"), Tone::Quiet)
        }
        Some(_) | None => Cell::new(format!("it has ended; watched for {watched}"), Tone::Warn),
    };
    vec![title, vec![told], Line::new()]
}

fn footer(model: &Model) -> Vec<Line> {
    let mut text = String::from("q quits");
    if model.interval < FAST_BELOW {
        text += "; fast motion: each sample counts as 3 s";
    }
    let others = model.last().map_or(0, |last| last.targets.len().saturating_sub(1));
    if others > 0 {
        text += &format!(
            "; {} of this name, the largest is shown",
            Plural { count: others + 1, thing: "target" }
        );
    }
    vec![vec![Cell::new(text, Tone::Quiet)]]
}

fn body(model: &Model, target: &TargetView, width: usize) -> Vec<Line> {
    let mut areas: Vec<&AreaView> = target.areas.iter().collect();
    let rank = |area: &AreaView| (look::state(area), area.verdict.is_some());
    areas.sort_by_key(|area| std::cmp::Reverse(rank(area)));
    let mut lines = Vec::new();
    for area in &areas {
        lines.extend(area_lines(model, area, width));
    }
    if let Some((area, finding)) = areas.first().and_then(|area| Some((area, look::finding(area)?))) {
        lines.push(Line::new());
        let text = format!("{}: {}", area.area.name, finding.evidence);
        lines.extend(wrapped(&text, width).into_iter().map(|text| vec![text.into()]));
    } else if areas.iter().any(|area| area.verdict.is_some()) {
        lines.push(Line::new());
        let text = "Too early for a verdict: the detector wants some forty samples first.";
        lines.push(vec![Cell::new(text, Tone::Quiet)]);
    }
    lines.extend(part_line(target));
    lines
}

/// Two lines for an area: what is thought of it, and its growth and course. What is not judged has a line of its size
/// and its course.
fn area_lines(model: &Model, area: &AreaView, width: usize) -> Vec<Line> {
    let bytes = area.area.unit == Unit::Bytes;
    let size = Amount { value: area.size, bytes }.to_string();
    let size = if bytes { size } else { format!("{:.0}", area.size) };
    let mut line: Line = vec![format!("{:<9}{size:>8}", area.area.name).into()];
    let course = |room: usize| {
        let spark = model.histories.get(&area.area.name).map(|history| history.sparkline(room));
        Cell::new(spark.unwrap_or_default(), Tone::Quiet)
    };
    let Some(finding) = look::finding(area) else {
        line.push("  ".into());
        line.push(course(width.saturating_sub(19)));
        return vec![line];
    };
    let [_, _, verdict, ..] = look::cells(area);
    line.push("  ".into());
    line.push(verdict);
    line.push(said(finding).into());
    let growth = format!("{}{}  ", " ".repeat(19), growth(finding, bytes));
    let room = width.saturating_sub(growth.chars().count());
    vec![line, vec![growth.into(), course(room)]]
}

/// Confidence, pattern and time to the limit.
fn said(finding: &Finding) -> String {
    let mut text = format!(" {}, {}", Share(finding.confidence), pattern_words(finding.pattern));
    if let Some(time) = finding.time_to_limit {
        text += &format!(", limit in {}", Span(time.value));
    }
    text
}

/// Growth with its interval.
fn growth(finding: &Finding, bytes: bool) -> String {
    let hourly = |value: f64| Change { value: value * HOUR_SECS, bytes };
    let growth = &finding.growth;
    format!("{}/h ({} to {})", hourly(growth.value), hourly(growth.lower), hourly(growth.upper))
}

/// The part that grows fastest, of a process that was read for it.
fn part_line(target: &TargetView) -> Option<Line> {
    let (part, growth) = target.fastest_part()?;
    let bytes = part.measure != Measure::Descriptors;
    let growth = Change { value: growth * HOUR_SECS, bytes };
    Some(vec![format!("It grows in {}: {growth} an hour.", part.name).into()])
}

/// A text in lines of this width, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A line of at most this width.
fn cut(line: Line, width: usize) -> Line {
    let mut room = width;
    line.into_iter()
        .map(|part| {
            let text: String = part.text.chars().take(room).collect();
            room -= text.chars().count();
            Cell { text, ..part }
        })
        .collect()
}

#[cfg(test)]
mod tests;
