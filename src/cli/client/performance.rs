//! `performance`: what targets tell of their work beside their memory, and how long the exporter takes for its own.

use super::{
    AskArguments,
    areas::left_out,
    said::{self, NOTHING, Said as _},
    targets::TargetFilter,
};
use crate::{
    cli::{
        Failure,
        output::{Cell, Column, Report, Row, Tone},
    },
    detect::words::Span,
};
use clap::Args;
use serde_json::Value;

/// Flags of `performance`.
#[derive(Debug, Args)]
pub(in super::super) struct PerformanceArguments {
    #[command(flatten)]
    filter: TargetFilter,
    #[command(flatten)]
    ask: AskArguments,
}

impl PerformanceArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let mut document = self.filter.targets(&self.ask)?;
        if let Some(Value::Array(targets)) = document.get_mut("targets") {
            targets.retain(tells);
        }
        let total = document.items("/targets").len();
        document.set("total", Value::from(total));
        let status = self.ask.exporter.exporter()?.document("/api/v1/status", &[])?;
        document.set("collectors", status.pointer("/collectors").cloned().unwrap_or_default());
        self.ask.write(&document, "targets", &performance(&document))
    }
}

/// Whether a target tells anything of its work.
fn tells(target: &Value) -> bool {
    let counts = target.pointer("/counters").and_then(Value::as_object);
    counts.is_some_and(|counts| counts.values().any(|value| value.as_f64() > Some(0.0)))
        || target.number("/event_loop_lag_seconds").is_some()
}

/// What they tell.
pub(super) fn performance(document: &Value) -> Report {
    let collector = |collector: &Value| {
        let state = said::text(collector, "/state");
        let tone = if state == "works" { Tone::Quiet } else { Tone::Warn };
        let took = collector.number("/took_seconds").map_or_else(|| String::from(NOTHING), millis);
        let name = said::text(collector, "/name");
        Cell::new(format!("collector {name}: {state}, took {took} last"), tone)
    };
    let mut remarks = left_out(document, "/targets");
    remarks.extend(document.items("/collectors").iter().map(collector));
    Report {
        title: String::from("Performance"),
        columns: vec![
            Column::words("Target"),
            Column::words("Kind"),
            Column::number("Processor"),
            Column::number("Collections"),
            Column::number("In collections"),
            Column::number("Loop lag"),
            Column::number("Mean response"),
            Column::number("95 % within"),
            Column::number("Kills"),
            Column::number("Stalled"),
        ],
        rows: document.items("/targets").iter().map(row).collect(),
        remarks,
    }
}

fn row(target: &Value) -> Row {
    let counter = |name: &str| target.number(&format!("/counters/{name}"));
    let count = |name: &str| said::or_nothing(counter(name).map(|count| format!("{count:.0}")));
    let secs = |name: &str| said::or_nothing(counter(name).map(Span));
    let response = counter("response_secs").zip(counter("requests")).filter(|(_, requests)| *requests > 0.0);
    // Some runtimes tell them by generation.
    let generations = ["collections", "young_collections", "old_collections"].into_iter().filter_map(counter);
    let collections = generations.reduce(|one, other| one + other);
    let lag = target.number("/event_loop_lag_seconds");
    Row {
        cells: vec![
            said::text(target, "/target").into(),
            said::text(target, "/kind").into(),
            secs("cpu_secs").into(),
            said::or_nothing(collections.map(|count| format!("{count:.0}"))).into(),
            secs("collection_secs").into(),
            said::or_nothing(lag.map(millis)).into(),
            said::or_nothing(response.map(|(secs, requests)| millis(secs / requests))).into(),
            said::or_nothing(target.number("/response_time_seconds/p95").map(millis)).into(),
            count("oom_kills").into(),
            secs("stall_secs").into(),
        ],
        notes: Vec::new(),
    }
}

/// Seconds in milliseconds.
fn millis(secs: f64) -> String {
    let millis = secs * 1000.0;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}
