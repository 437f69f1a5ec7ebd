//! The way to the endpoint: OTLP over gRPC or over HTTP, with TLS where the endpoint says `https`.
//!
//! The exporter of `opentelemetry-otlp` encodes and sends. Its own retries are off: they are bound to the timeout of
//! one request, end after a few seconds, and would multiply with those of [`super::delivery`], which go on as long as
//! the batch is queued. What it does not tell is why a request failed; that is read from the code that it names (gRPC)
//! or seen by the client that it is given (HTTP).

mod tls;
mod witness;

use crate::config::{Otlp, OtlpProtocol};
use anyhow::{Context, bail};
use hyper::{
    HeaderMap, Uri,
    header::{HeaderName, HeaderValue},
};
use opentelemetry_otlp::{
    Compression, MetricExporter, Protocol, RetryPolicy, WithExportConfig, WithHttpConfig, WithTonicConfig,
    tonic_types::metadata::MetadataMap,
};
use opentelemetry_sdk::metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter};
use std::{collections::HashMap, fmt, time::Duration};
use witness::Witness;

/// Why a request was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It may be taken later.
    Later {
        /// What happened, without anything that the endpoint wrote.
        cause: String,
        /// How long the endpoint asks to wait.
        wait: Option<Duration>,
    },
    /// It will never be taken.
    Refused(String),
}

impl Failure {
    fn later(cause: impl Into<String>) -> Self {
        Self::Later { cause: cause.into(), wait: None }
    }
}

/// A way to the endpoint.
pub(super) struct Transport {
    exporter: MetricExporter,
    /// Sees what happens over HTTP; none over gRPC.
    witness: Option<Witness>,
    endpoint: String,
    timeout: Duration,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Transport {
    /// Reads certificates and checks everything that can be checked without a connection.
    pub(super) fn new(config: &Otlp) -> anyhow::Result<Self> {
        let uri = endpoint(&config.endpoint)?;
        let headers = headers(config)?;
        let (exporter, witness) = match config.protocol {
            OtlpProtocol::Grpc => (over_grpc(config, &uri, headers)?, None),
            OtlpProtocol::HttpProtobuf => {
                let witness = Witness::new(tls::client(config, &uri)?);
                (over_http(config, &headers, witness.clone())?, Some(witness))
            }
        };
        Ok(Self { exporter, witness, endpoint: uri.to_string(), timeout: config.timeout })
    }

    /// The endpoint, fit for a log.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes one request and waits for the answer, at most the configured timeout.
    pub(super) async fn send(&self, metrics: &ResourceMetrics) -> Result<(), Failure> {
        let answer = tokio::time::timeout(self.timeout, self.exporter.export(metrics)).await;
        let seen = self.witness.as_ref().map(Witness::take);
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(match seen {
                Some(seen) => seen.failure(&error.to_string()),
                None => grpc_failure(&error.to_string()),
            }),
            Err(_) => Err(Failure::later(format!("no answer within {:?}", self.timeout))),
        }
    }
}

/// The endpoint as an address with scheme and host, and without credentials, which would end up in logs.
fn endpoint(endpoint: &str) -> anyhow::Result<Uri> {
    // The text itself is not repeated: it may hold a password.
    let uri: Uri = endpoint.parse().context("the endpoint is no URL")?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        bail!(
            "the endpoint holds a user name or a password, which OTLP does not send: \
             give them in `otlp.headers`, such as `authorization`"
        );
    }
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => bail!("the endpoint must begin with http:// or https://"),
    }
}

/// The configured headers, marked so that nothing prints them.
fn headers(config: &Otlp) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .with_context(|| format!("`{name}` in otlp.headers is no name of a header"))?;
        let mut value = HeaderValue::from_str(value)
            .with_context(|| format!("the value of `{name}` in otlp.headers cannot be sent"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

fn over_grpc(config: &Otlp, uri: &Uri, headers: HeaderMap) -> anyhow::Result<MetricExporter> {
    let mut builder = MetricExporter::builder()
        .with_temporality(Temporality::Cumulative)
        .with_tonic()
        .with_endpoint(&config.endpoint)
        .with_timeout(config.timeout)
        .with_metadata(MetadataMap::from_headers(headers))
        .with_retry_policy(RetryPolicy::disabled());
    if uri.scheme_str() == Some("https") {
        builder = builder.with_tls_config(tls::for_grpc(config)?);
    }
    if config.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    Ok(builder.build()?)
}

fn over_http(config: &Otlp, headers: &HeaderMap, client: Witness) -> anyhow::Result<MetricExporter> {
    let headers: HashMap<String, String> = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut builder = MetricExporter::builder()
        .with_temporality(Temporality::Cumulative)
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&config.endpoint)
        .with_timeout(config.timeout)
        .with_headers(headers)
        .with_http_client(client)
        .with_retry_policy(RetryPolicy::disabled());
    if config.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    Ok(builder.build()?)
}

/// What a failure over gRPC means, by the code in the exporter's message: `… gRPC code: Unavailable: transport error…`.
/// The codes are those of the OTLP specification; what follows the code comes from this side of the connection, so that
/// the endpoint has refused nothing. `ResourceExhausted` may be tried again only if the endpoint says when, which the
/// exporter does not tell; it is also what a message beyond the endpoint's limit gets.
fn grpc_failure(message: &str) -> Failure {
    let Some((_, reason)) = message.split_once("gRPC code: ") else {
        return Failure::Refused(message.to_owned());
    };
    let (code, local) = reason.split_once(": ").map_or((reason, None), |(code, local)| (code, Some(local)));
    match code {
        "Cancelled" | "DeadlineExceeded" | "Aborted" | "OutOfRange" | "DataLoss" | "Unavailable" => {
            Failure::later(reason)
        }
        _ if local.is_some() => Failure::later(reason),
        _ => Failure::Refused(reason.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_code_says_whether_to_try_again() {
        let failed =
            |reason: &str| grpc_failure(&format!("InternalFailure(X failed with gRPC code: {reason}"));
        assert_eq!(failed("Unavailable"), Failure::later("Unavailable"));
        let reset = "Unknown: transport error: connection reset";
        assert_eq!(failed(reset), Failure::later(reset));
        for refused in ["InvalidArgument", "Unauthenticated", "ResourceExhausted", "Unimplemented"] {
            assert_eq!(failed(refused), Failure::Refused(refused.to_owned()));
        }
    }

    #[test]
    fn an_endpoint_with_a_password_is_refused_and_not_repeated() {
        for secret in ["http://user:secret@host:4317", "http://user:secret@host:4317/v1 x"] {
            let error = format!("{:#}", endpoint(secret).unwrap_err());
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(endpoint("localhost:4317").is_err());
        assert!(endpoint("https://host/v1/metrics").is_ok());
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        let mut config = Otlp::default();
        config.headers.insert(String::from("x-key"), String::from("secret\n"));
        let error = format!("{:#}", headers(&config).unwrap_err());
        assert!(error.contains("x-key") && !error.contains("secret"), "{error}");
    }
}
