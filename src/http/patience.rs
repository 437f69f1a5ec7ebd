//! How long a client may take: a stream that ends itself when the other side is too slow.
//!
//! hyper's own limit for reading a head also runs between two requests, so that it would have to be both seconds (a
//! slow head) and minutes (a scraper that keeps its connection). Here the two are apart, and the time for taking in
//! an answer is limited too. The stream sees bytes; what they mean it learns from the [`Turn`] that it shares with
//! the routes: a request is complete, an answer is handed over.

use super::seats::Seat;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To send a whole request from its first byte on, or the first byte of the first request.
    pub(super) request: Duration,
    /// To begin another request on the same connection.
    pub(super) idle: Duration,
    /// To take in an answer, from the moment on when the kernel's buffer is full.
    pub(super) answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(10),
            idle: Duration::from_secs(180),
            // Three times the usual timeout of a scrape: who is slower has given up long since.
            answer: Duration::from_secs(30),
        }
    }
}

/// Whose turn it is on a connection.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<TurnState>);

#[derive(Debug, Default)]
struct TurnState {
    phase: Phase,
    /// Taken by the request that is being answered, given back when its answer has left.
    seat: Option<Seat>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The client sends a request, or its first one is awaited.
    #[default]
    Request,
    /// The routes make the answer.
    Answering,
    /// The answer is handed over and may still lie in a buffer here.
    Leaving,
    /// Nothing is asked.
    Idle,
    /// The connection is a stream, whose time is limited where it is served.
    Stream,
}

impl Turn {
    /// The request is complete; the answer may take its time.
    pub(super) fn answering(&self) {
        self.state().phase = Phase::Answering;
    }

    /// Keeps a seat until the answer has left.
    pub(super) fn hold(&self, seat: Seat) {
        self.state().seat = Some(seat);
    }

    /// The answer has been handed over for writing.
    pub(super) fn handed_over(&self) {
        let mut state = self.state();
        if state.phase != Phase::Stream {
            state.phase = Phase::Leaving;
        }
    }

    /// The connection is a stream from now on.
    pub(super) fn stream(&self) {
        self.state().phase = Phase::Stream;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, TurnState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phase(&self) -> Phase {
        self.state().phase
    }

    /// The first bytes of a request have come.
    fn begun(&self) -> bool {
        let mut state = self.state();
        let begun = state.phase == Phase::Idle;
        if begun {
            state.phase = Phase::Request;
        }
        begun
    }

    /// Everything written has left; whether that ends the turn.
    fn left(&self) -> bool {
        let mut state = self.state();
        let ended = state.phase == Phase::Leaving;
        if ended {
            state.phase = Phase::Idle;
            state.seat = None;
        }
        ended
    }
}

/// A stream with limits on the other side's time.
#[derive(Debug)]
pub(super) struct Timed<S> {
    stream: S,
    patience: Patience,
    turn: Arc<Turn>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub(super) fn new(stream: S, patience: Patience, turn: Arc<Turn>) -> Self {
        Self { stream, patience, turn, reading: None, writing: None }
    }

    /// Ready with an error once the client has let its time to ask pass.
    fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = match self.turn.phase() {
            Phase::Request => self.patience.request,
            Phase::Idle => self.patience.idle,
            Phase::Answering | Phase::Leaving | Phase::Stream => {
                self.reading = None;
                return Poll::Pending;
            }
        };
        let timer = self.reading.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client sent no whole request in time")))
    }

    /// Passes a write on, and gives up when the other side has not taken in its answer in time.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let limit = self.patience.answer;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client did not take in its answer in time")))
    }
}

impl<S: Read + Unpin> Read for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(read) => {
                if this.turn.begun() {
                    this.reading = None;
                }
                Poll::Ready(read)
            }
            Poll::Pending => this.poll_ask(cx),
        }
    }
}

impl<S: Write + Unpin> Write for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.watch(cx, flushed))?;
        self.writing = None;
        if self.turn.left() {
            self.reading = None;
            // Nobody may read before the next bytes come, so the time for them is started here.
            if let Poll::Ready(Err(error)) = self.poll_ask(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
