//! What a scrape is served from: the current snapshot and the pages made of it, swapped in whole once a tick.
//!
//! Pages are made on the tick's thread, so that a scrape is a copy of a pointer. Only what was asked for lately is
//! made: each layout (text, OpenMetrics), plain or compressed, and none at all while nobody scrapes. The first scrape
//! of a kind makes its page itself; others that want the same wait for that one page.
//!
//! In memory stay one finished body of each kind that is in use, and no buffer to make the next in. Where only the
//! compressed form is asked for, as Prometheus does, the plain page never exists as a whole: it passes through a
//! buffer of [`CHUNK_BYTES`] and somewhat more.

use super::{
    own::Own,
    prometheus::{
        Page, Sink,
        negotiate::{Format, Layout},
        render,
        selection::Selection,
    },
};
use crate::{sample::Seconds, snapshot::Snapshot};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use std::{
    io::Write as _,
    mem,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;

/// How long after a scrape its kind of page is still made at each tick. Prometheus takes a series without a sample for
/// five minutes for gone, so nobody scrapes more seldom and expects a graph; who does, waits for one page.
const WANTED_SECS: f64 = 300.0;
/// How much of a plain page lies in memory while it is compressed: enough to make calls of the compressor rare.
const CHUNK_BYTES: usize = 64 * 1024;
/// A page has room to be this part longer than the one before, so that it need not move while it is written.
const ROOM_TO_GROW: usize = 16;

/// The pages of the current tick, for any number of scrapers.
#[derive(Debug)]
pub struct Exposition {
    own: Arc<Own>,
    current: RwLock<Current>,
    /// The time of the snapshot that was current when each kind was last asked for, as the bits of an `f64`.
    asked_at: PerKind<AtomicU64>,
    /// Held while a page of the current tick is made, so that none is made twice.
    making: Mutex<()>,
    /// The number of the tick in force, for who waits for the next one.
    ticks: watch::Sender<u64>,
}

/// What the last tick left; behind a lock that is held for a few nanoseconds at a time.
#[derive(Debug, Default)]
struct Current {
    snapshot: Arc<Snapshot>,
    bodies: PerKind<Option<Bytes>>,
}

impl Exposition {
    /// An exposition of the empty snapshot before the first tick: it shows the exporter's own metrics.
    #[must_use]
    pub fn new(own: Arc<Own>) -> Self {
        let never = || AtomicU64::new(f64::NEG_INFINITY.to_bits());
        Self {
            own,
            current: RwLock::default(),
            asked_at: PerKind { text: never(), text_gzip: never(), open: never(), open_gzip: never() },
            making: Mutex::default(),
            ticks: watch::Sender::new(0),
        }
    }

    /// Puts a tick's snapshot in force together with the pages that are in use. To be called on the tick's thread,
    /// after the tick has told [`Own`] about itself.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, bodies) = (snapshot.tick, self.wanted_bodies(&snapshot));
        let next = Current { snapshot, bodies };
        let before = mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), next);
        // Freed outside the lock: a large snapshot takes a while.
        drop(before);
        self.ticks.send_replace(number);
    }

    /// The number of the last tick, which changes with each.
    #[must_use]
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// The page of the current tick with all targets.
    #[must_use]
    pub fn scrape(&self, format: Format, gzip: bool) -> Bytes {
        let kind = PageKind { layout: format.layout(), gzip };
        if let Some(body) = self.ready(kind) {
            return body;
        }
        let _alone = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        // Made by another scrape, or by a tick, in the meantime.
        if let Some(body) = self.ready(kind) {
            return body;
        }
        let snapshot = self.snapshot();
        let own = self.own.gather();
        let page = Page { snapshot: &snapshot, selection: &Selection::All, own: &own };
        let body = if gzip { compressed(&page, kind.layout) } else { plain(&page, kind.layout, 0) };
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current.bodies.of_mut(kind) = Some(body.clone());
        body
    }

    /// A page of the current tick with some of the targets; made anew each time and never compressed.
    #[must_use]
    pub fn scrape_selected(&self, format: Format, selection: &Selection) -> Bytes {
        let snapshot = self.snapshot();
        let own = self.own.gather();
        plain(&Page { snapshot: &snapshot, selection, own: &own }, format.layout(), 0)
    }

    /// The current tick's snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).snapshot)
    }

    /// The finished body, if there is one; notes that it was asked for.
    fn ready(&self, kind: PageKind) -> Option<Bytes> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        self.asked_at.of(kind).store(current.snapshot.taken_at.to_bits(), Ordering::Relaxed);
        current.bodies.of(kind).clone()
    }

    /// Makes the pages that are in use.
    fn wanted_bodies(&self, snapshot: &Snapshot) -> PerKind<Option<Bytes>> {
        let mut bodies = PerKind::default();
        let (last_tick_at, lengths) = self.before();
        // A tick may be longer than the time that a page stays wanted; what was asked for within it still counts.
        let since = (snapshot.taken_at - WANTED_SECS).min(last_tick_at);
        let wanted = |kind| f64::from_bits(self.asked_at.of(kind).load(Ordering::Relaxed)) >= since;
        if !PageKind::ALL.into_iter().any(wanted) {
            return bodies;
        }
        let own = self.own.gather();
        let page = Page { snapshot, selection: &Selection::All, own: &own };
        for layout in [Layout::Text, Layout::OpenMetrics] {
            let [plain_kind, gzip_kind] = [false, true].map(|gzip| PageKind { layout, gzip });
            if wanted(plain_kind) {
                let body = plain(&page, layout, *lengths.of(plain_kind));
                if wanted(gzip_kind) {
                    *bodies.of_mut(gzip_kind) = Some(compressed_again(&body));
                }
                *bodies.of_mut(plain_kind) = Some(body);
            } else if wanted(gzip_kind) {
                *bodies.of_mut(gzip_kind) = Some(compressed(&page, layout));
            }
        }
        bodies
    }

    /// When the tick before was, and how long its pages are.
    fn before(&self) -> (Seconds, PerKind<usize>) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let mut lengths = PerKind::default();
        for kind in PageKind::ALL {
            *lengths.of_mut(kind) = current.bodies.of(kind).as_ref().map_or(0, Bytes::len);
        }
        (current.snapshot.taken_at, lengths)
    }
}

