//! Reads one process: its memory by `smaps`, its descriptors by their links, its sockets by the kernel's tables.
//!
//! Everything lies below one open directory, which answers for that process alone: a pid that was given to another
//! meanwhile does not.

use super::{
    Time,
    descriptors::{self, Link},
    lines,
    smaps::{self, Smaps},
    sockets::{self, Sockets},
};
use crate::{
    collect::{
        count,
        process::parse::{self, Status},
    },
    config::Attribution,
    sample::{Anatomy, Batch, Identity, Measure, Part},
};
use rustix::{
    fs::{Mode, OFlags, RawDir},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    mem::MaybeUninit,
    ops::ControlFlow,
    os::fd::OwnedFd,
    path::Path,
};

/// `stat` and `status` are two kilobytes at most.
const SMALL_FILE_BYTES_MAX: u64 = 16 * 1024;
/// 65,530 mappings, which is what a process may have unless the machine is told otherwise, of 700 bytes each.
const SMAPS_BYTES_MAX: u64 = 64 << 20;
/// About 100,000 sockets; what is behind that is not told apart.
const TABLE_BYTES_MAX: u64 = 16 << 20;
/// Descriptors that are not looked at are counted up to here.
const DESCRIPTORS_COUNTED_MAX: u64 = 65_536;
/// One page of directory entries at a time.
const DIRECTORY_BUFFER_BYTES: usize = 8 * 1024;

/// How sure it is of a descriptor that a link or a table names.
const NAMED: f64 = 1.0;
/// And of a socket that is named after the port of its peer.
const BY_PORT: f64 = 0.8;

/// How deep a process is read, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// All of it.
    Full,
    /// Only the kernel's own sums.
    Sums,
    /// These too, because the time was over.
    TookTooLong,
}

/// Reads processes into a batch.
pub(super) struct Reader<'a> {
    pub(super) procfs: &'a Path,
    pub(super) settings: &'a Attribution,
    pub(super) time: &'a Time<'a>,
    pub(super) batch: &'a mut Batch,
}

/// The directory of a process.
struct Process(OwnedFd);

/// Descriptors by their kind.
type Kinds = BTreeMap<&'static str, u64>;

