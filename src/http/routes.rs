//! The routes: which path is what, for whom, by which methods, and the answer to each.

use super::{
    Pages, ReloadRequest, State, Wanted,
    access::{Audience, Client, Rule, Who},
    answer::Answer,
    api,
    change::{self, Change, Workbench},
    desk::{Desk, What},
    otlp, page,
    profiles::Profiles,
    push, query,
    seats::{Seat, Seats},
    site::Site,
    stream::{self, Streams},
};
use crate::{
    export::prometheus::{negotiate::accepts_gzip, selection::Selection},
    snapshot::Snapshot,
};
use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    body::Bytes,
    header::{
        ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderName,
        REFERRER_POLICY, RETRY_AFTER, VARY, X_FRAME_OPTIONS,
    },
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc::error::TrySendError, oneshot},
    task::JoinError,
    time::timeout,
};

/// The small status for the frames of other pages.
const WIDGET_PATH: &str = "/widget";
/// Where samples are pushed as JSON.
const PUSH_PATH: &str = "/api/v1/samples";
/// Where OTLP over HTTP is taken in, as its specification says.
const OTLP_PATH: &str = "/v1/metrics";
/// A body that is not packed and at most so long is read in less than a millisecond.
const SHORT_BODY_BYTES: usize = 16 * 1024;
/// How long a reload may take until whoever asked is told that it goes on without an answer.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);
const TOO_MANY: &str = "Too many requests at once (--web.max-requests); try again in a moment.";
/// The page may load what the exporter serves and nothing else, and nobody may frame it.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The widget likewise, but everybody may frame it.
const WIDGET_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors *";

/// Everything that answers requests.
pub(super) struct Routes {
    pub(super) site: Site,
    pub(super) access: Rule,
    pub(super) state: State,
    /// Where the tick is asked.
    pub(super) desk: Desk,
    /// The open profiles.
    pub(super) profiles: Profiles,
    /// For those who listen to each tick.
    pub(super) streams: Arc<Streams>,
    /// For the answers that cost something.
    pub(super) seats: Arc<Seats>,
    /// For those who push, apart from those who read.
    pub(super) pushing: Arc<Seats>,
    /// For the one of them whose long body is being read.
    pub(super) reading: Semaphore,
    /// Whether a reload may be asked for.
    pub(super) lifecycle: bool,
}

/// The head of a request and who sends it.
pub(super) struct Asked<'a> {
    pub(super) peer: IpAddr,
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// What is known of who asks.
    pub(super) who: Who,
}

/// What becomes of a request's body.
pub(super) enum Reception {
    /// Nobody reads it.
    Needless,
    /// It is read up to so many bytes, on this seat.
    Room { most_bytes: usize, seat: Option<Seat> },
    /// Nobody reads it, and what comes behind the answer is a stream, on this seat.
    Stream { answer: Box<Answer>, seat: Seat },
    /// Whoever sends it may not, or finds no seat.
    Refused(Box<Answer>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Metrics,
    Healthy,
    Ready,
    Reload,
    Push,
    Otlp,
    /// Something of the API that changes something.
    Change(Change),
    Page,
    Widget,
    /// A file of the page, by its number.
    File(usize),
    /// Below the API's root, which answers nothing but JSON; none where there is nothing.
    Api(Option<api::Endpoint>),
    /// The live stream of it.
    Stream,
    Nothing,
}

impl Route {
    /// The value of the `handler` label.
    const fn handler(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Healthy => "healthy",
            Self::Ready => "ready",
            Self::Reload => "reload",
            Self::Push => "push",
            Self::Change(_) => "change",
            Self::Otlp => "otlp",
            Self::Page => "page",
            Self::Widget => "widget",
            Self::File(_) => "static",
            Self::Api(_) => "api",
            Self::Stream => "stream",
            Self::Nothing => "other",
        }
    }

    /// Who may see that the route is there at all.
    const fn audience(self) -> Audience {
        match self {
            Self::Metrics | Self::Healthy | Self::Ready => Audience::Everyone,
            Self::Page | Self::Widget | Self::File(_) | Self::Api(_) | Self::Nothing => Audience::Readers,
            Self::Stream => Audience::Listeners,
            Self::Push | Self::Otlp => Audience::Pushers,
            Self::Reload | Self::Change(_) => Audience::Changers,
        }
    }