fn plain(page: &Page<'_>, layout: Layout, length_before: usize) -> Bytes {
    let mut body = Vec::with_capacity(length_before + length_before / ROOM_TO_GROW);
    render(page, layout, &mut body);
    body.into()
}

fn compressed(page: &Page<'_>, layout: Layout) -> Bytes {
    let mut gzip = Gzip { buffer: Vec::with_capacity(CHUNK_BYTES), encoder: encoder() };
    render(page, layout, &mut gzip);
    gzip.finish()
}

fn compressed_again(body: &[u8]) -> Bytes {
    let mut encoder = encoder();
    write_to(&mut encoder, body);
    finished(encoder)
}

/// Level 1: a page is made at every tick and read once; higher levels cost more than the bytes that they save.
fn encoder() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::fast())
}

fn write_to(encoder: &mut GzEncoder<Vec<u8>>, bytes: &[u8]) {
    encoder.write_all(bytes).expect("a vector takes all bytes");
}

fn finished(encoder: GzEncoder<Vec<u8>>) -> Bytes {
    let mut body = encoder.finish().expect("a vector takes all bytes");
    body.shrink_to_fit();
    body.into()
}

/// Compresses a page while it is written.
struct Gzip {
    buffer: Vec<u8>,
    encoder: GzEncoder<Vec<u8>>,
}

impl Gzip {
    fn flush(&mut self) {
        write_to(&mut self.encoder, &self.buffer);
        self.buffer.clear();
    }

    fn finish(mut self) -> Bytes {
        self.flush();
        finished(self.encoder)
    }
}

impl Sink for Gzip {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn pass_on(&mut self) {
        if self.buffer.len() >= CHUNK_BYTES {
            self.flush();
        }
    }
}

/// What tells two pages of the same tick apart.
#[derive(Clone, Copy, Debug)]
struct PageKind {
    layout: Layout,
    gzip: bool,
}

impl PageKind {
    const ALL: [Self; 4] = [
        Self { layout: Layout::Text, gzip: false },
        Self { layout: Layout::Text, gzip: true },
        Self { layout: Layout::OpenMetrics, gzip: false },
        Self { layout: Layout::OpenMetrics, gzip: true },
    ];
}

/// One of something for each kind of page.
#[derive(Debug, Default)]
struct PerKind<T> {
    text: T,
    text_gzip: T,
    open: T,
    open_gzip: T,
}

impl<T> PerKind<T> {
    fn of(&self, kind: PageKind) -> &T {
        match (kind.layout, kind.gzip) {
            (Layout::Text, false) => &self.text,
            (Layout::Text, true) => &self.text_gzip,
            (Layout::OpenMetrics, false) => &self.open,
            (Layout::OpenMetrics, true) => &self.open_gzip,
        }
    }

    fn of_mut(&mut self, kind: PageKind) -> &mut T {
        match (kind.layout, kind.gzip) {
            (Layout::Text, false) => &mut self.text,
            (Layout::Text, true) => &mut self.text_gzip,
            (Layout::OpenMetrics, false) => &mut self.open,
            (Layout::OpenMetrics, true) => &mut self.open_gzip,
        }
    }
}

#[cfg(test)]
mod tests;
