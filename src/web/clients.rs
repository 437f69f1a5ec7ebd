//! What is asked of clients by way of certificates, and how theirs are verified.
//!
//! The five policies are those of Go's TLS, since their names are in the file. Two of them take any certificate: its
//! holder must prove to have the key, but nobody vouches for the names in it, so it authenticates nobody.

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use std::{net::IpAddr, sync::Arc};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// What is asked of clients; `tls_server_config.client_auth_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientPolicy {
    /// Nothing.
    #[default]
    NoClientCert,
    /// A certificate, any, if they have one.
    RequestClientCert,
    /// A certificate, any.
    RequireAnyClientCert,
    /// If they show a certificate, one of the configured authorities must stand behind it.
    VerifyClientCertIfGiven,
    /// A certificate of one of the configured authorities.
    RequireAndVerifyClientCert,
}

impl ClientPolicy {
    /// The word for each in the file. `RequireClientCert` is an old one for `RequireAnyClientCert`.
    pub const ALL: [(&'static str, Self); 6] = [
        ("NoClientCert", Self::NoClientCert),
        ("RequestClientCert", Self::RequestClientCert),
        ("RequireAnyClientCert", Self::RequireAnyClientCert),
        ("RequireClientCert", Self::RequireAnyClientCert),
        ("VerifyClientCertIfGiven", Self::VerifyClientCertIfGiven),
        ("RequireAndVerifyClientCert", Self::RequireAndVerifyClientCert),
    ];

    /// Whether who shows no certificate is turned away.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::RequireAnyClientCert | Self::RequireAndVerifyClientCert)
    }

    /// Whether an authority stands behind each certificate that is let in.
    #[must_use]
    pub const fn is_verified(self) -> bool {
        matches!(self, Self::VerifyClientCertIfGiven | Self::RequireAndVerifyClientCert)
    }
}

/// Verifies certificates of clients.
#[derive(Debug)]
pub struct ClientVerifier {
    /// Whether a client must show one.
    pub required: bool,
    /// Asks the authorities; none where any certificate will do.
    pub authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// Names of which the certificate must carry one, exactly; empty: whatever it carries.
    pub allowed_names: Vec<String>,
    /// Names of authorities that clients are told, so that they know which certificate is meant.
    pub hints: Vec<DistinguishedName>,
    /// How the proof that a client has the key may be signed.
    pub algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(authorities) = &self.authorities {
            authorities.verify_client_cert(end_entity, intermediates, now)?;
        }
        let is_allowed = |name: &String| self.allowed_names.contains(name);
        if self.allowed_names.is_empty() || names(end_entity)?.iter().any(is_allowed) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The subject's alternative names as text: DNS names, e-mail addresses, IP addresses and URIs.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let unreadable = |_error| Error::from(CertificateError::BadEncoding);
    let certificate = Certificate::from_der(certificate).map_err(unreadable)?;
    let extension = certificate.tbs_certificate().get_extension::<SubjectAltName>().map_err(unreadable)?;
    let Some((_critical, SubjectAltName(names))) = extension else { return Ok(Vec::new()) };
    Ok(names.iter().filter_map(shown).collect())
}

fn shown(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
        GeneralName::IpAddress(octets) => address(octets.as_bytes()).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_longer| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verifier(allowed: &[&str]) -> ClientVerifier {
        ClientVerifier {
            required: true,
            authorities: None,
            allowed_names: allowed.iter().map(|&name| name.to_owned()).collect(),
            hints: Vec::new(),
            algorithms: rustls::crypto::ring::default_provider().signature_verification_algorithms,
        }
    }

    fn admits(allowed: &[&str], certificate: &CertificateDer<'_>) -> bool {
        verifier(allowed).verify_client_cert(certificate, &[], UnixTime::now()).is_ok()
    }

    #[test]
    fn one_of_the_names_must_be_allowed_exactly() {
        let of_all_sorts = certificate(vec![
            SanType::DnsName("scraper.example".try_into().unwrap()),
            SanType::Rfc822Name("ops@example.org".try_into().unwrap()),
            SanType::URI("spiffe://example.org/scraper".try_into().unwrap()),
            SanType::IpAddress("192.0.2.1".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ]);
        for name in
            ["scraper.example", "ops@example.org", "spiffe://example.org/scraper", "192.0.2.1", "2001:db8::1"]
        {
            assert!(admits(&["other", name], &of_all_sorts), "{name}");
        }
        for name in ["example", "*.example", "SCRAPER.example", "a.scraper.example", "192.0.2.10", ""] {
            assert!(!admits(&[name], &of_all_sorts), "{name}");
        }
        let any = certificate(vec![SanType::DnsName("*.example".try_into().unwrap())]);
        assert!(!admits(&["scraper.example"], &any), "a wildcard is no name of the list");
        assert!(admits(&[], &any) && !admits(&["x"], &certificate(Vec::new())));
        assert!(!admits(&["x"], &CertificateDer::from(vec![0x30, 0])));
    }
}
