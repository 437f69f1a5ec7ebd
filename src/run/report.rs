//! What goes into the log: one line for each change of state, never one for each tick.

use super::watch::BudgetChange;
use crate::{
    budget::table::Shown,
    collect::{CollectError, attribution, directory, process},
    detect::{
        episode::{LeakState, Transition},
        finding::Finding,
        words::{Amount, Span},
    },
    sample::{Area, Member, SourceOutcome, Target, Unit},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// A collector that is late, or in time again, for so many ticks in a row is worth a line; at the edge of its time it
/// would be both, tick by tick.
const WORTH_A_LINE: u32 = 3;

/// Remembers what has been said already.
#[derive(Default)]
pub(super) struct Reporter {
    collectors: HashMap<&'static str, Standing>,
    refused: HashSet<&'static str>,
    /// Sources that fail.
    failing: HashSet<Arc<str>>,
}

/// What a collector can suffer from, the worse behind the lighter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Late,
    Fails,
    Dead,
}

/// How a collector stands.
#[derive(Default)]
struct Standing {
    /// The trouble that was said last; none while all is well.
    said: Option<Trouble>,
    /// Ticks in a row that speak against it.
    contrary_ticks: u32,
}

impl Reporter {
    pub(super) fn collector_works(&mut self, collector: &'static str) {
        if self.turns(collector, None, WORTH_A_LINE) {
            tracing::info!(collector, "collector works again");
        }
    }

    pub(super) fn collector_fails(&mut self, collector: &'static str, error: &CollectError) {
        if self.turns(collector, Some(Trouble::Fails), 1) {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(collector, %error, cause, "collector fails; its targets keep their last values");
        }
    }

    pub(super) fn collector_is_late(&mut self, collector: &'static str) {
        if self.turns(collector, Some(Trouble::Late), WORTH_A_LINE) {
            tracing::warn!(
                collector,
                "collector misses its time, 0.8 of sampling.interval and at most 5 s; its answer is taken when it \
                 comes, and nothing else waits for it"
            );
        }
    }

    pub(super) fn collector_is_dead(&mut self, collector: &'static str) {
        if self.turns(collector, Some(Trouble::Dead), 1) {
            tracing::error!(
                collector,
                "collector ended unexpectedly; it is started again, at most once a minute; please report this"
            );
        }
    }

    /// Whether a collector's standing got worse, or good again, just now, after so many ticks in a row. Trouble that
    /// gets lighter is no news before it is over.
    fn turns(&mut self, collector: &'static str, now: Option<Trouble>, after_ticks: u32) -> bool {
        let standing = self.collectors.entry(collector).or_default();
        let is_news = now > standing.said || (now.is_none() && standing.said.is_some());
        standing.contrary_ticks = if is_news { standing.contrary_ticks + 1 } else { 0 };
        let turned = is_news && standing.contrary_ticks >= after_ticks;
        if turned {
            *standing = Standing { said: now, contrary_ticks: 0 };
        }
        turned
    }

    /// A source fails, or tells again; each is said once.
    pub(super) fn source(&mut self, outcome: &SourceOutcome) {
        let source = &outcome.name;
        match &outcome.failure {
            Some(cause) if self.failing.insert(Arc::clone(source)) => {
                tracing::warn!(%source, cause, "source fails; its areas keep their last values");
            }
            None if self.failing.remove(source) => tracing::info!(%source, "source works again"),
            _ => {}
        }
    }

    pub(super) fn permission_errors(&mut self, collector: &'static str, count: u64) {
        if count > 0 && self.refused.insert(collector) {
            tracing::warn!(
                collector,
                count,
                "the kernel refused some reads; {}; further refusals are only counted",
                needed(collector)
            );
        }
    }
}

/// What a collector must be allowed to do where it is refused.
fn needed(collector: &str) -> &'static str {
    if collector == process::NAME {
        "descriptors and executables of other users' processes need root or CAP_SYS_PTRACE"
    } else if collector == attribution::NAME {
        "smaps and descriptors of other users' processes need root or CAP_SYS_PTRACE; without it most of their memory \
         stays unknown"
    } else if collector == directory::NAME {
        "the directories of the configuration must be readable by the exporter's user"
    } else {
        "the files below --path.sysfs and --path.procfs must be readable by the exporter's user"
    }
}

/// All processes of a target were replaced. Of a service a person wants to know; tools come and go.
pub(super) fn restart(target: &Target, is_service: bool) {
    if is_service {
        tracing::info!(target = %target.name, kind = %target.kind, "target restarted");
    } else {
        tracing::debug!(target = %target.name, kind = %target.kind, "target restarted");
    }
}

