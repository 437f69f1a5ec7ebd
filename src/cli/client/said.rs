//! What a document says, in words. What it does not say is a dash: an exporter of another version may know less.

use crate::{
    cli::output::{Cell, Tone},
    detect::words::{Amount, Span},
    text::{Change, Moment, Share},
};
use serde_json::Value;

const HOUR_SECS: f64 = 3600.0;
/// What stands for nothing.
pub(super) const NOTHING: &str = "–";

/// Looking into a document by JSON pointers.
pub(super) trait Said {
    /// The number at a place.
    fn number(&self, pointer: &str) -> Option<f64>;
    /// The text at a place.
    fn text(&self, pointer: &str) -> Option<&str>;
    /// Whether it is true there.
    fn holds(&self, pointer: &str) -> bool;
    /// The items of the list at a place.
    fn items(&self, pointer: &str) -> &[Value];
    /// Puts a value in the place of a key.
    fn set(&mut self, key: &str, value: Value);
}

impl Said for Value {
    fn number(&self, pointer: &str) -> Option<f64> {
        self.pointer(pointer)?.as_f64()
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.pointer(pointer)?.as_str()
    }

    fn holds(&self, pointer: &str) -> bool {
        self.pointer(pointer).and_then(Self::as_bool) == Some(true)
    }

    fn items(&self, pointer: &str) -> &[Value] {
        self.pointer(pointer).and_then(Self::as_array).map_or(&[], Vec::as_slice)
    }

    fn set(&mut self, key: &str, value: Value) {
        if let Self::Object(object) = self {
            object.insert(key.to_owned(), value);
        }
    }
}

/// A count as a number of JSON.
#[expect(clippy::cast_precision_loss, reason = "counts of items are far below 2^53")]
pub(super) fn amount(count: usize) -> f64 {
    count as f64
}

/// A number put into words, or a dash.
pub(super) fn or_nothing<T: ToString>(known: Option<T>) -> String {
    known.map_or_else(|| String::from(NOTHING), |known| known.to_string())
}

/// The text at a place, or a dash.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    or_nothing(value.text(pointer).filter(|text| !text.is_empty()))
}

/// A whole number.
pub(super) fn count(value: &Value, pointer: &str) -> String {
    or_nothing(value.number(pointer).map(|number| format!("{number:.0}")))
}

fn is_bytes(value: &Value) -> bool {
    value.text("/unit") != Some("objects")
}

/// A size in the unit of its area.
pub(super) fn size(value: &Value, pointer: &str) -> String {
    let bytes = is_bytes(value);
    or_nothing(value.number(pointer).map(|value| Amount { value, bytes }))
}

/// A growth a second, told by the hour.
pub(super) fn growth(value: &Value, pointer: &str) -> String {
    let hourly = value.number(pointer).map(|growth| growth * HOUR_SECS);
    or_nothing(hourly.map(|hourly| Change { value: hourly, bytes: is_bytes(value) }))
}

/// A share in per cent.
pub(super) fn share(value: &Value, pointer: &str) -> String {
    or_nothing(value.number(pointer).map(Share))
}

/// A span of time.
pub(super) fn span(value: &Value, pointer: &str) -> String {
    or_nothing(value.number(pointer).map(Span))
}

/// A moment.
pub(super) fn moment(value: &Value, pointer: &str) -> String {
    or_nothing(value.number(pointer).and_then(Moment::of))
}

/// A pattern in words.
pub(super) fn pattern(value: &Value, pointer: &str) -> String {
    text(value, pointer).replace('_', " ")
}

/// The state of an area: none where it is not judged, or too little is known.
pub(super) fn state(value: &Value, pointer: &str) -> Cell {
    let state = value.text(pointer).unwrap_or(NOTHING);
    let tone = match state {
        "confirmed" => Tone::Bad,
        "suspected" => Tone::Warn,
        "none" => Tone::Plain,
        _ => Tone::Quiet,
    };
    Cell::new(state, tone)
}

/// A health.
pub(super) fn health(value: &Value, pointer: &str) -> Cell {
    let health = value.text(pointer).unwrap_or(NOTHING);
    let tone = match health {
        "healthy" => Tone::Good,
        "degraded" => Tone::Warn,
        "critical" => Tone::Bad,
        _ => Tone::Quiet,
    };
    Cell::new(health, tone)
}

/// The name of an area's target, with the process where one is shown by itself.
pub(super) fn target(value: &Value) -> String {
    let name = text(value, "/target");
    match value.number("/pid") {
        Some(pid) => format!("{name} (pid {pid:.0})"),
        None => name,
    }
}
