//! The configuration in force, with every default, under the keys of the file, and without what is secret in it.

mod sources;

use super::{
    Config, Limits, NameSource, Otlp, OtlpProtocol, OtlpTemporality, Processes, Sensitivity, duration::show,
};
use crate::{budget::Budget, severity::Row};
use regex::Regex;
use serde_json::{Map, Value, json};
use std::{path::PathBuf, time::Duration};

/// Stands where a secret would.
const REDACTED: &str = "<secret>";

impl Config {
    /// The whole of it as one object. Values of headers, the queries of URLs and the arguments of commands are left out:
    /// they may be secret. Passwords and tokens are not here at all, only the files that hold them.
    #[must_use]
    pub fn shown(&self) -> Value {
        let collectors: Map<String, Value> =
            super::COLLECTORS.iter().map(|name| (String::from(*name), self.collector_shown(name))).collect();
        json!({
            "sampling": {
                "interval": show(self.sampling.interval),
                "full_interval": show(self.sampling.full_interval),
            },
            "collectors": collectors,
            "processes": processes(&self.processes),
            "cgroups": {
                "include": patterns(&self.cgroups.include),
                "exclude": patterns(&self.cgroups.exclude),
                "judge": self.cgroups.judge,
            },
            "host": { "judge": self.host.judge },
            "applications": sources::applications(&self.applications),
            "attribution": sources::attribution(&self.attribution),
            "directories": sources::directories(&self.directories),
            "push": sources::push(&self.push),
            "sensitivity": self.sensitivity.general.as_ref().map(|general| budget(general)),
            "targets": targets(&self.sensitivity),
            "severity": self.severity.as_ref().map(|table| table.rows.iter().map(row).collect::<Vec<_>>()),
            "limits": limits(&self.limits),
            "otlp": self.otlp.as_ref().map(otlp),
        })
    }

    fn collector_shown(&self, name: &str) -> Value {
        json!({
            "interval": show(self.sampling.interval * self.ticks_between_readings(name)),
            "timeout": show(self.time_for_a_reading(name)),
            "series": self.collectors.of(name).series,
        })
    }
}

fn processes(processes: &Processes) -> Value {
    let word = |wanted: &NameSource| {
        NameSource::ALL.iter().find(|(_, source)| source == wanted).map(|(word, _)| word)
    };
    let rules: Vec<Value> = processes
        .rules
        .iter()
        .map(|rule| {
            json!({
                "name": rule.name,
                "executable": rule.executable.as_ref().map(pattern),
                "command_line": rule.command_line.as_ref().map(pattern),
                "unit": rule.unit.as_ref().map(pattern),
                "container": rule.container.as_ref().map(pattern),
            })
        })
        .collect();
    json!({
        "group_by": processes.group_by.iter().map(word).collect::<Vec<_>>(),
        "rules": rules,
        "include": patterns(&processes.include),
        "exclude": patterns(&processes.exclude),
        "expected": processes.expected,
        "judge": processes.judge,
        "show_pid": processes.show_pid,
    })
}

fn targets(sensitivity: &Sensitivity) -> Vec<Value> {
    let target =
        |own: &super::TargetBudget| json!({ "name": pattern(&own.name), "thresholds": budget(&own.budget) });
    sensitivity.targets.iter().map(target).collect()
}

/// The numbers of a budget as a person writes them, by rule and level.
fn budget(budget: &Budget) -> Value {
    let mut rules = Map::new();
    for threshold in budget.thresholds() {
        let levels = rules.entry(threshold.rule.name).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(levels) = levels {
            levels.insert(threshold.level.as_str().into(), threshold.to_string().into());
        }
    }
    Value::Object(rules)
}

fn row(row: &Row) -> Value {
    json!({
        "level": row.level.as_str(),
        "confidence": row.confidence,
        "time_to_limit": row.time_to_limit_secs.map(|secs| show(Duration::from_secs_f64(secs))),
        "growth_per_day": row.growth_per_day,
    })
}

fn limits(limits: &Limits) -> Value {
    let Limits { processes, cgroups, targets, areas_per_target, series } = limits;
    json!({
        "processes": processes,
        "cgroups": cgroups,
        "targets": targets,
        "areas_per_target": areas_per_target,
        "series": series,
    })
}

fn otlp(otlp: &Otlp) -> Value {
    let protocol = OtlpProtocol::ALL.iter().find(|(_, protocol)| *protocol == otlp.protocol);
    let temporality = OtlpTemporality::ALL.iter().find(|(_, temporality)| *temporality == otlp.temporality);
    let headers: Map<String, Value> =
        otlp.headers.keys().map(|name| (name.clone(), Value::from(REDACTED))).collect();
    json!({
        "endpoint": otlp.endpoint.split('?').next(),
        "protocol": protocol.map(|(word, _)| word),
        "headers": headers,
        "compression": if otlp.gzip { "gzip" } else { "none" },
        "timeout": show(otlp.timeout),
        "temporality": temporality.map(|(word, _)| word),
        "interval": show(otlp.interval),
        "queue": otlp.queue,
        "certificate_file": file(&otlp.certificate_file),
        "client_certificate_file": file(&otlp.client_certificate_file),
        "client_key_file": file(&otlp.client_key_file),
        "resource_attributes": otlp.resource_attributes,
    })
}

fn file(file: &Option<PathBuf>) -> Option<String> {
    file.as_ref().map(|path| path.display().to_string())
}

fn patterns(patterns: &[Regex]) -> Vec<&str> {
    patterns.iter().map(pattern).collect()
}

/// A pattern as it was written: without what makes it match whole.
fn pattern(pattern: &Regex) -> &str {
    let whole = pattern.as_str();
    whole.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(whole)
}
