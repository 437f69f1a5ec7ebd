//! What changes something: samples now, forgetting, and profiles of a stretch of work.
//!
//! Each is a POST of JSON, which no web page of another origin can send without being asked about, and which those may
//! send whom the rule for changes admits. Bodies are small and strict: an unknown key is refused.

use super::{
    answer::Answer,
    body,
    desk::{Desk, What},
    profiles::{LONGEST_SECS, PROFILES_MAX, Profiles},
};
use crate::snapshot::Snapshot;
use bytes::Bytes;
use hyper::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, RETRY_AFTER},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// Bytes of a body.
pub(super) const BODY_MAX_BYTES: usize = 4096;
const PROFILES: &str = "/api/v1/profiles";

/// What can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Take samples now.
    Sample,
    /// Forget what was learned of a target.
    Forget,
    /// Begin a profile.
    Begin,
    /// End a profile.
    End,
}

/// Nothing more is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whom {
    kind: String,
    target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    kind: Option<String>,
    target: Option<String>,
}

#[derive(Serialize)]
struct Sampled {
    tick: u64,
}

#[derive(Serialize)]
struct Forgotten {
    areas: usize,
}

/// What a change works with.
pub(super) struct Workbench<'a> {
    pub(super) desk: &'a Desk,
    pub(super) profiles: &'a Profiles,
    pub(super) snapshot: Arc<Snapshot>,
}

impl Change {
    /// What a path below the prefix changes; none where nothing does.
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/api/v1/sample" => Some(Self::Sample),
            "/api/v1/forget" => Some(Self::Forget),
            PROFILES => Some(Self::Begin),
            _ => profile_id(path).map(|_| Self::End),
        }
    }

    /// Does it.
    pub(super) async fn answer(
        self,
        bench: Workbench<'_>,
        path: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Answer {
        let answer = match self {
            Self::Sample => sample(bench, read(headers, body)).await,
            Self::Forget => forget(bench, read(headers, body)).await,
            Self::Begin => begin(&bench, read(headers, body)),
            Self::End => end(&bench, path, read(headers, body)),
        };
        answer.unwrap_or_else(|refusal| *refusal)
    }
}

fn profile_id(path: &str) -> Option<&str> {
    let id = path.strip_prefix(PROFILES)?.strip_prefix('/')?.strip_suffix("/end")?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}

type Outcome = Result<Answer, Box<Answer>>;

fn refusal(status: StatusCode, sentence: &str) -> Box<Answer> {
    Box::new(Answer::text(status, sentence))
}

/// The body; an empty one is an empty object.
fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Box<Answer>> {
    let text = body::unpacked(headers, "application/json", body, BODY_MAX_BYTES)?;
    let text = if text.is_empty() { &b"{}"[..] } else { &text };
    // serde would take a list of the values in order as well.
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|error| {
            refusal(StatusCode::BAD_REQUEST, &format!("The body is no JSON object: {error}."))
        })?;
    serde_json::from_value(object.into()).map_err(|error| {
        refusal(StatusCode::BAD_REQUEST, &format!("The body is not what is expected: {error}."))
    })
}

fn done(status: StatusCode, value: &impl Serialize) -> Outcome {
    let body = serde_json::to_vec(value)
        .map_err(|error| refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))?;
    Ok(Answer::new(status, "application/json", Bytes::from(body)).with(CACHE_CONTROL, "no-store"))
}

async fn sample(bench: Workbench<'_>, body: Result<Nothing, Box<Answer>>) -> Outcome {
    let Nothing {} = body?;
    match bench.desk.ask(What::Sample).await? {
        Some(tick) => done(StatusCode::OK, &Sampled { tick }),
        None => {
            let sentence =
                "Samples were taken less than a second ago. Look at those, or try again in a moment.";
            Err(Box::new(Answer::text(StatusCode::TOO_MANY_REQUESTS, sentence).with(RETRY_AFTER, "1")))
        }
    }
}

async fn forget(bench: Workbench<'_>, body: Result<Whom, Box<Answer>>) -> Outcome {
    let Whom { kind, target } = body?;
    let mut targets = bench.snapshot.targets.iter().map(|view| &view.target);
    let found = targets.find(|known| known.kind.as_str() == kind && *known.name == *target);
    let target = found.cloned().ok_or_else(|| {
        let sentence = "There is no such target. /api/v1/targets lists those of now, each with its kind.";
        refusal(StatusCode::NOT_FOUND, sentence)
    })?;
    let areas = bench.desk.ask(|reply| What::Forget(target, reply)).await?;
    done(StatusCode::OK, &Forgotten { areas })
}

fn begin(bench: &Workbench<'_>, body: Result<Of, Box<Answer>>) -> Outcome {
    let Of { kind, target } = body?;
    if bench.snapshot.tick == 0 {
        let sentence = "The first samples are being taken. Ask again in a second.";
        return Err(Box::new(Answer::text(StatusCode::SERVICE_UNAVAILABLE, sentence).with(RETRY_AFTER, "1")));
    }
    let begun = bench.profiles.begin(&bench.snapshot, kind, target).ok_or_else(|| {
        let hours = LONGEST_SECS / 3600.0;
        let sentence = format!(
            "All {PROFILES_MAX} profiles are open. End one, or wait until the oldest is forgotten after {hours} hours."
        );
        Box::new(Answer::text(StatusCode::TOO_MANY_REQUESTS, &sentence).with(RETRY_AFTER, "60"))
    })?;
    done(StatusCode::CREATED, &begun)
}

fn end(bench: &Workbench<'_>, path: &str, body: Result<Nothing, Box<Answer>>) -> Outcome {
    let Nothing {} = body?;
    let ended = profile_id(path).and_then(|id| bench.profiles.end(&bench.snapshot, id)).ok_or_else(|| {
        let sentence =
            "There is no open profile with this id. POST /api/v1/profiles begins one and tells its id.";
        refusal(StatusCode::NOT_FOUND, sentence)
    })?;
    done(StatusCode::OK, &ended)
}
