//! The budgets of targets: an area of all processes of a target together, held against plain numbers.
//!
//! A budget is about what a person sees, and that is the sum that is shown. Sums jump when processes come and go, and
//! that is no growth: of each process only what it has grown by since it settled counts, so that a new worker with its
//! warm-up adds nothing, and one that ends takes its growth along. Where no budget is in force nothing is remembered.
//!
//! What processes tell beside their areas is held against the rules of the target as a whole ([`whole`]).

use self::whole::Whole;
use super::{
    Event,
    source::{WatchedArea, WatchedMember, is_same},
};
use crate::{
    budget::Budget,
    config::Sensitivity,
    detect::budget::{BudgetJudge, Change, Reading, Standing},
    sample::{Area, Counts, Generation, Identity, Seconds, Target},
    snapshot::RuleView,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

mod whole;

/// So long after its start a process is warming up, in seconds.
const WARM_UP_SECS: f64 = 600.0;

/// What happened to one number of one area, or of a target as a whole.
#[derive(Debug)]
pub(in crate::run) struct BudgetChange {
    pub(in crate::run) target: Arc<Target>,
    pub(in crate::run) area: Option<Arc<str>>,
    pub(in crate::run) change: Change,
}

/// The targets and their budgets.
#[derive(Default)]
pub(super) struct Budgets {
    sensitivity: Sensitivity,
    interval_secs: f64,
    /// How many processors the machine has; none where that is unknown.
    processors: Option<f64>,
    tick: u64,
    targets: HashMap<Arc<Target>, BudgetedTarget>,
}

struct BudgetedTarget {
    /// None for a target that has no budget, so that its name is tried once.
    budget: Option<Arc<Budget>>,
    seen: u64,
    areas: Vec<BudgetedArea>,
    /// None where no rule of the budget is about the target as a whole.
    whole: Option<Box<Whole>>,
}

struct BudgetedArea {
    area: Area,
    seen: u64,
    /// None where no rule of the budget concerns it.
    judge: Option<BudgetJudge>,
    together: Together,
    /// The size at which each process settled. A process that calls `exec` is another one.
    settled: HashMap<(Identity, Generation), Settled>,
}

struct Settled {
    size: f64,
    seen: u64,
}

/// What the processes add up to at one tick.
#[derive(Clone, Copy, Debug, Default)]
struct Together {
    size: f64,
    grown: Option<f64>,
    /// The highest share of a limit that one process has by itself.
    share_alone: Option<f64>,
    /// What counts against limits that processes share, and the largest of these limits.
    shared_size: f64,
    shared_limit: f64,
}

/// One tick.
#[derive(Clone, Copy)]
struct Moment {
    at: Seconds,
    tick: u64,
    interval_secs: f64,
    processors: Option<f64>,
}

/// A batch that is to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// When it was read.
    pub(super) at: Seconds,
    /// What is in it has been seen at this tick of its source.
    pub(super) tick: u64,
}

impl Budgets {
    /// Puts other budgets in force; what was measured stays where the budget is the same as before.
    pub(super) fn reconfigure(
        &mut self,
        sensitivity: &Sensitivity,
        (interval_secs, processors): (f64, Option<f64>),
        events: &mut Vec<Event>,
    ) {
        self.processors = processors;
        let is_same_interval = self.interval_secs.to_bits() == interval_secs.to_bits();
        self.sensitivity = sensitivity.clone();
        self.interval_secs = interval_secs;
        self.targets.retain(|target, budgeted| {
            let stays = is_same_interval && budgeted.budget.as_ref() == sensitivity.of(&target.name);
            if !stays {
                budgeted.end(target, events);
            }
            stays
        });
    }

