//! The section `attribution`: whose memory is attributed to its parts, and what that may cost.

use super::{
    Attribution, amount, processes,
    reader::{Durations, Field, Problems},
};
use crate::budget::Quantity;
use std::{ops::RangeInclusive, time::Duration};

/// A reading holds the process up for some milliseconds; more often than once a second that would be felt.
const INTERVAL: Durations = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
/// Below a millisecond no process is read to its end; above ten seconds the tick waits too long.
const TIME: Durations = Duration::from_millis(1)..=Duration::from_secs(10);
/// At about 10 ms for a gibibyte this is a stall of ten seconds.
const LARGEST_BYTES: RangeInclusive<f64> = 1_048_576.0..=1_099_511_627_776.0;

/// Reads `attribution`.
pub(super) fn attribution(field: &Field<'_>, problems: &mut Problems) -> Attribution {
    let mut attribution = Attribution::default();
    let Some(section) = field.section("attribution", problems) else { return attribution };
    attribution.targets = processes::patterns(&section, "targets", problems);
    let durations: [(&str, Durations, &mut Duration); 2] = [
        ("interval", INTERVAL, &mut attribution.interval),
        ("time_per_tick", TIME, &mut attribution.time_per_tick),
    ];
    for (key, range, duration) in durations {
        if let Some(written) = section.field(key).and_then(|field| field.duration(&range, problems)) {
            *duration = written;
        }
    }
    let counts: [(&str, RangeInclusive<usize>, &mut usize); 3] = [
        ("processes_per_tick", 1..=256, &mut attribution.processes_per_tick),
        ("modules", 0..=50, &mut attribution.modules),
        ("descriptors", 0..=1_000_000, &mut attribution.descriptors),
    ];
    for (key, range, count) in counts {
        if let Some(written) = section.field(key).and_then(|field| field.whole(&range, problems)) {
            *count = written;
        }
    }
    if let Some(bytes) = section.field("largest").and_then(|field| size(&field, problems)) {
        attribution.largest_bytes = bytes;
    }
    attribution
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of sizes")]
fn size(field: &Field<'_>, problems: &mut Problems) -> Option<u64> {
    let text = field.scalar(&amount::expected(Quantity::Bytes), problems)?;
    let wrong = match amount::parse(Quantity::Bytes, &text) {
        Ok(bytes) if LARGEST_BYTES.contains(&bytes) => return Some(bytes as u64),
        Ok(_) => String::from("is out of range; write 1MiB to 1TiB"),
        Err(message) => message,
    };
    field.wrong(problems, format!("{} {wrong}", super::tree::clip(&text)));
    None
}
