//! The web file from outside: TLS, certificates of clients, users and the rate of requests, asked by curl.

use crate::{
    exporter::{Exporter, Scratch},
    peers::directory,
    process::{Process, wait_for},
    pushes::APPLICATION,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use std::{fs, time::Duration};

const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct-horse";
const SERVER: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// Writes `NAME.crt` and `NAME.key`.
fn certify(
    scratch: &Scratch,
    authority: &Authority,
    name: &str,
    of: SanType,
    usage: ExtendedKeyUsagePurpose,
) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![of];
    params.extended_key_usages = vec![usage];
    // Another subject than the authority's, or it would be taken for its own issuer.
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    scratch.write(&format!("{name}.crt"), &certificate.pem());
    scratch.write(&format!("{name}.key"), &key.serialize_pem());
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

/// A directory with the certificates of a server, of a client, of another one and of a stranger.
pub(crate) fn certificates(name: &str) -> Scratch {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let scratch = Scratch::new(name);
    let (own, foreign) = (authority(), authority());
    scratch.write("ca.crt", &own.pem());
    certify(&scratch, &own, "server", SanType::IpAddress([127, 0, 0, 1].into()), ServerAuth);
    certify(&scratch, &own, "client", dns("scraper.example"), ClientAuth);
    certify(&scratch, &own, "other", dns("other.example"), ClientAuth);
    certify(&scratch, &foreign, "stranger", dns("scraper.example"), ClientAuth);
    scratch
}

/// Replaces the file in one step, as whoever cares for it does.
fn replace(scratch: &Scratch, text: &str) {
    let new = scratch.write("web.new", text);
    fs::rename(new, scratch.path.join("web.yml")).expect("our own directory");
}

fn start(scratch: &Scratch, web_file: &str) -> Exporter {
    start_with(scratch, web_file, &[])
}

fn start_with(scratch: &Scratch, web_file: &str, flags: &[&str]) -> Exporter {
    replace(scratch, web_file);
    let file = format!("--web.config.file={}", scratch.path.join("web.yml").display());
    Exporter::start(&[&[file.as_str()], flags].concat())
}

/// The status of the answer and all that came, or none where curl was given none.
fn curl(exporter: &Exporter, scratch: &Scratch, path: &str, flags: &[&str]) -> Option<(u16, String)> {
    let output = Process::command("curl")
        .current_dir(&scratch.path)
        .args(["--silent", "--include", "--max-time", "60", "--cacert", "ca.crt"])
        .args(flags)
        .arg(exporter.url(path))
        .output()
        .unwrap_or_else(|error| panic!("curl is needed: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.filter(|_| output.status.success()).map(|status| (status, text))
}

fn status(exporter: &Exporter, scratch: &Scratch, path: &str, flags: &[&str]) -> Option<u16> {
    curl(exporter, scratch, path, flags).map(|(status, _)| status)
}

#[test]
fn versions_are_those_of_the_file_as_it_is_at_each_connection() {
    let scratch = certificates("web-versions");
    let exporter = start(&scratch, &format!("{SERVER}  max_version: TLS12\n"));
    assert!(exporter.base.starts_with("https://127.0.0.1:"), "{}", exporter.base);
    let answers = |flags: &[&str]| status(&exporter, &scratch, "/-/healthy", flags);
    let (old, new) = (&["--tls-max", "1.2"][..], &["--tlsv1.3"][..]);
    assert_eq!([answers(old), answers(new)], [Some(200), None]);
    replace(&scratch, &format!("{SERVER}  min_version: TLS13\n"));
    assert_eq!([answers(old), answers(new)], [None, Some(200)]);
    replace(&scratch, &format!("{SERVER}  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n"));
    let suite = |suite| answers(&["--tls-max", "1.2", "--ciphers", suite]);
    assert_eq!(suite("ECDHE-ECDSA-AES256-GCM-SHA384"), Some(200));
    assert_eq!(suite("ECDHE-ECDSA-AES128-GCM-SHA256"), None);
    // A certificate that is renewed under its name is shown at the next connection.
    let renewed = authority();
    scratch.write("ca.crt", &renewed.pem());
    assert_eq!(answers(&[]), None);
    let server = SanType::IpAddress([127, 0, 0, 1].into());
    certify(&scratch, &renewed, "server", server, ExtendedKeyUsagePurpose::ServerAuth);
    assert_eq!(answers(&[]), Some(200));
    let plain = exporter.base.replace("https", "http");
    let exporter = Exporter { base: plain, ..exporter };
    assert_eq!(status(&exporter, &scratch, "/-/healthy", &[]), None);
}

#[test]
fn only_a_verified_certificate_with_an_allowed_name_comes_in() {
    let scratch = certificates("web-clients");
    let policy = |policy: &str| format!("{SERVER}  client_ca_file: ca.crt\n  client_auth_type: {policy}\n");
    let required = policy("RequireAndVerifyClientCert");
    let exporter = start(&scratch, &format!("{required}  client_allowed_sans: [x, scraper.example]\n"));
    let by = |name: &str, path: &str| {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        let forwarded = ["--header", "X-Forwarded-For: 192.0.2.7"];
        let flags = [&["--cert", &certificate, "--key", &key], &forwarded[..]].concat();
        let flags = if name.is_empty() { &forwarded[..] } else { &flags };
        let tls12 = status(&exporter, &scratch, path, &[flags, &["--tls-max", "1.2"]].concat());
        let tls13 = status(&exporter, &scratch, path, flags);
        assert_eq!(tls12, tls13, "{name} {path}");
        tls13
    };
    for name in ["", "other", "stranger"] {
        assert_eq!(by(name, "/metrics"), None, "{name}");
    }
    // From afar too, all that can be read is for who is known.
    assert_eq!([by("client", "/metrics"), by("client", "/")], [Some(200), Some(200)]);

    replace(&scratch, &format!("{SERVER}  client_auth_type: RequireAnyClientCert\n"));
    assert_eq!(by("", "/metrics"), None);
    // Anybody can make a certificate, so that it makes nobody known.
    assert_eq!([by("stranger", "/metrics"), by("stranger", "/")], [Some(200), Some(403)]);
    // What was required stays so until a restart.
    replace(&scratch, &policy("VerifyClientCertIfGiven"));
    assert_eq!(by("", "/metrics"), None);
    drop(exporter);

    let exporter = start(&scratch, &policy("VerifyClientCertIfGiven"));
    let by = |flags: &[&str], path: &str| status(&exporter, &scratch, path, flags);
    let client = &["--cert", "client.crt", "--key", "client.key", "--header", "Host: node7"];
    assert_eq!([by(client, "/metrics"), by(client, "/")], [Some(200), Some(200)]);
    assert_eq!([by(&[], "/metrics"), by(&["--header", "Host: node7"], "/")], [Some(200), Some(403)]);
    assert_eq!(by(&["--cert", "stranger.crt", "--key", "stranger.key"], "/metrics"), None);
}

#[test]
fn passwords_are_asked_for_and_requests_over_the_rate_refused() {
    let scratch = certificates("web-users");
    let hash = bcrypt::hash(PASSWORD, 5).expect("a hash");
    let users = format!("{SERVER}basic_auth_users:\n  alice: {hash}\n");
    let mut exporter = start(&scratch, &users);
    let by = |exporter: &Exporter, who: &str| status(exporter, &scratch, "/metrics", &["--user", who]);
    let right = format!("alice:{PASSWORD}");
    for who in ["alice:wrong", "bob:wrong", &format!("bob:{PASSWORD}"), &format!("alice:{hash}"), "alice:"] {
        assert_eq!(by(&exporter, who), Some(401), "{who}");
    }
    assert_eq!(status(&exporter, &scratch, "/-/healthy", &[]), Some(401));
    assert_eq!([by(&exporter, &right), by(&exporter, &right)], [Some(200); 2]);

    replace(&scratch, "basic_auth_users:\n  alice: secret-in-the-wrong-place\n");
    wait_for("the refusal in the metrics, under the old file", PATIENCE, || {
        let (_, scrape) = curl(&exporter, &scratch, "/metrics", &["--user", &right])?;
        scrape.contains("\nmemleak_exporter_web_config_last_reload_successful 0\n").then_some(())
    });
    exporter.process.line_with("web file refused", PATIENCE);

    let limited = format!("{users}rate_limit:\n  interval: 1h\n  burst: 3\n");
    replace(&scratch, &limited);
    let answers = [&*right, "alice:wrong", &right, &right, ""].map(|who| by(&exporter, who));
    assert_eq!(answers, [Some(200), Some(401), Some(200), Some(429), Some(429)]);
    assert!(exporter.process.end().success());
    let said = wait_for("all of the log", PATIENCE, || {
        exporter.process.has_said_all().then(|| exporter.process.output())
    });
    for secret in [PASSWORD, &hash, "secret-in-the-wrong-place", "PRIVATE KEY"] {
        assert!(!said.contains(secret), "{secret} is in the log: {said}");
    }
    assert_eq!(said.matches("web file refused").count(), 1, "{said}");
    assert!(said.contains("web.yml:2:10: basic_auth_users.alice: is no bcrypt hash"), "{said}");
}

#[test]
fn a_bad_web_file_is_told_with_the_configuration_and_nothing_starts() {
    let scratch = certificates("web-check");
    let (web, configuration) = (scratch.path.join("web.yml"), scratch.path.join("memleak.yml"));
    let run = |flags: &[&str]| {
        let output = Exporter::command()
            .arg(format!("--web.config.file={}", web.display()))
            .arg(format!("--config.file={}", configuration.display()))
            .args(flags)
            .output()
            .expect("the exporter");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    replace(&scratch, SERVER);
    scratch.write("memleak.yml", "sampling: {interval: 5s}\n");
    let (code, said) = run(&["--config.check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("web.yml: the web file is good"), "{said}");
    replace(&scratch, "tls_server_config:\n  cert_file: absent.crt\nrate_limit: {interval: 1s}\n");
    scratch.write("memleak.yml", "sampling: {interval: soon}\n");
    for flags in [&["--config.check"][..], &[]] {
        let (code, said) = run(flags);
        assert_eq!(code, Some(78), "{said}");
        for part in [
            "memleak.yml:1:22: sampling.interval:",
            "web.yml:2:14: tls_server_config.cert_file:",
            "`burst` is missing",
        ] {
            assert!(said.contains(part), "{part} is missing in {said}");
        }
    }
}

#[test]
fn only_who_is_known_pushes_by_grpc() {
    let scratch = certificates("web-pushes");
    let hash = bcrypt::hash(PASSWORD, 5).expect("a hash");
    let web_file = format!("{SERVER}basic_auth_users:\n  alice: {hash}\n");
    let mut exporter = start_with(&scratch, &web_file, &["--otlp.listen-address=127.0.0.1:0"]);
    let endpoint = format!("https://{}", exporter.otlp_address());
    let push = |who: &str| {
        let credentials = STANDARD.encode(who);
        let headers = format!("authorization=Basic%20{credentials},x-forwarded-for=192.0.2.7");
        let mut application = Process::start(
            Process::command(directory().join("venv/bin/python"))
                .args(["-c", APPLICATION, "grpc", &endpoint])
                .env("OTEL_EXPORTER_OTLP_CERTIFICATE", scratch.path.join("ca.crt"))
                .env("OTEL_EXPORTER_OTLP_HEADERS", headers),
        );
        application.line_with("exported", PATIENCE);
    };
    let right = format!("alice:{PASSWORD}");
    let scrape_with = |part: &str| {
        wait_for(part, PATIENCE, || {
            let (_, scrape) = curl(&exporter, &scratch, "/metrics", &["--user", &right])?;
            scrape.contains(part).then_some(scrape)
        })
    };
    push("alice:wrong");
    let scrape = scrape_with("memleak_exporter_http_requests_total{code=\"401\",handler=\"otlp_grpc\"}");
    assert!(!scrape.contains("sdk-grpc"), "{scrape}");
    push(&right);
    scrape_with("memleak_area_size_bytes{target=\"sdk-grpc\",kind=\"application\",area=\"heap\"} 4000000\n");
}
