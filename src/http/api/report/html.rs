//! The report as one self-contained page: no script, nothing from outside, every text escaped.

use super::{Material, TREND_COLUMNS, Told, ended_words, trend_cells};
use crate::text::Escaped;
use std::fmt::{self, Write as _};

const STYLE: &str = include_str!("../../page/page.css");

pub(super) fn write(out: &mut String, material: &Material<'_>) -> fmt::Result {
    let taken_at = material.taken_at();
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Memory leaks, {taken_at}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>Memory leaks <small>{taken_at}</small></h1></header>\n<main>\n<p>{}</p>\n",
        Escaped(&material.summary()),
    )?;
    write_leaks(out, material)?;
    write_trends(out, material)?;
    if !material.ended.is_empty() {
        out.write_str("<section>\n<h2>Over</h2>\n<ul>\n")?;
        material
            .ended
            .iter()
            .try_for_each(|ended| writeln!(out, "<li>{}</li>", Escaped(&ended_words(ended))))?;
        out.write_str("</ul>\n</section>\n")?;
    }
    writeln!(
        out,
        "</main>\n<footer><p>memleak_exporter {}</p></footer>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    )
}

fn write_leaks(out: &mut String, material: &Material<'_>) -> fmt::Result {
    out.write_str("<section>\n<h2>Findings</h2>\n")?;
    if material.leaks.is_empty() {
        out.write_str("<p>No leak is suspected.</p>\n")?;
    }
    for row in &material.leaks {
        let told = Told::of(row, material.snapshot.taken_at);
        writeln!(out, "<h3><bdi>{}</bdi></h3>\n<ul>", Escaped(&told.title))?;
        told.facts.iter().try_for_each(|fact| writeln!(out, "<li>{}</li>", Escaped(fact)))?;
        out.write_str("</ul>\n")?;
        write_advice(out, &told)?;
    }
    if material.leaks_left_out > 0 {
        writeln!(out, "<p>{} more are not shown here.</p>", material.leaks_left_out)?;
    }
    out.write_str("</section>\n")
}

fn write_advice(out: &mut String, told: &Told) -> fmt::Result {
    if told.advice.is_empty() {
        return Ok(());
    }
    out.write_str("<p>What to do:</p>\n<ol>\n")?;
    for advice in &told.advice {
        write!(out, "<li>{}", Escaped(advice.text))?;
        if let Some(command) = &advice.command {
            write!(out, "<br><code>{}</code>", Escaped(command))?;
        }
        out.write_str("</li>\n")?;
    }
    out.write_str("</ol>\n")
}

fn write_trends(out: &mut String, material: &Material<'_>) -> fmt::Result {
    out.write_str("<section>\n<h2>Trends</h2>\n")?;
    if material.trends.is_empty() {
        return out.write_str("<p>Nothing grows that matters.</p>\n</section>\n");
    }
    out.write_str("<table role=\"table\">\n<thead role=\"rowgroup\"><tr role=\"row\">")?;
    TREND_COLUMNS
        .iter()
        .try_for_each(|name| write!(out, "<th scope=\"col\" role=\"columnheader\">{name}</th>"))?;
    out.write_str("</tr></thead>\n<tbody role=\"rowgroup\">\n")?;
    for row in &material.trends {
        out.write_str("<tr role=\"row\">")?;
        for (name, cell) in TREND_COLUMNS.iter().zip(trend_cells(row)) {
            write!(out, "<td role=\"cell\" data-label=\"{name}\">{}</td>", Escaped(&cell))?;
        }
        out.write_str("</tr>\n")?;
    }
    out.write_str("</tbody>\n</table>\n</section>\n")
}
