//! `POST /api/v1/samples`: what a program says of itself, as JSON, one sample or a list of them.
//!
//! ```json
//! {"target": "checkout", "area": "bridge_cache", "bytes": 1234567, "entries": 45, "limit": 50000000}
//! ```
//!
//! Bytes and entries together make two areas, `bridge_cache` and `bridge_cache_entries`, which are judged side by side:
//! entries that bloat are told from more entries. It is strict: a key that is not known, a number that cannot be a size
//! or a name that cannot be a label is refused with its place, and then nothing of the request is taken in.

use super::{answer::Answer, body};
use crate::{
    inbox::{Inbox, Push, Pushed, Taken},
    sample::{Area, Unit},
};
use bytes::Bytes;
use hyper::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use std::fmt;

/// Bytes of a body, packed or not.
pub(super) const BODY_MAX_BYTES: usize = 1 << 20;
/// Samples of one request.
const SAMPLES_MAX: usize = 1_000;
/// Characters of the name of a target or an instance, as of every target's.
pub(super) const NAME_MAX: usize = 128;
/// Characters of the name of an area.
const AREA_NAME_MAX: usize = 64;
/// What an area's name may hold beside letters and digits.
const AREA_PUNCTUATION: &str = "_-.:/";
/// Every whole size is exact up to here, which is 8 PiB: 2^53 may be the next one, rounded.
pub(super) const SIZE_MAX: f64 = 9_007_199_254_740_991.0;
/// What the name of an area in objects adds to that of the same population in bytes.
const ENTRIES: &str = "_entries";

/// What a sample looks like, for who sends something else.
const EXPECTED: &str = r#"a sample such as {"target": "web", "area": "cache", "bytes": 1}"#;

/// Where pushing is off.
pub(super) const SHUT: &str = "Nothing is taken in here: the exporter was started without its collector push \
     (--no-collector.push, or --collector.disable-defaults without --collector.push).";

/// A sample as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    target: String,
    instance: Option<String>,
    area: String,
    bytes: Option<f64>,
    entries: Option<f64>,
    limit: Option<f64>,
    entries_limit: Option<f64>,
}

/// One sample, or a list of at most [`SAMPLES_MAX`].
#[derive(Debug)]
struct Samples(Vec<Written>);

/// Takes in what a program pushes.
pub(super) fn answer(inbox: &Inbox, headers: &HeaderMap, body: &Bytes) -> Answer {
    if inbox.terms().is_none() {
        return Answer::text(StatusCode::FORBIDDEN, SHUT);
    }
    let text = match body::unpacked(headers, "application/json", body, BODY_MAX_BYTES) {
        Ok(text) => text,
        Err(refusal) => return *refusal,
    };
    match parse(&text) {
        Ok(pushes) => told(inbox.put(pushes)),
        Err(sentence) => Answer::text(StatusCode::BAD_REQUEST, &sentence),
    }
}

fn told(taken: Taken) -> Answer {
    let Taken { taken, refused } = taken;
    if refused == 0 {
        return Answer::new(
            StatusCode::OK,
            "application/json",
            Bytes::from(format!("{{\"taken\":{taken}}}\n")),
        );
    }
    let sentence = format!(
        "There was room for {taken} of {} areas: push fewer, wait until others are forgotten (push.forget_after), or \
         allow more (push.areas).",
        taken + refused
    );
    Answer::text(StatusCode::TOO_MANY_REQUESTS, &sentence).with(RETRY_AFTER, "60")
}

/// What a body says; the error names the place and what to write.
fn parse(text: &[u8]) -> Result<Vec<Push>, String> {
    let Samples(written) = serde_json::from_slice(text)
        .map_err(|error| format!("The body is not what is expected here: {error}."))?;
    let is_one = written.len() == 1;
    let mut pushes = Vec::with_capacity(written.len());
    for (index, written) in written.into_iter().enumerate() {
        let place = if is_one { String::new() } else { format!("Sample {}: ", index + 1) };
        pushes.push(push(written).map_err(|sentence| format!("{place}{sentence}"))?);
    }
    Ok(pushes)
}

