//! Logs: structured, on standard error, in logfmt or JSON.

use anyhow::Context as _;
use std::{fmt, str::FromStr};
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// Everything, with the reasons.
    Debug,
    /// Changes of state.
    Info,
    /// What a person should look at.
    Warn,
    /// What does not work.
    Error,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `key=value`, as Prometheus' own programs write it.
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// Sets up the logs of the whole program, once.
///
/// # Errors
/// When they are set up already.
pub fn start(level: Level, format: Format) -> anyhow::Result<()> {
    // The libraries below speak of every connection; and the OTLP client logs what is exported, which would feed back.
    let directives = format!(
        "{level},opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off,hyper=warn,hyper_util=warn,h2=warn,tonic=warn,tower=warn,rustls=warn"
    );
    let filter = EnvFilter::from_str(&directives).context("cannot understand the log level")?;
    let layer = match format {
        Format::Logfmt => tracing_logfmt::builder()
            .with_target(false)
            .with_span_name(false)
            .layer()
            .with_writer(std::io::stderr)
            .boxed(),
        Format::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().context("cannot set up logging")
}
