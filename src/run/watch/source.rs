//! What is known of the members of one collector: who is here, who was replaced, who is gone.
//!
//! A member is gone when a batch of its own collector no longer has it; what other collectors see says nothing of it.
//! Each collector has targets of its own, so two that name the same one would show it twice.

use super::{
    Event,
    budgets::{Budgets, Heard},
};
use crate::{
    config::Judged,
    detect::{
        episode::{LeakState, Transition},
        finding::{Finding, Pattern},
        judge::{Judge, Owner, Step},
        judgement::{Circumstances, Scratch},
        pair::Relation,
        quantile::Quantiles,
    },
    sample::{
        Area, Batch, Beside, Counts, Identity, Limit, LimitSource, Member, Sample, Seconds, Target,
        TargetInfo,
    },
    series::{histogram::Histogram, ladder::Ladder, life::PastLife},
    severity::Table,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

mod told;

/// What was learned survives a change of the sampling interval by at most this factor; beyond it the widths of the
/// horizons no longer fit.
const INTERVAL_FACTOR: f64 = 4.0;
/// Of targets that have vanished so many are remembered at most, the latest first.
const MOST_GONE: usize = 1_000;
/// A target that has vanished keeps its counters this long, so that what ended it is still seen.
const REMEMBER_GONE_SECS: f64 = 15.0 * 60.0;
/// Two starts of one member differ by less than this, as the clocks do that they were read from.
const SAME_START_SECS: f64 = 1.0;
/// A generation of processes that lived for fewer ticks than this was a command, and its successor no restart.
const LEAST_LIFE_TICKS: f64 = 10.0;

/// How one collector is watched.
#[derive(Clone, Debug)]
pub(in crate::run) struct Terms {
    /// Its name.
    pub(in crate::run) collector: &'static str,
    /// The areas that are judged.
    pub(in crate::run) judged: Judged,
    /// Seconds between two of its batches.
    pub(in crate::run) interval_secs: f64,
    /// Whether its targets can have budgets.
    pub(in crate::run) has_budgets: bool,
}

/// What is remembered of one collector's members and targets.
pub(super) struct Source {
    pub(super) terms: Terms,
    tick: u64,
    /// The time of the first batch.
    began_at: Option<Seconds>,
    pub(super) members: HashMap<Identity, WatchedMember>,
    pub(super) targets: BTreeMap<Arc<Target>, TargetRecord>,
    pub(super) budgets: Budgets,
}

/// What all sources work with.
pub(super) struct Desk<'a> {
    pub(super) scratch: &'a mut Scratch,
    pub(super) events: &'a mut Vec<Event>,
}

/// When a sample was taken, and how far it lies from the next one.
#[derive(Clone, Copy)]
struct Taken {
    at: Seconds,
    interval_secs: f64,
}

/// One process.
pub(in crate::run) struct WatchedMember {
    pub(in crate::run) member: Arc<Member>,
    pub(super) seen: u64,
    /// What the kernel had counted when that was read last.
    pub(super) counts: Counts,
    /// How long its answers took lately, of an application that tells.
    response_times: Option<Box<Histogram>>,
    /// When the oldest file of a directory was written last.
    pub(in crate::run) oldest_file_at: Option<Seconds>,
    pub(in crate::run) areas: Vec<WatchedArea>,
}

/// One area of one process.
#[derive(Serialize, Deserialize)]
pub(in crate::run) struct WatchedArea {
    pub(in crate::run) area: Area,
    pub(in crate::run) size: f64,
    pub(in crate::run) limit: Option<Limit>,
    pub(in crate::run) sampled_at: Seconds,
    pub(super) judge: Option<Box<Judge>>,
    /// What its growth is called beside another area of the same process, where that says more.
    #[serde(skip)]
    paired: Option<Pattern>,
    /// Whether its growth is told of already by what is inside; none where that is no question.
    #[serde(skip)]
    pub(in crate::run) explained: Option<bool>,
}

