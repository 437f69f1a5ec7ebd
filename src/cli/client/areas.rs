//! `areas`, `leaks`, `recommendations`: what the exporter says of single areas.

use super::{
    AskArguments, EXIT_FOUND, Exporter,
    said::{self, NOTHING, Said as _},
};
use crate::cli::{
    Failure,
    output::{Cell, Column, Report, Row},
};
use clap::{Args, ValueEnum};
use serde_json::Value;

/// So many items where nothing is said.
pub(super) const USUAL_LIMIT: usize = 100;
/// More are nothing that a person reads, and a program asks the API.
const LARGEST_LIMIT: i64 = 100_000;

/// Flags of `areas`.
#[derive(Debug, Args)]
pub(in super::super) struct AreasArguments {
    /// Only areas in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only areas with a finding that is at least this sure, from 0 to 1.
    #[arg(long, value_name = "CONFIDENCE")]
    min_confidence: Option<f64>,
    /// What comes first.
    #[arg(long, value_enum, default_value = "worst")]
    sort: Sort,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    ask: AskArguments,
}

/// Flags of `leaks`.
#[derive(Debug, Args)]
pub(in super::super) struct LeaksArguments {
    /// End with exit code 4 if a leak is in this state, or a worse one.
    #[arg(long, value_enum, value_name = "STATE")]
    fail_on: Option<LeakState>,
    /// Also what others inside tell of already: the control group and the machine of a leaking process.
    #[arg(long)]
    explained: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    ask: AskArguments,
}

/// Flags of `recommendations`.
#[derive(Debug, Args)]
pub(in super::super) struct RecommendationsArguments {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    ask: AskArguments,
}

/// Which areas.
#[derive(Debug, Args)]
struct Filter {
    /// Only targets of this kind: process, cgroup, host, application, directory.
    #[arg(long)]
    kind: Option<String>,
    /// Only the target of this name.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Only areas of this name.
    #[arg(long, value_name = "NAME")]
    area: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = USUAL_LIMIT, value_parser = limit)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    None,
    Suspected,
    Confirmed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LeakState {
    Suspected,
    Confirmed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Sort {
    Worst,
    Name,
    Size,
    Growth,
    Confidence,
    TimeToLimit,
}

/// Reads a number of items.
pub(super) fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse::<i64>().ok().filter(|limit| (1..=LARGEST_LIMIT).contains(limit));
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    limit.ok_or_else(|| format!("write a number from 1 to {LARGEST_LIMIT}"))
}

/// The word of a value, as the API knows it.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Filter {
    fn query(&self) -> Vec<(&str, &str)> {
        let keys = [("kind", &self.kind), ("target", &self.target), ("area", &self.area)];
        keys.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect()
    }
}

impl AreasArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let (sort, state) = (word(&self.sort), self.state.as_ref().map(word));
        let sure = self.min_confidence.map(|confidence| confidence.to_string());
        let mut query = self.filter.query();
        query.push(("sort", &sort));
        query.extend(state.as_deref().map(|state| ("state", state)));
        query.extend(sure.as_deref().map(|sure| ("min_confidence", sure)));
        let exporter = self.ask.exporter.exporter()?;
        let document = exporter.list("/api/v1/areas", "areas", &query, self.filter.limit)?;
        self.ask.write(&document, "areas", &areas(&document))
    }
}

impl LeaksArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let exporter = self.ask.exporter.exporter()?;
        let mut document = leaking(&exporter, "/api/v1/areas", "areas", &self.filter)?;
        if !self.explained
            && let Some(Value::Array(areas)) = document.get_mut("areas")
        {
            areas.retain(|area| !area.holds("/explained"));
        }
        self.ask.write(&document, "areas", &leaks(&document))?;
        let is_found = |area: &Value| match self.fail_on {
            None => false,
            Some(LeakState::Suspected) => true,
            Some(LeakState::Confirmed) => area.text("/state") == Some("confirmed"),
        };
        // What is explained is told for information; the leak itself is there besides.
        let found = document.items("/areas").iter().filter(|area| !area.holds("/explained")).any(is_found);
        if found { Err(Failure::Code(EXIT_FOUND)) } else { Ok(()) }
    }
}

impl RecommendationsArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let exporter = self.ask.exporter.exporter()?;
        let document = leaking(&exporter, "/api/v1/findings", "findings", &self.filter)?;
        self.ask.write(&document, "findings", &recommendations(&document))
    }
}

