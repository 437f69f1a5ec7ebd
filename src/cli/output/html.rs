//! One self-contained page: no script, nothing from outside, every text escaped. It wears the style sheet of the
//! exporter's page.

use super::{Column, Report, Row, Tone};
use crate::text::Escaped;
use std::io::{self, Write};

const STYLE: &str = include_str!("../../http/page/page.css");

/// Writes the page.
pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let title = Escaped(&report.title);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title} <small>memleak_exporter</small></h1></header>\n<main>\n",
    )?;
    if !report.columns.is_empty() {
        write_table(out, report)?;
    }
    for remark in &report.remarks {
        let class = if remark.tone == Tone::Good { "empty good" } else { "note" };
        writeln!(out, "<p class=\"{class}\">{}</p>", Escaped(&remark.text))?;
    }
    out.write_all(b"</main>\n</body>\n</html>\n")
}

fn write_table(out: &mut impl Write, report: &Report) -> io::Result<()> {
    out.write_all(b"<table role=\"table\">\n<thead role=\"rowgroup\"><tr role=\"row\">")?;
    for column in &report.columns {
        let Column { name, .. } = column;
        write!(out, "<th scope=\"col\" role=\"columnheader\" class=\"{}\">{name}</th>", class(*column))?;
    }
    out.write_all(b"</tr></thead>\n<tbody role=\"rowgroup\">\n")?;
    for row in &report.rows {
        write_row(out, row, &report.columns)?;
    }
    out.write_all(b"</tbody>\n</table>\n")
}

fn write_row(out: &mut impl Write, row: &Row, columns: &[Column]) -> io::Result<()> {
    out.write_all(b"<tr role=\"row\">")?;
    for (number, (cell, column)) in row.cells.iter().zip(columns).enumerate() {
        let text = Escaped(&cell.text);
        if number == 0 {
            write!(out, "<th scope=\"row\" role=\"rowheader\"><bdi>{text}</bdi>")?;
            for note in &row.notes {
                write!(out, "<small>{}</small>", Escaped(note))?;
            }
            out.write_all(b"</th>")?;
            continue;
        }
        let (name, class) = (column.name, class(*column));
        write!(out, "<td role=\"cell\" data-label=\"{name}\" class=\"{class}\">")?;
        match badge(cell.tone) {
            Some(badge) => write!(out, "<span class=\"badge {badge}\">{text}</span></td>")?,
            None => write!(out, "{text}</td>")?,
        }
    }
    out.write_all(b"</tr>\n")
}

const fn class(column: Column) -> &'static str {
    if column.is_number { "number" } else { "" }
}

/// The badge for a tone; plain texts have none.
const fn badge(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Bad => Some("confirmed"),
        Tone::Warn => Some("suspected"),
        Tone::Good => Some("none"),
        Tone::Plain | Tone::Quiet => None,
    }
}
