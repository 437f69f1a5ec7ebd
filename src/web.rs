//! What the web file decides (`--web.config.file`), as data: TLS, users, headers and the rate of requests.
//!
//! Who reads the file is the configuration, who obeys it is the HTTP side, and neither knows the other. Nothing here
//! shows a key or a password's hash.

mod clients;

pub use clients::{ClientPolicy, ClientVerifier};

use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// What a good web file means. The default is what is served without one.
#[derive(Clone, Default)]
pub struct Web {
    /// TLS, if it is spoken; `tls_server_config`.
    pub tls: Option<Tls>,
    /// Set on each answer; `http_server_config.headers`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Names with the bcrypt hashes of their passwords; where there is one, every request needs it;
    /// `basic_auth_users`.
    pub users: BTreeMap<String, String>,
    /// Those of the users who may change something, from anywhere; if there is nobody named, only this machine may;
    /// `basic_auth_changers`.
    pub changers: BTreeSet<String>,
    /// How many requests are answered, if not all; `rate_limit`.
    pub rate: Option<Rate>,
}

/// How TLS is spoken.
#[derive(Clone)]
pub struct Tls {
    /// Certificate, versions, suites, and how clients are verified.
    pub server: Arc<ServerConfig>,
    /// What is asked of clients.
    pub clients: ClientPolicy,
}

/// So many requests at once, and one more after each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time until one more request is allowed, never zero.
    pub interval: Duration,
    /// Requests at once after a pause, at least one.
    pub burst: u32,
}

/// One reading of the web file.
#[derive(Debug)]
pub struct Reading {
    /// What it means, or all that is wrong with it, a mistake a line and no secret among them.
    pub web: Result<Web, String>,
    /// The file and those that it names: where one of them changes, it is time to read again.
    pub files: Vec<PathBuf>,
}

impl Web {
    /// What a new file must not take away while the exporter runs: a file that is only half written when it is read
    /// would open to everyone what was closed. None where it takes nothing away.
    #[must_use]
    pub fn taken_away_by(&self, new: &Self) -> Option<&'static str> {
        let required = |web: &Self| web.tls.as_ref().is_some_and(|tls| tls.clients.is_required());
        if self.tls.is_some() && new.tls.is_none() {
            Some("tls_server_config")
        } else if !self.users.is_empty() && new.users.is_empty() {
            Some("basic_auth_users")
        } else if !self.changers.is_empty() && new.changers.is_empty() {
            Some("basic_auth_changers")
        } else if required(self) && !required(new) {
            Some("tls_server_config.client_auth_type")
        } else {
            None
        }
    }
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web")
            .field("tls", &self.tls)
            .field("headers", &self.headers)
            .field("users", &self.users.keys().collect::<Vec<_>>())
            .field("changers", &self.changers)
            .field("rate", &self.rate)
            .finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("clients", &self.clients).finish_non_exhaustive()
    }
}