    /// The methods, as the Allow header names them.
    const fn allowed(self) -> &'static str {
        match self {
            Self::Reload => "POST, PUT",
            Self::Push | Self::Otlp | Self::Change(_) => "POST",
            Self::Stream => "GET",
            _reading => "GET, HEAD",
        }
    }

    fn allows(self, method: &Method) -> bool {
        match self {
            Self::Nothing | Self::Api(None) => true,
            route => route.allowed().split(", ").any(|allowed| allowed == method.as_str()),
        }
    }

    /// The longest body that is read; none where none is.
    const fn most_body_bytes(self) -> Option<usize> {
        match self {
            Self::Push => Some(push::BODY_MAX_BYTES),
            Self::Otlp => Some(otlp::BODY_MAX_BYTES),
            Self::Change(_) => Some(change::BODY_MAX_BYTES),
            _reading => None,
        }
    }

    /// Whether an answer costs enough to be limited. Health checks are not: a busy exporter is not a dead one.
    const fn takes_a_seat(self) -> bool {
        matches!(
            self,
            Self::Metrics | Self::Page | Self::Widget | Self::Api(Some(_)) | Self::Change(_) | Self::Reload
        )
    }
}

impl Routes {
    /// Whether a body is taken in with this request.
    pub(super) fn reception(&self, asked: &Asked<'_>) -> Reception {
        let route = self.route(asked.uri.path());
        if route == Route::Stream {
            return self.opened(asked).unwrap_or_else(Reception::Refused);
        }
        let Some(most_bytes) = route.most_body_bytes() else { return Reception::Needless };
        match self.admit(route, asked) {
            Ok(seat) => Reception::Room { most_bytes, seat },
            Err(refusal) => Reception::Refused(refusal),
        }
    }

    /// The beginning of a stream. Seats are those of streams alone, so that they take none from who asks once.
    fn opened(&self, asked: &Asked<'_>) -> Result<Reception, Box<Answer>> {
        self.admit(Route::Stream, asked)?;
        let answer = stream::handshake(asked.headers)?;
        let seat = self.streams.take_seat(asked.peer).ok_or_else(|| {
            let sentence =
                "Too many live streams at once (--web.max-streams). Ask /api/v1/areas now and then.";
            Box::new(Answer::text(StatusCode::SERVICE_UNAVAILABLE, sentence).with(RETRY_AFTER, "60"))
        })?;
        Ok(Reception::Stream { answer: Box::new(answer), seat })
    }

    /// Answers a request without a body, counts it, and gives the seat to be held until the answer has left.
    pub(super) async fn answer(&self, asked: &Asked<'_>) -> (Answer, Option<Seat>) {
        let route = self.route(asked.uri.path());
        let (answer, seat) = match self.admit(route, asked) {
            Ok(seat) => (self.answer_admitted(route, asked).await, seat),
            Err(refusal) => (*refusal, None),
        };
        (self.finished(route, asked.uri, answer), seat)
    }

