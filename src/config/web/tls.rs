//! The section `tls_server_config`: from what is written to a server's TLS, ready to be spoken.

use super::{
    super::reader::{Field, Problems, Section},
    clients::Clients,
    files::{Files, Pem},
    section, suites,
};
use crate::web::Tls;
use rustls::{
    Error, ServerConfig, SupportedProtocolVersion,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::sync::Arc;

const CERTIFICATE: Pem = Pem { inline: "cert", file: "cert_file", what: "the server's certificate" };
const KEY: Pem = Pem { inline: "key", file: "key_file", what: "the server's private key" };

/// Reads the section; none where nothing is written in it, or where something is wrong.
pub(super) fn tls(field: &Field<'_>, files: &mut Files, problems: &mut Problems) -> Option<Tls> {
    let section = section(field, "tls_server_config", problems)?;
    if section.is_empty() {
        return None;
    }
    let before = problems.len();
    let versions = suites::versions(&section, problems);
    let provider = Arc::new(suites::provider(&section, &versions, problems));
    let own = own_certificate(&section, files, &provider, problems);
    let clients = Clients::read(&section, files, problems);
    let prefers_own = section.field("prefer_server_cipher_suites").map(|field| field.switch(problems));
    if problems.len() > before {
        return None;
    }
    let built = built(own?, clients, &provider, &versions);
    if built.is_none() {
        section.wrong(problems, "cannot be used together; try it without versions, suites and curves");
    }
    let (mut server, clients) = built?;
    server.ignore_client_order = prefers_own.flatten().unwrap_or(true);
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Tls { server: Arc::new(server), clients })
}

fn built(
    own: CertifiedKey,
    clients: Clients,
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
) -> Option<(ServerConfig, crate::web::ClientPolicy)> {
    let (policy, verifier) = clients.verifier(provider)?;
    let server = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .ok()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    Some((server, policy))
}

/// Certificate and key, which must belong together.
fn own_certificate(
    section: &Section<'_>,
    files: &mut Files,
    provider: &CryptoProvider,
    problems: &mut Problems,
) -> Option<CertifiedKey> {
    let mut needed = |pem: Pem| {
        if section.field(pem.inline).is_none() && section.field(pem.file).is_none() {
            let message = format!("`{}` is missing; write the name of a file with {}", pem.file, pem.what);
            section.wrong(problems, message);
        }
        files.pem(section, pem, problems)
    };
    let (certificate, key) = (needed(CERTIFICATE), needed(KEY));
    let chain = certificate.as_ref().and_then(|(field, pem)| chain(field, pem, problems));
    let private = key.as_ref().and_then(|(field, pem)| private_key(field, pem, problems));
    let (certificate, key) = (certificate?.0, key?.0);
    match CertifiedKey::from_der(chain?, private?, provider) {
        Ok(own) => Some(own),
        Err(Error::InvalidCertificate(_)) => {
            certificate.wrong(
                problems,
                "holds a certificate that is damaged; write it as its authority gave it, in PEM",
            );
            None
        }
        Err(Error::InconsistentKeys(_)) => {
            key.wrong(
                problems,
                "is not the key of the certificate; write the one that the certificate was made for",
            );
            None
        }
        Err(_other) => {
            key.wrong(problems, "cannot be used; write a key for RSA of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519");
            None
        }
    }
}

fn chain(field: &Field<'_>, pem: &[u8], problems: &mut Problems) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Option<Vec<_>> = CertificateDer::pem_slice_iter(pem).map(Result::ok).collect();
    match chain {
        Some(chain) if !chain.is_empty() => Some(chain),
        Some(_) => {
            field.wrong(
                problems,
                "holds no certificate; write it in PEM, from -----BEGIN CERTIFICATE----- on",
            );
            None
        }
        None => {
            field.wrong(problems, "is damaged PEM; write it whole, with its first and last line");
            None
        }
    }
}

fn private_key(field: &Field<'_>, pem: &[u8], problems: &mut Problems) -> Option<PrivateKeyDer<'static>> {
    let key = PrivateKeyDer::from_pem_slice(pem).ok();
    if key.is_none() {
        let message = if is_encrypted(pem) {
            "holds an encrypted key, and nobody is there to say its password; write it without one, as `openssl pkey` \
             prints it"
        } else {
            "holds no private key; write it in PEM, from -----BEGIN PRIVATE KEY----- on"
        };
        field.wrong(problems, message);
    }
    key
}

fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("ENCRYPTED\n")
}
