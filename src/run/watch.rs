//! What is known between two ticks: of every collector its members with their areas, and its targets with their history.

use self::source::{Desk, Source};
use crate::{
    collect::{application, jvm, process},
    config::{self, Sensitivity},
    detect::{
        episode::{LeakState, Transition},
        explain::{Rise, Suspect, explained},
        finding::Finding,
        judgement::Scratch,
        severity,
    },
    sample::{Area, Batch, Identity, Kind, Member, Seconds, Target},
    severity::Table,
    snapshot::RuleView,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

mod attribution;
mod budgets;
mod source;
mod state;

pub(super) use self::{
    attribution::Attributions,
    budgets::BudgetChange,
    source::{TargetRecord, Terms, WatchedArea, WatchedMember},
    state::{Encoded, Remembered},
};

/// So many suspects of a collector at most are read in full at every tick.
const MAX_SUSPECTS: usize = 256;

/// Everything that is remembered.
pub(super) struct Watch {
    sources: Vec<Source>,
    /// Seconds between two ticks.
    interval_secs: f64,
    /// What happened outside of a tick, to be told at the next one.
    pending: Vec<Event>,
    scratch: Scratch,
    attributions: Attributions,
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
    /// A watch over these collectors, for ticks so many seconds apart.
    pub(super) fn new(terms: Vec<Terms>, interval_secs: f64) -> Self {
        Self {
            sources: terms.into_iter().map(Source::new).collect(),
            interval_secs,
            pending: Vec::new(),
            scratch: Scratch::default(),
            attributions: Attributions::default(),
        }
    }

    /// Puts budgets in force, on a machine with so many processors; what was measured stays for the targets whose budget is
    /// the same as before.
    pub(super) fn set_budgets(&mut self, sensitivity: &Sensitivity, processors: Option<f64>) {
        for source in self.sources.iter_mut().filter(|source| source.terms.has_budgets) {
            let circumstances = (source.terms.interval_secs, processors);
            source.budgets.reconfigure(sensitivity, circumstances, &mut self.pending);
        }
    }

    /// Takes over whose memory is attributed without a suspicion too.
    pub(super) fn set_attribution(&mut self, attribution: &config::Attribution) {
        self.attributions.set_targets(&attribution.targets);
    }

    /// Puts a table of severities in force, for the verdicts that stand as well; none is the built-in one.
    pub(super) fn set_severity(&mut self, table: Option<&Table>) {
        self.scratch.severity = table.cloned().unwrap_or_else(severity::built_in);
        for source in &mut self.sources {
            source.grade(&self.scratch.severity);
        }
    }

    /// Forgets what was learned of a target, and says of how many areas; they are judged anew from their next samples on.
    pub(super) fn forget(&mut self, target: &Target) -> usize {
        self.sources.iter_mut().map(|source| source.forget(target, &mut self.pending)).sum()
    }

    /// The table of severities in force.
    pub(super) fn severity(&self) -> &Table {
        &self.scratch.severity
    }

    /// Takes over a new configuration of the same collectors; what was learned stays where it still fits.
    pub(super) fn reconfigure(&mut self, terms: Vec<Terms>, interval_secs: f64) {
        self.interval_secs = interval_secs;
        for terms in terms {
            match self.sources.iter_mut().find(|source| source.terms.collector == terms.collector) {
                Some(source) => source.reconfigure(terms, &mut self.pending),
                None => self.sources.push(Source::new(terms)),
            }
        }
    }

    /// Takes in what a collector saw of all its members.
    pub(super) fn take_in(&mut self, collector: &str, batch: &Batch, events: &mut Vec<Event>) {
        events.append(&mut self.pending);
        self.attributions.take_in(batch);
        let Some(source) = self.sources.iter_mut().find(|source| source.terms.collector == collector) else {
            return;
        };
        source.take_in(batch, &mut Desk { scratch: &mut self.scratch, events });
        if source.terms.has_budgets {
            source.judge_budgets(batch.at, events);
        }
        let interval_secs = source.terms.interval_secs;
        self.take_in_beside(batch, interval_secs, events);
    }

    /// Puts what is told of processes beside what the process collector sees of them.
    fn take_in_beside(&mut self, batch: &Batch, interval_secs: f64, events: &mut Vec<Event>) {
        if batch.beside.is_empty() {
            return;
        }
        let desk = &mut Desk { scratch: &mut self.scratch, events };
        if let Some(processes) =
            self.sources.iter_mut().find(|source| source.terms.collector == process::NAME)
        {
            for beside in &batch.beside {
                processes.take_in_beside(beside, batch.at, interval_secs, desk);
            }
        }
    }

    /// Finds out whose growth is told of already by what is inside. To be called once all batches of a tick are in.
    pub(super) fn explain(&mut self, now: Seconds) {
        let mut by_area: HashMap<Arc<str>, Vec<(Place, Suspect<'_>)>> = HashMap::new();
        for (place, watched, area) in places(&self.sources) {
            // No other kind has memory that the kernel accounts to somebody else too.
            if !matches!(watched.member.target.kind, Kind::Process | Kind::Cgroup | Kind::Host) {
                continue;
            }
            if let (state @ (LeakState::Suspected | LeakState::Confirmed), Some(finding)) =
                (area.state(), area.finding())
            {
                let Member { target, group, .. } = &*watched.member;
                let suspect = Suspect { kind: target.kind, group, state, rise: Rise::of(finding) };
                by_area.entry(Arc::clone(&area.area.name)).or_default().push((place, suspect));
            }
        }
        let mut answers: HashMap<Place, bool> = HashMap::new();
        for suspects in by_area.into_values() {
            let (places, suspects): (Vec<Place>, Vec<Suspect<'_>>) = suspects.into_iter().unzip();
            let questions = places.into_iter().zip(&suspects).zip(explained(&suspects, now));
            let wholes = questions.filter(|((_, suspect), _)| suspect.kind != Kind::Process);
            answers.extend(wholes.map(|((place, _), is_explained)| (place, is_explained)));
        }
        for (number, source) in self.sources.iter_mut().enumerate() {
            for (identity, watched) in &mut source.members {
                for (index, area) in watched.areas.iter_mut().enumerate() {
                    area.explained = match area.state() {
                        LeakState::None => None,
                        _ => answers.get(&(number, *identity, index)).copied(),
                    };
                }
            }
        }
    }

    /// Whether the growth of a member's area is told of already by what is inside.
    pub(super) fn is_explained(&self, member: &Member, area: &Area) -> bool {
        self.sources.iter().any(|source| {
            let watched = source.members.get(&member.identity);
            let watched = watched.filter(|watched| watched.member.target == member.target);
            let areas = watched.map(|watched| watched.areas.as_slice()).unwrap_or_default();
            areas.iter().any(|known| known.area == *area && known.explained == Some(true))
        })
    }

    /// Who is under suspicion.
    pub(super) fn suspects(&self) -> HashSet<Identity> {
        let is_suspect =
            |watched: &&WatchedMember| watched.areas.iter().any(|area| area.state() > LeakState::None);
        let of_source = |source: &Source| -> Vec<Identity> {
            let suspects = source.members.values().filter(is_suspect);
            suspects.map(|watched| watched.member.identity).take(MAX_SUSPECTS).collect()
        };
        self.sources.iter().flat_map(of_source).collect()
    }

    /// Whose memory is to be attributed to its parts, the most suspicious first.
    pub(super) fn wanted_attributions(&mut self) -> Arc<[Identity]> {
        self.attributions.wanted(&self.sources)
    }

    /// Which processes run on a JVM, sorted; none where nobody reads them.
    pub(super) fn jvms(&self) -> Arc<[Identity]> {
        let mut jvms: Vec<Identity> =
            self.running_on(jvm::NAME, jvm::RUNTIME).map(|member| member.identity).collect();
        jvms.sort_unstable();
        jvms.into()
    }

    /// Which processes run on Node; none where nobody asks them.
    pub(super) fn nodes(&self) -> Arc<[(Arc<Target>, Identity)]> {
        self.running_on(application::NAME, application::NODE)
            .map(|member| (Arc::clone(&member.target), member.identity))
            .collect()
    }

    /// The processes of a runtime; none where the collector that wants them does not run.
    fn running_on(&self, collector: &str, runtime: &'static str) -> impl Iterator<Item = &Arc<Member>> {
        let is_wanted = self.sources.iter().any(|source| source.terms.collector == collector);
        let members = self.members().filter(move |_| is_wanted).map(|watched| &watched.member);
        members.filter(move |member| member.target.kind == Kind::Process && *member.info.runtime == *runtime)
    }

    /// What single processes are made of.
    pub(super) fn attributions(&self) -> &Attributions {
        &self.attributions
    }

    /// How many areas are remembered and judged.
    pub(super) fn judged_count(&self) -> usize {
        self.members().flat_map(|watched| &watched.areas).filter(|area| area.is_judged()).count()
    }

    /// The numbers that a target is held against: those of the whole first, then sorted by area.
    pub(super) fn rules_of(&self, target: &Target) -> Vec<RuleView> {
        let mut rules = self.sources.iter().map(|source| source.budgets.rules_of(target));
        rules.find(|rules| !rules.is_empty()).unwrap_or_default()
    }

    /// The members of all collectors.
    pub(super) fn members(&self) -> impl Iterator<Item = &WatchedMember> {
        self.sources.iter().flat_map(|source| source.members.values())
    }

    /// The targets of all collectors, those of each sorted.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&Arc<Target>, &TargetRecord)> {
        self.sources.iter().flat_map(|source| &source.targets)
    }
}

/// Where an area is: the number of its source, its member, and its number there.
type Place = (usize, Identity, usize);

/// All areas with their places.
fn places(sources: &[Source]) -> impl Iterator<Item = (Place, &WatchedMember, &WatchedArea)> {
    sources.iter().enumerate().flat_map(|(number, source)| {
        source.members.iter().flat_map(move |(identity, watched)| {
            let areas = watched.areas.iter().enumerate();
            areas.map(move |(index, area)| ((number, *identity, index), watched, area))
        })
    })
}

#[cfg(test)]
pub(super) mod tests;
