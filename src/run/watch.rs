//! What is known between two ticks: every process with its areas, and every target with its history.

use self::budgets::Budgets;
use crate::{
    config::Sensitivity,
    detect::{
        episode::{LeakState, Transition},
        finding::{Finding, Pattern},
        judge::{Judge, Owner, Step},
        judgement::{Circumstances, Scratch},
        pair::Relation,
        severity,
    },
    sample::{Area, Batch, Identity, Limit, Member, Sample, Seconds, Target, TargetInfo},
    series::life::PastLife,
    severity::Table,
};
use serde::{Deserialize, Serialize};
pub(super) use state::{Encoded, Remembered};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

mod budgets;
mod state;

pub(super) use self::budgets::BudgetChange;

/// What was learned survives a change of the sampling interval by at most this factor; beyond it the widths of the
/// horizons no longer fit.
const INTERVAL_FACTOR: f64 = 4.0;
/// Of targets that have vanished so many are remembered at most, the latest first.
const MOST_GONE: usize = 1_000;
/// A target that has vanished keeps its counters this long, so that what ended it is still seen.
const REMEMBER_GONE_SECS: f64 = 15.0 * 60.0;
/// A generation of processes that lived for fewer ticks than this was a command, and its successor no restart.
const LEAST_LIFE_TICKS: f64 = 10.0;
/// So many suspects at most are read in full at every tick.
const MAX_SUSPECTS: usize = 256;

/// Everything that is remembered.
pub(super) struct Watch {
    judged_areas: Vec<Arc<str>>,
    interval_secs: f64,
    tick: u64,
    members: HashMap<Identity, WatchedMember>,
    targets: BTreeMap<Arc<Target>, TargetRecord>,
    /// What happened outside of a tick, to be told at the next one.
    pending: Vec<Event>,
    scratch: Scratch,
    budgets: Budgets,
}

/// One process.
pub(super) struct WatchedMember {
    pub(super) member: Arc<Member>,
    seen: u64,
    pub(super) areas: Vec<WatchedArea>,
}

/// One area of one process.
#[derive(Serialize, Deserialize)]
pub(super) struct WatchedArea {
    pub(super) area: Area,
    pub(super) size: f64,
    pub(super) limit: Option<Limit>,
    pub(super) sampled_at: Seconds,
    judge: Option<Box<Judge>>,
    /// What its growth is called beside another area of the same process, where that says more.
    #[serde(skip)]
    paired: Option<Pattern>,
}

/// A target's history.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct TargetRecord {
    pub(super) info: TargetInfo,
    pub(super) restarts: u64,
    pub(super) episodes: u64,
    #[serde(skip)]
    pub(super) is_expected: bool,
    /// Processes at the last tick.
    pub(super) members: u32,
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

/// Something that people are told of.
pub(super) enum Event {
    /// An episode changed its state.
    Episode {
        /// Who.
        member: Arc<Member>,
        /// Which area of it.
        area: Area,
        /// From what to what.
        transition: Transition,
        /// The verdict that led to it; none when the process ended or is no longer judged.
        finding: Option<Finding>,
    },
    /// All processes of a target were replaced.
    Restart {
        /// Which.
        target: Arc<Target>,
        /// Whether it is expected, a unit or a container, and not just a tool that was run again.
        is_service: bool,
    },
    /// A number of a budget was reached, or is kept again.
    Budget(BudgetChange),
    /// A new verdict, for the spread over all areas.
    Verdict(Finding, crate::sample::Unit),
}

impl Watch {
    pub(super) fn new(judged_areas: Vec<Arc<str>>, interval_secs: f64) -> Self {
        Self {
            judged_areas,
            interval_secs,
            tick: 0,
            members: HashMap::new(),
            targets: BTreeMap::new(),
            pending: Vec::new(),
            scratch: Scratch::default(),
            budgets: Budgets::default(),
        }
    }

    /// Puts budgets in force; what was measured stays for the targets whose budget is the same as before.
    pub(super) fn set_budgets(&mut self, sensitivity: &Sensitivity) {
        self.budgets.reconfigure(sensitivity, self.interval_secs, &mut self.pending);
    }

