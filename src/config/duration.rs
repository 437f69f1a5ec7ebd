//! Durations as Prometheus writes them: `100ms`, `3s`, `1m30s`, `1h`.
//!
//! Units in falling order, each at most once, whole numbers only. A number without a unit is refused except `0`.

use std::time::Duration;

/// The units from the largest to the smallest with their milliseconds. A year is 365 days, as in Prometheus.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration; the error says what to write.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || {
        String::from("is no duration; write whole numbers with their units, such as 500ms, 3s, 1m30s or 1h")
    };
    if text.is_empty() {
        return Err(wrong());
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_milliseconds = 0u64;
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let (unit, others) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        if unit.is_empty() && others.is_empty() && rest == text && !number.is_empty() {
            return Err(format!("is a number without a unit; write {text}s if seconds are meant"));
        }
        // The iterator has already passed the larger units, so that disorder and repetition find nothing.
        let (_, unit_milliseconds) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_error| wrong())?;
        total_milliseconds = number
            .checked_mul(*unit_milliseconds)
            .and_then(|part| part.checked_add(total_milliseconds))
            .ok_or_else(|| String::from("is too long; write less than 500y"))?;
        rest = others;
    }
    Ok(Duration::from_millis(total_milliseconds))
}

/// Reads a duration of a command line: more than none.
pub(crate) fn argument(text: &str) -> anyhow::Result<Duration> {
    let duration = parse(text).map_err(|error| anyhow::anyhow!("it {error}"))?;
    anyhow::ensure!(duration > Duration::ZERO, "it is no time at all; write more than 0");
    Ok(duration)
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// A duration as [`parse`] reads it, to the millisecond.
pub(crate) fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut shown = String::new();
    for (name, unit_milliseconds) in UNITS {
        // Weeks and years are exact but rarely how people think: 14d reads better than 2w.
        if name == "w" || name == "y" {
            continue;
        }
        if rest >= unit_milliseconds {
            shown.push_str(&format!("{}{name}", rest / unit_milliseconds));
            rest %= unit_milliseconds;
        }
    }
    if shown.is_empty() { String::from("0s") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, milliseconds: u64, shown: &str) {
        assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        assert_eq!(show(Duration::from_millis(milliseconds)), shown, "{text}");
    }

    fn check_wrong(text: &str, message: &str) {
        let error = parse(text).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
    }

    #[test]
    fn durations_are_read_and_shown() {
        check("100ms", 100, "100ms");
        check("3s", 3_000, "3s");
        check("1m30s", 90_000, "1m30s");
        check("90s", 90_000, "1m30s");
        check("1h", 3_600_000, "1h");
        check("1d12h", 129_600_000, "1d12h");
        check("2w", 1_209_600_000, "14d");
        check("1y", 31_536_000_000, "365d");
        check("1s500ms", 1_500, "1s500ms");
        check("0", 0, "0s");
        check("0s", 0, "0s");
        check("007s", 7_000, "7s");
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        check_wrong("3", "write 3s if seconds are meant");
        for text in ["", "s", "3 s", "1.5s", "-3s", "+3s", "3sec", "3S", "30s1m", "1s1s", "1m30", "٣s", "3µs"]
        {
            check_wrong(text, "is no duration");
        }
        check_wrong("99999999999999999999s", "is no duration");
        check_wrong("999999999y", "is too long");
    }
}
