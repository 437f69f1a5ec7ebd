use super::*;
use crate::{
    export::own::{BuildInfo, Start},
    sample::{Counts, Kind, Target, TargetInfo},
    snapshot::TargetView,
};
use std::{io::Read as _, sync::Barrier, thread};

fn exposition() -> Exposition {
    let build = BuildInfo { version: "1", revision: "r", rustversion: "1" };
    Exposition::new(Arc::new(Own::new(&build, &Start { loaded_at: 1.0, interval_secs: 3.0 }).unwrap()))
}

fn snapshot(name: &str, taken_at: Seconds) -> Arc<Snapshot> {
    let target = TargetView {
        target: Arc::new(Target { kind: Kind::Process, name: name.into() }),
        info: TargetInfo::default(),
        is_expected: false,
        members: 1,
        restarts: 0,
        episodes: 0,
        counts: Counts::default(),
        oldest_file_at: None,
        event_loop_lag_secs: None,
        response_times: None,
        areas: Vec::new(),
        rules: Vec::new(),
        parts: Vec::new(),
        parts_read_at: None,
    };
    Arc::new(Snapshot { tick: 1, taken_at, targets: vec![target], member_count: 1, ..Snapshot::default() })
}

fn unpacked(body: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).unwrap();
    text
}

/// The lines about targets, which do not change between two gatherings of the own metrics.
fn about_targets(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.starts_with("memleak_target")).collect()
}

/// Which kinds of page lie ready: text, text compressed, OpenMetrics, OpenMetrics compressed.
fn ready(exposition: &Exposition) -> [bool; 4] {
    let current = exposition.current.read().unwrap();
    PageKind::ALL.map(|kind| current.bodies.of(kind).is_some())
}

#[test]
fn before_the_first_tick_the_own_metrics_are_there() {
    let page = exposition().scrape(Format::TEXT, false);
    let page = std::str::from_utf8(&page).unwrap();
    assert!(page.contains("memleak_exporter_build_info{"));
    assert!(about_targets(page).is_empty());
}

#[test]
fn a_scrape_shows_the_tick_that_was_published_last() {
    let exposition = exposition();
    for (name, at) in [("first", 10.0), ("second", 13.0), ("third", 16.0)] {
        exposition.publish(snapshot(name, at));
        let page = exposition.scrape(Format::TEXT, false);
        let page = std::str::from_utf8(&page).unwrap();
        assert!(page.contains(&format!("memleak_target_present{{target=\"{name}\",kind=\"process\"}} 1\n")));
        assert_eq!(page.matches("memleak_target_present{").count(), 1);
    }
    assert_eq!(exposition.snapshot().taken_at.to_bits(), 16f64.to_bits());
}

#[test]
fn compressed_pages_unpack_to_the_plain_ones() {
    let exposition = exposition();
    exposition.publish(snapshot("a", 10.0));
    for format in [Format::TEXT, Format::OPEN_METRICS] {
        let plain = exposition.scrape(format, false);
        let on_demand = unpacked(&exposition.scrape(format, true));
        assert_eq!(about_targets(&on_demand), about_targets(std::str::from_utf8(&plain).unwrap()));
        assert_eq!(about_targets(&on_demand).len(), 4);
    }
    // Now all four are in use: of one tick they are the very same page.
    exposition.publish(snapshot("b", 13.0));
    for format in [Format::TEXT, Format::OPEN_METRICS] {
        let packed = exposition.scrape(format, true);
        assert_eq!(unpacked(&packed).as_bytes(), exposition.scrape(format, false));
    }
}

#[test]
fn a_page_larger_than_a_chunk_is_compressed_whole() {
    let exposition = exposition();
    exposition.publish(snapshot(&"x".repeat(3 * CHUNK_BYTES), 10.0));
    let plain = exposition.scrape(Format::OPEN_METRICS, false);
    let packed = unpacked(&exposition.scrape(Format::OPEN_METRICS, true));
    assert!(packed.ends_with("# EOF\n"));
    assert_eq!(about_targets(&packed), about_targets(std::str::from_utf8(&plain).unwrap()));
}

#[test]
fn pages_in_use_are_made_with_the_tick_and_the_others_are_not() {
    let exposition = exposition();
    exposition.publish(snapshot("a", 1000.0));
    assert_eq!(ready(&exposition), [false; 4], "nobody has asked for anything");
    drop(exposition.scrape(Format::TEXT, true));
    exposition.publish(snapshot("a", 1003.0));
    assert_eq!(ready(&exposition), [false, true, false, false]);
    drop(exposition.scrape(Format::OPEN_METRICS, false));
    exposition.publish(snapshot("a", 1300.0));
    assert_eq!(ready(&exposition), [false, true, true, false]);
    exposition.publish(snapshot("a", 1301.0));
    assert_eq!(ready(&exposition), [false, false, true, false], "five minutes without a scrape");
    exposition.publish(snapshot("a", 1304.0));
    assert_eq!(ready(&exposition), [false; 4]);
}

#[test]
fn with_a_tick_longer_than_five_minutes_the_last_tick_counts() {
    let exposition = exposition();
    exposition.publish(snapshot("a", 3600.0));
    drop(exposition.scrape(Format::TEXT, false));
    exposition.publish(snapshot("a", 7200.0));
    assert_eq!(ready(&exposition), [true, false, false, false]);
    exposition.publish(snapshot("a", 10_800.0));
    assert_eq!(ready(&exposition), [false; 4]);
}

#[test]
fn scrapers_at_once_share_one_page() {
    const SCRAPERS: usize = 8;
    let exposition = exposition();
    for round in 0..20u8 {
        exposition.publish(snapshot("a", 1000.0 * f64::from(round) + 1000.0));
        exposition.asked_at.of(PageKind::ALL[0]).store(f64::NEG_INFINITY.to_bits(), Ordering::Relaxed);
        exposition.publish(snapshot("a", 1000.0 * f64::from(round) + 1003.0));
        let together = Barrier::new(SCRAPERS);
        let pages: Vec<Bytes> = thread::scope(|scope| {
            let scrape = || {
                together.wait();
                exposition.scrape(Format::TEXT, false)
            };
            let threads: Vec<_> = (0..SCRAPERS).map(|_| scope.spawn(scrape)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(pages.iter().all(|page| page.as_ptr() == pages[0].as_ptr()));
    }
}

#[test]
fn a_selected_page_is_made_for_its_client_alone() {
    let exposition = exposition();
    exposition.publish(snapshot("a", 10.0));
    let none = Selection::new::<&str>(&[], &["process"], &["process"]).unwrap();
    let page = exposition.scrape_selected(Format::TEXT, &none);
    assert!(about_targets(std::str::from_utf8(&page).unwrap()).is_empty());
    assert_eq!(ready(&exposition), [false; 4]);
}
