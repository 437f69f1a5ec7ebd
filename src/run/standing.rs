//! How the exporter itself stands, kept from tick to tick for the snapshot: since when it runs, its collectors, the
//! configuration in force, and the episodes that ended.

use super::{clock::Now, present::on_the_wall, tick::Surroundings, watch::Watch, workers::Outcome};
use crate::{
    config::Config,
    detect::{
        episode::{LeakState, Transition},
        finding::Finding,
    },
    export::own::Own,
    sample::{Area, Kind, Member, Target},
    snapshot::{CollectorState, CollectorView, EndedEpisode, Standing},
};
use std::{path::Path, sync::Arc, time::Duration};

/// So many ended episodes are told of, the last ones: at a few hundred bytes each.
const ENDED_MAX: usize = 256;

/// What the next snapshot says of the exporter.
pub(super) struct Standings {
    standing: Standing,
    /// The pid of this process, where procfs shows the pids that this process knows.
    own_pid: Option<u32>,
}

impl Standings {
    pub(super) fn new(config: &Config, surroundings: &Surroundings) -> Self {
        let waiting = |name: &&'static str| CollectorView {
            name,
            state: CollectorState::Waiting,
            delivered_at: None,
            took_secs: None,
            error: None,
        };
        let mut this = Self {
            standing: Standing {
                started_at: surroundings.clock.now().wall(),
                collectors: surroundings.collectors.iter().map(waiting).collect(),
                ..Standing::default()
            },
            // In a container that watches its host the same number may be somebody else's.
            own_pid: (surroundings.paths.procfs == Path::new("/proc")).then(std::process::id),
        };
        this.reconfigure(config);
        this
    }

    /// Another configuration came into force.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.standing.configuration = Arc::new(config.shown());
        self.standing.severity = config.severity.clone().map(Arc::new);
    }

    /// A collector answered, or did not.
    pub(super) fn heard_of(&mut self, name: &str, outcome: &Outcome, now: Now) {
        let Some(view) = self.standing.collectors.iter_mut().find(|view| view.name == name) else { return };
        let delivered = |view: &mut CollectorView, took: Duration| {
            view.delivered_at = Some(now.wall());
            view.took_secs = Some(took.as_secs_f64());
        };
        view.error = None;
        view.state = match outcome {
            Outcome::Batch(_, took) => {
                delivered(view, *took);
                CollectorState::Works
            }
            Outcome::Overdue(_, took) => {
                delivered(view, *took);
                CollectorState::Late
            }
            Outcome::Failed(error) => {
                let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
                view.error = Some(format!("{error}{}", cause.unwrap_or_default()).into());
                CollectorState::Fails
            }
            Outcome::Late => CollectorState::Late,
            Outcome::Dead => CollectorState::Dead,
        };
    }

    /// An episode changed its state; the verdict that led to it, and when.
    pub(super) fn changed(
        &mut self,
        member: &Member,
        area: &Area,
        transition: &Transition,
        (finding, now): (Option<&Finding>, Now),
    ) {
        if transition.to != LeakState::None {
            return;
        }
        let offset = now.wall_offset_secs;
        let finding = finding.map(|finding| Finding { since: finding.since + offset, ..finding.clone() });
        let ended = Arc::make_mut(&mut self.standing.ended);
        if ended.len() >= ENDED_MAX {
            ended.remove(0);
        }
        ended.push(EndedEpisode {
            target: Arc::clone(&member.target),
            area: area.clone(),
            pid: member.identity.process_id(),
            episode: on_the_wall(&transition.episode, offset),
            ended_at: now.wall(),
            finding,
        });
    }

    /// What the snapshot of this tick says.
    pub(super) fn current(&self, watch: &Watch, own: &Own) -> Standing {
        Standing {
            is_reload_refused: own.is_reload_refused(),
            own_target: self.own_target(watch),
            ..self.standing.clone()
        }
    }

    fn own_target(&self, watch: &Watch) -> Option<Arc<Target>> {
        let own_pid = self.own_pid?;
        let is_own = |member: &Member| member.target.kind == Kind::Process && member.identity.pid == own_pid;
        watch
            .members()
            .map(|watched| &watched.member)
            .find(|member| is_own(member))
            .map(|own| Arc::clone(&own.target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collect::CollectError,
        detect::episode::{Episode, EpisodeId},
        sample::{Batch, Generation, Identity, TargetInfo, Unit},
    };

    const NOW: Now = Now { steady: 1000.0, wall_offset_secs: 500.0 };

    fn standings() -> Standings {
        let view = CollectorView {
            name: "process",
            state: CollectorState::Waiting,
            delivered_at: None,
            took_secs: None,
            error: None,
        };
        Standings { standing: Standing { collectors: vec![view], ..Standing::default() }, own_pid: None }
    }

    #[test]
    fn a_collector_is_shown_as_it_was_heard_of_last() {
        let mut standings = standings();
        let failed = || {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            Outcome::Failed(CollectError::Read { path: "/proc".into(), source })
        };
        let took = Duration::from_millis(250);
        for (outcome, state, delivered_at, fails) in [
            (failed(), CollectorState::Fails, None, true),
            (Outcome::Batch(Batch::new(1.0), took), CollectorState::Works, Some(1500.0), false),
            (Outcome::Late, CollectorState::Late, Some(1500.0), false),
        ] {
            standings.heard_of("process", &outcome, NOW);
            let view = &standings.standing.collectors[0];
            assert_eq!((view.state, view.delivered_at), (state, delivered_at), "{outcome:?}");
            assert_eq!(view.error.as_ref().is_some_and(|error| error.contains("cannot read /proc: ")), fails);
        }
    }

    #[test]
    fn the_last_ended_episodes_are_kept_with_the_times_of_the_wall_clock() {
        let mut standings = standings();
        let identity = Identity { pid: 7, start_ticks: 1 };
        let member = Member {
            target: Arc::new(Target { kind: Kind::Process, name: "a".into() }),
            info: TargetInfo::default(),
            identity,
            generation: Generation::default(),
            started_at: 0.0,
            group: "".into(),
        };
        let area = Area::new("anon", Unit::Bytes);
        let mut end = |opened_at: f64, to: LeakState| {
            let id = EpisodeId::new(identity, "anon", opened_at);
            let episode = Episode { id, since: 1.0, floor_before: 0.0, opened_at, confirmed_at: Some(900.0) };
            let transition = Transition { from: LeakState::Confirmed, to, episode };
            standings.changed(&member, &area, &transition, (None, NOW));
        };
        end(0.0, LeakState::Confirmed);
        (0..=ENDED_MAX).for_each(|number| end(f64::from(u32::try_from(number).unwrap()), LeakState::None));
        let ended = &standings.standing.ended;
        assert_eq!((ended.len(), ended[0].episode.opened_at, ended[0].ended_at), (ENDED_MAX, 501.0, 1500.0));
        assert_eq!((ended[0].episode.confirmed_at, ended[0].pid), (Some(1400.0), Some(7)));
    }
}
