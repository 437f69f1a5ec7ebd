//! The terminal: colour where it is wanted, and a line of progress that goes away.

use super::Tone;
use std::io::{self, IsTerminal as _, Write as _};

/// Whether texts are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Paint(bool);

impl Paint {
    /// Without colour.
    pub(in super::super) const OFF: Self = Self(false);
    /// With colour.
    #[cfg(test)]
    pub(in super::super) const ON: Self = Self(true);

    /// What suits the standard output.
    pub(in super::super) fn of_stdout() -> Self {
        Self::suiting(io::stdout().is_terminal(), &|name| std::env::var(name).ok())
    }

    /// What suits the standard error.
    pub(in super::super) fn of_stderr() -> Self {
        Self::suiting(io::stderr().is_terminal(), &|name| std::env::var(name).ok())
    }

    /// Colour for a terminal that knows it, unless `NO_COLOR` is set to something (no-color.org).
    fn suiting(is_terminal: bool, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let is_unwanted = lookup("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = lookup("TERM").is_none_or(|term| term == "dumb");
        Self(is_terminal && !is_unwanted && !is_dumb)
    }

    /// The text in the colour of its tone, one of the terminal's own eight, which suit light and dark.
    pub(in super::super) fn apply(self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => None,
            Tone::Good => Some(32),
            Tone::Warn => Some(33),
            Tone::Bad => Some(31),
            Tone::Quiet => Some(2),
        };
        match code.filter(|_| self.0 && !text.is_empty()) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }
}

/// A line on the standard error that says how far it is, and is gone at the end; none where that is no terminal.
#[derive(Debug)]
pub(in super::super) struct Progress {
    is_shown: bool,
    last: String,
}

impl Progress {
    /// Nothing yet.
    pub(in super::super) fn new() -> Self {
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Self { is_shown: io::stderr().is_terminal() && !is_dumb, last: String::new() }
    }

    /// Says this instead of what it said before. It should fit one line.
    pub(in super::super) fn say(&mut self, text: &str) {
        if self.is_shown && text != self.last {
            let _nowhere_to_say_it = write!(io::stderr(), "\r\u{1b}[K{}", super::harmless(text));
            text.clone_into(&mut self.last);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown && !self.last.is_empty() {
            let _nowhere_to_say_it = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_want_it() {
        for (is_terminal, no_color, term, expected) in [
            (true, None, Some("xterm"), true),
            (true, Some(""), Some("xterm"), true),
            (true, Some("1"), Some("xterm"), false),
            (true, None, Some("dumb"), false),
            (true, None, None, false),
            (false, None, Some("xterm"), false),
        ] {
            let lookup = |name: &str| if name == "TERM" { term } else { no_color }.map(String::from);
            let paint = Paint::suiting(is_terminal, &lookup);
            assert_eq!(paint, Paint(expected), "{is_terminal} {no_color:?} {term:?}");
        }
    }
}
