//! Series from a range of Prometheus, or of whatever answers its API: Thanos, Mimir, `VictoriaMetrics`.
//!
//! Prometheus answers at most 11,000 points of a series at once, and we take at most so many bytes: a range is asked in
//! pieces, and a piece that is too large in smaller ones. What applies to a series beside its samples, its limit and
//! the starts of its process, comes from queries of its own and is found by its labels.

mod answer;
mod found;

pub(super) use found::Gathered;

use super::super::access::{AccessArguments, Asker, base_url};
use crate::{
    config::duration,
    fetch::{FORM, Question, encoded},
    run::clock::Clock,
    sample::Seconds,
    text::moment,
};
use answer::{Piece, read};
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use found::{Marks, Starts};
use hyper::{Method, Uri};
use std::time::Duration;

/// Points of a series that one request may ask for.
const MOST_POINTS_AT_ONCE: u64 = 11_000;
/// Below so many points at once there are too many series.
const FEWEST_POINTS_AT_ONCE: u64 = 10;
/// Points of a series in all: a year at 30 s.
const MOST_POINTS: u64 = 1_100_000;
/// An answer. As samples it takes a third of that.
const MOST_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// A limit is looked for at so many times of the range.
const LOOKS_FOR_LIMIT: f64 = 500.0;

/// Flags that say what to ask for.
#[derive(Debug, Args)]
#[command(next_help_heading = "From Prometheus instead of files")]
pub(super) struct RangeArguments {
    /// The URL of a Prometheus, or of what answers its API.
    #[arg(long = "prometheus", id = "prometheus", value_name = "URL", requires = "query", value_parser = base_url)]
    pub(super) url: Option<Uri>,
    /// The sizes, as `PromQL`: `process_resident_memory_bytes{job="shop"}`. Each series of the answer is judged.
    #[arg(long, value_name = "PROMQL", requires = "prometheus")]
    query: Option<String>,
    /// How far to look back.
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = duration::argument)]
    range: Duration,
    /// Until when: seconds since 1970, or as in 2026-03-01T12:00:00Z; now by default.
    #[arg(long, value_name = "TIME", requires = "prometheus", value_parser = time)]
    end: Option<Seconds>,
    /// The distance of two samples; what is scraped more often is thinned.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::argument)]
    step: Duration,
    /// The limits, as `PromQL`: each applies to the series that have all of its labels.
    #[arg(long, value_name = "PROMQL", requires = "prometheus")]
    limit_query: Option<String>,
    /// When processes were started, as `PromQL`: `process_start_time_seconds{job="shop"}`. Each new value is a restart.
    #[arg(long, value_name = "PROMQL", requires = "prometheus")]
    start_query: Option<String>,
}

/// The times that are asked for: `count` of them, `step_secs` apart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grid {
    from: Seconds,
    step_secs: f64,
    count: u64,
}

impl RangeArguments {
    /// Whether anything is said of a range. The grammar cannot refuse it beside files, which exclude the URL.
    pub(super) fn is_set(&self) -> bool {
        [&self.query, &self.limit_query, &self.start_query].into_iter().any(Option::is_some)
            || self.end.is_some()
    }

    /// Asks for everything.
    pub(super) fn ask(&self, url: &Uri, access: &AccessArguments) -> anyhow::Result<Gathered> {
        let query = self.query.as_deref().context("--prometheus needs --query")?;
        let grid = self.grid()?;
        let server = Server { asker: Asker::new(url, access)?, url };
        let mut gathered = Gathered::new(grid.step_secs, query);
        server.range("--query", query, grid, |piece| gathered.take(piece))?;
        if gathered.is_empty() {
            bail!(
                "{url} has no series for the --query {query:?} in this range; ask it there, or look further back with --range"
            );
        }
        if let Some(query) = &self.limit_query {
            gathered.limit(&self.limits(&server, query, grid)?);
        }
        if let Some(query) = &self.start_query {
            let mut starts = Starts::default();
            server.range("--start-query", query, grid, |piece| starts.take(piece))?;
            gathered.start(&starts);
        }
        Ok(gathered)
    }

