//! The live stream: a WebSocket on which each tick is told as it happens.
//!
//! The tick knows nothing of it but a number that it raises. A task waits for that number, encodes what is new once for
//! all clients, on another thread, and only while somebody listens. Each client has a task of its own; one that does not
//! keep up is let go and never waited for: its queue is the last [`QUEUE`] ticks, shared by all, and what it is sent must
//! have left within [`SEND_PATIENCE`]. One that hides behind large buffers of the kernel is found by the pings that it
//! does not answer.

use super::{
    Pages, StreamEnd,
    answer::Answer,
    api::{Known, News, hello, news},
    seats::{Seat, Seats},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::{
    HeaderMap, StatusCode,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

/// Ticks that wait for the slowest client before it is let go.
const QUEUE: usize = 8;
/// What is sent must have left after this time.
const SEND_PATIENCE: Duration = Duration::from_secs(5);
/// Until the next ping; who has not answered the last one by then is gone.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A farewell takes no longer than this.
const FAREWELL: Duration = Duration::from_secs(1);
/// Clients have nothing to say.
const INCOMING_MAX_BYTES: usize = 1024;
/// What may lie in a client's own buffer: the messages of a tick and some.
const OUTGOING_MAX_BYTES: usize = 2 << 20;
/// What the protocol appends to the key of a client (RFC 6455, 1.3).
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// An encoded key has so many characters.
const KEY_CHARS: usize = 24;

/// The live stream.
pub(super) struct Streams {
    pub(super) pages: Arc<dyn Pages>,
    seats: Arc<Seats>,
    news: broadcast::Sender<Arc<[Utf8Bytes]>>,
    latest: Mutex<Option<Latest>>,
    is_over: watch::Sender<bool>,
}

/// The tick that was encoded last.
struct Latest {
    tick: u64,
    snapshot: Utf8Bytes,
    known: Known,
}

/// A client that may listen, as soon as its connection is its own.
pub(super) struct Listener {
    pub(super) upgrade: OnUpgrade,
    pub(super) seat: Seat,
}

/// Counts a client for as long as it listens.
struct Counted<'a> {
    pages: &'a dyn Pages,
    end: StreamEnd,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.pages.stream_ended(self.end);
    }
}

impl Streams {
    /// So many clients at most; 0 is no limit.
    pub(super) fn new(pages: Arc<dyn Pages>, most: usize) -> Self {
        let (news, is_over) = (broadcast::Sender::new(QUEUE), watch::Sender::new(false));
        Self { pages, seats: Seats::new(most), news, latest: Mutex::default(), is_over }
    }

    /// A seat for one more client.
    pub(super) fn take_seat(&self, peer: IpAddr) -> Option<Seat> {
        self.seats.take(peer)
    }

    /// Tells each tick to those who listen, until it is dropped.
    pub(super) async fn tell(self: Arc<Self>) {
        let mut ticks = self.pages.ticks();
        while ticks.changed().await.is_ok() {
            if self.news.receiver_count() == 0 {
                // Nobody has to be told what changed since then.
                *self.latest() = None;
                continue;
            }
            let this = Arc::clone(&self);
            if let Ok(Some(messages)) = tokio::task::spawn_blocking(move || this.encode()).await {
                // Whoever listened may just have left.
                let _listeners = self.news.send(messages);
            }
        }
    }

