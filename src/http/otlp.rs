//! OTLP taken in: metrics about memory become areas, those of the semantic conventions and those that `push.metrics` names.
//!
//! Over HTTP it is `POST /v1/metrics` with protobuf or JSON, packed by gzip or not; over gRPC see [`grpc`](super::grpc). The target
//! is the resource's `service.name`; `service.instance.id`, else host and process id, tells several programs of one name
//! apart. Gauges and sums that may fall are read, cumulative ones only; whatever else is sent is taken and not looked at, as
//! a program sends all of its metrics to one place.

mod table;
mod wire;

use self::table::{Role, Row, TABLE};
use super::{
    answer::Answer,
    body,
    push::{NAME_MAX, SHUT, is_area_name, is_name, is_size},
};
use crate::{
    inbox::{Inbox, Push, Pushed, Terms},
    sample::{Area, Unit},
};
use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::{
    collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
    },
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{
        AggregationTemporality, DataPointFlags, Metric, NumberDataPoint, metric::Data, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message as _;
use serde_json::json;

/// Bytes of a body, packed or not.
pub(super) const BODY_MAX_BYTES: usize = 512 * 1024;
/// Bytes of a body as JSON, which is read whole: a hostile one takes up to fifty times as much meanwhile.
const JSON_MAX_BYTES: usize = 128 * 1024;
/// Bytes of one metric, or of what describes its program: five hundred points with some attributes. A hostile one takes up
/// to seventy times as much while it is read, and there is one at a time.
const PIECE_MAX_BYTES: usize = 64 * 1024;
/// Areas of one program that only the configuration knows; the inbox takes fewer.
const OWN_MAX: usize = 256;
/// The types of bodies.
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
/// What is said where the inbox is full.
const NO_ROOM: &str = "there is no room for more areas: allow more (push.areas)";
/// Resident memory beside the committed heap: what no garbage collector sees.
const EXTERNAL: (&str, &str, &str) = ("external", "rss", "heap_committed");

/// Why an export was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing is.
    Shut,
    /// It is none.
    Malformed,
}

/// Takes in an export over HTTP.
pub(super) fn answer(inbox: &Inbox, headers: &HeaderMap, body: &Bytes) -> Answer {
    if body::is_of_type(headers, JSON) {
        return answer_json(inbox, headers, body);
    }
    let message = match body::unpacked(headers, PROTOBUF, body, BODY_MAX_BYTES) {
        Ok(message) => message,
        Err(refusal) => return *refusal,
    };
    match take_in(inbox, &message) {
        Ok(response) => Answer::new(StatusCode::OK, PROTOBUF, Bytes::from(response.encode_to_vec())),
        Err(Refusal::Shut) => Answer::text(StatusCode::FORBIDDEN, SHUT),
        Err(Refusal::Malformed) => {
            let sentence =
                "The body is no ExportMetricsServiceRequest in protobuf; send OTLP with http/protobuf.";
            Answer::text(StatusCode::BAD_REQUEST, sentence)
        }
    }
}

fn answer_json(inbox: &Inbox, headers: &HeaderMap, body: &Bytes) -> Answer {
    let Some(terms) = inbox.terms() else { return Answer::text(StatusCode::FORBIDDEN, SHUT) };
    let message = match body::unpacked(headers, JSON, body, JSON_MAX_BYTES) {
        Ok(message) => message,
        Err(refusal) => return *refusal,
    };
    if message.len() > JSON_MAX_BYTES {
        let most = JSON_MAX_BYTES / 1024;
        let sentence =
            format!("The body has more than the {most} KiB that are read as JSON; send http/protobuf.");
        return Answer::text(StatusCode::PAYLOAD_TOO_LARGE, &sentence);
    }
    let request: ExportMetricsServiceRequest = match serde_json::from_slice(&message) {
        Ok(request) => request,
        Err(error) => {
            let sentence = format!("The body is no ExportMetricsServiceRequest in JSON: {error}.");
            return Answer::text(StatusCode::BAD_REQUEST, &sentence);
        }
    };
    let mut export = Export::new(&terms);
    for resource in request.resource_metrics {
        let mut told = Told::default();
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            told.add(metric, &terms);
        }
        export.take(&resource.resource.unwrap_or_default(), told);
    }
    // As the protocol spells it: no field where all was taken in, and a number of 64 bits as text.
    let response = match export.put(inbox).partial_success {
        None => json!({}),
        Some(ExportMetricsPartialSuccess { rejected_data_points, error_message }) => {
            json!({"partialSuccess": {
                "rejectedDataPoints": rejected_data_points.to_string(), "errorMessage": error_message,
            }})
        }
    };
    Answer::new(StatusCode::OK, JSON, Bytes::from(response.to_string()))
}

