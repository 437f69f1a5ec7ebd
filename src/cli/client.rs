//! The commands that ask a running exporter, and how they ask.
//!
//! Each of them gets one document of the API. JSON is handed on as it came; for people it is put into a [`Report`], by a
//! function of the document alone.

mod areas;
mod performance;
mod reset;
mod said;
mod targets;
mod whole;

pub(super) use self::{
    areas::{AreasArguments, LeaksArguments, RecommendationsArguments},
    performance::PerformanceArguments,
    reset::ResetArguments,
    targets::TargetsArguments,
    whole::{HealthArguments, MetricsArguments, ReportArguments, StatusArguments, TrendsArguments},
};

use super::{
    Failure,
    access::{AccessArguments, Asker, base_url},
    output::{Format, Output, Report, print},
};
use crate::fetch::{Answer, Question, encoded};
use anyhow::{Context as _, anyhow};
use clap::Args;
use hyper::{Method, StatusCode, Uri};
use said::Said as _;
use serde_json::Value;

/// Where an exporter listens by default.
const DEFAULT_URL: &str = "http://127.0.0.1:10099";
/// The variable that names another one.
const VARIABLE: &str = "MEMLEAK_EXPORTER_URL";
/// An answer: a thousand areas with findings have two million bytes.
const MOST_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// The exporter answers so many items at once.
const MOST_AT_ONCE: usize = 1000;
/// Something was found that should not be: leaks, or a degraded health.
const EXIT_FOUND: u8 = 4;
/// The health is critical.
const EXIT_CRITICAL: u8 = 5;

/// Flags of whoever asks an exporter.
#[derive(Clone, Debug, Args)]
pub(super) struct ExporterArguments {
    /// The exporter's URL; `MEMLEAK_EXPORTER_URL` without it, and else <http://127.0.0.1:10099>.
    #[arg(long, value_name = "URL", value_parser = base_url)]
    url: Option<Uri>,
    #[command(flatten)]
    access: AccessArguments,
}

/// Flags of a command that writes in any format.
#[derive(Clone, Debug, Args)]
pub(super) struct AskArguments {
    /// How to write it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    exporter: ExporterArguments,
}

/// A running exporter.
struct Exporter {
    asker: Asker,
    base: Uri,
}

impl ExporterArguments {
    fn exporter(&self) -> Result<Exporter, Failure> {
        let base = match &self.url {
            Some(url) => url.clone(),
            None => from_environment(std::env::var(VARIABLE).ok().as_deref()).map_err(Failure::Usage)?,
        };
        let asker = Asker::new(&base, &self.access).map_err(Failure::Other)?;
        Ok(Exporter { asker, base })
    }
}

/// The URL that the environment names, or the default.
fn from_environment(variable: Option<&str>) -> anyhow::Result<Uri> {
    let text = variable.filter(|text| !text.is_empty()).unwrap_or(DEFAULT_URL);
    base_url(text).with_context(|| format!("{VARIABLE} cannot be used"))
}

impl AskArguments {
    /// Writes a document: for people as a report, its items as JSON lines; the whole is one where there are none.
    fn write(&self, document: &Value, items: &str, report: &Report) -> Result<(), Failure> {
        let whole = std::slice::from_ref(document);
        let lines = document.get(items).and_then(Value::as_array).map_or(whole, Vec::as_slice);
        let output = Output::new(self.format);
        print(|mut out| output.write(&mut out, report, document, lines))
    }
}

impl Exporter {
    /// Asks for a document of the API.
    fn document(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let body = self.page(path, query, "application/json")?;
        let document = serde_json::from_slice(&body);
        document
            .with_context(|| {
                format!("{} answers no JSON at {path}; is it the URL of a memleak_exporter?", self.base)
            })
            .map_err(Failure::Other)
    }

    /// Asks for a list, in as many pieces as it takes, until there are `most` items of `key`.
    fn list(&self, path: &str, key: &str, query: &[(&str, &str)], most: usize) -> Result<Value, Failure> {
        let mut whole = Value::Null;
        let mut count = 0;
        loop {
            let (offset, limit) = (count.to_string(), (most - count).min(MOST_AT_ONCE).to_string());
            let mut query = query.to_vec();
            query.extend([("offset", offset.as_str()), ("limit", limit.as_str())]);
            let mut piece = self.document(path, &query)?;
            let Some(Value::Array(items)) = piece.get_mut(key).map(Value::take) else {
                let error = anyhow!("{} answers no {key} at {path}; it may be of another version", self.base);
                return Err(Failure::Other(error));
            };
            let is_last = items.is_empty();
            count += items.len();
            if whole.is_null() {
                whole = piece;
                whole.set(key, Value::Array(items));
            } else if let Some(Value::Array(before)) = whole.get_mut(key) {
                before.extend(items);
            }
            let total = whole.number("/total").unwrap_or_default();
            if is_last || count >= most || said::amount(count) >= total {
                whole.set("limit", Value::from(count));
                return Ok(whole);
            }
        }
    }

    /// Asks for a page.
    fn page(&self, path: &str, query: &[(&str, &str)], accept: &'static str) -> Result<Vec<u8>, Failure> {
        let query = encoded(query);
        let separator = if query.is_empty() { "" } else { "?" };
        let url = self.asker.url(&format!("{path}{separator}{query}")).map_err(Failure::Other)?;
        let question = Question { method: Method::GET, url, body: None, accept };
        self.ask(question).map_err(Failure::Other)
    }

    /// Asks for a change, with a document that says which.
    fn change(&self, path: &str, what: &Value) -> Result<Value, Failure> {
        let url = self.asker.url(path).map_err(Failure::Other)?;
        let body = Some(("application/json", what.to_string()));
        let question = Question { method: Method::POST, url, body, accept: "application/json" };
        let body = self.ask(question).map_err(Failure::Other)?;
        let answer = serde_json::from_slice(&body);
        answer.with_context(|| format!("{} answers no JSON at {path}", self.base)).map_err(Failure::Other)
    }

    fn ask(&self, question: Question) -> anyhow::Result<Vec<u8>> {
        let base = &self.base;
        let answer = self.asker.ask(question, MOST_ANSWER_BYTES).map_err(|error| {
            let help = if error.starts_with("cannot be reached") {
                "; start one with `memleak_exporter`, or name another by --url or MEMLEAK_EXPORTER_URL"
            } else {
                ""
            };
            anyhow!("{base} {error}{help}")
        })?;
        if !answer.is_whole {
            return Err(anyhow!("{base} answers more than 64 MiB; ask for less"));
        }
        if answer.status == StatusCode::OK { Ok(answer.body) } else { Err(refusal(base, &answer)) }
    }
}

/// What an answer that is none says.
fn refusal(base: &Uri, answer: &Answer) -> anyhow::Error {
    let status = answer.status.as_u16();
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (problem.text("/detail"), problem.text("/help")) {
        (Some(detail), help) => anyhow!("{base} answers {status}: {detail} {}", help.unwrap_or_default()),
        (None, _) if answer.status == StatusCode::NOT_FOUND => {
            anyhow!("{base} has nothing there (404); is it the URL of a memleak_exporter?")
        }
        (None, _) => anyhow!("{base} answers with status {status}"),
    }
}

/// Writes bytes as they came.
fn write_raw(bytes: &[u8]) -> Result<(), Failure> {
    print(|out| out.write_all(bytes))
}

#[cfg(test)]
mod tests;
