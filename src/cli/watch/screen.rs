//! The terminal while it shows the view: taken over at the start, and given back as it was however it ends.

use super::view::{self, Model};
use crate::cli::output::{Cell, harmless, terminal::Paint};
use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    queue,
    style::Print,
    terminal::{
        self, Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
    },
};
use std::{
    io::{self, Write as _},
    time::Duration,
};

/// What the keyboard, or the window, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Nothing.
    None,
    /// To end.
    Quit,
    /// That the window has another size now.
    Resized,
}

/// The terminal, as long as it is ours.
pub(super) struct Screen {
    paint: Paint,
}

impl Screen {
    /// Takes it over.
    pub(super) fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        // From here on it is given back, whatever fails.
        let screen = Self { paint: Paint::of_stdout() };
        queue!(io::stdout(), EnterAlternateScreen, DisableLineWrap, Hide)?;
        Ok(screen)
    }

    /// What was said since the last time.
    pub(super) fn key(&mut self) -> io::Result<Key> {
        let mut said = Key::None;
        while event::poll(Duration::ZERO)? {
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Release => {}
                Event::Key(key) => match key.code {
                    KeyCode::Char('q' | 'Q') | KeyCode::Esc => return Ok(Key::Quit),
                    // In raw mode it is no signal.
                    KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                        return Ok(Key::Quit);
                    }
                    _ => {}
                },
                Event::Resize(..) => said = Key::Resized,
                _ => {}
            }
        }
        Ok(said)
    }

    /// Draws the view in the size that the window has now.
    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        let (width, height) = terminal::size()?;
        let mut out = io::stdout().lock();
        let lines = view::lines(model, usize::from(width), usize::from(height));
        for (row, line) in (0..height).zip(&lines) {
            // Cleared before and not after: behind a full line the cursor stands on its last character.
            queue!(out, MoveTo(0, row), Clear(ClearType::UntilNewLine), Print(self.painted(line)))?;
        }
        if let Some(below) = u16::try_from(lines.len()).ok().filter(|below| *below < height) {
            queue!(out, MoveTo(0, below), Clear(ClearType::FromCursorDown))?;
        }
        out.flush()
    }

    fn painted(&self, line: &[Cell]) -> String {
        line.iter().map(|part| self.paint.apply(&harmless(&part.text), part.tone)).collect()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout();
        let _nothing_more_can_be_done = queue!(out, Show, EnableLineWrap, LeaveAlternateScreen);
        let _nothing_more_can_be_done = out.flush();
        let _nothing_more_can_be_done = terminal::disable_raw_mode();
    }
}
