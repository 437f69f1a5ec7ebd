//! Serving: accepts connections within their limits, and stops in good order.
//!
//! When all connections are taken, accepting pauses, and those on which nothing is asked are closed: a scraper opens
//! a new one without noticing.

use super::{
    Bound, State,
    access::Rule,
    answer::AnswerBody,
    body, grpc,
    patience::{Patience, Timed, Turn},
    routes::{Asked, Reception, Routes},
    seats::{Seat, Seats},
};
use hyper::{
    Request, Response, body::Incoming, header::CONNECTION, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
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
        let server = Arc::new(Server {
            routes: Routes {
                access: Rule {
                    remote_read: self.options.remote_read,
                    external_host: self.site.external_host.clone(),
                },
                site: self.site,
                state,
                seats: Seats::new(self.options.max_requests),
                pushing: Seats::new(PUSHES_MAX),
                reading: Semaphore::new(1),
                lifecycle: self.options.enable_lifecycle,
            },
            limits,
            room: Arc::new(Semaphore::new(limits.connections)),
            by_peer: Seats::new(limits.connections),
            wish: watch::Sender::new(Wish::EndAfterRequest),
        });
        let mut acceptors = JoinSet::new();
        for listener in self.listeners {
            let listener = TcpListener::from_std(listener)?;
            acceptors.spawn(Arc::clone(&server).accept_all(listener));
        }
        let receiver = grpc::Receiver::new(server.routes.access.clone(), &server.routes.state);
        for listener in self.otlp_listeners {
            let listener = TcpListener::from_std(listener)?;
            acceptors.spawn(receiver.clone().accept_all(listener));
        }
        shutdown.await;
        acceptors.shutdown().await;
        server.farewell().await;
        Ok(())
    }
}

struct Server {
    routes: Routes,
    limits: Limits,
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
        let mut wish = self.wish.subscribe();
        // Answers are written whole, so waiting to fill a packet would only delay their ends.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "cannot set TCP_NODELAY");
        }
        let turn = Arc::new(Turn::default());
        let stream = Timed::new(TokioIo::new(stream), self.limits.patience, Arc::clone(&turn));
        let service = service_fn(|request| self.respond(request, address, Arc::clone(&turn)));
        let mut connection = pin!(
            http1::Builder::new()
                .max_buf_size(BUFFER_MAX_BYTES)
                .max_header_size(HEAD_MAX_BYTES)
                // `Timed` does it, apart for a head and for the pause between two requests.
                .header_read_timeout(None)
                .serve_connection(stream, service)
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
            debug!(%address, error = %format_args!("{:#}", anyhow::Error::new(error)), "a connection ended early");
        }
        drop(place);
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        address: SocketAddr,
        turn: Arc<Turn>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let (head, mut incoming) = request.into_parts();
        let asked =
            Asked { peer: address.ip(), method: &head.method, uri: &head.uri, headers: &head.headers };
        let (answer, seat) = match self.routes.reception(&asked) {
            Reception::Needless => {
                let whole = body::discard(&mut incoming).await;
                turn.answering();
                match whole {
                    Ok(()) => self.routes.answer(&asked).await,
                    Err(refusal) => (self.routes.refused(&asked, refusal), None),
                }
            }
            // A body takes memory only of those who may send one.
            Reception::Room { most_bytes, seat } => {
                let body = body::receive(&mut incoming, most_bytes).await;
                turn.answering();
                match body {
                    Ok(body) => (self.routes.answer_with_body(&asked, body).await, seat),
                    Err(refusal) => (self.routes.refused(&asked, refusal), None),
                }
            }
            Reception::Refused(refusal) => {
                let is_whole = body::discard(&mut incoming).await.is_ok();
                turn.answering();
                let refusal = if is_whole { *refusal } else { refusal.with(CONNECTION, "close") };
                (self.routes.refused(&asked, refusal), None)
            }
        };
        if let Some(seat) = seat {
            turn.hold(seat);
        }
        Ok(answer.into_response(turn))
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
