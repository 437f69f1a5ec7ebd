//! `status`, `health`, `metrics`, `trends`, `report`: what is said of the whole.

use super::{
    AskArguments, EXIT_CRITICAL, EXIT_FOUND, ExporterArguments, areas,
    said::{self, Said as _},
    write_raw,
};
use crate::cli::{
    Failure,
    output::{Cell, Column, Format, Report, Row, Tone},
};
use clap::Args;
use serde_json::Value;

/// Flags of `status`.
#[derive(Debug, Args)]
pub(in super::super) struct StatusArguments {
    #[command(flatten)]
    ask: AskArguments,
}

/// Flags of `health`. The exit code is 0 when it is healthy, 4 when it is degraded and 5 when it is critical.
#[derive(Debug, Args)]
pub(in super::super) struct HealthArguments {
    #[command(flatten)]
    ask: AskArguments,
}

/// Flags of `metrics`.
#[derive(Debug, Args)]
pub(in super::super) struct MetricsArguments {
    /// Only metrics whose names begin with this.
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Where the exporter serves its metrics.
    #[arg(long, value_name = "PATH", default_value = "/metrics")]
    path: String,
    #[command(flatten)]
    exporter: ExporterArguments,
}

/// Flags of `trends`.
#[derive(Debug, Args)]
pub(in super::super) struct TrendsArguments {
    #[command(flatten)]
    ask: AskArguments,
}

/// Flags of `report`.
#[derive(Debug, Args)]
pub(in super::super) struct ReportArguments {
    #[command(flatten)]
    ask: AskArguments,
}

impl StatusArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let document = self.ask.exporter.exporter()?.document("/api/v1/status", &[])?;
        self.ask.write(&document, "", &status(&document))
    }
}

impl HealthArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let document = self.ask.exporter.exporter()?.document("/api/v1/health", &[])?;
        self.ask.write(&document, "", &health(&document))?;
        match document.text("/status") {
            Some("healthy") => Ok(()),
            Some("degraded") => Err(Failure::Code(EXIT_FOUND)),
            _ => Err(Failure::Code(EXIT_CRITICAL)),
        }
    }
}

impl MetricsArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let page = self.exporter.exporter()?.page(&self.path, &[], "text/plain;version=0.0.4")?;
        match &self.prefix {
            None => write_raw(&page),
            Some(prefix) => write_raw(beginning_with(&String::from_utf8_lossy(&page), prefix).as_bytes()),
        }
    }
}

impl TrendsArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let mut document = self.ask.exporter.exporter()?.document("/api/v1/report", &[])?;
        if let Value::Object(object) = &mut document {
            object.retain(|key, _| key == "trends" || key == "taken_at");
        }
        self.ask.write(&document, "trends", &trends(&document))
    }
}

impl ReportArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let exporter = self.ask.exporter.exporter()?;
        // The exporter writes both itself.
        let format = match self.ask.format {
            Format::Markdown => Some("markdown"),
            Format::Html => Some("html"),
            Format::Table | Format::Json | Format::Jsonl => None,
        };
        if let Some(format) = format {
            return write_raw(&exporter.page("/api/v1/report", &[("format", format)], "*/*")?);
        }
        let document = exporter.document("/api/v1/report", &[])?;
        self.ask.write(&document, "findings", &report(&document))
    }
}

/// The lines of metrics whose names begin so, with what is said of them.
pub(super) fn beginning_with(page: &str, prefix: &str) -> String {
    let name = |line: &str| {
        let line = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE ")).unwrap_or(line);
        line.starts_with(prefix)
    };
    page.lines().filter(|line| name(line)).map(|line| format!("{line}\n")).collect()
}

