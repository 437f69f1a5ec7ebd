//! What Prometheus answers: the values of series, or what is wrong.

use crate::{fetch::Answer, sample::Seconds};
use hyper::StatusCode;
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap};

/// What is repeated of a server's own words.
const MOST_CHARS: usize = 300;

/// The labels of a series, `__name__` among them.
pub(super) type Labels<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// Values of one series, in rising order of time.
#[derive(Debug, Deserialize)]
pub(super) struct Piece<'a> {
    #[serde(borrow, rename = "metric", default)]
    pub(super) labels: Labels<'a>,
    #[serde(borrow, default)]
    values: Vec<(Seconds, &'a str)>,
    #[serde(borrow, default)]
    value: Option<(Seconds, &'a str)>,
}

impl Piece<'_> {
    /// Times and values; what is no number is NaN.
    pub(super) fn values(&self) -> impl Iterator<Item = (Seconds, f64)> {
        let values = self.value.iter().chain(&self.values);
        values.map(|(at, text)| (*at, text.parse().unwrap_or(f64::NAN)))
    }
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default, rename = "errorType")]
    error_type: Cow<'a, str>,
    #[serde(borrow, default)]
    error: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    result: Vec<Piece<'a>>,
}

/// The series of an answer; none where it was too much at once. The error follows the URL.
pub(super) fn read(answer: &Answer) -> Result<Option<Vec<Piece<'_>>>, String> {
    let status = answer.status.as_u16();
    let document: Document<'_> = match serde_json::from_slice(&answer.body) {
        Ok(document) => document,
        Err(_error) if answer.status == StatusCode::NOT_FOUND => {
            return Err(String::from(
                "has no API of Prometheus (404); write the URL below which /api/v1/query_range is",
            ));
        }
        Err(_error) if answer.status != StatusCode::OK => {
            return Err(format!("answers with status {status}"));
        }
        Err(error) => {
            return Err(format!("does not answer as Prometheus does: {error}; is it the right URL?"));
        }
    };
    match document.data {
        Some(data) if document.status == "success" => Ok(Some(data.result)),
        _ if is_too_much(&document.error) => Ok(None),
        _ => {
            let words: String = document.error.chars().take(MOST_CHARS).collect();
            let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let what = match &*document.error_type {
                "bad_data" => "does not understand the query",
                "timeout" => "takes too long for the query; ask for less",
                _ => "fails",
            };
            Err(format!("{what}: {words}"))
        }
    }
}

/// Whether a smaller piece would do: too many points of a series, or too many samples in all.
fn is_too_much(error: &str) -> bool {
    error.contains("too many samples") || error.contains("exceeded maximum resolution")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: Result<Option<&str>, &str>) {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, body: body.into(), is_whole: true };
        let shown = |pieces: Vec<Piece<'_>>| {
            let shown: Vec<String> = pieces
                .iter()
                .map(|piece| {
                    let values: Vec<String> =
                        piece.values().map(|(at, value)| format!("{at}:{value}")).collect();
                    format!("{:?} {}", piece.labels, values.join(" "))
                })
                .collect();
            shown.join("; ")
        };
        match (read(&answer).map(|pieces| pieces.map(shown)), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{body}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{body}: {error}"),
            (found, _) => panic!("{body}: {found:?}"),
        }
    }

    #[test]
    fn values_are_read_and_every_complaint_is_told() {
        check(
            200,
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"x\"y"},"values":[[1,"5"],[31.5,"NaN"]]}]},"warnings":["w"]}"#,
            Ok(Some(r#"{"a": "x\"y"} 1:5 31.5:NaN"#)),
        );
        check(
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1e9"]}]}}"#,
            Ok(Some("{} 1:1000000000")),
        );
        let failed = |kind: &str, error: &str| {
            format!(r#"{{"status":"error","errorType":"{kind}","error":"{error}"}}"#)
        };
        check(
            422,
            &failed("execution", "query processing would load too many samples into memory"),
            Ok(None),
        );
        check(
            400,
            &failed("bad_data", "exceeded maximum resolution of 11,000 points per timeseries."),
            Ok(None),
        );
        check(
            400,
            &failed("bad_data", "parse error:\\u0007 x"),
            Err("does not understand the query: parse error:  x"),
        );
        check(503, &failed("timeout", "query timed out"), Err("takes too long"));
        check(404, "<html>", Err("has no API of Prometheus (404)"));
        check(502, "<html>", Err("answers with status 502"));
        check(200, "<html>", Err("does not answer as Prometheus does"));
        check(
            200,
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
            Err("does not answer"),
        );
    }
}
