//! Which part of a process grows: how much its lowest size rose from the first readings to the last.
//!
//! Readings are a minute apart and few, so no model is asked; that the process leaks is known already, by its samples.
//! The lowest of three readings stands for each end, since a heap with garbage collection is a saw-tooth.

use crate::{
    sample::{Measure, Part, Seconds},
    series::anatomy::{Course, Reading},
};

/// What is no leak however it grows: the kernel drops pages of files when it needs the memory.
const RECLAIMABLE: &str = "mapped_files";

/// Whether growth of a part can be a leak of memory.
#[must_use]
pub fn can_leak(name: &str, measure: Measure) -> bool {
    measure == Measure::Memory && name != RECLAIMABLE
}

/// Growth of a part of the last reading, in its unit a second; none while there are too few readings, or where the part is
/// younger than they are.
#[must_use]
pub fn growth(course: &Course, part: &Part) -> Option<f64> {
    let (beginning, end) = course.ends()?;
    let before = lowest(&beginning, part)?;
    let now = lowest(&end, part)?;
    let passed = mean_time(&end) - mean_time(&beginning);
    (passed > 0.0).then(|| (now - before) / passed)
}

/// The part of its memory that grows fastest, with its growth in bytes a second; none where nothing grows.
#[must_use]
pub fn fastest(course: &Course) -> Option<(&Part, f64)> {
    let parts = course.latest()?.parts.iter();
    let of_memory = parts.filter(|part| can_leak(&part.name, part.measure));
    let growing = of_memory.filter_map(|part| Some((part, growth(course, part)?)));
    growing.filter(|(_, growth)| *growth > 0.0).max_by(|(_, one), (_, other)| one.total_cmp(other))
}

/// The lowest size of a part. No descriptor of a kind is none; a module that is not among the largest has a size all the
/// same, and nobody knows it.
fn lowest(readings: &[&Reading], part: &Part) -> Option<f64> {
    let size = |reading: &Reading| match reading.size(&part.name, part.measure) {
        None if part.measure != Measure::Memory => Some(0.0),
        size => size,
    };
    readings.iter().map(|reading| size(reading)).reduce(|one, other| Some(one?.min(other?)))?
}

fn mean_time(readings: &[&Reading]) -> Seconds {
    let (sum, count) =
        readings.iter().fold((0.0, 0.0), |(sum, count), reading| (sum + reading.at, count + 1.0));
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, measure: Measure, size: f64) -> Part {
        Part { name: name.into(), measure, size, confidence: 1.0 }
    }

    fn course(readings: impl IntoIterator<Item = Vec<Part>>) -> Course {
        let mut course = Course::default();
        for (number, parts) in (0..).zip(readings) {
            course.push(Reading { at: f64::from(number) * 60.0, parts }, true);
        }
        course
    }

    fn grown(course: &Course, name: &str, measure: Measure) -> Option<f64> {
        growth(course, &part(name, measure, 0.0))
    }

    /// A heap that leaks 1 MB a minute below a saw-tooth of 50 MB, a steady part, and files that are read.
    #[test]
    fn the_floor_of_a_saw_tooth_tells_the_growth() {
        let reading = |minute: u32| {
            let tooth = f64::from([30, 0, 10, 0, 50][minute as usize % 5]) * 1e6;
            vec![
                part("runtime_heap", Measure::Memory, 1e8 + f64::from(minute) * 1e6 + tooth),
                part("stacks", Measure::Memory, 1e6),
                part("mapped_files", Measure::Memory, f64::from(minute) * 1e8),
            ]
        };
        let course = course((0..120).map(reading));
        let (fastest, growth) = fastest(&course).unwrap();
        assert_eq!(&*fastest.name, "runtime_heap");
        assert!((growth - 1e6 / 60.0).abs() < 500.0, "{growth}");
        assert_eq!(grown(&course, "stacks", Measure::Memory), Some(0.0));
    }

    #[test]
    fn a_kind_of_descriptors_begins_at_none_and_a_module_does_not() {
        let pipes = |pipes: f64| part("pipe", Measure::Descriptors, pipes);
        let course = course([
            vec![part("heap", Measure::Memory, 10.0)],
            vec![
                part("heap", Measure::Memory, 10.0),
                part("module:a.so", Measure::Memory, 9e9),
                pipes(120.0),
            ],
        ]);
        assert_eq!(grown(&course, "pipe", Measure::Descriptors), Some(2.0));
        assert_eq!(grown(&course, "module:a.so", Measure::Memory), None);
        assert_eq!(grown(&course, "heap", Measure::Memory), Some(0.0));
        assert!(fastest(&course).is_none(), "nothing grows");
    }
}
