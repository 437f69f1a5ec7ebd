//! The shapes of a series as SVG: size and floor, episodes, restarts, limit, forecast. Without words, so that whoever
//! shows them can stretch them.

use super::{
    picture::{Column, Picture},
    summary::{EpisodeSummary, Summary},
    words::{self, When},
};
use crate::{
    detect::{episode::LeakState, finding::Finding, words::Amount},
    sample::Seconds,
    text::Escaped,
};
use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// Height of the drawing, in units of its own.
pub(super) const HEIGHT: f64 = 240.0;
/// The scale spans at least this share of the highest size, so that noise looks like noise.
const LEAST_SPAN: f64 = 0.1;
/// A limit up to this multiple of the highest size is drawn; a farther one would press the series flat.
const NEAR_LIMIT: f64 = 1.5;
/// So many columns in a row may be missing before the line is broken: samples come a little late.
const MOST_MISSING: u32 = 2;
/// The floor is the lowest size of so many columns: wider than a tooth of garbage, narrower than an episode.
const FLOOR_COLUMNS: u32 = 24;
/// A forecast goes so far ahead, as a share of the series; less where the limit comes first.
const FORECAST_SHARE: f64 = 0.2;

/// The drawing of one series.
pub(super) struct Plot<'a> {
    summary: &'a Summary,
    picture: &'a Picture,
    width: f64,
    low: f64,
    high: f64,
    forecast: Option<Forecast<'a>>,
}

/// How a leak goes on.
struct Forecast<'a> {
    finding: &'a Finding,
    secs: f64,
}

impl Forecast<'_> {
    /// How a suspected series goes on, and until when.
    fn of(summary: &Summary) -> Option<Forecast<'_>> {
        let finding = summary.finding.as_ref()?;
        if summary.state == LeakState::None || finding.growth.value <= 0.0 {
            return None;
        }
        let ahead = summary.span_secs() * FORECAST_SHARE;
        let secs = finding.time_to_limit.map_or(ahead, |time| time.value.min(ahead));
        (secs > 0.0).then_some(Forecast { finding, secs })
    }

    /// The floor at its end, at this pace.
    fn floor(&self, growth: f64) -> f64 {
        (self.finding.floor + growth * self.secs).max(0.0)
    }
}

impl<'a> Plot<'a> {
    /// The drawing of a series that was pictured.
    pub(super) fn of(summary: &'a Summary) -> Option<Self> {
        let picture = summary.picture.as_ref()?;
        let forecast = Forecast::of(summary);
        let (low, high) = picture.range();
        let ahead = forecast.as_ref().map(|forecast| forecast.floor(forecast.finding.growth.value));
        let high = ahead.map_or(high, |ahead| high.max(ahead));
        let near = summary.series.limit.filter(|limit| *limit <= NEAR_LIMIT * high);
        let high = near.map_or(high, |limit| limit.max(high));
        let low = low.min(high * (1.0 - LEAST_SPAN));
        let margin = 0.04 * (high - low).max(f64::MIN_POSITIVE);
        let mut plot = Self {
            summary,
            picture,
            width: 1.0,
            low: (low - margin).max(0.0),
            high: if high > 0.0 { high + margin } else { 1.0 },
            forecast,
        };
        plot.width = picture.position(plot.ends_at()).max(1.0);
        Some(plot)
    }

    /// How wide it is, in units of its own.
    pub(super) fn width(&self) -> f64 {
        self.width
    }

    /// The sizes at the top, in the middle and at the bottom.
    pub(super) fn sizes(&self) -> [Amount; 3] {
        [self.high, f64::midpoint(self.low, self.high), self.low].map(|size| self.amount(size))
    }

    /// The times at the left and at the right.
    pub(super) fn times(&self) -> [When; 2] {
        [When(self.summary.from), When(self.ends_at())]
    }

    /// What it shows, for whoever does not see it.
    pub(super) fn label(&self) -> String {
        let (low, high) = self.picture.range();
        format!("Size over time, between {} and {}", self.amount(low), self.amount(high))
    }

