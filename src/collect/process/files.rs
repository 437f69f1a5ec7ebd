//! The files of one process below procfs: how they are opened, kept and read.
//!
//! Every read has three outcomes: data, absent (the process is gone), failed.

use super::{
    naming::Description,
    parse::{self, ResourceLimits, Statm, Status},
};
use crate::{
    collect::{
        CollectError,
        cgroup::{hierarchy::Place, namespace::Namespace},
        descriptors, host,
        names::{pod_uid, unit_and_container},
    },
    sample::{Errors, Seconds},
};
use rustix::{
    fs::{Dir, Mode, OFlags, RawDir},
    io::Errno,
};
use std::{
    fs::File,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};

/// Larger files of one process are cut here; a command line may be megabytes long.
const MAX_FILE_BYTES: usize = 32 * 1024;
/// Where descriptors must be counted one by one the count ends here: it is a leak by then, and costs a millisecond.
const MOST_COUNTED_DESCRIPTORS: u64 = 65_536;
/// One page of directory entries at a time.
const DIRECTORY_BUFFER_BYTES: usize = 8 * 1024;

/// What came of a read.
pub(super) enum Outcome<T> {
    /// It worked.
    Data(T),
    /// There is nobody (any more).
    Absent,
    /// It failed, or made no sense.
    Failed,
}

/// The tree, with what is shared by all reads: one buffer, the budget of open files, and constants of the machine.
pub(super) struct Procfs {
    root: PathBuf,
    /// Whether the root is the kernel's own tree; in a copy sizes of directories mean something else.
    is_real: bool,
    buffer: Vec<u8>,
    page_bytes: f64,
    ticks_per_second: f64,
    booted_at: Option<Seconds>,
    own_container: String,
    namespace: Namespace,
    open_files: u64,
    max_open_files: u64,
}

/// The kept files of one process.
pub(super) struct ProcessFiles {
    pid: u32,
    statm: Option<File>,
}

/// What is read on first sight.
pub(super) struct Identified {
    pub(super) description: Description,
    pub(super) start_ticks: u64,
    pub(super) comm: String,
    /// Tells one program from another: executable and arguments.
    pub(super) program: u64,
    pub(super) peak_bytes: u64,
    pub(super) place: Place,
    pub(super) resource_limits: ResourceLimits,
}

impl Procfs {
    pub(super) fn new(root: &Path, namespace: Namespace) -> Self {
        let own = std::fs::read_to_string(root.join("self/cgroup")).unwrap_or_default();
        let (_, own_container) = unit_and_container(Place::parse(&own).naming_path());
        Self {
            root: root.to_owned(),
            is_real: is_procfs(root),
            buffer: Vec::with_capacity(4096),
            page_bytes: f64::from(u32::try_from(rustix::param::page_size()).unwrap_or(4096)),
            ticks_per_second: f64::from(
                u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100),
            ),
            booted_at: None,
            own_container,
            namespace,
            open_files: 0,
            max_open_files: descriptors::most_kept(descriptors::OF_PROCESSES),
        }
    }

    pub(super) fn page_bytes(&self) -> f64 {
        self.page_bytes
    }

    pub(super) fn set_open_files(&mut self, count: usize) {
        self.open_files = u64::try_from(count).unwrap_or(u64::MAX);
    }

    /// Begins a tick at `at`: finds out when the machine booted on the clock of the ticks, from its uptime. The kernel's
    /// own `btime` is on the wall clock, which steps.
    pub(super) fn begin(&mut self, at: Seconds) {
        self.booted_at = host::uptime_secs(&self.root).map(|uptime_secs| at - uptime_secs);
    }

    /// When a process started; long ago where the machine's uptime is unknown.
    #[expect(clippy::cast_precision_loss, reason = "2^53 clock ticks are three million years")]
    pub(super) fn started_at(&self, start_ticks: u64) -> Seconds {
        self.booted_at.map_or(0.0, |booted_at| booted_at + start_ticks as f64 / self.ticks_per_second)
    }

    /// All process ids.
    pub(super) fn pids(&self) -> Result<Vec<u32>, CollectError> {
        let failed = |source: Errno| CollectError::Read {
            path: self.root.display().to_string(),
            source: source.into(),
        };
        let directory = open_directory(&self.root).map_err(failed)?;
        let mut buffer = [MaybeUninit::uninit(); DIRECTORY_BUFFER_BYTES];
        let mut entries = RawDir::new(directory, &mut buffer);
        let mut pids = Vec::with_capacity(256);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().to_str()
                && let Ok(pid) = name.parse()
            {
                pids.push(pid);
            }
        }
        Ok(pids)
    }

    /// Opens what is kept open, while the budget of descriptors lasts.
    pub(super) fn open(&mut self, pid: u32) -> Outcome<ProcessFiles> {
        if self.open_files >= self.max_open_files {
            return Outcome::Data(ProcessFiles { pid, statm: None });
        }
        match File::open(self.path(pid, "statm")) {
            Ok(file) => {
                self.open_files += 1;
                Outcome::Data(ProcessFiles { pid, statm: Some(file) })
            }
            Err(error) => outcome(&error),
        }
    }

    fn path(&self, pid: u32, file: &str) -> PathBuf {
        use std::fmt::Write as _;
        let root = self.root.as_os_str();
        let mut path = String::with_capacity(root.len() + file.len() + 12);
        path.push_str(&root.to_string_lossy());
        let _infallible = write!(path, "/{pid}/{file}");
        path.into()
    }

    /// Reads a small file into the shared buffer.
    fn read(&mut self, pid: u32, file: &str) -> Outcome<&[u8]> {
        let opened = match File::open(self.path(pid, file)) {
            Ok(opened) => opened,
            Err(error) => return outcome(&error),
        };
        match read_from_start(&opened, &mut self.buffer) {
            Ok(()) => Outcome::Data(&self.buffer),
            Err(error) => outcome(&error),
        }
    }

    /// A small file as text; none if it cannot be read.
    fn text(&self, pid: u32, file: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        read_from_start(&File::open(self.path(pid, file))?, &mut bytes)?;
        Ok(bytes)
    }
}