    /// Puts a table of severities in force, for the verdicts that stand as well; none is the built-in one.
    pub(super) fn set_severity(&mut self, table: Option<&Table>) {
        self.scratch.severity = table.cloned().unwrap_or_else(severity::built_in);
        self.grade();
    }

    /// The table of severities in force.
    pub(super) fn severity(&self) -> &Table {
        &self.scratch.severity
    }

    fn grade(&mut self) {
        let areas = self.members.values_mut().flat_map(|watched| &mut watched.areas);
        for judge in areas.filter_map(|area| area.judge.as_mut()) {
            judge.grade(&self.scratch.severity);
        }
    }

    /// Takes over a new configuration; what was learned stays where it still fits.
    pub(super) fn reconfigure(&mut self, judged_areas: Vec<Arc<str>>, interval_secs: f64) {
        let factor = (self.interval_secs / interval_secs).max(interval_secs / self.interval_secs);
        for watched in self.members.values_mut() {
            for area in &mut watched.areas {
                if factor > INTERVAL_FACTOR || !judged_areas.contains(&area.area.name) {
                    end_episode(&watched.member, area, &mut self.pending);
                    area.judge = None;
                }
            }
        }
        for record in self.targets.values_mut() {
            record.is_expected = false;
        }
        self.judged_areas = judged_areas;
        self.interval_secs = interval_secs;
    }

    /// Takes in what a collector saw of all its members: remembers, judges, and forgets who is gone.
    pub(super) fn take_in(&mut self, batch: &Batch, events: &mut Vec<Event>) {
        self.tick += 1;
        events.append(&mut self.pending);
        for target in &batch.expected {
            self.targets.entry(Arc::clone(target)).or_default().is_expected = true;
        }
        for record in self.targets.values_mut() {
            (record.survivors, record.newcomers) = (0, 0);
        }
        for (member, samples) in batch.readings() {
            self.take_in_member(member, samples, batch.at, events);
        }
        self.forget_the_gone(batch.at, events);
        self.close_generations(batch.at, events);
        self.budgets.take_in(self.members.values(), batch.at, events);
    }

