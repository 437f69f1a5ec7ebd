//! What a runtime tells by its own means, where an application has no Prometheus endpoint.

use crate::config::{
    keys,
    otlp::http_url,
    reader::{Field, Problems, Section},
};
use hyper::Uri;
use std::{ops::RangeInclusive, time::Duration};

/// The bounds of `applications[].interval`.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// What a runtime tells of itself by its own means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// By which.
    pub shape: Shape,
    /// Where.
    pub url: Uri,
}

/// A runtime's own way to tell of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The variables of a Go program as JSON; `applications[].expvar`.
    Expvar,
    /// The heap profile of a Go program as text; `applications[].pprof`.
    Pprof,
    /// The inspector of Node; `applications[].node_inspector`.
    Inspector,
}

impl Shape {
    /// All of them with the key of each.
    pub const ALL: [(&'static str, Self); 3] =
        [("expvar", Self::Expvar), ("pprof", Self::Pprof), ("node_inspector", Self::Inspector)];

    /// Where it is found on a host, and what an URL looks like.
    const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Expvar => ("/debug/vars", "http://127.0.0.1:6060/debug/vars"),
            Self::Pprof => ("/debug/pprof/heap?debug=1", "http://127.0.0.1:6060/debug/pprof/heap?debug=1"),
            Self::Inspector => ("/json/list", "http://127.0.0.1:9229"),
        }
    }

    /// Time between two readings where nothing is said: where telling costs the application something, a minute.
    pub(super) const fn usual_interval(self) -> Option<Duration> {
        match self {
            Self::Expvar => None,
            Self::Pprof | Self::Inspector => Some(Duration::from_secs(60)),
        }
    }
}

/// Reads by which means of its own the runtime tells of itself.
pub(super) fn account(section: &Section<'_>, problems: &mut Problems) -> Option<Account> {
    let written: Vec<(Shape, Field<'_>)> =
        Shape::ALL.iter().filter_map(|(key, shape)| Some((*shape, section.field(key)?))).collect();
    let (shape, field) = written.first()?;
    if section.field("prometheus").is_some() || written.len() > 1 {
        let keys: Vec<&str> = ["prometheus"].into_iter().chain(Shape::ALL.map(|(key, _)| key)).collect();
        let message = format!("is a second account of the same; keep one of {}", keys::list(&keys));
        field.wrong(problems, message);
    }
    if let Some(prefix) = section.field("prefix") {
        prefix.wrong(problems, "is for the names of metrics, and needs `prometheus`; remove it");
    }
    let (path, example) = shape.place();
    let text = field.text(&format!("a URL such as {example}"), problems)?;
    let url =
        http_url(text, example, "holds a user name or password, which would end up in logs; remove them");
    let url = url.map_err(|message| field.wrong(problems, message)).ok()?;
    let is_whole = url.path() != "/" || url.query().is_some();
    if is_whole && *shape == Shape::Inspector {
        field.wrong(problems, "holds a path; write host and port alone, such as http://127.0.0.1:9229");
        return None;
    }
    let mut parts = url.clone().into_parts();
    let wants_text = *shape == Shape::Pprof && url.query().is_none();
    parts.path_and_query = match (is_whole, wants_text) {
        (false, _) => path.parse().ok(),
        (true, true) => format!("{}?debug=1", url.path()).parse().ok(),
        (true, false) => parts.path_and_query,
    };
    Some(Account { shape: *shape, url: Uri::from_parts(parts).ok()? })
}

/// Reads whose inspector is woken.
pub(super) fn wake(section: &Section<'_>, problems: &mut Problems) -> Option<Box<str>> {
    let field = section.field("wake_by_signal")?;
    let name = field.text("the name of a process target, such as node server.js", problems)?;
    if section.field("node_inspector").is_none() {
        field.wrong(problems, "wakes the inspector of Node, and needs `node_inspector`; add it");
        return None;
    }
    Some(name.into())
}

/// Reads how often the endpoint is read.
pub(super) fn interval(section: &Section<'_>, problems: &mut Problems) -> Option<Duration> {
    section.field("interval")?.duration(&INTERVAL, problems)
}