    fn grid(&self) -> anyhow::Result<Grid> {
        let (range, step) = (self.range.as_millis(), self.step.as_millis());
        let steps = u64::try_from(range / step).unwrap_or(u64::MAX);
        if steps == 0 {
            bail!("--range is shorter than --step, which leaves one sample; write a longer --range");
        }
        if steps >= MOST_POINTS {
            bail!(
                "--range holds {steps} times --step; write a longer --step or a shorter --range, for {MOST_POINTS} at most"
            );
        }
        let end = self.end.unwrap_or_else(|| Clock::start().now().wall().floor());
        let step_secs = self.step.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer steps than 2^53")]
        let from = end - steps as f64 * step_secs;
        Ok(Grid { from, step_secs, count: steps + 1 })
    }

    /// The last value of each limit in the range: what a process was last limited to.
    fn limits(&self, server: &Server<'_>, query: &str, grid: Grid) -> anyhow::Result<Marks> {
        let range = self.range.as_secs_f64();
        let every = (range / LOOKS_FOR_LIMIT).max(grid.step_secs).ceil();
        let looks = format!("last_over_time(({query})[{:.0}s:{every:.0}s])", range.ceil());
        let at = grid.at(grid.count - 1).to_string();
        let form = encoded(&[("query", &looks), ("time", &at)]);
        let mut limits = Marks::default();
        let is_whole = server.ask("--limit-query", "/api/v1/query", form, |piece| limits.take(piece))?;
        if !is_whole {
            bail!("{} answers too much for --limit-query; narrow it by labels", server.url);
        }
        Ok(limits)
    }
}

impl Grid {
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer steps than 2^53")]
    fn at(self, step: u64) -> Seconds {
        self.from + step as f64 * self.step_secs
    }
}

/// Who is asked.
struct Server<'a> {
    asker: Asker,
    url: &'a Uri,
}

impl Server<'_> {
    /// Asks for a range in pieces, the oldest first. `flag` is what the query came from.
    fn range(
        &self,
        flag: &str,
        query: &str,
        grid: Grid,
        mut take: impl FnMut(&Piece<'_>) -> Result<(), String>,
    ) -> anyhow::Result<()> {
        let mut at_once = MOST_POINTS_AT_ONCE;
        let mut next = 0;
        while next < grid.count {
            let count = at_once.min(grid.count - next);
            let (start, end) = (grid.at(next).to_string(), grid.at(next + count - 1).to_string());
            let step = grid.step_secs.to_string();
            let form = encoded(&[("query", query), ("start", &start), ("end", &end), ("step", &step)]);
            if self.ask(flag, "/api/v1/query_range", form, &mut take)? {
                next += count;
            } else if at_once / 2 < FEWEST_POINTS_AT_ONCE {
                bail!("{} answers too much for {flag}; narrow it by labels, or sum over them", self.url);
            } else {
                at_once /= 2;
            }
        }
        Ok(())
    }

    /// Asks once. False: that was too much at once, and nothing was taken.
    fn ask(
        &self,
        flag: &str,
        path: &str,
        form: String,
        mut take: impl FnMut(&Piece<'_>) -> Result<(), String>,
    ) -> anyhow::Result<bool> {
        let question = Question {
            method: Method::POST,
            url: self.asker.url(path)?,
            body: Some((FORM, form)),
            accept: "application/json",
        };
        let wrong = |error: String| anyhow!("{} {error} ({flag})", self.url);
        let answer = self.asker.ask(question, MOST_ANSWER_BYTES).map_err(wrong)?;
        if !answer.is_whole {
            return Ok(false);
        }
        let Some(pieces) = read(&answer).map_err(wrong)? else { return Ok(false) };
        for piece in &pieces {
            take(piece).map_err(wrong)?;
        }
        Ok(true)
    }
}

/// Reads a time: seconds since 1970, or a date with a time in UTC.
fn time(text: &str) -> anyhow::Result<Seconds> {
    let seconds = text.parse().ok().filter(|at: &Seconds| (0.0..1e11).contains(at));
    seconds
        .or_else(|| moment(text))
        .context("it is no time; write seconds since 1970, or as in 2026-03-01T12:00:00Z")
}
