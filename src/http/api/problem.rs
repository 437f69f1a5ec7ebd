//! Answers that something is wrong: `application/problem+json` (RFC 9457) that says what, where and what to do.

use crate::http::answer::Answer;
use hyper::{StatusCode, body::Bytes, header::CACHE_CONTROL};
use serde::Serialize;

/// Where somebody finds what is answered here.
const SEE_DOCUMENT: &str = "/api/v1/openapi.json tells what is answered here, and how.";

/// What is wrong with a request.
#[derive(Debug)]
pub(in crate::http) struct Problem {
    status: StatusCode,
    detail: String,
    help: String,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    help: &'a str,
}

impl Problem {
    /// A problem with what it is and what to do about it.
    pub(in crate::http) fn new(status: StatusCode, detail: &str, help: &str) -> Self {
        Self { status, detail: detail.into(), help: help.into() }
    }

    /// The query is wrong.
    pub(super) fn query(detail: String, help: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, detail, help }
    }

    /// There is nothing at this path.
    pub(in crate::http) fn nothing() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing at this path.", SEE_DOCUMENT)
    }

    /// The exporter itself failed.
    pub(in crate::http) fn ours(detail: &str) -> Self {
        let help = "Please report this, with the address that was asked for.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail, help)
    }

    /// Whether it will have passed soon.
    pub(super) fn passes(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// The answer to a request for this path.
    pub(in crate::http) fn answer(&self, path: &str) -> Answer {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: path,
            help: &self.help,
        };
        // Six texts and a number always become JSON.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        Answer::new(self.status, "application/problem+json", Bytes::from(body))
            .with(CACHE_CONTROL, "no-store")
    }
}

/// A refusal in plain words as a problem: the first sentence says what, the others what to do. Anything else is as it was.
pub(in crate::http) fn in_form(answer: Answer, path: &str) -> Answer {
    let Some(words) = answer.refusing_words() else { return answer };
    let (detail, help) = words.split_once(". ").unwrap_or((words, SEE_DOCUMENT));
    let detail = format!("{}.", detail.trim_end_matches('.'));
    Problem::new(answer.status, &detail, help).answer(path).with_headers_of(&answer)
}