/// A target's history.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::run) struct TargetRecord {
    pub(in crate::run) info: TargetInfo,
    pub(in crate::run) restarts: u64,
    pub(in crate::run) episodes: u64,
    /// What has been counted since the target was seen first.
    pub(in crate::run) counts: Counts,
    /// By how much its event loop was late when that was told last, in seconds.
    #[serde(skip)]
    pub(in crate::run) event_loop_lag_secs: Option<Seconds>,
    /// How long its answers take, by what was told last.
    #[serde(skip)]
    pub(in crate::run) response_times: Option<Quantiles>,
    #[serde(skip)]
    pub(in crate::run) is_expected: bool,
    /// Processes at the last tick.
    pub(in crate::run) members: u32,
    /// Since when it has had processes without a break; none while it has none.
    generation_since: Option<Seconds>,
    last_generation_life_secs: f64,
    #[serde(skip)]
    survivors: u32,
    #[serde(skip)]
    newcomers: u32,
    gone_since: Option<Seconds>,
    /// How the last process of this target fared, by area.
    past_lives: Vec<(Arc<str>, PastLife)>,
}

impl Source {
    pub(super) fn new(terms: Terms) -> Self {
        let (members, targets) = (HashMap::new(), BTreeMap::new());
        Self { terms, tick: 0, began_at: None, members, targets, budgets: Budgets::default() }
    }

    /// Takes over a new configuration; what was learned stays where it still fits.
    pub(super) fn reconfigure(&mut self, terms: Terms, events: &mut Vec<Event>) {
        let (before, now) = (self.terms.interval_secs, terms.interval_secs);
        let factor = (before / now).max(now / before);
        for watched in self.members.values_mut() {
            for area in &mut watched.areas {
                // What the file does not say any more; if it does, the next sample brings it back.
                area.limit = area.limit.filter(|limit| limit.source != LimitSource::Configured);
                let is_judged =
                    terms.judged.includes(&watched.member.target.name, &area.area.name, |_| false);
                if factor > INTERVAL_FACTOR || !is_judged {
                    end_episode(&watched.member, area, events);
                    area.judge = None;
                }
            }
        }
        for record in self.targets.values_mut() {
            record.is_expected = false;
        }
        self.terms = terms;
    }

    /// Holds its targets against their budgets, as they are after the last batch.
    pub(super) fn judge_budgets(&mut self, at: Seconds, events: &mut Vec<Event>) {
        self.budgets.take_in(self.members.values(), Heard { at, tick: self.tick }, events);
    }

    /// Forgets what was learned of a target, and says of how many areas.
    pub(super) fn forget(&mut self, target: &Target, events: &mut Vec<Event>) -> usize {
        let mut forgotten = 0;
        let of_target = |watched: &&mut WatchedMember| *watched.member.target == *target;
        for watched in self.members.values_mut().filter(of_target) {
            for area in &mut watched.areas {
                if area.judge.is_some() {
                    end_episode(&watched.member, area, events);
                    (area.judge, area.paired, area.explained) = (None, None, None);
                    forgotten += 1;
                }
            }
        }
        if let Some(record) = self.targets.get_mut(target) {
            record.past_lives.clear();
        }
        forgotten
    }

    /// Grades the verdicts that stand by another table.
    pub(super) fn grade(&mut self, table: &Table) {
        let areas = self.members.values_mut().flat_map(|watched| &mut watched.areas);
        for judge in areas.filter_map(|area| area.judge.as_mut()) {
            judge.grade(table);
        }
    }

    /// Takes in what the collector saw of all its members: remembers, judges, and forgets who is gone.
    pub(super) fn take_in(&mut self, batch: &Batch, desk: &mut Desk<'_>) {
        self.tick += 1;
        for target in &batch.expected {
            self.targets.entry(Arc::clone(target)).or_default().is_expected = true;
        }
        for record in self.targets.values_mut() {
            (record.survivors, record.newcomers) = (0, 0);
        }
        for (member, samples) in batch.readings() {
            self.take_in_member(member, samples, batch.at, desk);
        }
        self.began_at.get_or_insert(batch.at);
        for (identity, counts) in &batch.counted {
            self.take_in_counts(*identity, counts, batch.at);
        }
        for (identity, area) in &batch.ended {
            self.end_area(*identity, area, desk);
        }
        for (identity, oldest_file_at) in &batch.oldest_files {
            if let Some(watched) = self.members.get_mut(identity) {
                watched.oldest_file_at = *oldest_file_at;
            }
        }
        if batch.may_lack_members {
            self.keep_the_unseen();
        }
        self.take_in_told(batch);
        self.forget_the_gone(batch, desk);
        self.close_generations(batch.at, desk.events);
    }

