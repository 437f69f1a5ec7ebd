//! The heaps of JVMs, by the counters that every `HotSpot` JVM keeps for others in a file: nothing is started in it and
//! nothing asked of it.
//!
//! It has no targets of its own: what it reads is put beside what the process collector sees of the same process. It has
//! a thread of its own, since the file lies in the process's own `/tmp`, which may be a file system that hangs. The file is
//! opened anew each time, or a container that ends could not give its file systems back.
//!
//! What was left after a collection of the old generation is not in the file, so the reading that follows one is kept
//! until the next one.

mod perfdata;

use self::perfdata::{Jvm, Unreadable};
use super::{CollectError, Collector, Request, count, paths::Paths, process::parse};
use crate::sample::{
    Area, Batch, Beside, Counter, Counts, Identity, Limit, LimitSource, Sample, Seconds, Unit,
};
use rustix::{
    fs::{FileType, Mode, OFlags, RawDir, Stat},
    io::Errno,
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

/// The name of this collector.
pub const NAME: &str = "jvm";
/// What the process collector calls the runtime of a process that is read here.
pub const RUNTIME: &str = "jvm";

/// Files are 32 KiB long unless a flag of the JVM says otherwise.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// `stat` and `status` are two kilobytes at most.
const SMALL_FILE_BYTES_MAX: u64 = 16 * 1024;
/// What the directories begin with in which the files lie; the name of the user follows.
const DIRECTORY: &[u8] = b"hsperfdata_";
/// So many entries of a `/tmp` are looked at for them.
const ENTRIES_MAX: usize = 10_000;
/// And so many of such directories.
const DIRECTORIES_MAX: usize = 64;
/// One page of directory entries at a time.
const DIRECTORY_BUFFER_BYTES: usize = 8 * 1024;
/// Where there is no file, or none that can be read, it is looked for again after this.
const PAUSE_SECS: f64 = 60.0;
/// Time for one reading of all; whoever is left is first at the next.
const MOST_TIME: Duration = Duration::from_millis(50);

/// Samples JVMs.
pub struct JvmCollector {
    procfs: PathBuf,
    page_bytes: f64,
    known: HashMap<Identity, Known>,
    /// Who was the last of the reading before.
    last: Option<Identity>,
    areas: Areas,
}

/// What is known of a JVM.
#[derive(Default)]
struct Known {
    /// The directory of its file and the name of the file.
    place: Option<(Vec<u8>, String)>,
    again_at: Seconds,
    old_collections: Option<f64>,
    heap_after_gc: Option<f64>,
}

/// The areas of a JVM, made once.
struct Areas {
    heap: Area,
    heap_committed: Area,
    heap_after_gc: Area,
    external: Area,
    metaspace: Area,
    classes: Area,
}

/// Why a JVM was not read.
enum Missed {
    /// It is gone, or tells nothing yet.
    Nothing,
    /// It has no file that is its own.
    NoFile,
    /// We may not look.
    Permission,
    /// What is there makes no sense.
    Garbled,
}

impl Collector for JvmCollector {
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
        let mut batch = Batch::new(request.at);
        let began = request.stopwatch.elapsed();
        self.known.retain(|identity, _| request.jvms.binary_search(identity).is_ok());
        let first = request.jvms.partition_point(|jvm| self.last.is_some_and(|last| *jvm <= last));
        let (before, behind) = request.jvms.split_at(first);
        for identity in behind.iter().chain(before) {
            self.visit(*identity, &mut batch);
            self.last = Some(*identity);
            if request.stopwatch.elapsed().saturating_sub(began) > MOST_TIME {
                break;
            }
        }
        Ok(batch)
    }
}

