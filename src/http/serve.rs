//! Serving: accepts connections within their limits, and stops in good order.
//!
//! When all connections are taken, accepting pauses, and those on which nothing is asked are closed: a scraper opens
//! a new one without noticing.

use super::{
    Bound, Door, State,
    access::{Rule, Who},
    answer::{Answer, AnswerBody},
    body,
    desk::Desk,
    gate::{Gate, InForce, Visitor},
    grpc,
    patience::{Patience, Timed, Turn},
    profiles::Profiles,
    routes::{Asked, Reception, Routes},
    seats::{Seat, Seats},
    stream::{Listener, Streams},
};
use hyper::{
    Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{CONNECTION, UPGRADE},
    http::request::Parts,
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

/// Request line and headers together; a larger head is answered with 431.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// Pushes that are taken in at once: each may take a few megabytes while it is read.
const PUSHES_MAX: usize = 8;
/// A connection's buffers: a whole head and some.
const BUFFER_MAX_BYTES: usize = 32 * 1024;
/// After a failed accept (no descriptor is left, mostly) the next try waits: it would fail at once again.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What clients may take of the exporter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once. Scrapers need one or two each.
    pub(super) connections: usize,
    /// Their time.
    pub(super) patience: Patience,
    /// How long running requests may go on after the order to stop.
    pub(super) farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 512, patience: Patience::default(), farewell: Duration::from_secs(5) }
    }
}

impl Bound {
    /// Answers until `shutdown` is done; then accepts no more and lets running requests end, for at most five
    /// seconds.
    ///
    /// # Errors
    ///
    /// The runtime cannot take over a listening socket.
    pub async fn serve(self, state: State, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let limits = self.limits;
        let streams = Arc::new(Streams::new(Arc::clone(&state.pages), self.options.max_streams));
        let server = Arc::new(Server {
            routes: Routes {
                access: Rule {
                    remote_read: self.options.remote_read,
                    external_host: self.site.external_host.clone(),
                },
                site: self.site,
                state,
                desk: Desk::new(Arc::clone(&streams.pages)),
                profiles: Profiles::default(),
                streams: Arc::clone(&streams),
                seats: Seats::new(self.options.max_requests),
                pushing: Seats::new(PUSHES_MAX),
                reading: Semaphore::new(1),
                lifecycle: self.options.enable_lifecycle,
            },
            limits,
            door: Arc::new(self.door),
            gate: Arc::new(Gate::new()),
            room: Arc::new(Semaphore::new(limits.connections)),
            by_peer: Seats::new(limits.connections),
            wish: watch::Sender::new(Wish::EndAfterRequest),
        });
        let mut acceptors = JoinSet::new();
        acceptors.spawn(Arc::clone(&streams).tell());
        for listener in self.listeners {
            let listener = TcpListener::from_std(listener)?;
            acceptors.spawn(Arc::clone(&server).accept_all(listener));
        }
        let entrance = grpc::Entrance {
            door: Arc::clone(&server.door),
            gate: Arc::clone(&server.gate),
            access: server.routes.access.clone(),
        };
        let receiver = grpc::Receiver::new(entrance, &server.routes.state);
        for listener in self.otlp_listeners {
            let listener = TcpListener::from_std(listener)?;
            acceptors.spawn(receiver.clone().accept_all(listener));
        }
        shutdown.await;
        acceptors.shutdown().await;
        streams.end();
        server.farewell().await;
        Ok(())
    }
}

struct Server {
    routes: Routes,
    limits: Limits,
    door: Arc<Door>,
    gate: Arc<Gate>,
    room: Arc<Semaphore>,
    by_peer: Arc<Seats>,
    /// What connections that are open at the time of a change shall do.
    wish: watch::Sender<Wish>,
}

/// What an open connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// End after the request that it is at, or at once if there is none.
    EndAfterRequest,
    /// End now.
    EndNow,
}

/// What a connection holds while it is open.
struct Place {
    _room: OwnedSemaphorePermit,
    _seat: Seat,
}

