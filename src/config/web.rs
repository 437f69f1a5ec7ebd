//! The web file (`--web.config.file`), in the schema that Prometheus' own programs share.
//!
//! It is read as strictly as the configuration: an unknown key, a wrong type, a file that cannot be read are errors with
//! line and key, all at once.
//!
//! It is a file of its own, because it holds what the configuration does not, keys and hashes of passwords, and because
//! it takes effect without a reload. What its schema allows and rustls does not have (old versions, suites and curves) is
//! refused by name, with what to write instead. Messages never show a key, a hash or a file's content.

mod clients;
mod files;
mod suites;
mod tls;
mod users;

#[cfg(test)]
mod fixtures;

use super::{
    ConfigErrors, keys,
    reader::{Durations, Field, Problems, Section},
    tree, written,
};
use crate::web::{Rate, Reading, Web};
use files::Files;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use std::{path::Path, time::Duration};

/// The sections with their keys; the root is the empty name.
const SECTIONS: [(&str, &[&str]); 5] = [
    (
        "",
        &["tls_server_config", "http_server_config", "basic_auth_users", "basic_auth_changers", "rate_limit"],
    ),
    (
        "tls_server_config",
        &[
            "cert",
            "cert_file",
            "key",
            "key_file",
            "client_ca",
            "client_ca_file",
            "client_auth_type",
            "client_allowed_sans",
            "min_version",
            "max_version",
            "cipher_suites",
            "prefer_server_cipher_suites",
            "curve_preferences",
        ],
    ),
    ("http_server_config", &["http2", "headers"]),
    ("headers", &HEADER_KEYS),
    ("rate_limit", &["interval", "burst"]),
];

/// What people write, by habit from other files of the same programs, and what to do instead.
const INSTEAD: [(&str, &str, &str); 12] = [
    ("", "tls_config", "write `tls_server_config`"),
    ("", "tls", "write `tls_server_config`"),
    ("", "basic_auth", "write `basic_auth_users`"),
    ("", "users", "write `basic_auth_users`"),
    ("", "headers", "write `http_server_config.headers`"),
    ("", "http2", "write `http_server_config.http2`"),
    ("", "web", "use the flags that begin with --web."),
    ("tls_server_config", "ca", "write `client_ca`"),
    ("tls_server_config", "ca_file", "write `client_ca_file`"),
    ("tls_server_config", "client_cas", "write `client_ca_file`"),
    ("tls_server_config", "client_auth", "write `client_auth_type`"),
    ("rate_limit", "rate", "write `interval`, the time between two requests"),
];

/// The only headers that can be set, as they are written.
const HEADER_KEYS: [&str; 5] = [
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
    "Strict-Transport-Security",
];
/// Their names on the wire, in the same order, and the values that they may have where not every one is right.
const HEADERS: [(HeaderName, &[&str]); 5] = [
    (CONTENT_SECURITY_POLICY, &[]),
    (X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    (X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    (X_XSS_PROTECTION, &[]),
    (STRICT_TRANSPORT_SECURITY, &[]),
];
/// A longer header is no policy but a mistake.
const HEADER_BYTES_MAX: usize = 4096;

/// From one allowed request to the next.
const INTERVAL: Durations = Duration::ZERO..=Duration::from_secs(24 * 3_600);

/// Reads the web file and the files that it names; relative names count from its directory.
#[must_use]
pub fn load(path: &Path) -> Reading {
    let file_name = path.display().to_string();
    let mut files = Files::beside(path);
    let web = read(path, &file_name, &mut files).map_err(|errors| errors.to_string());
    Reading { web, files: files.named }
}

fn read(path: &Path, file_name: &str, files: &mut Files) -> Result<Web, ConfigErrors> {
    files::check_regular(path).map_err(|message| ConfigErrors::of_file(file_name, message))?;
    let text = written::text_of(path, file_name)?;
    let (root, mut problems) = tree::read(&text);
    let web = root.map(|root| sections(&Field::root(&root), files, &mut problems)).unwrap_or_default();
    if problems.is_empty() { Ok(web) } else { Err(ConfigErrors::new(file_name, problems)) }
}

fn sections(root: &Field<'_>, files: &mut Files, problems: &mut Problems) -> Web {
    let Some(root) = section(root, "", problems) else { return Web::default() };
    let users =
        root.field("basic_auth_users").map(|field| users::users(&field, problems)).unwrap_or_default();
    let changers = root.field("basic_auth_changers");
    Web {
        tls: root.field("tls_server_config").and_then(|field| tls::tls(&field, files, problems)),
        headers: root.field("http_server_config").map(|field| http(&field, problems)).unwrap_or_default(),
        changers: changers.map(|field| users::changers(&field, &users, problems)).unwrap_or_default(),
        users,
        rate: root.field("rate_limit").and_then(|field| rate(&field, problems)),
    }
}

/// A section of the list.
fn section<'a>(field: &Field<'a>, name: &str, problems: &mut Problems) -> Option<Section<'a>> {
    let known = SECTIONS.iter().find(|(section, _)| *section == name).map_or(&[][..], |(_, keys)| *keys);
    field.section_of(known, &|key| instead(name, known, key), problems)
}

