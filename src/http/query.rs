//! The query of a scrape: which collectors' metrics it wants.
//!
//! `?collect[]=process` names what is wanted, `?exclude[]=process` what is not, each as often as needed and never
//! both, as in other exporters. Other keys are ignored, because scrape configurations carry keys of their own.

use crate::export::prometheus::selection::Selection;

/// Reads the selection out of a query, without its question mark.
///
/// # Errors
///
/// A sentence for the client: both keys used, a collector that is not among `known`, or broken percent-encoding.
pub(super) fn selection(query: &str, known: &[&'static str]) -> Result<Selection, String> {
    let (mut collect, mut exclude) = (Vec::new(), Vec::new());
    for (key, value) in pairs(query) {
        match decode(key)?.as_str() {
            "collect[]" => collect.push(decode(value)?),
            "exclude[]" => exclude.push(decode(value)?),
            _ => {}
        }
    }
    Selection::new(&collect, &exclude, known).map_err(|error| error.to_string())
}

/// Whether the query has this key with this value, neither of them encoded.
pub(super) fn says(query: &str, key: &str, value: &str) -> bool {
    pairs(query).any(|pair| pair == (key, value))
}

/// The keys and values of a query, still encoded.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Undoes percent-encoding and the `+` for a space.
pub(super) fn decode(text: &str) -> Result<String, String> {
    let broken = || format!("the query holds broken percent-encoding: {text:?}");
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = bytes.next().zip(bytes.next()).ok_or_else(broken)?;
                hex_digit(high).zip(hex_digit(low)).map(|(high, low)| high << 4 | low).ok_or_else(broken)?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_not_text| broken())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["process", "cgroup"];

    fn check(query: &str, expected: Result<&[&'static str], &str>) {
        let found = selection(query, &KNOWN);
        match expected {
            Ok([]) => assert_eq!(found, Ok(Selection::All), "{query}"),
            Ok(names) => assert_eq!(found, Ok(Selection::Only(names.to_vec())), "{query}"),
            Err(part) => {
                assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{query}: {found:?}");
            }
        }
    }

    #[test]
    fn collectors_are_chosen_or_left_out() {
        check("", Ok(&[]));
        check("&&x=1&refresh", Ok(&[]));
        check("collect[]=process", Ok(&["process"]));
        check("collect%5B%5D=process&collect%5b%5d=cgroup", Ok(&["process", "cgroup"]));
        check("exclude[]=process", Ok(&["cgroup"]));
        assert_eq!(selection("exclude[]=process&exclude[]=cgroup", &KNOWN), Ok(Selection::Only(Vec::new())));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_words() {
        check("collect[]=process&exclude[]=cgroup", Err("cannot be used together"));
        check("collect[]=disk", Err("unknown collector \"disk\"; known: process, cgroup"));
        check("collect[]", Err("unknown collector \"\""));
        for broken in ["%", "%4", "%zz=1", "collect[]=%", "collect[]=%ff%fe", "%C3=x", "a=1&%+1"] {
            check(broken, Err("percent-encoding"));
        }
    }
}
