//! `targets`: who is watched.

use super::{
    AskArguments,
    areas::{USUAL_LIMIT, left_out, limit},
    said::{self, NOTHING, Said as _},
};
use crate::cli::{
    Failure,
    output::{Column, Report, Row},
};
use clap::Args;
use serde_json::Value;

/// Flags of `targets`.
#[derive(Debug, Args)]
pub(in super::super) struct TargetsArguments {
    #[command(flatten)]
    filter: TargetFilter,
    #[command(flatten)]
    ask: AskArguments,
}

/// Which targets.
#[derive(Debug, Args)]
pub(super) struct TargetFilter {
    /// Only targets of this kind: process, cgroup, host, application, directory.
    #[arg(long)]
    kind: Option<String>,
    /// Only the target of this name.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = USUAL_LIMIT, value_parser = limit)]
    limit: usize,
}

impl TargetFilter {
    /// Asks for them.
    pub(super) fn targets(&self, ask: &AskArguments) -> Result<Value, Failure> {
        let keys = [("kind", &self.kind), ("target", &self.target)];
        let query: Vec<(&str, &str)> =
            keys.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect();
        ask.exporter.exporter()?.list("/api/v1/targets", "targets", &query, self.limit)
    }
}

impl TargetsArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let document = self.filter.targets(&self.ask)?;
        self.ask.write(&document, "targets", &targets(&document))
    }
}

/// All targets with what is known of each.
pub(super) fn targets(document: &Value) -> Report {
    Report {
        title: String::from("Targets"),
        columns: vec![
            Column::words("Target"),
            Column::words("Kind"),
            Column::words("State"),
            Column::words("Severity"),
            Column::number("Members"),
            Column::number("Areas"),
            Column::number("Restarts"),
            Column::number("Leaks so far"),
            Column::words("Runtime"),
            Column::words("Where"),
        ],
        rows: document.items("/targets").iter().map(row).collect(),
        remarks: left_out(document, "/targets"),
    }
}

fn row(target: &Value) -> Row {
    Row {
        cells: vec![
            said::text(target, "/target").into(),
            said::text(target, "/kind").into(),
            said::state(target, "/state"),
            said::text(target, "/severity").into(),
            said::count(target, "/members").into(),
            said::count(target, "/areas").into(),
            said::count(target, "/restarts").into(),
            said::count(target, "/leaks_so_far").into(),
            said::text(target, "/info/runtime").into(),
            place(target).into(),
        ],
        notes: target.items("/parts").iter().map(part).collect(),
    }
}

/// The pod, the container or the unit that it runs in.
fn place(target: &Value) -> String {
    let known = |key: &str| target.text(&format!("/info/{key}")).filter(|text| !text.is_empty());
    match (known("namespace"), known("pod")) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        _ => {
            ["container_name", "container", "unit"].into_iter().find_map(known).unwrap_or(NOTHING).to_owned()
        }
    }
}

/// What a part of it holds.
fn part(part: &Value) -> String {
    let mut text = format!("{}: {}", said::text(part, "/part"), said::size(part, "/size"));
    if part.number("/growth_per_second").is_some() {
        text += &format!(", {} an hour", said::growth(part, "/growth_per_second"));
    }
    text
}
