//! Markdown: a table, and below it the episodes as a list. For a ticket or a chat.

use super::{
    summary::Summary,
    words::{self, COLUMNS},
};
use crate::text::Markdown;
use std::io::{self, Write};

/// Writes all series.
pub(super) fn write(out: &mut impl Write, summaries: &[Summary]) -> io::Result<()> {
    writeln!(out, "| {} |", COLUMNS.map(|(name, _)| name).join(" | "))?;
    writeln!(
        out,
        "| {} |",
        COLUMNS.map(|(_, is_number)| if is_number { "---:" } else { "---" }).join(" | ")
    )?;
    for summary in summaries {
        writeln!(out, "| {} |", words::row(summary).map(|cell| Markdown(&cell).to_string()).join(" | "))?;
    }
    for summary in summaries {
        let untold = words::untold(summary);
        let mut told = words::told_episodes(summary).peekable();
        if told.peek().is_none() && untold.is_none() {
            continue;
        }
        writeln!(out, "\n**{}**\n", Markdown(&summary.series.name))?;
        for episode in told {
            let [what, evidence] = words::episode(summary, episode);
            writeln!(out, "- {}; {}", Markdown(&what), Markdown(&evidence))?;
        }
        if let Some(untold) = untold {
            writeln!(out, "- {untold}")?;
        }
    }
    Ok(())
}