fn push(written: Written) -> Result<Push, String> {
    let Written { target, instance, area, bytes, entries, limit, entries_limit } = written;
    let instance = instance.unwrap_or_default();
    if !is_name(&target) {
        return Err(no_name("target"));
    }
    if !instance.is_empty() && !is_name(&instance) {
        return Err(no_name("instance"));
    }
    if !is_area_name(&area) {
        return Err(format!(
            "\"area\" is no name of an area; write a letter first and at most {AREA_NAME_MAX} letters, digits and \
             {AREA_PUNCTUATION}"
        ));
    }
    // A limit without its unit is that of bytes, unless there are none.
    let (bytes_limit, entries_limit) = match (bytes, limit, entries_limit) {
        (Some(_), limit, entries_limit) => (limit, entries_limit),
        (None, limit, None) => (None, limit),
        (None, None, entries_limit) => (None, entries_limit),
        (None, Some(_), Some(_)) => {
            return Err(String::from(
                "\"limit\" and \"entries_limit\" are both given, but no \"bytes\"; leave one out",
            ));
        }
    };
    let mut areas = Vec::with_capacity(2);
    if let Some(bytes) = bytes {
        areas.push(pushed(Area::new(&area, Unit::Bytes), ("bytes", bytes), ("limit", bytes_limit))?);
    }
    if let Some(entries) = entries {
        let name = if bytes.is_some() { format!("{area}{ENTRIES}") } else { area };
        areas.push(pushed(
            Area::new(&name, Unit::Objects),
            ("entries", entries),
            ("entries_limit", entries_limit),
        )?);
    } else if entries_limit.is_some() {
        return Err(String::from(
            "a limit of entries is given, but no \"entries\"; add them or leave it out",
        ));
    }
    if areas.is_empty() {
        return Err(String::from("no size is given; add \"bytes\", \"entries\" or both"));
    }
    Ok(Push { target, instance, areas })
}

fn pushed(area: Area, size: (&str, f64), limit: (&str, Option<f64>)) -> Result<Pushed, String> {
    let (key, size) = size;
    if !is_size(size) {
        return Err(format!("\"{key}\" is {size}; write a number from 0 to 2^53 - 1"));
    }
    let (key, limit) = limit;
    if let Some(limit) = limit.filter(|limit| !is_size(*limit) || *limit <= 0.0) {
        return Err(format!("\"{key}\" is {limit}; write a number above 0, up to 2^53 - 1, or leave it out"));
    }
    Ok(Pushed { area, size, limit })
}

fn no_name(key: &str) -> String {
    format!(
        "\"{key}\" is no name; write 1 to {NAME_MAX} characters, not all of them spaces and none a control"
    )
}

/// Whether a text can be the name of a target.
pub(super) fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= NAME_MAX && !name.contains(char::is_control)
}

/// Whether a number can be a size.
pub(super) fn is_size(size: f64) -> bool {
    (0.0..=SIZE_MAX).contains(&size)
}

/// Whether a text can be the name of an area.
pub(super) fn is_area_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= AREA_NAME_MAX
        && name.chars().all(|c| c.is_ascii_alphanumeric() || AREA_PUNCTUATION.contains(c))
}

/// One sample, with its keys: serde would take a list of their values in order as well.
struct One(Written);

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneSample)
    }
}

struct OneSample;

