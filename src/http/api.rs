//! The JSON API, version 1: what the last tick found, for programs.
//!
//! Every answer is made from one [`Snapshot`] and nothing else: none waits for a collector or holds up a tick. It only
//! reads. Kinds, areas, runtimes and names of rules are words in it, so that new ones need no change here.
//! `openapi.json` beside this file describes all of it and is served too; a test holds the two against each other.
//!
//! Keys are always there: what is not known is null. Times are seconds since the Unix epoch (`…_at`), spans are seconds
//! (`…_seconds`), sizes and growth a second are in the unit of their area.

mod areas;
mod health;
mod news;
mod parameters;
mod past;
mod problem;
mod report;
mod shapes;
mod status;

use super::{answer::Answer, desk::Past};
use crate::snapshot::Snapshot;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    StatusCode,
    body::Bytes,
    header::{
        CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, REFERRER_POLICY, RETRY_AFTER, VARY,
        X_FRAME_OPTIONS,
    },
};
pub(super) use news::{Known, News, hello, news};
use parameters::Parameters;
pub(super) use past::Picked;
pub(super) use problem::{Problem, in_form};
use serde::Serialize;
pub(super) use shapes::{AreaSize, area_sizes, recommendations};
use std::io::Write as _;

/// What begins the path of everything here.
pub(super) const ROOT: &str = "/api/";
/// Where the live stream is.
pub(super) const STREAM_PATH: &str = "/api/v1/stream";
/// What begins the path of one area.
const AREA_PREFIX: &str = "/api/v1/areas/";
pub(super) const OPENAPI: &str = include_str!("api/openapi.json");
/// A report carries its style sheet in itself, loads nothing, and nobody may frame it.
const REPORT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Below this a compressed answer is hardly shorter.
const WORTH_COMPRESSING_BYTES: usize = 1024;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Status,
    Targets,
    Areas,
    Area,
    History,
    Sparklines,
    Stats,
    Attribution,
    Findings,
    Episodes,
    Report,
    Health,
    Rules,
    Config,
    OpenApi,
}

impl Endpoint {
    /// All of them with their paths, `{id}` standing for an id, and the keys that their queries may have.
    const ALL: [(Self, &'static str, &'static [&'static str]); 15] = [
        (Self::Status, "/api/v1/status", &[]),
        (Self::Targets, "/api/v1/targets", &["kind", "target", "limit", "offset"]),
        (Self::Areas, "/api/v1/areas", areas::PARAMETERS),
        (Self::Area, "/api/v1/areas/{id}", &[]),
        (Self::History, "/api/v1/areas/{id}/history", &[]),
        (Self::Sparklines, "/api/v1/sparklines", areas::PAST_PARAMETERS),
        (Self::Stats, "/api/v1/stats", areas::PAST_PARAMETERS),
        (Self::Attribution, "/api/v1/attribution", &["kind", "target", "limit", "offset"]),
        (Self::Findings, "/api/v1/findings", areas::PARAMETERS),
        (Self::Episodes, "/api/v1/episodes", &["state", "limit", "offset"]),
        (Self::Report, "/api/v1/report", &["format"]),
        (Self::Health, "/api/v1/health", &[]),
        (Self::Rules, "/api/v1/rules", &["kind", "target", "limit", "offset"]),
        (Self::Config, "/api/v1/config", &[]),
        (Self::OpenApi, "/api/v1/openapi.json", &[]),
    ];

    /// What a path below the prefix asks for; none for nothing.
    pub(super) fn at(path: &str) -> Option<Self> {
        if let Some(id) = path.strip_prefix(AREA_PREFIX) {
            let (id, endpoint) =
                id.strip_suffix(past::HISTORY_SUFFIX).map_or((id, Self::Area), |id| (id, Self::History));
            return (!id.is_empty() && !id.contains('/')).then_some(endpoint);
        }
        Self::ALL.iter().find(|(_, own, _)| *own == path).map(|(endpoint, ..)| *endpoint)
    }

    /// Whether only the tick has what is asked for.
    pub(super) fn is_about_the_past(self) -> bool {
        matches!(self, Self::History | Self::Sparklines | Self::Stats)
    }

    fn parameters(self) -> &'static [&'static str] {
        Self::ALL.iter().find(|(endpoint, ..)| *endpoint == self).map_or(&[], |(_, _, keys)| keys)
    }
}

/// A request, apart from its connection, so that it can be answered on another thread.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    /// The path below the prefix.
    pub(super) path: String,
    /// The query without its question mark.
    pub(super) query: String,
    /// Whether the client takes gzip.
    pub(super) gzip: bool,
    /// What paths begin with as seen from outside.
    pub(super) link_prefix: String,
}