    /// Takes in all processes as they are now, and forgets the targets that have none.
    pub(super) fn take_in<'a>(
        &mut self,
        members: impl Iterator<Item = &'a WatchedMember>,
        heard: Heard,
        events: &mut Vec<Event>,
    ) {
        if self.sensitivity.is_off() {
            return;
        }
        self.tick += 1;
        let (interval_secs, processors) = (self.interval_secs, self.processors);
        let moment = Moment { at: heard.at, tick: self.tick, interval_secs, processors };
        for watched in members {
            let budgeted = self.budgeted(&watched.member.target);
            budgeted.add(watched, moment);
            if let Some(whole) = &mut budgeted.whole {
                whole.add(watched, watched.seen == heard.tick, moment);
            }
        }
        self.targets.retain(|target, budgeted| {
            budgeted.judge(target, moment, events);
            budgeted.seen == moment.tick
        });
    }

    /// The numbers that a target is held against: those of the whole first, then sorted by area.
    pub(super) fn rules_of(&self, target: &Target) -> Vec<RuleView> {
        let Some(budgeted) = self.targets.get(target) else { return Vec::new() };
        let of_whole = budgeted.whole.iter().flat_map(|whole| whole.rules());
        let of_areas = budgeted.areas.iter().flat_map(BudgetedArea::rules);
        let mut rules: Vec<RuleView> = of_whole.chain(of_areas).collect();
        // Stable: the rules of an area stay in the order of the table.
        rules.sort_by(|one, other| one.area.cmp(&other.area));
        rules
    }

    /// Takes in what a process of a target has counted until now.
    pub(super) fn count(&mut self, target: &Arc<Target>, identity: Identity, counts: &Counts, at: Seconds) {
        if let Some(whole) = self.whole_of(target) {
            whole.count(identity, counts, at);
        }
    }

    /// Takes in by how much the event loop of a process is late.
    pub(super) fn take_in_lag(&mut self, target: &Arc<Target>, identity: Identity, lag_secs: Seconds) {
        if let Some(whole) = self.whole_of(target) {
            whole.take_in_lag(identity, lag_secs);
        }
    }

    /// Takes in how long the slower answers of a process take.
    pub(super) fn take_in_p95(&mut self, target: &Arc<Target>, identity: Identity, p95_secs: Seconds) {
        if let Some(whole) = self.whole_of(target) {
            whole.take_in_p95(identity, p95_secs);
        }
    }

    /// A process that was asked does not tell of itself any more.
    pub(super) fn fall_silent(&mut self, target: &Arc<Target>, identity: Identity) {
        if let Some(whole) = self.whole_of(target) {
            whole.fall_silent(identity);
        }
    }

    fn whole_of(&mut self, target: &Arc<Target>) -> Option<&mut Whole> {
        if self.sensitivity.is_off() { None } else { self.budgeted(target).whole.as_deref_mut() }
    }

    fn budgeted(&mut self, target: &Arc<Target>) -> &mut BudgetedTarget {
        match self.targets.entry(Arc::clone(target)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let budget = self.sensitivity.of(&target.name).map(Arc::clone);
                let whole = budget.as_ref().and_then(|budget| Whole::new(budget, self.interval_secs));
                new.insert(BudgetedTarget { budget, seen: 0, areas: Vec::new(), whole: whole.map(Box::new) })
            }
        }
    }
}

impl BudgetedTarget {
    /// Adds a process to the sums of its judged areas.
    fn add(&mut self, watched: &WatchedMember, moment: Moment) {
        self.seen = moment.tick;
        let Some(budget) = &self.budget else { return };
        for part in watched.areas.iter().filter(|part| part.is_judged()) {
            let position = self.areas.iter().position(|known| is_same(&known.area, &part.area));
            let index = position.unwrap_or(self.areas.len());
            if position.is_none() {
                self.areas.push(BudgetedArea::new(&part.area, budget, moment));
            }
            if let Some(area) = self.areas.get_mut(index) {
                area.add(watched, part, moment);
            }
        }
    }

    /// Judges the sums, and forgets the areas that nobody has or judges any more.
    fn judge(&mut self, target: &Arc<Target>, moment: Moment, events: &mut Vec<Event>) {
        self.areas.retain_mut(|area| {
            let is_here = area.seen == moment.tick;
            if is_here {
                area.judge(target, moment, events);
            } else {
                area.end(target, events);
            }
            is_here
        });
        if let Some(whole) = &mut self.whole {
            if self.seen == moment.tick {
                whole.judge(target, moment, events);
            } else {
                whole.end(target, events);
            }
        }
    }

