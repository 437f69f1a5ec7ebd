//! Whole files: every mistake with its exact message, and good files with what they mean.
//!
//! `UPDATE_EXPECTED=1 cargo test --lib config::web` writes the messages anew; read each of them before it is kept. The
//! certificates beside the files are made when the test runs; `"@NAME"` stands for the text of one of them.

use super::load;
use crate::web::{Reading, Web};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// None of these may be shown: parts of passwords, of their hashes and of keys.
const SECRETS: [&str; 4] = ["hunter2", "yiyiyi", "12345678", "PRIVATE KEY-----\n"];

/// A directory with certificates, and room for one file at a time.
struct Bench {
    directory: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("memleak-web-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let bench = Self { directory };
        let (server, client, authority) =
            (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let certificate =
            CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&server).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        bench.write("ca.crt", &params.self_signed(&authority).unwrap().pem());
        bench.write("server.crt", &certificate.pem());
        bench.write("server.key", &server.serialize_pem());
        bench.write("client.key", &client.serialize_pem());
        bench.write("encrypted.key", &server.serialize_pem().replace("PRIVATE", "ENCRYPTED PRIVATE"));
        for (name, label) in [("damaged.crt", "CERTIFICATE"), ("damaged.key", "PRIVATE KEY")] {
            bench.write(name, &format!("-----BEGIN {label}-----\naHVudGVyMg==\n-----END {label}-----\n"));
        }
        bench.write("cut_off.crt", "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n");
        bench.write("cut_off.key", "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n");
        bench
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Reads a fixture as if it lay in the directory.
    fn load(&self, fixture: &Path) -> Reading {
        let mut text = fs::read_to_string(fixture).unwrap();
        for name in ["server.crt", "server.key", "ca.crt"] {
            let content = fs::read_to_string(self.directory.join(name)).unwrap();
            text = text.replace(&format!("\"@{name}\""), &format!("{content:?}"));
        }
        load(&self.write(&fixture.file_name().unwrap().to_string_lossy(), &text))
    }

    /// Without the name of the directory, which is another one each time.
    fn portable(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.directory.display()), "")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.directory);
    }
}

fn fixtures(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/web").join(directory);
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "yml")).collect();
    files.sort();
    files
}

fn compare(path: &Path, extension: &str, actual: &str) {
    let expected_path = path.with_extension(extension);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected_path, format!("{actual}\n")).unwrap();
    }
    let expected = fs::read_to_string(&expected_path).unwrap_or_default();
    assert_eq!(format!("{actual}\n"), expected, "{}", path.display());
}

/// What it means, with the suites and curves that TLS then offers.
fn show(web: &Web) -> String {
    let mut shown = format!("{web:#?}");
    if let Some(tls) = &web.tls {
        let provider = tls.server.crypto_provider();
        let suites: Vec<_> = provider.cipher_suites.iter().map(|suite| suite.suite()).collect();
        let curves: Vec<_> = provider.kx_groups.iter().map(|group| group.name()).collect();
        shown.push_str(&format!("\nsuites: {suites:#?}\ncurves: {curves:?}"));
        shown.push_str(&format!("\nprefers its own: {}", tls.server.ignore_client_order));
    }
    shown
}

#[test]
fn bad_files_give_exactly_their_messages() {
    let (bench, files) = (Bench::new("bad"), fixtures("bad"));
    assert!(files.len() >= 30, "{} files", files.len());
    for path in files {
        let mistakes = bench.load(&path).web.expect_err(&path.display().to_string());
        for secret in SECRETS {
            assert!(!mistakes.contains(secret), "{secret} is shown: {mistakes}");
        }
        compare(&path, "err", &bench.portable(&mistakes));
    }
}

#[test]
fn good_files_mean_what_is_expected() {
    let (bench, files) = (Bench::new("good"), fixtures("good"));
    assert!(files.len() >= 10, "{} files", files.len());
    for path in files {
        let web = bench.load(&path).web.unwrap_or_else(|mistakes| panic!("{}: {mistakes}", path.display()));
        let shown = show(&web);
        for secret in SECRETS {
            assert!(!shown.contains(secret), "{secret} is shown: {shown}");
        }
        compare(&path, "expected", &shown);
    }
}

#[test]
fn a_reading_names_its_files_whether_they_are_there_or_not() {
    let bench = Bench::new("files");
    let names = |fixture: &str| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/web");
        let files = bench.load(&directory.join(fixture)).files;
        files.iter().map(|path| bench.portable(&path.to_string_lossy())).collect::<Vec<_>>()
    };
    assert_eq!(names("good/complete.yml"), ["complete.yml", "server.crt", "server.key", "ca.crt"]);
    assert_eq!(names("bad/missing_files.yml"), ["missing_files.yml", "absent.crt", "/", "absent/ca.crt"]);
    assert_eq!(load(Path::new("/absent.yml")).files, [Path::new("/absent.yml")]);
}

#[test]
fn what_is_no_file_is_not_opened() {
    for (path, message) in [
        ("/", "/: is a directory; name a file in it"),
        ("/dev/zero", "/dev/zero: is no regular file; name one"),
        ("/absent.yml", "/absent.yml: does not exist; create it or correct the path"),
    ] {
        assert_eq!(load(Path::new(path)).web.unwrap_err(), message);
    }
}

#[test]
fn what_keeps_strangers_out_cannot_be_taken_away() {
    let bench = Bench::new("taken");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/web/good");
    let web = |name: &str| bench.load(&directory.join(name)).web.unwrap();
    for (old, new, taken) in [
        ("empty.yml", "complete.yml", None),
        ("complete.yml", "complete.yml", None),
        ("only_old.yml", "any_certificate.yml", None),
        ("complete.yml", "empty.yml", Some("tls_server_config")),
        ("complete.yml", "users_without_tls.yml", Some("tls_server_config")),
        ("complete.yml", "any_certificate.yml", Some("basic_auth_users")),
        ("users_without_tls.yml", "empty.yml", Some("basic_auth_users")),
        ("any_certificate.yml", "inline.yml", Some("tls_server_config.client_auth_type")),
    ] {
        assert_eq!(web(old).taken_away_by(&web(new)), taken, "{old} {new}");
    }
}
