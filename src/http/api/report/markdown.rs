//! The report as Markdown, for a ticket or a chat.

use super::{Material, TREND_COLUMNS, Told, ended_words, trend_cells};
use crate::text::Markdown;
use std::fmt::{self, Write as _};

pub(super) fn write(out: &mut String, material: &Material<'_>) -> fmt::Result {
    writeln!(out, "# Memory leaks, {}\n\n{}\n\n## Findings\n", material.taken_at(), material.summary())?;
    if material.leaks.is_empty() {
        writeln!(out, "No leak is suspected.\n")?;
    }
    for row in &material.leaks {
        write_leak(out, &Told::of(row, material.snapshot.taken_at))?;
    }
    if material.leaks_left_out > 0 {
        writeln!(out, "{} more are not shown here.\n", material.leaks_left_out)?;
    }
    write_trends(out, material)?;
    if !material.ended.is_empty() {
        writeln!(out, "## Over\n")?;
        material.ended.iter().try_for_each(|ended| writeln!(out, "- {}", Markdown(&ended_words(ended))))?;
    }
    Ok(())
}

fn write_leak(out: &mut String, told: &Told) -> fmt::Result {
    writeln!(out, "### {}\n", Markdown(&told.title))?;
    told.facts.iter().try_for_each(|fact| writeln!(out, "- {}", Markdown(fact)))?;
    if !told.advice.is_empty() {
        writeln!(out, "\nWhat to do:\n")?;
    }
    for advice in &told.advice {
        writeln!(out, "- {}", Markdown(advice.text))?;
        if let Some(command) = &advice.command {
            // Indented code ends with its line, and a command is one line: nothing in it can be markup.
            writeln!(out, "\n      {command}\n")?;
        }
    }
    writeln!(out)
}

fn write_trends(out: &mut String, material: &Material<'_>) -> fmt::Result {
    writeln!(out, "## Trends\n")?;
    if material.trends.is_empty() {
        return writeln!(out, "Nothing grows that matters.\n");
    }
    writeln!(out, "| {} |\n|{}", TREND_COLUMNS.join(" | "), " --- |".repeat(TREND_COLUMNS.len()))?;
    for row in &material.trends {
        let cells = trend_cells(row).map(|cell| Markdown(&cell).to_string());
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    writeln!(out)
}
