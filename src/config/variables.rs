//! The `OTEL_…` variables of the OpenTelemetry specification, read into the shape of the file's section.
//!
//! Of two variables the one with `METRICS` in its name wins, and an empty variable counts as not set, both as the
//! specification says. Otherwise than there a wrong value is an error and not a warning: a push that silently goes
//! elsewhere is found too late.

use super::{
    Lookup, OtlpProtocol, OtlpTemporality, duration,
    errors::Place,
    otlp::{
        COMPRESSIONS, Endpoint, INTERVAL, Setting, Source, TIMEOUT, WrittenOtlp, endpoint, header_name,
        header_value,
    },
    reader::{Durations, Problems, unknown_word},
    tree::clip,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// The variables that switch OTLP on where the file has no section, the nearer first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The variables and what is wrong with them.
pub(super) struct Variables<'a> {
    lookup: Lookup<'a>,
    problems: &'a mut Problems,
}

impl<'a> Variables<'a> {
    /// The variables that `lookup` knows.
    pub(super) fn new(lookup: Lookup<'a>, problems: &'a mut Problems) -> Self {
        Self { lookup, problems }
    }

    /// Whether one of them says where to push.
    pub(super) fn name_an_endpoint(&self) -> bool {
        self.first(&ENDPOINTS).is_some()
    }