impl<'de> Visitor<'de> for OneSample {
    type Value = One;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<One, A::Error> {
        Written::deserialize(MapAccessDeserializer::new(map)).map(One)
    }
}

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Samples;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{EXPECTED}, or a list of them")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Samples, A::Error> {
        OneSample.visit_map(map).map(|One(sample)| Samples(vec![sample]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Samples, A::Error> {
        let mut samples = Vec::new();
        while let Some(One(sample)) = items.next_element()? {
            if samples.len() >= SAMPLES_MAX {
                return Err(A::Error::custom(format!(
                    "more than {SAMPLES_MAX} samples; send them in several requests"
                )));
            }
            samples.push(sample);
        }
        Ok(Samples(samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken in of a body: `target/instance area=size<limit`.
    fn taken(text: &str) -> Vec<String> {
        let mut told = Vec::new();
        for push in parse(text.as_bytes()).expect(text) {
            for Pushed { area, size, limit } in push.areas {
                let limit = limit.map_or_else(String::new, |limit| format!("<{limit}"));
                told.push(format!(
                    "{}/{} {} {:?}={size}{limit}",
                    push.target, push.instance, area.name, area.unit
                ));
            }
        }
        told
    }

    #[test]
    fn one_or_many_samples_are_read() {
        let one = r#"{"target":"checkout","area":"bridge_cache","bytes":123,"entries":45,"limit":1e3}"#;
        assert_eq!(
            taken(one),
            ["checkout/ bridge_cache Bytes=123<1000", "checkout/ bridge_cache_entries Objects=45"]
        );
        let many = r#" [{"target":"a","instance":"7","area":"pool","entries":3,"limit":5},
                        {"target":"ä b","area":"x/y.z:1-2","bytes":0,"entries":1,"entries_limit":9}]"#;
        assert_eq!(
            taken(many),
            ["a/7 pool Objects=3<5", "ä b/ x/y.z:1-2 Bytes=0", "ä b/ x/y.z:1-2_entries Objects=1<9"]
        );
        assert_eq!(taken("[]"), Vec::<String>::new());
    }

    /// The reader names all the keys that it knows when it meets another one.
    #[test]
    fn what_is_read_is_what_the_document_describes() {
        let document: serde_json::Value = serde_json::from_str(crate::http::api::OPENAPI).unwrap();
        let sample = &document["components"]["schemas"]["Sample"]["properties"];
        let refusal = parse(br#"{"?":1}"#).unwrap_err();
        let mut read: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
        read.sort_unstable();
        assert_eq!(sample.as_object().unwrap().keys().collect::<Vec<_>>(), read);
        assert_eq!(
            (&sample["target"]["maxLength"], &sample["bytes"]["maximum"]),
            (&NAME_MAX.into(), &((1_u64 << 53) - 1).into())
        );
        let body = &document["paths"]["/samples"]["post"]["requestBody"]["content"]["application/json"];
        assert_eq!(body["schema"]["anyOf"][1]["maxItems"], SAMPLES_MAX);
        for example in body["examples"].as_object().unwrap().values() {
            assert!(parse(example["value"].to_string().as_bytes()).is_ok(), "{example}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let check = |text: &str, part: &str| {
            let error = parse(text.as_bytes()).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        };
        let sample = |rest: &str| format!(r#"{{"target":"a","area":"x",{rest}}}"#);
        check("", "EOF");
        check("7", "expected a sample such as");
        check("{}", "missing field `target`");
        check(&sample("\"bytes\":1,\"size\":2"), "unknown field `size`, expected one of `target`");
        check(&sample("\"bytes\":1,\"bytes\":2"), "duplicate field `bytes`");
        check(&sample("\"bytes\":\"1\""), "expected f64 at line 1 column");
        check(&sample("\"bytes\":NaN"), "line 1 column");
        check(&sample("\"bytes\":1e999"), "number out of range");
        check(&sample("\"bytes\":-1"), "\"bytes\" is -1; write a number from 0");
        check(&sample("\"bytes\":1e17"), "to 2^53 - 1");
        check(&sample("\"entries\":1,\"limit\":0"), "\"entries_limit\" is 0; write a number above 0");
        check(&sample("\"bytes\":1,\"entries_limit\":5"), "no \"entries\"");
        check(&sample("\"limit\":1"), "a limit of entries");
        check(r#"{"target":"a","area":"x"}"#, "no size is given");
        check(
            r#"[{"target":"a","area":"x","bytes":1},{"target":" ","area":"x","bytes":1}]"#,
            "Sample 2: \"target\"",
        );
        check(r#"{"target":"a\u0007","area":"x","bytes":1}"#, "\"target\" is no name");
        check(
            &format!(r#"{{"target":"{}","area":"x","bytes":1}}"#, "ä".repeat(129)),
            "\"target\" is no name",
        );
        check(r#"{"target":"a","instance":"\n","area":"x","bytes":1}"#, "\"instance\"");
        for area in ["", "1x", "a b", "ä", "a{b}", "a\\\"b"] {
            check(&format!(r#"{{"target":"a","area":"{area}","bytes":1}}"#), "\"area\" is no name");
        }
        check(&format!("[{}]", vec![sample("\"bytes\":1"); 1001].join(",")), "more than 1000 samples");
        check(r#"[["a",null,"x",1,null,null,null]]"#, "expected a sample such as");
        check(&"[".repeat(1_000), "expected a sample such as");
    }
}