    /// Answers a request with its body, for which there was room, and counts it.
    pub(super) async fn answer_with_body(&self, asked: &Asked<'_>, body: Bytes) -> Answer {
        let route = self.route(asked.uri.path());
        if let Route::Change(change) = route {
            let snapshot = self.state.pages.snapshot();
            let bench = Workbench { desk: &self.desk, profiles: &self.profiles, snapshot };
            let path = self.site.below_prefix(asked.uri.path()).unwrap_or_default();
            let answer = change.answer(bench, path, asked.headers, &body).await;
            return self.finished(route, asked.uri, answer);
        }
        let is_short = body.len() <= SHORT_BODY_BYTES && !asked.headers.contains_key(CONTENT_ENCODING);
        let (inbox, headers) = (Arc::clone(&self.state.inbox), asked.headers.clone());
        let take_in = move || match route {
            Route::Otlp => otlp::answer(&inbox, &headers, &body),
            _push => push::answer(&inbox, &headers, &body),
        };
        let answer = if is_short {
            Ok(take_in())
        } else {
            // What takes long to read goes to another thread, or a hostile body would keep those who scrape waiting; and
            // one after the other, since it may take much memory while it is read.
            let _alone = self.reading.acquire().await;
            tokio::task::spawn_blocking(take_in).await
        };
        let answer = answer.unwrap_or_else(|_panicked| {
            Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "The body could not be read; please report this.")
        });
        self.finished(route, asked.uri, answer)
    }

    /// Counts a request that was answered elsewhere, and gives a refusal the form that is usual there.
    pub(super) fn counted(&self, uri: &Uri, refusal: Answer) -> Answer {
        self.finished(self.route(uri.path()), uri, refusal)
    }

    fn finished(&self, route: Route, uri: &Uri, answer: Answer) -> Answer {
        self.state.pages.count_request(route.handler(), answer.status.as_u16());
        if matches!(route, Route::Api(_) | Route::Change(_) | Route::Push | Route::Stream) {
            api::in_form(answer, uri.path())
        } else {
            answer
        }
    }

    fn route(&self, path: &str) -> Route {
        match self.site.below_prefix(path) {
            Some(path) if path == self.site.telemetry_path => Route::Metrics,
            Some("/-/healthy") => Route::Healthy,
            Some("/-/ready") => Route::Ready,
            Some("/-/reload") => Route::Reload,
            Some(PUSH_PATH) => Route::Push,
            Some(OTLP_PATH) => Route::Otlp,
            Some("/") => Route::Page,
            Some(WIDGET_PATH) => Route::Widget,
            Some(path) if path.starts_with(page::files::ROOT) => {
                page::files::find(path).map_or(Route::Nothing, Route::File)
            }
            Some(api::STREAM_PATH) => Route::Stream,
            Some(path) if path.starts_with(api::ROOT) => match Change::at(path) {
                Some(change) => Route::Change(change),
                None => Route::Api(api::Endpoint::at(path)),
            },
            Some(_) | None => Route::Nothing,
        }
    }

    fn admit(&self, route: Route, asked: &Asked<'_>) -> Result<Option<Seat>, Box<Answer>> {
        let client =
            Client { peer: asked.peer, headers: asked.headers, uri_host: asked.uri.host(), who: asked.who };
        self.access
            .admit(route.audience(), &client)
            .map_err(|sentence| Box::new(Answer::text(StatusCode::FORBIDDEN, sentence)))?;
        if !route.allows(asked.method) {
            let sentence = format!("This answers to {} only.", route.allowed());
            let answer = Answer::text(StatusCode::METHOD_NOT_ALLOWED, &sentence);
            return Err(Box::new(answer.with(ALLOW, route.allowed())));
        }
        let seats = match route {
            Route::Push | Route::Otlp => &self.pushing,
            _ if route.takes_a_seat() => &self.seats,
            _ => return Ok(None),
        };
        seats.take(asked.peer).map(Some).ok_or_else(|| {
            Box::new(Answer::text(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY).with(RETRY_AFTER, "1"))
        })
    }

    async fn answer_admitted(&self, route: Route, asked: &Asked<'_>) -> Answer {
        match route {
            Route::Metrics => self.metrics(asked).await,
            Route::Healthy => Answer::text(StatusCode::OK, "memleak_exporter is healthy."),
            Route::Ready => self.ready(),
            Route::Reload => self.reload().await,
            Route::Page => self.page(asked),
            Route::Widget => self.widget(asked),
            Route::File(number) => page::files::answer(number, takes_gzip(asked)),
            Route::Api(Some(endpoint)) => self.api(endpoint, asked).await,
            Route::Api(None) => api::Problem::nothing().answer(asked.uri.path()),
            // These are answered elsewhere; see `answer_with_body` and `opened`.
            Route::Push | Route::Otlp | Route::Change(_) | Route::Stream => {
                Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "The body was not read; please report this.")
            }
            Route::Nothing => Answer::text(StatusCode::NOT_FOUND, "There is nothing here."),
        }
    }

    async fn metrics(&self, asked: &Asked<'_>) -> Answer {
        let query = asked.uri.query().unwrap_or_default();
        let selection = match query::selection(query, self.state.pages.collectors()) {
            Ok(selection) => selection,
            Err(sentence) => return Answer::text(StatusCode::BAD_REQUEST, &sentence),
        };
        let wanted = Wanted {
            accept: joined(asked.headers, &ACCEPT),
            accept_encoding: joined(asked.headers, &ACCEPT_ENCODING),
            selection,
        };
        let Some(scrape) = scrape(&self.state.pages, wanted).await else {
            return Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be rendered.");
        };
        let answer = Answer::new(StatusCode::OK, &scrape.content_type, scrape.body)
            .with(VARY, "Accept, Accept-Encoding");
        if scrape.gzip { answer.with(CONTENT_ENCODING, "gzip") } else { answer }
    }

    fn ready(&self) -> Answer {
        if self.state.pages.snapshot().tick > 0 {
            Answer::text(StatusCode::OK, "memleak_exporter is ready.")
        } else {
            let sentence = "memleak_exporter is not ready: the first samples are being taken.";
            Answer::text(StatusCode::SERVICE_UNAVAILABLE, sentence).with(RETRY_AFTER, "1")
        }
    }

    async fn reload(&self) -> Answer {
        if !self.lifecycle {
            let sentence = "Reloading by request is off. Start the exporter with --web.enable-lifecycle, or send \
                            it the signal SIGHUP.";
            return Answer::text(StatusCode::FORBIDDEN, sentence);
        }
        let (reply, outcome) = oneshot::channel();
        match self.state.reload.try_send(ReloadRequest { reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                let sentence = "Other reloads are under way; try again in a moment.";
                return Answer::text(StatusCode::SERVICE_UNAVAILABLE, sentence).with(RETRY_AFTER, "1");
            }
            Err(TrySendError::Closed(_)) => {
                return Answer::text(StatusCode::SERVICE_UNAVAILABLE, "The exporter is shutting down.");
            }
        }
        match timeout(RELOAD_PATIENCE, outcome).await {
            Ok(Ok(Ok(()))) => Answer::text(StatusCode::OK, "The configuration was reloaded."),
            Ok(Ok(Err(error))) => {
                let sentence =
                    format!("The configuration was not reloaded; the previous one stays in force.\n{error}");
                Answer::text(StatusCode::INTERNAL_SERVER_ERROR, &sentence)
            }
            Ok(Err(_dropped)) => {
                Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "The reload ended without an outcome.")
            }
            Err(_elapsed) => Answer::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The reload takes long and goes on; see the log.",
            ),
        }
    }

    /// A long list takes milliseconds, so it is made on another thread.
    async fn api(&self, endpoint: api::Endpoint, asked: &Asked<'_>) -> Answer {
        let path = asked.uri.path();
        let request = api::Request {
            endpoint,
            path: self.site.below_prefix(path).unwrap_or(path).to_owned(),
            query: asked.uri.query().unwrap_or_default().to_owned(),
            gzip: takes_gzip(asked),
            link_prefix: self.site.link_prefix.clone(),
        };
        let snapshot = self.state.pages.snapshot();
        let answer = if endpoint.is_about_the_past() {
            self.past(snapshot, request).await
        } else {
            tokio::task::spawn_blocking(move || api::answer(&snapshot, &request)).await
        };
        answer.unwrap_or_else(|_panicked| api::Problem::ours("The answer could not be made.").answer(path))
    }

    /// What only the tick knows: which areas are meant, what it says of them, and the answer made of that.
    async fn past(&self, snapshot: Arc<Snapshot>, request: api::Request) -> Result<Answer, JoinError> {
        let picking = move || (api::picked(&snapshot, &request), request);
        let (picked, request) = tokio::task::spawn_blocking(picking).await?;
        let picked = match picked {
            Ok(picked) => picked,
            Err(answer) => return Ok(*answer),
        };
        match self.desk.ask(|reply| What::Past(picked.keys().to_vec(), reply)).await {
            Ok(pasts) => tokio::task::spawn_blocking(move || api::answer_of(&picked, &pasts, &request)).await,
            Err(refusal) => Ok(*refusal),
        }
    }

    fn page(&self, asked: &Asked<'_>) -> Answer {
        let body = page::render(&self.state.pages.snapshot(), &self.view(asked));
        document(body, PAGE_POLICY).with(X_FRAME_OPTIONS, "DENY")
    }

    fn widget(&self, asked: &Asked<'_>) -> Answer {
        document(page::widget::render(&self.state.pages.snapshot(), &self.view(asked)), WIDGET_POLICY)
    }

    fn view(&self, asked: &Asked<'_>) -> page::View<'_> {
        page::View {
            links: &self.site,
            first_verdict_samples: self.state.first_verdict_samples,
            refresh: !query::says(asked.uri.query().unwrap_or_default(), "refresh", "off"),
        }
    }
}

fn document(html: String, policy: &'static str) -> Answer {
    Answer::new(StatusCode::OK, "text/html; charset=utf-8", Bytes::from(html))
        .with(CONTENT_SECURITY_POLICY, policy)
        .with(REFERRER_POLICY, "no-referrer")
        .with(CACHE_CONTROL, "no-store")
}

fn takes_gzip(asked: &Asked<'_>) -> bool {
    accepts_gzip(joined(asked.headers, &ACCEPT_ENCODING).as_deref())
}

/// What lies ready is fetched here; a selection is rendered anew, which with many series takes long enough to keep
/// other clients waiting, so it goes to another thread. None if that thread failed.
async fn scrape(pages: &Arc<dyn Pages>, wanted: Wanted) -> Option<super::Scrape> {
    if wanted.selection == Selection::All {
        return Some(pages.scrape(&wanted));
    }
    let pages = Arc::clone(pages);
    tokio::task::spawn_blocking(move || pages.scrape(&wanted)).await.ok()
}

/// All values of a header that are text, as one.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}