impl ProcessFiles {
    pub(super) fn keeps_open(&self) -> bool {
        self.statm.is_some()
    }

    /// The sizes in pages.
    pub(super) fn statm(&self, procfs: &mut Procfs) -> Outcome<Statm> {
        let bytes = match &self.statm {
            Some(file) => match read_short(file, &mut procfs.buffer) {
                Ok(()) => procfs.buffer.as_slice(),
                Err(error) => return outcome(&error),
            },
            None => match procfs.read(self.pid, "statm") {
                Outcome::Data(bytes) => bytes,
                Outcome::Absent => return Outcome::Absent,
                Outcome::Failed => return Outcome::Failed,
            },
        };
        // An empty answer is what the kernel gives for a process that is just ending.
        if bytes.is_empty() {
            return Outcome::Absent;
        }
        parse::statm(bytes).map_or(Outcome::Failed, Outcome::Data)
    }

    /// The exact split.
    pub(super) fn status(&self, procfs: &mut Procfs) -> Outcome<Status> {
        match procfs.read(self.pid, "status") {
            Outcome::Data(bytes) => {
                parse::status(&String::from_utf8_lossy(bytes)).map_or(Outcome::Absent, Outcome::Data)
            }
            Outcome::Absent => Outcome::Absent,
            Outcome::Failed => Outcome::Failed,
        }
    }

    /// The processor time in seconds that the process has used; none where the pid is somebody else's by now.
    #[expect(clippy::cast_precision_loss, reason = "2^53 clock ticks are three million years")]
    pub(super) fn cpu_secs(&self, procfs: &mut Procfs, start_ticks: u64) -> Option<f64> {
        let Outcome::Data(stat) = procfs.read(self.pid, "stat") else { return None };
        let stat = String::from_utf8_lossy(stat);
        let is_still = parse::start_ticks(&stat) == Some(start_ticks);
        let ticks = parse::cpu_ticks(&stat).filter(|_| is_still)?;
        Some(ticks as f64 / procfs.ticks_per_second)
    }

    /// How many descriptors are open; none where the kernel does not let us see.
    ///
    /// Since Linux 6.2 the size of the directory is that number, for whoever asks; before, and for none, they are counted,
    /// which needs the permission to look into the process.
    pub(super) fn descriptors(&self, procfs: &mut Procfs, errors: &mut Errors) -> Option<u64> {
        let path = procfs.path(self.pid, "fd");
        let counted = match rustix::fs::stat(&path).map(|found| u64::try_from(found.st_size)) {
            Ok(Ok(size)) if size > 0 && procfs.is_real => Ok(size),
            Ok(_) => open_directory(&path).and_then(|directory| count_entries(&directory)),
            Err(error) => Err(error),
        };
        match counted {
            Ok(count) => Some(count),
            Err(Errno::ACCESS | Errno::PERM) => {
                errors.permission += 1;
                None
            }
            Err(_vanished) => None,
        }
    }

