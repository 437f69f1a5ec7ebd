//! The routes: which path is what, for whom, by which methods, and the answer to each.

use super::{
    Pages, ReloadRequest, State, Wanted,
    access::{Audience, Client, Rule},
    answer::Answer,
    api, otlp, page, push, query,
    seats::{Seat, Seats},
    site::Site,
};
use crate::export::prometheus::{negotiate::accepts_gzip, selection::Selection};
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
    time::timeout,
};

/// Where the style sheet of the page is.
pub(super) const STYLE_PATH: &str = "/static/page.css";
/// Where samples are pushed as JSON.
const PUSH_PATH: &str = "/api/v1/samples";
/// Where OTLP over HTTP is taken in, as its specification says.
const OTLP_PATH: &str = "/v1/metrics";
/// A body that is not packed and at most so long is read in less than a millisecond.
const SHORT_BODY_BYTES: usize = 16 * 1024;
/// How long a reload may take until whoever asked is told that it goes on without an answer.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);
const TOO_MANY: &str = "Too many requests at once (--web.max-requests); try again in a moment.";
/// The page may load its style sheet and nothing else, and nobody may frame it.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything that answers requests.
pub(super) struct Routes {
    pub(super) site: Site,
    pub(super) access: Rule,
    pub(super) state: State,
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
    /// Whether it is known who asks.
    pub(super) is_known: bool,
}

/// What becomes of a request's body.
pub(super) enum Reception {
    /// Nobody reads it.
    Needless,
    /// It is read up to so many bytes, on this seat.
    Room { most_bytes: usize, seat: Option<Seat> },
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
    Page,
    Style,
    /// Below the API's root, which answers nothing but JSON; none where there is nothing.
    Api(Option<api::Endpoint>),
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
            Self::Otlp => "otlp",
            Self::Page => "page",
            Self::Style => "static",
            Self::Api(_) => "api",
            Self::Nothing => "other",
        }
    }

    /// Who may see that the route is there at all.
    const fn audience(self) -> Audience {
        match self {
            Self::Metrics | Self::Healthy | Self::Ready => Audience::Everyone,
            Self::Page | Self::Style | Self::Api(_) | Self::Nothing => Audience::Readers,
            Self::Push | Self::Otlp => Audience::Pushers,
            Self::Reload => Audience::Changers,
        }
    }

    /// The methods, as the Allow header names them.
    const fn allowed(self) -> &'static str {
        match self {
            Self::Reload => "POST, PUT",
            Self::Push | Self::Otlp => "POST",
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
            _reading => None,
        }
    }

    /// Whether an answer costs enough to be limited. Health checks are not: a busy exporter is not a dead one.
    const fn takes_a_seat(self) -> bool {
        matches!(self, Self::Metrics | Self::Page | Self::Api(Some(_)) | Self::Reload)
    }
}

impl Routes {
    /// Whether a body is taken in with this request.
    pub(super) fn reception(&self, asked: &Asked<'_>) -> Reception {
        let route = self.route(asked.uri.path());
        let Some(most_bytes) = route.most_body_bytes() else { return Reception::Needless };
        match self.admit(route, asked) {
            Ok(seat) => Reception::Room { most_bytes, seat },
            Err(refusal) => Reception::Refused(refusal),
        }
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

    /// Counts a request that was refused before it was answered, and gives the refusal the form that is usual there.
    pub(super) fn refused(&self, uri: &Uri, refusal: Answer) -> Answer {
        self.finished(self.route(uri.path()), uri, refusal)
    }

    fn finished(&self, route: Route, uri: &Uri, answer: Answer) -> Answer {
        self.state.pages.count_request(route.handler(), answer.status.as_u16());
        if matches!(route, Route::Api(_) | Route::Push) { api::in_form(answer, uri.path()) } else { answer }
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
            Some(STYLE_PATH) => Route::Style,
            Some(path) if path.starts_with(api::ROOT) => Route::Api(api::Endpoint::at(path)),
            Some(_) | None => Route::Nothing,
        }
    }

    fn admit(&self, route: Route, asked: &Asked<'_>) -> Result<Option<Seat>, Box<Answer>> {
        let client = Client {
            peer: asked.peer,
            headers: asked.headers,
            uri_host: asked.uri.host(),
            is_known: asked.is_known,
        };
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
            Route::Style => Answer::new(StatusCode::OK, "text/css; charset=utf-8", page::style())
                // Kept, an older exporter's style sheet would outlive it; anew it costs a few kilobytes.
                .with(CACHE_CONTROL, "no-cache"),
            Route::Api(Some(endpoint)) => self.api(endpoint, asked).await,
            Route::Api(None) => api::Problem::nothing().answer(asked.uri.path()),
            // What is pushed has a body, and is taken in with it; see `answer_with_body`.
            Route::Push | Route::Otlp => {
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
            gzip: accepts_gzip(joined(asked.headers, &ACCEPT_ENCODING).as_deref()),
            link_prefix: self.site.link_prefix.clone(),
        };
        let snapshot = self.state.pages.snapshot();
        let answer = tokio::task::spawn_blocking(move || api::answer(&snapshot, &request)).await;
        answer.unwrap_or_else(|_panicked| api::Problem::ours("The answer could not be made.").answer(path))
    }

    fn page(&self, asked: &Asked<'_>) -> Answer {
        let query = asked.uri.query().unwrap_or_default();
        let view = page::View {
            links: &self.site,
            first_verdict_samples: self.state.first_verdict_samples,
            refresh: !query::says(query, "refresh", "off"),
        };
        let body = page::render(&self.state.pages.snapshot(), &view);
        Answer::new(StatusCode::OK, "text/html; charset=utf-8", Bytes::from(body))
            .with(CONTENT_SECURITY_POLICY, PAGE_POLICY)
            .with(REFERRER_POLICY, "no-referrer")
            .with(X_FRAME_OPTIONS, "DENY")
            .with(CACHE_CONTROL, "no-store")
    }
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