    fn take_in_member(&mut self, member: &Arc<Member>, samples: &[Sample], at: Seconds, desk: &mut Desk<'_>) {
        let known = self.members.remove(&member.identity);
        // The same process as another program called exec: its memory is a new one.
        let same_program = |known: &WatchedMember| {
            known.member.generation == member.generation && known.member.target == member.target
        };
        let known = match known {
            Some(known) if !same_program(&known) => {
                let target = Arc::clone(&known.member.target);
                end_episodes(&known, desk.events);
                if let Some(record) = self.targets.get_mut(&target) {
                    record.members = record.members.saturating_sub(1);
                }
                None
            }
            other => other,
        };
        let record = self.targets.entry(Arc::clone(&member.target)).or_default();
        match &known {
            Some(_) => record.survivors += 1,
            None => record.newcomers += 1,
        }
        if known.as_ref().is_none_or(|known| !Arc::ptr_eq(&known.member, member)) {
            record.info.clone_from(&member.info);
        }
        let mut watched = known.unwrap_or_else(|| WatchedMember::new(Arc::clone(member)));
        // A collector that starts anew may know a member for a shorter time than it was known here.
        if watched.member.started_at >= member.started_at - SAME_START_SECS {
            watched.member = Arc::clone(member);
        }
        watched.seen = self.tick;
        let mut looked = false;
        let taken = Taken { at, interval_secs: self.terms.interval_secs };
        for sample in samples {
            looked |= self.take_in_sample(&mut watched, sample, taken, desk);
        }
        if looked {
            watched.pair_areas();
        }
        self.members.insert(member.identity, watched);
    }

    /// Takes in what another collector, with an interval of its own, tells of a member; nothing if that is gone.
    pub(super) fn take_in_beside(
        &mut self,
        beside: &Beside,
        at: Seconds,
        interval_secs: f64,
        desk: &mut Desk<'_>,
    ) {
        let Some(mut watched) = self.members.remove(&beside.identity) else { return };
        let mut looked = false;
        for sample in &beside.samples {
            looked |= self.take_in_sample(&mut watched, sample, Taken { at, interval_secs }, desk);
        }
        if looked {
            watched.pair_areas();
        }
        self.members.insert(beside.identity, watched);
        self.take_in_counts(beside.identity, &beside.counts, at);
    }

    /// Takes in a sample and says whether there was a new look at its area.
    fn take_in_sample(
        &mut self,
        watched: &mut WatchedMember,
        sample: &Sample,
        taken: Taken,
        desk: &mut Desk<'_>,
    ) -> bool {
        let Taken { at, interval_secs } = taken;
        let position = watched.areas.iter().position(|known| is_same(&known.area, &sample.area));
        let index = position.unwrap_or(watched.areas.len());
        if position.is_none() {
            watched.areas.reserve_exact(1);
            watched.areas.push(WatchedArea::new(sample, at));
        }
        let has = |name: &str| watched.areas.iter().any(|known| *known.area.name == *name);
        let is_judged = self.terms.judged.includes(&watched.member.target.name, &sample.area.name, has);
        let Some(area) = watched.areas.get_mut(index) else { return false };
        area.size = sample.size;
        area.limit = sample.limit.or(area.limit);
        area.sampled_at = at;
        if !is_judged {
            if area.judge.is_some() {
                end_episode(&watched.member, area, desk.events);
                area.judge = None;
            }
            return false;
        }
        let judge = area.judge.get_or_insert_with(|| {
            let record = self.targets.get(&watched.member.target);
            let past = record.and_then(|record| record.past_life(&area.area.name)).cloned();
            Box::new(past.map_or_else(|| Judge::new(interval_secs), |past| Judge::after(past, interval_secs)))
        });
        let circumstances =
            Circumstances { unit: area.area.unit, started_at: watched.member.started_at, limit: area.limit };
        let owner = Owner { identity: watched.member.identity, area: &area.area.name };
        let Step { looked, transition } = judge.take_in(at, sample.size, &circumstances, owner, desk.scratch);
        if let Some(finding) = judge.finding().filter(|_| looked) {
            desk.events.push(Event::Verdict(finding.clone(), area.area.unit));
        }
        let Some(transition) = transition else { return looked };
        if transition.to == LeakState::Confirmed
            && let Some(record) = self.targets.get_mut(&watched.member.target)
        {
            record.episodes += 1;
        }
        desk.events.push(Event::Episode {
            member: Arc::clone(&watched.member),
            area: area.area.clone(),
            transition,
            finding: area.told(),
        });
        looked
    }