    /// No more is told; everyone who listens is sent away.
    pub(super) fn end(&self) {
        self.is_over.send_replace(true);
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Option<Latest>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the current tick is to those who listen; none where they know it.
    fn encode(&self) -> Option<Arc<[Utf8Bytes]>> {
        let snapshot = self.pages.snapshot();
        let mut latest = self.latest();
        if latest.as_ref().is_some_and(|latest| latest.tick == snapshot.tick) {
            return None;
        }
        let now = Known::of(&snapshot);
        let before = latest.as_ref().map_or(&now, |latest| &latest.known);
        let News { snapshot: text, changes } = news(&snapshot, before);
        let text = Utf8Bytes::from(text);
        let messages: Vec<Utf8Bytes> =
            std::iter::once(text.clone()).chain(changes.into_iter().map(Utf8Bytes::from)).collect();
        *latest = Some(Latest { tick: snapshot.tick, snapshot: text, known: now });
        drop(latest);
        Some(messages.into())
    }

    /// What a client is told first.
    fn welcome(&self) -> Vec<Utf8Bytes> {
        // Those who listen already are told with the next tick, by what this one is then compared with.
        if self.latest().is_none() {
            self.encode();
        }
        let snapshot = self.latest().as_ref().map(|latest| latest.snapshot.clone());
        let hello = Utf8Bytes::from(hello(&self.pages.snapshot()));
        std::iter::once(hello).chain(snapshot).collect()
    }

    /// Talks to one client until it leaves or is let go.
    pub(super) async fn serve(self: &Arc<Self>, listener: Listener) {
        let Listener { upgrade, seat } = listener;
        let Ok(io) = upgrade.await else { return };
        let _seat = seat;
        self.pages.stream_opened();
        let mut counted = Counted { pages: &*self.pages, end: StreamEnd::Left };
        let config = WebSocketConfig::default()
            .read_buffer_size(INCOMING_MAX_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(OUTGOING_MAX_BYTES)
            .max_message_size(Some(INCOMING_MAX_BYTES))
            .max_frame_size(Some(INCOMING_MAX_BYTES));
        let mut socket =
            Box::pin(WebSocketStream::from_raw_socket(TokioIo::new(io), Role::Server, Some(config))).await;
        counted.end = self.talk(&mut socket).await;
        let farewell = match counted.end {
            StreamEnd::Left | StreamEnd::Silent => None,
            StreamEnd::Slow => Some((CloseCode::Again, "too slow: open another stream")),
            StreamEnd::Rude => Some((CloseCode::Policy, "nothing is read here")),
            StreamEnd::Over => Some((CloseCode::Away, "the exporter ends")),
        };
        if let Some((code, reason)) = farewell {
            let frame = CloseFrame { code, reason: reason.into() };
            drop(timeout(FAREWELL, socket.close(Some(frame))).await);
        }
    }

    async fn talk(self: &Arc<Self>, socket: &mut WebSocketStream<TokioIo<Upgraded>>) -> StreamEnd {
        let mut told = self.news.subscribe();
        let mut is_over = self.is_over.subscribe();
        let this = Arc::clone(self);
        let Ok(welcome) = tokio::task::spawn_blocking(move || this.welcome()).await else {
            return StreamEnd::Over;
        };
        if let Err(end) = send(socket, &welcome).await {
            return end;
        }
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        let mut was_heard = true;
        loop {
            tokio::select! {
                incoming = socket.next() => match incoming {
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => was_heard = true,
                    Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Frame(_))) => return StreamEnd::Rude,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return StreamEnd::Left,
                },
                messages = told.recv() => match messages {
                    Ok(messages) => if let Err(end) = send(socket, &messages).await { return end },
                    Err(_lags_or_nobody_tells) => return StreamEnd::Slow,
                },
                _ = pings.tick() => {
                    if !was_heard {
                        return StreamEnd::Silent;
                    }
                    was_heard = false;
                    if let Err(end) = send_one(socket, Message::Ping(Vec::new().into())).await { return end }
                },
                () = async { drop(is_over.wait_for(|is_over| *is_over).await) } => return StreamEnd::Over,
            }
        }
    }
}

async fn send(
    socket: &mut WebSocketStream<TokioIo<Upgraded>>,
    messages: &[Utf8Bytes],
) -> Result<(), StreamEnd> {
    let sending = async {
        for message in messages {
            socket.feed(Message::Text(message.clone())).await?;
        }
        socket.flush().await
    };
    match timeout(SEND_PATIENCE, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_gone)) => Err(StreamEnd::Left),
        Err(_elapsed) => Err(StreamEnd::Slow),
    }
}

async fn send_one(
    socket: &mut WebSocketStream<TokioIo<Upgraded>>,
    message: Message,
) -> Result<(), StreamEnd> {
    match timeout(SEND_PATIENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_gone)) => Err(StreamEnd::Left),
        Err(_elapsed) => Err(StreamEnd::Slow),
    }
}

/// The answer that makes a connection a WebSocket.
///
/// # Errors
///
/// The refusal, where the request does not ask for that in the form of RFC 6455.
pub(super) fn handshake(headers: &HeaderMap) -> Result<Answer, Box<Answer>> {
    let has = |name, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
    };
    let key = headers.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
    let key = key.filter(|key| key.len() == KEY_CHARS && STANDARD.decode(key).is_ok());
    let (true, true, true, Some(key)) =
        (has(UPGRADE, "websocket"), has(CONNECTION, "upgrade"), has(SEC_WEBSOCKET_VERSION, "13"), key)
    else {
        let sentence = "This is a WebSocket. Open it with a client for WebSockets, version 13.";
        let refusal = Answer::text(StatusCode::UPGRADE_REQUIRED, sentence);
        return Err(Box::new(
            refusal.with(UPGRADE, "websocket").with(CONNECTION, "upgrade").with(SEC_WEBSOCKET_VERSION, "13"),
        ));
    };
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{KEY_SUFFIX}").as_bytes());
    let accept = HeaderValue::from_str(&STANDARD.encode(digest))
        .unwrap_or_else(|_base64| HeaderValue::from_static(""));
    Ok(Answer::switching()
        .with(UPGRADE, "websocket")
        .with(CONNECTION, "upgrade")
        .with_value(SEC_WEBSOCKET_ACCEPT, accept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    /// The example of RFC 6455, section 1.3.
    #[test]
    fn a_handshake_is_answered_as_the_protocol_says_and_nothing_else_is_one() {
        let whole = [
            (UPGRADE, "WebSocket"),
            (CONNECTION, "keep-alive, Upgrade"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let response = handshake(&headers(&whole)).unwrap().into_response(&[], Arc::default());
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!response.headers().contains_key("content-type"));
        for left_out in 0..whole.len() {
            let mut part = whole.to_vec();
            part.remove(left_out);
            let refusal = handshake(&headers(&part)).unwrap_err();
            assert_eq!(refusal.status, StatusCode::UPGRADE_REQUIRED, "{left_out}");
        }
        let odd = [(SEC_WEBSOCKET_KEY, "not-of-that-length"), (SEC_WEBSOCKET_VERSION, "12")];
        for (name, value) in odd {
            let mut changed = headers(&whole);
            changed.insert(name, HeaderValue::from_static(value));
            assert!(handshake(&changed).is_err(), "{value}");
        }
    }
}
