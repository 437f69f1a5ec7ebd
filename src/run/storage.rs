//! What was learned, kept in a directory, so that the next run goes on where this one was, `kill -9` included.
//!
//! The whole state is one file, written beside the old one and renamed over it, so that there is always one that is
//! whole. The tick encodes it; a thread of its own writes it, since a disk may take its time, and while it does nothing
//! else is begun. A file that cannot be used is moved aside and said once; a directory that cannot be used is an error
//! at the start, when a person looks on.

mod envelope;

use super::{
    clock::{Clock, Mark},
    watch::{Encoded, Remembered, Watch},
};
use crate::{export::own::Own, sample::Seconds};
use anyhow::{Context as _, anyhow};
use envelope::Flaw;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::Duration,
};

/// The state.
const STATE: &str = "state";
/// The next one while it is written.
const NEW: &str = "state.new";
/// The last one that could not be used.
const BROKEN: &str = "state.broken";
/// Held while an exporter uses the directory.
const LOCK: &str = "lock";
/// The state is saved this often, in seconds of the grid: a disk of a small machine may be an SD card.
const SAVE_EVERY_SECS: f64 = 60.0;
/// When an episode changed, sooner, but not sooner after the last save than this, in seconds of the grid.
const CHANGE_PAUSE_SECS: f64 = 5.0;
/// The file is never larger: some 27 000 areas at their largest, 2.4 KiB.
const MOST_BYTES: usize = 64 << 20;
/// No boot id is longer; the kernel's have 36 characters.
const MOST_BOOT_ID_BYTES: usize = 128;
/// The last save has this long.
const LAST_SAVE: Duration = Duration::from_secs(5);
/// Enough for a writer.
const STACK_BYTES: usize = 256 * 1024;

/// The directory with the state.
pub(super) struct Storage {
    directory: PathBuf,
    /// Which boot of the machine this is.
    boot: String,
    /// What an earlier run left, and when.
    found: Option<(Mark, Remembered)>,
    writer: Writer,
    /// When the state was taken that was handed to the writer last.
    taken_at: Option<Seconds>,
    has_news: bool,
    is_failing: bool,
    /// Given back by the kernel when the exporter ends, however it does.
    _lock: File,
}

/// The thread that writes.
struct Writer {
    jobs: SyncSender<Vec<u8>>,
    outcomes: Receiver<io::Result<()>>,
    under_way: Option<UnderWay>,
}

/// A save that was begun.
#[derive(Clone, Copy)]
struct UnderWay {
    /// When the state was taken, by the wall clock.
    taken_at_wall: Seconds,
    left_out: u32,
}

impl Storage {
    /// Takes the directory, made if there is none, and reads what an earlier run left in it.
    ///
    /// # Errors
    /// When the directory cannot be used, is in use, or its state cannot be read or moved aside; when nobody knows which
    /// boot this is.
    pub(super) fn open(directory: &Path, procfs: &Path) -> anyhow::Result<Self> {
        let boot = boot_id(procfs)?;
        let shown = directory.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(|| format!("--storage.path: cannot create the directory {shown}"))?;
        let lock = lock(directory)?;
        try_to_write(directory).with_context(|| {
            format!("--storage.path: cannot write into {shown}; name a directory of the exporter's own")
        })?;
        let found = match look_into(directory, &boot)? {
            Found::Nothing => {
                tracing::info!(directory = %shown, "no state yet; what is learned will be kept here");
                None
            }
            Found::State(mark, remembered) => Some((mark, *remembered)),
            Found::Flawed(flaw) => {
                set_aside(directory, &flaw)?;
                None
            }
        };
        let writer = Writer::start(directory).context("cannot start the thread that saves the state")?;
        let directory = directory.to_owned();
        Ok(Self {
            directory,
            boot,
            found,
            writer,
            taken_at: None,
            has_news: false,
            is_failing: false,
            _lock: lock,
        })
    }

    /// The clock of this run: the one of the earlier run, if it left a state.
    ///
    /// # Errors
    /// When a state from the future cannot be moved aside.
    pub(super) fn clock(&mut self) -> anyhow::Result<Clock> {
        let Some((mark, _)) = &self.found else { return Ok(Clock::start()) };
        if let Some(clock) = Clock::resume(*mark) {
            return Ok(clock);
        }
        self.found = None;
        set_aside(&self.directory, &Flaw::Future)?;
        Ok(Clock::start())
    }