    /// Forgets an area that its member no longer has.
    fn end_area(&mut self, identity: Identity, ended: &Area, desk: &mut Desk<'_>) {
        let Some(watched) = self.members.get_mut(&identity) else { return };
        let member = Arc::clone(&watched.member);
        watched.areas.retain(|area| {
            let stays = !is_same(&area.area, ended);
            if !stays {
                end_episode(&member, area, desk.events);
            }
            stays
        });
    }

    /// Who was not seen goes on as it was.
    fn keep_the_unseen(&mut self) {
        for watched in self.members.values_mut().filter(|watched| watched.seen != self.tick) {
            watched.seen = self.tick;
            if let Some(record) = self.targets.get_mut(&watched.member.target) {
                record.survivors += 1;
            }
        }
    }

    fn forget_the_gone(&mut self, batch: &Batch, desk: &mut Desk<'_>) {
        let (tick, at) = (self.tick, batch.at);
        let before = self.members.len();
        let targets = &mut self.targets;
        let least_life_secs = LEAST_LIFE_TICKS * self.terms.interval_secs;
        self.members.retain(|_, watched| {
            let is_here = watched.seen == tick;
            if !is_here && batch.silent.contains(&watched.member.target) {
                if let Some(record) = targets.get_mut(&watched.member.target) {
                    record.survivors += 1;
                    // Of the last minutes nothing is known.
                    record.response_times = None;
                }
                return true;
            }
            if !is_here {
                end_episodes(watched, desk.events);
                if let Some(record) = targets.get_mut(&watched.member.target)
                    && at - watched.member.started_at >= least_life_secs
                {
                    record.remember_life(watched, desk.scratch);
                }
            }
            is_here
        });
        if self.members.len() < before / 2 {
            self.members.shrink_to_fit();
        }
        self.forget_gone_targets(at);
    }

    /// Remembers of the vanished targets those that have something to tell, and of these the latest.
    fn forget_gone_targets(&mut self, at: Seconds) {
        let least_life_secs = LEAST_LIFE_TICKS * self.terms.interval_secs;
        let gone_since = |record: &TargetRecord| record.gone_since.filter(|_| !record.is_expected);
        self.targets.retain(|_, record| {
            gone_since(record)
                .is_none_or(|since| at - since < REMEMBER_GONE_SECS && record.has_history(least_life_secs))
        });
        let mut gone: Vec<Seconds> = self.targets.values().filter_map(gone_since).collect();
        if gone.len() > MOST_GONE {
            let surplus = gone.len() - MOST_GONE;
            let (_, oldest_kept, _) = gone.select_nth_unstable_by(surplus, f64::total_cmp);
            let oldest_kept = *oldest_kept;
            self.targets.retain(|_, record| gone_since(record).is_none_or(|since| since >= oldest_kept));
        }
    }

    /// Counts each target's processes and sees whether all of them were replaced.
    fn close_generations(&mut self, at: Seconds, events: &mut Vec<Event>) {
        let least_life_secs = LEAST_LIFE_TICKS * self.terms.interval_secs;
        for (target, record) in &mut self.targets {
            record.members = record.survivors + record.newcomers;
            if record.survivors == 0 && record.newcomers == 0 {
                (record.event_loop_lag_secs, record.response_times) = (None, None);
            }
            if record.survivors == 0
                && let Some(since) = record.generation_since.take()
            {
                record.last_generation_life_secs = at - since;
            }
            if record.members == 0 {
                record.gone_since.get_or_insert(at);
                continue;
            }
            record.gone_since = None;
            if record.generation_since.is_none() {
                record.generation_since = Some(at);
                if record.last_generation_life_secs >= least_life_secs {
                    record.restarts += 1;
                    let is_managed = !record.info.unit.is_empty() || !record.info.container.is_empty();
                    events.push(Event::Restart {
                        target: Arc::clone(target),
                        is_service: record.is_expected || is_managed,
                    });
                }
            }
        }
    }
}

