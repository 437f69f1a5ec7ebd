//! The files of the live page: scripts, style sheets and the chart library, embedded as they stand in the repository.
//!
//! All of them lie below one directory that is named by their content. A browser may keep them for ever, since another
//! exporter has another directory; and the scripts, which name each other, never meet those of another version.

use crate::http::answer::Answer;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    StatusCode,
    body::Bytes,
    header::{CACHE_CONTROL, CONTENT_ENCODING, VARY},
};
use std::{io::Write as _, sync::LazyLock};

/// What begins the path of every file.
pub(in crate::http) const ROOT: &str = "/static/";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// One file as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct File {
    /// Its name below the directory.
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal $content_type:ident $path:literal)*) => {
        &[$(File { name: $name, content_type: $content_type, bytes: include_bytes!($path) }),*]
    };
}

static FILES: &[File] = files! {
    "page.css" STYLE "page.css"
    "app.css" STYLE "app/app.css"
    "widget.css" STYLE "app/widget.css"
    "theme.js" SCRIPT "app/theme.js"
    "app.js" SCRIPT "app/app.js"
    "chart.js" SCRIPT "app/chart.js"
    "dom.js" SCRIPT "app/dom.js"
    "history.js" SCRIPT "app/history.js"
    "keys.js" SCRIPT "app/keys.js"
    "list.js" SCRIPT "app/list.js"
    "past.js" SCRIPT "app/past.js"
    "source.js" SCRIPT "app/source.js"
    "spark.js" SCRIPT "app/spark.js"
    "target.js" SCRIPT "app/target.js"
    "verdict.js" SCRIPT "app/verdict.js"
    "widget.js" SCRIPT "app/widget.js"
    "words.js" SCRIPT "app/words.js"
    "uPlot.iife.min.js" SCRIPT "vendor/uPlot.iife.min.js"
    "uPlot.min.css" STYLE "vendor/uPlot.min.css"
    "uPlot.LICENSE.txt" TEXT "vendor/uPlot.LICENSE"
};

/// The directory, named by what is in it.
pub(super) static DIRECTORY: LazyLock<String> = LazyLock::new(|| {
    let mut checksum = flate2::Crc::new();
    for file in FILES {
        checksum.update(file.name.as_bytes());
        checksum.update(file.bytes);
    }
    format!("{ROOT}{:08x}{:x}", checksum.sum(), checksum.amount())
});

/// The files in the order of [`FILES`], compressed once somebody asks.
static PACKED: LazyLock<Vec<Option<Bytes>>> =
    LazyLock::new(|| FILES.iter().map(|file| packed(file.bytes)).collect());

fn packed(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// The number of the file that a path below the prefix names; none for anything else.
pub(in crate::http) fn find(path: &str) -> Option<usize> {
    let name = path.strip_prefix(DIRECTORY.as_str())?.strip_prefix('/')?;
    FILES.iter().position(|file| file.name == name)
}

/// Sends a file.
pub(in crate::http) fn answer(number: usize, gzip: bool) -> Answer {
    let Some(file) = FILES.get(number) else {
        return Answer::text(StatusCode::NOT_FOUND, "There is nothing here.");
    };
    let packed = PACKED.get(number).cloned().flatten().filter(|_| gzip);
    let is_packed = packed.is_some();
    let body = packed.unwrap_or_else(|| Bytes::from_static(file.bytes));
    let answer = Answer::new(StatusCode::OK, file.content_type, body)
        .with(CACHE_CONTROL, "public, max-age=31536000, immutable")
        .with(VARY, "Accept-Encoding");
    if is_packed { answer.with(CONTENT_ENCODING, "gzip") } else { answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn every_file_beside_this_one_is_served_under_its_name() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/page");
        let names = |directory: &str| -> BTreeSet<String> {
            let entries = fs::read_dir(here.join(directory)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let served: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        let missing: Vec<String> = names("app").into_iter().filter(|name| !served.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn no_file_of_ours_makes_markup_of_text_or_calls_outside() {
        let forbidden =
            ["innerHTML =", "outerHTML", "insertAdjacent", "document.write", "eval(", "http://", "https://"];
        for file in FILES.iter().filter(|file| !file.name.starts_with("uPlot")) {
            let text = std::str::from_utf8(file.bytes).unwrap().replace("http://www.w3.org/2000/svg", "");
            for word in forbidden {
                assert!(!text.contains(word), "{}: {word}", file.name);
            }
        }
    }

    #[test]
    fn only_the_own_directory_leads_to_files() {
        let path = |name: &str| format!("{}/{name}", *DIRECTORY);
        assert_eq!(find(&path("app.js")).and_then(|number| FILES.get(number)).unwrap().name, "app.js");
        for wrong in
            [path(""), path("nothing"), path("../app.js"), format!("{ROOT}0/app.js"), ROOT.to_owned()]
        {
            assert_eq!(find(&wrong), None, "{wrong}");
        }
    }
}