/// Since when it runs, and how much it watches.
pub(super) fn status(document: &Value) -> Report {
    let fact = |name: &str, value: String| Row { cells: vec![name.into(), value.into()], notes: Vec::new() };
    let counted = |key: &str| said::count(document, &format!("/counts/{key}"));
    let leaks = |key: &str, tone: Tone| {
        let count = counted(key);
        let tone = if count == "0" { Tone::Good } else { tone };
        Cell::new(count, tone)
    };
    let mut rows = vec![
        fact("version", said::text(document, "/version")),
        fact("running since", said::moment(document, "/started_at")),
        fact("last tick", said::moment(document, "/taken_at")),
        fact("ticks", said::count(document, "/tick")),
        fact("targets", format!("{}, {} of them running", counted("targets"), counted("targets_running"))),
        fact("processes", said::count(document, "/processes")),
        fact(
            "areas",
            format!(
                "{}, {} judged, {} of them still learned",
                counted("areas"),
                counted("areas_judged"),
                counted("areas_learning")
            ),
        ),
    ];
    for (name, key, tone) in [
        ("confirmed leaks", "leaks_confirmed", Tone::Bad),
        ("suspected leaks", "leaks_suspected", Tone::Warn),
    ] {
        rows.push(Row { cells: vec![name.into(), leaks(key, tone)], notes: Vec::new() });
    }
    for collector in document.items("/collectors") {
        let state = said::text(collector, "/state");
        let tone = if state == "works" { Tone::Good } else { Tone::Bad };
        let name = format!("collector {}", said::text(collector, "/name"));
        let notes = collector.text("/error").map(str::to_owned).into_iter().collect();
        rows.push(Row { cells: vec![name.into(), Cell::new(state, tone)], notes });
    }
    Report {
        title: String::from("Status"),
        columns: vec![Column::words("What"), Column::words("How")],
        rows,
        remarks: Vec::new(),
    }
}

/// How each part is, and each target in trouble.
pub(super) fn health(document: &Value) -> Report {
    let component = |component: &Value| Row {
        cells: vec![
            said::text(component, "/name").into(),
            said::health(component, "/status"),
            said::text(component, "/reason").into(),
        ],
        notes: Vec::new(),
    };
    let trouble = |trouble: &Value| {
        let (target, area) =
            (said::text(trouble, "/target"), trouble.pointer("/area").and_then(Value::as_str));
        // Without an area it is the target as a whole.
        let what = area.map_or_else(|| target.clone(), |area| format!("{area} of {target}"));
        Row {
            cells: vec![what.into(), said::health(trouble, "/status"), said::text(trouble, "/reason").into()],
            notes: Vec::new(),
        }
    };
    let components = document.items("/components").iter().map(component);
    let whole = said::health(document, "/status");
    let count = |key: &str| said::count(document, &format!("/targets/{key}"));
    let remark = format!(
        "{}: {} targets healthy, {} degraded, {} critical",
        whole.text,
        count("healthy"),
        count("degraded"),
        count("critical")
    );
    Report {
        title: String::from("Health"),
        columns: ["What", "Health", "Why"].map(Column::words).to_vec(),
        rows: components.chain(document.items("/targets/troubles").iter().map(trouble)).collect(),
        remarks: vec![Cell::new(remark, whole.tone)],
    }
}

/// What grows, by its share of itself.
pub(super) fn trends(document: &Value) -> Report {
    let row = |trend: &Value| Row {
        cells: vec![
            said::target(trend).into(),
            said::text(trend, "/kind").into(),
            said::text(trend, "/area").into(),
            said::state(trend, "/state"),
            said::growth(trend, "/growth_per_second/value").into(),
            said::share(trend, "/growth_per_day_ratio").into(),
            said::size(trend, "/size").into(),
            said::size(trend, "/size_in_a_day").into(),
            said::pattern(trend, "/pattern").into(),
        ],
        notes: Vec::new(),
    };
    let rows: Vec<Row> = document.items("/trends").iter().map(row).collect();
    let nothing = rows.is_empty().then(|| Cell::new("nothing grows", Tone::Good));
    Report {
        title: String::from("Trends"),
        columns: vec![
            Column::words("Target"),
            Column::words("Kind"),
            Column::words("Area"),
            Column::words("State"),
            Column::number("Growth per hour"),
            Column::number("Of it in a day"),
            Column::number("Size"),
            Column::number("In a day"),
            Column::words("Pattern"),
        ],
        rows,
        remarks: nothing.into_iter().collect(),
    }
}

/// What leaks and what to do, with the whole in a sentence.
pub(super) fn report(document: &Value) -> Report {
    let mut report = areas::recommendations(document);
    report.title = String::from("Memory leaks");
    let health = said::health(document, "/status");
    report.remarks.insert(0, Cell::new(said::text(document, "/summary"), health.tone));
    if document.number("/findings_left_out") > Some(0.0) {
        let count = said::count(document, "/findings_left_out");
        report.remarks.push(format!("{count} more findings; `leaks` shows them").into());
    }
    let grows = document.items("/trends").len();
    if grows > 0 {
        report.remarks.push(format!("{grows} areas grow; `trends` shows them").into());
    }
    report
}