    fn take_in_member(
        &mut self,
        member: &Arc<Member>,
        samples: &[Sample],
        at: Seconds,
        events: &mut Vec<Event>,
    ) {
        let known = self.members.remove(&member.identity);
        // The same process as another program called exec: its memory is a new one.
        let same_program = |known: &WatchedMember| {
            known.member.generation == member.generation && known.member.target == member.target
        };
        let known = match known {
            Some(known) if !same_program(&known) => {
                let target = Arc::clone(&known.member.target);
                end_episodes(&known, events);
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
        let mut watched =
            known.unwrap_or_else(|| WatchedMember { member: Arc::clone(member), seen: 0, areas: Vec::new() });
        watched.member = Arc::clone(member);
        watched.seen = self.tick;
        let mut looked = false;
        for sample in samples {
            looked |= self.take_in_sample(&mut watched, sample, at, events);
        }
        if looked {
            watched.pair_areas();
        }
        self.members.insert(member.identity, watched);
    }

    /// Takes in a sample and says whether there was a new look at its area.
    fn take_in_sample(
        &mut self,
        watched: &mut WatchedMember,
        sample: &Sample,
        at: Seconds,
        events: &mut Vec<Event>,
    ) -> bool {
        let position = watched.areas.iter().position(|known| is_same(&known.area, &sample.area));
        let index = position.unwrap_or(watched.areas.len());
        if position.is_none() {
            watched.areas.reserve_exact(1);
            watched.areas.push(WatchedArea::new(sample, at));
        }
        let Some(area) = watched.areas.get_mut(index) else { return false };
        area.size = sample.size;
        area.limit = sample.limit.or(area.limit);
        area.sampled_at = at;
        if !self.judged_areas.contains(&area.area.name) {
            return false;
        }
        let interval_secs = self.interval_secs;
        let judge = area.judge.get_or_insert_with(|| {
            let record = self.targets.get(&watched.member.target);
            let past = record.and_then(|record| record.past_life(&area.area.name)).cloned();
            Box::new(past.map_or_else(|| Judge::new(interval_secs), |past| Judge::after(past, interval_secs)))
        });
        let circumstances =
            Circumstances { unit: area.area.unit, started_at: watched.member.started_at, limit: area.limit };
        let owner = Owner { identity: watched.member.identity, area: &area.area.name };
        let Step { looked, transition } =
            judge.take_in(at, sample.size, &circumstances, owner, &mut self.scratch);
        if let Some(finding) = judge.finding().filter(|_| looked) {
            events.push(Event::Verdict(finding.clone(), area.area.unit));
        }
        let Some(transition) = transition else { return looked };
        if transition.to == LeakState::Confirmed
            && let Some(record) = self.targets.get_mut(&watched.member.target)
        {
            record.episodes += 1;
        }
        events.push(Event::Episode {
            member: Arc::clone(&watched.member),
            area: area.area.clone(),
            transition,
            finding: area.told(),
        });
        looked
    }

    fn forget_the_gone(&mut self, at: Seconds, events: &mut Vec<Event>) {
        let tick = self.tick;
        let before = self.members.len();
        let (targets, scratch) = (&mut self.targets, &mut self.scratch);
        let least_life_secs = LEAST_LIFE_TICKS * self.interval_secs;
        self.members.retain(|_, watched| {
            let is_here = watched.seen == tick;
            if !is_here {
                end_episodes(watched, events);
                if let Some(record) = targets.get_mut(&watched.member.target)
                    && at - watched.member.started_at >= least_life_secs
                {
                    record.remember_life(watched, scratch);
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
        let least_life_secs = LEAST_LIFE_TICKS * self.interval_secs;
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
        let least_life_secs = LEAST_LIFE_TICKS * self.interval_secs;
        for (target, record) in &mut self.targets {
            record.members = record.survivors + record.newcomers;
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

    /// Who is under suspicion.
    pub(super) fn suspects(&self) -> HashSet<Identity> {
        let is_suspect =
            |watched: &&WatchedMember| watched.areas.iter().any(|area| area.state() > LeakState::None);
        let suspects = self.members.values().filter(is_suspect);
        suspects.map(|watched| watched.member.identity).take(MAX_SUSPECTS).collect()
    }

    /// How many areas are remembered and judged.
    pub(super) fn judged_count(&self) -> usize {
        self.members.values().flat_map(|watched| &watched.areas).filter(|area| area.is_judged()).count()
    }

    /// The budgets of targets.
    pub(super) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// All processes.
    pub(super) fn members(&self) -> impl Iterator<Item = &WatchedMember> {
        self.members.values()
    }

    /// All targets, sorted.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&Arc<Target>, &TargetRecord)> {
        self.targets.iter()
    }
}

/// Whether two areas are one; nearly always they share their name in memory.
fn is_same(one: &Area, other: &Area) -> bool {
    Arc::ptr_eq(&one.name, &other.name) || one == other
}

impl TargetRecord {
    /// How the last process that ended fared in an area.
    fn past_life(&self, area: &str) -> Option<&PastLife> {
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
        self.restarts + self.episodes > 0 || self.last_generation_life_secs >= least_life_secs
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
    fn new(sample: &Sample, at: Seconds) -> Self {
        Self {
            area: sample.area.clone(),
            size: sample.size,
            limit: sample.limit,
            sampled_at: at,
            judge: None,
            paired: None,
        }
    }

    /// Whether it is judged at all.
    pub(super) fn is_judged(&self) -> bool {
        self.judge.is_some()
    }

    /// The state of its episode.
    pub(super) fn state(&self) -> LeakState {
        self.judge.as_ref().map_or(LeakState::None, |judge| judge.state())
    }

    /// The last verdict.
    pub(super) fn finding(&self) -> Option<&Finding> {
        self.judge.as_ref()?.finding()
    }

    /// The last verdict as people are told it: with what another area of the process says of it.
    pub(super) fn told(&self) -> Option<Finding> {
        let finding = self.finding()?;
        Some(Finding { pattern: self.paired.unwrap_or(finding.pattern), ..finding.clone() })
    }

    /// The open episode.
    pub(super) fn episode(&self) -> Option<&crate::detect::episode::Episode> {
        self.judge.as_ref()?.episode()
    }
}

/// A process that ends takes its episodes with it.
fn end_episodes(watched: &WatchedMember, events: &mut Vec<Event>) {
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

#[cfg(test)]
pub(super) mod tests;
