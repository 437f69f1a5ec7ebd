//! What single processes are made of: of suspects, and of those whose target the configuration names.
//!
//! It is not judged: it begins when the suspicion does, and whatever judges wants to have seen the time before. It is not
//! kept over a restart of the exporter either, for what it says is known again after a few readings.

use super::{MAX_SUSPECTS, WatchedMember, source::Source};
use crate::{
    collect::attribution,
    detect::episode::LeakState,
    sample::{Batch, Generation, Identity, Kind, Target},
    series::anatomy::{Course, Reading},
};
use regex::Regex;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Processes with the course of their parts.
#[derive(Default)]
pub(in crate::run) struct Attributions {
    named: Vec<Regex>,
    courses: HashMap<Identity, Attributed>,
}

struct Attributed {
    /// Another program of the same process has other parts.
    generation: Generation,
    is_suspect: bool,
    course: Course,
}

impl Attributions {
    /// Reads processes of these targets without a suspicion too.
    pub(super) fn set_targets(&mut self, named: &[Regex]) {
        self.named = named.to_vec();
    }

    /// The course of a process's parts.
    pub(in crate::run) fn of(&self, identity: Identity) -> Option<&Course> {
        self.courses.get(&identity).map(|attributed| &attributed.course)
    }

    /// Whose turn it may be, the most suspicious and largest first. Who is not among them is forgotten, and who has come
    /// under suspicion begins anew, so that growth counts from then on.
    pub(super) fn wanted(&mut self, sources: &[Source]) -> Arc<[Identity]> {
        if !sources.iter().any(|source| source.terms.collector == attribution::NAME) {
            self.courses.clear();
            return Arc::default();
        }
        let targets = sources.iter().flat_map(|source| source.targets.keys());
        let is_named = |target: &&Arc<Target>| self.named.iter().any(|name| name.is_match(&target.name));
        let named: HashSet<&Target> = if self.named.is_empty() {
            HashSet::new()
        } else {
            targets.filter(is_named).map(|name| &**name).collect()
        };
        let members = sources.iter().flat_map(|source| source.members.values());
        let processes = members.filter(|watched| watched.member.target.kind == Kind::Process);
        let mut wanted: Vec<(LeakState, &WatchedMember)> = processes
            .map(|watched| (state(watched), watched))
            .filter(|(state, watched)| *state > LeakState::None || named.contains(&*watched.member.target))
            .collect();
        wanted.sort_by(|(state, watched), (other, others)| {
            other
                .cmp(state)
                .then(size(others).total_cmp(&size(watched)))
                .then(watched.member.identity.cmp(&others.member.identity))
        });
        wanted.truncate(MAX_SUSPECTS);
        let mut before = std::mem::take(&mut self.courses);
        for (state, watched) in &wanted {
            let (identity, generation) = (watched.member.identity, watched.member.generation);
            let is_suspect = *state > LeakState::None;
            let known = before.remove(&identity);
            let known =
                known.filter(|known| known.generation == generation && (known.is_suspect || !is_suspect));
            let course = known.map(|known| known.course).unwrap_or_default();
            self.courses.insert(identity, Attributed { generation, is_suspect, course });
        }
        wanted.into_iter().map(|(_, watched)| watched.member.identity).collect()
    }

    /// Takes in what a collector saw.
    pub(super) fn take_in(&mut self, batch: &Batch) {
        for anatomy in &batch.anatomies {
            // One that is wanted no longer is read in vain.
            if let Some(known) = self.courses.get_mut(&anatomy.identity) {
                known.course.push(Reading { at: batch.at, parts: anatomy.parts.clone() }, anatomy.is_full);
            }
        }
    }
}

/// The worst state of its areas.
fn state(watched: &WatchedMember) -> LeakState {
    watched.areas.iter().map(super::WatchedArea::state).max().unwrap_or_default()
}

fn size(watched: &WatchedMember) -> f64 {
    watched.areas.iter().map(|area| area.size).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config,
        run::watch::{
            Watch,
            tests::{PROCESS, anon, member, terms},
        },
        sample::{Anatomy, Measure, Part},
    };

    const INTERVAL_SECS: f64 = 3.0;

    fn watch(targets: &[&str]) -> Watch {
        let terms = vec![terms(PROCESS, INTERVAL_SECS), terms(attribution::NAME, INTERVAL_SECS)];
        let mut watch = Watch::new(terms, INTERVAL_SECS);
        let targets = targets.iter().map(|target| Regex::new(target).unwrap()).collect();
        watch.set_attribution(&config::Attribution { targets, ..config::Attribution::default() });
        watch
    }

    fn pids(wanted: &[Identity]) -> Vec<u32> {
        wanted.iter().map(|identity| identity.pid).collect()
    }

    /// When the first reading was that growth counts from.
    fn counts_from(watch: &Watch, pid: u32) -> Option<f64> {
        let identity = Identity { pid, start_ticks: u64::from(pid) };
        let (beginning, _) = watch.attributions().of(identity)?.ends()?;
        Some(beginning.first()?.at)
    }

    /// Two hours of a leak, a steady process, and one that nobody asked for.
    #[test]
    fn suspects_come_first_and_their_growth_counts_from_the_suspicion() {
        let mut watch = watch(&["^leak$", "^steady$"]);
        let members = [("leak", 1, 1e5), ("steady", 2, 0.0), ("other", 3, 0.0)];
        let members = members.map(|(name, pid, growth)| (member(name, pid, -1e6), growth));
        let mut wanted = Arc::default();
        for tick in 0..2400u32 {
            let at = f64::from(tick) * INTERVAL_SECS;
            let mut batch = Batch::new(at);
            for (member, growth) in &members {
                batch.push(Arc::clone(member), [anon(2e8 + growth * f64::from(tick))]);
            }
            watch.take_in(PROCESS, &batch, &mut Vec::new());
            wanted = watch.wanted_attributions();
            if tick == 0 {
                assert_eq!(pids(&wanted), [1, 2]);
            }
            let parts =
                vec![Part { name: "heap".into(), measure: Measure::Memory, size: at, confidence: 1.0 }];
            let anatomies = [1, 2, 3].map(|pid| Identity { pid, start_ticks: u64::from(pid) });
            let anatomies =
                anatomies.map(|identity| Anatomy { identity, is_full: true, parts: parts.clone() });
            let mut batch = Batch::new(at);
            batch.anatomies.extend(anatomies);
            watch.take_in(attribution::NAME, &batch, &mut Vec::new());
        }
        assert_eq!(pids(&wanted), [1, 2]);
        assert!(counts_from(&watch, 1).unwrap() > 300.0, "{:?}", counts_from(&watch, 1));
        assert_eq!(counts_from(&watch, 2), Some(0.0));
        assert_eq!(counts_from(&watch, 3), None);
        watch.set_attribution(&config::Attribution::default());
        assert_eq!(pids(&watch.wanted_attributions()), [1], "the suspect is wanted without a name");
        assert_eq!(counts_from(&watch, 2), None, "who is not wanted is forgotten");
    }
}
