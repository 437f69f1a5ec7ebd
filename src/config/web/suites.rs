//! Versions, suites and curves by the names that Go gives them, as the file's schema does, in terms of rustls.

use super::super::{
    keys,
    reader::{Field, Problems, Section, unknown_word},
};
use rustls::{
    CipherSuite, NamedGroup, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    version::{TLS12, TLS13},
};

/// Longer than any list of them.
const ITEMS_MAX: usize = 64;

/// The versions that rustls speaks, the older first.
const VERSIONS: [(&str, &SupportedProtocolVersion); 2] = [("TLS12", &TLS12), ("TLS13", &TLS13)];
/// Those that the schema knows besides.
const OLD_VERSIONS: [&str; 2] = ["TLS10", "TLS11"];

/// The suites that rustls has. Those of TLS 1.3 are always offered, as Go does.
const SUITES: [(&str, CipherSuite); 9] = [
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// The curves that both know.
const CURVES: [(&str, NamedGroup); 3] = [
    ("X25519", NamedGroup::X25519),
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
];
/// The one that the schema knows besides.
const MISSING_CURVE: &str = "CurveP521";

/// The versions that are spoken; all of them by default.
pub(super) fn versions(
    section: &Section<'_>,
    problems: &mut Problems,
) -> Vec<&'static SupportedProtocolVersion> {
    let mut bound = |key: &str, default: usize| {
        let field = section.field(key);
        let place = field.as_ref().and_then(|field| version(field, problems));
        (field, place.unwrap_or(default))
    };
    let (oldest, from) = bound("min_version", 0);
    let (newest, to) = bound("max_version", VERSIONS.len() - 1);
    if from > to
        && let Some(field) = newest.or(oldest)
    {
        field.wrong(problems, "is below `min_version`; raise it, or lower the other");
    }
    VERSIONS.iter().skip(from).take((to + 1).saturating_sub(from)).map(|(_, version)| *version).collect()
}

/// Its place in the list.
fn version(field: &Field<'_>, problems: &mut Problems) -> Option<usize> {
    let names = VERSIONS.map(|(name, _)| name);
    let word = field.text("TLS12 or TLS13", problems)?;
    let found = names.iter().position(|name| *name == word);
    if found.is_none() {
        let message = if OLD_VERSIONS.contains(&word) {
            format!("{word} is broken and not spoken here; write TLS12 or TLS13")
        } else {
            unknown_word(word, &names)
        };
        field.wrong(problems, message);
    }
    found
}

/// Suites and curves in the order of the file, for these versions.
pub(super) fn provider(
    section: &Section<'_>,
    versions: &[&SupportedProtocolVersion],
    problems: &mut Problems,
) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if let Some(field) = section.field("cipher_suites") {
        let chosen = words(&field, problems, |word| {
            SUITES
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, suite)| *suite)
                .ok_or_else(|| suite_instead(word))
        });
        let is_old = |suite: &SupportedCipherSuite| matches!(suite, SupportedCipherSuite::Tls12(_));
        let all = std::mem::take(&mut provider.cipher_suites);
        let by_id = |id: &CipherSuite| all.iter().find(|suite| suite.suite() == *id).copied();
        let old: Vec<SupportedCipherSuite> = chosen.iter().filter_map(by_id).filter(is_old).collect();
        if !chosen.is_empty() && old.is_empty() && versions == [&TLS12] {
            field.wrong(
                problems,
                "names no suite of TLS 1.2, which alone is spoken; add one, or raise `max_version`",
            );
        }
        let always = all.iter().filter(|suite| !is_old(suite)).copied();
        provider.cipher_suites = always
            .chain(if chosen.is_empty() { all.iter().copied().filter(is_old).collect() } else { old })
            .collect();
    }
    if let Some(field) = section.field("curve_preferences") {
        let chosen = words(&field, problems, |word| {
            CURVES
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, curve)| *curve)
                .ok_or_else(|| curve_instead(word))
        });
        let by_name =
            |name: &NamedGroup| provider.kx_groups.iter().find(|group| group.name() == *name).copied();
        let groups: Vec<_> = chosen.iter().filter_map(by_name).collect();
        if !groups.is_empty() {
            provider.kx_groups = groups;
        }
    }
    provider
}

/// The known ones of a list of words, the others noted; an empty list is that of the default.
fn words<T>(field: &Field<'_>, problems: &mut Problems, known: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
    let mut found = Vec::new();
    for (item, word) in field.words(ITEMS_MAX, problems).unwrap_or_default() {
        match known(word) {
            Ok(value) => found.push(value),
            Err(message) => item.wrong(problems, message),
        }
    }
    found
}

/// What is wrong with a suite that rustls does not have.
fn suite_instead(word: &str) -> String {
    let is_gone =
        word.starts_with("TLS_") && ["_CBC_", "_RC4_", "TLS_RSA_"].iter().any(|part| word.contains(part));
    if !is_gone {
        return unknown_word(word, &SUITES.map(|(name, _)| name));
    }
    let signed = if word.contains("_ECDSA_") { "ECDSA" } else { "RSA" };
    let cipher = if word.contains("_256_") { "AES_256_GCM_SHA384" } else { "AES_128_GCM_SHA256" };
    format!("`{word}` is weak and not offered here; write `TLS_ECDHE_{signed}_WITH_{cipher}`")
}

/// What is wrong with a curve that rustls does not have.
fn curve_instead(word: &str) -> String {
    let names = CURVES.map(|(name, _)| name);
    if word == MISSING_CURVE {
        return format!("{word} is not offered here; write {}", keys::list(&["CurveP384"]));
    }
    unknown_word(word, &names)
}
