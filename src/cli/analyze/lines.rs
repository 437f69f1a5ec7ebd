//! Lines of a text file, one at a time and of bounded length, with their numbers.

use std::{
    io::{BufRead, Read as _},
    sync::Arc,
};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// It cannot be opened or read.
    #[error("{file}: cannot be read; is it there, a plain file, and may this user read it?")]
    Io {
        /// As the user named it.
        file: Arc<str>,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A line of it is not what it should be.
    #[error("{file}:{line}: found {found}; expected {expected}")]
    Line {
        /// As the user named it.
        file: Arc<str>,
        /// The line's number, from 1.
        line: u64,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
    },
}

/// The lines of one file.
#[derive(Debug)]
pub(super) struct Lines<R> {
    file: Arc<str>,
    input: R,
    most_bytes: u64,
    line: Vec<u8>,
    number: u64,
    /// Whether the line that was read last comes once more.
    is_unread: bool,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`, which errors call `file`; none may be longer than so many bytes.
    pub(super) fn new(file: &str, input: R, most_bytes: u64) -> Self {
        Self { file: file.into(), input, most_bytes, line: Vec::new(), number: 0, is_unread: false }
    }

    /// The next line without its end (LF or CRLF) and, at the begin of the file, without a byte-order mark; none at the
    /// end of the file.
    pub(super) fn next(&mut self) -> Result<Option<&str>, ReadError> {
        if !std::mem::take(&mut self.is_unread) && !self.read()? {
            return Ok(None);
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if u64::try_from(line.len()).unwrap_or(u64::MAX) > self.most_bytes {
            let found = format!("a line of more than {} bytes", self.most_bytes);
            return Err(self.wrong(found, "a text file of short lines"));
        }
        let Ok(text) = std::str::from_utf8(line) else {
            return Err(self.wrong("bytes that are no UTF-8 text", "plain text"));
        };
        Ok(Some(if self.number == 1 { text.trim_start_matches('\u{feff}') } else { text }))
    }

    /// Reads on; false at the end of the file.
    fn read(&mut self) -> Result<bool, ReadError> {
        self.line.clear();
        let bound = self.most_bytes + 2;
        let mut bounded = self.input.by_ref().take(bound);
        let read = bounded
            .read_until(b'\n', &mut self.line)
            .map_err(|source| ReadError::Io { file: Arc::clone(&self.file), source })?;
        self.number += u64::from(read > 0);
        Ok(read > 0)
    }

    /// The line that was read last comes once more, and none of them may be longer than so many bytes.
    pub(super) fn again(&mut self, most_bytes: u64) {
        self.is_unread = self.number > 0;
        self.most_bytes = most_bytes;
    }

    /// The error that the line read last is not what it should be.
    pub(super) fn wrong(&self, found: impl Into<String>, expected: impl Into<String>) -> ReadError {
        self.wrong_at(self.number, found, expected)
    }

    /// The error that an earlier line is not what it should be.
    pub(super) fn wrong_at(
        &self,
        line: u64,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> ReadError {
        ReadError::Line { file: Arc::clone(&self.file), line, found: found.into(), expected: expected.into() }
    }

    /// The number of the line read last; 0 before the first.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

/// What stands somewhere, as an error shows it: quoted, without control characters, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const MOST_CHARS: usize = 40;
    let cut = if text.chars().nth(MOST_CHARS).is_some() { "…" } else { "" };
    format!("{:?}{cut}", text.chars().take(MOST_CHARS).collect::<String>())
}