/// What is told of a change beside the change itself.
pub(super) struct Told<'a> {
    /// The verdict that led to it.
    pub(super) finding: Option<&'a Finding>,
    /// Whether the growth is told of already by what is inside.
    pub(super) is_explained: bool,
    /// The part of the process that grows fastest, with its growth in bytes a second.
    pub(super) grows_in: Option<(&'a str, f64)>,
}

/// An episode changed its state. Its id is the same in all of its lines.
pub(super) fn episode(member: &Member, area: &Area, transition: &Transition, told: &Told<'_>) {
    let Told { finding, is_explained, grows_in } = *told;
    let episode = transition.episode.id.to_string();
    let (target, kind, pid) = (&member.target.name, member.target.kind, member.identity.process_id());
    let Some(finding) = finding else {
        tracing::info!(
            %episode, %target, %kind, area = %area.name, pid,
            "leak ended: its process or control group is gone or no longer judged"
        );
        return;
    };
    let bytes = area.unit == Unit::Bytes;
    let growth_per_hour = Amount { value: finding.growth.value * 3600.0, bytes }.to_string();
    let leaked = Amount { value: finding.leaked, bytes }.to_string();
    let time_to_limit =
        finding.time_to_limit.map_or_else(|| String::from("none"), |time| Span(time.value).to_string());
    let (confidence, evidence) = (format!("{:.2}", finding.confidence), finding.evidence.to_string());
    let grows_in = grows_in
        .map(|(part, growth)| format!("{part}, {} an hour", Amount { value: growth * 3600.0, bytes: true }));
    let (pattern, area) = (finding.pattern.as_str(), &area.name);
    match transition.to {
        LeakState::Confirmed if is_explained => tracing::info!(
            %episode, %target, %kind, %area, confidence, pattern, growth_per_hour, leaked, time_to_limit, evidence,
            "leak confirmed; what leaks inside explains it"
        ),
        LeakState::Confirmed => tracing::warn!(
            %episode, %target, %kind, %area, pid, confidence, pattern, growth_per_hour, leaked, time_to_limit, grows_in, evidence,
            "leak confirmed"
        ),
        LeakState::Suspected => tracing::info!(
            %episode, %target, %kind, %area, pid, confidence, pattern, growth_per_hour, leaked, time_to_limit, evidence,
            "leak suspected"
        ),
        LeakState::None => tracing::info!(
            %episode, %target, %kind, %area, pid, confidence, pattern, evidence,
            "leak resolved: the growth has stopped"
        ),
    }
}

/// An area, or a target as a whole, reached a number of its budget, keeps it again, or is no longer held against it.
pub(super) fn budget(happened: &BudgetChange) {
    let BudgetChange { target, area, change } = happened;
    let (target, kind, rule) = (&target.name, target.kind, change.threshold.rule);
    let (grade, threshold) = (change.threshold.level.as_str(), change.threshold.to_string());
    let measured = change.measured.map(|value| Shown { quantity: rule.quantity, value }.to_string());
    let (rule, measured, area) = (rule.name, measured.as_deref(), area.as_deref());
    match change.is_breached {
        Some(true) => {
            tracing::warn!(%target, %kind, area, rule, grade, measured, threshold, "budget exceeded");
        }
        Some(false) => {
            tracing::info!(%target, %kind, area, rule, grade, measured, threshold, "budget kept again");
        }
        None => tracing::info!(
            %target, %kind, area, rule, grade, threshold,
            "budget no longer exceeded: its processes are gone or new, tell nothing any more, or are no longer held against it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_at_the_edge_of_its_time_is_no_flood() {
        let mut reporter = Reporter::default();
        let said: Vec<bool> =
            [true, false, true, true, false, true, true, true, false, true, false, false, false]
                .into_iter()
                .map(|is_late| reporter.turns("process", is_late.then_some(Trouble::Late), WORTH_A_LINE))
                .collect();
        let lines = said.iter().filter(|said| **said).count();
        assert_eq!((lines, said[7], said[12]), (2, true, true), "{said:?}");
    }

    #[test]
    fn trouble_that_gets_worse_is_said_and_trouble_that_gets_lighter_is_not() {
        use Trouble::{Dead, Fails, Late};
        let mut reporter = Reporter::default();
        let steps = [
            (Some(Late), false),
            (Some(Late), false),
            (Some(Late), true),
            (Some(Fails), true),
            (Some(Late), false),
            (Some(Late), false),
            (Some(Late), false),
            (Some(Dead), true),
            (Some(Dead), false),
            (Some(Fails), false),
            (None, false),
            (None, false),
            (Some(Late), false),
            (None, false),
            (None, false),
            (None, true),
            (Some(Dead), true),
        ];
        for (step, (now, is_said)) in steps.into_iter().enumerate() {
            let after_ticks = if matches!(now, Some(Fails | Dead)) { 1 } else { WORTH_A_LINE };
            assert_eq!(reporter.turns("process", now, after_ticks), is_said, "step {step}: {now:?}");
        }
    }
}