    /// Everything by which the process gets its name and limits; none if it vanished meanwhile.
    pub(super) fn identify(&self, procfs: &Procfs, errors: &mut Errors) -> Option<Identified> {
        let stat = procfs.text(self.pid, "stat").ok()?;
        let start_ticks = parse::start_ticks(&String::from_utf8_lossy(&stat))?;
        let status = procfs.text(self.pid, "status").ok()?;
        let status = parse::status(&String::from_utf8_lossy(&status))?;
        let comm = status.name;
        let arguments = parse::arguments(&procfs.text(self.pid, "cmdline").unwrap_or_default());
        let (place, resource_limits) = self.locate(procfs)?;
        let (unit, container) = unit_and_container(place.naming_path());
        let container = if container == procfs.own_container { String::new() } else { container };
        let executable = self.executable(procfs, errors).unwrap_or_else(|| without_link(&comm, &arguments));
        let pod_uid = pod_uid(place.naming_path());
        let description = Description { pid: self.pid, executable, arguments, unit, container, pod_uid };
        let program = fingerprint(&description);
        let peak_bytes = status.peak_resident;
        Some(Identified { description, start_ticks, comm, program, peak_bytes, place, resource_limits })
    }

    /// The process's place in the control groups and its resource limits; none if it vanished.
    pub(super) fn locate(&self, procfs: &Procfs) -> Option<(Place, ResourceLimits)> {
        let place = procfs.text(self.pid, "cgroup").ok()?;
        let limits = procfs.text(self.pid, "limits").unwrap_or_default();
        Some((
            procfs.namespace.resolve(Place::parse(&String::from_utf8_lossy(&place))),
            parse::resource_limits(&String::from_utf8_lossy(&limits)),
        ))
    }

    /// The base name of the executable, which other users' processes hide from us.
    fn executable(&self, procfs: &Procfs, errors: &mut Errors) -> Option<String> {
        let link = match std::fs::read_link(procfs.path(self.pid, "exe")) {
            Ok(link) => link,
            Err(error) => {
                errors.permission += u64::from(error.kind() == io::ErrorKind::PermissionDenied);
                return None;
            }
        };
        let name = link.file_name()?.to_string_lossy();
        Some(name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned())
    }
}

/// A number that differs between programs, with the arguments they were given.
fn fingerprint(description: &Description) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    (&description.executable, &description.arguments).hash(&mut hasher);
    hasher.finish()
}

/// The executable's name where its link cannot be read: the kernel's name for it, in full where the first argument
/// tells what was cut off after fifteen bytes.
fn without_link(comm: &str, arguments: &[String]) -> String {
    let first = arguments.first().map(|first| first.rsplit('/').next().unwrap_or(first));
    match first {
        Some(first) if comm.len() >= 15 && first.starts_with(comm) => first.to_owned(),
        _ => comm.to_owned(),
    }
}

/// Reads a kept file again: one system call, since the answer is far shorter than the buffer.
fn read_short(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    const STATM_BYTES: usize = 192;
    buffer.resize(STATM_BYTES, 0);
    let read = file.read_at(buffer, 0)?;
    buffer.truncate(read);
    Ok(())
}

/// Reads a file from its start, up to [`MAX_FILE_BYTES`]; the kernel may give it in pieces.
fn read_from_start(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    const STEP_BYTES: usize = 4096;
    let mut filled = 0;
    while filled < MAX_FILE_BYTES {
        buffer.resize(filled + STEP_BYTES, 0);
        let free = buffer.get_mut(filled..).unwrap_or_default();
        let read = file.read_at(free, u64::try_from(filled).unwrap_or(u64::MAX))?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    buffer.truncate(filled);
    Ok(())
}

fn outcome<T>(error: &io::Error) -> Outcome<T> {
    let gone =
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error());
    if gone { Outcome::Absent } else { Outcome::Failed }
}

fn open_directory(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn is_procfs(root: &Path) -> bool {
    rustix::fs::statfs(root).is_ok_and(|found| found.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

fn count_entries(directory: &OwnedFd) -> Result<u64, Errno> {
    let mut count = 0u64;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            count += 1;
        }
        if count >= MOST_COUNTED_DESCRIPTORS {
            break;
        }
    }
    Ok(count)
}