impl Reader<'_> {
    /// Reads a process; none if it is gone.
    pub(super) fn read(&mut self, identity: Identity, wanted: Depth) -> Option<Depth> {
        let process = Process::open(self.procfs, identity.pid)?;
        let stat = process.text("stat")?;
        if parse::start_ticks(&stat) != Some(identity.start_ticks) {
            return None;
        }
        let (depth, mut parts) = self.memory(&process, parse::stack_start(&stat).unwrap_or(0), wanted)?;
        self.descriptors(&process, &mut parts);
        self.batch.anatomies.push(Anatomy { identity, is_full: depth == Depth::Full, parts });
        Some(depth)
    }

    /// The parts of its memory, which add up to what is resident and swapped out.
    fn memory(&mut self, process: &Process, stack_start: u64, wanted: Depth) -> Option<(Depth, Vec<Part>)> {
        let status = process.status()?;
        let is_large = in_memory(&status) > self.settings.largest_bytes;
        self.batch.unread.large += u64::from(is_large);
        if is_large || wanted != Depth::Full {
            return Some((Depth::Sums, sums(&status)));
        }
        let mut mappings = Smaps::new(stack_start);
        match self.mappings(process, &mut mappings) {
            Ok(true) => {}
            Ok(false) => {
                self.batch.unread.turns += 1;
                return Some((Depth::TookTooLong, sums(&status)));
            }
            Err(error) => {
                self.failed(&error)?;
                return Some((Depth::Sums, sums(&status)));
            }
        }
        // Read behind the mappings, since it is these that take a while.
        let total_bytes = in_memory(&process.status()?);
        let parts = mappings.finish(self.settings.modules, total_bytes);
        let part = |(name, bytes, confidence): smaps::Sized| part(&name, Measure::Memory, bytes, confidence);
        Some((Depth::Full, parts.into_iter().map(part).collect()))
    }

    /// Adds up its mappings; false if there was no time to.
    fn mappings(&self, process: &Process, into: &mut Smaps) -> io::Result<bool> {
        let file = process.open_file("smaps")?;
        let goes_on = |bytes| bytes < SMAPS_BYTES_MAX && !self.time.is_over();
        lines::for_each(file, goes_on, |line| {
            into.line(line);
            ControlFlow::Continue(())
        })
    }

    /// Adds its descriptors by their kind, and what waits in its sockets.
    fn descriptors(&mut self, process: &Process, parts: &mut Vec<Part>) {
        let (mut kinds, mut sockets) = (Kinds::new(), Sockets::default());
        if let Err(error) = self.links(process, &mut kinds, &mut sockets) {
            let _vanished = self.failed(&error);
            return;
        }
        let is_complete = self.peers(process, &mut sockets);
        let rest = if is_complete { sockets::OTHER } else { descriptors::UNREAD };
        *kinds.entry(rest).or_default() += u64::try_from(sockets.wanted.len()).unwrap_or(u64::MAX);
        self.batch.unread.descriptors += kinds.get(descriptors::UNREAD).copied().unwrap_or(0);
        kinds.retain(|_, descriptors| *descriptors > 0);
        let named = kinds.into_iter().map(|(kind, descriptors)| {
            let confidence = if kind == descriptors::UNREAD { 0.0 } else { NAMED };
            part(kind, Measure::Descriptors, descriptors, confidence)
        });
        parts.extend(named);
        for (sort, (number, waiting_bytes)) in sockets.found {
            let confidence = if sockets::is_by_port(sort) { BY_PORT } else { NAMED };
            parts.push(part(sort, Measure::Descriptors, number, confidence));
            if sockets::has_buffers(sort) {
                parts.push(part(sort, Measure::SocketBuffers, waiting_bytes, confidence));
            }
        }
    }

    /// Looks at the links of its descriptors, as many as may be.
    fn links(&self, process: &Process, kinds: &mut Kinds, sockets: &mut Sockets) -> io::Result<()> {
        let directory = process.open_directory("fd")?;
        let mut buffer = [MaybeUninit::uninit(); DIRECTORY_BUFFER_BYTES];
        let mut entries = RawDir::new(&directory, &mut buffer);
        let mut target = Vec::with_capacity(256);
        let mut seen = 0u64;
        let most = u64::try_from(self.settings.descriptors).unwrap_or(u64::MAX);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if !entry.file_name().to_bytes().iter().all(u8::is_ascii_digit) {
                continue;
            }
            seen += 1;
            if seen > most {
                *kinds.entry(descriptors::UNREAD).or_default() += 1;
                if seen >= DESCRIPTORS_COUNTED_MAX {
                    break;
                }
                continue;
            }
            // One that was closed meanwhile is none.
            let Ok(link) = rustix::fs::readlinkat(&directory, entry.file_name(), target) else {
                target = Vec::new();
                continue;
            };
            match descriptors::link(link.as_bytes()) {
                Link::Socket(inode) => drop(sockets.wanted.insert(inode)),
                Link::Kind(kind) => *kinds.entry(kind).or_default() += 1,
            }
            target = link.into_bytes();
        }
        Ok(())
    }

    /// Looks its sockets up in the kernel's tables. Says whether these were read to their ends.
    fn peers(&self, process: &Process, sockets: &mut Sockets) -> bool {
        let goes_on = |bytes| bytes < TABLE_BYTES_MAX && !self.time.is_over();
        sockets::TABLES.into_iter().all(|(file, table)| {
            if sockets.wanted.is_empty() {
                return true;
            }
            // A machine without IPv6 has no table of it.
            let Ok(file) = process.open_file(file) else { return true };
            let read = lines::for_each(file, goes_on, |line| {
                sockets.line(line, table);
                if sockets.wanted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            read.unwrap_or(false)
        })
    }

    /// Counts a read that failed; none if the process is gone.
    fn failed(&mut self, error: &io::Error) -> Option<()> {
        let gone =
            [io::Error::from(Errno::SRCH).raw_os_error(), io::Error::from(Errno::NOENT).raw_os_error()];
        match error.kind() {
            _ if gone.contains(&error.raw_os_error()) => return None,
            io::ErrorKind::PermissionDenied => self.batch.errors.permission += 1,
            _ => self.batch.errors.read += 1,
        }
        Some(())
    }
}

impl Process {
    fn open(procfs: &Path, pid: u32) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(procfs.join(itoa::Buffer::new().format(pid)), flags, Mode::empty()).ok().map(Self)
    }

    fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    fn open_directory(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?)
    }

    fn text(&self, name: &str) -> Option<String> {
        let mut bytes = Vec::new();
        self.open_file(name).ok()?.take(SMALL_FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn status(&self) -> Option<Status> {
        parse::status(&self.text("status")?)
    }
}

/// What a process has in memory and in swap.
fn in_memory(status: &Status) -> u64 {
    status.resident.saturating_add(status.swapped)
}

/// What the kernel's own sums tell: pages of files and shared memory. All else is unknown.
fn sums(status: &Status) -> Vec<Part> {
    let known = status.file.saturating_add(status.shared_memory);
    [
        (smaps::MAPPED_FILES, status.file, NAMED),
        (smaps::SHARED_MEMORY, status.shared_memory, NAMED),
        (smaps::UNKNOWN, in_memory(status).saturating_sub(known), 0.0),
    ]
    .map(|(name, bytes, confidence)| part(name, Measure::Memory, bytes, confidence))
    .into()
}

fn part(name: &str, measure: Measure, size: u64, confidence: f64) -> Part {
    Part { name: name.into(), measure, size: count(size), confidence }
}
