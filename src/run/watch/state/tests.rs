//! What is known goes through bytes and back: the same bits, the same episodes, and nothing that a broken file could do.

use super::*;
use crate::{
    detect::{
        finding::{Estimate, Evidence, Finding, Pattern, Severity},
        judge::Owner,
    },
    run::watch::{
        Event,
        tests::{PROCESS, anon, member, watching, watching_every},
    },
    sample::Batch,
};

const NO_BOUND: usize = usize::MAX;
const INTERVAL_SECS: f64 = 3.0;

fn tick(watch: &mut Watch, tick: u32, present: &[Arc<Member>]) -> Vec<Event> {
    let mut batch = Batch::new(f64::from(tick) * INTERVAL_SECS);
    for member in present {
        batch.push(Arc::clone(member), [anon(1e8 + f64::from(tick * member.identity.pid) * 1e4)]);
    }
    let mut events = Vec::new();
    watch.take_in(PROCESS, &batch, &mut events);
    events
}

fn leak() -> Finding {
    Finding {
        growth: Estimate { value: 1e4, lower: 9e3, upper: f64::INFINITY },
        confidence: 0.95,
        pattern: Pattern::Linear,
        severity: Severity::High,
        time_to_limit: None,
        floor: 2e8,
        since: 7.5,
        leaked: 1e6,
        evidence: Evidence { recent_pace: f64::NAN, ..Evidence::default() },
    }
}

/// Two processes of two targets, each after a restart; the first has a confirmed leak. The next tick is number `ticks`.
fn after(ticks: u32) -> (Watch, [Arc<Member>; 2]) {
    let mut watch = watching();
    let before = [member("web", 3, -50.0), member("db", 4, -60.0)];
    (0..20).for_each(|at| drop(tick(&mut watch, at, &before)));
    let members = [member("web", 1, 40.0), member("db", 2, 30.0)];
    (20..ticks).for_each(|at| drop(tick(&mut watch, at, &members)));
    let leaky = watch.sources[0].members.get_mut(&members[0].identity).unwrap();
    let owner = Owner { identity: members[0].identity, area: "anon" };
    let at = f64::from(ticks - 1) * INTERVAL_SECS;
    leaky.areas[0].judge.as_mut().unwrap().believe(leak(), owner, at);
    (watch, members)
}

fn read(body: &[u8]) -> Watch {
    let mut watch = watching();
    watch.resume(Remembered::decode(body, f64::MAX).unwrap());
    watch
}

/// The open episodes, each with its target.
fn episodes(watch: &Watch) -> Vec<(String, String, Seconds)> {
    let areas = watch.members().flat_map(|watched| watched.areas.iter().map(move |area| (watched, area)));
    let mut episodes: Vec<_> = areas
        .filter_map(|(watched, area)| {
            let episode = area.episode()?;
            Some((watched.member.target.name.to_string(), episode.id.to_string(), episode.since))
        })
        .collect();
    episodes.sort_by(|one, other| one.0.cmp(&other.0));
    episodes
}

fn restarts(watch: &Watch) -> Vec<u64> {
    watch.targets().map(|(_, record)| record.restarts).collect()
}

fn ended(events: &[Event]) -> usize {
    let is_end = |event: &&Event| matches!(event, Event::Episode { transition, .. } if transition.to == LeakState::None);
    events.iter().filter(is_end).count()
}

#[test]
fn what_is_known_comes_back_bit_for_bit_and_goes_on() {
    let (mut watch, members) = after(3000);
    let bytes = watch.encode(Vec::new(), NO_BOUND).unwrap().bytes;
    let mut again = read(&bytes);
    assert!(again.encode(Vec::new(), NO_BOUND).unwrap().bytes == bytes, "another state");
    assert_eq!(restarts(&again), [1, 1]);
    assert!(again.targets().all(|(_, record)| record.past_life("anon").is_some()));
    let known = episodes(&watch);
    assert!(known.iter().any(|(target, ..)| target == "web"), "{known:?}");
    for at in 3000..3100 {
        let (one, other) = (tick(&mut watch, at, &members), tick(&mut again, at, &members));
        assert_eq!(one.len(), other.len(), "tick {at}");
        assert_eq!(episodes(&again), known);
    }
    assert!(
        again.encode(Vec::new(), NO_BOUND).unwrap().bytes
            == watch.encode(Vec::new(), NO_BOUND).unwrap().bytes,
        "they part"
    );
}

