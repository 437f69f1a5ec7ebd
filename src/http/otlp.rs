//! OTLP taken in: metrics about memory become areas, those of the semantic conventions and those that `push.metrics` names.
//!
//! Over HTTP it is `POST /v1/metrics` with protobuf, packed by gzip or not; over gRPC see [`grpc`](super::grpc). The target
//! is the resource's `service.name`; `service.instance.id`, else host and process id, tells several programs of one name
//! apart. Gauges and sums that may fall are read, cumulative ones only; whatever else is sent is taken and not looked at, as
//! a program sends all of its metrics to one place.

mod table;

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
        AggregationTemporality, DataPointFlags, Metric, NumberDataPoint, ResourceMetrics, metric::Data,
        number_data_point,
    },
};
use prost::Message as _;

/// Bytes of a body, packed or not. A hostile one takes up to seventy times as much while it is read.
pub(super) const BODY_MAX_BYTES: usize = 512 * 1024;
/// The type of protobuf.
const PROTOBUF: &str = "application/x-protobuf";
/// Resident memory beside the committed heap: what no garbage collector sees.
const EXTERNAL: (&str, &str, &str) = ("external", "rss", "heap_committed");

/// Takes in an export over HTTP.
pub(super) fn answer(inbox: &Inbox, headers: &HeaderMap, body: &Bytes) -> Answer {
    let message = match body::unpacked(headers, PROTOBUF, body, BODY_MAX_BYTES) {
        Ok(message) => message,
        Err(refusal) => return *refusal,
    };
    let Ok(request) = ExportMetricsServiceRequest::decode(&*message) else {
        let sentence =
            "The body is no ExportMetricsServiceRequest in protobuf; send OTLP with http/protobuf.";
        return Answer::text(StatusCode::BAD_REQUEST, sentence);
    };
    match take_in(inbox, request) {
        Some(response) => Answer::new(StatusCode::OK, PROTOBUF, Bytes::from(response.encode_to_vec())),
        None => Answer::text(StatusCode::FORBIDDEN, SHUT),
    }
}

/// Takes in an export; none while nothing is taken in.
pub(super) fn take_in(
    inbox: &Inbox,
    request: ExportMetricsServiceRequest,
) -> Option<ExportMetricsServiceResponse> {
    let terms = inbox.terms()?;
    let mut refused = 0;
    let mut reason = String::new();
    for resource in request.resource_metrics {
        match push(&resource, &terms) {
            Ok(None) => {}
            Ok(Some(push)) => {
                let taken = inbox.put([push]);
                if taken.refused > 0 {
                    reason = String::from("there is no room for more areas: allow more (push.areas)");
                }
                refused += taken.refused;
            }
            Err((points, sentence)) => (refused, reason) = (refused + points, sentence),
        }
    }
    let rejected_data_points = i64::try_from(refused).unwrap_or(i64::MAX);
    let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message: reason };
    Some(ExportMetricsServiceResponse { partial_success: (refused > 0).then_some(partial) })
}

/// What one resource says of its memory; none where it says nothing of it.
fn push(resource: &ResourceMetrics, terms: &Terms) -> Result<Option<Push>, (usize, String)> {
    let areas = areas(resource, terms);
    if areas.is_empty() {
        return Ok(None);
    }
    let attributes =
        resource.resource.as_ref().map(|resource| resource.attributes.as_slice()).unwrap_or_default();
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
    Ok(Some(Push { target, instance, areas }))
}

fn text(attribute: &KeyValue) -> Option<String> {
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The areas that the metrics of a resource tell of.
fn areas(resource: &ResourceMetrics, terms: &Terms) -> Vec<Pushed> {
    let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
    let mut sums: Vec<(&Row, f64)> = Vec::new();
    let mut own: Vec<Pushed> = Vec::new();
    for metric in metrics {
        let points = points(metric);
        for row in TABLE.iter().filter(|row| row.metric == metric.name) {
            let Some(sum) = sum(points.iter().filter(|point| row.includes(point))) else { continue };
            match sums.iter_mut().find(|(known, _)| std::ptr::eq(*known, row)) {
                Some((_, known)) => *known += sum,
                None => sums.push((row, sum)),
            }
        }
        if terms.metrics.iter().any(|pattern| pattern.is_match(&metric.name)) {
            own.extend(own_area(metric, points));
        }
    }
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