    /// Gives the watch what the earlier run knew.
    pub(super) fn hand_over(&mut self, watch: &mut Watch) {
        let Some((_, remembered)) = self.found.take() else { return };
        let directory = self.directory.display();
        if remembered.unsound > 0 {
            tracing::warn!(
                %directory, areas = remembered.unsound,
                "the saved state holds areas that make no sense or lie in the future; they begin anew"
            );
        }
        tracing::info!(
            %directory,
            processes = remembered.member_count(),
            areas = remembered.area_count(),
            open_episodes = remembered.episode_count(),
            "going on from the saved state"
        );
        watch.resume(remembered);
    }

    /// Something happened that should not be lost for long.
    pub(super) fn note_news(&mut self) {
        self.has_news = true;
    }

    /// Saves the state if that is due and no save is under way.
    pub(super) fn tick(&mut self, watch: &Watch, clock: &Clock, own: &Own) {
        if let Ok(outcome) = self.writer.outcomes.try_recv() {
            self.settle(outcome, own);
        }
        let now = clock.now().steady;
        if self.writer.under_way.is_none()
            && is_due(self.taken_at.map(|at| now - at), self.has_news, watch.pace())
        {
            self.save(watch, clock, own);
        }
    }

    /// Saves the state a last time and waits for it.
    pub(super) fn finish(mut self, watch: &Watch, clock: &Clock, own: &Own) {
        self.wait(own);
        if self.writer.under_way.is_none() {
            self.save(watch, clock, own);
            self.wait(own);
        }
        if self.writer.under_way.is_some() {
            let directory = self.directory.display();
            tracing::warn!(%directory, "the last state was not written in time; the one before stays");
        }
    }

    fn wait(&mut self, own: &Own) {
        if self.writer.under_way.is_some()
            && let Ok(outcome) = self.writer.outcomes.recv_timeout(LAST_SAVE)
        {
            self.settle(outcome, own);
        }
    }

    fn save(&mut self, watch: &Watch, clock: &Clock, own: &Own) {
        let (mark, taken_at_wall) = (clock.mark(), clock.now().wall());
        self.taken_at = Some(mark.steady);
        self.has_news = false;
        let sealed = envelope::begin(&self.boot, mark).and_then(|file| {
            let Encoded { mut bytes, left_out } = watch.encode(file, MOST_BYTES)?;
            envelope::seal(&mut bytes);
            Ok((bytes, left_out))
        });
        let begun = sealed.map_err(io::Error::other).and_then(|(file, left_out)| {
            let ended = |_| io::Error::other("the thread that saves the state has ended");
            self.writer.jobs.try_send(file).map_err(ended)?;
            Ok(left_out)
        });
        match begun {
            Ok(left_out) => self.writer.under_way = Some(UnderWay { taken_at_wall, left_out }),
            Err(error) => self.settle(Err(error), own),
        }
    }

    /// Counts the outcome of a save and says it if it is news.
    fn settle(&mut self, outcome: io::Result<()>, own: &Own) {
        let save = self.writer.under_way.take();
        let directory = self.directory.display();
        match outcome {
            Ok(()) => {
                if let Some(UnderWay { taken_at_wall, left_out }) = save {
                    own.state_saved(taken_at_wall, left_out);
                }
                if self.is_failing {
                    tracing::info!(%directory, "the state is saved again");
                }
                self.is_failing = false;
            }
            Err(error) => {
                own.state_not_saved();
                if !self.is_failing {
                    tracing::warn!(
                        %directory, %error,
                        "cannot save the state; the one before stays, it is tried again every minute, and further failures \
                         are only counted"
                    );
                }
                self.is_failing = true;
            }
        }
    }
}

