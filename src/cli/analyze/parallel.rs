//! Many series on all processors, told in the order in which they came.
//!
//! One thread finds the series, several judge one each, and the caller hears them one after the other. What a series
//! writes goes through a pipe of its own, which holds little: whoever is ahead of the one that is heard waits, so that
//! neither the number of series nor the length of their output takes memory. Nothing waits for ever, because a series
//! is judged no later than those behind it.

use super::{lines::ReadError, recording::Recording, summary::Summary};
use std::{
    io::{self, Write},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

/// Judging is bound by processors; more threads than these would only hold more memory.
const MOST_THREADS: usize = 32;
/// Bytes of output that travel together.
const PIECE_BYTES: usize = 8 * 1024;
/// Pieces of output that a series may be ahead.
const PIECES_AHEAD: usize = 32;

/// What is heard of a series.
pub(super) enum Said {
    /// A piece of output.
    Piece(Vec<u8>),
    /// Its end, or why it cannot be used.
    End(Box<Result<Summary, ReadError>>),
}

/// What came of finding a series.
pub(super) type Found = Result<Recording, ReadError>;

/// One series on its way to a judge.
struct Task {
    found: Found,
    pipe: SyncSender<Said>,
}

/// Takes series from whoever finds them.
pub(super) struct Intake {
    tasks: SyncSender<Task>,
    order: Sender<Receiver<Said>>,
}

impl Intake {
    /// Takes the next one. False: nobody listens any more.
    pub(super) fn take(&mut self, found: Found) -> bool {
        let (pipe, hearing) = sync_channel(PIECES_AHEAD);
        self.order.send(hearing).is_ok() && self.tasks.send(Task { found, pipe }).is_ok()
    }
}

/// What a series writes, in pieces.
pub(super) struct Pipe<'a> {
    to: &'a SyncSender<Said>,
    piece: Vec<u8>,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.to.send(Said::Piece(piece)).map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}

/// Finds, judges and hears. `judge` may fail with its input, which is heard, or with its output, which nobody hears.
pub(super) fn judge_all(
    find: impl FnOnce(&mut Intake) + Send,
    judge: impl Fn(Recording, &mut Pipe<'_>) -> io::Result<Result<Summary, ReadError>> + Sync,
    mut hear: impl FnMut(Said) -> io::Result<()>,
) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let (tasks, waiting) = sync_channel::<Task>(threads);
    let (order, next) = channel::<Receiver<Said>>();
    let waiting = Mutex::new(waiting);
    thread::scope(|scope| {
        scope.spawn(move || find(&mut Intake { tasks, order }));
        for _ in 0..threads {
            scope.spawn(|| work(&waiting, &judge));
        }
        // Its end ends the pipes, and these end whoever writes to them.
        next.into_iter().try_for_each(|hearing| hearing.into_iter().try_for_each(&mut hear))
    })
}

fn work(
    waiting: &Mutex<Receiver<Task>>,
    judge: &(impl Fn(Recording, &mut Pipe<'_>) -> io::Result<Result<Summary, ReadError>> + Sync),
) {
    loop {
        let task = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Task { found, pipe }) = task else { return };
        let judged = found.map(|recording| {
            let mut out = Pipe { to: &pipe, piece: Vec::new() };
            judge(recording, &mut out).and_then(|judged| out.flush().map(|()| judged))
        });
        let end = match judged {
            Ok(Ok(judged)) => judged,
            Ok(Err(_nobody_listens)) => continue,
            Err(error) => Err(error),
        };
        let _nobody_listens = pipe.send(Said::End(Box::new(end)));
    }
}
