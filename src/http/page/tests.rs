//! What the page says, and what it must never contain.

use super::*;
use crate::{
    detect::{
        episode::{Episode, EpisodeId},
        finding::{Estimate, Evidence, Finding, Pattern, Severity},
    },
    http::ListenOptions,
    sample::{Area, Counts, Identity, Kind, Limit, LimitSource, Measure, Target, TargetInfo, Unit},
    snapshot::{PartView, Verdict},
};
use std::sync::Arc;

const NOW: f64 = 1_772_000_000.0;

fn page(targets: Vec<TargetView>) -> String {
    page_of(&Snapshot { tick: 1, taken_at: NOW, targets, member_count: 1, ..Snapshot::default() })
}

fn page_of(snapshot: &Snapshot) -> String {
    let site = Site::new(&ListenOptions::default()).unwrap();
    render(snapshot, &View { links: &site, first_verdict_samples: 24, refresh: true })
}

fn target(name: &str, areas: Vec<AreaView>) -> TargetView {
    TargetView {
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
        areas,
        rules: Vec::new(),
        parts: Vec::new(),
        parts_read_at: None,
    }
}

fn area(size: f64, verdict: Option<Verdict>) -> AreaView {
    AreaView { area: Area::new("anon", Unit::Bytes), pid: None, size, limit: None, sampled_at: NOW, verdict }
}

fn finding(growth: f64, confidence: f64) -> Finding {
    Finding {
        growth: Estimate { value: growth, lower: growth, upper: growth },
        confidence,
        pattern: Pattern::SustainedHigh,
        severity: Severity::High,
        time_to_limit: Some(Estimate { value: 7200.0, lower: 3600.0, upper: f64::INFINITY }),
        floor: 1.0,
        leaked: 1e6,
        since: NOW - 600.0,
        evidence: Evidence {
            rise: 1e6,
            window_secs: 600.0,
            bucket_secs: 36.0,
            steps_up: 5,
            steps: 6,
            horizons: 2,
            recent_pace: 1.0,
            bytes: true,
            daily_load: false,
            last_lives: None,
        },
    }
}

fn verdict(state: LeakState, finding: Option<Finding>) -> Option<Verdict> {
    let identity = Identity { pid: 1, start_ticks: 1 };
    let episode = Episode {
        id: EpisodeId::new(identity, "anon", NOW),
        since: NOW - 600.0,
        floor_before: 1.0,
        opened_at: NOW,
        confirmed_at: None,
    };
    Some(Verdict {
        state,
        finding,
        episode: (state != LeakState::None).then_some(episode),
        leaked: 1e6,
        explained: None,
    })
}

fn rows(html: &str) -> usize {
    html.matches("<tr role=\"row\"><t").count()
}

#[test]
fn a_target_cannot_bring_markup_onto_the_page() {
    let mut evil = area(1.0, verdict(LeakState::Confirmed, Some(finding(1.0, 0.9))));
    evil.area.name = "<img src=x onerror=alert(1)>".into();
    let html = page(vec![target("<script>alert('x')</script>\" onload=\"", vec![evil])]);
    assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains("\" onload"), "{html}");
    assert_eq!(
        html.matches("<script").count(),
        html.matches("<script src=\"/static/").count() + 1,
        "and the module"
    );
    assert_eq!(html.matches("&lt;script&gt;alert(&#39;x&#39;)").count(), 2, "in both tables");
}

#[test]
fn a_suspect_is_told_with_the_part_that_grows() {
    let part = |name: &str, growth| PartView {
        name: name.into(),
        measure: Measure::Memory,
        size: 1e6,
        confidence: 1.0,
        growth: Some(growth),
    };
    let parts = vec![part("mapped_files", 9e9), part("module:<b>.so", 1e3), part("heap", -1.0)];
    let told = |state| {
        let areas = vec![area(1e6, verdict(state, Some(finding(1e3, 0.9))))];
        page(vec![TargetView { parts: parts.clone(), ..target("a.service", areas) }])
    };
    let words = "grows most in <bdi>module:&lt;b&gt;.so</bdi>: +3.6 MB per hour";
    assert!(told(LeakState::Suspected).contains(words), "{}", told(LeakState::Suspected));
    assert!(!told(LeakState::None).contains("grows most in"));
}

#[test]
fn what_is_explained_by_what_leaks_inside_is_told_and_not_counted() {
    let explained = |explained| {
        let verdict = verdict(LeakState::Confirmed, Some(finding(1e6, 0.97)));
        let verdict = verdict.map(|verdict| Verdict { explained, ..verdict });
        page(vec![target("a.service", vec![area(1e6, verdict)])])
    };
    let count = |html: &str| html.contains("<dt>Confirmed leaks</dt><dd>1</dd>");
    assert!(count(&explained(Some(false))) && count(&explained(None)));
    let html = explained(Some(true));
    assert!(!count(&html) && html.contains("explained by what leaks inside"), "{html}");
}