    /// The first that is set, with its value.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| {
            let value = (self.lookup)(name)?.trim().to_owned();
            (!value.is_empty()).then_some((*name, value))
        })
    }

    /// Reads the first that is set.
    fn read<T>(
        &mut self,
        names: &[&'static str],
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Setting<T>> {
        let (name, text) = self.first(names)?;
        let source = Source { place: Place::Environment, key: String::from(name) };
        match parse(&text) {
            Ok(value) => Some(Setting { value, source }),
            Err(message) => {
                source.wrong(self.problems, message);
                None
            }
        }
    }

    fn value<T>(
        &mut self,
        names: &[&'static str],
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read(names, parse).map(|setting| setting.value)
    }

    /// Whether the environment switches OTLP off, the file's section as well.
    pub(super) fn switch_off(&mut self) -> bool {
        let disabled =
            self.value(&["OTEL_SDK_DISABLED"], |text| one_of(text, &[("true", true), ("false", false)]));
        let exported = self.value(&["OTEL_METRICS_EXPORTER"], exports_otlp);
        disabled == Some(true) || exported == Some(false)
    }

    /// What they say.
    pub(super) fn written(&mut self) -> WrittenOtlp {
        let mut resource_attributes = self
            .value(&["OTEL_RESOURCE_ATTRIBUTES"], pairs)
            .unwrap_or_default()
            .into_iter()
            .collect::<BTreeMap<_, _>>();
        if let Some((_, name)) = self.first(&["OTEL_SERVICE_NAME"]) {
            resource_attributes.insert(String::from("service.name"), name);
        }
        WrittenOtlp {
            endpoint: self.endpoint(),
            protocol: self
                .value(&["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"], |text| {
                    one_of(text, &OtlpProtocol::ALL)
                }),
            headers: self
                .value(&["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"], headers)
                .unwrap_or_default(),
            gzip: self.value(
                &["OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"],
                |text| one_of(text, &COMPRESSIONS),
            ),
            timeout: self
                .value(&["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], |text| {
                    milliseconds(text, &TIMEOUT)
                }),
            temporality: self.value(&["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"], |text| {
                one_of(text, &OtlpTemporality::ALL)
            }),
            interval: self.value(&["OTEL_METRIC_EXPORT_INTERVAL"], |text| milliseconds(text, &INTERVAL)),
            queue: None,
            certificate_file: self
                .file(&["OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]),
            client_certificate_file: self.file(&[
                "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            ]),
            client_key_file: self
                .file(&["OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"]),
            resource_attributes,
        }
    }

    fn endpoint(&mut self) -> Option<Setting<Endpoint>> {
        let read = self.read(&ENDPOINTS, |text| endpoint(text).map(|()| String::from(text)))?;
        let complete = ENDPOINTS.first().is_some_and(|name| *name == read.source.key);
        Some(Setting { value: Endpoint { url: read.value, complete }, source: read.source })
    }

    fn file(&mut self, names: &[&'static str]) -> Option<Setting<PathBuf>> {
        self.read(names, |text| Ok(Path::new(text).to_path_buf()))
    }
}

/// One of a fixed set of words, in any case, as the specification asks.
fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let found = words.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| *value);
    found.ok_or_else(|| unknown_word(text, &names))
}

/// Whether a list of exporters holds `otlp`; the others are other programs' business.
fn exports_otlp(text: &str) -> Result<bool, String> {
    let words =
        [("otlp", true), ("none", false), ("prometheus", false), ("console", false), ("logging", false)];
    let mut exported = false;
    for word in text.split(',') {
        exported |= one_of(word.trim(), &words)?;
    }
    Ok(exported)
}

fn milliseconds(text: &str, range: &Durations) -> Result<Duration, String> {
    let bounds = format!("{} to {} milliseconds", range.start().as_millis(), range.end().as_millis());
    let duration = text.parse().map(Duration::from_millis).ok().filter(|duration| range.contains(duration));
    duration.ok_or_else(|| {
        let hint = match duration::parse(text) {
            Ok(meant) if range.contains(&meant) && text != "0" => {
                format!("; {text} is {}", meant.as_millis())
            }
            _ => String::new(),
        };
        format!(
            "`{}` is no number within range; write a whole number, {bounds}, without a unit{hint}",
            clip(text)
        )
    })
}

fn headers(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut headers = BTreeMap::new();
    for (position, (name, value)) in pairs(text)?.into_iter().enumerate() {
        let at = |message: String| format!("item {} {message}", position + 1);
        let name = header_name(&name).map_err(at)?;
        header_value(&value).map_err(at)?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// A list `name=value,name=value` with percent-encoded parts, as in W3C Baggage. Errors show no part of it.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (position, item) in text.split(',').map(str::trim).enumerate().filter(|(_, item)| !item.is_empty()) {
        let position = position + 1;
        let (name, value) = item
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or_else(|| format!("item {position} is no name=value; write name=value,name=value"))?;
        let decode = |part: &str| {
            percent_decode(part.trim()).ok_or_else(|| {
                format!("item {position} is not percent-encoded UTF-8; write %25 for a percent sign")
            })
        };
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(rest.next()?)? * 16 + digit(rest.next()?)?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::super::written;

    fn errors(variable: &str) -> String {
        let lookup = |name: &str| variable.strip_prefix(name)?.strip_prefix('=').map(String::from);
        written::parse("otlp:", "a.yml", &lookup).expect_err(variable).to_string()
    }

    #[test]
    fn wrong_variables_are_errors() {
        let check = |variable: &str, message: &str| {
            let (name, _) = variable.split_once('=').expect("a variable");
            assert_eq!(errors(variable), format!("environment: {name}: {message}"), "{variable}");
        };
        check("OTEL_SDK_DISABLED=yes", "unknown word `yes`; known are `true` and `false`");
        check(
            "OTEL_METRICS_EXPORTER=otpl",
            "unknown word `otpl`; did you mean `otlp`? Known are `otlp`, `none`, `prometheus`, `console` and `logging`",
        );
        check(
            "OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317",
            "is no http:// or https:// URL; write one such as http://localhost:4318",
        );
        check(
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
            "unknown word `http/json`; known are `grpc` and `http/protobuf`",
        );
        check("OTEL_EXPORTER_OTLP_COMPRESSION=zstd", "unknown word `zstd`; known are `gzip` and `none`");
        check(
            "OTEL_EXPORTER_OTLP_TIMEOUT=10s",
            "`10s` is no number within range; write a whole number, 1 to 3600000 milliseconds, without a unit; 10s is 10000",
        );
        check(
            "OTEL_METRIC_EXPORT_INTERVAL=0",
            "`0` is no number within range; write a whole number, 100 to 86400000 milliseconds, without a unit",
        );
        check(
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=low",
            "unknown word `low`; known are `cumulative`, `delta` and `lowmemory`",
        );
        check(
            "OTEL_EXPORTER_OTLP_HEADERS=a=b,hunter2",
            "item 2 is no name=value; write name=value,name=value",
        );
        check("OTEL_EXPORTER_OTLP_HEADERS==hunter2", "item 1 is no name=value; write name=value,name=value");
        check(
            "OTEL_EXPORTER_OTLP_HEADERS=a=hunter2%",
            "item 1 is not percent-encoded UTF-8; write %25 for a percent sign",
        );
        check(
            "OTEL_EXPORTER_OTLP_HEADERS=a=hunter2%0A",
            "item 1 holds characters that no header can carry; write ASCII without line breaks (value not shown)",
        );
        check("OTEL_RESOURCE_ATTRIBUTES=a", "item 1 is no name=value; write name=value,name=value");
        check(
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/c",
            "has no key beside it; set `otlp.client_key_file` or OTEL_EXPORTER_OTLP_CLIENT_KEY as well",
        );
        check(
            "OTEL_EXPORTER_OTLP_CLIENT_KEY=/k",
            "has no certificate beside it; set `otlp.client_certificate_file` or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE as well",
        );
    }
}
