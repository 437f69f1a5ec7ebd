//! The files of one memory group: how they are opened, kept and read.

use super::{
    hierarchy::Hierarchy,
    parse::{self, Stat},
    walk,
};
use crate::{
    collect::{count, process},
    sample::{Counter, Counts, Errors, Seconds},
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// Larger files are cut here: a statistic has two to four kilobytes.
const MOST_BYTES: usize = 32 * 1024;
/// So much is read at a time; the kernel gives what fits at once.
const STEP_BYTES: usize = 8 * 1024;
/// So many of a group's processes are asked when they started.
const MOST_ASKED: usize = 16;

/// The kept file of one group, and where the others are.
pub(super) struct Files {
    directory: PathBuf,
    keeps_open: bool,
    stat: Option<File>,
}

impl Files {
    pub(super) fn new(directory: PathBuf, keeps_open: bool) -> Self {
        Self { directory, keeps_open, stat: None }
    }
}

/// Reads the files of any group, with one buffer for all of them.
pub(super) struct Reader {
    is_legacy: bool,
    buffer: Vec<u8>,
}

/// What only the full reading tells, each where the kernel knows it.
#[derive(Default)]
pub(super) struct Full {
    pub(super) usage: Option<u64>,
    pub(super) peak: Option<u64>,
    pub(super) swap: Option<u64>,
    pub(super) kernel: Option<u64>,
    pub(super) sock: Option<u64>,
    pub(super) counts: Counts,
}

impl Reader {
    pub(super) fn new(hierarchy: &Hierarchy) -> Self {
        Self {
            is_legacy: matches!(hierarchy, Hierarchy::Legacy { .. }),
            buffer: Vec::with_capacity(STEP_BYTES),
        }
    }

    /// What is read at every tick; none where it makes no sense.
    ///
    /// # Errors
    /// The file cannot be read, for one because the group is gone.
    pub(super) fn stat(&mut self, files: &mut Files) -> io::Result<Option<Stat>> {
        match &files.stat {
            Some(file) => read_from_start(file, &mut self.buffer)?,
            None => {
                let file = File::open(files.directory.join("memory.stat"))?;
                read_from_start(&file, &mut self.buffer)?;
                files.stat = files.keeps_open.then_some(file);
            }
        }
        let text = str::from_utf8(&self.buffer).unwrap_or_default();
        Ok(if self.is_legacy { parse::legacy_stat(text) } else { parse::unified_stat(text) })
    }

    /// What is read once a minute. A file that the kernel does not have is no error: older ones have fewer.
    pub(super) fn full(&mut self, files: &Files, errors: &mut Errors) -> Full {
        let mut counts = Counts::default();
        let is_legacy = self.is_legacy;
        let mut number = |file: &str| self.text(files, file, errors).and_then(parse::number);
        if is_legacy {
            let usage = number("memory.usage_in_bytes");
            let peak = number("memory.max_usage_in_bytes");
            let kernel = number("memory.kmem.usage_in_bytes");
            let sock = number("memory.kmem.tcp.usage_in_bytes");
            if let Some(failures) = number("memory.failcnt") {
                counts.set(Counter::LimitHits, count(failures));
            }
            if let Some(text) = self.text(files, "memory.oom_control", errors) {
                parse::legacy_oom_control(text, &mut counts);
            }
            return Full { usage, peak, swap: None, kernel, sock, counts };
        }
        let usage = number("memory.current");
        let peak = number("memory.peak");
        let swap = number("memory.swap.current");
        if let Some(text) = self.text(files, "memory.events", errors) {
            parse::unified_events(text, &mut counts);
        }
        if let Some(text) = self.text(files, "memory.pressure", errors) {
            parse::pressure(text, &mut counts);
        }
        Full { usage, peak, swap, kernel: None, sock: None, counts }
    }

    /// When the first of a group's processes started; none where it has none that can be seen.
    pub(super) fn started_at(
        &mut self,
        directory: &Path,
        procfs: &Path,
        booted_at: Seconds,
    ) -> Option<Seconds> {
        let file = File::open(directory.join("cgroup.procs")).ok()?;
        read_from_start(&file, &mut self.buffer).ok()?;
        let pids = str::from_utf8(&self.buffer).ok()?.lines().filter_map(|line| line.parse::<u32>().ok());
        let started = pids.take(MOST_ASKED).filter_map(|pid| {
            let stat = fs::read_to_string(procfs.join(format!("{pid}/stat"))).ok()?;
            process::parse::start_ticks(&stat)
        });
        let hertz = count(rustix::param::clock_ticks_per_second());
        started.min().map(|ticks| booted_at + count(ticks) / hertz)
    }

    fn text(&mut self, files: &Files, file: &str, errors: &mut Errors) -> Option<&str> {
        let read =
            File::open(files.directory.join(file)).and_then(|file| read_from_start(&file, &mut self.buffer));
        match read {
            Ok(()) => str::from_utf8(&self.buffer).ok(),
            // Pressure may be switched off, and says so only when it is read.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) => None,
            Err(error) => {
                walk::note(&error, errors);
                None
            }
        }
    }
}

/// Reads a file from its start, up to [`MOST_BYTES`].
fn read_from_start(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut filled = 0;
    while filled < MOST_BYTES {
        buffer.resize(filled + STEP_BYTES, 0);
        let free = buffer.get_mut(filled..).unwrap_or_default();
        let read = file.read_at(free, u64::try_from(filled).unwrap_or(u64::MAX))?;
        filled += read;
        if read < STEP_BYTES {
            break;
        }
    }
    buffer.truncate(filled);
    Ok(())
}
