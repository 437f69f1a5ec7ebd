//! What is shown of the sections that say where numbers come from.

use super::{REDACTED, file, pattern, patterns};
use crate::{
    config::{
        Application, Attribution, Directory, Push,
        applications::{Access, ApplicationArea, Credentials, Origin, Place, without_query},
        duration::show,
        selector::Selector,
    },
    sample::Unit,
};
use serde_json::{Value, json};

pub(super) fn applications(applications: &[Application]) -> Vec<Value> {
    let application = |application: &Application| {
        let Access { credentials, certificate_file } = &application.access;
        let (basic, bearer) = match credentials {
            Some(Credentials::Basic { username, password_file }) => {
                (Some(json!({ "username": username, "password_file": password_file })), None)
            }
            Some(Credentials::Bearer { token_file }) => (None, Some(token_file)),
            None => (None, None),
        };
        json!({
            "name": application.name,
            "prometheus": application.prometheus.as_ref().map(without_query),
            "prefix": application.prefix,
            "basic_auth": basic,
            "bearer_token_file": bearer,
            "certificate_file": file(certificate_file),
            "areas": application.areas.iter().map(area).collect::<Vec<_>>(),
        })
    };
    applications.iter().map(application).collect()
}

fn area(area: &ApplicationArea) -> Value {
    let mut shown = json!({
        "name": area.name,
        "unit": match area.unit { Unit::Bytes => "bytes", Unit::Objects => "objects" },
        "limit": area.limit,
        "judge": area.judge,
    });
    let origin = match &area.origin {
        None => return shown,
        Some(Origin::Metric { size, entries }) => {
            json!({ "metric": selector(size), "entries": entries.as_ref().map(selector) })
        }
        Some(Origin::Document { place, size, entries }) => {
            let (key, place) = document(place);
            json!({ key: place, "field": size, "entries": entries })
        }
    };
    if let (Value::Object(shown), Value::Object(origin)) = (&mut shown, origin) {
        shown.extend(origin);
    }
    shown
}

/// A document's key and value. A query may hold a key, and an argument a password.
fn document(place: &Place) -> (&'static str, Value) {
    match place {
        Place::Url(url) => ("json", without_query(url).into()),
        Place::File(path) => ("file", json!(path)),
        Place::Command(arguments) => {
            let hidden = |(index, word): (usize, &String)| {
                if index == 0 { word.clone() } else { String::from(REDACTED) }
            };
            ("command", arguments.iter().enumerate().map(hidden).collect())
        }
    }
}

fn selector(selector: &Selector) -> String {
    let labels: Vec<String> =
        selector.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    if labels.is_empty() {
        selector.name.clone()
    } else {
        format!("{}{{{}}}", selector.name, labels.join(","))
    }
}

pub(super) fn attribution(attribution: &Attribution) -> Value {
    let Attribution {
        targets,
        interval,
        largest_bytes,
        processes_per_tick,
        time_per_tick,
        modules,
        descriptors,
    } = attribution;
    json!({
        "targets": patterns(targets),
        "interval": show(*interval),
        "largest": largest_bytes,
        "processes_per_tick": processes_per_tick,
        "time_per_tick": show(*time_per_tick),
        "modules": modules,
        "descriptors": descriptors,
    })
}

pub(super) fn directories(directories: &[Directory]) -> Vec<Value> {
    let directory = |directory: &Directory| {
        json!({
            "name": directory.name,
            "path": directory.path,
            "pattern": directory.pattern.as_ref().map(pattern),
            "recursive": directory.recursive,
            "limit": { "files": directory.most_files, "bytes": directory.most_bytes },
        })
    };
    directories.iter().map(directory).collect()
}

pub(super) fn push(push: &Push) -> Value {
    json!({
        "areas": push.areas,
        "forget_after": show(push.forget_after),
        "metrics": patterns(&push.metrics),
    })
}
