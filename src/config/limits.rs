//! The sections `sampling` and `limits`: numbers within bounds.

use super::{
    Limits, Sampling, duration,
    reader::{Durations, Field, Problems},
};
use std::{ops::RangeInclusive, time::Duration};

/// Below 100 ms the reading itself would be the load; above 1 h no leak is seen in time.
const INTERVAL: Durations = Duration::from_millis(100)..=Duration::from_secs(3_600);
/// A day without a full reading is as good as none.
const FULL_INTERVAL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Reads `sampling`.
pub(super) fn sampling(field: &Field<'_>, problems: &mut Problems) -> Sampling {
    let default = Sampling::default();
    let Some(section) = field.section("sampling", problems) else { return default };
    let interval = section.field("interval").and_then(|field| field.duration(&INTERVAL, problems));
    let interval = interval.unwrap_or(default.interval);
    // Where only a long interval is written, full readings follow it.
    let mut full_interval = default.full_interval.max(interval);
    if let Some(field) = section.field("full_interval")
        && let Some(written) = field.duration(&(Duration::from_millis(100)..=FULL_INTERVAL_MAX), problems)
    {
        full_interval = written;
        if written < interval {
            let (full, interval) = (duration::show(written), duration::show(interval));
            field.wrong(
                problems,
                format!("{full} is less than `sampling.interval`; write {interval} or more"),
            );
        }
    }
    Sampling { interval, full_interval }
}

/// Reads `limits`.
pub(super) fn limits(field: &Field<'_>, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let Some(section) = field.section("limits", problems) else { return limits };
    let bounds: [(&str, RangeInclusive<usize>, &mut usize); 5] = [
        ("processes", 1..=1_000_000, &mut limits.processes),
        ("cgroups", 1..=100_000, &mut limits.cgroups),
        ("targets", 1..=1_000_000, &mut limits.targets),
        ("areas_per_target", 1..=10_000, &mut limits.areas_per_target),
        ("series", 1..=10_000_000, &mut limits.series),
    ];
    for (key, range, limit) in bounds {
        if let Some(written) = section.field(key).and_then(|field| field.whole(&range, problems)) {
            *limit = written;
        }
    }
    limits
}