#[test]
fn a_leak_is_told_with_all_that_is_known_of_it() {
    let mut leaking = area(312e6, verdict(LeakState::Confirmed, Some(finding(1e6, 0.97))));
    leaking.limit = Some(Limit { value: 2e9, used: 1e9, source: LimitSource::Cgroup });
    leaking.pid = Some(4711);
    let html = page(vec![target("node server.js", vec![leaking])]);
    for words in [
        "confirmed",
        "high",
        "node server.js",
        "anon",
        "pid 4711",
        "312 MB",
        "cgroup limit 2.0 GB",
        "50 % used",
        "+3.6 GB",
        "97 %",
        "sustained high",
        "2 h 0 min",
        "at least 1 h 0 min",
        "10 min ago",
        "+1.0 MB since",
        "the floor rose 1.0 MB in 10 min, 5 of 6 steps going up, seen on 2 horizons; no plateau",
    ] {
        assert!(html.contains(words), "{words:?} is missing in {html}");
    }
}

#[test]
fn what_to_do_first_stands_beside_a_leak_and_nowhere_else() {
    let told = |state| {
        let mut target = target(
            "a",
            vec![area(1e6, verdict(state, Some(Finding { pattern: Pattern::Linear, ..finding(1e6, 0.9) })))],
        );
        target.info.runtime = "jvm".into();
        target.areas[0].verdict.as_mut().unwrap().finding.as_mut().unwrap().severity = Severity::Medium;
        page(vec![target])
    };
    let words = "<code>jcmd PID GC.class_histogram | head -n 30</code>";
    assert!(told(LeakState::Suspected).contains(words), "{}", told(LeakState::Suspected));
    assert!(!told(LeakState::None).contains("<code>"));
}

#[test]
fn the_worst_comes_first() {
    let one = |name: &str, state, confidence: f64, growth: f64| {
        target(name, vec![area(1.0, verdict(state, Some(finding(growth, confidence))))])
    };
    let html = page(vec![
        one("fourth", LeakState::None, 0.6, 9.0),
        one("second", LeakState::Confirmed, 0.9, 9.0),
        one("third", LeakState::Suspected, 0.99, 9.0),
        one("first", LeakState::Confirmed, 0.9, 10.0),
    ]);
    let places =
        ["first", "second", "third", "fourth"].map(|name| html.find(&format!("<bdi>{name}")).unwrap());
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_long_list_is_cut_and_says_so() {
    let many = |judged: usize, others: usize| {
        let judged = (0..judged).map(|_| area(1.0, verdict(LeakState::None, Some(finding(1.0, 0.1)))));
        let mut targets = vec![target("judged", judged.collect())];
        targets.extend((0..others).map(|n| target(&format!("t{n}"), vec![area(1.0, None)])));
        page(targets)
    };
    let html = many(200, 149);
    assert_eq!(rows(&html), ROWS_MAX);
    assert!(html.contains("130 areas more, not shown"), "{html}");
    assert!(html.contains("120 targets more, not shown"), "{html}");
    assert_eq!(rows(&many(1, 200)), ROWS_MAX, "the largest targets take what the leaks leave");
    assert!(!many(3, 3).contains("not shown"));
}

#[test]
fn an_empty_page_says_what_is_awaited() {
    let learning = page(vec![target("a", vec![area(1.0, verdict(LeakState::None, None))])]);
    assert!(learning.contains("No verdict yet."), "{learning}");
    assert!(learning.contains("need about 24 samples; 1 area is under observation"), "{learning}");
    let calm = page(vec![target("a", vec![area(1.0, verdict(LeakState::None, Some(finding(0.0, 0.1))))])]);
    assert!(calm.contains("No leak is suspected."), "{calm}");
    assert!(page(vec![]).contains("No process is watched."));
    assert!(page_of(&Snapshot::default()).contains("The first samples are being taken."));
}

#[test]
fn parts_of_an_area_are_summed_and_gone_targets_are_named() {
    let mut gone = target("gone", vec![]);
    gone.members = 0;
    let html = page(vec![target("a", vec![area(1e6, None), area(2e6, None)]), gone]);
    assert!(html.contains("3.0 MB"), "{html}");
    assert!(html.contains("1 target has no process now"), "{html}");
    assert_eq!(rows(&html), 1);
}

#[test]
fn the_page_calls_nothing_and_runs_nothing() {
    let html =
        page(vec![target("a", vec![area(1.0, verdict(LeakState::Confirmed, Some(finding(1.0, 0.9))))])]);
    for forbidden in ["<script>", "http://", "https://", "//", "style=", "<img"] {
        let found = html.replace("<!doctype html>", "").contains(forbidden);
        assert!(!found, "{forbidden} in {html}");
    }
    let style = include_str!("page.css");
    assert!(!style.contains("url(") && !style.contains("@import"));
}

#[test]
fn links_carry_the_prefix_of_the_outside_and_the_refresh_can_be_stopped() {
    let options = ListenOptions {
        external_url: Some("https://a.example/leaks/".into()),
        route_prefix: Some("/".into()),
        ..ListenOptions::default()
    };
    let site = Site::new(&options).unwrap();
    let view = View { links: &site, first_verdict_samples: 24, refresh: true };
    let html = render(&Snapshot::default(), &view);
    for link in ["/leaks/metrics\"", "/leaks/-/ready\"", "/leaks/static/", "/leaks/?refresh=off\""] {
        assert!(html.contains(&format!("href=\"{link}")), "{link} in {html}");
    }
    assert!(html.contains("data-root=\"/leaks/\"") && html.contains("src=\"/leaks/static/"), "{html}");
    assert!(html.contains("http-equiv=\"refresh\""));
    let still = render(&Snapshot::default(), &View { refresh: false, ..view });
    assert!(!still.contains("http-equiv=\"refresh\""));
}