#[test]
fn who_changed_meanwhile_begins_anew() {
    let (watch, [web, db]) = after(100);
    let bytes = watch.encode(Vec::new(), NO_BOUND).unwrap().bytes;
    let check = |present: &[Arc<Member>], episodes_ended: usize, restarts_then: [u64; 2]| {
        let mut again = read(&bytes);
        let events = tick(&mut again, 110, present);
        assert_eq!((ended(&events), restarts(&again)), (episodes_ended, restarts_then.to_vec()));
    };
    check(&[Arc::clone(&web), Arc::clone(&db)], 0, [1, 1]);
    check(&[Arc::clone(&db)], 1, [1, 1]);
    check(&[member("web", 9, 320.0), Arc::clone(&db)], 1, [1, 2]);
    let another = |generation| {
        Arc::new(Member {
            generation,
            info: web.info.clone(),
            target: Arc::clone(&web.target),
            group: web.group.clone(),
            ..*web
        })
    };
    check(&[another(Generation { program: 5, execs: 0 }), Arc::clone(&db)], 1, [1, 2]);

    // How often it called exec is counted by whoever watched it.
    let mut watch = watching();
    let execed = another(Generation { program: 0, execs: 3 });
    (0..60).for_each(|at| drop(tick(&mut watch, at, &[Arc::clone(&execed)])));
    let mut again = read(&watch.encode(Vec::new(), NO_BOUND).unwrap().bytes);
    tick(&mut again, 60, &[Arc::clone(&web)]);
    assert!(again.members().all(|watched| watched.areas[0].finding().is_some()), "its past was dropped");
}

#[test]
fn another_interval_or_table_or_the_future_is_noticed() {
    let (watch, members) = after(100);
    let bytes = watch.encode(Vec::new(), NO_BOUND).unwrap().bytes;
    let mut slower = watching_every(60.0);
    slower.resume(Remembered::decode(&bytes, f64::MAX).unwrap());
    assert_eq!(slower.judged_count(), 0);
    assert_eq!(ended(&tick(&mut slower, 110, &members)), 1, "a confirmed leak does not end in silence");

    let early = Remembered::decode(&bytes, 290.0).unwrap();
    assert_eq!((early.unsound, early.area_count(), early.member_count()), (2, 0, 2));

    // The last sample of these closed buckets, so that there was a look at it.
    let bytes = after(97).0.encode(Vec::new(), NO_BOUND).unwrap().bytes;
    let mut other_table = Remembered::decode(&bytes, f64::MAX).unwrap();
    other_table.model ^= 1;
    for area in other_table.collectors[0].members.values_mut().flat_map(|watched| &mut watched.areas) {
        area.judge.as_mut().unwrap().forget_measures();
    }
    let mut measured_anew = watching();
    measured_anew.resume(other_table);
    assert!(
        measured_anew.encode(Vec::new(), NO_BOUND).unwrap().bytes == bytes,
        "measured anew means the same measures"
    );
}

#[test]
fn where_room_is_short_open_episodes_and_old_processes_stay() {
    let (watch, members) = after(100);
    let whole = watch.encode(Vec::new(), NO_BOUND).unwrap().bytes.len();
    let encoded = watch.encode(Vec::new(), whole - 1).unwrap();
    assert_eq!(encoded.left_out, 1);
    assert!(encoded.bytes.len() < whole);
    let mut again = read(&encoded.bytes);
    assert_eq!((again.judged_count(), episodes(&again).len(), again.members().count()), (1, 1, 2));
    tick(&mut again, 100, &members);
    assert_eq!(restarts(&again), [1, 1], "who found no room is no newcomer");
}

/// Reads a body that may be anything, and works with whatever comes out.
fn survive(body: &[u8], members: &[Arc<Member>]) {
    let Ok(remembered) = Remembered::decode(body, 1e12) else { return };
    let mut watch = watching();
    watch.resume(remembered);
    tick(&mut watch, 200, members);
    tick(&mut watch, 2000, members);
    watch.encode(Vec::new(), NO_BOUND).unwrap();
    tick(&mut watch, 2001, &[]);
}

#[test]
fn no_body_does_harm() {
    let members = [member("web", 1, 40.0)];
    let mut watch = watching();
    (20..80).for_each(|at| drop(tick(&mut watch, at, &members)));
    let bytes = watch.encode(Vec::new(), NO_BOUND).unwrap().bytes;
    for length in 0..bytes.len() {
        survive(&bytes[..length], &members);
    }
    for (at, pattern) in (0..bytes.len()).flat_map(|at| [0x01, 0xff].map(|pattern| (at, pattern))) {
        let mut changed = bytes.clone();
        changed[at] ^= pattern;
        survive(&changed, &members);
    }
}