/// What a handler sees.
struct Call<'a> {
    snapshot: &'a Snapshot,
    request: &'a Request,
    parameters: Parameters,
}

/// An answer that all went well for.
enum Body {
    Json(Vec<u8>),
    Markdown(String),
    Html(String),
}

/// Answers a request from a snapshot.
pub(super) fn answer(snapshot: &Snapshot, request: &Request) -> Answer {
    answered(called(snapshot, request).and_then(|call| respond(&call)), request)
}

/// Which areas a request is about whose past is to be told.
///
/// # Errors
///
/// The answer, where there is nothing to tell.
pub(super) fn picked(snapshot: &Snapshot, request: &Request) -> Result<Picked, Box<Answer>> {
    let picked = called(snapshot, request).and_then(|call| past::picked(&call));
    picked.map_err(|problem| Box::new(answered(Err(problem), request)))
}

/// Answers a request from what the tick told of the areas that it is about.
pub(super) fn answer_of(picked: &Picked, pasts: &[Past], request: &Request) -> Answer {
    answered(picked.body(pasts), request)
}

fn answered(body: Result<Body, Problem>, request: &Request) -> Answer {
    match body {
        Ok(body) => finished(body, request.gzip),
        Err(problem) => {
            let answer = problem.answer(&request.path);
            if problem.passes() { answer.with(RETRY_AFTER, "1") } else { answer }
        }
    }
}

/// A request with its query, where there is something to answer it from.
fn called<'a>(snapshot: &'a Snapshot, request: &'a Request) -> Result<Call<'a>, Problem> {
    let parameters = Parameters::read(&request.query, request.endpoint.parameters())?;
    if snapshot.tick == 0 && request.endpoint != Endpoint::OpenApi {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The first samples are being taken.",
            "Ask again in a second.",
        ));
    }
    Ok(Call { snapshot, request, parameters })
}

fn respond(call: &Call<'_>) -> Result<Body, Problem> {
    match call.request.endpoint {
        Endpoint::Status => json(&status::status(call)),
        Endpoint::Targets => json(&status::targets(call)?),
        Endpoint::Areas => json(&areas::areas(call)?),
        Endpoint::Area => json(&areas::area(call)?),
        // Nothing of these is in a snapshot; see `picked`.
        Endpoint::History | Endpoint::Sparklines | Endpoint::Stats => past::picked(call)?.body(&[]),
        Endpoint::Attribution => json(&status::attribution(call)?),
        Endpoint::Findings => json(&areas::findings(call)?),
        Endpoint::Episodes => json(&status::episodes(call)?),
        Endpoint::Report => report::report(call),
        Endpoint::Health => json(&health::health(call.snapshot)),
        Endpoint::Rules => json(&status::rules(call)?),
        Endpoint::Config => json(&status::configuration(call)),
        Endpoint::OpenApi => openapi(call),
    }
}

fn json(value: &impl Serialize) -> Result<Body, Problem> {
    serde_json::to_vec(value).map(Body::Json).map_err(|error| Problem::ours(&error.to_string()))
}

/// The document, with the address of the API as seen from outside.
fn openapi(call: &Call<'_>) -> Result<Body, Problem> {
    let mut document: serde_json::Value =
        serde_json::from_str(OPENAPI).map_err(|error| Problem::ours(&error.to_string()))?;
    if let Some(url) = document.pointer_mut("/servers/0/url") {
        *url = format!("{}/api/v1", call.request.link_prefix).into();
    }
    if let Some(version) = document.pointer_mut("/info/version") {
        *version = env!("CARGO_PKG_VERSION").into();
    }
    json(&document)
}

fn finished(body: Body, gzip: bool) -> Answer {
    let (content_type, bytes, is_html) = match body {
        Body::Json(bytes) => ("application/json", bytes, false),
        Body::Markdown(text) => ("text/markdown; charset=utf-8", text.into_bytes(), false),
        Body::Html(text) => ("text/html; charset=utf-8", text.into_bytes(), true),
    };
    let packed = (gzip && bytes.len() >= WORTH_COMPRESSING_BYTES).then(|| compressed(&bytes)).flatten();
    let is_packed = packed.is_some();
    let answer = Answer::new(StatusCode::OK, content_type, Bytes::from(packed.unwrap_or(bytes)))
        .with(CACHE_CONTROL, "no-store")
        .with(VARY, "Accept-Encoding");
    let answer = if is_packed { answer.with(CONTENT_ENCODING, "gzip") } else { answer };
    if !is_html {
        return answer;
    }
    answer
        .with(CONTENT_SECURITY_POLICY, REPORT_POLICY)
        .with(REFERRER_POLICY, "no-referrer")
        .with(X_FRAME_OPTIONS, "DENY")
}

fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests;
