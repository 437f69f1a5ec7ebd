//! What is known, as bytes and back, so that it outlives the exporter.
//!
//! A body is a head and then one record after the other: the collectors with their targets, all members (processes,
//! control groups), and the judged areas of the members, those with an open episode and then the oldest first, as far as
//! the body may grow. A member whose areas found no room is there all the same, so that it is not taken for a new one.
//!
//! What comes back goes through the same door as what was there all along: members that the next batch of their
//! collector does not show are gone, with their episodes, and whatever a reload would drop is dropped. So is what a
//! collector knew that does not run any more.

use super::{
    Watch,
    source::{Source, TargetRecord, WatchedArea, WatchedMember, end_episodes},
};
use crate::{
    detect::{
        episode::LeakState,
        judgement::{Circumstances, Scratch},
        model,
    },
    sample::{Counts, Generation, Identity, Member, Seconds, Target},
    series::ladder,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    mem,
    sync::Arc,
};

/// A counter beyond this was not counted: floats are exact up to here.
const MOST_COUNTED: u64 = 1 << 53;

/// What all records of a body have in common.
#[derive(Serialize, Deserialize)]
struct Head {
    /// For which table the features were kept.
    model: u64,
}

/// A record as it is written.
#[derive(Serialize)]
enum Written<'a> {
    Collector(&'a str, f64),
    Target(u32, &'a Target, &'a TargetRecord),
    Member(u32, &'a Member),
    Area(u32, &'a WatchedArea),
}

/// The same record as it is read.
#[derive(Deserialize)]
enum Record {
    /// The name of a collector and the seconds between two of its batches.
    Collector(String, f64),
    /// The number of its collector among the collectors, a target, and its history.
    Target(u32, Target, Box<TargetRecord>),
    /// The number of its collector, and a member.
    Member(u32, Member),
    /// The number of the member among the members, and one of its areas.
    Area(u32, Box<WatchedArea>),
}

/// What is known, as bytes.
pub(in crate::run) struct Encoded {
    pub(in crate::run) bytes: Vec<u8>,
    /// Areas that found no room.
    pub(in crate::run) left_out: u32,
}

/// What an earlier run knew.
#[derive(Default)]
pub(in crate::run) struct Remembered {
    model: u64,
    collectors: Vec<RememberedCollector>,
    /// Areas whose numbers make no sense, or lie in the future; they begin anew.
    pub(in crate::run) unsound: usize,
}

/// What an earlier run knew of the members of one collector.
struct RememberedCollector {
    name: String,
    interval_secs: f64,
    members: HashMap<Identity, WatchedMember>,
    targets: BTreeMap<Arc<Target>, TargetRecord>,
}

/// Bytes that grow up to a bound.
struct Room {
    bytes: Vec<u8>,
    most_bytes: usize,
}

impl Room {
    /// Adds a record, or nothing at all where it does not fit, and says which.
    fn add(&mut self, record: &impl Serialize) -> postcard::Result<bool> {
        let before = self.bytes.len();
        self.bytes = postcard::to_extend(record, mem::take(&mut self.bytes))?;
        let fits = self.bytes.len() <= self.most_bytes;
        if !fits {
            self.bytes.truncate(before);
        }
        Ok(fits)
    }
}

impl Watch {
    /// All that is known, appended to `bytes`, in at most so many with those.
    ///
    /// # Errors
    /// None that is known of: nothing here has a form that cannot be written.
    pub(in crate::run) fn encode(&self, bytes: Vec<u8>, most_bytes: usize) -> postcard::Result<Encoded> {
        let mut room = Room { bytes, most_bytes };
        room.add(&Head { model: model::FINGERPRINT })?;
        let mut members: Vec<(u32, &WatchedMember)> = Vec::new();
        for (number, source) in (0..).zip(&self.sources) {
            room.add(&Written::Collector(source.terms.collector, source.terms.interval_secs))?;
            for (target, record) in &source.targets {
                room.add(&Written::Target(number, target, record))?;
            }
            members.extend(source.members.values().map(|watched| (number, watched)));
        }
        members.sort_by(|(_, one), (_, other)| {
            let by_episode = other.has_episode().cmp(&one.has_episode());
            let by_age = one.member.started_at.total_cmp(&other.member.started_at);
            by_episode.then(by_age).then(one.member.identity.cmp(&other.member.identity))
        });
        let mut kept = Vec::with_capacity(members.len());
        for (number, watched) in members {
            if room.add(&Written::Member(number, &watched.member))? {
                kept.push(watched);
            }
        }
        let mut left_out = 0;
        for (number, watched) in (0..).zip(kept) {
            for area in watched.areas.iter().filter(|area| area.is_judged()) {
                left_out += u32::from(!room.add(&Written::Area(number, area))?);
            }
        }
        Ok(Encoded { bytes: room.bytes, left_out })
    }

    /// Goes on from what an earlier run knew, as far as the present configuration lets it.
    pub(in crate::run) fn resume(&mut self, remembered: Remembered) {
        let Remembered { model, collectors, unsound: _said_by_the_caller } = remembered;
        for known in collectors {
            let source = self.sources.iter_mut().find(|source| source.terms.collector == known.name);
            let Some(source) = source else {
                known.members.values().for_each(|watched| end_episodes(watched, &mut self.pending));
                continue;
            };
            let present = source.terms.clone();
            source.members = known.members;
            source.targets = known.targets;
            source.terms.interval_secs = known.interval_secs;
            if model != model::FINGERPRINT {
                measure_anew(source, &mut self.scratch);
            }
            source.reconfigure(present, &mut self.pending);
        }
    }

    /// How many real seconds make a second of the ladders.
    pub(in crate::run) fn pace(&self) -> f64 {
        ladder::pace(self.interval_secs)
    }
}

/// The features were kept for another table; the past that they came from is still there.
fn measure_anew(source: &mut Source, scratch: &mut Scratch) {
    for watched in source.members.values_mut() {
        let started_at = watched.member.started_at;
        for area in &mut watched.areas {
            let circumstances = Circumstances { unit: area.area.unit, started_at, limit: area.limit };
            if let Some(judge) = &mut area.judge {
                judge.measure_anew(&circumstances, scratch);
            }
        }
    }
}

impl WatchedMember {
    fn has_episode(&self) -> bool {
        self.areas.iter().any(|area| area.state() > LeakState::None)
    }
}

impl Remembered {
    /// Reads a body that was written at `latest`. It may be anything: what it takes up is bounded by its length.
    ///
    /// # Errors
    /// What is wrong with it, to follow "it".
    pub(in crate::run) fn decode(body: &[u8], latest: Seconds) -> Result<Self, String> {
        let unreadable = |error: postcard::Error| format!("cannot be read: {error}");
        let (head, mut rest): (Head, _) = postcard::take_from_bytes(body).map_err(unreadable)?;
        let mut decoding = Decoding {
            remembered: Self { model: head.model, ..Self::default() },
            order: Vec::new(),
            names: HashSet::new(),
            latest,
        };
        while !rest.is_empty() {
            let record;
            (record, rest) = postcard::take_from_bytes(rest).map_err(unreadable)?;
            decoding.take_in(record)?;
        }
        Ok(decoding.remembered)
    }

    fn members(&self) -> impl Iterator<Item = &WatchedMember> {
        self.collectors.iter().flat_map(|collector| collector.members.values())
    }

    /// How many processes, control groups and so on there were.
    pub(in crate::run) fn member_count(&self) -> usize {
        self.members().count()
    }

    /// How many judged areas they had.
    pub(in crate::run) fn area_count(&self) -> usize {
        self.members().map(|watched| watched.areas.len()).sum()
    }

    /// How many episodes were open.
    pub(in crate::run) fn episode_count(&self) -> usize {
        let areas = self.members().flat_map(|watched| &watched.areas);
        areas.filter(|area| area.state() > LeakState::None).count()
    }
}

/// A body that is being read.
struct Decoding {
    remembered: Remembered,
    /// The members in the order in which they came, each with the number of its collector.
    order: Vec<(usize, Identity)>,
    /// The names of areas, so that those of all processes are one in memory.
    names: HashSet<Arc<str>>,
    latest: Seconds,
}

impl Decoding {
    fn take_in(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Collector(name, interval_secs) => self.add_collector(name, interval_secs)?,
            Record::Target(number, target, mut record) => {
                record.restarts = record.restarts.min(MOST_COUNTED);
                record.episodes = record.episodes.min(MOST_COUNTED);
                if !record.counts.is_sound() {
                    record.counts = Counts::default();
                }
                if let Some(collector) = self.collector(number) {
                    collector.targets.insert(Arc::new(target), *record);
                }
            }
            Record::Member(number, member) => self.add_member(number, member),
            Record::Area(number, area) => self.add_area(number, *area),
        }
        Ok(())
    }

    fn add_collector(&mut self, name: String, interval_secs: f64) -> Result<(), String> {
        if !(interval_secs.is_finite() && interval_secs > 0.0) {
            return Err(format!("holds an impossible sampling interval, {interval_secs} s"));
        }
        let (members, targets) = (HashMap::new(), BTreeMap::new());
        let collector = RememberedCollector { name, interval_secs, members, targets };
        self.remembered.collectors.push(collector);
        Ok(())
    }

    fn collector(&mut self, number: u32) -> Option<&mut RememberedCollector> {
        self.remembered.collectors.get_mut(usize::try_from(number).ok()?)
    }

    fn add_member(&mut self, number: u32, mut member: Member) {
        // What cannot be placed keeps its number all the same, so that the areas behind it find their members.
        let position = usize::try_from(number).unwrap_or(usize::MAX);
        self.order.push((position, member.identity));
        let Some(collector) = self.collector(number) else { return };
        if let Some((target, _)) = collector.targets.get_key_value(&*member.target) {
            member.target = Arc::clone(target);
        }
        // Collectors count these from their own start on.
        member.generation = Generation { execs: 0, ..member.generation };
        let watched = WatchedMember::new(Arc::new(member));
        collector.members.insert(watched.member.identity, watched);
    }

    fn add_area(&mut self, number: u32, mut area: WatchedArea) {
        let place = usize::try_from(number).ok().and_then(|number| self.order.get(number).copied());
        let collectors = &mut self.remembered.collectors;
        let owner = place.and_then(|(at, identity)| collectors.get_mut(at)?.members.get_mut(&identity));
        let is_sound = area.judge.as_ref().is_some_and(|judge| judge.is_sound(self.latest));
        let Some(owner) = owner.filter(|_| is_sound) else {
            self.remembered.unsound += 1;
            return;
        };
        match self.names.get(&area.area.name) {
            Some(name) => area.area.name = Arc::clone(name),
            None => {
                self.names.insert(Arc::clone(&area.area.name));
            }
        }
        owner.areas.reserve_exact(1);
        owner.areas.push(area);
    }
}

#[cfg(test)]
mod tests;
