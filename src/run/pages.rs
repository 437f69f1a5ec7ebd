//! What the HTTP side is served from.

use super::tick::Control;
use crate::{
    export::{
        exposition::Exposition,
        own::Own,
        prometheus::{
            negotiate::{accepts_gzip, negotiate},
            selection::Selection,
        },
    },
    http::{Pages, Question, Scrape, StreamEnd, Wanted},
    snapshot::Snapshot,
};
use std::sync::{Arc, mpsc};
use tokio::sync::watch;

/// The exposition and the counters behind the routes.
pub(super) struct Served {
    pub(super) exposition: Arc<Exposition>,
    pub(super) own: Arc<Own>,
    pub(super) collectors: Vec<&'static str>,
    /// The way to the tick.
    pub(super) control: mpsc::Sender<Control>,
}

impl Pages for Served {
    fn scrape(&self, wanted: &Wanted) -> Scrape {
        let format = negotiate(wanted.accept.as_deref());
        let gzip = accepts_gzip(wanted.accept_encoding.as_deref());
        let content_type = format.content_type();
        match &wanted.selection {
            Selection::All => Scrape { body: self.exposition.scrape(format, gzip), content_type, gzip },
            some @ Selection::Only(_) => {
                Scrape { body: self.exposition.scrape_selected(format, some), content_type, gzip: false }
            }
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.exposition.snapshot()
    }

    fn collectors(&self) -> &[&'static str] {
        &self.collectors
    }

    fn ask(&self, question: Question) -> bool {
        self.control.send(Control::Ask(question)).is_ok()
    }

    fn ticks(&self) -> watch::Receiver<u64> {
        self.exposition.ticks()
    }

    fn stream_opened(&self) {
        self.own.stream_opened();
    }

    fn stream_ended(&self, end: StreamEnd) {
        self.own.stream_ended(end.reason());
    }

    fn count_request(&self, handler: &'static str, code: u16) {
        self.own.request_answered(handler, code);
    }
}
