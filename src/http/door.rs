//! The door: what the web file says of who comes in, read again when it changes.
//!
//! Files are looked at (their times, sizes and numbers) whenever a connection or a request comes, and read only when
//! one of them changed. A bad file keeps the one before in force, and is told once. So does a file that takes away TLS,
//! the users or the need for a certificate: read in the midst of being written it would open the door to all.

use super::gate::InForce;
use crate::web::{Reading, Web};
use anyhow::anyhow;
use std::{
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tracing::{error, info};

/// Reads the web file anew. It may block.
pub type ReadWebFile = Arc<dyn Fn() -> Reading + Send + Sync>;
/// Takes note of whether a reading of the web file was good.
pub type NoteReading = Box<dyn Fn(bool) + Send + Sync>;

/// The web file as it is in force; by default there is none, and everyone may come in.
#[derive(Default)]
pub struct Door {
    file: Option<WebFile>,
    seen: Mutex<Seen>,
    /// Held while the file is read, so that one reading is enough for all who wait for it.
    reading: tokio::sync::Mutex<()>,
}

struct WebFile {
    read: ReadWebFile,
    note: NoteReading,
}

/// What was read last.
#[derive(Clone, Default)]
struct Seen {
    in_force: Arc<InForce>,
    /// The files and how each looked before it was read.
    files: Arc<[(PathBuf, Option<Look>)]>,
}

/// What of a file tells whether it is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    /// None for a file that cannot be looked at.
    fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Door {
    /// Reads the web file for the first time.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub fn new(read: ReadWebFile, note: NoteReading) -> anyhow::Result<Self> {
        // Which files there are is known only behind a reading, and how they looked must be known before it.
        let before = looks_of(read().files);
        let reading = read();
        let web = reading.web.map_err(|mistakes| anyhow!("{mistakes}"))?;
        note(true);
        let seen = Seen { in_force: Arc::new(InForce::new(web)), files: looks(reading.files, &before) };
        Ok(Self {
            file: Some(WebFile { read, note }),
            seen: Mutex::new(seen),
            reading: tokio::sync::Mutex::default(),
        })
    }

    /// Whether users are asked for their passwords.
    pub fn wants_passwords(&self) -> bool {
        !self.seen().in_force.web.users.is_empty()
    }

    /// Whether TLS is spoken.
    pub fn speaks_tls(&self) -> bool {
        self.seen().in_force.web.tls.is_some()
    }

    /// What is in force, after a look at the files.
    pub(super) async fn in_force(&self) -> Arc<InForce> {
        let Some(file) = &self.file else { return self.seen().in_force };
        if self.seen().is_fresh() {
            return self.seen().in_force;
        }
        let _one_at_a_time = self.reading.lock().await;
        let seen = self.seen();
        if seen.is_fresh() {
            return seen.in_force;
        }
        let before = looks_of(seen.files.iter().map(|(path, _)| path.clone()));
        let read = Arc::clone(&file.read);
        let Ok(reading) = tokio::task::spawn_blocking(move || read()).await else { return seen.in_force };
        let files = looks(reading.files, &before);
        let in_force = match accepted(&seen.in_force.web, reading.web) {
            Ok(web) => {
                info!("web file read anew");
                (file.note)(true);
                Arc::new(InForce::new(web))
            }
            Err(mistakes) => {
                (file.note)(false);
                for mistake in mistakes.lines() {
                    error!(error = mistake, "web file refused; the previous one stays in force");
                }
                seen.in_force
            }
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Seen { in_force: Arc::clone(&in_force), files };
        in_force
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seen {
    fn is_fresh(&self) -> bool {
        self.files.iter().all(|(path, look)| Look::at(path) == *look)
    }
}

/// The new file, if it may come into force while the exporter runs.
fn accepted(old: &Web, new: Result<Web, String>) -> Result<Web, String> {
    let new = new?;
    match old.taken_away_by(&new) {
        None => Ok(new),
        Some(key) => Err(format!(
            "the new web file takes away `{key}`, which would let in who was kept out; if that is meant, restart the \
             exporter"
        )),
    }
}

fn looks_of(paths: impl IntoIterator<Item = PathBuf>) -> Vec<(PathBuf, Option<Look>)> {
    paths
        .into_iter()
        .map(|path| {
            let look = Look::at(&path);
            (path, look)
        })
        .collect()
}

/// How the files looked before they were read, so that a change in the meantime is seen as one. A file that nobody
/// looked at before is looked at now.
fn looks(files: Vec<PathBuf>, before: &[(PathBuf, Option<Look>)]) -> Arc<[(PathBuf, Option<Look>)]> {
    let look = |path: PathBuf| {
        let known = before.iter().find(|(known, _)| *known == path).map(|(_, look)| *look);
        let look = known.unwrap_or_else(|| Look::at(&path));
        (path, look)
    };
    files.into_iter().map(look).collect()
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("has_file", &self.file.is_some()).finish_non_exhaustive()
    }
}
