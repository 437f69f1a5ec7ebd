//! OTLP as it is meant: the file over the `OTEL_…` variables of the OpenTelemetry specification over the defaults.
//!
//! OTLP is on where the file has a section or a variable names an endpoint, and off where the environment says so.

use super::{
    Lookup, Otlp, OtlpProtocol,
    errors::Place,
    otlp::{Endpoint, Setting, WrittenOtlp},
    reader::Problems,
    variables::Variables,
};
use std::path::PathBuf;

/// The path of metrics below a base URL (OTLP specification, "Endpoint URLs for OTLP/HTTP").
const METRICS_PATH: &str = "/v1/metrics";

/// Finds a file that is named: its path, or what is wrong with it.
pub(super) type Find<'a> = &'a dyn Fn(&Setting<PathBuf>) -> Result<PathBuf, String>;

/// Lays the file's section over the environment and that over the defaults. `None` where nothing asks for OTLP or the
/// environment switches it off.
pub(super) fn resolve(
    file: Option<WrittenOtlp>,
    lookup: Lookup<'_>,
    find: Find<'_>,
    problems: &mut Problems,
) -> Option<Otlp> {
    let mut variables = Variables::new(lookup, problems);
    if variables.switch_off() || (file.is_none() && !variables.name_an_endpoint()) {
        return None;
    }
    let mut written = file.unwrap_or_default().or(variables.written());
    // What is wrong alone counts as not written; what it lacks beside it would be a second message for one mistake.
    if !problems.iter().any(|problem| problem.key.starts_with("otlp") || problem.key.starts_with("OTEL_")) {
        check_pair(&written, problems);
        check_use(&written, problems);
    }
    for file in
        [&mut written.certificate_file, &mut written.client_certificate_file, &mut written.client_key_file]
    {
        let Some(setting) = file else { continue };
        match find(setting) {
            Ok(path) => setting.value = path,
            Err(message) => setting.source.wrong(problems, message),
        }
    }
    Some(meant(written))
}

/// A client shows a certificate and proves it by the key, which may come from different sources.
fn check_pair(written: &WrittenOtlp, problems: &mut Problems) {
    match (&written.client_certificate_file, &written.client_key_file) {
        (Some(certificate), None) => certificate.source.wrong(
            problems,
            "has no key beside it; set `otlp.client_key_file` or OTEL_EXPORTER_OTLP_CLIENT_KEY as well",
        ),
        (None, Some(key)) => key.source.wrong(
            problems,
            "has no certificate beside it; set `otlp.client_certificate_file` or OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE as well",
        ),
        _ => {}
    }
}

/// Certificates in the file with an endpoint that does not encrypt: somebody believes that it does. In the environment
/// they may be meant for other programs.
fn check_use(written: &WrittenOtlp, problems: &mut Problems) {
    let plain = written.endpoint.as_ref().is_none_or(|endpoint| {
        !endpoint.value.url.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
    });
    let files = [&written.certificate_file, &written.client_certificate_file, &written.client_key_file];
    for file in files.into_iter().flatten().filter(|file| plain && file.source.place != Place::Environment) {
        file.source
            .wrong(problems, "is never used, for the endpoint begins with http://; write https:// there");
    }
}

fn meant(written: WrittenOtlp) -> Otlp {
    let default = Otlp::default();
    let protocol = written.protocol.unwrap_or(default.protocol);
    Otlp {
        endpoint: target(written.endpoint.map(|setting| setting.value), protocol),
        protocol,
        headers: written.headers,
        gzip: written.gzip.unwrap_or(default.gzip),
        timeout: written.timeout.unwrap_or(default.timeout),
        temporality: written.temporality.unwrap_or(default.temporality),
        interval: written.interval.unwrap_or(default.interval),
        queue: written.queue.unwrap_or(default.queue),
        certificate_file: written.certificate_file.map(|setting| setting.value),
        client_certificate_file: written.client_certificate_file.map(|setting| setting.value),
        client_key_file: written.client_key_file.map(|setting| setting.value),
        resource_attributes: written.resource_attributes,
    }
}

