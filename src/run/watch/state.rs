//! What is known, as bytes and back, so that it outlives the exporter.
//!
//! A body is a head and then one record after the other: all targets, all processes, and the judged areas of the
//! processes, those with an open episode and then the oldest first, as far as the body may grow. A process whose areas
//! found no room is there all the same, so that it is not taken for a new one.
//!
//! What comes back goes through the same door as what was there all along: processes that the next batch does not show
//! are gone, with their episodes, and whatever a reload would drop is dropped.

use super::{TargetRecord, Watch, WatchedArea, WatchedMember};
use crate::{
    detect::{episode::LeakState, judgement::Circumstances, model},
    sample::{Generation, Identity, Member, Seconds, Target},
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
    interval_secs: f64,
    /// For which table the features were kept.
    model: u64,
}

/// A record as it is written.
#[derive(Serialize)]
enum Written<'a> {
    Target(&'a Target, &'a TargetRecord),
    Member(&'a Member),
    Area(u32, &'a WatchedArea),
}

/// The same record as it is read.
#[derive(Deserialize)]
enum Record {
    Target(Target, TargetRecord),
    Member(Member),
    /// The number of the process among the processes, and one of its areas.
    Area(u32, Box<WatchedArea>),
}

/// What is known, as bytes.
pub(in crate::run) struct Encoded {
    pub(in crate::run) bytes: Vec<u8>,
    /// Areas that found no room.
    pub(in crate::run) left_out: u32,
}

/// What an earlier run knew.
pub(in crate::run) struct Remembered {
    interval_secs: f64,
    model: u64,
    members: HashMap<Identity, WatchedMember>,
    targets: BTreeMap<Arc<Target>, TargetRecord>,
    /// Areas whose numbers make no sense, or lie in the future; they begin anew.
    pub(in crate::run) unsound: usize,
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
        room.add(&Head { interval_secs: self.interval_secs, model: model::FINGERPRINT })?;
        for (target, record) in &self.targets {
            room.add(&Written::Target(target, record))?;
        }
        let mut members: Vec<&WatchedMember> = self.members.values().collect();
        members.sort_by(|one, other| {
            let by_episode = other.has_episode().cmp(&one.has_episode());
            let by_age = one.member.started_at.total_cmp(&other.member.started_at);
            by_episode.then(by_age).then(one.member.identity.cmp(&other.member.identity))
        });
        let mut kept = Vec::with_capacity(members.len());
        for watched in members {
            if room.add(&Written::Member(&watched.member))? {
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
        let Remembered { interval_secs, model, members, targets, unsound: _said_by_the_caller } = remembered;
        let (judged_areas, present_secs) = (mem::take(&mut self.judged_areas), self.interval_secs);
        self.members = members;
        self.targets = targets;
        self.interval_secs = interval_secs;
        if model != model::FINGERPRINT {
            self.measure_anew();
        }
        self.reconfigure(judged_areas, present_secs);
    }

    /// The features were kept for another table; the past that they came from is still there.
    fn measure_anew(&mut self) {
        for watched in self.members.values_mut() {
            let started_at = watched.member.started_at;
            for area in &mut watched.areas {
                let circumstances = Circumstances { unit: area.area.unit, started_at, limit: area.limit };
                if let Some(judge) = &mut area.judge {
                    judge.measure_anew(&circumstances, &mut self.scratch);
                }
            }
        }
    }

    /// How many real seconds make a second of the ladders.
    pub(in crate::run) fn pace(&self) -> f64 {
        ladder::pace(self.interval_secs)
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
        let Head { interval_secs, model } = head;
        if !(interval_secs.is_finite() && interval_secs > 0.0) {
            return Err(format!("holds an impossible sampling interval, {interval_secs} s"));
        }
        let (members, targets) = (HashMap::new(), BTreeMap::new());
        let mut decoding = Decoding {
            remembered: Self { interval_secs, model, members, targets, unsound: 0 },
            order: Vec::new(),
            names: HashSet::new(),
            latest,
        };
        while !rest.is_empty() {
            let record;
            (record, rest) = postcard::take_from_bytes(rest).map_err(unreadable)?;
            decoding.take_in(record);
        }
        Ok(decoding.remembered)
    }

    /// How many processes there were.
    pub(in crate::run) fn member_count(&self) -> usize {
        self.members.len()
    }

    /// How many judged areas they had.
    pub(in crate::run) fn area_count(&self) -> usize {
        self.members.values().map(|watched| watched.areas.len()).sum()
    }

    /// How many episodes were open.
    pub(in crate::run) fn episode_count(&self) -> usize {
        let areas = self.members.values().flat_map(|watched| &watched.areas);
        areas.filter(|area| area.state() > LeakState::None).count()
    }
}

/// A body that is being read.
struct Decoding {
    remembered: Remembered,
    /// The processes in the order in which they came.
    order: Vec<Identity>,
    /// The names of areas, so that those of all processes are one in memory.
    names: HashSet<Arc<str>>,
    latest: Seconds,
}

impl Decoding {
    fn take_in(&mut self, record: Record) {
        let Remembered { members, targets, unsound, .. } = &mut self.remembered;
        match record {
            Record::Target(target, mut record) => {
                record.restarts = record.restarts.min(MOST_COUNTED);
                record.episodes = record.episodes.min(MOST_COUNTED);
                targets.insert(Arc::new(target), record);
            }
            Record::Member(mut member) => {
                if let Some((target, _)) = targets.get_key_value(&*member.target) {
                    member.target = Arc::clone(target);
                }
                // Collectors count these from their own start on.
                member.generation = Generation { execs: 0, ..member.generation };
                self.order.push(member.identity);
                let watched = WatchedMember { member: Arc::new(member), seen: 0, areas: Vec::new() };
                members.insert(watched.member.identity, watched);
            }
            Record::Area(number, mut area) => {
                let identity = usize::try_from(number).ok().and_then(|number| self.order.get(number));
                let owner = identity.and_then(|identity| members.get_mut(identity));
                let latest = self.latest;
                let is_sound = area.judge.as_ref().is_some_and(|judge| judge.is_sound(latest));
                let Some(owner) = owner.filter(|_| is_sound) else {
                    *unsound += 1;
                    return;
                };
                match self.names.get(&area.area.name) {
                    Some(name) => area.area.name = Arc::clone(name),
                    None => {
                        self.names.insert(Arc::clone(&area.area.name));
                    }
                }
                owner.areas.reserve_exact(1);
                owner.areas.push(*area);
            }
        }
    }
}

#[cfg(test)]
mod tests;
