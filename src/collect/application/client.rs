//! A client of HTTP for what applications tell: one request, bounded in bytes, to the host that was written and no other.

use crate::config::applications::{Access, Credentials};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    HeaderMap, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, HeaderValue, LOCATION, USER_AGENT},
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
use std::{error::Error, fs::File, io::Read as _, path::Path, sync::Arc};

/// A page of metrics; that of a service with ten thousand series has 1 MB.
pub(super) const MOST_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// A document with a few numbers. As a tree it takes up to thirty times as much.
pub(super) const MOST_DOCUMENT_BYTES: usize = 1024 * 1024;
/// Redirects that are followed, on the same host.
const MOST_REDIRECTS: u32 = 3;
/// What is said of an application where nobody listens.
pub(super) const UNREACHABLE: &str = "cannot be reached";
/// A password or token.
const MOST_SECRET_BYTES: u64 = 64 * 1024;
/// What kinds of pages are asked for.
const ACCEPTED: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.8,application/json;q=0.5,*/*;q=0.1";

/// A client of one application.
pub(super) struct Client {
    http: Legacy<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    credentials: Option<Credentials>,
}

impl Client {
    /// A client; with `over_tls` certificates are read. The error follows the application's name.
    pub(super) fn new(access: &Access, over_tls: bool) -> Result<Self, String> {
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
        Ok(Self { http, credentials: access.credentials.clone() })
    }

    /// Asks for a page and hands it over piece by piece; the error follows the URL.
    pub(super) async fn get(
        &self,
        url: &Uri,
        most_bytes: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut body = self.answer(url).await?.into_body();
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

    /// The answer behind redirects, if it is one.
    async fn answer(&self, url: &Uri) -> Result<Response<Incoming>, String> {
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let request = self.request(&url)?;
            let answer = self.http.request(request).await;
            let answer = answer.map_err(|error| format!("{UNREACHABLE}: {}", innermost(&error)))?;
            let status = answer.status();
            if status.is_redirection() {
                url = redirected(&url, answer.headers())?;
                continue;
            }
            self.check(status)?;
            if answer.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
                return Err(String::from("answers compressed, which was not asked for"));
            }
            return Ok(answer);
        }
        Err(String::from("redirects in a circle"))
    }

    fn request(&self, url: &Uri) -> Result<Request<Empty<Bytes>>, String> {
        let agent = concat!("memleak_exporter/", env!("CARGO_PKG_VERSION"));
        let mut request = Request::get(url).header(ACCEPT, ACCEPTED).header(USER_AGENT, agent);
        if let Some(credentials) = &self.credentials {
            request = request.header(AUTHORIZATION, authorization(credentials)?);
        }
        request.body(Empty::new()).map_err(|error| format!("cannot be asked: {error}"))
    }

    fn check(&self, status: StatusCode) -> Result<(), String> {
        match (status, &self.credentials) {
            (StatusCode::OK, _) => Ok(()),
            (StatusCode::UNAUTHORIZED, None) => {
                Err(String::from("asks who we are (401); set `basic_auth` or `bearer_token_file`"))
            }
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