fn instead(section: &str, known: &[&str], key: &str) -> String {
    if let Some((_, _, advice)) = INSTEAD.iter().find(|(where_, from, _)| *where_ == section && *from == key)
    {
        return String::from(*advice);
    }
    let other_case = known.iter().find(|known| known.eq_ignore_ascii_case(key)).copied();
    match other_case.or_else(|| keys::nearest(key, known)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys here are {}", keys::list(known)),
    }
}

fn http(field: &Field<'_>, problems: &mut Problems) -> Vec<(HeaderName, HeaderValue)> {
    let Some(section) = section(field, "http_server_config", problems) else { return Vec::new() };
    if let Some(field) = section.field("http2") {
        // HTTP/1.1 is spoken either way: it is what scrapers ask for, and one request at a time is easier to bound.
        let _both_are_right: Option<bool> = field.switch(problems);
    }
    let Some(field) = section.field("headers") else { return Vec::new() };
    let Some(written) = self::section(&field, "headers", problems) else { return Vec::new() };
    let mut headers = Vec::new();
    for (key, (name, allowed)) in HEADER_KEYS.into_iter().zip(HEADERS) {
        let value = written.field(key).and_then(|field| header(&field, allowed, problems));
        headers.extend(value.map(|value| (name, value)));
    }
    headers
}

/// The value of a header; a blank one leaves it out.
fn header(field: &Field<'_>, allowed: &[&str], problems: &mut Problems) -> Option<HeaderValue> {
    let text = field.scalar("the value of the header, or two quotes to leave it out", problems)?;
    if text.is_empty() {
        return None;
    }
    if !allowed.is_empty() && !allowed.contains(&text.as_ref()) {
        field.wrong(problems, super::reader::unknown_word(&text, allowed));
        return None;
    }
    let value =
        HeaderValue::from_str(&text).ok().filter(|_| text.len() <= HEADER_BYTES_MAX && text.is_ascii());
    if value.is_none() {
        let message = format!(
            "no header can carry this; write one line of at most {HEADER_BYTES_MAX} ASCII characters"
        );
        field.wrong(problems, message);
    }
    value
}

fn rate(field: &Field<'_>, problems: &mut Problems) -> Option<Rate> {
    let section = section(field, "rate_limit", problems)?;
    if section.is_empty() {
        return None;
    }
    let mut needed = |key: &str, advice: &str| {
        let field = section.field(key);
        if field.is_none() {
            section.wrong(problems, format!("`{key}` is missing; {advice}"));
        }
        field
    };
    let interval =
        needed("interval", "write the time between two requests, such as `interval: 1s`, or 0 for no limit");
    let burst = needed("burst", "write how many requests may come at once, such as `burst: 20`");
    let interval = interval.and_then(|field| field.duration(&INTERVAL, problems));
    // Without a limit, the other key means nothing, and none of its values is wrong.
    let least = usize::from(interval != Some(Duration::ZERO));
    let burst = burst.and_then(|field| field.whole(&(least..=1_000_000), problems));
    let (interval, burst) = interval.filter(|interval| !interval.is_zero()).zip(burst)?;
    Some(Rate { interval, burst: u32::try_from(burst).unwrap_or(u32::MAX) })
}
