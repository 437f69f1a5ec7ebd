//! What is asked of clients by way of certificates.

use super::{
    super::reader::{Field, Problems, Section},
    files::{Files, Pem},
};
use crate::web::{ClientPolicy, ClientVerifier};
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject as _},
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::sync::Arc;

const AUTHORITIES: Pem =
    Pem { inline: "client_ca", file: "client_ca_file", what: "the authorities' certificates" };
/// More names than anybody keeps in a list by hand.
const NAMES_MAX: usize = 1_000;

/// The part of the section about clients.
pub(super) struct Clients {
    policy: ClientPolicy,
    authorities: Option<RootCertStore>,
    allowed_names: Vec<String>,
}

impl Clients {
    /// Reads it and checks that its keys fit together.
    pub(super) fn read(section: &Section<'_>, files: &mut Files, problems: &mut Problems) -> Self {
        let before = problems.len();
        let policy_field = section.field("client_auth_type");
        let policy = policy_field.as_ref().and_then(|field| field.one_of(&ClientPolicy::ALL, problems));
        let authorities_field = section.field(AUTHORITIES.file).or_else(|| section.field(AUTHORITIES.inline));
        let authorities = files
            .pem(section, AUTHORITIES, problems)
            .and_then(|(field, pem)| authorities(&field, &pem, problems));
        let names_field = section.field("client_allowed_sans");
        let allowed_names =
            names_field.as_ref().map(|field| allowed_names(field, problems)).unwrap_or_default();
        if problems.len() > before {
            return Self { policy: ClientPolicy::default(), authorities, allowed_names };
        }
        let policy = policy.unwrap_or_default();
        if let Some(field) = authorities_field
            && policy == ClientPolicy::NoClientCert
        {
            let message = "no certificate is asked for, so no authority is; write \
                           `client_auth_type: RequireAndVerifyClientCert` beside it, or remove it";
            field.wrong(problems, message);
        }
        if let Some(field) = policy_field
            && policy.is_verified()
            && authorities.is_none()
        {
            let message = "names no authority, and those of the public web would let in whoever asks them; write \
                           `client_ca_file` beside it";
            field.wrong(problems, message);
        }
        if let Some(field) = names_field
            && !policy.is_required()
        {
            let message = "a client may come without a certificate, and then has no name; write `client_auth_type: \
                           RequireAndVerifyClientCert` beside it, or remove it";
            field.wrong(problems, message);
        }
        Self { policy, authorities, allowed_names }
    }

    /// What is asked, and who verifies it; none where what was read is not complete.
    pub(super) fn verifier(
        self,
        provider: &Arc<CryptoProvider>,
    ) -> Option<(ClientPolicy, Arc<dyn ClientCertVerifier>)> {
        let Self { policy, authorities, allowed_names } = self;
        if policy == ClientPolicy::NoClientCert {
            return Some((policy, Arc::new(NoClientAuth)));
        }
        let hints = authorities.as_ref().map(RootCertStore::subjects).unwrap_or_default();
        let authorities = match authorities.filter(|_| policy.is_verified()) {
            Some(roots) => {
                let builder =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
                Some(builder.build().ok()?)
            }
            None => None,
        };
        let verifier = ClientVerifier {
            required: policy.is_required(),
            authorities,
            allowed_names,
            hints,
            algorithms: provider.signature_verification_algorithms,
        };
        Some((policy, Arc::new(verifier)))
    }
}

fn authorities(field: &Field<'_>, pem: &[u8], problems: &mut Problems) -> Option<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        if certificate.ok().and_then(|certificate| store.add(certificate).ok()).is_none() {
            field.wrong(
                problems,
                "holds a certificate that is damaged; write each as its authority gave it, in PEM",
            );
            return None;
        }
    }
    if store.is_empty() {
        field.wrong(problems, "holds no certificate; write it in PEM, from -----BEGIN CERTIFICATE----- on");
        return None;
    }
    Some(store)
}

fn allowed_names(field: &Field<'_>, problems: &mut Problems) -> Vec<String> {
    let names = field.words(NAMES_MAX, problems).unwrap_or_default();
    if names.is_empty() {
        field.wrong(problems, "names nobody, so that no client could connect; name one, or remove the key");
    }
    names.into_iter().map(|(_, name)| name.to_owned()).collect()
}
