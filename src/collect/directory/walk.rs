//! One pass over a directory, in portions: a stack of open streams, from the directory itself inwards.
//!
//! Memory is bounded by the depth, whatever the directories hold: each stream has a buffer of some 25 kB.

use crate::{
    config::Directory,
    sample::{Errors, Identity, Seconds},
};
use regex::Regex;
use rustix::{
    fd::{AsFd as _, OwnedFd},
    fs::{
        AtFlags, Dir, DirEntry, FileType, Mode, OFlags, ResolveFlags, StatVfs, Statx, StatxFlags, fstatvfs,
        open, openat, openat2, statx,
    },
    io::Errno,
};
use std::{
    ffi::CStr,
    io,
    path::Path,
    time::{Duration, Instant},
};

/// Levels of directories, the outermost included: spools nest by year, month, day and hour.
const MOST_DEPTH: usize = 16;
/// Entries of one pass: one that is filled as fast as it is read would never end.
const MOST_ENTRIES: u64 = 100_000_000;
/// The clock is asked after so many entries.
const ENTRIES_A_LOOK: u32 = 64;
/// Bytes of a block, as the kernel counts them for each file.
const BLOCK_BYTES: u64 = 512;
/// What is asked of each file.
const WANTED: StatxFlags = StatxFlags::TYPE.union(StatxFlags::BLOCKS).union(StatxFlags::MTIME);
/// Neither another file system nor a network is asked for a file that may be known already.
const HOW: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT).union(AtFlags::STATX_DONT_SYNC);

/// What one reading may take.
pub(super) struct Budget {
    entries: u32,
    until: Instant,
    instant: fn() -> Instant,
}

impl Budget {
    /// So many entries, and so much time from now on.
    pub(super) fn new(entries: u32, patience: Duration, instant: fn() -> Instant) -> Self {
        Self { entries, until: instant() + patience, instant }
    }

    /// Takes one entry, if any is left.
    fn take(&mut self) -> bool {
        if self.entries.is_multiple_of(ENTRIES_A_LOOK) && (self.instant)() >= self.until {
            self.entries = 0;
        }
        let is_left = self.entries > 0;
        self.entries = self.entries.saturating_sub(1);
        is_left
    }
}

/// What a pass counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// When the oldest of them was written last.
    pub(super) oldest_at: Option<Seconds>,
    /// Entries seen, whether they count or not.
    pub(super) entries: u64,
    /// What could not be read; what vanished meanwhile is no error.
    pub(super) errors: Errors,
    /// Directories that a bound left out.
    pub(super) left_out: u64,
}

/// The open directory itself.
pub(super) struct Root {
    directory: OwnedFd,
    stat: Statx,
}

impl Root {
    /// Opens a directory of the watched system.
    pub(super) fn open(rootfs: &Path, path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let inside = path.strip_prefix("/").ok().filter(|inside| !inside.as_os_str().is_empty());
        let inside = inside.unwrap_or_else(|| Path::new("."));
        // A link in the path means what it means to the programs of the watched system.
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let directory = match openat2(&root, inside, flags, Mode::empty(), resolve) {
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {
                openat(&root, inside, flags | OFlags::NOFOLLOW, Mode::empty())?
            }
            tried => tried?,
        };
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let stat = statx(&directory, c"", AtFlags::EMPTY_PATH, wanted)?;
        Ok(Self { directory, stat })
    }

    /// Which directory this is, to the target of this name: a directory that was made anew is another one.
    pub(super) fn identity(&self, name: &str) -> Identity {
        let Statx { stx_dev_major, stx_dev_minor, stx_ino, .. } = self.stat;
        let number = |number: u64| number.to_le_bytes();
        let parts = [number(stx_dev_major.into()), number(stx_dev_minor.into()), number(stx_ino)].concat();
        Identity::hashed(parts.into_iter().chain(name.bytes()))
    }

    /// When it was made, in wall-clock time, where the file system tells.
    pub(super) fn made_at(&self) -> Option<Seconds> {
        let is_told = self.stat.stx_mask & StatxFlags::BTIME.bits() != 0 && self.stat.stx_btime.tv_sec > 0;
        is_told.then(|| seconds(self.stat.stx_btime.tv_sec, self.stat.stx_btime.tv_nsec))
    }

    /// What is left on its file system, where that tells.
    pub(super) fn stat_file_system(&self) -> Option<StatVfs> {
        fstatvfs(&self.directory).ok()
    }

    fn device(&self) -> (u32, u32) {
        (self.stat.stx_dev_major, self.stat.stx_dev_minor)
    }

