//! The configuration as it was written: a YAML file and the environment become a [`Config`] or all of their errors.
//!
//! Strict: an unknown key, a wrong type, a value out of range are errors with line, column and key. What is written in
//! the file wins over the environment, and that over the defaults. An empty file is the default configuration.

use super::{
    Config, ConfigErrors, Lookup, Otlp, applications, attribution, collectors, directories,
    errors::{Place, Problem},
    limits, otel,
    otlp::{self, Setting, WrittenOtlp},
    processes, push,
    reader::{Field, Problems},
    sensitivity, severity,
    tree::{self, Node},
};
use std::{
    fs::File,
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
    str,
};

/// A configuration of a thousand rules takes a tenth of it; more is another file by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a configuration from text. It opens no other file: paths stay as they are written, unchecked.
///
/// # Errors
/// All problems at once, under the name `file_name`.
pub fn parse(text: &str, file_name: &str, lookup: Lookup<'_>) -> Result<Config, ConfigErrors> {
    finish(file_name, |problems| read(text, lookup, None, problems))
}

/// Reads a configuration from a file. Relative paths in it are taken from its directory; that the certificates which it
/// and the environment name can be read is checked.
///
/// # Errors
/// The file is missing, unreadable, larger than 1 MiB or not UTF-8; or all problems of its text at once.
pub fn load(path: &Path, lookup: Lookup<'_>) -> Result<Config, ConfigErrors> {
    let file_name = path.display().to_string();
    let text = text_of(path, &file_name)?;
    let directory = path.parent().unwrap_or_else(|| Path::new(""));
    finish(&file_name, |problems| read(&text, lookup, Some(directory), problems))
}

/// The configuration without a file.
pub(super) fn without_file(lookup: Lookup<'_>) -> Result<Config, ConfigErrors> {
    finish("configuration", |problems| {
        let files = Files { directory: Some(Path::new("")) };
        Config { otlp: files.resolved(None, lookup, problems), ..Config::default() }
    })
}

fn finish(file_name: &str, read: impl FnOnce(&mut Problems) -> Config) -> Result<Config, ConfigErrors> {
    let mut problems = Problems::new();
    let config = read(&mut problems);
    if problems.is_empty() { Ok(config) } else { Err(ConfigErrors::new(file_name, problems)) }
}

fn read(text: &str, lookup: Lookup<'_>, directory: Option<&Path>, problems: &mut Problems) -> Config {
    let mut config = Config::default();
    let files = Files { directory };
    let (root, mut found) = tree::read(text);
    problems.append(&mut found);
    let written = root.as_deref().and_then(|root| sections(root, &mut config, files, problems));
    config.otlp = files.resolved(written, lookup, problems);
    config
}

fn sections(
    root: &Node,
    config: &mut Config,
    files: Files<'_>,
    problems: &mut Problems,
) -> Option<WrittenOtlp> {
    let root = Field::root(root).section("", problems)?;
    if let Some(field) = root.field("sampling") {
        config.sampling = limits::sampling(&field, problems);
    }
    if let Some(field) = root.field("collectors") {
        config.collectors = collectors::collectors(&field, &config.sampling, problems);
    }
    if let Some(field) = root.field("processes") {
        config.processes = processes::processes(&field, problems);
    }
    if let Some(field) = root.field("cgroups") {
        config.cgroups = processes::cgroups(&field, problems);
    }
    if let Some(field) = root.field("host") {
        config.host = processes::host(&field, problems);
    }
    if let Some(field) = root.field("applications") {
        config.applications = applications::applications(&field, files, problems);
    }
    if let Some(field) = root.field("attribution") {
        config.attribution = attribution::attribution(&field, problems);
    }
    if let Some(field) = root.field("directories") {
        config.directories = directories::directories(&field, problems);
    }
    if let Some(field) = root.field("push") {
        config.push = push::push(&field, problems);
    }
    if let Some(field) = root.field("limits") {
        config.limits = limits::limits(&field, problems);
    }
    config.sensitivity = sensitivity::sensitivity(&root, problems);
    config.severity = root.field("severity").and_then(|field| severity::severity(&field, problems));
    root.field("otlp").map(|field| otlp::written(&field, problems))
}

/// Where files that the configuration names are looked for; `None`: nowhere, they are not checked.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    directory: Option<&'a Path>,
}

