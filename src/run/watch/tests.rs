//! What is remembered, on batches made by hand: who is here, who was replaced, who leaks.

use super::*;
use crate::sample::{Generation, Kind, Limit, LimitSource, Sample, Seconds, TargetInfo, Unit};
use crate::{
    config::{Judged, Processes},
    detect::finding::Pattern,
};

const INTERVAL_SECS: f64 = 3.0;
pub(in crate::run) const PROCESS: &str = "process";
const OTHER: &str = "other";

pub(in crate::run) fn member(target: &str, pid: u32, started_at: Seconds) -> Arc<Member> {
    Arc::new(Member {
        target: Arc::new(Target { kind: Kind::Process, name: target.into() }),
        info: TargetInfo::default(),
        identity: Identity { pid, start_ticks: u64::from(pid) },
        generation: Generation::default(),
        started_at,
        group: "".into(),
    })
}

pub(in crate::run) fn anon(size: f64) -> Sample {
    let limit = Limit { value: 4e9, used: size, source: LimitSource::Host };
    Sample { area: Area::new("anon", Unit::Bytes), size, limit: Some(limit) }
}

/// The terms of a collector of anonymous memory.
pub(in crate::run) fn terms(collector: &'static str, interval_secs: f64) -> Terms {
    let judged = Judged::everywhere(vec!["anon".into()]);
    Terms { collector, judged, interval_secs, has_budgets: collector == PROCESS }
}

pub(in crate::run) fn watching_every(interval_secs: f64) -> Watch {
    Watch::new(vec![terms(PROCESS, interval_secs)], interval_secs)
}

pub(in crate::run) fn watching() -> Watch {
    watching_every(INTERVAL_SECS)
}

/// One tick after the other; each a list of who is there with what size.
fn feed(
    watch: &mut Watch,
    ticks: impl IntoIterator<Item = Vec<(Arc<Member>, f64)>>,
    from_tick: u32,
) -> Vec<Event> {
    let mut events = Vec::new();
    for (tick, present) in (from_tick..).zip(ticks) {
        let mut batch = Batch::new(f64::from(tick) * INTERVAL_SECS);
        for (member, size) in present {
            batch.push(member, [anon(size)]);
        }
        watch.take_in(PROCESS, &batch, &mut events);
    }
    events
}

fn restarts(watch: &Watch, name: &str) -> u64 {
    watch.targets().find(|(target, _)| &*target.name == name).map_or(0, |(_, record)| record.restarts)
}

fn alone(member: &Arc<Member>, ticks: usize) -> Vec<Vec<(Arc<Member>, f64)>> {
    vec![vec![(Arc::clone(member), 1e6)]; ticks]
}

/// Who does not answer is not gone; whoever comes in its place is a restart.
#[test]
fn the_silent_are_kept() {
    let mut watch = watching();
    let (first, second) = (member("web", 1, 0.0), member("web", 2, 150.0));
    feed(&mut watch, alone(&first, 20), 0);
    let mut silent = Batch::new(20.0 * INTERVAL_SECS);
    silent.silent.push(Arc::clone(&first.target));
    watch.take_in(PROCESS, &silent, &mut Vec::new());
    assert_eq!(watch.members().count(), 1);
    assert!(watch.targets().all(|(_, record)| record.members == 1));
    feed(&mut watch, alone(&second, 5), 21);
    assert_eq!((watch.members().count(), restarts(&watch, "web")), (1, 1));
}

