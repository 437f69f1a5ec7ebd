//! One self-contained picture: the drawings of all series below each other, each with its name and verdict.

use super::{
    plot::{self, Plot},
    summary::Summary,
    words,
};
use crate::text::Escaped;
use std::io::{self, Write};

const STYLE: &str = include_str!("svg/picture.css");
/// Width of the picture, in pixels at its usual size.
const WIDTH: f64 = 960.0;
/// What the sizes beside a drawing take of it.
const LEFT: f64 = 80.0;
/// The margin around everything.
const MARGIN: f64 = 16.0;
/// From the top of a series to its drawing: name and verdict.
const HEAD: f64 = 52.0;
/// From the top of a series to that of the next.
const PITCH: f64 = HEAD + plot::HEIGHT + 48.0;
/// Letters of a name or of a verdict that fit beside each other.
const MOST_CHARS: usize = 120;

/// Writes the picture.
pub(super) fn write(out: &mut impl Write, summaries: &[Summary]) -> io::Result<()> {
    let tops =
        (0..u32::try_from(summaries.len()).unwrap_or(u32::MAX)).map(|number| PITCH * f64::from(number));
    let height = tops.clone().next_back().unwrap_or_default() + PITCH;
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-label=\"Leaks in {} series\">\n<style>\n{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>",
        summaries.len(),
    )?;
    for (summary, top) in summaries.iter().zip(tops) {
        write_series(out, summary, top)?;
    }
    out.write_all(b"</svg>\n")
}

fn write_series(out: &mut impl Write, summary: &Summary, top: f64) -> io::Result<()> {
    let [name, verdict, confidence, growth, pattern, size, time_to_limit, ..] = words::row(summary);
    let mut line = format!("{verdict}, {size}");
    if summary.finding.is_some() {
        line = format!("{verdict}, {confidence} sure, {growth} an hour, {pattern}, {size}");
    }
    if summary.finding.as_ref().is_some_and(|finding| finding.time_to_limit.is_some()) {
        line = format!("{line}, limit in {time_to_limit}");
    }
    writeln!(out, "<g transform=\"translate(0 {top})\">")?;
    write_text(out, "name", [MARGIN, 24.0], &name)?;
    write_text(out, "verdict", [MARGIN, 43.0], &line)?;
    if let Some(plot) = Plot::of(summary) {
        write_plot(out, &plot)?;
    }
    out.write_all(b"</g>\n")
}

fn write_plot(out: &mut impl Write, plot: &Plot<'_>) -> io::Result<()> {
    let bottom = HEAD + plot::HEIGHT;
    let places = [HEAD + 10.0, HEAD + plot::HEIGHT / 2.0 + 4.0, bottom];
    for (size, y) in plot.sizes().into_iter().zip(places) {
        write_text(out, "size-word", [LEFT - 8.0, y], &size.to_string())?;
    }
    let width = WIDTH - LEFT - MARGIN;
    writeln!(
        out,
        "<svg class=\"plot\" x=\"{LEFT}\" y=\"{HEAD}\" width=\"{width}\" height=\"{}\" viewBox=\"0 0 {:.1} {}\" \
         preserveAspectRatio=\"none\"><title>{}</title>",
        plot::HEIGHT,
        plot.width(),
        plot::HEIGHT,
        plot.label(),
    )?;
    plot.write(out)?;
    out.write_all(b"</svg>\n")?;
    let [from, to] = plot.times().map(|time| time.to_string());
    write_text(out, "from", [LEFT, bottom + 18.0], &from)?;
    write_text(out, "to", [LEFT + width, bottom + 18.0], &to)
}

fn write_text(out: &mut impl Write, class: &str, [x, y]: [f64; 2], text: &str) -> io::Result<()> {
    let mut cut: String = text.chars().take(MOST_CHARS).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", Escaped(&cut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::analyze::{csv::Point, summary::tests::called};

    #[test]
    fn no_name_becomes_markup_and_nothing_comes_from_outside() {
        let mut summary = called(&format!("<script>'&{}", "x".repeat(200)));
        summary.take_in(Point { at: 0.0, size: 0.0 });
        let mut picture = Vec::new();
        write(&mut picture, &[summary]).unwrap();
        let picture = String::from_utf8(picture).unwrap();
        assert!(picture.contains(">&lt;script&gt;&#39;&amp;xxx") && picture.contains("x…<"), "{picture}");
        assert!(!picture.contains("NaN") && !picture.contains("inf\""), "{picture}");
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains("</"));
    }
}
