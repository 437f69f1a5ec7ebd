//! TLS towards the endpoint: the system's certificate authorities, one's own beside them, and a client certificate.

use crate::config::Otlp;
use anyhow::{Context, bail};
use hyper::Uri;
use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry_http::{HttpClient, hyper::HyperClient};
use opentelemetry_otlp::tonic_types::transport::{ClientTlsConfig, Identity};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fs, path::Path, sync::Arc};

/// The TLS of a gRPC connection.
pub(super) fn for_grpc(config: &Otlp) -> anyhow::Result<ClientTlsConfig> {
    let tls = ClientTlsConfig::new().trust_anchors(roots(config)?.roots);
    Ok(match identity(config)? {
        Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
        None => tls,
    })
}

/// A client for HTTP, over TLS if `uri` says so.
pub(super) fn client(config: &Otlp, uri: &Uri) -> anyhow::Result<Arc<dyn HttpClient>> {
    if uri.scheme_str() != Some("https") {
        return Ok(Arc::new(HyperClient::with_default_connector(config.timeout, None)));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(config)?);
    let tls = match identity(config)? {
        Some((certificate, key)) => {
            let chain: Vec<CertificateDer<'static>> = certificates(&certificate)?;
            let key = PrivateKeyDer::from_pem_slice(&key).context("otlp.client_key_file holds no key")?;
            builder.with_client_auth_cert(chain, key).context("the client certificate and its key")?
        }
        None => builder.with_no_client_auth(),
    };
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_all_versions().build();
    Ok(Arc::new(HyperClient::new(connector, config.timeout, None)))
}

/// Whom to trust: the system's authorities and those of the configured file.
fn roots(config: &Otlp) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = &config.certificate_file {
        let own = certificates(&read(path)?).with_context(|| path.display().to_string())?;
        for certificate in own {
            roots.add(certificate).with_context(|| path.display().to_string())?;
        }
    }
    if roots.is_empty() {
        bail!(
            "this system has no certificate authorities to trust ({} files could not be read): \
             install ca-certificates or set otlp.certificate_file",
            system.errors.len()
        );
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .context("a certificate cannot be read")?;
    if certificates.is_empty() {
        bail!("there is no certificate in it");
    }
    Ok(certificates)
}

/// The client certificate and its key as they were read, if they are configured.
fn identity(config: &Otlp) -> anyhow::Result<Option<(Vec<u8>, Vec<u8>)>> {
    match (&config.client_certificate_file, &config.client_key_file) {
        (Some(certificate), Some(key)) => Ok(Some((read(certificate)?, read(key)?))),
        (None, None) => Ok(None),
        _ => bail!("otlp.client_certificate_file and otlp.client_key_file need each other"),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