    /// Whether it was removed while it was open.
    fn is_removed(&self) -> bool {
        statx(&self.directory, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK)
            .is_ok_and(|stat| stat.stx_nlink == 0)
    }
}

/// A pass under way.
pub(super) struct Walk {
    root: Root,
    pub(super) began_at: Seconds,
    /// The innermost last; empty at the end.
    streams: Vec<Dir>,
    pattern: Option<Regex>,
    recursive: bool,
    pub(super) totals: Totals,
}

impl Walk {
    /// Begins a pass.
    pub(super) fn begin(root: Root, config: &Directory, at: Seconds) -> io::Result<Self> {
        let stream = Dir::read_from(&root.directory)?;
        let (pattern, recursive) = (config.pattern.clone(), config.recursive);
        Ok(Self { root, began_at: at, streams: vec![stream], pattern, recursive, totals: Totals::default() })
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Goes on as far as the budget allows, and says whether the pass is through.
    ///
    /// # Errors
    /// The directory itself cannot be read, or was removed. What cannot be read inside of it is counted.
    pub(super) fn go_on(&mut self, budget: &mut Budget) -> io::Result<bool> {
        while let Some(stream) = self.streams.last_mut() {
            if !budget.take() {
                return Ok(false);
            }
            match stream.read() {
                Some(Ok(entry)) => self.visit(&entry),
                Some(Err(error)) if self.streams.len() == 1 => return Err(error.into()),
                Some(Err(error)) => {
                    self.note(error);
                    self.streams.pop();
                }
                None => {
                    self.streams.pop();
                }
            }
        }
        // The stream of a removed directory just ends.
        if self.root.is_removed() { Err(io::ErrorKind::NotFound.into()) } else { Ok(true) }
    }

    fn visit(&mut self, entry: &DirEntry) {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            return;
        }
        self.totals.entries += 1;
        if self.totals.entries > MOST_ENTRIES {
            self.totals.left_out += 1;
            self.streams.clear();
            return;
        }
        match entry.file_type() {
            FileType::Directory => self.enter(name),
            FileType::RegularFile if self.counts(name) => self.add(name),
            // Some file systems do not tell; then it is told with the rest.
            FileType::Unknown => self.add_unknown(name),
            _ => {}
        }
    }

    fn counts(&self, name: &CStr) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&name.to_string_lossy()))
    }

    fn stat(&mut self, name: &CStr) -> Option<Statx> {
        let stat = statx(self.streams.last()?.fd().ok()?, name, HOW, WANTED);
        stat.map_err(|error| self.note(error)).ok()
    }

    fn add(&mut self, name: &CStr) {
        let Some(stat) = self.stat(name) else { return };
        self.totals.files += 1;
        self.totals.bytes = self.totals.bytes.saturating_add(stat.stx_blocks.saturating_mul(BLOCK_BYTES));
        let written_at = seconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec);
        self.totals.oldest_at =
            Some(self.totals.oldest_at.map_or(written_at, |oldest| oldest.min(written_at)));
    }

    fn add_unknown(&mut self, name: &CStr) {
        let Some(stat) = self.stat(name) else { return };
        match FileType::from_raw_mode(stat.stx_mode.into()) {
            FileType::Directory => self.enter(name),
            FileType::RegularFile if self.counts(name) => self.add(name),
            _ => {}
        }
    }

    /// Opens a directory inside, to be gone through first.
    fn enter(&mut self, name: &CStr) {
        if !self.recursive {
            return;
        }
        if self.streams.len() >= MOST_DEPTH {
            self.totals.left_out += 1;
            return;
        }
        let Some(Ok(outer)) = self.streams.last().map(Dir::fd) else { return };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(outer, name, flags, Mode::empty()).and_then(|inner| {
            let stat = statx(inner.as_fd(), c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE)?;
            let is_ours = (stat.stx_dev_major, stat.stx_dev_minor) == self.root.device();
            if is_ours { Dir::new(inner).map(Some) } else { Ok(None) }
        });
        match opened {
            Ok(inner) => self.streams.extend(inner),
            Err(error) => self.note(error),
        }
    }

    fn note(&mut self, error: Errno) {
        match error {
            Errno::NOENT => {}
            Errno::ACCESS | Errno::PERM => self.totals.errors.permission += 1,
            _ => self.totals.errors.read += 1,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact for a hundred million years")]
fn seconds(secs: i64, nanoseconds: u32) -> Seconds {
    secs as f64 + f64::from(nanoseconds) / 1e9
}
