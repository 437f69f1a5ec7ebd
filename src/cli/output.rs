//! What commands print: one report as a table, JSON, JSON lines, Markdown or a page, and how a terminal is treated.
//!
//! A command fills a [`Report`], which is for people, beside a document of its own, which is for programs; [`Output`]
//! writes whichever was asked for. Colour only goes to a terminal, and never where `NO_COLOR` is set.

mod html;
mod markdown;
mod table;
pub(super) mod terminal;

use super::Failure;
use clap::ValueEnum;
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use terminal::Paint;

/// How a command writes what it has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Aligned columns, for people at a terminal.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// A table for a ticket or a chat.
    Markdown,
    /// A self-contained page.
    Html,
}

/// How much a text matters; a colour on a terminal, and never the only way in which it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// Like any other.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// To be looked at.
    Warn,
    /// Bad.
    Bad,
    /// Beside the point.
    Quiet,
}

/// A text with its tone. The text is as it came: each format makes it harmless itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// What it says.
    pub(super) text: String,
    /// How much it matters.
    pub(super) tone: Tone,
}

impl Cell {
    /// A text that matters so much.
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A column: its name, and whether it holds numbers, which stand at its right edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// The name, as a heading.
    pub(super) name: &'static str,
    /// Whether it holds numbers.
    pub(super) is_number: bool,
}

impl Column {
    /// A column of words.
    pub(super) const fn words(name: &'static str) -> Self {
        Self { name, is_number: false }
    }

    /// A column of numbers.
    pub(super) const fn number(name: &'static str) -> Self {
        Self { name, is_number: true }
    }
}

/// A row: a cell for each column, and lines that belong below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// One for each column.
    pub(super) cells: Vec<Cell>,
    /// What is to be said of the row beyond its cells.
    pub(super) notes: Vec<String>,
}

/// What a command has to say to people.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// A heading; the table for terminals leaves it out, since who typed the command knows.
    pub(super) title: String,
    /// The columns.
    pub(super) columns: Vec<Column>,
    /// The rows.
    pub(super) rows: Vec<Row>,
    /// What is to be said of the whole, below the rows.
    pub(super) remarks: Vec<Cell>,
}

/// How to write, and whether in colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// How.
    pub(super) format: Format,
    /// Whether the table is in colour.
    pub(super) paint: Paint,
}

impl Output {
    /// For the standard output as it is.
    pub(super) fn new(format: Format) -> Self {
        Self { format, paint: Paint::of_stdout() }
    }

    /// Writes a report: `document` is what JSON shows, `lines` are the objects of JSON lines.
    pub(super) fn write<L: Serialize>(
        self,
        out: &mut impl Write,
        report: &Report,
        document: &impl Serialize,
        lines: &[L],
    ) -> io::Result<()> {
        match self.format {
            Format::Table => table::write(out, report, self.paint),
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, document)?;
                out.write_all(b"\n")
            }
            Format::Jsonl => lines.iter().try_for_each(|line| {
                serde_json::to_writer(&mut *out, line)?;
                out.write_all(b"\n")
            }),
            Format::Markdown => markdown::write(out, report),
            Format::Html => html::write(out, report),
        }
    }
}

/// Writes to the standard output. A reader that has heard enough and left is no failure.
pub(super) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Other(anyhow::Error::new(error).context("the output cannot be written")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A text for a terminal: control characters, which could steer it, are replaced.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Format, paint: Paint) -> String {
        let report = Report {
            title: "Growth".into(),
            columns: vec![Column::words("Area"), Column::number("Grew by")],
            rows: vec![
                Row {
                    cells: vec!["an<b>on\u{1b}".into(), Cell::new("+12 MB", Tone::Bad)],
                    notes: vec!["no plateau".into()],
                },
                Row { cells: vec!["fds".into(), "0".into()], notes: Vec::new() },
            ],
            remarks: vec![Cell::new("all | told", Tone::Good)],
        };
        let mut out = Vec::new();
        Output { format, paint }.write(&mut out, &report, &["whole"], &[1, 2]).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_report_is_written_in_every_format() {
        assert_eq!(
            shown(Format::Table, Paint::OFF),
            "AREA      GREW BY\nan<b>on\u{fffd}   +12 MB\n  no plateau\nfds             0\n\nall | told\n"
        );
        assert_eq!(shown(Format::Json, Paint::OFF), "[\n  \"whole\"\n]\n");
        assert_eq!(shown(Format::Jsonl, Paint::OFF), "1\n2\n");
        assert_eq!(
            shown(Format::Markdown, Paint::OFF),
            "| Area | Grew by |\n| --- | ---: |\n| an\\<b\\>on\u{fffd} | +12 MB |\n| fds | 0 |\n\n\
             **an\\<b\\>on\u{fffd}**\n\n- no plateau\n\nall \\| told\n"
        );
        let page = shown(Format::Html, Paint::OFF);
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
        assert!(page.contains("<bdi>an&lt;b&gt;on\u{fffd}</bdi>") && page.contains("no plateau"), "{page}");
        assert!(!page.contains("<script") && !page.contains("href="), "{page}");
    }

    #[test]
    fn colour_changes_no_column() {
        let coloured = shown(Format::Table, Paint::ON);
        assert!(coloured.contains("\u{1b}[31m"), "{coloured:?}");
        let mut bare = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            bare += before;
            rest = after.split_once('m').unwrap().1;
        }
        assert_eq!(bare + rest, shown(Format::Table, Paint::OFF));
    }
}
