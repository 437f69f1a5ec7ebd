//! Amounts with their units: `50MB`, `1.5GiB`, `100MB/h`, `80%`, `10/min`.
//!
//! Sizes are read as everywhere in the configuration, but one without a unit is refused, as a duration is: a budget of 500
//! was meant in megabytes.

use super::{duration, size};
use crate::budget::Quantity;

/// Units of time behind a slash with their seconds.
const PERIODS: [(&str, f64); 5] = [("s", 1.0), ("m", 60.0), ("min", 60.0), ("h", 3600.0), ("d", 86_400.0)];

/// What a quantity is called and what to write for it.
const fn words(quantity: Quantity) -> (&'static str, &'static str) {
    match quantity {
        Quantity::Bytes => ("size", "such as 50MB, 1.5GB or 1GiB"),
        Quantity::Objects => ("whole number", "such as 1000"),
        Quantity::Ratio => ("ratio", "such as 80% or 0.8"),
        Quantity::Seconds => ("duration", "such as 500ms, 3s, 1m30s or 1h"),
        Quantity::BytesPerSecond => ("size for a time", "such as 1MB/s, 2MB/min or 100MB/h"),
        Quantity::PerSecond => ("number for a time", "such as 10/min"),
    }
}

/// What to write for a quantity: `a size such as 50MB`.
pub(super) fn expected(quantity: Quantity) -> String {
    let (name, examples) = words(quantity);
    format!("a {name} {examples}")
}

/// Reads an amount into the unit of its quantity; the error follows the text that was written.
pub(super) fn parse(quantity: Quantity, text: &str) -> Result<f64, String> {
    let wrong = || {
        let (name, examples) = words(quantity);
        format!("is no {name}; write one {examples}")
    };
    match quantity {
        Quantity::Bytes if decimal(text).is_some() => {
            Err(format!("is a number without a unit; write {text}MB if megabytes are meant"))
        }
        Quantity::Bytes => size::parse(text),
        Quantity::Objects => {
            let whole = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| whole).ok_or_else(wrong)
        }
        Quantity::Ratio => {
            // Divided, so that 70% is 0.7 to the last bit.
            let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
            decimal(number).map(|number| number / whole).ok_or_else(wrong)
        }
        Quantity::Seconds => duration::parse(text).map(|duration| duration.as_secs_f64()),
        Quantity::BytesPerSecond => per_second(text, size_with_unit).ok_or_else(wrong),
        Quantity::PerSecond => per_second(text, decimal).ok_or_else(wrong),
    }
}

fn per_second(text: &str, amount: fn(&str) -> Option<f64>) -> Option<f64> {
    let (number, period) = text.split_once('/')?;
    let (_, secs) = PERIODS.iter().find(|(name, _)| *name == period)?;
    amount(number).map(|number| number / secs)
}

fn size_with_unit(text: &str) -> Option<f64> {
    size::parse(text).ok().filter(|_| decimal(text).is_none())
}

/// Digits with at most one point among them.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_into_the_unit_of_their_quantity() {
        let check = |quantity, text: &str, expected: f64| {
            let read = parse(quantity, text).expect(text);
            assert!((read - expected).abs() <= 1e-12 * expected, "{text}: {read}");
        };
        check(Quantity::Bytes, "50MB", 50e6);
        check(Quantity::Bytes, "1.5GiB", 1.5 * 1_073_741_824.0);
        check(Quantity::Bytes, "512B", 512.0);
        check(Quantity::BytesPerSecond, "2MB/min", 2e6 / 60.0);
        check(Quantity::BytesPerSecond, "100MB/h", 1e8 / 3600.0);
        check(Quantity::BytesPerSecond, "64KiB/s", 65_536.0);
        check(Quantity::Ratio, "80%", 0.8);
        check(Quantity::Ratio, "0.8", 0.8);
        check(Quantity::Ratio, "3", 3.0);
        check(Quantity::Objects, "1000", 1000.0);
        check(Quantity::Seconds, "1m30s", 90.0);
        check(Quantity::PerSecond, "30/min", 0.5);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        let check = |quantity, text: &str, message: &str| {
            let error = parse(quantity, text).expect_err(text);
            assert!(error.contains(message), "{text}: {error}");
        };
        check(Quantity::Bytes, "50", "write 50MB if megabytes are meant");
        for text in ["", "MB", "-5MB", "1e3MB", "5MB/s", "1.2.3MB", "0x5MB"] {
            check(Quantity::Bytes, text, "is no size");
        }
        check(Quantity::Bytes, "5G", "write GB (of 1000) or GiB (of 1024)");
        for text in ["2MB", "2/min", "2MB/minute", "2MB/", "/min"] {
            check(Quantity::BytesPerSecond, text, "is no size for a time");
        }
        for text in ["80 %", "%", "-1", "inf", "1e3"] {
            check(Quantity::Ratio, text, "is no ratio");
        }
        for text in ["1.5", "1000.", "+5", "", "10MB"] {
            check(Quantity::Objects, text, "is no whole number");
        }
        check(Quantity::Seconds, "3", "write 3s if seconds are meant");
        check(Quantity::PerSecond, "10", "such as 10/min");
    }
}