/// Takes in an export as protobuf: all of it, or nothing where it is none. It is read piece by piece, each of them in
/// memory for as long as it is looked at, since a hostile one is far larger there than on its way.
pub(super) fn take_in(inbox: &Inbox, message: &[u8]) -> Result<ExportMetricsServiceResponse, Refusal> {
    let terms = inbox.terms().ok_or(Refusal::Shut)?;
    let mut export = Export::new(&terms);
    wire::fields(message, &mut |field, resource_metrics| {
        if field == wire::RESOURCE_METRICS {
            let mut told = Told::default();
            let mut resource = Resource::default();
            wire::fields(resource_metrics, &mut |field, bytes| match field {
                wire::RESOURCE if bytes.len() <= PIECE_MAX_BYTES => {
                    resource = Resource::decode(bytes).map_err(|_error| Refusal::Malformed)?;
                    Ok(())
                }
                wire::SCOPE_METRICS => told.add_scope(bytes, &terms),
                _ => Ok(()),
            })?;
            export.take(&resource, told);
        }
        Ok(())
    })?;
    Ok(export.put(inbox))
}

/// What was read of an export.
struct Export<'a> {
    pushes: Vec<Push>,
    terms: &'a Terms,
    refused: usize,
    reason: String,
}

impl<'a> Export<'a> {
    const fn new(terms: &'a Terms) -> Self {
        Self { pushes: Vec::new(), terms, refused: 0, reason: String::new() }
    }

    /// Takes what one resource says of its memory, if it says anything of it.
    fn take(&mut self, resource: &Resource, told: Told) {
        if told.oversized > 0 {
            self.refused += told.oversized;
            self.reason = format!("metrics of more than {} KiB are not read", PIECE_MAX_BYTES / 1024);
        }
        let areas = told.areas();
        if areas.is_empty() {
            return;
        }
        // More than there is room for need not be kept until they are refused.
        if self.pushes.len() >= self.terms.areas_max {
            self.refused += areas.len();
            self.reason = String::from(NO_ROOM);
            return;
        }
        match push(resource, areas) {
            Ok(push) => self.pushes.push(push),
            Err((points, sentence)) => {
                self.refused += points;
                self.reason = sentence;
            }
        }
    }

    fn put(mut self, inbox: &Inbox) -> ExportMetricsServiceResponse {
        let taken = inbox.put(self.pushes);
        if taken.refused > 0 {
            self.refused += taken.refused;
            self.reason = String::from(NO_ROOM);
        }
        let rejected_data_points = i64::try_from(self.refused).unwrap_or(i64::MAX);
        let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message: self.reason };
        ExportMetricsServiceResponse { partial_success: (self.refused > 0).then_some(partial) }
    }
}

/// What one resource says of its memory.
fn push(resource: &Resource, areas: Vec<Pushed>) -> Result<Push, (usize, String)> {
    let attributes = resource.attributes.as_slice();
    let attribute = |key: &str| attributes.iter().find(|attribute| attribute.key == key).and_then(text);
    let target = attribute("service.name").unwrap_or_default();
    if !is_name(&target) {
        let sentence = format!(
            "the resource has no service.name of 1 to {NAME_MAX} characters without controls: set OTEL_SERVICE_NAME"
        );
        return Err((areas.len(), sentence));
    }
    let process =
        || Some(format!("{}/{}", attribute("host.name").unwrap_or_default(), attribute("process.pid")?));
    let instance = attribute("service.instance.id").or_else(process).unwrap_or_default();
    // It is hashed and never shown, so that it may hold anything.
    Ok(Push { target, instance, areas })
}

fn text(attribute: &KeyValue) -> Option<String> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What the metrics of a resource tell of.
#[derive(Default)]
struct Told {
    sums: Vec<(&'static Row, f64)>,
    own: Vec<Pushed>,
    /// Metrics that are too large to be read.
    oversized: usize,
}

impl Told {
    /// Adds the metrics of one scope.
    fn add_scope(&mut self, scope: &[u8], terms: &Terms) -> Result<(), Refusal> {
        wire::fields(scope, &mut |field, bytes| {
            if field == wire::METRICS {
                if bytes.len() > PIECE_MAX_BYTES {
                    self.oversized += 1;
                } else {
                    self.add(&Metric::decode(bytes).map_err(|_error| Refusal::Malformed)?, terms);
                }
            }
            Ok(())
        })
    }