impl JvmCollector {
    /// A collector that finds processes below these trees.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        Self {
            procfs: paths.procfs.clone(),
            page_bytes: count(u64::try_from(rustix::param::page_size()).unwrap_or(4096)),
            known: HashMap::new(),
            last: None,
            areas: Areas::new(),
        }
    }

    fn visit(&mut self, identity: Identity, batch: &mut Batch) {
        let mut known = self.known.remove(&identity).unwrap_or_default();
        if batch.at >= known.again_at {
            let pause = batch.at + PAUSE_SECS;
            match self.read(identity, &mut known) {
                Ok(beside) => batch.beside.push(beside),
                Err(Missed::Nothing) => {}
                Err(Missed::NoFile) => known.again_at = pause,
                Err(Missed::Permission) => {
                    known.again_at = pause;
                    batch.errors.permission += 1;
                }
                Err(Missed::Garbled) => {
                    known.again_at = pause;
                    batch.errors.read += 1;
                }
            }
        }
        self.known.insert(identity, known);
    }

    fn read(&self, identity: Identity, known: &mut Known) -> Result<Beside, Missed> {
        let process = self.procfs.join(itoa::Buffer::new().format(identity.pid));
        // It answers for this process alone, whoever gets its pid.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let process = rustix::fs::open(process, flags, Mode::empty()).map_err(missed)?;
        if parse::start_ticks(&text(&process, "stat")?) != Some(identity.start_ticks) {
            return Err(Missed::Nothing);
        }
        let resident = parse::statm(text(&process, "statm")?.as_bytes()).ok_or(Missed::Nothing)?.resident;
        let tmp = tmp_of(&process)?;
        if known.place.is_none() {
            known.place = find(&process, &tmp)?;
        }
        let Some((directory, file)) = &known.place else { return Err(Missed::NoFile) };
        let read = open(&tmp, directory, file, &owner(&process)?).and_then(content);
        let bytes = read.inspect_err(|_missed| known.place = None)?;
        let jvm = perfdata::parse(&bytes).map_err(|reason| match reason {
            Unreadable::NotYet => Missed::Nothing,
            Unreadable::NoPerfData => Missed::Garbled,
        })?;
        known.note(&jvm);
        let samples = self.areas.samples(&jvm, known.heap_after_gc, count(resident) * self.page_bytes);
        Ok(Beside { identity, samples, counts: counts(&jvm) })
    }
}

impl Known {
    /// The first reading after a collection of the old generation tells what it has left.
    fn note(&mut self, jvm: &Jvm) {
        let before = std::mem::replace(&mut self.old_collections, jvm.old_collections);
        if before.zip(jvm.old_collections).is_some_and(|(before, now)| now > before) {
            self.heap_after_gc = Some(jvm.old);
        }
    }
}

impl Areas {
    fn new() -> Self {
        let bytes = |name: &str| Area::new(name, Unit::Bytes);
        Self {
            heap: bytes("heap"),
            heap_committed: bytes("heap_committed"),
            heap_after_gc: bytes("heap_after_gc"),
            external: bytes("external"),
            metaspace: bytes("metaspace"),
            classes: Area::new("classes", Unit::Objects),
        }
    }

    fn samples(&self, jvm: &Jvm, heap_after_gc: Option<f64>, resident: f64) -> Vec<Sample> {
        let limited =
            |used: f64| jvm.heap_max.map(|value| Limit { value, used, source: LimitSource::Runtime });
        let external = (resident - jvm.heap_committed).max(0.0);
        let told = [
            Some((&self.heap, jvm.heap, limited(jvm.heap))),
            Some((&self.heap_committed, jvm.heap_committed, None)),
            heap_after_gc.map(|size| (&self.heap_after_gc, size, limited(size))),
            Some((&self.external, external, None)),
            jvm.metaspace.map(|size| (&self.metaspace, size, None)),
            jvm.classes.map(|size| (&self.classes, size, None)),
        ];
        let mut samples: Vec<Sample> = told
            .into_iter()
            .flatten()
            .map(|(area, size, limit)| Sample { area: area.clone(), size, limit })
            .collect();
        let pool = |(name, size): &(&str, f64)| Sample {
            area: Area::new(name, Unit::Bytes),
            size: *size,
            limit: None,
        };
        samples.extend(jvm.pools.iter().map(pool));
        samples
    }
}