/// The URL that requests go to.
fn target(endpoint: Option<Endpoint>, protocol: OtlpProtocol) -> String {
    let base = match (endpoint, protocol) {
        (None, OtlpProtocol::Grpc) => return String::from("http://localhost:4317"),
        (None, OtlpProtocol::HttpProtobuf) => String::from("http://localhost:4318"),
        (Some(endpoint), OtlpProtocol::Grpc) => return endpoint.url,
        (Some(endpoint), OtlpProtocol::HttpProtobuf) if endpoint.complete => return endpoint.url,
        (Some(endpoint), OtlpProtocol::HttpProtobuf) => endpoint.url,
    };
    let (path, query) = match base.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (base.as_str(), String::new()),
    };
    let path = path.trim_end_matches('/');
    // Many write the complete URL as the base; the path twice is never meant.
    let path = path.strip_suffix(METRICS_PATH).unwrap_or(path);
    format!("{path}{METRICS_PATH}{query}")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{OtlpTemporality, written},
        *,
    };
    use std::{collections::BTreeMap, time::Duration};

    /// OTLP of a file under variables: `NAME=value` each.
    fn read(file: &str, variables: &[&str]) -> Result<Option<Otlp>, String> {
        let lookup = |name: &str| {
            let found = variables.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
            found.map(String::from)
        };
        written::parse(file, "a.yml", &lookup).map(|config| config.otlp).map_err(|errors| errors.to_string())
    }

    fn on(file: &str, variables: &[&str]) -> Otlp {
        read(file, variables).expect(file).unwrap_or_else(|| panic!("off: {file} {variables:?}"))
    }

    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT=http://base:4318";
    const METRICS: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://metrics:4318";

    #[test]
    fn otlp_is_on_where_something_asks_for_it() {
        let check = |file: &str, variables: &[&str], expected: bool| {
            assert_eq!(read(file, variables).expect(file).is_some(), expected, "{file} {variables:?}");
        };
        check("", &[], false);
        check("otlp:", &[], true);
        check("otlp: {queue: 5}", &[], true);
        check("", &[BASE], true);
        check("", &[METRICS], true);
        check("", &["OTEL_EXPORTER_OTLP_ENDPOINT="], false);
        check("", &["OTEL_EXPORTER_OTLP_ENDPOINT= "], false);
        // Nobody asks, so that what is wrong is nobody's business.
        check("", &["OTEL_EXPORTER_OTLP_TIMEOUT=x"], false);
        check("otlp:", &["OTEL_SDK_DISABLED=true"], false);
        check("otlp:", &["OTEL_SDK_DISABLED=TRUE", BASE], false);
        check("otlp:", &["OTEL_SDK_DISABLED=false"], true);
        check("otlp:", &["OTEL_METRICS_EXPORTER=none"], false);
        check("otlp:", &["OTEL_METRICS_EXPORTER=prometheus"], false);
        check("otlp:", &["OTEL_METRICS_EXPORTER=console, otlp"], true);
    }

    #[test]
    fn the_endpoint_is_complete() {
        let check = |file: &str, variables: &[&str], expected: &str| {
            assert_eq!(on(file, variables).endpoint, expected, "{file} {variables:?}");
        };
        let grpc = "OTEL_EXPORTER_OTLP_PROTOCOL=grpc";
        check("otlp:", &[], "http://localhost:4318/v1/metrics");
        check("otlp:", &[grpc], "http://localhost:4317");
        check("otlp: {protocol: grpc}", &[], "http://localhost:4317");
        check("otlp: {endpoint: 'http://file'}", &[], "http://file/v1/metrics");
        check("otlp: {endpoint: 'http://file/'}", &[], "http://file/v1/metrics");
        check("otlp: {endpoint: 'http://file/otlp/'}", &[], "http://file/otlp/v1/metrics");
        check("otlp: {endpoint: 'http://file/v1/metrics'}", &[], "http://file/v1/metrics");
        check("otlp: {endpoint: 'http://file/a?b=/c'}", &[], "http://file/a/v1/metrics?b=/c");
        check("otlp: {endpoint: 'http://file', protocol: grpc}", &[], "http://file");
        check("", &[BASE], "http://base:4318/v1/metrics");
        check("", &[BASE, grpc], "http://base:4318");
        check("", &[METRICS], "http://metrics:4318");
        check("", &[BASE, METRICS], "http://metrics:4318");
        check("otlp: {endpoint: 'http://file'}", &[BASE, METRICS], "http://file/v1/metrics");
        check("otlp: {protocol: grpc}", &[METRICS], "http://metrics:4318");
    }

    #[test]
    fn the_file_wins_over_the_environment_and_that_over_the_defaults() {
        let variables = [
            BASE,
            "OTEL_EXPORTER_OTLP_PROTOCOL=GRPC",
            "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
            "OTEL_EXPORTER_OTLP_TIMEOUT=2500",
            "OTEL_METRIC_EXPORT_INTERVAL=15000",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=Delta",
            "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/cert",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY=/key",
        ];
        let environment = on("", &variables);
        let expected = Otlp {
            endpoint: "http://base:4318".into(),
            protocol: OtlpProtocol::Grpc,
            gzip: true,
            timeout: Duration::from_millis(2_500),
            interval: Duration::from_secs(15),
            temporality: OtlpTemporality::Delta,
            certificate_file: Some("/ca".into()),
            client_certificate_file: Some("/cert".into()),
            client_key_file: Some("/key".into()),
            ..Otlp::default()
        };
        assert!(environment == expected, "{environment:?}");
        let file = "otlp: {endpoint: 'https://file', protocol: http/protobuf, compression: none, timeout: 1s, interval: 2s, \
                    temporality: lowmemory, queue: 7, certificate_file: a, client_certificate_file: b, client_key_file: c}";
        let expected = Otlp {
            endpoint: "https://file/v1/metrics".into(),
            protocol: OtlpProtocol::HttpProtobuf,
            gzip: false,
            timeout: Duration::from_secs(1),
            interval: Duration::from_secs(2),
            temporality: OtlpTemporality::LowMemory,
            queue: 7,
            certificate_file: Some("a".into()),
            client_certificate_file: Some("b".into()),
            client_key_file: Some("c".into()),
            ..Otlp::default()
        };
        assert!(on(file, &variables) == expected, "{:?}", on(file, &variables));
        assert!(on("otlp:", &[]) == Otlp::default());
    }

    #[test]
    fn the_variable_for_metrics_wins() {
        let check = |general: &str, metrics: &str, view: fn(&Otlp) -> String, expected: [&str; 2]| {
            assert_eq!(view(&on("otlp:", &[general])), expected[0], "{general}");
            assert_eq!(view(&on("otlp:", &[general, metrics])), expected[1], "{metrics}");
        };
        check(
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf",
            |otlp| format!("{:?}", otlp.protocol),
            ["Grpc", "HttpProtobuf"],
        );
        check(
            "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
            "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION=none",
            |otlp| otlp.gzip.to_string(),
            ["true", "false"],
        );
        check(
            "OTEL_EXPORTER_OTLP_TIMEOUT=1000",
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=2000",
            |otlp| format!("{:?}", otlp.timeout),
            ["1s", "2s"],
        );
        check(
            "OTEL_EXPORTER_OTLP_HEADERS=a=1,b=2",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS=a=3",
            |otlp| format!("{:?}", otlp.headers),
            [r#"{"a": "1", "b": "2"}"#, r#"{"a": "3"}"#],
        );
        check(
            "OTEL_EXPORTER_OTLP_CERTIFICATE=/a",
            "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE=/b",
            |otlp| format!("{:?}", otlp.certificate_file),
            [r#"Some("/a")"#, r#"Some("/b")"#],
        );
    }

    #[test]
    fn client_certificates_of_metrics_win_too() {
        let general = ["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/c", "OTEL_EXPORTER_OTLP_CLIENT_KEY=/k"];
        let metrics = [
            "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE=/mc",
            "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY=/mk",
        ];
        let otlp = on("otlp:", &[general, metrics].concat());
        assert_eq!(otlp.client_certificate_file, Some("/mc".into()));
        assert_eq!(otlp.client_key_file, Some("/mk".into()));
        // The pair may come from two sources.
        let file = "otlp: {endpoint: 'https://a', client_certificate_file: c}";
        assert!(read(file, &["OTEL_EXPORTER_OTLP_CLIENT_KEY=/k"]).is_ok());
        assert!(read(file, &[]).is_err());
    }

    #[test]
    fn headers_and_attributes_are_laid_together() {
        let otlp = on(
            "otlp: {headers: {A: file}, resource_attributes: {x: file}}",
            &[
                "OTEL_EXPORTER_OTLP_HEADERS=a=1, B = Bearer%20x ,,c=d=e",
                "OTEL_RESOURCE_ATTRIBUTES=x=1,y=%C3%A4%2C,service.name=first",
                "OTEL_SERVICE_NAME=second",
            ],
        );
        let pairs = |map: &BTreeMap<String, String>| {
            map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(pairs(&otlp.headers), "a=file b=Bearer x c=d=e");
        assert_eq!(pairs(&otlp.resource_attributes), "service.name=second x=file y=ä,");
        let otlp = on("otlp: {resource_attributes: {service.name: file}}", &["OTEL_SERVICE_NAME=second"]);
        assert_eq!(pairs(&otlp.resource_attributes), "service.name=file");
    }

    #[test]
    fn one_mistake_gives_one_message() {
        for file in ["endpoint: a, certificate_file: b", "client_key_file: [], client_certificate_file: b"] {
            let errors = read(&format!("otlp: {{{file}}}"), &[]).expect_err(file);
            assert_eq!(errors.lines().count(), 1, "{errors}");
        }
    }

    #[test]
    fn all_wrong_variables_and_keys_come_at_once() {
        let errors =
            read("otlp: {queue: 0}", &["OTEL_EXPORTER_OTLP_PROTOCOL=x", "OTEL_EXPORTER_OTLP_TIMEOUT=x"]);
        assert_eq!(errors.expect_err("three").lines().count(), 3);
    }
}
