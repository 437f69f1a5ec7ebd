//! What is written about OTLP: the section `otlp` of the file, in the same shape in which [`super::otel`] reads the
//! environment. A field that is not written stays open, and each that is written remembers where, so that the two can be
//! laid one over the other and a problem of both together still has a place.

use super::{
    OtlpProtocol, OtlpTemporality,
    errors::{Place, Problem},
    reader::{Durations, Field, Problems, Section},
};
use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// One request.
pub(super) const TIMEOUT: Durations = Duration::from_millis(1)..=Duration::from_secs(3_600);
/// From one push to the next.
pub(super) const INTERVAL: Durations = Duration::from_millis(100)..=Duration::from_secs(24 * 3_600);
/// The words for gzip and for nothing.
pub(super) const COMPRESSIONS: [(&str, bool); 2] = [("gzip", true), ("none", false)];
/// Headers that belong to the transport; another value breaks every push.
const TRANSPORT_HEADERS: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// Header and resource attribute lists.
const PAIRS_MAX: usize = 1_000;

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Setting<T> {
    /// The value.
    pub(super) value: T,
    /// Where it is written.
    pub(super) source: Source,
}

/// A key of the file or a variable.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Where it is.
    pub(super) place: Place,
    /// Its path or name.
    pub(super) key: String,
}

impl Source {
    /// What is wrong with it.
    pub(super) fn wrong(&self, problems: &mut Problems, message: impl Into<String>) {
        problems.push(Problem { place: self.place, key: self.key.clone(), message: message.into() });
    }
}

/// A checked URL.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// The URL as written.
    pub(super) url: String,
    /// Whether it is used as it is, without `/v1/metrics`.
    pub(super) complete: bool,
}

/// What one source says.
#[derive(Default)]
pub(super) struct WrittenOtlp {
    pub(super) endpoint: Option<Setting<Endpoint>>,
    pub(super) protocol: Option<OtlpProtocol>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) gzip: Option<bool>,
    pub(super) timeout: Option<Duration>,
    pub(super) temporality: Option<OtlpTemporality>,
    pub(super) interval: Option<Duration>,
    pub(super) queue: Option<usize>,
    pub(super) certificate_file: Option<Setting<PathBuf>>,
    pub(super) client_certificate_file: Option<Setting<PathBuf>>,
    pub(super) client_key_file: Option<Setting<PathBuf>>,
    pub(super) resource_attributes: BTreeMap<String, String>,
}

impl WrittenOtlp {
    /// This where it says something, else `other`. Headers and attributes are laid together name by name, so that a
    /// file can add to a secret that comes in a variable.
    pub(super) fn or(mut self, other: Self) -> Self {
        let mut headers = other.headers;
        headers.append(&mut self.headers);
        let mut resource_attributes = other.resource_attributes;
        resource_attributes.append(&mut self.resource_attributes);
        Self {
            endpoint: self.endpoint.or(other.endpoint),
            protocol: self.protocol.or(other.protocol),
            headers,
            gzip: self.gzip.or(other.gzip),
            timeout: self.timeout.or(other.timeout),
            temporality: self.temporality.or(other.temporality),
            interval: self.interval.or(other.interval),
            queue: self.queue.or(other.queue),
            certificate_file: self.certificate_file.or(other.certificate_file),
            client_certificate_file: self.client_certificate_file.or(other.client_certificate_file),
            client_key_file: self.client_key_file.or(other.client_key_file),
            resource_attributes,
        }
    }
}

/// Reads the section `otlp`.
pub(super) fn written(field: &Field<'_>, problems: &mut Problems) -> WrittenOtlp {
    let Some(section) = field.section("otlp", problems) else { return WrittenOtlp::default() };
    WrittenOtlp {
        endpoint: section.field("endpoint").and_then(|field| file_endpoint(&field, problems)),
        protocol: section.field("protocol").and_then(|field| field.one_of(&OtlpProtocol::ALL, problems)),
        headers: section.field("headers").map(|field| headers(&field, problems)).unwrap_or_default(),
        gzip: section.field("compression").and_then(|field| field.one_of(&COMPRESSIONS, problems)),
        timeout: section.field("timeout").and_then(|field| field.duration(&TIMEOUT, problems)),
        temporality: section
            .field("temporality")
            .and_then(|field| field.one_of(&OtlpTemporality::ALL, problems)),
        interval: section.field("interval").and_then(|field| field.duration(&INTERVAL, problems)),
        queue: section.field("queue").and_then(|field| field.whole(&(1..=10_000), problems)),
        certificate_file: file(&section, "certificate_file", problems),
        client_certificate_file: file(&section, "client_certificate_file", problems),
        client_key_file: file(&section, "client_key_file", problems),
        resource_attributes: section
            .field("resource_attributes")
            .map(|field| attributes(&field, problems))
            .unwrap_or_default(),
    }
}

fn source(field: &Field<'_>) -> Source {
    Source { place: field.place(), key: field.path.clone() }
}

fn file_endpoint(field: &Field<'_>, problems: &mut Problems) -> Option<Setting<Endpoint>> {
    let text = field.text("a URL such as http://localhost:4318", problems)?;
    match endpoint(text) {
        Ok(()) => {
            Some(Setting { value: Endpoint { url: text.into(), complete: false }, source: source(field) })
        }
        Err(message) => {
            field.wrong(problems, message);
            None
        }
    }
}