fn counts(jvm: &Jvm) -> Counts {
    let told = [
        (Counter::YoungCollections, jvm.young_collections),
        (Counter::OldCollections, jvm.old_collections),
        (Counter::CollectionSecs, jvm.collection_secs),
    ];
    let mut counts = Counts::default();
    for (counter, value) in told {
        if let Some(value) = value {
            counts.set(counter, value);
        }
    }
    counts
}

/// The `/tmp` that a process sees. Behind its root nothing leads anywhere else: no link is followed.
fn tmp_of(process: &OwnedFd) -> Result<OwnedFd, Missed> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(process, "root", flags, Mode::empty()).map_err(missed)?;
    directory(&root, b"tmp")
}

fn directory(at: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Missed> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty()).map_err(missed)
}

/// Where the file of a process is: under the id that the process itself has, in a directory that is named after its user.
fn find(process: &OwnedFd, tmp: &OwnedFd) -> Result<Option<(Vec<u8>, String)>, Missed> {
    let status = text(process, "status")?;
    let Some(file) = own_pid(&status) else { return Ok(None) };
    let owner = owner(process)?;
    let mut buffer = [MaybeUninit::uninit(); DIRECTORY_BUFFER_BYTES];
    let mut entries = RawDir::new(tmp, &mut buffer);
    let mut may_not = false;
    let (mut seen, mut tried) = (0, 0);
    while let Some(Ok(entry)) = entries.next() {
        seen += 1;
        let name = entry.file_name().to_bytes();
        if !name.starts_with(DIRECTORY) {
            if seen >= ENTRIES_MAX { break } else { continue }
        }
        tried += 1;
        match open(tmp, name, &file, &owner) {
            Ok(_file) => return Ok(Some((name.to_vec(), file))),
            Err(missed) => may_not |= matches!(missed, Missed::Permission),
        }
        if tried >= DIRECTORIES_MAX {
            break;
        }
    }
    if may_not { Err(Missed::Permission) } else { Ok(None) }
}

/// The id of a process in its own namespace, which is the last of those that it has.
fn own_pid(status: &str) -> Option<String> {
    let ids =
        status.lines().find_map(|line| line.strip_prefix("NSpid:").or_else(|| line.strip_prefix("Pid:")));
    let spaces = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let id: u32 = spaces.or(ids)?.split_ascii_whitespace().next_back()?.parse().ok()?;
    Some(id.to_string())
}

/// Who a process is.
fn owner(process: &OwnedFd) -> Result<Stat, Missed> {
    rustix::fs::fstat(process).map_err(missed)
}

/// Opens a file if it is one, and the process's own: anybody may put files into a `/tmp`, and pipes as well.
fn open(tmp: &OwnedFd, name: &[u8], file: &str, owner: &Stat) -> Result<File, Missed> {
    let within = directory(tmp, name)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&within, file, flags, Mode::empty()).map_err(missed)?;
    let found = rustix::fs::fstat(file.as_fd()).map_err(missed)?;
    let is_own = FileType::from_raw_mode(found.st_mode).is_file() && found.st_uid == owner.st_uid;
    if is_own { Ok(file.into()) } else { Err(Missed::NoFile) }
}

fn content(file: File) -> Result<Vec<u8>, Missed> {
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// A small file of a process as text.
fn text(process: &OwnedFd, name: &str) -> Result<String, Missed> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file: File = rustix::fs::openat(process, name, flags, Mode::empty()).map_err(missed)?.into();
    let mut bytes = Vec::new();
    file.take(SMALL_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn failed(error: &io::Error) -> Missed {
    error.raw_os_error().map_or(Missed::Garbled, |code| missed(Errno::from_raw_os_error(code)))
}

fn missed(error: Errno) -> Missed {
    match error {
        Errno::ACCESS | Errno::PERM => Missed::Permission,
        Errno::SRCH => Missed::Nothing,
        // Files that are not there, and what is something else than it should be.
        _ => Missed::NoFile,
    }
}

#[cfg(test)]
mod tests;