impl Files<'_> {
    /// OTLP as it is meant, with its files found.
    fn resolved(
        self,
        written: Option<WrittenOtlp>,
        lookup: Lookup<'_>,
        problems: &mut Problems,
    ) -> Option<Otlp> {
        otel::resolve(written, lookup, &|file| self.find(file), problems)
    }

    /// A path that the file names, from the working directory.
    pub(super) fn joined(self, path: &Path) -> PathBuf {
        self.directory.map_or_else(|| path.to_owned(), |directory| directory.join(path))
    }

    /// The same of a file that must be there to be read now, or what is wrong with it.
    pub(super) fn readable(self, path: &Path) -> Result<PathBuf, String> {
        let source = otlp::Source { place: Place::File, key: String::new() };
        self.find(&Setting { value: path.to_owned(), source })
    }

    /// The path from the working directory, or what is wrong with the file.
    fn find(self, file: &Setting<PathBuf>) -> Result<PathBuf, String> {
        let Some(directory) = self.directory else { return Ok(file.value.clone()) };
        let path = match file.source.place {
            Place::Environment => file.value.clone(),
            Place::File | Place::At { .. } => directory.join(&file.value),
        };
        // A directory can be opened, but not read.
        let first_byte = File::open(&path).and_then(|mut opened| opened.read(&mut [0]));
        match first_byte {
            Ok(_) => Ok(path),
            Err(error) => {
                Err(format!("`{}` {}", tree::clip(&file.value.to_string_lossy()), unreadable(&error)))
            }
        }
    }
}

/// The text of a file of at most 1 MiB.
pub(super) fn text_of(path: &Path, file_name: &str) -> Result<String, ConfigErrors> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| ConfigErrors::of_file(file_name, unreadable(&error)))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = String::from("is larger than 1 MiB; is it the right file? Shorten it or name another");
        return Err(ConfigErrors::of_file(file_name, message));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let before = String::from_utf8_lossy(valid);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = Place::At { line: before.matches('\n').count() + 1, column };
        let message = String::from("is not UTF-8 from here on; save the file as UTF-8");
        ConfigErrors::new(file_name, vec![Problem { place, key: String::new(), message }])
    })
}

/// Why a file cannot be read, and what to do.
pub(super) fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "does not exist; create it or correct the path".into(),
        ErrorKind::PermissionDenied => {
            "may not be read by the exporter's user; change its owner or mode".into()
        }
        ErrorKind::IsADirectory => "is a directory; name a file in it".into(),
        _ => format!("cannot be read: {error}; correct that or name another file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_file(name: &str, content: &[u8], message: &str) {
        let directory = std::env::temp_dir().join(format!("memleak-config-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join(name);
        std::fs::write(&path, content).expect("a file");
        let outcome = load(&path, &|_| None);
        std::fs::remove_file(&path).expect("removed");
        let errors = outcome.expect_err(name).to_string();
        assert_eq!(errors, format!("{}{message}", path.display()));
    }

    #[test]
    fn files_that_are_no_text_say_so() {
        check_file(
            "large.yml",
            &vec![b'#'; (1 << 20) + 1],
            ": is larger than 1 MiB; is it the right file? Shorten it or name another",
        );
        check_file(
            "latin1.yml",
            "# ä\n# ä\u{0}"
                .as_bytes()
                .strip_suffix(b"\0")
                .map(|text| [text, b"\xe4"].concat())
                .expect("text")
                .as_slice(),
            ":2:4: is not UTF-8 from here on; save the file as UTF-8",
        );
    }

    #[test]
    fn a_file_of_one_mebibyte_is_read() {
        let directory = std::env::temp_dir().join(format!("memleak-config-full-{}.yml", std::process::id()));
        std::fs::write(&directory, vec![b'#'; 1 << 20]).expect("a file");
        let outcome = load(&directory, &|_| None);
        std::fs::remove_file(&directory).expect("removed");
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    #[test]
    fn files_that_cannot_be_read_say_why() {
        let check = |path: &str, message: &str| {
            assert_eq!(load(Path::new(path), &|_| None).expect_err(path).to_string(), message);
        };
        check("/absent/a.yml", "/absent/a.yml: does not exist; create it or correct the path");
        check("/", "/: is a directory; name a file in it");
    }

    #[test]
    fn without_a_file_the_environment_is_read_and_its_files_are_checked() {
        let check = |variables: &[(&str, &str)]| {
            Config::from_environment(&|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| String::from(*value))
            })
        };
        assert!(check(&[]).expect("the defaults").otlp.is_none());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a");
        assert!(check(&[endpoint]).expect("an endpoint").otlp.is_some());
        let errors =
            check(&[endpoint, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/absent/ca.pem")]).expect_err("absent");
        assert_eq!(
            errors.to_string(),
            "environment: OTEL_EXPORTER_OTLP_CERTIFICATE: `/absent/ca.pem` does not exist; create it or correct the path"
        );
    }
}
