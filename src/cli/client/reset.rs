//! `reset`: the exporter forgets what it learned of a target.

use super::{
    AskArguments,
    said::{self, Said as _},
};
use crate::cli::{
    Failure,
    output::{Cell, Report, Tone},
};
use clap::Args;
use serde_json::{Value, json};

/// Flags of `reset`.
#[derive(Debug, Args)]
pub(in super::super) struct ResetArguments {
    /// The name of the target, as `targets` lists it.
    #[arg(value_name = "TARGET")]
    target: String,
    /// Its kind: process, cgroup, host, application, directory.
    #[arg(long, default_value = "process")]
    kind: String,
    #[command(flatten)]
    ask: AskArguments,
}

impl ResetArguments {
    pub(in super::super) fn run(self) -> Result<(), Failure> {
        let whom = json!({"kind": self.kind, "target": self.target});
        let mut document = self.ask.exporter.exporter()?.change("/api/v1/forget", &whom)?;
        document.set("kind", self.kind.into());
        document.set("target", self.target.into());
        self.ask.write(&document, "", &forgotten(&document))
    }
}

/// What was forgotten.
pub(super) fn forgotten(document: &Value) -> Report {
    let (kind, target, areas) =
        (said::text(document, "/kind"), said::target(document), said::count(document, "/areas"));
    let words =
        format!("what was learned of {target} ({kind}) is forgotten; areas that are judged anew: {areas}");
    Report { title: String::from("Reset"), remarks: vec![Cell::new(words, Tone::Good)], ..Report::default() }
}