    /// What is breached ends with the target or its budget.
    fn end(&self, target: &Arc<Target>, events: &mut Vec<Event>) {
        self.areas.iter().for_each(|area| area.end(target, events));
        self.whole.iter().for_each(|whole| whole.end(target, events));
    }
}

impl BudgetedArea {
    fn new(area: &Area, budget: &Arc<Budget>, moment: Moment) -> Self {
        Self {
            area: area.clone(),
            seen: 0,
            judge: BudgetJudge::new(budget, area, moment.interval_secs),
            together: Together::default(),
            settled: HashMap::new(),
        }
    }

    fn add(&mut self, watched: &WatchedMember, part: &WatchedArea, moment: Moment) {
        self.seen = moment.tick;
        if self.judge.is_none() {
            return;
        }
        let together = &mut self.together;
        together.size += part.size;
        if let Some(limit) = part.limit.filter(|limit| limit.value > 0.0) {
            let share = part.size / limit.value;
            together.share_alone = Some(together.share_alone.map_or(share, |highest| highest.max(share)));
            if !limit.source.is_own() {
                together.shared_size += part.size;
                together.shared_limit = together.shared_limit.max(limit.value);
            }
        }
        let member = &watched.member;
        if moment.at - member.started_at >= WARM_UP_SECS {
            let settled = self.settled.entry((member.identity, member.generation));
            let settled = settled.or_insert(Settled { size: part.size, seen: 0 });
            settled.seen = moment.tick;
            together.grown = Some(together.grown.unwrap_or(0.0) + part.size - settled.size);
        }
    }

    fn judge(&mut self, target: &Arc<Target>, moment: Moment, events: &mut Vec<Event>) {
        self.settled.retain(|_, settled| settled.seen == moment.tick);
        let together = std::mem::take(&mut self.together);
        let reading = Reading {
            at: moment.at,
            size: together.size,
            share_of_limit: together.share_of_limit(),
            grown: together.grown,
        };
        let area = &self.area.name;
        if let Some(judge) = &mut self.judge {
            judge.take_in(&reading, &mut |change| events.push(event(target, Some(area), change)));
        }
    }

    /// What is breached ends with the area, and not in silence.
    fn end(&self, target: &Arc<Target>, events: &mut Vec<Event>) {
        let standings = self.judge.iter().flat_map(BudgetJudge::standings);
        end(standings, (target, Some(&self.area.name)), events);
    }

    fn rules(&self) -> impl Iterator<Item = RuleView> {
        let standings = self.judge.iter().flat_map(BudgetJudge::standings);
        standings.map(|standing| view(standing, Some(&self.area.name)))
    }
}

impl Together {
    /// The share of the limit that is the fullest: of one process by itself, or of all that share one. Under several
    /// limits the largest counts, so that the share of all is never too high.
    fn share_of_limit(&self) -> Option<f64> {
        let shared = (self.shared_limit > 0.0).then(|| self.shared_size / self.shared_limit);
        self.share_alone.map(|alone| shared.map_or(alone, |shared| alone.max(shared)))
    }
}

fn event(target: &Arc<Target>, area: Option<&Arc<str>>, change: Change) -> Event {
    Event::Budget(BudgetChange { target: Arc::clone(target), area: area.map(Arc::clone), change })
}

fn view(standing: Standing, area: Option<&Arc<str>>) -> RuleView {
    let Standing { threshold, is_breached } = standing;
    RuleView { area: area.map(Arc::clone), threshold, is_breached }
}

/// Tells of each breach that it is no longer known.
fn end(
    standings: impl Iterator<Item = Standing>,
    (target, area): (&Arc<Target>, Option<&Arc<str>>),
    events: &mut Vec<Event>,
) {
    for standing in standings.filter(|standing| standing.is_breached == Some(true)) {
        let change = Change { threshold: standing.threshold, is_breached: None, measured: None };
        events.push(event(target, area, change));
    }
}

#[cfg(test)]
mod tests;