/// What leaks, the confirmed before the suspected.
fn leaking(exporter: &Exporter, path: &str, key: &str, filter: &Filter) -> Result<Value, Failure> {
    let in_state = |state: &'static str| {
        let mut query = filter.query();
        query.push(("state", state));
        exporter.list(path, key, &query, filter.limit)
    };
    let (mut document, suspected) = (in_state("confirmed")?, in_state("suspected")?);
    let totals = [&document, &suspected].map(|part| part.number("/total").unwrap_or_default());
    if let Some(Value::Array(items)) = document.get_mut(key) {
        items.extend_from_slice(suspected.items(&format!("/{key}")));
        items.truncate(filter.limit);
    }
    document.set("total", Value::from(totals.iter().sum::<f64>()));
    Ok(document)
}

/// How many of how many are shown, where these are not all.
pub(super) fn left_out(document: &Value, key: &str) -> Vec<Cell> {
    let shown = document.items(key).len();
    let total = document.number("/total").unwrap_or_default();
    if said::amount(shown) >= total {
        return Vec::new();
    }
    vec![format!("{shown} of {total:.0}; --limit shows more").into()]
}

/// All that is known of areas.
pub(super) fn areas(document: &Value) -> Report {
    Report {
        title: String::from("Areas"),
        columns: vec![
            Column::words("Target"),
            Column::words("Kind"),
            Column::words("Area"),
            Column::words("State"),
            Column::number("Confidence"),
            Column::number("Growth per hour"),
            Column::number("Size"),
            Column::number("Limit"),
            Column::number("Time to limit"),
            Column::words("Pattern"),
        ],
        rows: document.items("/areas").iter().map(|area| area_row(area, Vec::new())).collect(),
        remarks: left_out(document, "/areas"),
    }
}

fn area_row(area: &Value, notes: Vec<String>) -> Row {
    Row {
        cells: vec![
            said::target(area).into(),
            said::text(area, "/kind").into(),
            said::text(area, "/area").into(),
            said::state(area, "/state"),
            said::share(area, "/finding/confidence").into(),
            said::growth(area, "/finding/growth_per_second/value").into(),
            said::size(area, "/size").into(),
            said::size(area, "/limit/value").into(),
            said::span(area, "/finding/time_to_limit_seconds/value").into(),
            said::pattern(area, "/finding/pattern").into(),
        ],
        notes,
    }
}

/// What leaks, with the evidence.
pub(super) fn leaks(document: &Value) -> Report {
    let row = |area: &Value| {
        let mut what = format!("began at {}", said::moment(area, "/episode/since_at"));
        if area.pointer("/leaked").is_some_and(Value::is_number) {
            what += &format!(", {} so far", said::size(area, "/leaked"));
        }
        what += &format!(", severity {}", said::text(area, "/finding/severity"));
        if area.holds("/explained") {
            what += ", told already by what leaks inside";
        }
        area_row(area, vec![what, said::text(area, "/finding/evidence/words")])
    };
    let mut report = areas(document);
    report.title = String::from("Leaks");
    report.rows = document.items("/areas").iter().map(row).collect();
    if report.rows.is_empty() {
        report.remarks.push(Cell::new("nothing leaks", crate::cli::output::Tone::Good));
    }
    report
}

/// What to do about what leaks.
pub(super) fn recommendations(document: &Value) -> Report {
    let row = |finding: &Value| {
        let area = finding.pointer("/area").unwrap_or(&Value::Null);
        let advice = finding.items("/recommendations").iter().flat_map(|advice| {
            let text = format!("- {}", said::text(advice, "/text"));
            [Some(text), advice.text("/command").map(|command| format!("    {command}"))]
        });
        let advice: Vec<String> = advice.flatten().collect();
        let untold = || vec![format!("{NOTHING} what leaks inside tells of it already")];
        Row {
            cells: vec![
                said::target(area).into(),
                said::text(area, "/area").into(),
                said::state(area, "/state"),
                said::text(area, "/finding/severity").into(),
            ],
            notes: if advice.is_empty() { untold() } else { advice },
        }
    };
    let rows: Vec<Row> = document.items("/findings").iter().map(row).collect();
    let mut remarks = left_out(document, "/findings");
    if rows.is_empty() {
        remarks.push(Cell::new("nothing leaks, so there is nothing to do", crate::cli::output::Tone::Good));
    }
    Report {
        title: String::from("What to do"),
        columns: ["Target", "Area", "State", "Severity"].map(Column::words).to_vec(),
        rows,
        remarks,
    }
}