impl WatchedMember {
    pub(super) fn new(member: Arc<Member>) -> Self {
        Self {
            member,
            seen: 0,
            counts: Counts::default(),
            response_times: None,
            oldest_file_at: None,
            areas: Vec::new(),
        }
    }
}

/// Whether two areas are one; nearly always they share their name in memory.
pub(super) fn is_same(one: &Area, other: &Area) -> bool {
    Arc::ptr_eq(&one.name, &other.name) || one == other
}

impl TargetRecord {
    /// How the last process that ended fared in an area.
    pub(super) fn past_life(&self, area: &str) -> Option<&PastLife> {
        self.past_lives.iter().find(|(name, _)| **name == *area).map(|(_, past)| past)
    }

    /// Keeps what the next process of this target should know of one that ended.
    fn remember_life(&mut self, ended: &WatchedMember, scratch: &mut Scratch) {
        for area in &ended.areas {
            let Some(judge) = &area.judge else { continue };
            let past = judge.end(ended.member.started_at, scratch);
            match self.past_lives.iter_mut().find(|(name, _)| *name == area.area.name) {
                Some((_, known)) => *known = past,
                None => self.past_lives.push((Arc::clone(&area.area.name), past)),
            }
        }
    }

    /// Whether there is anything to tell of it once it is gone; a command that ran for a moment leaves nothing.
    fn has_history(&self, least_life_secs: f64) -> bool {
        self.restarts + self.episodes > 0
            || self.counts.has_counted()
            || self.last_generation_life_secs >= least_life_secs
    }
}

impl WatchedMember {
    /// Puts areas that belong together side by side, and names what they show.
    fn pair_areas(&mut self) {
        if self.areas.iter().filter(|area| area.is_judged()).count() < 2 {
            return;
        }
        let paired: Vec<Option<Pattern>> = self.areas.iter().map(|area| self.pattern_beside(area)).collect();
        for (area, pattern) in self.areas.iter_mut().zip(paired) {
            area.paired = pattern;
        }
    }

    fn pattern_beside(&self, area: &WatchedArea) -> Option<Pattern> {
        let finding = area.finding()?;
        self.areas
            .iter()
            .find_map(|other| Relation::of(&area.area, &other.area)?.name(finding, other.finding()?))
    }
}

impl WatchedArea {
    pub(super) fn new(sample: &Sample, at: Seconds) -> Self {
        Self {
            area: sample.area.clone(),
            size: sample.size,
            limit: sample.limit,
            sampled_at: at,
            judge: None,
            paired: None,
            explained: None,
        }
    }

    /// Whether it is judged at all.
    pub(in crate::run) fn is_judged(&self) -> bool {
        self.judge.is_some()
    }

    /// What is remembered of it; none where it is not judged.
    pub(in crate::run) fn ladder(&self) -> Option<&Ladder> {
        self.judge.as_ref().map(|judge| judge.ladder())
    }

    /// The state of its episode.
    pub(in crate::run) fn state(&self) -> LeakState {
        self.judge.as_ref().map_or(LeakState::None, |judge| judge.state())
    }

    /// The last verdict.
    pub(in crate::run) fn finding(&self) -> Option<&Finding> {
        self.judge.as_ref()?.finding()
    }

    /// The last verdict as people are told it: with what another area of the process says of it.
    pub(in crate::run) fn told(&self) -> Option<Finding> {
        let finding = self.finding()?;
        Some(Finding { pattern: self.paired.unwrap_or(finding.pattern), ..finding.clone() })
    }

    /// The open episode.
    pub(in crate::run) fn episode(&self) -> Option<&crate::detect::episode::Episode> {
        self.judge.as_ref()?.episode()
    }
}

/// A process that ends takes its episodes with it.
pub(super) fn end_episodes(watched: &WatchedMember, events: &mut Vec<Event>) {
    for area in &watched.areas {
        end_episode(&watched.member, area, events);
    }
}

fn end_episode(member: &Arc<Member>, area: &WatchedArea, events: &mut Vec<Event>) {
    if let Some(episode) = area.episode() {
        events.push(Event::Episode {
            member: Arc::clone(member),
            area: area.area.clone(),
            transition: Transition { from: area.state(), to: LeakState::None, episode: *episode },
            finding: None,
        });
    }
}
