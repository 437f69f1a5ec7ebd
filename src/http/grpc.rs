//! OTLP over gRPC, on addresses of its own: the same messages, for the same clients, into the same inbox.
//!
//! Its connections are apart from those of the pages, so that neither can take the other's. Each is bounded in streams and
//! buffers, and each call in time and size.

use super::{
    Door, Pages, State,
    access::{Audience, Client, Rule},
    gate::{Gate, InForce, Visitor},
    otlp::{self, Refusal},
    push::SHUT,
    seats::Seats,
    serve::{ACCEPT_PAUSE, is_of_one_client},
};
use crate::inbox::Inbox;
use bytes::{Buf as _, BufMut as _, Bytes};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{HOST, HeaderValue},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message as _;
use rustls::ServerConfig;
use std::{convert::Infallible, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::{
    Status,
    body::Body,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};
use tracing::{debug, warn};

/// Connections at once: a program holds one for as long as it runs.
const CONNECTIONS: usize = 64;
/// Calls at once, of all connections.
const CALLS: usize = 8;
/// And of one connection.
const STREAMS: u32 = 4;
/// What may wait unread on one connection, and of one call: the least that the protocol knows.
const WINDOW_BYTES: u32 = 65_535;
/// Bytes of the headers of a call.
const HEAD_MAX_BYTES: u32 = 16 * 1024;
/// Time for one call, its body included.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
/// A connection on which nothing is heard for so long is asked whether it is still there.
const STILL_THERE: Duration = Duration::from_secs(60);
/// What is called.
const EXPORT_PATH: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// The value of the `handler` label.
const HANDLER: &str = "otlp_grpc";

/// Who may come in: as everywhere, by the web file and then by the rule.
pub(super) struct Entrance {
    pub(super) door: Arc<Door>,
    pub(super) gate: Arc<Gate>,
    pub(super) access: Rule,
}

/// The other end of a connection.
#[derive(Clone, Copy)]
struct Peer {
    address: SocketAddr,
    has_certificate: bool,
}

/// Takes in OTLP over gRPC.
#[derive(Clone)]
pub(super) struct Receiver {
    entrance: Arc<Entrance>,
    pages: Arc<dyn Pages>,
    connections: Arc<Seats>,
    calls: Arc<Seats>,
    taker: Taker,
}

/// Takes in the message of a call.
#[derive(Clone)]
struct Taker {
    inbox: Arc<Inbox>,
    /// One message is read at a time.
    reading: Arc<Semaphore>,
}

/// Messages as the bytes that they are: the ready-made service would build each of them whole, on the thread that
/// everybody waits for.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Receiver {
    pub(super) fn new(entrance: Entrance, state: &State) -> Self {
        Self {
            entrance: Arc::new(entrance),
            pages: Arc::clone(&state.pages),
            connections: Seats::new(CONNECTIONS),
            calls: Seats::new(CALLS),
            taker: Taker { inbox: Arc::clone(&state.inbox), reading: Arc::new(Semaphore::new(1)) },
        }
    }

    /// Accepts connections until it is dropped, and with it all that it accepted.
    pub(super) async fn accept_all(self, listener: TcpListener) {
        let mut conversations = tokio::task::JoinSet::new();
        loop {
            // Those that have ended give their memory back.
            while conversations.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, address)) => {
                    conversations.spawn(self.clone().converse(stream, address));
                }
                Err(error) if is_of_one_client(&error) => debug!(%error, "a client gave up"),
                Err(error) => {
                    warn!(%error, "cannot accept connections for OTLP; trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn converse(self, stream: TcpStream, address: SocketAddr) {
        let Some(_seat) = self.connections.take(address.ip()) else {
            debug!(%address, "too many connections for OTLP; one was closed");
            return;
        };
        let in_force = self.entrance.door.in_force().await;
        let Some(tls) = &in_force.web.tls else {
            return self.talk(stream, Peer { address, has_certificate: false }).await;
        };
        // The same certificates and suites; only what is spoken above them is another.
        let mut server = ServerConfig::clone(&tls.server);
        server.alpn_protocols = vec![b"h2".to_vec()];
        match timeout(CALL_PATIENCE, TlsAcceptor::from(Arc::new(server)).accept(stream)).await {
            Ok(Ok(stream)) => {
                let has_certificate = stream.get_ref().1.peer_certificates().is_some();
                self.talk(stream, Peer { address, has_certificate }).await;
            }
            Ok(Err(error)) => debug!(%address, %error, "a TLS handshake for OTLP failed"),
            Err(_elapsed) => debug!(%address, "a TLS handshake for OTLP was not ended in time"),
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, peer: Peer) {
        let service = service_fn(|request| self.clone().respond(request, peer));
        let outcome = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(HEAD_MAX_BYTES)
            .keep_alive_interval(STILL_THERE)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = outcome {
            debug!(address = %peer.address, %error, "a connection for OTLP ended early");
        }
    }

    async fn respond(self, request: Request<Incoming>, peer: Peer) -> Result<Response<Body>, Infallible> {
        let pages = Arc::clone(&self.pages);
        let (response, code) = match self.call(request, peer).await {
            Ok(response) => (response, 200),
            Err((status, code)) => (status.into_http(), code),
        };
        pages.count_request(HANDLER, code);
        Ok(response)
    }

    /// The answer of the service, or why it was not asked, with the code that HTTP has for that.
    async fn call(self, mut request: Request<Incoming>, peer: Peer) -> Result<Response<Body>, (Status, u16)> {
        // HTTP/2 names the host in the request line alone.
        let host =
            request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
        if let Some(host) = host
            && !request.headers().contains_key(HOST)
        {
            request.headers_mut().insert(HOST, host);
        }
        self.entrance.admit(&request, peer).await?;
        let too_many = || (Status::resource_exhausted("too many calls at once; try again in a moment"), 503);
        let _seat = self.calls.take(peer.address.ip()).ok_or_else(too_many)?;
        if request.uri().path() != EXPORT_PATH {
            return Err((Status::unimplemented("metrics are taken in here, and nothing else"), 404));
        }
        let mut service = Grpc::new(Raw)
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(otlp::BODY_MAX_BYTES);
        match timeout(CALL_PATIENCE, service.unary(self.taker, request)).await {
            Ok(response) => Ok(response),
            Err(_elapsed) => {
                Err((Status::deadline_exceeded("the message did not arrive whole in time"), 408))
            }
        }
    }
}

impl Entrance {
    async fn admit(&self, request: &Request<Incoming>, peer: Peer) -> Result<(), (Status, u16)> {
        let (peer, has_certificate) = (peer.address.ip(), peer.has_certificate);
        let in_force: Arc<InForce> = self.door.in_force().await;
        let visitor = Visitor { peer, headers: request.headers(), has_certificate };
        let who = self.gate.admit(&in_force, &visitor).await.map_err(|refusal| {
            let words = refusal.refusing_words().unwrap_or_default();
            let status = match refusal.status {
                StatusCode::UNAUTHORIZED => Status::unauthenticated(words),
                _in_a_moment => Status::resource_exhausted(words),
            };
            (status, refusal.status.as_u16())
        })?;
        let client = Client { peer, headers: request.headers(), uri_host: request.uri().host(), who };
        self.access
            .admit(Audience::Pushers, &client)
            .map_err(|sentence| (Status::permission_denied(sentence), 403))
    }
}

impl UnaryService<Bytes> for Taker {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let Self { inbox, reading } = self.clone();
        Box::pin(async move {
            let _alone = reading.acquire().await;
            let read = spawn_blocking(move || otlp::take_in(&inbox, &request.into_inner())).await;
            match read {
                Ok(Ok(response)) => Ok(tonic::Response::new(response.encode_to_vec().into())),
                Ok(Err(Refusal::Shut)) => Err(Status::failed_precondition(SHUT)),
                Ok(Err(Refusal::Malformed)) => {
                    Err(Status::invalid_argument("the message is no ExportMetricsServiceRequest"))
                }
                Err(_panicked) => Err(Status::internal("the message could not be read; please report this")),
            }
        })
    }
}

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