impl Writer {
    fn start(directory: &Path) -> io::Result<Self> {
        let (jobs, todo) = mpsc::sync_channel::<Vec<u8>>(1);
        let (done, outcomes) = mpsc::sync_channel(1);
        let directory = directory.to_owned();
        thread::Builder::new().name(String::from("storage")).stack_size(STACK_BYTES).spawn(move || {
            for file in todo {
                if done.send(replace(&directory, &file)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, outcomes, under_way: None })
    }
}

/// What lies in the directory.
enum Found {
    Nothing,
    State(Mark, Box<Remembered>),
    Flawed(Flaw),
}

/// Whether to save now, so many seconds after the last time.
fn is_due(since_secs: Option<f64>, has_news: bool, pace: f64) -> bool {
    let wait_secs = pace * if has_news { CHANGE_PAUSE_SECS } else { SAVE_EVERY_SECS };
    since_secs.is_none_or(|since_secs| since_secs >= wait_secs)
}

/// Which boot of the machine this is.
fn boot_id(procfs: &Path) -> anyhow::Result<String> {
    let path = procfs.join("sys/kernel/random/boot_id");
    let shown = path.display();
    let text = fs::read_to_string(&path).with_context(|| {
        format!("--storage.path: cannot read {shown}, which tells whether a saved state is of this boot")
    })?;
    let id = text.trim();
    if id.is_empty() || id.len() > MOST_BOOT_ID_BYTES {
        return Err(anyhow!(
            "--storage.path: {shown} holds no boot id, which tells whether a saved state is of this boot"
        ));
    }
    Ok(id.to_owned())
}

fn lock(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join(LOCK);
    let shown = path.display();
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("--storage.path: cannot open {shown}"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(anyhow!(
            "--storage.path: another memleak_exporter uses {}; end it, or name another directory",
            directory.display()
        )),
        Err(TryLockError::Error(error)) => {
            Err(anyhow::Error::new(error).context(format!("--storage.path: cannot lock {shown}")))
        }
    }
}

/// Finds out now, and not in a minute, whether files can be written.
fn try_to_write(directory: &Path) -> io::Result<()> {
    let path = directory.join(NEW);
    drop(create(&path)?);
    fs::remove_file(&path)
}

/// A new file for the exporter's eyes; one that was left half-written goes.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn look_into(directory: &Path, boot: &str) -> anyhow::Result<Found> {
    let path = directory.join(STATE);
    let shown = path.display();
    let file = match read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => {
            return Err(anyhow::Error::new(error).context(format!("--storage.path: cannot read {shown}")));
        }
    };
    let found = file.and_then(|file| {
        let (mark, body) = envelope::open(&file, boot)?;
        Ok((mark, Remembered::decode(body, mark.steady).map_err(Flaw::Body)?))
    });
    Ok(match found {
        Ok((mark, remembered)) => Found::State(mark, Box::new(remembered)),
        Err(flaw) => Found::Flawed(flaw),
    })
}

/// The whole file, if it is not larger than any state.
fn read(path: &Path) -> io::Result<Result<Vec<u8>, Flaw>> {
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Ok(Err(Flaw::TooLarge(length)));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

/// Moves a state that cannot be used out of the way, for whoever wants to look at it.
fn set_aside(directory: &Path, flaw: &Flaw) -> anyhow::Result<()> {
    let (state, aside) = (directory.join(STATE), directory.join(BROKEN));
    let replaces_an_earlier_one = aside.symlink_metadata().is_ok();
    fs::rename(&state, &aside).with_context(|| {
        format!("--storage.path: {} {flaw}, and it cannot be moved to {}", state.display(), aside.display())
    })?;
    tracing::warn!(
        file = %state.display(), reason = %flaw, moved_to = %aside.display(), replaces_an_earlier_one,
        "the saved state cannot be used; the exporter learns afresh"
    );
    Ok(())
}

/// Puts a new state in the place of the old one, so that whatever happens one of the two is there.
fn replace(directory: &Path, file: &[u8]) -> io::Result<()> {
    let (new, state) = (directory.join(NEW), directory.join(STATE));
    let written = create(&new).and_then(|mut target| {
        target.write_all(file)?;
        target.sync_all()
    });
    if let Err(error) = written {
        // On a full disk half a state is in the way.
        let _gone_or_stays = fs::remove_file(&new);
        return Err(error);
    }
    fs::rename(&new, &state)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
