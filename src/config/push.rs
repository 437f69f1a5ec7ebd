//! The section `push`: what programs may send of their own accord.

use super::{
    Push,
    processes::patterns,
    reader::{Durations, Field, Problems},
};
use std::{ops::RangeInclusive, time::Duration};

/// An area takes about 3 KiB with all that is remembered of it.
const AREAS: RangeInclusive<usize> = 1..=100_000;
/// Below 10 s a program that pushes once a while would come and go; what is silent for a week is gone.
const FORGET_AFTER: Durations = Duration::from_secs(10)..=Duration::from_secs(7 * 86_400);

/// Reads `push`.
pub(super) fn push(field: &Field<'_>, problems: &mut Problems) -> Push {
    let mut push = Push::default();
    let Some(section) = field.section("push", problems) else { return push };
    if let Some(areas) = section.field("areas").and_then(|field| field.whole(&AREAS, problems)) {
        push.areas = areas;
    }
    if let Some(forget_after) =
        section.field("forget_after").and_then(|field| field.duration(&FORGET_AFTER, problems))
    {
        push.forget_after = forget_after;
    }
    push.metrics = patterns(&section, "metrics", problems);
    push
}
