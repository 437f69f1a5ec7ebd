//! Markdown: a table, and below it the notes as lists. For a ticket or a chat.

use super::{Report, harmless};
use std::io::{self, Write};

/// Writes the report.
pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if !report.columns.is_empty() {
        let names: Vec<&str> = report.columns.iter().map(|column| column.name).collect();
        writeln!(out, "| {} |", names.join(" | "))?;
        let marks = report.columns.iter().map(|column| if column.is_number { "---:" } else { "---" });
        writeln!(out, "| {} |", marks.collect::<Vec<_>>().join(" | "))?;
    }
    for row in &report.rows {
        let cells: Vec<String> = row.cells.iter().map(|cell| escaped(&cell.text)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    for row in report.rows.iter().filter(|row| !row.notes.is_empty()) {
        let name = row.cells.first().map_or("", |cell| cell.text.as_str());
        writeln!(out, "\n**{}**\n", escaped(name))?;
        for note in &row.notes {
            writeln!(out, "- {}", escaped(note))?;
        }
    }
    for remark in &report.remarks {
        writeln!(out, "\n{}", escaped(&remark.text))?;
    }
    Ok(())
}

/// A text that is neither markup nor the end of a cell.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in harmless(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '#' | '~' | '!') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
