//! The smallest pieces of the text formats: numbers, bucket bounds, escaped label values and help.
//!
//! Everything is appended to one byte buffer; nothing here allocates but [`push_bound`], which runs a few dozen times
//! a page.

/// Up to here every whole `f64` is exact, so that printing it without a fraction loses nothing.
const LARGEST_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// From this decimal exponent on a bucket bound is written with an exponent, as Go's `%g` does.
const LARGEST_PLAIN_EXPONENT: i32 = 5;
/// Below this decimal exponent a bucket bound is written with an exponent, as Go's `%g` does.
const SMALLEST_PLAIN_EXPONENT: i32 = -4;

/// Appends a sample's value: whole numbers without fraction or exponent, others with the fewest digits that read back
/// to the same number, and `+Inf`, `-Inf`, `NaN` as Prometheus spells them.
pub(super) fn push_number(out: &mut Vec<u8>, value: f64) {
    if let Some(whole) = whole(value) {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(unbounded(value).as_bytes());
    }
}

/// Appends a count.
pub(super) fn push_count(out: &mut Vec<u8>, count: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
}

/// Appends a bucket's upper bound in the canonical form of OpenMetrics: `1.0`, `0.005`, `1e+06`, `+Inf`.
///
/// The text formats get the same form, so that a bucket is the same series whatever was negotiated.
pub(super) fn push_bound(out: &mut Vec<u8>, bound: f64) {
    if !bound.is_finite() {
        out.extend_from_slice(unbounded(bound).as_bytes());
        return;
    }
    let scientific = format!("{bound:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let text = if (SMALLEST_PLAIN_EXPONENT..=LARGEST_PLAIN_EXPONENT).contains(&exponent) {
        format!("{bound:?}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
    };
    out.extend_from_slice(text.as_bytes());
}

/// Appends a label's value with `\`, `"` and newline escaped; anything else, all of UTF-8, stays as it is.
pub(super) fn push_label_value(out: &mut Vec<u8>, value: &str) {
    push_escaped(out, value, true);
}

/// Appends a help text with `\` and newline escaped, and `"` too where the format asks for it.
pub(super) fn push_help(out: &mut Vec<u8>, help: &str, quotes: bool) {
    push_escaped(out, help, quotes);
}

fn push_escaped(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let special = |byte: u8| byte == b'\\' || byte == b'\n' || (quotes && byte == b'"');
    if !text.bytes().any(special) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for byte in text.bytes() {
        if special(byte) {
            out.push(b'\\');
        }
        out.push(if byte == b'\n' { b'n' } else { byte });
    }
}

/// The value as an integer, where that is the very same number.
#[expect(clippy::cast_possible_truncation, reason = "a value that does not fit compares unequal afterwards")]
#[expect(clippy::cast_precision_loss, reason = "beyond the exact range no integer is given")]
#[expect(clippy::float_cmp, reason = "only the very same number counts")]
fn whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    (whole as f64 == value && value.abs() <= LARGEST_EXACT_INTEGER).then_some(whole)
}

fn unbounded(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_whole_where_exact_and_read_back_to_themselves() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (1_700_000_000.123, "1700000000.123"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e16, "1e16"),
            (1e300, "1e300"),
            (2.5e-9, "2.5e-9"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(written(|out| push_number(out, value)), text);
        }
        for value in [0.1 + 0.2, 1.0 / 3.0, 123_456_789.125, f64::MAX, f64::MIN_POSITIVE] {
            let read: f64 = written(|out| push_number(out, value)).parse().unwrap();
            assert_eq!(read.to_bits(), value.to_bits());
        }
    }

    #[test]
    fn bounds_are_canonical() {
        for (bound, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (2.5, "2.5"),
            (0.0005, "0.0005"),
            (0.000_01, "1e-05"),
            (100_000.0, "100000.0"),
            (172_800.0, "172800.0"),
            (1e6, "1e+06"),
            (2.5e7, "2.5e+07"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(written(|out| push_bound(out, bound)), text);
        }
    }

    #[test]
    fn hostile_text_is_escaped_and_utf8_stays() {
        let hostile = "a\"b\\c\nd\u{e9}\u{4e16}{}=,#";
        assert_eq!(written(|out| push_label_value(out, hostile)), "a\\\"b\\\\c\\nd\u{e9}\u{4e16}{}=,#");
        assert_eq!(written(|out| push_help(out, hostile, false)), "a\"b\\\\c\\nd\u{e9}\u{4e16}{}=,#");
    }
}
