//! Answers: status, type and body, with the headers that all of them carry.

use super::patience::Turn;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS},
};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The type of plain sentences.
const TEXT: &str = "text/plain; charset=utf-8";

/// An answer before it is sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// An answer with this body of this type; a type that no header can hold is plain text.
    pub(super) fn new(status: StatusCode, content_type: &str, body: Bytes) -> Self {
        let content_type =
            HeaderValue::from_str(content_type).unwrap_or_else(|_| HeaderValue::from_static(TEXT));
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, content_type);
        Self { status, headers, body }
    }

    /// A plain sentence; the line's end is added.
    pub(super) fn text(status: StatusCode, sentence: &str) -> Self {
        Self::new(status, TEXT, Bytes::from(format!("{sentence}\n")))
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// The words of a plain refusal; none for any other answer.
    pub(super) fn refusing_words(&self) -> Option<&str> {
        let is_plain = self.headers.get(CONTENT_TYPE).is_some_and(|value| value == TEXT);
        let is_refusal = self.status.is_client_error() || self.status.is_server_error();
        let words = str::from_utf8(&self.body).ok().filter(|_| is_plain && is_refusal)?;
        Some(words.trim_end())
    }

    /// The same with what another one has in its headers beside the type.
    pub(super) fn with_headers_of(mut self, other: &Self) -> Self {
        for (name, value) in other.headers.iter().filter(|(name, _)| *name != CONTENT_TYPE) {
            self.headers.insert(name, value.clone());
        }
        self
    }

    /// The response, with these headers in the place of its own where both have one. hyper adds the length of the body,
    /// and for HEAD leaves the body out.
    pub(super) fn into_response(
        self,
        headers: &[(HeaderName, HeaderValue)],
        turn: Arc<Turn>,
    ) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody { bytes: Full::new(self.body), turn });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        for (name, value) in headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }
}

/// A body that says when it has been handed over.
#[derive(Debug)]
pub(super) struct AnswerBody {
    bytes: Full<Bytes>,
    turn: Arc<Turn>,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.bytes).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        self.turn.handed_over();
    }
}
