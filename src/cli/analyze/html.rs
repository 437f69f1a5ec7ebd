//! One self-contained page: every series as a picture with its episodes shaded, and the verdict in words.
//!
//! No script, nothing from outside, and every text escaped: names come from files that anyone may have named. It wears
//! the style sheet of the exporter's page.

use super::{
    plot::{self, Plot},
    summary::Summary,
    words::{self, COLUMNS, Word},
};
use crate::text::{Escaped, Plural};
use std::{
    cmp::Reverse,
    io::{self, Write},
};

const STYLE: &str = concat!(include_str!("../../http/page/page.css"), include_str!("html/page.css"));

/// Writes the page, the worst series first.
pub(super) fn write(out: &mut impl Write, summaries: &[Summary]) -> io::Result<()> {
    let mut sorted: Vec<&Summary> = summaries.iter().collect();
    sorted.sort_by_key(|summary| {
        Reverse((Word::of(summary), summary.finding.as_ref().map(|finding| finding.severity)))
    });
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Leaks in {things}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>Leaks in {things} <small>memleak_exporter analyze</small></h1></header>\n<main>\n",
        things = series_count(sorted.len()),
    )?;
    write_tiles(out, &sorted)?;
    write_table(out, &sorted)?;
    for (number, summary) in sorted.iter().enumerate() {
        write_series(out, number, summary)?;
    }
    out.write_all(b"</main>\n</body>\n</html>\n")
}

/// The plural of series is series.
fn series_count(count: usize) -> String {
    format!("{count} series")
}

fn write_tiles(out: &mut impl Write, summaries: &[&Summary]) -> io::Result<()> {
    let count = |word: Word| summaries.iter().filter(|summary| Word::of(summary) == word).count();
    out.write_all(b"<dl class=\"tiles\">\n")?;
    for (name, word, class) in [
        ("Confirmed leaks", Word::Confirmed, "bad"),
        ("Suspected leaks", Word::Suspected, "warn"),
        ("Resolved", Word::Resolved, ""),
        ("No leak", Word::NoLeak, ""),
        ("Too little evidence", Word::Unknown, ""),
    ] {
        let count = count(word);
        let class = if count > 0 { class } else { "" };
        writeln!(out, "<div class=\"{class}\"><dt>{name}</dt><dd>{count}</dd></div>")?;
    }
    out.write_all(b"</dl>\n")
}

fn write_table(out: &mut impl Write, summaries: &[&Summary]) -> io::Result<()> {
    let class = |is_number: bool| if is_number { "number" } else { "" };
    out.write_all(
        b"<table role=\"table\">\n<caption>All series, the worst first</caption>\n\
          <thead role=\"rowgroup\"><tr role=\"row\">",
    )?;
    for (name, is_number) in COLUMNS {
        write!(out, "<th scope=\"col\" role=\"columnheader\" class=\"{}\">{name}</th>", class(is_number))?;
    }
    out.write_all(b"</tr></thead>\n<tbody role=\"rowgroup\">\n")?;
    for (number, summary) in summaries.iter().enumerate() {
        let [name, _verdict, others @ ..] = words::row(summary);
        write!(
            out,
            "<tr role=\"row\"><th scope=\"row\" role=\"rowheader\"><a href=\"#s{number}\"><bdi>{}</bdi></a></th>\
             <td role=\"cell\" data-label=\"Verdict\">{}</td>",
            Escaped(&name),
            badge(summary),
        )?;
        for (cell, (column, is_number)) in others.iter().zip(COLUMNS.into_iter().skip(2)) {
            let (class, cell) = (class(is_number), Escaped(cell));
            write!(out, "<td role=\"cell\" data-label=\"{column}\" class=\"{class}\">{cell}</td>")?;
        }
        out.write_all(b"</tr>\n")?;
    }
    out.write_all(
        b"</tbody>\n</table>\n<p class=\"note\">In the pictures an episode is shaded from the onset of its growth to its \
          end, and an upright line shows when it was confirmed. A dashed line is the limit, a dotted one a restart. \
          The line below the sizes is their floor; where a leak goes on, it does so with the interval of its growth.</p>\n",
    )
}

fn badge(summary: &Summary) -> String {
    let word = Word::of(summary);
    let class = match word {
        Word::Confirmed => "confirmed",
        Word::Suspected => "suspected",
        Word::Resolved | Word::NoLeak | Word::Unknown => "none",
    };
    format!("<span class=\"badge {class}\">{}</span>", word.as_str())
}

fn write_series(out: &mut impl Write, number: usize, summary: &Summary) -> io::Result<()> {
    writeln!(
        out,
        "<section aria-labelledby=\"s{number}\">\n<h2 id=\"s{number}\"><bdi>{}</bdi> {}</h2>\n<p>{}</p>",
        Escaped(&summary.series.name),
        badge(summary),
        Escaped(&words::verdict(summary)),
    )?;
    if let Some(plot) = Plot::of(summary) {
        write_plot(out, &plot)?;
    }
    out.write_all(b"<ul class=\"episodes\">\n")?;
    for episode in words::told_episodes(summary) {
        let [what, evidence] = words::episode(summary, episode);
        writeln!(out, "<li>{} <small>{}</small></li>", Escaped(&what), Escaped(&evidence))?;
    }
    if let Some(untold) = words::untold(summary) {
        writeln!(out, "<li>{untold}</li>")?;
    }
    if !summary.restarts.is_empty() {
        let restarts = Plural { count: summary.restarts.len(), thing: "restart" };
        writeln!(out, "<li>{restarts}</li>")?;
    }
    out.write_all(b"</ul>\n</section>\n")
}

/// The picture. The words beside it are HTML, so that they keep their size when the picture is stretched.
fn write_plot(out: &mut impl Write, plot: &Plot<'_>) -> io::Result<()> {
    let ([high, middle, low], [from, to]) = (plot.sizes(), plot.times());
    write!(
        out,
        "<figure class=\"plot\">\n<div class=\"sizes\"><span>{high}</span><span>{middle}</span><span>{low}</span></div>\n\
         <svg viewBox=\"0 0 {:.1} {}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\n",
        plot.width(),
        plot::HEIGHT,
        plot.label(),
    )?;
    plot.write(out)?;
    writeln!(out, "</svg>\n<div class=\"times\"><span>{from}</span><span>{to}</span></div>\n</figure>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::analyze::{csv::Point, summary::tests::called};

    #[test]
    fn no_name_becomes_markup() {
        let mut summary = called("<script>'\"&");
        summary.take_in(Point { at: 0.0, size: 0.0 });
        let mut page = Vec::new();
        write(&mut page, &[summary]).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(
            page.matches("&lt;script&gt;&#39;&quot;&amp;").count(),
            2,
            "in the table and above the picture"
        );
        assert!(!page.contains("NaN") && !page.contains("\"inf"), "{page}");
    }

    #[test]
    fn the_page_needs_nothing_from_outside() {
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains("</"));
    }
}
