//! The directories of the configuration, where files pile up that nobody takes away: event files, spools, dumps.
//!
//! | area | what it is |
//! | --- | --- |
//! | `files` | files whose name counts |
//! | `file_bytes` | the room that they take on the file system, not their length: a sparse file counts what it holds |
//!
//! A directory is never listed whole. All of them together have a budget of entries and time for one reading; a pass that
//! finds no end in it goes on at the next one where it stood, and tells its totals when it is through. What comes and goes
//! while a pass runs may or may not be counted. A directory with more than [`SMALL`] entries is gone through once in
//! `sampling.full_interval` at most, a smaller one at every reading.
//!
//! Symbolic links inside are neither followed nor counted, and other file systems mounted inside are not entered. Links
//! in the path itself are followed within the root of the watched system, as its own programs would.

mod walk;

use self::walk::{Budget, Root, Totals, Walk};
use super::{CollectError, Collector, Lent, Request, count};
use crate::{
    config::{Config, Directory},
    sample::{
        Area, Batch, Generation, Kind, Limit, LimitSource, Member, Sample, Seconds, Target, TargetInfo, Unit,
    },
};
use rustix::fs::StatVfs;
use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// The name of this collector.
pub const NAME: &str = "directory";
/// Its areas: files, and the bytes that they take.
pub const AREAS: [&str; 2] = ["files", "file_bytes"];

/// Entries of one reading, of all directories together: a million of them take five minutes at the default interval.
const ENTRIES: u32 = 10_000;
/// Time of one reading; entries in memory take less, those on a slow disk far more.
const PATIENCE: Duration = Duration::from_millis(25);
/// A directory of at most so many entries takes a millisecond or two, and is gone through at every reading.
const SMALL: u64 = 1_000;

/// Counts the files of directories.
pub struct DirectoryCollector {
    directories: Vec<Watched>,
    areas: [Area; 2],
    rootfs: PathBuf,
    instant: fn() -> Instant,
    full_interval_secs: f64,
    /// Whose turn is first at the next reading, so that none is always the one for which nothing is left.
    first: usize,
}

/// One directory.
struct Watched {
    config: Directory,
    target: Arc<Target>,
    /// As it was when the last pass began; none while it cannot be read.
    member: Option<Arc<Member>>,
    walk: Option<Walk>,
    /// When the next pass may begin.
    next_pass_at: Seconds,
    /// That it cannot be read was said.
    has_told: bool,
}

impl Collector for DirectoryCollector {
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
        let mut batch = Batch::new(request.at);
        let mut budget = Budget::new(ENTRIES, PATIENCE, self.instant);
        let (later, first) = self.directories.split_at_mut(self.first);
        for directory in first.iter_mut().chain(later) {
            batch.expected.push(Arc::clone(&directory.target));
            match directory.read(&self.rootfs, request.at, &mut budget) {
                Ok(None) => {}
                Ok(Some(pass)) => {
                    let rest_secs = if pass.walked.entries > SMALL { self.full_interval_secs } else { 0.0 };
                    directory.next_pass_at = pass.began_at + rest_secs;
                    directory.tell(&pass, &self.areas, &mut batch);
                    continue;
                }
                Err(error) => directory.give_up(&error, &mut batch),
            }
            // Between two passes it is there all the same.
            if let Some(member) = &directory.member {
                batch.push(Arc::clone(member), []);
            }
        }
        self.first = (self.first + 1).checked_rem(self.directories.len()).unwrap_or(0);
        Ok(batch)
    }
}

impl DirectoryCollector {
    /// A collector for the directories of the configuration.
    #[must_use]
    pub fn new(config: &Config, lent: &Lent) -> Self {
        Self {
            directories: config.directories.iter().map(Watched::new).collect(),
            areas: [Area::new(AREAS[0], Unit::Objects), Area::new(AREAS[1], Unit::Bytes)],
            rootfs: lent.paths.rootfs.clone(),
            instant: lent.instant,
            full_interval_secs: config.sampling.full_interval.as_secs_f64(),
            first: 0,
        }
    }
}

/// A pass that came to its end.
struct Pass {
    began_at: Seconds,
    walked: Totals,
    file_system: Option<StatVfs>,
}

