//! The state file around its body: whose it is, of which format, whether it is whole, and from which boot.
//!
//! ```text
//! magic (8 bytes) | format (4) | checksum of all that follows (4) | length of all that follows (8) | head | body
//! ```
//!
//! Numbers are little-endian; the head is the boot's id and the reading of the clock that the body's times belong to.

use crate::run::clock::Mark;
use serde::{Deserialize, Serialize};

/// How every state file begins.
const MAGIC: [u8; 8] = *b"memleak\n";
/// The format of head and body. To be raised with every change of a type that is written.
const FORMAT: u32 = 4;
/// Bytes before the head.
const PREFIX_BYTES: usize = MAGIC.len() + size_of::<u32>() + size_of::<u32>() + size_of::<u64>();

/// What stands before the body.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    boot: &'a str,
    mark: Mark,
}

/// Why a state file cannot be used. Each follows "it".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// It is not ours.
    #[error("is no state of memleak_exporter")]
    Foreign,
    /// Another version wrote it.
    #[error("has format {0}; this version reads format {FORMAT}")]
    Format(u32),
    /// It ends too early or too late.
    #[error("is not whole: {found} bytes follow its prefix where it says {expected}")]
    Length {
        /// As it says.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// Not even that can be read.
    #[error("is cut short: {0} bytes")]
    CutShort(usize),
    /// Something in it changed.
    #[error("is damaged: its checksum is wrong")]
    Checksum,
    /// The machine was started anew, and no process is the same any more.
    #[error("is from another boot of the machine, or from another machine")]
    Boot,
    /// It was written in the future.
    #[error("is from the future: the machine's monotonic clock has gone back since")]
    Future,
    /// Nobody writes such a file.
    #[error("has {0} bytes, more than ever are written")]
    TooLarge(u64),
    /// Whole, and yet without sense.
    #[error("{0}")]
    Body(String),
}

/// The beginning of a file, to which the body is to be appended. Its prefix is still empty.
///
/// # Errors
/// None that is known of.
pub(super) fn begin(boot: &str, mark: Mark) -> postcard::Result<Vec<u8>> {
    postcard::to_extend(&Head { boot, mark }, vec![0; PREFIX_BYTES])
}

/// Writes the prefix of a file that is complete otherwise. A large body is not copied for that.
pub(super) fn seal(file: &mut [u8]) {
    let Some((prefix, rest)) = file.split_at_mut_checked(PREFIX_BYTES) else { return };
    let length = u64::try_from(rest.len()).unwrap_or(u64::MAX);
    let checksum = crc32fast::hash(rest);
    let fields = MAGIC.into_iter().chain(FORMAT.to_le_bytes()).chain(checksum.to_le_bytes());
    for (byte, value) in prefix.iter_mut().zip(fields.chain(length.to_le_bytes())) {
        *byte = value;
    }
}

/// The body of a file that was written on this boot, and the reading of the clock that belongs to it.
///
/// # Errors
/// Why the file cannot be used.
pub(super) fn open<'a>(file: &'a [u8], boot: &str) -> Result<(Mark, &'a [u8]), Flaw> {
    if !file.starts_with(&MAGIC) {
        let is_beginning = MAGIC.starts_with(file);
        return Err(if is_beginning { Flaw::CutShort(file.len()) } else { Flaw::Foreign });
    }
    let (prefix, rest) = file.split_at_checked(PREFIX_BYTES).ok_or(Flaw::CutShort(file.len()))?;
    let mut prefix = prefix.iter().copied().skip(MAGIC.len());
    let format = u32::from_le_bytes(take(&mut prefix));
    let checksum = u32::from_le_bytes(take(&mut prefix));
    let expected = u64::from_le_bytes(take(&mut prefix));
    if format != FORMAT {
        return Err(Flaw::Format(format));
    }
    let found = u64::try_from(rest.len()).unwrap_or(u64::MAX);
    if found != expected {
        return Err(Flaw::Length { expected, found });
    }
    if crc32fast::hash(rest) != checksum {
        return Err(Flaw::Checksum);
    }
    let (head, body): (Head<'_>, _) =
        postcard::take_from_bytes(rest).map_err(|error| Flaw::Body(format!("cannot be read: {error}")))?;
    if head.boot == boot { Ok((head.mark, body)) } else { Err(Flaw::Boot) }
}

/// The next bytes; zeros where there are none left.
fn take<const N: usize>(bytes: &mut impl Iterator<Item = u8>) -> [u8; N] {
    std::array::from_fn(|_| bytes.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "6c1f2a0e-boot";
    const MARK: Mark = Mark { steady: 1.7e9, monotonic_secs: 12.5 };

    /// A whole file with this body.
    fn sealed(body: &[u8]) -> Vec<u8> {
        let mut file = begin(BOOT, MARK).unwrap();
        file.extend_from_slice(body);
        seal(&mut file);
        file
    }

    #[test]
    fn what_is_sealed_opens_on_the_same_boot_alone() {
        let file = sealed(b"body");
        assert_eq!(open(&file, BOOT), Ok((MARK, &b"body"[..])));
        assert_eq!(open(&file, "another"), Err(Flaw::Boot));
    }

    #[test]
    fn every_cut_and_every_changed_bit_is_noticed() {
        let file = sealed(b"the body of a state");
        for length in 0..file.len() {
            assert!(open(&file[..length], BOOT).is_err(), "cut to {length}");
        }
        assert!(open(&[&file[..], &[0]].concat(), BOOT).is_err(), "a byte too many");
        for (at, bit) in (0..file.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            assert!(open(&changed, BOOT).is_err(), "bit {bit} of byte {at}");
        }
    }

    #[test]
    fn a_flaw_says_what_it_is() {
        let file = sealed(b"body");
        let mut newer = file.clone();
        newer[8] = 9;
        assert_eq!(open(&newer, BOOT), Err(Flaw::Format(9)));
        assert_eq!(open(b"#!/bin/sh", BOOT), Err(Flaw::Foreign));
        assert_eq!(open(b"mem", BOOT), Err(Flaw::CutShort(3)));
        assert!(matches!(open(&file[..file.len() - 1], BOOT), Err(Flaw::Length { .. })));
    }
}
