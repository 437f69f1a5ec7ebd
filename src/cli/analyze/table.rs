//! Aligned plain text, for people at a terminal.

use super::{
    summary::Summary,
    words::{self, COLUMNS, harmless},
};
use std::io::{self, Write};

/// Spaces between two columns.
const GAP: usize = 2;

/// Writes one row for each series, its episodes below; nothing where no series could be read.
pub(super) fn write(out: &mut impl Write, summaries: &[Summary]) -> io::Result<()> {
    if summaries.is_empty() {
        return Ok(());
    }
    let header = COLUMNS.map(|(name, _)| name.to_uppercase());
    let rows: Vec<[String; COLUMNS.len()]> =
        summaries.iter().map(|summary| words::row(summary).map(|cell| harmless(&cell))).collect();
    let mut widths = [0; COLUMNS.len()];
    for row in rows.iter().chain([&header]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    write_row(out, &header, &widths)?;
    for (row, summary) in rows.iter().zip(summaries) {
        write_row(out, row, &widths)?;
        for episode in words::told_episodes(summary) {
            let [what, evidence] = words::episode(summary, episode);
            writeln!(out, "  {what}\n    {evidence}")?;
        }
        if let Some(untold) = words::untold(summary) {
            writeln!(out, "  {untold}")?;
        }
    }
    Ok(())
}

fn write_row(out: &mut impl Write, row: &[String; COLUMNS.len()], widths: &[usize]) -> io::Result<()> {
    let mut line = String::new();
    for ((cell, width), (_, is_number)) in row.iter().zip(widths).zip(COLUMNS) {
        let padding = " ".repeat(width - cell.chars().count());
        line += &if is_number { padding + cell } else { format!("{cell}{padding}") };
        line += &" ".repeat(GAP);
    }
    writeln!(out, "{}", line.trim_end())
}
