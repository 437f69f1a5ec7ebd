//! One place that is asked again and again: who hangs is asked less often, and nothing is asked twice at a time.

use crate::{
    collect::{Program, Spawn},
    config::applications::Place,
    fetch::Client,
};
use rustix::fs::OFlags;
use serde_json::Value;
use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};
use tokio::task::JoinHandle;

/// A document with a few numbers. As a tree it takes up to thirty times as much.
pub(super) const MOST_DOCUMENT_BYTES: usize = 1024 * 1024;
/// A command or a file that tells a number tells it in less.
const MOST_TEXT_BYTES: usize = 64 * 1024;
/// Whoever hangs is left alone for so many readings at most.
const MOST_SKIPPED: u32 = 16;

/// What came of asking: nothing where it was not asked this time.
pub(super) type Answer<T> = Option<Result<T, String>>;

/// How often whoever hangs is asked: every reading would have to wait for it.
#[derive(Debug, Default)]
pub(super) struct Patience {
    pause: u32,
    left: u32,
}

impl Patience {
    /// Waits for an answer for so long; none without asking while a pause is not over.
    pub(super) async fn ask<T>(
        &mut self,
        timeout: Duration,
        question: impl Future<Output = Result<T, String>>,
    ) -> Answer<T> {
        if self.left > 0 {
            self.left -= 1;
            return None;
        }
        if let Ok(answer) = tokio::time::timeout(timeout, question).await {
            *self = Self::default();
            return Some(answer);
        }
        self.pause = (self.pause * 2).clamp(1, MOST_SKIPPED);
        self.left = self.pause;
        Some(Err(format!("gives no answer within {timeout:?}")))
    }
}

/// A document that is read again and again.
pub(super) struct Pull {
    pub(super) place: Place,
    patience: Patience,
    /// A reading of a file that has not come back: of a file system that hangs there is one thread and no second.
    pending: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

/// What a document is read with.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) client: &'a Result<Client, String>,
    pub(super) spawn: Spawn,
    pub(super) timeout: Duration,
}

impl Pull {
    pub(super) fn new(place: Place) -> Self {
        Self { place, patience: Patience::default(), pending: None }
    }

    /// Reads the document. The error follows the place.
    pub(super) async fn read(&mut self, means: Means<'_>) -> Answer<Value> {
        let Self { place, patience, pending } = self;
        let question = async {
            let bytes = match place {
                Place::Url(url) => {
                    let client = means.client.as_ref().map_err(String::clone)?;
                    let mut bytes = Vec::new();
                    let take = |piece: &[u8]| {
                        bytes.extend_from_slice(piece);
                        Ok(())
                    };
                    client.get(url, MOST_DOCUMENT_BYTES, take).await?;
                    bytes
                }
                Place::File(path) => file(path, pending).await?,
                Place::Command(arguments) => {
                    // Beyond that nobody waits for it, which ends it too; the bound is its own all the same.
                    let (arguments, timeout) = (arguments.clone(), means.timeout * 2);
                    (means.spawn)(Program { arguments, most_bytes: MOST_TEXT_BYTES, timeout }).await?
                }
            };
            serde_json::from_slice(&bytes)
                .map_err(|error| format!("tells neither a number nor JSON: {error}"))
        };
        patience.ask(means.timeout, question).await
    }
}

async fn file(path: &Path, pending: &mut Option<JoinHandle<io::Result<Vec<u8>>>>) -> Result<Vec<u8>, String> {
    let reading = pending.get_or_insert_with(|| {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || content(&path))
    });
    let read = reading.await;
    *pending = None;
    match read {
        Ok(Ok(bytes)) if bytes.len() > MOST_TEXT_BYTES => Err(String::from("holds more than 64 KiB")),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(format!("cannot be read: {error}")),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// The content of a file, up to a byte more than it may have. A pipe that nobody writes to is empty and no trap.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut bytes = Vec::new();
    file.take(MOST_TEXT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The number at a place of a document; the error follows the document's place.
pub(super) fn number(document: &Value, pointer: &str) -> Result<f64, String> {
    let shown = || if pointer.is_empty() { String::from("as a whole") } else { format!("at {pointer}") };
    let number = match document.pointer(pointer) {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() && number >= 0.0 => Ok(number),
        Some(_) => Err(format!("holds no size {}: it is below 0 or no number", shown())),
        None => Err(format!("holds no number {}", shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_pointer() {
        let document = serde_json::json!({"caches": {"bridge/x": {"bytes": 5e6, "text": " 7 ", "bad": -1}, "b": [1, 2]}});
        let check = |pointer: &str, expected: Result<f64, &str>| match (number(&document, pointer), expected)
        {
            (Ok(found), Ok(expected)) => assert!((found - expected).abs() < 1e-9, "{pointer}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{pointer}: {error}"),
            (found, _) => panic!("{pointer}: {found:?}"),
        };
        check("/caches/bridge~1x/bytes", Ok(5e6));
        check("/caches/bridge~1x/text", Ok(7.0));
        check("/caches/b/1", Ok(2.0));
        check("/caches/bridge~1x/bad", Err("below 0"));
        check("/caches/b", Err("no number at /caches/b"));
        check("", Err("no number as a whole"));
        assert_eq!(number(&serde_json::json!(12), ""), Ok(12.0));
    }

    #[test]
    fn whoever_hangs_is_asked_ever_less_often_and_once_it_answers_always() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut patience = Patience::default();
        let mut ask = |hangs: bool| {
            let question = async {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<u32, String>(1)
            };
            runtime.block_on(patience.ask(Duration::from_millis(1), question))
        };
        let asked: Vec<usize> = (0..60).filter(|_| ask(true).is_some()).collect();
        assert_eq!(asked, [0, 2, 5, 10, 19, 36, 53]);
        while ask(false).is_none() {}
        assert_eq!((ask(false), ask(false)), (Some(Ok(1)), Some(Ok(1))));
    }

    #[test]
    fn a_pipe_and_an_endless_file_are_no_traps() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fifo = std::env::temp_dir().join(format!("memleak-fifo-{}", std::process::id()));
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from(0o600)).unwrap();
        let read = |path: &str| runtime.block_on(file(Path::new(path), &mut None));
        let empty = read(&fifo.to_string_lossy());
        std::fs::remove_file(&fifo).unwrap();
        assert_eq!(empty, Ok(Vec::new()));
        assert_eq!(read("/dev/zero"), Err("holds more than 64 KiB".into()));
        assert!(read("/absent").unwrap_err().contains("cannot be read: No such file"));
    }
}
