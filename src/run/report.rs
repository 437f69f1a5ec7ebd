//! What goes into the log: one line for each change of state, never one for each tick.

use crate::{
    collect::CollectError,
    detect::{
        episode::{LeakState, Transition},
        finding::Finding,
        words::{Amount, Span},
    },
    sample::{Area, Member, Target, Unit},
};
use std::collections::HashSet;

/// Remembers what has been said already.
#[derive(Default)]
pub(super) struct Reporter {
    troubled: HashSet<&'static str>,
    refused: HashSet<&'static str>,
}

impl Reporter {
    pub(super) fn collector_works(&mut self, collector: &'static str) {
        if self.troubled.remove(collector) {
            tracing::info!(collector, "collector works again");
        }
    }

    pub(super) fn collector_fails(&mut self, collector: &'static str, error: &CollectError) {
        if self.troubled.insert(collector) {
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(collector, %error, cause, "collector fails; its targets keep their last values");
        }
    }

    pub(super) fn collector_is_late(&mut self, collector: &'static str) {
        if self.troubled.insert(collector) {
            tracing::warn!(
                collector,
                "collector did not answer within the tick; it is waited for, nothing else is"
            );
        }
    }

    pub(super) fn collector_is_dead(&mut self, collector: &'static str) {
        if self.troubled.insert(collector) {
            tracing::error!(collector, "collector ended unexpectedly; restart the exporter and report this");
        }
    }

    pub(super) fn permission_errors(&mut self, collector: &'static str, count: u64) {
        if count > 0 && self.refused.insert(collector) {
            tracing::warn!(
                collector,
                count,
                "the kernel refused some reads; descriptors and executables of other users' processes need root or \
                 CAP_SYS_PTRACE; further refusals are only counted"
            );
        }
    }
}

/// All processes of a target were replaced.
pub(super) fn restart(target: &Target) {
    tracing::info!(target = %target.name, kind = %target.kind, "target restarted");
}

/// An episode changed its state. Its id is the same in all of its lines.
pub(super) fn episode(member: &Member, area: &Area, transition: &Transition, finding: Option<&Finding>) {
    let episode = transition.episode.id.to_string();
    let (target, kind, pid) = (&member.target.name, member.target.kind, member.identity.pid);
    let Some(finding) = finding else {
        tracing::info!(%episode, %target, %kind, area = %area.name, pid, "leak ended with its process");
        return;
    };
    let bytes = area.unit == Unit::Bytes;
    let growth_per_hour = Amount { value: finding.growth.value * 3600.0, bytes }.to_string();
    let leaked = Amount { value: finding.leaked, bytes }.to_string();
    let time_to_limit =
        finding.time_to_limit.map_or_else(|| String::from("none"), |time| Span(time.value).to_string());
    let (confidence, evidence) = (format!("{:.2}", finding.confidence), finding.evidence.to_string());
    let (pattern, area) = (finding.pattern.as_str(), &area.name);
    match transition.to {
        LeakState::Confirmed => tracing::warn!(
            %episode, %target, %kind, %area, pid, confidence, pattern, growth_per_hour, leaked, time_to_limit, evidence,
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
