use super::*;
use crate::{
    detect::episode::LeakState,
    detect::finding::{Estimate, Evidence, Pattern, Severity},
    sample::{Area, Counts, Kind, Target, TargetInfo},
    snapshot::Verdict,
};

fn area(name: &str, unit: Unit, size: f64, verdict: Option<Verdict>) -> AreaView {
    AreaView { area: Area::new(name, unit), pid: None, size, limit: None, sampled_at: 0.0, verdict }
}

fn leak() -> Verdict {
    let estimate = |value: f64, lower: f64, upper: f64| Estimate { value, lower, upper };
    let finding = Finding {
        growth: estimate(12_000.0, 11_000.0, 13_000.0),
        confidence: 0.97,
        pattern: Pattern::Linear,
        severity: Severity::High,
        time_to_limit: Some(estimate(11_400.0, 10_000.0, 13_000.0)),
        floor: 3e8,
        leaked: 4e7,
        since: 0.0,
        evidence: Evidence {
            rise: 4e7,
            window_secs: 1200.0,
            steps_up: 34,
            steps: 36,
            horizons: 3,
            recent_pace: 1.0,
            bytes: true,
            ..Evidence::default()
        },
    };
    Verdict {
        state: LeakState::Confirmed,
        finding: Some(finding),
        episode: None,
        leaked: 4e7,
        explained: None,
    }
}

fn snapshot(at: Seconds, areas: Vec<AreaView>) -> Arc<Snapshot> {
    snapshot_of(at, vec![target("node server.js", areas)])
}

fn snapshot_of(at: Seconds, targets: Vec<TargetView>) -> Arc<Snapshot> {
    Arc::new(Snapshot { tick: 1, taken_at: at, targets, ..Snapshot::default() })
}

fn target(name: &str, areas: Vec<AreaView>) -> TargetView {
    TargetView {
        target: Arc::new(Target { kind: Kind::Process, name: name.into() }),
        info: TargetInfo::default(),
        is_expected: false,
        members: 2,
        restarts: 1,
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

fn shown(model: &Model, width: usize, height: usize) -> String {
    let lines = lines(model, width, height);
    assert!(lines.len() <= height, "{} lines in {height}", lines.len());
    let text = |line: &Line| line.iter().map(|part| part.text.as_str()).collect::<String>();
    for line in &lines {
        assert!(text(line).chars().count() <= width, "{}", text(line));
    }
    lines.iter().map(|line| text(line).trim_end().to_owned() + "\n").collect()
}

fn leaking_model() -> Model {
    let mut model = Model::new("node", Duration::from_millis(100));
    for second in 0..600_u32 {
        let at = 1_709_208_000.0 + f64::from(second);
        let quiet = || area("fds", Unit::Objects, 23.0, None);
        model.take_in(&snapshot(
            at,
            vec![quiet(), area("anon", Unit::Bytes, 2.6e8 + 1e5 * f64::from(second), Some(leak()))],
        ));
    }
    model
}

#[test]
fn a_leak_stands_on_top_with_its_evidence_in_a_usual_window() {
    let shown = shown(&leaking_model(), 80, 24);
    assert_eq!(shown.lines().count(), 24);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], format!("{:<68}12:09:59 UTC", "memleak_exporter watch: node server.js"));
    assert_eq!(lines[1], "2 processes, restarted once, a sample every 100ms, for 10 min");
    assert_eq!(lines[3], "anon       320 MB  confirmed leak 97 %, linear, limit in 3 h 10 min");
    assert!(lines[4].trim_start().starts_with("+43 MB/h (+40 MB to +47 MB)  ▁"), "{}", lines[4]);
    assert!(lines[4].ends_with('█') && lines[4].chars().count() == 80, "{}", lines[4]);
    assert!(lines[5].starts_with("fds            23  ▁▁"), "{}", lines[5]);
    assert!(shown.contains("anon: the floor rose 40 MB in 20 min, 34 of 36 steps going up"), "{shown}");
    assert_eq!(lines[23], "q quits; fast motion: each sample counts as 3 s");
}

#[test]
fn no_window_is_too_small_and_a_wide_one_shows_all() {
    let model = leaking_model();
    for (width, height) in [(0, 0), (1, 1), (10, 3), (20, 5), (400, 100)] {
        shown(&model, width, height);
    }
    assert!(shown(&model, 120, 40).contains("limit in 3 h 10 min"));
    assert!(shown(&Model::new("x", Duration::from_secs(1)), 80, 24).contains("looking for it"));
}

#[test]
fn what_has_ended_says_so() {
    let mut model = leaking_model();
    model.take_in(&snapshot(1_709_208_700.0, Vec::new()));
    assert!(shown(&model, 80, 24).contains("it has ended; watched for 12 min"));
    let (last, target) = model.last_alive().expect("it was there");
    assert!(last.taken_at < 1_709_208_700.0 && target.areas.len() == 2, "{target:?}");
}

#[test]
fn a_process_is_followed_into_the_program_that_it_runs_next() {
    let sized = |size| vec![area("anon", Unit::Bytes, size, None)];
    let mut model = Model::new("7", Duration::from_secs(1));
    model.take_in(&snapshot_of(1.0, vec![target("bash (pid 7)", sized(1e6))]));
    let both = vec![target("bash (pid 7)", Vec::new()), target("sleep (pid 7)", sized(2e6))];
    model.take_in(&snapshot_of(2.0, both));
    assert!(shown(&model, 80, 24).contains("sleep (pid 7)"), "{}", shown(&model, 80, 24));
    // By its name it is another program.
    let mut model = Model::new("b", Duration::from_secs(1));
    model.take_in(&snapshot_of(1.0, vec![target("bash", sized(1e6))]));
    model.take_in(&snapshot_of(2.0, vec![target("bash", Vec::new()), target("bc", sized(2e6))]));
    assert!(shown(&model, 80, 24).contains("it has ended"), "{}", shown(&model, 80, 24));
}

#[test]
fn a_sparkline_shows_all_the_time_in_bounded_memory() {
    let mut history = History::default();
    for second in 0..100_000_u32 {
        history.push(if second < 50_000 { 1.0 } else { 9.0 });
    }
    assert!(history.sizes.len() < MOST_SIZES);
    let line = history.sparkline(10);
    assert_eq!((line.chars().count(), line.starts_with("▁▁▁"), line.ends_with("███")), (10, true, true));
    let mut flat = History::default();
    flat.push(1e9);
    flat.push(1e9 + 4096.0);
    assert_eq!(flat.sparkline(80), "▁▁");
}
