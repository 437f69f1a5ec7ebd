//! Text of any length, line by line, through one bounded buffer.

use std::{
    io::{self, Read},
    ops::ControlFlow,
};

/// The longest line that is seen: a path has 4096 bytes at most. The kernel gives no more than a page or two at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// Hands each line without its end to `take` until there are none, or it has seen enough. `goes_on` is asked before each
/// read, with the bytes that were read so far. Lines that are longer than the buffer are left out.
///
/// Says whether the text was read as far as it was wanted: false when `goes_on` ended it.
pub(super) fn for_each(
    mut text: impl Read,
    mut goes_on: impl FnMut(u64) -> bool,
    mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<bool> {
    let mut buffer = vec![0; BUFFER_BYTES];
    // What of the buffer is the beginning of a line, and whether that line is too long already.
    let (mut kept, mut is_cut) = (0, false);
    let mut read_bytes = 0;
    loop {
        if !goes_on(read_bytes) {
            return Ok(false);
        }
        let read = match text.read(buffer.get_mut(kept..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        read_bytes += u64::try_from(read).unwrap_or(u64::MAX);
        let filled = kept + read;
        let mut begins = 0;
        // What was kept has no end of a line in it.
        let mut ends = position(&buffer, kept, filled);
        while let Some(end) = ends {
            let line = buffer.get(begins..end).unwrap_or_default();
            if !std::mem::take(&mut is_cut) && take(line).is_break() {
                return Ok(true);
            }
            begins = end + 1;
            ends = position(&buffer, begins, filled);
        }
        kept = filled - begins;
        if kept == BUFFER_BYTES {
            (kept, is_cut) = (0, true);
        } else {
            buffer.copy_within(begins..filled, 0);
        }
    }
    if kept > 0 && !is_cut {
        let _the_last_line = take(buffer.get(..kept).unwrap_or_default());
    }
    Ok(true)
}

/// Where the next line within these bytes ends.
fn position(buffer: &[u8], from: usize, to: usize) -> Option<usize> {
    let newline = |byte: &u8| *byte == b'\n';
    buffer.get(from..to).and_then(|bytes| bytes.iter().position(newline)).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(into.len());
            self.0.read(&mut into[..most])
        }
    }

    fn lines(text: &[u8], at_a_time: usize) -> Vec<String> {
        let mut seen = Vec::new();
        let take = |line: &[u8]| {
            seen.push(String::from_utf8_lossy(line).into_owned());
            ControlFlow::Continue(())
        };
        assert!(for_each(Slowly(text, at_a_time), |_| true, take).unwrap());
        seen
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        for at_a_time in [1, 2, 3, 7, 100_000] {
            assert_eq!(lines(b"a\n\nbcd\nef", at_a_time), ["a", "", "bcd", "ef"], "{at_a_time}");
            let long = [b"a\n".as_slice(), &vec![b'x'; 50_000], b"\nb\n"].concat();
            assert_eq!(lines(&long, at_a_time), ["a", "b"], "{at_a_time}");
            let most = [vec![b'x'; BUFFER_BYTES - 1], b"\nb\n".to_vec()].concat();
            assert_eq!(lines(&most, at_a_time)[1..], ["b"], "{at_a_time}");
        }
        assert!(lines(b"", 1).is_empty());
    }

    #[test]
    fn reading_ends_when_it_may_not_go_on_or_enough_was_seen() {
        let mut seen = 0;
        let ended = for_each(
            Slowly(b"a\nb\nc\n", 2),
            |bytes| bytes < 4,
            |_| {
                seen += 1;
                ControlFlow::Continue(())
            },
        );
        assert_eq!((ended.unwrap(), seen), (false, 2));
        let ended = for_each(&b"a\nb\n"[..], |_| true, |_| ControlFlow::Break(()));
        assert!(ended.unwrap());
    }
}