    /// Writes all shapes, those behind first.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let summary = self.summary;
        for episode in &summary.episodes {
            self.write_episode(out, episode)?;
        }
        for confirmed_at in summary.episodes.iter().filter_map(|episode| episode.confirmed_at) {
            write_line(out, "confirmation", [self.x(confirmed_at); 2], [0.0, HEIGHT])?;
        }
        write_line(out, "grid", [0.0, self.width], [HEIGHT / 2.0; 2])?;
        for restart in &summary.restarts {
            write_line(out, "restart", [self.x(*restart); 2], [0.0, HEIGHT])?;
        }
        if let Some(limit) = summary.series.limit.filter(|limit| *limit <= self.high) {
            write_line(out, "limit", [0.0, self.width], [self.y(limit); 2])?;
        }
        writeln!(out, "<path class=\"size\" d=\"{}\"/>", self.path(self.picture.columns()))?;
        writeln!(out, "<path class=\"floor\" d=\"{}\"/>", self.floor(self.picture.columns()))?;
        self.forecast.as_ref().map_or(Ok(()), |forecast| self.write_forecast(out, forecast))
    }

    /// The time from the onset of an episode to its end.
    fn write_episode(&self, out: &mut impl Write, episode: &EpisodeSummary) -> io::Result<()> {
        let ended_at = episode.ended.map_or(self.summary.last.at, |(at, _)| at);
        let (from, to) = (self.x(episode.onset_at), self.x(ended_at));
        let class = if episode.confirmed_at.is_some() { "confirmed" } else { "suspected" };
        let [what, _] = words::episode(self.summary, episode);
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"{HEIGHT}\"><title>{}</title></rect>",
            (to - from).max(0.0),
            Escaped(&what),
        )
    }

    /// The floor at its pace, with the ends of the interval around it.
    fn write_forecast(&self, out: &mut impl Write, forecast: &Forecast<'_>) -> io::Result<()> {
        let growth = forecast.finding.growth;
        let (from, to) = (self.x(self.summary.last.at), self.width);
        let y = |size: f64| self.y(size).clamp(0.0, HEIGHT);
        let begin = y(forecast.finding.floor);
        let [value, lower, upper] =
            [growth.value, growth.lower, growth.upper].map(|pace| y(forecast.floor(pace)));
        writeln!(
            out,
            "<path class=\"forecast-range\" d=\"M{from:.1} {begin:.1}L{to:.1} {upper:.1}V{lower:.1}Z\"/>"
        )?;
        write_line(out, "forecast", [from, to], [begin, value])
    }

    fn ends_at(&self) -> Seconds {
        self.summary.last.at + self.forecast.as_ref().map_or(0.0, |forecast| forecast.secs)
    }

    fn amount(&self, value: f64) -> Amount {
        Amount { value, bytes: self.summary.is_bytes() }
    }

    fn y(&self, size: f64) -> f64 {
        HEIGHT * (1.0 - (size - self.low) / (self.high - self.low))
    }

    fn x(&self, at: Seconds) -> f64 {
        self.picture.position(at).clamp(0.0, self.width)
    }

    /// Up and down within each column and on to the next; broken where samples are missing.
    fn path(&self, columns: &[Column]) -> String {
        let mut path = String::new();
        let mut last: Option<&Column> = None;
        for column in columns {
            let x = f64::from(column.index);
            let is_near = |last: &Column| column.index - last.index <= MOST_MISSING + 1;
            let command = if last.is_some_and(is_near) { 'L' } else { 'M' };
            let (low, high) = (self.y(column.low), self.y(column.high));
            let _never_fails = write!(path, "{command}{x} {low:.1}");
            if low.to_bits() != high.to_bits() {
                let _never_fails = write!(path, "V{high:.1}");
            }
            last = Some(column);
        }
        path
    }

    /// A level for each stretch of columns.
    fn floor(&self, columns: &[Column]) -> String {
        let mut path = String::new();
        for stretch in columns.chunk_by(|one, next| one.index / FLOOR_COLUMNS == next.index / FLOOR_COLUMNS) {
            let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
            let low = stretch.iter().map(|column| column.low).fold(f64::INFINITY, f64::min);
            let _never_fails = write!(path, "M{} {:.1}H{}", first.index, self.y(low), last.index + 1);
        }
        path
    }
}

fn write_line(out: &mut impl Write, class: &str, xs: [f64; 2], ys: [f64; 2]) -> io::Result<()> {
    let ([x1, x2], [y1, y2]) = (xs, ys);
    writeln!(out, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::analyze::{
            csv::Point,
            summary::tests::{called, finding},
        },
        detect::finding::Estimate,
    };

    /// What is written of the shapes of a series of ten seconds, sizes 0 and 100 in turn.
    fn shapes(change: impl FnOnce(&mut Summary)) -> String {
        let mut summary = called("a");
        for at in [0.0, 1.0, 2.0, 8.0, 9.0, 10.0] {
            summary.take_in(Point { at, size: if at % 2.0 < 1.0 { 0.0 } else { 100.0 } });
        }
        change(&mut summary);
        let mut shapes = Vec::new();
        Plot::of(&summary).unwrap().write(&mut shapes).unwrap();
        String::from_utf8(shapes).unwrap()
    }

    #[test]
    fn the_line_breaks_where_samples_are_missing_and_the_floor_lies_below() {
        let shapes = shapes(|_| {});
        assert!(
            shapes.contains("<path class=\"size\" d=\"M0 240.0L1 9.2L2 240.0M8 240.0L9 9.2L10 240.0\"/>"),
            "{shapes}"
        );
        assert!(shapes.contains("<path class=\"floor\" d=\"M0 240.0H11\"/>"), "{shapes}");
        assert!(!shapes.contains("forecast"), "{shapes}");
    }

    #[test]
    fn a_leak_goes_on_until_the_limit_at_most() {
        let leaking = |time_to_limit: Option<f64>| {
            shapes(|summary| {
                let estimate = |value| Estimate { value, lower: value / 2.0, upper: value * 2.0 };
                let mut finding = finding(0.9, 50.0);
                finding.growth = estimate(10.0);
                finding.time_to_limit = time_to_limit.map(estimate);
                summary.state = LeakState::Confirmed;
                summary.finding = Some(finding);
            })
        };
        let ahead = "<path class=\"forecast-range\" d=\"M10.0 124.6L12.0 32.3V101.5Z\"/>\n\
                     <line class=\"forecast\" x1=\"10.0\" y1=\"124.6\" x2=\"12.0\" y2=\"78.5\"/>";
        assert!(leaking(None).contains(ahead), "{}", leaking(None));
        assert!(leaking(Some(1.0)).contains("x2=\"11.0\" y2=\"101.5\"/>"), "{}", leaking(Some(1.0)));
    }
}