impl Watched {
    fn new(config: &Directory) -> Self {
        Self {
            config: config.clone(),
            target: Arc::new(Target { kind: Kind::Directory, name: config.name.as_str().into() }),
            member: None,
            walk: None,
            next_pass_at: f64::NEG_INFINITY,
            has_told: false,
        }
    }

    /// Goes on with the pass, or begins one; gives it once it is through.
    fn read(
        &mut self,
        rootfs: &std::path::Path,
        at: Seconds,
        budget: &mut Budget,
    ) -> io::Result<Option<Pass>> {
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None if at < self.next_pass_at => return Ok(None),
            None => self.begin(rootfs, at)?,
        };
        if walk.go_on(budget)? {
            let file_system = walk.root().stat_file_system();
            return Ok(Some(Pass { began_at: walk.began_at, walked: walk.totals, file_system }));
        }
        self.walk = Some(walk);
        Ok(None)
    }

    fn begin(&mut self, rootfs: &std::path::Path, at: Seconds) -> io::Result<Walk> {
        let root = Root::open(rootfs, &self.config.path)?;
        let identity = root.identity(&self.config.name);
        if self.member.as_ref().is_none_or(|member| member.identity != identity) {
            let started_at = root.made_at().filter(|made_at| *made_at < at).unwrap_or(at);
            self.member = Some(Arc::new(Member {
                target: Arc::clone(&self.target),
                info: TargetInfo::default(),
                identity,
                generation: Generation::default(),
                started_at,
                group: "".into(),
            }));
        }
        Walk::begin(root, &self.config, at)
    }

    fn tell(&mut self, pass: &Pass, areas: &[Area; 2], batch: &mut Batch) {
        let Some(member) = &self.member else { return };
        if std::mem::take(&mut self.has_told) {
            tracing::info!(target = %self.config.name, path = %self.config.path.display(), "the directory can be read now");
        }
        let Totals { files, bytes, oldest_at, errors, left_out, .. } = pass.walked;
        batch.errors.permission += errors.permission;
        batch.errors.read += errors.read;
        batch.dropped_members += left_out;
        batch.oldest_files.push((member.identity, oldest_at));
        let [files_area, bytes_area] = areas;
        let sample = |area: &Area, size: u64, most: Option<f64>, room: Option<Limit>| {
            let own = most.map(|value| Limit { value, used: count(size), source: LimitSource::Configured });
            let limit = own.into_iter().chain(room).reduce(Limit::nearer);
            Sample { area: area.clone(), size: count(size), limit }
        };
        let samples = [
            sample(files_area, files, self.config.most_files, pass.file_system.as_ref().and_then(inodes)),
            sample(bytes_area, bytes, self.config.most_bytes, pass.file_system.as_ref().and_then(blocks)),
        ];
        batch.push(Arc::clone(member), samples);
    }

    /// It is not there, or cannot be read. That is no failure of the collector; people are told once.
    fn give_up(&mut self, error: &io::Error, batch: &mut Batch) {
        match error.kind() {
            io::ErrorKind::NotFound => {}
            io::ErrorKind::PermissionDenied => batch.errors.permission += 1,
            _ => batch.errors.read += 1,
        }
        (self.member, self.walk) = (None, None);
        if !std::mem::replace(&mut self.has_told, true) {
            tracing::warn!(
                target = %self.config.name, path = %self.config.path.display(), %error,
                "a directory of the configuration cannot be read; it counts as absent until it can"
            );
        }
    }
}

/// The limit on files that the file system sets; some set none.
fn inodes(file_system: &StatVfs) -> Option<Limit> {
    limit_of(file_system.f_files, file_system.f_favail, 1)
}

/// The limit on bytes that the file system sets.
fn blocks(file_system: &StatVfs) -> Option<Limit> {
    limit_of(file_system.f_blocks, file_system.f_bavail, file_system.f_frsize)
}

fn limit_of(all: u64, available: u64, unit: u64) -> Option<Limit> {
    let value = count(all.saturating_mul(unit));
    let used = count(all.saturating_sub(available).saturating_mul(unit));
    (all > 0).then_some(Limit { value, used, source: LimitSource::FileSystem })
}

#[cfg(test)]
mod tests;