/// An area gives way to the better one where that is told.
#[test]
fn a_better_area_takes_the_place_of_another() {
    let judged = Judged::everywhere(vec!["heap".into(), "after_gc".into()]).preferring("heap", "after_gc");
    let mut watch = Watch::new(vec![Terms { judged, ..terms(PROCESS, INTERVAL_SECS) }], INTERVAL_SECS);
    let web = member("web", 1, 0.0);
    let judged_at = |watch: &mut Watch, tick: u32, names: &[&str]| {
        let mut batch = Batch::new(f64::from(tick) * INTERVAL_SECS);
        let sample = |name: &&str| Sample { area: Area::new(name, Unit::Bytes), size: 1e6, limit: None };
        batch.push(Arc::clone(&web), names.iter().map(sample));
        watch.take_in(PROCESS, &batch, &mut Vec::new());
        let areas = watch.members().flat_map(|watched| &watched.areas);
        areas.filter(|area| area.is_judged()).map(|area| area.area.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(judged_at(&mut watch, 1, &["heap", "rss"]), ["heap"]);
    judged_at(&mut watch, 2, &["heap", "after_gc"]);
    assert_eq!(judged_at(&mut watch, 3, &["heap", "after_gc"]), ["after_gc"]);
}

#[test]
fn a_successor_is_a_restart_and_a_further_worker_is_none() {
    let (first, second) = (member("web", 1, 0.0), member("web", 2, 60.0));
    let mut watch = watching();
    feed(&mut watch, alone(&first, 20), 0);
    let both = vec![vec![(Arc::clone(&first), 1e6), (Arc::clone(&second), 1e6)]; 5];
    feed(&mut watch, both, 20);
    feed(&mut watch, alone(&second, 5), 25);
    assert_eq!(restarts(&watch, "web"), 0, "one of two workers went");
    let third = member("web", 3, 90.0);
    let events = feed(&mut watch, alone(&third, 5), 30);
    assert_eq!(restarts(&watch, "web"), 1);
    assert!(events.iter().any(|event| matches!(event, Event::Restart { .. })));
}

#[test]
fn a_restart_after_a_pause_counts_and_a_short_command_does_not() {
    let mut watch = watching();
    feed(&mut watch, alone(&member("web", 1, 0.0), 20), 0);
    feed(&mut watch, vec![Vec::new(); 10], 20);
    feed(&mut watch, alone(&member("web", 2, 90.0), 1), 30);
    assert_eq!(restarts(&watch, "web"), 1);
    let mut watch = watching();
    for (pid, tick) in (1u32..20).zip((0..).step_by(4)) {
        feed(&mut watch, alone(&member("date", pid, 0.0), 2), tick);
    }
    assert_eq!(restarts(&watch, "date"), 0);
}

#[test]
fn commands_that_come_and_go_are_not_hoarded() {
    let mut watch = watching();
    for pid in 1..5000u32 {
        feed(&mut watch, alone(&member(&format!("tool {pid}"), pid, 0.0), 1), pid);
    }
    assert!(watch.targets().count() < 5, "{}", watch.targets().count());
}

#[test]
fn a_gone_target_is_remembered_for_a_quarter_of_an_hour() {
    let mut watch = watching();
    feed(&mut watch, alone(&member("job", 1, 0.0), 20), 0);
    feed(&mut watch, vec![Vec::new(); 185], 20);
    assert_eq!((watch.targets().count(), watch.members().count()), (1, 0));
    feed(&mut watch, vec![Vec::new(); 150], 205);
    assert_eq!(watch.targets().count(), 0);
}

#[test]
fn an_expected_target_is_there_before_it_runs() {
    let mut watch = watching();
    let mut batch = Batch::new(0.0);
    batch.expected.push(Arc::new(Target { kind: Kind::Process, name: "db".into() }));
    watch.take_in(PROCESS, &batch, &mut Vec::new());
    assert!(watch.targets().all(|(_, record)| record.is_expected && record.members == 0));
    assert_eq!(watch.targets().count(), 1);
}

#[test]
fn a_program_that_calls_exec_begins_anew() {
    let mut watch = watching();
    feed(&mut watch, alone(&member("sh", 1, 0.0), 60), 0);
    let before = watch.members().next().is_some_and(|watched| watched.areas[0].finding().is_some());
    assert!(before, "sixty samples are enough for a verdict");
    feed(&mut watch, alone(&member("node a.js", 1, 0.0), 1), 60);
    let after: Vec<bool> = watch.members().map(|watched| watched.areas[0].finding().is_some()).collect();
    assert_eq!(after, [false]);
}

#[test]
fn a_program_that_runs_itself_anew_is_a_restart() {
    let first = member("web", 1, 0.0);
    let again = Arc::new(Member {
        target: Arc::clone(&first.target),
        info: TargetInfo::default(),
        identity: first.identity,
        generation: Generation { execs: 1, ..first.generation },
        started_at: 0.0,
        group: "".into(),
    });
    let mut watch = watching();
    feed(&mut watch, alone(&first, 60), 0);
    feed(&mut watch, alone(&again, 1), 60);
    assert_eq!(restarts(&watch, "web"), 1);
    assert!(watch.members().all(|watched| watched.areas[0].finding().is_none()));
}

#[test]
fn a_leak_is_an_episode_with_one_confirmation_and_one_end() {
    let leaking = member("leaky", 7, -86_400.0);
    let mut watch = watching();
    let ticks = (0..2400u32).map(|tick| vec![(Arc::clone(&leaking), 2e8 + f64::from(tick) * 1e5)]);
    let mut events = feed(&mut watch, ticks, 0);
    assert_eq!(watch.suspects().len(), 1);
    events.extend(feed(&mut watch, [Vec::new()], 2400));
    let states: Vec<LeakState> = events
        .iter()
        .filter_map(|event| match event {
            Event::Episode { transition, .. } => Some(transition.to),
            _ => None,
        })
        .collect();
    assert_eq!(states, [LeakState::Suspected, LeakState::Confirmed, LeakState::None]);
    assert!(watch.targets().all(|(_, record)| record.episodes == 1));
    assert!(watch.suspects().is_empty());
}

#[test]
fn two_areas_of_one_process_name_what_they_show_together() {
    let confirmed_as = |entries_grow_by: f64| {
        let caching = member("cache", 7, -86_400.0);
        let mut watch = Watch::new(
            vec![Terms {
                judged: Judged::everywhere(vec!["store".into(), "store_entries".into()]),
                ..terms(PROCESS, INTERVAL_SECS)
            }],
            INTERVAL_SECS,
        );
        let mut events = Vec::new();
        for tick in 0..3600u32 {
            let grown = f64::from(tick.saturating_sub(600));
            let sample = |name, unit, size| Sample { area: Area::new(name, unit), size, limit: None };
            let mut batch = Batch::new(f64::from(tick) * INTERVAL_SECS);
            let store = sample("store", Unit::Bytes, 2e8 + grown * 1e5);
            let entries = sample("store_entries", Unit::Objects, 2e4 + grown * entries_grow_by);
            batch.push(Arc::clone(&caching), [store, entries]);
            watch.take_in(PROCESS, &batch, &mut events);
        }
        let shown: Vec<Option<Finding>> =
            watch.members().flat_map(|watched| &watched.areas).map(WatchedArea::told).collect();
        let confirmed = events.into_iter().find_map(|event| match event {
            Event::Episode { area, transition, finding, .. }
                if transition.to == LeakState::Confirmed && &*area.name == "store" =>
            {
                finding
            }
            _ => None,
        });
        [shown.into_iter().next().flatten(), confirmed].map(|finding| finding.unwrap().pattern)
    };
    assert_eq!(confirmed_as(0.0), [Pattern::CacheBloat; 2]);
    assert!(!confirmed_as(10.0).contains(&Pattern::CacheBloat));
}

#[test]
fn a_reload_keeps_what_was_learned_unless_it_no_longer_fits() {
    let leaking = member("leaky", 7, -86_400.0);
    let mut watch = watching();
    let ticks = (0..2400u32).map(|tick| vec![(Arc::clone(&leaking), 2e8 + f64::from(tick) * 1e5)]);
    feed(&mut watch, ticks, 0);
    watch.reconfigure(vec![terms(PROCESS, 1.0)], 1.0);
    assert_eq!((watch.judged_count(), watch.suspects().len()), (1, 1));
    watch.reconfigure(vec![terms(PROCESS, 10.0)], 10.0);
    assert_eq!((watch.judged_count(), watch.suspects().len()), (0, 0));
    let events = feed(&mut watch, alone(&leaking, 1), 2400);
    let ended = |event: &Event| matches!(event, Event::Episode { transition, .. } if transition.to == LeakState::None);
    assert!(events.iter().any(ended), "a confirmed leak does not end in silence");
}

/// How often a reader of files is confirmed to leak within a week of half minutes, if these areas are judged: its
/// anonymous memory is flat but for some noise, and its page cache fills.
fn confirmed_for_its_page_cache(judged_areas: Vec<Arc<str>>, seed: u32) -> u64 {
    const PAGE: f64 = 4096.0;
    let mut watch =
        Watch::new(vec![Terms { judged: Judged::everywhere(judged_areas), ..terms(PROCESS, 30.0) }], 30.0);
    let reader = member("indexer", 1 + seed, 0.0);
    let mut noise = 0.0;
    for tick in 0..7 * 2880u32 {
        noise = 0.9 * noise + (f64::from(tick + 7919 * seed) * 78.233).sin() * 43_758.545_3 % 1.0;
        let anonymous = ((4e8 + 2e6 * noise) / PAGE).round() * PAGE;
        let mapped = (f64::from(tick) * (1.0 + f64::from(seed)) * 1e5 / PAGE).round() * PAGE;
        let resident = Sample { area: Area::new("rss", Unit::Bytes), size: anonymous + mapped, limit: None };
        let mut batch = Batch::new(f64::from(tick) * 30.0);
        batch.push(Arc::clone(&reader), [anon(anonymous), resident]);
        watch.take_in(PROCESS, &batch, &mut Vec::new());
    }
    watch.targets().map(|(_, record)| record.episodes).sum()
}

#[test]
fn a_page_cache_that_fills_for_a_week_accuses_nobody() {
    for seed in 0..6 {
        assert_eq!(confirmed_for_its_page_cache(Processes::default().judge, seed), 0, "seed {seed}");
    }
    assert!(confirmed_for_its_page_cache(vec!["rss".into()], 0) > 0, "the cache alone would be a leak");
}

#[test]
fn a_member_is_gone_when_its_own_collector_no_longer_has_it() {
    let mut watch = Watch::new(vec![terms(PROCESS, 3.0), terms(OTHER, 30.0)], 3.0);
    let mut see = |collector: &str, at: f64, present: Option<Arc<Member>>| {
        let mut batch = Batch::new(at);
        present.into_iter().for_each(|member| batch.push(member, [anon(1e6)]));
        watch.take_in(collector, &batch, &mut Vec::new());
        let mut names: Vec<String> =
            watch.members().map(|watched| watched.member.target.name.to_string()).collect();
        names.sort();
        (names.join(" "), watch.targets().map(|(_, record)| record.restarts).sum::<u64>())
    };
    let (mine, theirs) = (member("mine", 1, 0.0), member("theirs", 1, 0.0));
    assert_eq!(see(PROCESS, 0.0, Some(Arc::clone(&mine))), ("mine".into(), 0));
    assert_eq!(see(OTHER, 0.0, Some(Arc::clone(&theirs))), ("mine theirs".into(), 0));
    // Nine batches of the one in which the other has nothing to say, and one in which it has.
    for tick in 1..10u32 {
        let seen = see(PROCESS, f64::from(tick) * 3.0, Some(Arc::clone(&mine)));
        assert_eq!(seen, ("mine theirs".into(), 0), "tick {tick}");
    }
    assert_eq!(see(OTHER, 30.0, Some(theirs)), ("mine theirs".into(), 0));
    assert_eq!(see(PROCESS, 30.0, None).0, "theirs");
    assert_eq!(see(OTHER, 60.0, None).0, "");
    assert_eq!(see("nobody's", 60.0, Some(mine)).0, "", "a batch of nobody is of nobody");
}

#[test]
fn each_collector_is_judged_at_its_own_interval() {
    let mut watch = Watch::new(vec![terms(PROCESS, 3.0), terms(OTHER, 30.0)], 3.0);
    let steady = member("steady", 1, -86_400.0);
    for tick in 0..600u32 {
        let mut batch = Batch::new(f64::from(tick) * 3.0);
        batch.push(Arc::clone(&steady), [anon(1e6)]);
        watch.take_in(PROCESS, &batch, &mut Vec::new());
        if tick.is_multiple_of(10) {
            watch.take_in(OTHER, &batch, &mut Vec::new());
        }
    }
    let spoken: Vec<bool> = watch.members().map(|watched| watched.areas[0].finding().is_some()).collect();
    assert_eq!(spoken, [true, true], "sixty samples are enough at any interval");
}

/// What happened to the episodes of areas, and the areas that are left.
fn areas_left(watch: &Watch) -> Vec<String> {
    let mut left: Vec<String> =
        watch.members().flat_map(|watched| &watched.areas).map(|area| area.area.name.to_string()).collect();
    left.sort();
    left
}

#[test]
fn an_area_that_its_member_no_longer_has_is_forgotten_and_its_episode_ends() {
    let mut watch = watching();
    let leaking = member("web", 1, -1e6);
    let sizes = (0..2_000u32).map(|tick| vec![(Arc::clone(&leaking), 1e8 + f64::from(tick) * 1e6)]);
    feed(&mut watch, sizes, 0);
    let mut batch = Batch::new(2_000.0 * INTERVAL_SECS);
    batch.push(Arc::clone(&leaking), [Sample { area: Area::new("other", Unit::Bytes), ..anon(1.0) }]);
    batch.ended.push((leaking.identity, Area::new("anon", Unit::Bytes)));
    let mut events = Vec::new();
    watch.take_in(PROCESS, &batch, &mut events);
    let ends = events.iter().filter(|event| matches!(event, Event::Episode { finding: None, .. }));
    assert_eq!((areas_left(&watch), ends.count()), (vec![String::from("other")], 1));
}

#[test]
fn who_may_be_there_all_the_same_is_not_gone() {
    let mut watch = watching();
    feed(&mut watch, alone(&member("web", 1, 0.0), 60), 0);
    let mut events = Vec::new();
    let later = |secs: f64| Batch::new(60.0 * INTERVAL_SECS + secs);
    let mut nobody = later(0.0);
    nobody.may_lack_members = true;
    watch.take_in(PROCESS, &nobody, &mut events);
    assert_eq!((watch.members().count(), watch.targets().next().unwrap().1.members), (1, 1));
    let younger = Arc::new(Member { started_at: 180.0, ..Arc::into_inner(member("web", 1, 0.0)).unwrap() });
    let mut batch = later(3.0);
    batch.push(younger, [anon(1e6)]);
    watch.take_in(PROCESS, &batch, &mut events);
    assert_eq!(restarts(&watch, "web"), 0);
    assert!(watch.members().all(|watched| watched.member.started_at < 1.0), "it is as old as it was");
    watch.take_in(PROCESS, &later(6.0), &mut events);
    assert_eq!(watch.members().count(), 0);
}

#[test]
fn every_area_is_judged_where_all_are_but_for_those_that_hold_others() {
    let judged = Judged::all_but(&crate::collect::NEVER_OF_ALL);
    let mut watch = Watch::new(vec![Terms { judged, ..terms(PROCESS, INTERVAL_SECS) }], INTERVAL_SECS);
    let mut batch = Batch::new(0.0);
    let named = |name: &str| Sample { area: Area::new(name, Unit::Bytes), ..anon(1.0) };
    batch.push(member("web", 1, 0.0), ["bridge_cache", "heap", "heap_committed", "rss"].map(named));
    watch.take_in(PROCESS, &batch, &mut Vec::new());
    assert_eq!(watch.judged_count(), 2);
}

/// A program pushes a cache every so many ticks for four hours; it has leaked since it was old. What is told of it at its
/// confirmation: area and pattern.
fn confirmed_of_a_pushed_cache(every_ticks: u32, entries: impl Fn(f64) -> f64) -> Vec<(String, Pattern)> {
    use crate::{
        collect::{Collector as _, Lent, NEVER_OF_ALL, Request, push},
        config::Config,
        inbox::{Inbox, Push, Pushed},
    };
    let inbox: Arc<Inbox> = Arc::default();
    let lent = Lent {
        paths: Default::default(),
        inbox: Arc::clone(&inbox),
        instant: crate::run::clock::instant,
        spawn: |_| Box::pin(async { Err(String::new()) }),
        wake: |_, _| Ok(()),
    };
    let mut collector = push::PushCollector::new(&Config::default(), &lent);
    let judged = Judged::all_but(&NEVER_OF_ALL);
    let mut watch = Watch::new(vec![Terms { judged, ..terms(push::NAME, INTERVAL_SECS) }], INTERVAL_SECS);
    let mut told = Vec::new();
    for tick in 0..4_800u32 {
        let secs = f64::from(tick) * INTERVAL_SECS;
        if tick.is_multiple_of(every_ticks) {
            let area = |name: &str, unit, size| Pushed { area: Area::new(name, unit), size, limit: None };
            let areas = vec![
                area("bridge_cache", Unit::Bytes, 1e8 + secs * 2e4 + f64::from(tick * 7919 % 101) * 1e4),
                area("bridge_cache_entries", Unit::Objects, entries(secs)),
                area("steady", Unit::Bytes, 1e8 + f64::from(tick * 7919 % 101) * 1e5),
            ];
            inbox.put([Push { target: "checkout".into(), instance: String::new(), areas }]);
        }
        let batch = collector.collect(&Request { at: secs, ..Request::default() }).unwrap();
        let mut events = Vec::new();
        watch.take_in(push::NAME, &batch, &mut events);
        for event in events {
            if let Event::Episode { area, transition, finding: Some(finding), .. } = event
                && transition.to == LeakState::Confirmed
            {
                told.push((area.name.to_string(), finding.pattern));
            }
        }
    }
    told
}

#[test]
fn a_pushed_leaking_cache_is_named_whether_it_is_pushed_at_every_tick_or_once_a_minute() {
    for every_ticks in [1, 20] {
        let told = confirmed_of_a_pushed_cache(every_ticks, |_| 1e4);
        assert_eq!(told, [(String::from("bridge_cache"), Pattern::CacheBloat)], "every {every_ticks} ticks");
    }
    let mut told = confirmed_of_a_pushed_cache(20, |secs| 1e4 + secs * 2.0);
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["bridge_cache", "bridge_cache_entries"]);
    assert!(told.iter().all(|(_, pattern)| *pattern != Pattern::CacheBloat), "{told:?}");
}
