//! A client of HTTP for whoever asks others: one request, bounded in bytes, to the host that was written and no other.
//!
//! Applications are asked by it what they tell, Prometheus what it remembers, and a running exporter what it knows.

use crate::config::applications::{Access, Credentials};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Legacy, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use std::{error::Error, fmt::Write as _, fs::File, io::Read as _, path::Path, sync::Arc};

/// Redirects that are followed, on the same host.
const MOST_REDIRECTS: u32 = 3;
/// What is said where nobody listens.
pub(crate) const UNREACHABLE: &str = "cannot be reached";
/// A password or token.
const MOST_SECRET_BYTES: u64 = 64 * 1024;
/// What kinds of pages are asked for.
const ACCEPTED: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.8,application/json;q=0.5,*/*;q=0.1";

/// A client with the credentials for one place.
pub(crate) struct Client {
    http: Legacy<HttpsConnector<HttpConnector>, Full<Bytes>>,
    credentials: Option<Credentials>,
    settings: &'static str,
}

/// The type of a body that holds encoded fields.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// GET, or what changes something.
    pub(crate) method: Method,
    /// Of whom.
    pub(crate) url: Uri,
    /// What goes along, with its type.
    pub(crate) body: Option<(&'static str, String)>,
    /// The kinds of answers that are welcome, as the header `Accept` lists them.
    pub(crate) accept: &'static str,
}

/// What was answered, whatever the status.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status of HTTP.
    pub(crate) status: StatusCode,
    /// The body, up to the bound.
    pub(crate) body: Vec<u8>,
    /// Whether that is all of it.
    pub(crate) is_whole: bool,
}

impl Client {
    /// A client; with `over_tls` certificates are read. `settings` names what credentials are set by, for the error that
    /// asks for them. The error follows the name of whom is asked.
    pub(crate) fn new(access: &Access, over_tls: bool, settings: &'static str) -> Result<Self, String> {
        let roots = if over_tls { roots(access)? } else { RootCertStore::empty() };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        // Between two readings nothing runs here, so that the end of a connection would go unseen: none is kept.
        let http = Legacy::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { http, credentials: access.credentials.clone(), settings })
    }

    /// Asks for a page and hands it over piece by piece; the error follows the URL.
    pub(crate) async fn get(
        &self,
        url: &Uri,
        most_bytes: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let question = Question { method: Method::GET, url: url.clone(), body: None, accept: ACCEPTED };
        let answer = self.answer(question).await?;
        self.check(answer.status())?;
        let mut body = answer.into_body();
        let mut left = most_bytes;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("breaks off: {}", innermost(&error)))?;
            let Some(piece) = frame.data_ref() else { continue };
            left = left.checked_sub(piece.len()).ok_or_else(|| {
                format!("answers with more than {} MB; name a smaller page", most_bytes / (1024 * 1024))
            })?;
            take(piece)?;
        }
        Ok(())
    }

    /// Asks and keeps so much of the answer. A refusal is an error, other statuses are the caller's; the error follows
    /// the URL.
    pub(crate) async fn ask(&self, question: Question, most_bytes: usize) -> Result<Answer, String> {
        let answer = self.answer(question).await?;
        let status = answer.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.check(status)?;
        }
        let mut incoming = answer.into_body();
        let mut body = Vec::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| format!("breaks off: {}", innermost(&error)))?;
            let Some(piece) = frame.data_ref() else { continue };
            if body.len() + piece.len() > most_bytes {
                return Ok(Answer { status, body, is_whole: false });
            }
            body.extend_from_slice(piece);
        }
        Ok(Answer { status, body, is_whole: true })
    }

    /// The answer behind redirects, if it is one.
    async fn answer(&self, mut question: Question) -> Result<Response<Incoming>, String> {
        for _ in 0..=MOST_REDIRECTS {
            let request = self.request(&question)?;
            let answer = self.http.request(request).await;
            let answer = answer.map_err(|error| format!("{UNREACHABLE}: {}", innermost(&error)))?;
            if answer.status().is_redirection() {
                question.url = redirected(&question.url, answer.headers())?;
                continue;
            }
            if answer.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
                return Err(String::from("answers compressed, which was not asked for"));
            }
            return Ok(answer);
        }
        Err(String::from("redirects in a circle"))
    }

    fn request(&self, question: &Question) -> Result<Request<Full<Bytes>>, String> {
        let Question { method, url, body, accept } = question;
        let agent = concat!("memleak_exporter/", env!("CARGO_PKG_VERSION"));
        let mut request =
            Request::builder().method(method).uri(url).header(ACCEPT, *accept).header(USER_AGENT, agent);
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, authorization(credentials)?);
        }
        if let Some((kind, _)) = body {
            request = request.header(CONTENT_TYPE, *kind);
        }
        let body = body.as_ref().map_or_else(Full::default, |(_, text)| Full::new(text.clone().into()));
        request.body(body).map_err(|error| format!("cannot be asked: {error}"))
    }

    fn check(&self, status: StatusCode) -> Result<(), String> {
        match (status, &self.credentials) {
            (StatusCode::OK, _) => Ok(()),
            (StatusCode::UNAUTHORIZED, None) => Err(format!("asks who we are (401); set {}", self.settings)),
            (StatusCode::UNAUTHORIZED, Some(_)) => {
                Err(String::from("refuses the credentials (401); correct what their file holds"))
            }
            (StatusCode::FORBIDDEN, _) => {
                Err(String::from("refuses us (403); allow it there, or set other credentials"))
            }
            (status, _) => Err(format!("answers with status {}", status.as_u16())),
        }
    }
}

/// The fields of a form or of a query, encoded.
pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let separator = if text.is_empty() { "" } else { "&" };
        let _never_fails = write!(text, "{separator}{name}=");
        for byte in value.bytes() {
            let _never_fails = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    write!(text, "{}", char::from(byte))
                }
                _ => write!(text, "%{byte:02X}"),
            };
        }
    }
    text
}

/// Where a redirect leads; only to the same host, or credentials and requests would go wherever a page says.
fn redirected(url: &Uri, headers: &HeaderMap) -> Result<Uri, String> {
    let elsewhere =
        || String::from("redirects to another host, which is not followed; write that URL if it is right");
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location: Uri = location.and_then(|location| location.parse().ok()).ok_or_else(elsewhere)?;
    let is_same = |uri: &Uri| uri.scheme() == url.scheme() && uri.authority() == url.authority();
    let mut parts = url.clone().into_parts();
    if location.authority().is_some() && !is_same(&location)
        || !location.path().starts_with('/')
        || location.path().starts_with("//")
    {
        return Err(elsewhere());
    }
    parts.path_and_query = location.path_and_query().cloned();
    Uri::from_parts(parts).map_err(|_error| elsewhere())
}

/// The header that says who asks. Its value is marked so that nothing prints it.
fn authorization(credentials: &Credentials) -> Result<HeaderValue, String> {
    let (text, file) = match credentials {
        Credentials::Basic { username, password_file } => {
            let pair = format!("{username}:{}", secret(password_file)?);
            (format!("Basic {}", BASE64_STANDARD.encode(pair)), password_file)
        }
        Credentials::Bearer { token_file } => (format!("Bearer {}", secret(token_file)?), token_file),
    };
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_error| format!("cannot be asked: {} holds what no header can carry", file.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The only line of a file.
fn secret(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(MOST_SECRET_BYTES).read_to_string(&mut text))
        .map_err(|error| format!("cannot be asked: {} cannot be read: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}

/// Whom to trust: the system's authorities and those of the configured file.
fn roots(access: &Access) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &access.certificate_file {
        let wrong = |error: &dyn Error| format!("{} holds no certificate: {error}", path.display());
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
            let certificate = certificate.map_err(|error| wrong(&error))?;
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
    }
    Ok(roots)
}

/// The innermost cause, which says what happened; those around it only say that something did.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_field_ends_it() {
        assert_eq!(
            encoded(&[("query", "a{b=\"ü&+%\"}"), ("step", "30")]),
            "query=a%7Bb%3D%22%C3%BC%26%2B%25%22%7D&step=30"
        );
    }

    #[test]
    fn redirects_stay_on_their_host() {
        let url: Uri = "http://a:1/metrics?x=1".parse().unwrap();
        let check = |location: &str, expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
            let found = redirected(&url, &headers).ok().map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{location}");
        };
        check("/metrics/", Some("http://a:1/metrics/"));
        check("http://a:1/other?y=2", Some("http://a:1/other?y=2"));
        for elsewhere in
            ["http://b:1/metrics", "http://a:2/metrics", "https://a:1/metrics", "//b/x", "x", "*"]
        {
            check(elsewhere, None);
        }
    }
}
