//! The files that the web file names, and what is written in PEM, in a file or in the web file itself.

use super::super::{
    reader::{Field, Problems, Section},
    tree::clip,
    written::unreadable,
};
use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

/// A chain of a hundred certificates takes a fifth of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where files are looked for, and which were named.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// The web file and those that it names, whether they could be read or not.
    pub(super) named: Vec<PathBuf>,
}

/// One of two keys for the same thing: PEM as text, or the name of a file that holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pem {
    pub(super) inline: &'static str,
    pub(super) file: &'static str,
    /// What it is, for messages: `a certificate`.
    pub(super) what: &'static str,
}

impl Files {
    /// Files beside the web file.
    pub(super) fn beside(web_file: &Path) -> Self {
        let directory = web_file.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Self { directory, named: vec![web_file.to_owned()] }
    }

    /// PEM with the field that it was written in; none where neither key is, or where something is wrong.
    pub(super) fn pem<'a>(
        &mut self,
        section: &Section<'a>,
        pem: Pem,
        problems: &mut Problems,
    ) -> Option<(Field<'a>, Vec<u8>)> {
        match (section.field(pem.inline), section.field(pem.file)) {
            (Some(_), Some(second)) => {
                let message = format!("stands beside `{}`; keep one of them", pem.inline);
                second.wrong(problems, message);
                None
            }
            (Some(field), None) => {
                let text = field.text(&format!("{} in PEM", pem.what), problems)?;
                Some((field, text.as_bytes().to_vec()))
            }
            (None, Some(field)) => {
                let name = field.text(&format!("the name of a file with {} in PEM", pem.what), problems)?;
                match self.read(Path::new(name)) {
                    Ok(bytes) => Some((field, bytes)),
                    Err(message) => {
                        field.wrong(problems, format!("`{}` {message}", clip(name)));
                        None
                    }
                }
            }
            (None, None) => None,
        }
    }

    fn read(&mut self, name: &Path) -> Result<Vec<u8>, String> {
        let path = self.directory.join(name);
        self.named.push(path.clone());
        check_regular(&path)?;
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Err(error) => Err(unreadable(&error)),
            Ok(length) if length as u64 > FILE_BYTES_MAX => {
                Err("is larger than 1 MiB; is it the right file? Name another".into())
            }
            Ok(_) => Ok(bytes),
        }
    }
}

/// Refuses what is no file: opening a pipe would wait for somebody to write into it, and while the exporter runs
/// nobody may be kept waiting.
pub(super) fn check_regular(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Err(error) => Err(unreadable(&error)),
        Ok(metadata) if metadata.is_dir() => Err("is a directory; name a file in it".into()),
        Ok(metadata) if !metadata.is_file() => Err("is no regular file; name one".into()),
        Ok(_) => Ok(()),
    }
}
