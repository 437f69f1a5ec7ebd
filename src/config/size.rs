//! Sizes as people write them: `1073741824`, `512MiB`, `1.5 GB`, `2Gi`.
//!
//! `kB`, `MB`, `GB`, `TB` are powers of 1000, `KiB`, `MiB`, `GiB`, `TiB` (and Kubernetes' `Ki` to `Ti`) powers of 1024, in
//! any case of letters. A single letter is refused: it is 1000 to one program and 1024 to the next.

/// The units with their bytes, in lower case.
const UNITS: [(&str, f64); 14] = [
    ("", 1.0),
    ("b", 1.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
    ("ki", 1024.0),
    ("mi", 1_048_576.0),
    ("gi", 1_073_741_824.0),
    ("ti", 1_099_511_627_776.0),
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("tib", 1_099_511_627_776.0),
];
/// Sizes stay exact below 2^53 bytes, which is 8 PiB.
const LARGEST_BYTES: f64 = 9_007_199_254_740_992.0;

/// Reads a size in bytes, more than 0; the error says what to write.
pub(crate) fn parse(text: &str) -> Result<f64, String> {
    let wrong = || String::from("is no size; write bytes, or a number with its unit, such as 512MiB or 2GB");
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let (number, unit) = text.split_at(text.find(|c: char| !is_number(c)).unwrap_or(text.len()));
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let number: f64 = number.parse().map_err(|_error| wrong())?;
    if matches!(unit.as_str(), "k" | "m" | "g" | "t") {
        let letter = unit.to_ascii_uppercase();
        return Err(format!("can be read in two ways; write {letter}B (of 1000) or {letter}iB (of 1024)"));
    }
    let (_, unit_bytes) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let bytes = (number * unit_bytes).round();
    if bytes < 1.0 {
        return Err(String::from("is less than a byte; write a size above 0"));
    }
    if bytes > LARGEST_BYTES {
        return Err(String::from("is too large; write less than 8192TiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("1073741824", 1_073_741_824.0),
            ("512MiB", 536_870_912.0),
            ("512mib", 536_870_912.0),
            ("2Gi", 2_147_483_648.0),
            ("1.5 GB", 1.5e9),
            ("50MB", 5e7),
            ("7B", 7.0),
            ("0.5KiB", 512.0),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for (text, message) in [
            ("", "is no size"),
            ("MiB", "is no size"),
            ("-5MB", "is no size"),
            ("1e9", "is no size"),
            ("1.2.3", "is no size"),
            ("5  MB", "is no size"),
            ("5MBit", "is no size"),
            ("٣MB", "is no size"),
            ("2G", "write GB (of 1000) or GiB (of 1024)"),
            ("0", "less than a byte"),
            ("9999999TiB", "too large"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
