//! The section `directories`: where files pile up that nobody takes away.

use super::{
    Directory,
    processes::name_pattern,
    reader::{Field, Problems, Section},
    size,
    tree::clip,
};
use std::{
    ops::RangeInclusive,
    path::{Component, Path, PathBuf},
};

/// Each walk holds a few descriptors and a buffer; so many directories are far more than a person writes.
const DIRECTORIES_MAX: usize = 256;
/// Where an item stands in the list of keys.
const DIRECTORY: &str = "directories[]";
/// And the limits in it.
const LIMIT: &str = "directories[].limit";
/// Characters of a name, as of every target's.
const NAME_MAX: usize = 128;
/// The bounds of a count of files: no file system holds more.
const FILES: RangeInclusive<usize> = 1..=1_000_000_000_000;

/// Reads `directories`.
pub(super) fn directories(field: &Field<'_>, problems: &mut Problems) -> Vec<Directory> {
    let items = field.list(DIRECTORIES_MAX, problems).unwrap_or_default();
    let mut directories: Vec<Directory> = Vec::new();
    for item in &items {
        let Some(directory) = directory(item, problems) else { continue };
        if directories.iter().any(|known| known.name == directory.name) {
            let name = clip(&directory.name);
            item.wrong(
                problems,
                format!("is the second with the name `{name}`; give each a `name` of its own"),
            );
            continue;
        }
        directories.push(directory);
    }
    directories
}

fn directory(item: &Field<'_>, problems: &mut Problems) -> Option<Directory> {
    let section = item.section(DIRECTORY, problems)?;
    let pattern = section.field("pattern").and_then(|field| name_pattern(&field, problems));
    let recursive = section.field("recursive").and_then(|field| field.switch(problems)).unwrap_or(false);
    let (most_files, most_bytes) =
        section.field("limit").map_or((None, None), |field| limit(&field, problems));
    let name = section.field("name").map(|field| name(&field, problems));
    let Some(field) = section.field("path") else {
        section.wrong(problems, "has no `path`; add the path of the directory");
        return None;
    };
    let path = path(&field, problems)?;
    let name = match name {
        Some(name) => name?,
        None => default_name(&section, &path, problems)?,
    };
    Some(Directory { name, path, pattern, recursive, most_files, most_bytes })
}

/// The path with what is doubled in it left out, so that a name made of it is plain.
fn path(field: &Field<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let path = Path::new(field.text("the path of a directory", problems)?);
    if !path.is_absolute() {
        field.wrong(problems, "is no absolute path; begin it with a slash");
        return None;
    }
    if path.components().any(|part| part == Component::ParentDir) {
        field.wrong(problems, "holds `..`; write the path without it");
        return None;
    }
    Some(path.components().collect())
}

fn name(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let name = field.text("the name of the target", problems)?;
    let is_plain = is_name(name);
    if !is_plain {
        field.wrong(
            problems,
            format!("is no name; write at most {NAME_MAX} characters, none of them a control"),
        );
    }
    is_plain.then(|| name.to_owned())
}

fn default_name(section: &Section<'_>, path: &Path, problems: &mut Problems) -> Option<String> {
    let name = path.to_string_lossy().into_owned();
    let is_plain = is_name(&name);
    if !is_plain {
        section.wrong(
            problems,
            "has a path that is too long for a name, or holds a control character; add a `name`",
        );
    }
    is_plain.then_some(name)
}

fn is_name(name: &str) -> bool {
    name.chars().count() <= NAME_MAX && !name.contains(char::is_control)
}

/// The limits on files and bytes.
fn limit(field: &Field<'_>, problems: &mut Problems) -> (Option<f64>, Option<f64>) {
    let Some(section) = field.section(LIMIT, problems) else { return (None, None) };
    #[expect(clippy::cast_precision_loss, reason = "the bounds lie far below 2^53")]
    let files =
        section.field("files").and_then(|field| field.whole(&FILES, problems)).map(|files| files as f64);
    let bytes = section.field("bytes").and_then(|field| {
        let text = field.scalar("a size such as 512MiB or 2GB", problems)?;
        size::parse(&text).map_err(|message| field.wrong(problems, format!("{} {message}", clip(&text)))).ok()
    });
    (files, bytes)
}