fn file(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<Setting<PathBuf>> {
    let field = section.field(key)?;
    let text = field.text("the path of a PEM file", problems)?;
    Some(Setting { value: PathBuf::from(text), source: source(&field) })
}

fn headers(field: &Field<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    let Some(section) = field.mapping(problems, "names with their values, such as `api-key: \"…\"`") else {
        return headers;
    };
    for (entry, inner) in section.fields().take(PAIRS_MAX) {
        // A name that is none may be a secret in the wrong place, so that it is not shown.
        let named = Source { place: entry.place, key: field.path.clone() };
        let name = match header_name(&entry.key) {
            Ok(name) => name,
            Err(message) => {
                named.wrong(problems, message);
                continue;
            }
        };
        let Some(value) = inner.text("the value of the header", problems) else { continue };
        match header_value(value) {
            Err(message) => inner.wrong(problems, message),
            Ok(()) if headers.contains_key(&name) => {
                named.wrong(
                    problems,
                    format!("`{name}` is written twice, for case does not count; keep one of them"),
                );
            }
            Ok(()) => {
                headers.insert(name, value.into());
            }
        }
    }
    headers
}

fn attributes(field: &Field<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let Some(section) = field.mapping(problems, "names with their values, such as `service.name: memleak`")
    else {
        return attributes;
    };
    for (entry, field) in section.fields().take(PAIRS_MAX) {
        if let Some(value) = field.text("the value of the attribute", problems) {
            attributes.insert(entry.key.clone(), value.into());
        }
    }
    attributes
}

/// What is wrong with a URL to send to. The URL is not shown, for people put passwords into URLs.
pub(super) fn endpoint(text: &str) -> Result<(), String> {
    let instead = "holds a user name or password, which would not be sent; write an authorization header in `otlp.headers`";
    http_url(text, "http://localhost:4318", instead).map(|_uri| ())
}

/// Reads a URL of HTTP, or says what is wrong with it: an example of a right one, and what to write instead of a password.
pub(crate) fn http_url(text: &str, example: &str, instead: &str) -> Result<Uri, String> {
    let no_url = || format!("is no http:// or https:// URL; write one such as {example}");
    let uri: Uri = text.parse().map_err(|_error| no_url())?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(no_url());
    };
    if authority.as_str().contains('@') {
        return Err(String::from(instead));
    }
    // What follows the host is nothing, or a colon and a port: a port that is none hides in the authority.
    let port = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    if authority.host().is_empty() || (!port.is_empty() && authority.port_u16().is_none_or(|port| port == 0))
    {
        return Err(no_url());
    }
    if text.contains('#') {
        return Err(String::from("holds a fragment, which is not sent; remove # and what follows"));
    }
    Ok(uri)
}

/// The name of a header in lower case.
pub(super) fn header_name(name: &str) -> Result<String, String> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_error| {
        String::from(
            "holds a name that no header can have; write letters, digits and - without spaces or colons",
        )
    })?;
    if TRANSPORT_HEADERS.contains(&name.as_str()) {
        return Err(format!("`{name}` is set by the exporter itself; remove it"));
    }
    Ok(String::from(name.as_str()))
}

/// What is wrong with the value of a header; the value is not shown.
pub(super) fn header_value(value: &str) -> Result<(), String> {
    // The type lets other alphabets pass as bytes; gRPC does not.
    if value.is_ascii() && HeaderValue::from_str(value).is_ok() {
        return Ok(());
    }
    Err(String::from(
        "holds characters that no header can carry; write ASCII without line breaks (value not shown)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_http_urls_with_a_host() {
        for right in [
            "http://localhost:4318",
            "https://otlp.example.com",
            "https://otlp.example.com/v1/metrics?x=1",
            "http://[::1]:4317",
            "http://[::1]",
            "http://10.0.0.1",
            "HTTP://a",
        ] {
            assert_eq!(endpoint(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "localhost:4317",
            "localhost",
            "/v1/metrics",
            "ftp://a",
            "http://",
            "http://a b",
            "http://a:",
            "http://a:99999",
            "http://a:0",
            "http://:1",
            "unix:///a",
        ] {
            assert!(endpoint(wrong).expect_err(wrong).contains("is no http"), "{wrong}");
        }
        assert!(endpoint("https://me:secret@a").expect_err("a password").contains("otlp.headers"));
        assert!(endpoint("https://a/#b").expect_err("a fragment").contains("fragment"));
    }

    #[test]
    fn headers_are_those_of_http() {
        assert_eq!(header_name("X-Scope-OrgID"), Ok("x-scope-orgid".into()));
        for wrong in ["", "a b", "a:", "ä"] {
            assert!(header_name(wrong).is_err(), "{wrong}");
        }
        assert!(
            header_name("Content-Type").expect_err("of the transport").contains("by the exporter itself")
        );
        assert!(header_value("Bearer a b").is_ok());
        for wrong in ["hunter\n2", "hunter\0", "hünter"] {
            let message = header_value(wrong).expect_err(wrong);
            assert!(message.contains("no header can carry") && !message.contains("nter"), "{message}");
        }
    }
}