/// The other end of a connection.
#[derive(Clone, Copy)]
struct Peer {
    address: SocketAddr,
    /// Whether it showed a certificate that was taken.
    has_certificate: bool,
}

impl Server {
    async fn accept_all(self: Arc<Self>, listener: TcpListener) {
        let mut was_failing = false;
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    was_failing = false;
                    // While this waits for room, nobody else is accepted: the others queue in the kernel.
                    let Some(place) = self.place(address).await else { continue };
                    tokio::spawn(Arc::clone(&self).converse(stream, address, place));
                }
                Err(error) if is_of_one_client(&error) => debug!(%error, "a client gave up"),
                Err(error) => {
                    if !was_failing {
                        warn!(%error, "cannot accept connections; trying again until it works");
                    }
                    was_failing = true;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// A place for one more connection; where there is none, idle ones have to go. None for an address that takes
    /// nearly all of them.
    async fn place(&self, address: SocketAddr) -> Option<Place> {
        let room = if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            room
        } else {
            self.wish.send_replace(Wish::EndAfterRequest);
            Arc::clone(&self.room).acquire_owned().await.ok()?
        };
        self.by_peer.take(address.ip()).map(|seat| Place { _room: room, _seat: seat })
    }

    async fn converse(self: Arc<Self>, stream: TcpStream, address: SocketAddr, place: Place) {
        let wish = self.wish.subscribe();
        // Answers are written whole, so waiting to fill a packet would only delay their ends.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let in_force = self.door.in_force().await;
        if let Some(tls) = &in_force.web.tls {
            let handshake = TlsAcceptor::from(Arc::clone(&tls.server)).accept(stream);
            // In a box, because its state is large and most conversations have none.
            if let Some(stream) = Box::pin(self.shake_hands(handshake, address)).await {
                let has_certificate = stream.get_ref().1.peer_certificates().is_some();
                let client = Peer { address, has_certificate };
                Box::pin(self.talk(TokioIo::new(stream), client, wish)).await;
            }
        } else {
            self.talk(TokioIo::new(stream), Peer { address, has_certificate: false }, wish).await;
        }
        drop(place);
    }

