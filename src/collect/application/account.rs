//! What runtimes tell by their own means, under the names by which the table knows the same from a client library.
//!
//! - Go: `memstats` among the variables of expvar, and the comments at the end of a heap profile as text.
//! - Node: its inspector, see [`inspector`](super::inspector).

use super::{
    MOST_PAGE_BYTES,
    exposition::{Exposition, Told},
    inspector,
    pull::MOST_DOCUMENT_BYTES,
};
use crate::{
    config::{
        applications::{Account, Shape},
        selector::Series,
    },
    fetch::Client,
};
use serde_json::Value;

/// What Go calls a number, what its client library calls it, and its unit in that of the latter.
const GO: &[(&str, &str, f64)] = &[
    ("HeapAlloc", "go_memstats_heap_alloc_bytes", 1.0),
    ("HeapSys", "go_memstats_heap_sys_bytes", 1.0),
    ("HeapReleased", "go_memstats_heap_released_bytes", 1.0),
    ("HeapObjects", "go_memstats_heap_objects", 1.0),
    ("StackInuse", "go_memstats_stack_inuse_bytes", 1.0),
    ("Stack", "go_memstats_stack_inuse_bytes", 1.0),
    ("NumGC", "go_gc_duration_seconds_count", 1.0),
    ("PauseTotalNs", "go_gc_duration_seconds_sum", 1e-9),
];

/// Reads an account; the error follows its URL.
pub(super) async fn read(
    client: &Client,
    Account { shape, url }: &Account,
    mut page: Exposition<'_>,
) -> Result<Told, String> {
    match shape {
        Shape::Expvar => {
            let mut bytes = Vec::new();
            let take = |piece: &[u8]| {
                bytes.extend_from_slice(piece);
                Ok(())
            };
            client.get(url, MOST_DOCUMENT_BYTES, take).await?;
            expvar(&bytes, &mut page)?;
        }
        Shape::Pprof => client.get(url, MOST_PAGE_BYTES, |piece| page.feed_profile(piece)).await?,
        Shape::Inspector => inspector::read(client, url, &mut page).await?,
    }
    page.finish()
}

fn expvar(bytes: &[u8], page: &mut Exposition<'_>) -> Result<(), String> {
    let document: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("is no JSON: {error}; is it the URL of expvar, /debug/vars?"))?;
    let memstats = document.get("memstats").and_then(Value::as_object);
    let memstats =
        memstats.ok_or_else(|| String::from("holds no memstats; is it the URL of expvar, /debug/vars?"))?;
    for (name, value) in memstats {
        if let Some(value) = value.as_f64() {
            tell_go(name, value, page);
        }
    }
    Ok(())
}

/// Tells what a line of a heap profile says: `# HeapAlloc = 123`. Of the stacks two numbers are told, in use and taken.
pub(super) fn line_of_profile(line: &str, page: &mut Exposition<'_>) {
    let Some((name, value)) = line.strip_prefix("# ").and_then(|line| line.split_once(" = ")) else { return };
    let number = value.split(' ').next().and_then(|value| value.parse().ok());
    if let Some(number) = number {
        tell_go(name, number, page);
    }
}

fn tell_go(name: &str, value: f64, page: &mut Exposition<'_>) {
    if let Some((_, metric, factor)) = GO.iter().find(|(known, ..)| *known == name) {
        page.tell(&Series { name: metric, labels: Vec::new() }, value * factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collect::application::table::{Index, Role},
        sample::Counter,
    };

    fn check(told: &Told) {
        assert_eq!(told.value(Role::Bytes("heap")), Some(1000.0));
        assert_eq!(told.value(Role::Bytes("heap_committed")), Some(4000.0));
        assert_eq!(told.value(Role::Bytes("stacks")), Some(70.0));
        assert_eq!(told.value(Role::Objects("heap_objects")), Some(9.0));
        assert_eq!(told.value(Role::Count(Counter::Collections)), Some(3.0));
        assert_eq!(told.runtime, Some("go"));
    }

    #[test]
    fn go_tells_by_expvar() {
        let index = Index::new();
        let read = |text: &str| {
            let mut page = Exposition::new(&index, "", &[]);
            expvar(text.as_bytes(), &mut page).and_then(|()| page.finish())
        };
        let told = read(
            r#"{"cmdline": ["a"], "memstats": {"HeapAlloc": 1000, "HeapSys": 5000, "HeapReleased": 1000, "StackInuse": 70,
            "HeapObjects": 9, "NumGC": 3, "PauseTotalNs": 2500000, "PauseNs": [1, 2], "EnableGC": true}}"#,
        )
        .unwrap();
        check(&told);
        assert_eq!(told.value(Role::Count(Counter::CollectionSecs)), Some(0.0025));
        assert!(read("<html>").unwrap_err().contains("is no JSON"));
        assert!(read(r#"{"memstats": 1}"#).unwrap_err().contains("holds no memstats"));
    }

    #[test]
    fn go_tells_by_the_comments_of_a_profile() {
        let index = Index::new();
        let read = |text: &str| {
            let mut page = Exposition::new(&index, "", &[]);
            let fed: Result<(), String> =
                text.as_bytes().chunks(7).try_for_each(|piece| page.feed_profile(piece));
            fed.and_then(|()| page.finish())
        };
        let told = read(
            "heap profile: 1: 2 [3: 4] @ heap/1048576\n1: 2 [3: 4] @ 0x1 0x2\n#\t0x1\tmain.main+0x1\t/a.go:1\n\n\
             # runtime.MemStats\n# Alloc = 1\n# HeapAlloc = 1000\n# HeapSys = 5000\n# HeapReleased = 1000\n\
             # HeapObjects = 9\n# Stack = 70 / 90\n# PauseNs = [1 2 3]\n# NumGC = 3\n# MaxRSS = 4096\n",
        );
        check(&told.unwrap());
        assert!(read("\x1f\u{8b}packed\n").unwrap_err().contains("no heap profile as text"));
        assert!(read("heap profile: 1: 2 [3: 4] @ heap/1\n").unwrap_err().contains("tells no metric"));
    }
}
