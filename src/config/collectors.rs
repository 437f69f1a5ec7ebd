//! The section `collectors`: how often a single collector reads, how long it may take, how much of it is shown.

use super::{
    COLLECTORS, Collector, Collectors, Sampling, duration,
    reader::{Durations, Field, Problems, Section},
};
use std::time::Duration;

/// The bounds of `sampling.interval`, up to a day: what changes slowly need not be read often.
const INTERVAL: Durations = Duration::from_millis(100)..=Duration::from_secs(24 * 3_600);
/// Below 10 ms a busy machine is late by chance; above a minute a hanging read is noticed too late.
const TIMEOUT: Durations = Duration::from_millis(10)..=Duration::from_secs(60);
/// Series of one collector: as many as of all.
const SERIES_MAX: usize = 10_000_000;

/// Reads `collectors`; `sampling` is what all of them go by.
pub(super) fn collectors(field: &Field<'_>, sampling: &Sampling, problems: &mut Problems) -> Collectors {
    let mut collectors = Collectors::default();
    let Some(section) = field.section("collectors", problems) else { return collectors };
    for name in COLLECTORS {
        let schema = format!("collectors.{name}");
        let written = section.field(name).and_then(|field| field.section(&schema, problems));
        if let Some(section) = written {
            collectors.0.insert(name, collector(&section, sampling, problems));
        }
    }
    collectors
}

fn collector(section: &Section<'_>, sampling: &Sampling, problems: &mut Problems) -> Collector {
    let interval = section.field("interval").and_then(|field| interval(&field, sampling, problems));
    let timeout = section.field("timeout").and_then(|field| {
        let timeout = field.duration(&TIMEOUT, problems)?;
        let interval = interval.unwrap_or(sampling.interval);
        if timeout > interval {
            let (timeout, interval) = (duration::show(timeout), duration::show(interval));
            let message =
                format!("{timeout} is more than the collector's interval; write {interval} or less");
            field.wrong(problems, message);
        }
        Some(timeout)
    });
    let series = section.field("series").and_then(|field| field.whole(&(1..=SERIES_MAX), problems));
    Collector { interval, timeout, series }
}

/// A collector reads at ticks and at no other time.
fn interval(field: &Field<'_>, sampling: &Sampling, problems: &mut Problems) -> Option<Duration> {
    let interval = field.duration(&INTERVAL, problems)?;
    let tick = sampling.interval;
    let is_multiple = interval.as_nanos().checked_rem(tick.as_nanos()) == Some(0);
    if !is_multiple || interval.is_zero() {
        let (interval, tick) = (duration::show(interval), duration::show(tick));
        let message =
            format!("{interval} is no whole multiple of `sampling.interval`; write {tick} times 1, 2, 3…");
        field.wrong(problems, message);
    }
    Some(interval)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, written};
    use std::time::Duration;

    fn read(text: &str) -> Config {
        written::parse(text, "a.yml", &|_| None).expect(text)
    }

    #[test]
    fn a_collector_goes_by_the_tick_unless_it_is_told_otherwise() {
        let config = read("sampling: {interval: 2s}");
        assert_eq!(config.ticks_between_readings("process"), 1);
        assert_eq!(config.time_for_a_reading("process"), Duration::from_millis(1600));
        let config = read("sampling: {interval: 2s}\ncollectors: {process: {interval: 30s}}");
        assert_eq!(config.ticks_between_readings("process"), 15);
        assert_eq!(config.time_for_a_reading("process"), Duration::from_secs(5));
        assert_eq!(config.ticks_between_readings("another"), 1);
        let config = read("collectors: {process: {timeout: 100ms, series: 7}}");
        assert_eq!(config.time_for_a_reading("process"), Duration::from_millis(100));
        assert_eq!(config.collectors.of("process").series, Some(7));
    }
}