    /// Waits for the end of a handshake as long as for a request. Where room is needed, or the exporter ends, it is given
    /// up: nothing has been asked yet.
    async fn shake_hands<S>(
        &self,
        handshake: impl Future<Output = io::Result<S>>,
        address: SocketAddr,
    ) -> Option<S> {
        let mut wish = self.wish.subscribe();
        let outcome = tokio::select! {
            outcome = timeout(self.limits.patience.request, handshake) => outcome,
            Ok(()) = wish.changed() => return None,
        };
        match outcome {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                debug!(%address, %error, "a TLS handshake failed");
                None
            }
            Err(_elapsed) => {
                debug!(%address, "a TLS handshake was not ended in time");
                None
            }
        }
    }

    async fn talk<S: Read + Write + Send + Unpin + 'static>(
        &self,
        stream: S,
        client: Peer,
        mut wish: watch::Receiver<Wish>,
    ) {
        let turn = Arc::new(Turn::default());
        let listener = Mutex::new(None);
        let stream = Timed::new(stream, self.limits.patience, Arc::clone(&turn));
        let service = service_fn(|request| self.respond(request, client, (Arc::clone(&turn), &listener)));
        let mut connection = pin!(
            http1::Builder::new()
                .max_buf_size(BUFFER_MAX_BYTES)
                .max_header_size(HEAD_MAX_BYTES)
                // `Timed` does it, apart for a head and for the pause between two requests.
                .header_read_timeout(None)
                .serve_connection(stream, service)
                .with_upgrades()
        );
        let outcome = loop {
            tokio::select! {
                outcome = connection.as_mut() => break outcome,
                Ok(()) = wish.changed() => match *wish.borrow_and_update() {
                    Wish::EndAfterRequest => connection.as_mut().graceful_shutdown(),
                    Wish::EndNow => break Ok(()),
                },
            }
        };
        if let Err(error) = outcome {
            let address = client.address;
            debug!(%address, error = %format_args!("{:#}", anyhow::Error::new(error)), "a connection ended early");
        }
        let listener = listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = listener {
            tokio::select! {
                () = Box::pin(self.routes.streams.serve(listener)) => {}
                () = async { drop(wish.wait_for(|wish| *wish == Wish::EndNow).await) } => {}
            }
        }
    }

    async fn respond(
        &self,
        mut request: Request<Incoming>,
        client: Peer,
        (turn, listener): (Arc<Turn>, &Mutex<Option<Listener>>),
    ) -> Result<Response<AnswerBody>, Infallible> {
        let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (head, mut incoming) = request.into_parts();
        let has_body = !incoming.is_end_stream();
        if !has_body {
            turn.answering();
        }
        let in_force = self.door.in_force().await;
        let (answer, seat) = match self.admit(&in_force, &head, client).await {
            Ok(who) => {
                let asked = Asked {
                    peer: client.address.ip(),
                    method: &head.method,
                    uri: &head.uri,
                    headers: &head.headers,
                    who,
                };
                self.attend(&asked, &mut incoming, &turn).await
            }
            // What stays outside is not read.
            Err(refusal) if has_body => {
                (self.routes.counted(&head.uri, refusal.with(CONNECTION, "close")), None)
            }
            Err(refusal) => (self.routes.counted(&head.uri, *refusal), None),
        };
        turn.answering();
        match (seat, upgrade) {
            (Some(seat), Some(upgrade)) if answer.status == StatusCode::SWITCHING_PROTOCOLS => {
                turn.stream();
                *listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(Listener { upgrade, seat });
            }
            (Some(seat), _) => turn.hold(seat),
            (None, _) => {}
        }
        Ok(answer.into_response(&in_force.web.headers, turn))
    }

    /// Whether the request may come in, by its head alone, and what is known of who asks.
    async fn admit(&self, in_force: &InForce, head: &Parts, client: Peer) -> Result<Who, Box<Answer>> {
        let visitor = Visitor {
            peer: client.address.ip(),
            headers: &head.headers,
            has_certificate: client.has_certificate,
        };
        self.gate.admit(in_force, &visitor).await
    }

    /// Answers a request that has come in. A body takes memory only of those who may send one.
    async fn attend(
        &self,
        asked: &Asked<'_>,
        incoming: &mut Incoming,
        turn: &Turn,
    ) -> (Answer, Option<Seat>) {
        match self.routes.reception(asked) {
            Reception::Needless => {
                let whole = body::discard(incoming).await;
                turn.answering();
                match whole {
                    Ok(()) => self.routes.answer(asked).await,
                    Err(refusal) => (self.routes.counted(asked.uri, refusal), None),
                }
            }
            Reception::Room { most_bytes, seat } => {
                let body = body::receive(incoming, most_bytes).await;
                turn.answering();
                match body {
                    Ok(body) => (self.routes.answer_with_body(asked, body).await, seat),
                    Err(refusal) => (self.routes.counted(asked.uri, refusal), None),
                }
            }
            Reception::Stream { answer, seat } => (self.routes.counted(asked.uri, *answer), Some(seat)),
            Reception::Refused(refusal) => {
                let is_whole = body::discard(incoming).await.is_ok();
                turn.answering();
                let refusal = if is_whole { *refusal } else { refusal.with(CONNECTION, "close") };
                (self.routes.counted(asked.uri, refusal), None)
            }
        }
    }

    /// Lets running requests end; what is left after the limit is cut off.
    async fn farewell(&self) {
        self.wish.send_replace(Wish::EndAfterRequest);
        let everyone = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        if timeout(self.limits.farewell, self.room.acquire_many(everyone)).await.is_err() {
            warn!("some requests did not end in time; their connections are cut off");
            self.wish.send_replace(Wish::EndNow);
            drop(self.room.acquire_many(everyone).await);
        }
    }
}

/// Whether a failed accept says something of one client and nothing of this machine.
pub(super) fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
