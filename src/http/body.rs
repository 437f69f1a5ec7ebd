//! Bodies of requests: taken in up to a bound, unpacked up to a bound, or thrown away.

use super::answer::Answer;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    HeaderMap, StatusCode,
    body::{Body as _, Bytes, Incoming},
    header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE},
};
use std::{borrow::Cow, error::Error, io::Read as _};

/// So much of a body that nobody reads is taken in and thrown away, so that the connection can be kept.
const DISCARDED_MAX_BYTES: usize = 64 * 1024;

/// Takes in a body that nobody reads. Its time is limited together with the head's.
pub(super) async fn discard(body: &mut Incoming) -> Result<(), Answer> {
    if body.is_end_stream() {
        return Ok(());
    }
    if is_longer(body, DISCARDED_MAX_BYTES) {
        return Err(too_large(DISCARDED_MAX_BYTES));
    }
    let mut body = Limited::new(body, DISCARDED_MAX_BYTES);
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| refusal(&*error, DISCARDED_MAX_BYTES))?;
    }
    Ok(())
}

/// Takes in a body of at most so many bytes.
pub(super) async fn receive(body: &mut Incoming, most_bytes: usize) -> Result<Bytes, Answer> {
    if is_longer(body, most_bytes) {
        return Err(too_large(most_bytes));
    }
    let collected = Limited::new(body, most_bytes).collect().await;
    collected.map(|collected| collected.to_bytes()).map_err(|error| refusal(&*error, most_bytes))
}

fn is_longer(body: &Incoming, most_bytes: usize) -> bool {
    usize::try_from(body.size_hint().lower()).map_or(true, |bytes| bytes > most_bytes)
}

fn refusal(error: &(dyn Error + Send + Sync + 'static), most_bytes: usize) -> Answer {
    if error.is::<LengthLimitError>() {
        return too_large(most_bytes);
    }
    let sentence = "The body of the request did not arrive whole, or not in time.";
    Answer::text(StatusCode::REQUEST_TIMEOUT, sentence).with(CONNECTION, "close")
}

/// The rest of such a body is not awaited, so the connection cannot be kept.
fn too_large(most_bytes: usize) -> Answer {
    let sentence = format!(
        "The body is larger than the {} KiB that are taken in here; send less at once.",
        most_bytes / 1024
    );
    Answer::text(StatusCode::PAYLOAD_TOO_LARGE, &sentence).with(CONNECTION, "close")
}

/// Whether a body says that it is of this type.
pub(super) fn is_of_type(headers: &HeaderMap, content_type: &str) -> bool {
    essence(headers).eq_ignore_ascii_case(content_type)
}

fn essence(headers: &HeaderMap) -> &str {
    let written = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    written.split(';').next().unwrap_or_default().trim()
}

/// The body as it was meant: of this type, unpacked to at most so many bytes.
pub(super) fn unpacked<'a>(
    headers: &HeaderMap,
    content_type: &str,
    body: &'a Bytes,
    most_bytes: usize,
) -> Result<Cow<'a, [u8]>, Box<Answer>> {
    let essence = essence(headers);
    if !essence.eq_ignore_ascii_case(content_type) {
        let sentence = format!("The Content-Type is {essence:?}; send {content_type}.");
        return Err(Box::new(Answer::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, &sentence)));
    }
    match headers.get(CONTENT_ENCODING).map_or("identity", |value| value.to_str().unwrap_or("unreadable")) {
        "identity" => Ok(Cow::Borrowed(body)),
        "gzip" => gunzip(body, most_bytes).map(Cow::Owned),
        other => {
            let sentence = format!("The Content-Encoding is {other:?}; send gzip, or nothing packed.");
            Err(Box::new(Answer::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, &sentence)))
        }
    }
}

fn gunzip(body: &[u8], most_bytes: usize) -> Result<Vec<u8>, Box<Answer>> {
    let mut unpacked = Vec::new();
    let bound = u64::try_from(most_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let unpacking = MultiGzDecoder::new(body).take(bound).read_to_end(&mut unpacked);
    unpacking.map_err(|error| {
        let sentence = format!("The body is not gzip as its header says: {error}.");
        Box::new(Answer::text(StatusCode::BAD_REQUEST, &sentence))
    })?;
    if unpacked.len() > most_bytes { Err(Box::new(too_large(most_bytes))) } else { Ok(unpacked) }
}
