//! The HTTP side: the listener, TLS and users, who may ask for what, the routes, the page for people and the API for
//! programs.
//!
//! It samples nothing and judges nothing: every answer is made from what [`Pages`] holds ready. [`bind`] takes the
//! addresses before anything else runs, so that a taken port is an error of the start and not of the first scrape;
//! [`Bound::serve`] answers until it is told to stop.
//!
//! Everything is bounded: connections, requests at once, the time and the size of a request, the time that a reader
//! may take for its answer. A slow or rude client harms nobody else.

pub(crate) mod access;
mod answer;
mod api;
mod body;
mod change;
mod desk;
mod door;
mod gate;
mod grpc;
mod listener;
mod otlp;
mod page;
mod patience;
mod profiles;
mod push;
mod query;
mod routes;
mod seats;
mod serve;
mod site;
mod stream;

pub use desk::{AreaKey, Bucket, Level, Past, Question, What};
pub use door::{Door, NoteReading, ReadWebFile};
pub use listener::{Bound, bind};

use crate::{export::prometheus::selection::Selection, inbox::Inbox, snapshot::Snapshot};
use hyper::body::Bytes;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Where to listen and what to offer there. The fields carry the names of the flags (`--web.…`).
#[expect(clippy::struct_excessive_bools, reason = "three independent flags, as they are written")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// `--web.listen-address`: `:PORT` (all addresses of the machine), `HOST:PORT` or `[IPv6]:PORT`; several allowed.
    pub addresses: Vec<String>,
    /// `--web.systemd-socket`: use the sockets that systemd hands over instead of `addresses`.
    pub systemd_socket: bool,
    /// `--web.telemetry-path`: where the metrics are, below the prefix.
    pub telemetry_path: String,
    /// `--web.route-prefix`: what all paths begin with; where absent, the path of `external_url`.
    pub route_prefix: Option<String>,
    /// `--web.external-url`: the address under which people reach the exporter, a reverse proxy's perhaps.
    pub external_url: Option<String>,
    /// `--web.max-requests`: scrapes, pages and reloads at once, 503 over it; 0 is no limit.
    pub max_requests: usize,
    /// `--web.max-streams`: clients of the live stream at once, 503 over it; 0 is no limit.
    pub max_streams: usize,
    /// `--web.enable-lifecycle`: allow POST `/-/reload`, by whom the rule for changes admits.
    pub enable_lifecycle: bool,
    /// `--web.remote-read`: let clients beyond loopback read the page and the API too.
    pub remote_read: bool,
    /// `--otlp.listen-address`: where OTLP over gRPC is taken in, as in `addresses`; nowhere if empty.
    pub otlp_addresses: Vec<String>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            addresses: vec![String::from(":10099")],
            systemd_socket: false,
            telemetry_path: String::from("/metrics"),
            route_prefix: None,
            external_url: None,
            max_requests: 40,
            max_streams: 300,
            enable_lifecycle: false,
            remote_read: false,
            otlp_addresses: Vec::new(),
        }
    }
}

impl ListenOptions {
    /// Checks everything that can be checked without the network.
    ///
    /// # Errors
    ///
    /// Names the flag, its value and what it should be.
    pub fn check(&self) -> anyhow::Result<()> {
        listener::check_addresses(self)?;
        site::Site::new(self).map(drop)
    }
}

/// What the routes show and whom they tell.
#[derive(Clone)]
pub struct State {
    /// What is shown.
    pub pages: Arc<dyn Pages>,
    /// Where what programs push goes.
    pub inbox: Arc<Inbox>,
    /// Who reloads the configuration. A short queue is right: who waits in it has already asked for the same.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// About how many samples a first verdict needs: the page says it while there is none.
    pub first_verdict_samples: u32,
}

/// Asks for a reload of the configuration and waits for its outcome.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Takes the outcome: nothing to say, or why the previous configuration stays in force.
    pub reply: oneshot::Sender<Result<(), String>>,
}

/// What the routes need of the program: all of it from memory, none of it waits.
pub trait Pages: Send + Sync + 'static {
    /// The metrics as this client asked for them.
    fn scrape(&self, wanted: &Wanted) -> Scrape;

    /// The result of the last tick; tick 0 before the first.
    fn snapshot(&self) -> Arc<Snapshot>;

    /// The collectors that `collect[]` and `exclude[]` may name.
    fn collectors(&self) -> &[&'static str];

    /// Counts one answered request by handler and status code.
    fn count_request(&self, handler: &'static str, code: u16);

    /// Hands a question to the tick; false where there is no tick any more.
    fn ask(&self, question: Question) -> bool;

    /// The number of the last tick, which changes with each.
    fn ticks(&self) -> watch::Receiver<u64>;

    /// One more client listens to the live stream.
    fn stream_opened(&self);

    /// A client no longer does.
    fn stream_ended(&self, end: StreamEnd);
}

/// Why a client no longer listens to the live stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// It left.
    Left,
    /// It did not keep up with what it was told.
    Slow,
    /// It did not answer whether it is still there.
    Silent,
    /// It said something, which nobody does here.
    Rude,
    /// The exporter ends.
    Over,
}

impl StreamEnd {
    /// The value of the `reason` label of those that were let go; none for who left or was sent home.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Slow => Some("slow"),
            Self::Silent => Some("silent"),
            Self::Rude => Some("rude"),
            Self::Left | Self::Over => None,
        }
    }
}

/// What a scraper asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its `Accept` header, several joined by a comma; none where it sent none that is text.
    pub accept: Option<String>,
    /// Its `Accept-Encoding` header, likewise.
    pub accept_encoding: Option<String>,
    /// Which collectors' metrics.
    pub selection: Selection,
}

/// The metrics, ready to be sent.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// The body, compressed if `gzip` says so.
    pub body: Bytes,
    /// Its type, with version and character set.
    pub content_type: String,
    /// Whether the body is compressed.
    pub gzip: bool,
}

#[cfg(test)]
mod tests;
