//! Markdown: a table, and below it the episodes as a list. For a ticket or a chat.

use super::{
    summary::Summary,
    words::{self, COLUMNS},
};
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
        writeln!(out, "| {} |", words::row(summary).map(|cell| escaped(&cell)).join(" | "))?;
    }
    for summary in summaries {
        let untold = words::untold(summary);
        let mut told = words::told_episodes(summary).peekable();
        if told.peek().is_none() && untold.is_none() {
            continue;
        }
        writeln!(out, "\n**{}**\n", escaped(&summary.series.name))?;
        for episode in told {
            let [what, evidence] = words::episode(summary, episode);
            writeln!(out, "- {}; {}", escaped(&what), escaped(&evidence))?;
        }
        if let Some(untold) = untold {
            writeln!(out, "- {untold}")?;
        }
    }
    Ok(())
}

/// A text that is neither markup nor the end of a cell.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in words::harmless(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '#' | '~' | '!') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_becomes_markup() {
        assert_eq!(escaped("a|b_c\n<img>"), "a\\|b\\_c\u{fffd}\\<img\\>");
    }
}
