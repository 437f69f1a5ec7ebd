//! The routes: which path is what, for whom, by which methods, and the answer to each.

use super::{
    Pages, ReloadRequest, State, Wanted,
    access::{Audience, Client, Rule},
    answer::Answer,
    page, query,
    seats::{Seat, Seats},
    site::Site,
};
use crate::export::prometheus::selection::Selection;
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
    sync::{mpsc::error::TrySendError, oneshot},
    time::timeout,
};

/// Where the style sheet of the page is.
pub(super) const STYLE_PATH: &str = "/static/page.css";
/// How long a reload may take until whoever asked is told that it goes on without an answer.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Metrics,
    Healthy,
    Ready,
    Reload,
    Page,
    Style,
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
            Self::Page => "page",
            Self::Style => "static",
            Self::Nothing => "other",
        }
    }

    /// Who may see that the route is there at all.
    const fn audience(self) -> Audience {
        match self {
            Self::Metrics | Self::Healthy | Self::Ready => Audience::Everyone,
            Self::Page | Self::Style | Self::Nothing => Audience::Readers,
            Self::Reload => Audience::Changers,
        }
    }

    /// The methods, as the Allow header names them.
    const fn allowed(self) -> &'static str {
        match self {
            Self::Reload => "POST, PUT",
            _reading => "GET, HEAD",
        }
    }

    fn allows(self, method: &Method) -> bool {
        match self {
            Self::Nothing => true,
            route => route.allowed().split(", ").any(|allowed| allowed == method.as_str()),
        }
    }

    /// Whether an answer costs enough to be limited. Health checks are not: a busy exporter is not a dead one.
    const fn takes_a_seat(self) -> bool {
        matches!(self, Self::Metrics | Self::Page | Self::Reload)
    }
}

impl Routes {
    /// Answers a request, counts it, and gives the seat to be held until the answer has left.
    pub(super) async fn answer(&self, asked: &Asked<'_>) -> (Answer, Option<Seat>) {
        let route = self.route(asked.uri.path());
        let (answer, seat) = match self.admit(route, asked) {
            Ok(seat) => (self.answer_admitted(route, asked).await, seat),
            Err(refusal) => (*refusal, None),
        };
        self.state.pages.count_request(route.handler(), answer.status.as_u16());
        (answer, seat)
    }

    /// Counts a request that was refused before its route was asked.
    pub(super) fn count_refused(&self, path: &str, status: StatusCode) {
        self.state.pages.count_request(self.route(path).handler(), status.as_u16());
    }

    fn route(&self, path: &str) -> Route {
        match self.site.below_prefix(path) {
            Some(path) if path == self.site.telemetry_path => Route::Metrics,
            Some("/-/healthy") => Route::Healthy,
            Some("/-/ready") => Route::Ready,
            Some("/-/reload") => Route::Reload,
            Some("/") => Route::Page,
            Some(STYLE_PATH) => Route::Style,
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
        if !route.takes_a_seat() {
            return Ok(None);
        }
        self.seats.take(asked.peer).map(Some).ok_or_else(|| {
            let sentence = "Too many requests at once (--web.max-requests); try again in a moment.";
            Box::new(Answer::text(StatusCode::SERVICE_UNAVAILABLE, sentence).with(RETRY_AFTER, "1"))
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
