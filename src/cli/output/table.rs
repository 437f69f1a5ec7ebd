//! Aligned plain text, for people at a terminal.

use super::{Cell, Column, Report, Row, harmless, terminal::Paint};
use std::io::{self, Write};

/// Spaces between two columns.
const GAP: usize = 2;

/// Writes the rows below their heading, the notes of each below it, and the remarks at the end.
pub(super) fn write(out: &mut impl Write, report: &Report, paint: Paint) -> io::Result<()> {
    if !report.columns.is_empty() {
        write_rows(out, report, paint)?;
    }
    if !report.remarks.is_empty() && !report.columns.is_empty() {
        writeln!(out)?;
    }
    for remark in &report.remarks {
        writeln!(out, "{}", paint.apply(&harmless(&remark.text), remark.tone))?;
    }
    Ok(())
}

fn write_rows(out: &mut impl Write, report: &Report, paint: Paint) -> io::Result<()> {
    let columns = &report.columns;
    let header = Row {
        cells: columns.iter().map(|column| Cell::from(column.name.to_uppercase())).collect(),
        notes: Vec::new(),
    };
    let mut widths = vec![0; columns.len()];
    for row in report.rows.iter().chain([&header]) {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = cell.text.chars().count().max(*width);
        }
    }
    write_row(out, &header, (columns, &widths), paint)?;
    for row in &report.rows {
        write_row(out, row, (columns, &widths), paint)?;
        for note in &row.notes {
            writeln!(out, "  {}", harmless(note))?;
        }
    }
    Ok(())
}

fn write_row(
    out: &mut impl Write,
    row: &Row,
    (columns, widths): (&[Column], &[usize]),
    paint: Paint,
) -> io::Result<()> {
    let mut line = String::new();
    // Spaces that are still owed: a line never ends in some.
    let mut owed = 0;
    for ((cell, width), column) in row.cells.iter().zip(widths).zip(columns) {
        let padding = width.saturating_sub(cell.text.chars().count());
        let (before, after) = if column.is_number { (padding, 0) } else { (0, padding) };
        line += &" ".repeat(owed + before);
        line += &paint.apply(&harmless(&cell.text), cell.tone);
        owed = after + GAP;
    }
    writeln!(out, "{line}")
}