    fn add(&mut self, metric: &Metric, terms: &Terms) {
        let points = points(metric);
        for row in TABLE.iter().filter(|row| row.metric == metric.name) {
            let Some(sum) = sum(points.iter().filter(|point| row.includes(point))) else { continue };
            match self.sums.iter_mut().find(|(known, _)| std::ptr::eq(*known, row)) {
                Some((_, known)) => *known += sum,
                None => self.sums.push((row, sum)),
            }
        }
        if self.own.len() < OWN_MAX && terms.metrics.iter().any(|pattern| pattern.is_match(&metric.name)) {
            self.own.extend(own_area(metric, points));
        }
    }

    fn areas(self) -> Vec<Pushed> {
        areas(self.sums, self.own)
    }
}

/// The areas that these sums tell of, and those of one's own.
fn areas(mut sums: Vec<(&'static Row, f64)>, own: Vec<Pushed>) -> Vec<Pushed> {
    // Where several metrics tell of one area, the one that stands first in the table does.
    sums.sort_by_key(|(row, _)| std::ptr::from_ref(*row));
    let mut areas: Vec<Pushed> = Vec::new();
    for (row, sum) in sums.iter().filter(|(_, sum)| is_size(*sum)) {
        match row.role {
            Role::Bytes(name) => add(&mut areas, Area::new(name, Unit::Bytes), *sum),
            Role::Objects(name) => add(&mut areas, Area::new(name, Unit::Objects), *sum),
            Role::Limit(_) => {}
        }
    }
    for (row, sum) in sums.iter().filter(|(_, sum)| is_size(*sum) && *sum > 0.0) {
        let Role::Limit(name) = row.role else { continue };
        if let Some(area) =
            areas.iter_mut().find(|pushed| *pushed.area.name == *name && pushed.limit.is_none())
        {
            area.limit = Some(*sum);
        }
    }
    add_external(&mut areas);
    for pushed in own {
        add(&mut areas, pushed.area, pushed.size);
    }
    areas
}

/// Adds an area, unless it is there.
fn add(areas: &mut Vec<Pushed>, area: Area, size: f64) {
    if areas.iter().all(|known| known.area != area) {
        areas.push(Pushed { area, size, limit: None });
    }
}

fn add_external(areas: &mut Vec<Pushed>) {
    let (name, whole, part) = EXTERNAL;
    let size_of =
        |name: &str| areas.iter().find(|pushed| *pushed.area.name == *name).map(|pushed| pushed.size);
    if let (Some(whole), Some(part)) = (size_of(whole), size_of(part)) {
        add(areas, Area::new(name, Unit::Bytes), (whole - part).max(0.0));
    }
}

/// The area of a metric that the configuration names: all of its points together, in bytes if that is its unit.
fn own_area(metric: &Metric, points: &[NumberDataPoint]) -> Option<Pushed> {
    let name = metric.name.replace(['.', '-', '/'], "_");
    let unit = if metric.unit == "By" { Unit::Bytes } else { Unit::Objects };
    let size = sum(points.iter()).filter(|size| is_size(*size) && is_area_name(&name))?;
    Some(Pushed { area: Area::new(&name, unit), size, limit: None })
}

/// The points of a metric that is a size: a gauge, or a sum that may fall and counts from the start.
fn points(metric: &Metric) -> &[NumberDataPoint] {
    match &metric.data {
        Some(Data::Gauge(gauge)) => &gauge.data_points,
        Some(Data::Sum(sum))
            if !sum.is_monotonic
                && sum.aggregation_temporality == AggregationTemporality::Cumulative as i32 =>
        {
            &sum.data_points
        }
        _ => &[],
    }
}

/// The sum of points; none where there is none.
fn sum<'a>(points: impl Iterator<Item = &'a NumberDataPoint>) -> Option<f64> {
    points.filter_map(value).reduce(|sum, value| sum + value)
}

#[expect(clippy::cast_precision_loss, reason = "sizes are exact up to 2^53, and larger ones are refused")]
fn value(point: &NumberDataPoint) -> Option<f64> {
    let is_recorded = point.flags & DataPointFlags::NoRecordedValueMask as u32 == 0;
    let value = match point.value.as_ref()? {
        number_data_point::Value::AsDouble(value) => *value,
        number_data_point::Value::AsInt(value) => *value as f64,
    };
    // What has no bound says so with -1.
    (is_recorded && is_size(value)).then_some(value)
}

#[cfg(test)]
mod tests;
