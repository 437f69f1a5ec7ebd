//! The programs of the demonstration: this binary again, under an argument that the help does not show.
//!
//! Each does one thing that real programs do. None outlives the demonstration, however that ends: the kernel kills it
//! with the thread that started it. And none can take more than [`MOST_BYTES`].

use crate::{cli::Failure, run::clock::instant};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use std::{
    fs::File,
    io::{self, Write as _},
    time::Duration,
};

/// The kernel gives none of them more than this; it is the limit that the demonstration tells the time to.
const MOST_BYTES: u64 = 128 << 20;
/// Leaks stop here, well below the limit: by then everything was shown.
const LEAKED_MOST_BYTES: f64 = 96e6;
/// And descriptors here; the usual limit is 1024.
const LEAKED_MOST_FILES: f64 = 400.0;
/// Memory is taken and given back in pieces of this size, so that growth is even.
const PIECE_BYTES: usize = 16 << 10;
/// How often it moves.
const STEP: Duration = Duration::from_millis(20);
const MB: f64 = 1e6;
/// What it writes as soon as it holds what it holds from the start.
pub(super) const READY: &str = "ready\n";

/// What a program of the demonstration does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum Behaviour {
    /// Memory that is never given back.
    Leak,
    /// Descriptors that are never closed.
    DescriptorLeak,
    /// A cache that fills and then stays.
    WarmCache,
    /// Garbage that is collected.
    Garbage,
    /// A load that never changes.
    Steady,
}

impl Behaviour {
    /// All of them, with their names on the command line.
    pub(super) const ALL: [(Self, &'static str); 5] = [
        (Self::Leak, "leak"),
        (Self::DescriptorLeak, "descriptor-leak"),
        (Self::WarmCache, "warm-cache"),
        (Self::Garbage, "garbage"),
        (Self::Steady, "steady"),
    ];

    /// What it does, in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Leak => "keeps 256 kB a second for ever",
            Self::DescriptorLeak => "opens a file now and then and never closes it",
            Self::WarmCache => "fills a cache, then stays as it is",
            Self::Garbage => "makes garbage and collects it",
            Self::Steady => "works and keeps nothing",
        }
    }

    /// The memory that it holds so many seconds after its start.
    fn bytes(self, secs: f64) -> f64 {
        match self {
            // A line without anything beside it would be no real program, and the least waver of it the end of a cache.
            Self::Leak => (4.0 * MB + 0.256 * MB * secs).min(LEAKED_MOST_BYTES) + 0.3 * MB * (secs % 1.0),
            Self::DescriptorLeak => 3.0 * MB,
            Self::WarmCache => 3.0 * MB + 9.0 * MB * (1.0 - (-secs / 6.0).exp()),
            Self::Garbage => 3.0 * MB + 1.5 * MB * (secs % 4.0),
            // A little comes and goes, as it does everywhere.
            Self::Steady => 6.0 * MB + 0.1 * MB * (secs % 1.0),
        }
    }

    /// The descriptors that it holds beside those that it was started with.
    fn files(self, secs: f64) -> f64 {
        if self == Self::DescriptorLeak { (secs * 3.0).min(LEAKED_MOST_FILES) } else { 0.0 }
    }
}

/// Which program this is, and of which demonstration.
#[derive(Debug, Args)]
pub(in super::super) struct ProgramArguments {
    /// What to do.
    #[arg(value_enum)]
    behaviour: Behaviour,
    /// The process id of the demonstration.
    #[arg(long)]
    of: i32,
}

impl ProgramArguments {
    pub(in super::super) fn run(&self) -> Result<(), Failure> {
        self.behave().map_err(Failure::Other)
    }

    fn behave(&self) -> anyhow::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))
            .context("cannot be bound to the demonstration")?;
        // It may have ended before the line above.
        if getppid().map(Pid::as_raw_pid) != Some(self.of) {
            return Ok(());
        }
        let limit = Rlimit { current: Some(MOST_BYTES), maximum: Some(MOST_BYTES) };
        setrlimit(Resource::Data, limit).context("cannot limit its memory")?;
        let mut held = Held::default();
        held.hold(self.behaviour.bytes(0.0), self.behaviour.files(0.0))?;
        // Whoever does not read it is no reason to end.
        let _nobody_listens = io::stdout().write_all(READY.as_bytes());
        let began = instant();
        loop {
            let secs = instant().saturating_duration_since(began).as_secs_f64();
            held.hold(self.behaviour.bytes(secs), self.behaviour.files(secs))?;
            pause();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this program of the demonstration has nothing else to do")]
fn pause() {
    std::thread::sleep(STEP);
}

/// What a program holds.
#[derive(Default)]
struct Held {
    pieces: Vec<Vec<u8>>,
    files: Vec<File>,
}

impl Held {
    /// Takes or gives back memory and descriptors until it holds so much.
    fn hold(&mut self, bytes: f64, files: f64) -> anyhow::Result<()> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "both are bounded above, and not negative"
        )]
        let (bytes, files) = (bytes as usize, files as usize);
        // The last one goes first, so that the allocator can give back what it had at its end.
        self.pieces.truncate(bytes / PIECE_BYTES);
        while self.pieces.len() < bytes / PIECE_BYTES {
            // Another byte than zero, or the kernel would not have to provide the memory.
            self.pieces.push(vec![1; PIECE_BYTES]);
        }
        while self.files.len() < files {
            self.files.push(File::open("/dev/null").context("cannot open another file")?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_stays_far_below_its_limit_and_only_leaks_grow_at_last() {
        for (behaviour, name) in Behaviour::ALL {
            let value = behaviour.to_possible_value().unwrap();
            assert_eq!(value.get_name(), name);
            for secs in [0.0, 1.0, 60.0, 3600.0, 1e9] {
                assert!((3e6..1e8).contains(&behaviour.bytes(secs)), "{name} at {secs}");
                assert!((0.0..=400.0).contains(&behaviour.files(secs)), "{name} at {secs}");
            }
            let grows = behaviour.bytes(120.0) - behaviour.bytes(60.0) > 1e6
                || behaviour.files(120.0) > behaviour.files(60.0);
            assert_eq!(grows, matches!(behaviour, Behaviour::Leak | Behaviour::DescriptorLeak), "{name}");
        }
    }

    #[test]
    fn what_is_held_follows() {
        let mut held = Held::default();
        held.hold(1e6, 3.0).unwrap();
        assert_eq!((held.pieces.len(), held.files.len()), (61, 3));
        held.hold(1e5, 3.0).unwrap();
        assert_eq!((held.pieces.len(), held.files.len()), (6, 3));
    }
}
