//! How the command line asks others over HTTP: who asks, whom to trust, how long to wait.

use crate::{
    config::{
        applications::{Access, Credentials, without_query},
        duration, http_url,
    },
    fetch::{Answer, Client, Question},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use hyper::Uri;
use std::{path::PathBuf, time::Duration};
use tokio::runtime::Runtime;

/// By which flags credentials are set.
const SETTINGS: &str = "--user and --password-file, or --token-file";

/// Flags of whoever asks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How to ask")]
pub(super) struct AccessArguments {
    /// The user of basic authentication.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// The file with the user's password.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// The file with a bearer token.
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    token_file: Option<PathBuf>,
    /// CA certificates (PEM) to trust beside the system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How long to wait for an answer.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::argument)]
    timeout: Duration,
}

impl AccessArguments {
    /// Whether any flag says who asks or whom to trust.
    pub(super) fn is_set(&self) -> bool {
        self.user.is_some() || self.token_file.is_some() || self.ca_file.is_some()
    }

    fn access(&self) -> Access {
        let basic = self.user.clone().zip(self.password_file.clone());
        let basic = basic.map(|(username, password_file)| Credentials::Basic { username, password_file });
        let bearer = self.token_file.clone().map(|token_file| Credentials::Bearer { token_file });
        Access { credentials: basic.or(bearer), certificate_file: self.ca_file.clone() }
    }
}

/// Whom is asked, and what it takes to ask.
pub(super) struct Asker {
    client: Client,
    runtime: Runtime,
    base: Uri,
    timeout: Duration,
}

impl Asker {
    /// Reads certificates; asks nothing yet.
    pub(super) fn new(base: &Uri, arguments: &AccessArguments) -> anyhow::Result<Self> {
        let is_over_tls = base.scheme_str() == Some("https");
        let client = Client::new(&arguments.access(), is_over_tls, SETTINGS)
            .map_err(|error| anyhow!("{} cannot be asked: {error}", without_query(base)))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime for the network")?;
        Ok(Self { client, runtime, base: base.clone(), timeout: arguments.timeout })
    }

    /// The URL of a place below the base.
    pub(super) fn url(&self, path: &str) -> anyhow::Result<Uri> {
        let base = self.base.to_string();
        let url = format!("{}{path}", base.trim_end_matches('/'));
        url.parse().with_context(|| format!("{url} is no URL"))
    }

    /// Asks once; the error follows the URL.
    pub(super) fn ask(&self, question: Question, most_bytes: usize) -> Result<Answer, String> {
        // A timeout must begin inside of the runtime.
        let asked = async { tokio::time::timeout(self.timeout, self.client.ask(question, most_bytes)).await };
        self.runtime.block_on(asked).unwrap_or_else(|_late| {
            Err(format!("gives no answer within {:?}; --timeout waits longer", self.timeout))
        })
    }
}

/// Reads the URL below which something is asked.
pub(super) fn base_url(text: &str) -> anyhow::Result<Uri> {
    let url = http_url(
        text,
        "http://127.0.0.1:9090",
        "holds a user name or a password; give them by --user and --password-file",
    );
    let url = url.map_err(|error| anyhow!("it {error}"))?;
    if url.query().is_some() {
        return Err(anyhow!("it holds a query; write what stands before the ?"));
    }
    Ok(url)
}
