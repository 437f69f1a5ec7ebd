//! An HTTP client that remembers how its last request went: the exporter that uses it says only that it failed.

use super::Failure;
use hyper::{StatusCode, header::RETRY_AFTER};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How a request went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Seen {
    /// No request was made.
    #[default]
    Nothing,
    /// The endpoint answered with this status, and perhaps with how long to wait.
    Answer(StatusCode, Option<Duration>),
    /// No answer came, for this reason.
    Broken(String),
}

impl Seen {
    /// What it means for the batch, by the OTLP specification. `message` is what the exporter said.
    pub(super) fn failure(self, message: &str) -> Failure {
        match self {
            Self::Nothing => Failure::Refused(message.to_owned()),
            Self::Broken(cause) => Failure::later(cause),
            Self::Answer(status, wait) => {
                let cause = format!("the endpoint answers {status}");
                match status.as_u16() {
                    429 | 502 | 503 | 504 => Failure::Later { cause, wait },
                    _ => Failure::Refused(cause),
                }
            }
        }
    }
}

/// The client; clones share what they saw.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    client: Arc<dyn HttpClient>,
    seen: Arc<Mutex<Seen>>,
}

impl Witness {
    pub(super) fn new(client: Arc<dyn HttpClient>) -> Self {
        Self { client, seen: Arc::default() }
    }

    /// What was seen since the last call.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the trait's method returns, as the `async_trait` macro would write it.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Witness {
    fn send_bytes<'client, 'answer>(&'client self, mut request: Request<Bytes>) -> Answer<'answer>
    where
        'client: 'answer,
        Self: 'answer,
    {
        // The exporter takes headers as plain text; so marked, nothing below prints them.
        request.headers_mut().values_mut().for_each(|value| value.set_sensitive(true));
        Box::pin(async move {
            let result = self.client.send_bytes(request).await;
            let seen = match &result {
                Ok(response) => Seen::Answer(response.status(), retry_after(response)),
                Err(error) => Seen::Broken(chain(&**error)),
            };
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            result
        })
    }
}

/// The wait that the answer asks for, if it gives it in seconds; a date would need a clock.
fn retry_after(response: &Response<Bytes>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// The error with all its causes, which its own text leaves out.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    // Some repeat their cause.
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_to_try_again_and_when() {
        let wait = Some(Duration::from_secs(7));
        let answered = |status| Seen::Answer(StatusCode::from_u16(status).unwrap(), wait).failure("failed");
        for status in [429, 502, 503, 504] {
            assert!(
                matches!(answered(status), Failure::Later { wait: asked, .. } if asked == wait),
                "{status}"
            );
        }
        for status in [301, 400, 401, 404, 413, 500] {
            assert!(matches!(answered(status), Failure::Refused(_)), "{status}");
        }
        assert_eq!(Seen::Broken(String::from("no route")).failure("failed"), Failure::later("no route"));
        assert_eq!(Seen::Nothing.failure("too large"), Failure::Refused(String::from("too large")));
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let answer =
            |value: &str| Response::builder().header("retry-after", value).body(Bytes::new()).unwrap();
        assert_eq!(retry_after(&answer("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&answer("Fri, 31 Dec 1999 23:59:59 GMT")), None);
    }
}
