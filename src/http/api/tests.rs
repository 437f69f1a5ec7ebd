//! What the API answers on a made snapshot: golden answers, and the document held against them both ways.
//!
//! `UPDATE_EXPECTED=1 cargo test --lib http::api` writes the answers anew; read the difference before it is kept.

#![expect(clippy::print_stdout, reason = "one of them prints what it measured")]

mod schema;

use super::*;
use crate::http::{
    desk::{Bucket, Level},
    profiles::Profiles,
};
use crate::{
    budget::{Budget, Preset},
    detect::{
        episode::{Episode, EpisodeId, LeakState},
        finding::{Estimate, Evidence, Finding, Pattern, Severity},
        quantile::Quantiles,
    },
    sample::{Area, Counter, Counts, Identity, Kind, Limit, LimitSource, Measure, Target, TargetInfo, Unit},
    snapshot::{
        AreaView, CollectorState, CollectorView, EndedEpisode, PartView, RuleView, Standing, TargetView,
        Verdict,
    },
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::{fs, path::Path, sync::Arc};

/// What is documented and not answered from a snapshot.
const ELSEWHERE: [&str; 6] = ["/stream", "/sample", "/samples", "/forget", "/profiles", "/profiles/{id}/end"];
const NOW: f64 = 1_772_000_000.0;

fn target(kind: Kind, name: &str, areas: Vec<AreaView>) -> TargetView {
    TargetView {
        target: Arc::new(Target { kind, name: name.into() }),
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

fn area(name: &str, unit: Unit, size: f64, verdict: Option<Verdict>) -> AreaView {
    AreaView { area: Area::new(name, unit), pid: None, size, limit: None, sampled_at: NOW - 3.0, verdict }
}

fn finding(growth: f64, confidence: f64) -> Finding {
    Finding {
        growth: Estimate { value: growth, lower: growth / 2.0, upper: growth * 2.0 },
        confidence,
        pattern: Pattern::Linear,
        severity: Severity::High,
        time_to_limit: Some(Estimate { value: 7200.0, lower: 3600.0, upper: f64::INFINITY }),
        floor: 300e6,
        leaked: 40e6,
        since: NOW - 3600.0,
        evidence: Evidence {
            rise: 40e6,
            window_secs: 3600.0,
            bucket_secs: 100.0,
            steps_up: 34,
            steps: 36,
            horizons: 3,
            recent_pace: 1.0,
            bytes: true,
            daily_load: false,
            last_lives: None,
        },
    }
}

fn episode(area: &str, confirmed_at: Option<f64>) -> Episode {
    let id = EpisodeId::new(Identity { pid: 1, start_ticks: 1 }, area, NOW);
    Episode { id, since: NOW - 3600.0, floor_before: 260e6, opened_at: NOW - 1800.0, confirmed_at }
}

fn verdict(state: LeakState, finding: Option<Finding>, explained: Option<bool>) -> Option<Verdict> {
    let episode = (state != LeakState::None).then(|| episode("anon", Some(NOW - 600.0)));
    Some(Verdict { state, finding, episode, leaked: 40e6, explained })
}

/// A leaking service that breaks its budget, what it does to its control group, and what is quiet.
fn world() -> Snapshot {
    let leak = verdict(LeakState::Confirmed, Some(finding(11_000.0, 0.97)), None);
    let mut web = target(Kind::Process, "web", vec![area("anon", Unit::Bytes, 312e6, leak)]);
    web.areas[0].limit = Some(Limit { value: 2e9, used: 1e9, source: LimitSource::Cgroup });
    web.areas.push(area("fds", Unit::Objects, 24.0, None));
    web.info = TargetInfo { unit: "web.service".into(), runtime: "jvm".into(), ..TargetInfo::default() };
    web.counts.set(Counter::OomKills, 2.0);
    let budget = Budget::of_preset(Preset::Strict);
    let size = budget.thresholds().iter().find(|threshold| threshold.rule.name == "size").unwrap();
    web.event_loop_lag_secs = Some(0.004);
    web.response_times = Some(Quantiles { p50: 0.02, p95: 0.3, p99: 1.25 });
    web.parts_read_at = Some(NOW - 30.0);
    web.parts.push(PartView {
        name: "heap".into(),
        measure: Measure::Memory,
        size: 290e6,
        confidence: 0.9,
        growth: Some(10_000.0),
    });
    web.rules.push(RuleView { area: Some("anon".into()), threshold: *size, is_breached: Some(true) });
    let explained = verdict(LeakState::Confirmed, Some(finding(11_500.0, 0.9)), Some(true));
    let group = target(Kind::Cgroup, "web.service", vec![area("anon", Unit::Bytes, 330e6, explained)]);
    let calm = Finding { severity: Severity::None, time_to_limit: None, ..finding(0.0, 0.02) };
    let own = verdict(LeakState::None, Some(calm), None);
    let own = target(Kind::Process, "memleak_exporter", vec![area("anon", Unit::Bytes, 3e6, own)]);
    let mut learning = target(
        Kind::Process,
        "young",
        vec![area("anon", Unit::Bytes, 1e6, verdict(LeakState::None, None, None))],
    );
    // Of the target as a whole.
    let busy = budget.thresholds().iter().find(|threshold| threshold.rule.name == "cpu").unwrap();
    learning.rules.push(RuleView { area: None, threshold: *busy, is_breached: Some(true) });
    let standing = standing(Arc::clone(&own.target), Arc::clone(&learning.target));
    let targets = vec![own, learning, web, group];
    Snapshot { tick: 1200, taken_at: NOW, targets, member_count: 3, standing }
}

fn standing(own: Arc<Target>, recovered: Arc<Target>) -> Standing {
    let collector = |name, state, error: Option<&str>| CollectorView {
        name,
        state,
        delivered_at: Some(NOW - 3.0),
        took_secs: Some(0.004),
        error: error.map(Into::into),
    };
    let ended = EndedEpisode {
        target: recovered,
        area: Area::new("anon", Unit::Bytes),
        pid: Some(4711),
        episode: Episode { opened_at: NOW - 9000.0, ..episode("old", None) },
        ended_at: NOW - 60.0,
        finding: Some(finding(0.0, 0.1)),
    };
    Standing {
        started_at: NOW - 10_000.0,
        collectors: vec![
            collector("process", CollectorState::Works, None),
            collector("host", CollectorState::Fails, Some("cannot read /proc/meminfo")),
        ],
        is_reload_refused: true,
        configuration: Arc::new(serde_json::json!({ "sampling": { "interval": "3s" } })),
        severity: None,
        ended: Arc::new(vec![ended]),
        own_target: Some(own),
    }
}

/// Status, type and body of the answer to a path with its query.
fn ask(snapshot: &Snapshot, uri: &str) -> (u16, String, Vec<u8>) {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let endpoint = Endpoint::at(path).unwrap_or_else(|| panic!("nothing at {path}"));
    let request = Request {
        endpoint,
        path: path.into(),
        query: query.into(),
        gzip: false,
        link_prefix: String::from("/leaks"),
    };
    let answer = if endpoint.is_about_the_past() {
        picked(snapshot, &request)
            .map_or_else(|refusal| *refusal, |picked| answer_of(&picked, &pasts(&picked), &request))
    } else {
        answer(snapshot, &request)
    };
    let response = answer.into_response(&[], Arc::default());
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let status = response.status().as_u16();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(response.into_body().collect()).unwrap().to_bytes().to_vec();
    (status, content_type, body)
}

/// What the tick says of these areas: of the first it remembers something, with a gap.
fn pasts(picked: &Picked) -> Vec<Past> {
    let bucket =
        |number: f64| Bucket { at: NOW - 120.0 + 12.0 * number, low: 1e6 * number, high: 1e6 * number + 5e5 };
    let buckets = [0.0, 1.0, 2.0, 5.0, 6.0, 7.0, 8.0, 9.0].map(bucket).into();
    let mut pasts = vec![Past::default(); picked.keys().len()];
    if let Some(first) = pasts.first_mut() {
        first.levels.push(Level { width_secs: 12.0, buckets });
    }
    pasts
}

fn value(snapshot: &Snapshot, uri: &str) -> Value {
    let (status, content_type, body) = ask(snapshot, uri);
    assert_eq!((status, content_type.as_str()), (200, "application/json"), "{uri}");
    serde_json::from_slice(&body).unwrap()
}

fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/api/tests").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "UPDATE_EXPECTED=1 accepts this");
}

/// Each answer of the made world with the name of its file, one for each path of the document.
fn answers() -> Vec<(&'static str, &'static str, Value)> {
    let world = world();
    let id =
        value(&world, "/api/v1/areas?target=web&area=anon")["areas"][0]["id"].as_str().unwrap().to_owned();
    [
        ("status", "/status", "/api/v1/status".to_owned()),
        ("targets", "/targets", "/api/v1/targets".to_owned()),
        ("areas", "/areas", "/api/v1/areas?sort=name".to_owned()),
        ("area", "/areas/{id}", format!("/api/v1/areas/{id}")),
        ("findings", "/findings", "/api/v1/findings".to_owned()),
        ("episodes", "/episodes", "/api/v1/episodes".to_owned()),
        ("report", "/report", "/api/v1/report".to_owned()),
        ("health", "/health", "/api/v1/health".to_owned()),
        ("rules", "/rules", "/api/v1/rules".to_owned()),
        ("config", "/config", "/api/v1/config".to_owned()),
        ("attribution", "/attribution", "/api/v1/attribution".to_owned()),
        ("history", "/areas/{id}/history", format!("/api/v1/areas/{id}/history")),
        ("sparklines", "/sparklines", "/api/v1/sparklines?sort=name&limit=2".to_owned()),
        ("stats", "/stats", "/api/v1/stats?period=90s&area=anon&sort=size&limit=2".to_owned()),
        ("openapi", "/openapi.json", "/api/v1/openapi.json".to_owned()),
    ]
    .into_iter()
    .map(|(name, path, uri)| (name, path, value(&world, &uri)))
    .collect()
}

/// The messages of a stream that begins with an empty world, and then sees the made one twice: the second time with
/// another pattern, a confirmed episode and one that ended.
fn messages() -> Vec<Value> {
    let (mut before, mut after) = (world(), world());
    before.standing.ended = Arc::default();
    let leak = before.targets[2].areas[0].verdict.as_mut().unwrap();
    leak.finding.as_mut().unwrap().pattern = Pattern::Step;
    leak.episode.as_mut().unwrap().confirmed_at = None;
    // What others explain has an episode of its own, which opens later.
    before.targets[3].areas[0].verdict.as_mut().unwrap().episode = None;
    after.targets[3].areas[0].verdict.as_mut().unwrap().episode = Some(episode("other", None));
    let mut texts = vec![hello(&after)];
    for (snapshot, known) in [(&before, Known::default()), (&after, Known::of(&before))] {
        let News { snapshot, changes } = news(snapshot, &known);
        texts.push(snapshot);
        texts.extend(changes);
    }
    texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

/// What comes of each change, with the name of its schema.
fn changes() -> Vec<(&'static str, Value)> {
    let profiles = Profiles::default();
    let mut after = world();
    after.tick += 3;
    after.targets[2].areas[0].size += 7e6;
    after.targets[2].areas.push(area("new", Unit::Objects, 5.0, None));
    let begun = serde_json::to_value(profiles.begin(&world(), None, Some("web".into())).unwrap()).unwrap();
    let ended = serde_json::to_value(profiles.end(&after, begun["id"].as_str().unwrap()).unwrap()).unwrap();
    let grown: Vec<(&str, f64)> = ended["areas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|area| (area["area"].as_str().unwrap(), area["growth"].as_f64().unwrap()))
        .collect();
    assert_eq!((grown, &ended["ticks"]), (vec![("anon", 7e6), ("new", 5.0), ("fds", 0.0)], &3.into()));
    vec![
        ("ProfileBegun", begun),
        ("ProfileEnded", ended),
        ("Sampled", serde_json::json!({ "tick": 1 })),
        ("Forgotten", serde_json::json!({ "areas": 1 })),
        ("Taken", serde_json::json!({ "taken": 1 })),
    ]
}

#[test]
fn a_stream_tells_what_is_new_and_what_changed() {
    let told: Vec<String> = messages()
        .iter()
        .map(|message| {
            let whose = &message["finding"]["area"]["target"];
            let whose = if whose.is_null() { &message["episode"]["target"] } else { whose };
            let words = [&message["type"], &message["change"], whose];
            words.into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let first =
        ["hello", "snapshot", "finding new web", "finding new web.service", "finding new memleak_exporter"];
    let then = [
        "episode opened web",
        "snapshot",
        "finding changed web",
        "episode confirmed web",
        "episode opened web.service",
        "episode closed young",
    ];
    assert_eq!(told, [&first[..], &then].concat());
    let world = world();
    assert!(news(&world, &Known::of(&world)).changes.is_empty());
    let snapshot: Value = serde_json::from_str(&news(&world, &Known::default()).snapshot).unwrap();
    assert_eq!(snapshot["areas"][0]["target"], "web", "the worst is first");
}

#[test]
fn the_answers_are_the_expected_ones() {
    for (name, _, answer) in answers().into_iter().filter(|(name, ..)| *name != "openapi") {
        compare(&format!("{name}.json"), &format!("{answer:#}\n"));
    }
    let (_, content_type, markdown) = ask(&world(), "/api/v1/report?format=markdown");
    assert_eq!(content_type, "text/markdown; charset=utf-8");
    compare("report.md", &String::from_utf8(markdown).unwrap());
    let (_, content_type, html) = ask(&world(), "/api/v1/report?format=html");
    assert_eq!(content_type, "text/html; charset=utf-8");
    // The style sheet has its own file.
    let html = String::from_utf8(html).unwrap();
    compare("report.html", html.split_once("</style>\n").unwrap().1);
}

#[test]
fn the_document_and_the_answers_agree_both_ways() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut seen = schema::Seen::default();
    let answers = answers();
    for (_, path, answer) in &answers {
        let schema =
            &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        schema::check(&document, schema, answer, &mut seen);
    }
    for message in messages() {
        let name = match message["type"].as_str().unwrap() {
            "hello" => "StreamHello",
            "snapshot" => "StreamSnapshot",
            "finding" => "StreamFinding",
            _ => "StreamEpisode",
        };
        let schema = serde_json::json!({ "$ref": format!("#/components/schemas/{name}") });
        schema::check(&document, &schema, &message, &mut seen);
    }
    for (name, change) in changes() {
        let schema = serde_json::json!({ "$ref": format!("#/components/schemas/{name}") });
        schema::check(&document, &schema, &change, &mut seen);
    }
    let problem = serde_json::from_slice(&ask(&world(), "/api/v1/areas?x=1").2).unwrap();
    schema::check(
        &document,
        &serde_json::json!({ "$ref": "#/components/schemas/Problem" }),
        &problem,
        &mut seen,
    );
    assert_eq!(seen.wrong, Vec::<String>::new());
    assert_eq!(seen.never(&document), Vec::<String>::new(), "documented, but no answer has it");
    let documented: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let mut answered: Vec<String> =
        Endpoint::ALL.iter().map(|(_, path, _)| path.replace("/api/v1", "")).collect();
    answered.extend(ELSEWHERE.map(String::from));
    answered.sort();
    assert_eq!(documented.into_iter().cloned().collect::<Vec<_>>(), answered);
    for (_, path, keys) in Endpoint::ALL {
        let operation = &document["paths"][path.replace("/api/v1", "")]["get"];
        assert_eq!(schema::query_keys(&document, operation), keys, "{path}");
    }
    let openapi = &answers.last().unwrap().2;
    assert_eq!(openapi["servers"][0]["url"], "/leaks/api/v1");
}

#[test]
fn lists_are_filtered_sorted_and_cut() {
    let world = world();
    let targets = |uri: &str| -> Vec<String> {
        let answer = value(&world, uri);
        let items = answer["areas"].as_array().or_else(|| answer["targets"].as_array()).unwrap().clone();
        items.iter().map(|item| item["target"].as_str().unwrap().to_owned()).collect()
    };
    for (uri, expected) in [
        ("/api/v1/areas?kind=cgroup", &["web.service"] as &[&str]),
        ("/api/v1/areas?state=confirmed", &["web", "web.service"]),
        ("/api/v1/areas?min_confidence=0.95", &["web"]),
        ("/api/v1/areas?min_confidence=0&sort=growth", &["web.service", "web", "memleak_exporter"]),
        ("/api/v1/areas?area=anon&sort=size&limit=2", &["web.service", "web"]),
        ("/api/v1/areas?area=anon&sort=size&limit=2&offset=3", &["young"]),
        ("/api/v1/areas?sort=name&limit=1", &["memleak_exporter"]),
        ("/api/v1/areas?target=w%65b&area=fds", &["web"]),
        ("/api/v1/areas?target=nobody", &[]),
        ("/api/v1/targets?kind=cgroup", &["web.service"]),
    ] {
        assert_eq!(targets(uri), expected, "{uri}");
    }
    assert_eq!(value(&world, "/api/v1/areas?limit=1")["total"], 5);
    let episodes = |which: &str| value(&world, &format!("/api/v1/episodes?state={which}"))["total"].clone();
    assert_eq!((episodes("open"), episodes("ended"), episodes("all")), (2.into(), 1.into(), 3.into()));
}

#[test]
fn what_cannot_be_answered_says_what_where_and_what_to_do() {
    let world = world();
    let empty = Snapshot::default();
    for (snapshot, uri, status, words) in [
        (&world, "/api/v1/areas?colour=red", 400, "The keys are kind, target"),
        (&world, "/api/v1/status?limit=1", 400, "takes no query"),
        (&world, "/api/v1/areas?limit=1&limit=2", 400, "limit twice"),
        (&world, "/api/v1/areas?limit=0", 400, "a whole number from 1 to 1000"),
        (&world, "/api/v1/areas?limit=%2B5", 400, "a whole number"),
        (&world, "/api/v1/areas?offset=99999999999999999999999", 400, "offset"),
        (&world, "/api/v1/areas?min_confidence=NaN", 400, "a number from 0 to 1"),
        (&world, "/api/v1/areas?state=perhaps", 400, "one of none, suspected, confirmed"),
        (&world, "/api/v1/areas?target=%zz", 400, "percent-encoding"),
        (&world, "/api/v1/report?format=pdf", 400, "one of json, markdown, html"),
        (&world, "/api/v1/areas/0000000000000000", 404, "/api/v1/areas lists"),
        (&world, "/api/v1/areas/+000000000000000", 404, "no area with the id"),
        (&empty, "/api/v1/status", 503, "Ask again in a second."),
    ] {
        let (found, content_type, body) = ask(snapshot, uri);
        assert_eq!((found, content_type.as_str()), (status, "application/problem+json"), "{uri}");
        let problem: Value = serde_json::from_slice(&body).unwrap();
        let told = format!("{} {}", problem["detail"], problem["help"]);
        assert!(told.contains(words), "{uri}: {told}");
        assert_eq!(
            (&problem["status"], &problem["instance"]),
            (&status.into(), &uri.split('?').next().unwrap().into())
        );
    }
    assert_eq!(ask(&empty, "/api/v1/openapi.json").0, 200);
    for path in [
        "/api/v1",
        "/api/v1/",
        "/api/v2/status",
        "/api/v1/areas//history",
        "/api/v1/areas/",
        "/api/v1/areas/a/b",
    ] {
        assert_eq!(Endpoint::at(path), None, "{path}");
    }
}

#[test]
fn the_id_of_an_area_is_the_same_for_ever() {
    let id = |world: &Snapshot| value(world, "/api/v1/areas?target=web&area=anon")["areas"][0]["id"].clone();
    let mut later = world();
    later.tick += 1;
    later.targets.reverse();
    assert_eq!(id(&world()), id(&later));
    assert_eq!(id(&world()), "55d8ada9be6d7d47");
    later.targets.iter_mut().flat_map(|target| &mut target.areas).for_each(|area| area.pid = Some(7));
    assert_ne!(id(&world()), id(&later));
}

#[test]
fn a_name_becomes_no_markup_in_a_report() {
    let mut world = world();
    for target in &mut world.targets {
        let name = "<img src=x>|`a`\n# b";
        target.target = Arc::new(Target { kind: target.target.kind, name: name.into() });
        target.info.unit = "'; <b>\n".into();
    }
    let html = String::from_utf8(ask(&world, "/api/v1/report?format=html").2).unwrap();
    assert!(html.contains("&lt;img src=x&gt;") && !html.contains("<img") && !html.contains("<b>"), "{html}");
    let markdown = String::from_utf8(ask(&world, "/api/v1/report?format=markdown").2).unwrap();
    assert!(
        markdown.contains("\\<img src=x\\>\\|\\`a\\`\u{fffd}\\# b") && !markdown.contains("\n# b"),
        "{markdown}"
    );
}

#[test]
fn a_long_answer_is_compressed_for_who_takes_it() {
    let world = world();
    let request = |path: &str| Request {
        endpoint: Endpoint::at(path).unwrap(),
        path: path.into(),
        query: String::new(),
        gzip: true,
        link_prefix: String::new(),
    };
    let is_packed = |path: &str| {
        let response = answer(&world, &request(path)).into_response(&[], Arc::default());
        assert_eq!(response.headers()["vary"], "Accept-Encoding");
        response.headers().contains_key("content-encoding")
    };
    assert!(is_packed("/api/v1/areas") && !is_packed("/api/v1/config"));
}

/// `cargo test --release --lib http::api -- --nocapture a_thousand` prints how long each answer takes.
#[test]
fn a_thousand_targets_are_answered_within_bounds() {
    let mut world = world();
    let areas = ["anon", "fds", "rss", "rss_peak", "swap", "threads"];
    world.targets = (0..1000)
        .map(|number| {
            let leak = || verdict(LeakState::Confirmed, Some(finding(11_000.0, 0.97)), None);
            let areas = areas.map(|name| area(name, Unit::Bytes, 312e6, leak())).into();
            target(Kind::Process, &format!("service-{number:05}.service"), areas)
        })
        .collect();
    let began = crate::run::clock::instant();
    let News { snapshot, changes } = news(&world, &Known::default());
    println!("the stream: {} bytes and {} changes in {:?}", snapshot.len(), changes.len(), began.elapsed());
    assert!(snapshot.len() < 30_000 && changes.len() <= 200, "{} bytes, {}", snapshot.len(), changes.len());
    for (_, path, _) in Endpoint::ALL {
        let uri = match path {
            "/api/v1/areas/{id}" | "/api/v1/areas/{id}/history" => continue,
            "/api/v1/report" => format!("{path}?format=html"),
            list if Endpoint::at(list).is_some_and(|endpoint| endpoint.parameters().contains(&"limit")) => {
                format!("{list}?limit=1000")
            }
            other => other.to_owned(),
        };
        let began = crate::run::clock::instant();
        let (status, _, body) = ask(&world, &uri);
        println!("{uri}: {} bytes in {:?}", body.len(), began.elapsed());
        assert!(status == 200 && body.len() < 3_000_000, "{uri}: {} bytes", body.len());
    }
}
