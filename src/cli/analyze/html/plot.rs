//! A picture as SVG. The words beside it are HTML, so that they keep their size when the picture is stretched.

use super::super::{
    picture::{Column, Picture},
    summary::{EpisodeSummary, Summary},
    words::{self, When},
};
use crate::{detect::words::Amount, text::Escaped};
use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// Height of the drawing, in units of its own.
const HEIGHT: f64 = 240.0;
/// The scale spans at least this share of the highest size, so that noise looks like noise.
const LEAST_SPAN: f64 = 0.1;
/// A limit up to this multiple of the highest size is drawn; a farther one would press the series flat.
const NEAR_LIMIT: f64 = 1.5;
/// So many columns in a row may be missing before the line is broken: samples come a little late.
const MOST_MISSING: u32 = 2;

/// From sizes and times to places in the drawing.
struct Scale<'a> {
    picture: &'a Picture,
    width: f64,
    low: f64,
    high: f64,
}

impl<'a> Scale<'a> {
    fn of(summary: &Summary, picture: &'a Picture) -> Self {
        let (low, high) = picture.range();
        let near = summary.series.limit.filter(|limit| *limit <= NEAR_LIMIT * high);
        let high = near.map_or(high, |limit| limit.max(high));
        let low = low.min(high * (1.0 - LEAST_SPAN));
        let margin = 0.04 * (high - low).max(f64::MIN_POSITIVE);
        let width = picture.position(summary.last.at).max(1.0);
        Self {
            picture,
            width,
            low: (low - margin).max(0.0),
            high: if high > 0.0 { high + margin } else { 1.0 },
        }
    }

    fn y(&self, size: f64) -> f64 {
        HEIGHT * (1.0 - (size - self.low) / (self.high - self.low))
    }

    fn x(&self, at: f64) -> f64 {
        self.picture.position(at).clamp(0.0, self.width)
    }
}

/// Writes the picture of a series with everything that is known of it.
pub(super) fn write(out: &mut impl Write, summary: &Summary, picture: &Picture) -> io::Result<()> {
    let scale = Scale::of(summary, picture);
    let amount = |value| Amount { value, bytes: summary.is_bytes() };
    let middle = f64::midpoint(scale.low, scale.high);
    let (low, high) = picture.range();
    write!(
        out,
        "<figure class=\"plot\">\n<div class=\"sizes\"><span>{}</span><span>{}</span><span>{}</span></div>\n\
         <svg viewBox=\"0 0 {:.1} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"Size over time, between {} and {}\">\n",
        amount(scale.high),
        amount(middle),
        amount(scale.low),
        scale.width,
        amount(low),
        amount(high),
    )?;
    for episode in &summary.episodes {
        write_episode(out, &scale, summary, episode)?;
    }
    for confirmed_at in summary.episodes.iter().filter_map(|episode| episode.confirmed_at) {
        write_line(out, "confirmation", [scale.x(confirmed_at); 2], [0.0, HEIGHT])?;
    }
    write_line(out, "grid", [0.0, scale.width], [HEIGHT / 2.0; 2])?;
    for restart in &summary.restarts {
        write_line(out, "restart", [scale.x(*restart); 2], [0.0, HEIGHT])?;
    }
    if let Some(limit) = summary.series.limit.filter(|limit| *limit <= scale.high) {
        write_line(out, "limit", [0.0, scale.width], [scale.y(limit); 2])?;
    }
    let from = When(summary.from);
    let to = When(summary.last.at);
    writeln!(
        out,
        "<path class=\"size\" d=\"{}\"/>\n</svg>\n<div class=\"times\"><span>{from}</span><span>{to}</span></div>\n\
         </figure>",
        path(picture.columns(), &scale),
    )
}

/// The time from the onset of an episode to its end.
fn write_episode(
    out: &mut impl Write,
    scale: &Scale<'_>,
    summary: &Summary,
    episode: &EpisodeSummary,
) -> io::Result<()> {
    let ended_at = episode.ended.map_or(summary.last.at, |(at, _)| at);
    let (from, to) = (scale.x(episode.onset_at), scale.x(ended_at));
    let class = if episode.confirmed_at.is_some() { "confirmed" } else { "suspected" };
    let [what, _] = words::episode(summary, episode);
    writeln!(
        out,
        "<rect class=\"{class}\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"{HEIGHT}\"><title>{}</title></rect>",
        (to - from).max(0.0),
        Escaped(&what),
    )
}

fn write_line(out: &mut impl Write, class: &str, xs: [f64; 2], ys: [f64; 2]) -> io::Result<()> {
    let ([x1, x2], [y1, y2]) = (xs, ys);
    writeln!(out, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>")
}

/// Up and down within each column and on to the next; broken where samples are missing.
fn path(columns: &[Column], scale: &Scale<'_>) -> String {
    let mut path = String::new();
    let mut last: Option<&Column> = None;
    for column in columns {
        let x = f64::from(column.index);
        let is_near = |last: &Column| column.index - last.index <= MOST_MISSING + 1;
        let command = if last.is_some_and(is_near) { 'L' } else { 'M' };
        let (low, high) = (scale.y(column.low), scale.y(column.high));
        let _never_fails = write!(path, "{command}{x} {low:.1}");
        if low.to_bits() != high.to_bits() {
            let _never_fails = write!(path, "V{high:.1}");
        }
        last = Some(column);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::analyze::csv::Point;

    #[test]
    fn the_line_breaks_where_samples_are_missing() {
        let mut picture = Picture::new(0.0, 1.0);
        for (at, size) in [(0.0, 0.0), (0.5, 10.0), (2.0, 10.0), (7.0, 5.0)] {
            picture.take_in(Point { at, size });
        }
        let scale = Scale { picture: &picture, width: 7.0, low: 0.0, high: 10.0 };
        assert_eq!(path(picture.columns(), &scale), "M0 240.0V0.0L2 0.0M7 120.0");
    }
}
