//! What is kept of a series when it has been read: its verdict, its episodes and, where asked for, its picture.

use super::{
    course::{Audience, Occasion, Series, Standing},
    csv::Point,
    onset::{Life, began_at},
    picture::Picture,
};
use crate::{
    detect::{
        episode::{LeakState, SUSPECT_AT},
        finding::Finding,
    },
    sample::{Seconds, Unit},
};
use std::io;

/// So many ended episodes are kept of a series; more are counted.
const MOST_EPISODES: usize = 1_000;

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The growth stopped.
    Stopped,
    /// The process was started anew.
    Restart,
}

/// One episode.
#[derive(Clone, Debug)]
pub(super) struct EpisodeSummary {
    /// When the growth began, by what is known in the end.
    pub(super) onset_at: Seconds,
    /// When it began by what the exporter would have told.
    pub(super) told_onset_at: Seconds,
    /// When it was first suspected.
    pub(super) opened_at: Seconds,
    /// When it was confirmed, if it was.
    pub(super) confirmed_at: Option<Seconds>,
    /// When and how it ended, if it did.
    pub(super) ended: Option<(Seconds, Ending)>,
    /// The last verdict that suspected it.
    pub(super) finding: Finding,
    /// How much it had leaked by then, in the area's unit.
    pub(super) leaked: f64,
}

/// One series.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    /// What is known of it beside its samples.
    pub(super) series: Series,
    /// How many samples it has.
    pub(super) samples: u64,
    /// The time of the first.
    pub(super) from: Seconds,
    /// The last.
    pub(super) last: Point,
    /// What people are told at its end.
    pub(super) state: LeakState,
    /// The verdict at its end.
    pub(super) finding: Option<Finding>,
    /// The restarts that its samples show.
    pub(super) restarts: Vec<Seconds>,
    /// Its episodes, the oldest first; the last one may be open.
    pub(super) episodes: Vec<EpisodeSummary>,
    /// Episodes beyond the bound.
    pub(super) episodes_left_out: u64,
    /// Its picture; dropped at the end where none was asked for.
    pub(super) picture: Option<Picture>,
    is_pictured: bool,
    open: Option<EpisodeSummary>,
}

impl Summary {
    /// Nothing yet, of a series whose first sample comes at `from`.
    pub(super) fn new(series: Series, from: Seconds, is_pictured: bool) -> Self {
        let picture = Some(Picture::new(from, series.interval_secs));
        Self {
            series,
            samples: 0,
            from,
            last: Point { at: from, size: 0.0 },
            state: LeakState::None,
            finding: None,
            restarts: Vec::new(),
            episodes: Vec::new(),
            episodes_left_out: 0,
            picture,
            is_pictured,
            open: None,
        }
    }

    /// Takes in a sample.
    pub(super) fn take_in(&mut self, point: Point) {
        self.samples += 1;
        self.last = point;
        if let Some(picture) = &mut self.picture {
            picture.take_in(point);
        }
    }

    /// Whether its unit is bytes (objects otherwise).
    pub(super) fn is_bytes(&self) -> bool {
        self.series.area.unit == Unit::Bytes
    }

    /// How long it is, in seconds.
    pub(super) fn span_secs(&self) -> f64 {
        self.last.at - self.from
    }

    /// The episodes that were confirmed.
    pub(super) fn leaks(&self) -> impl Iterator<Item = &EpisodeSummary> {
        self.episodes.iter().filter(|episode| episode.confirmed_at.is_some())
    }

    fn close(&mut self, at: Seconds, how: Ending) {
        let Some(mut episode) = self.open.take() else { return };
        episode.ended = Some((at, how));
        episode.onset_at = self.onset_at(&episode, at);
        if self.episodes.len() < MOST_EPISODES {
            self.episodes.push(episode);
        } else {
            self.episodes_left_out += 1;
        }
    }

    /// When an episode that lasted until then began.
    fn onset_at(&self, episode: &EpisodeSummary, until: Seconds) -> Seconds {
        let from = self.restarts.last().copied().unwrap_or(self.from);
        let life = episode.confirmed_at.map(|confirmed_at| Life { from, confirmed_at, until });
        let began_at = life.zip(self.picture.as_ref()).and_then(|(life, picture)| began_at(picture, life));
        began_at.unwrap_or(episode.told_onset_at)
    }

    /// Keeps the open episode as it stands; what a verdict in doubt says of it is not kept.
    fn update(&mut self, standing: &Standing<'_>) {
        let (Some(episode), Some(finding)) = (standing.episode, standing.finding) else { return };
        let leaked = standing.leaked().unwrap_or_default();
        let open = self.open.get_or_insert_with(|| EpisodeSummary {
            onset_at: episode.since,
            told_onset_at: episode.since,
            opened_at: episode.opened_at,
            confirmed_at: None,
            ended: None,
            finding: finding.clone(),
            leaked,
        });
        (open.onset_at, open.told_onset_at) = (episode.since, episode.since);
        open.confirmed_at = episode.confirmed_at;
        if finding.confidence >= SUSPECT_AT {
            open.finding = finding.clone();
            open.leaked = leaked;
        }
    }
}

impl Audience for Summary {
    fn hear(&mut self, standing: &Standing<'_>) -> io::Result<()> {
        match standing.occasion {
            Occasion::Hour => {}
            Occasion::Restart(_) => {
                self.close(standing.at, Ending::Restart);
                self.restarts.push(standing.at);
            }
            Occasion::Look | Occasion::Change(_) if standing.episode.is_none() => {
                self.close(standing.at, Ending::Stopped);
            }
            Occasion::Look | Occasion::Change(_) => self.update(standing),
            Occasion::End => {
                self.state = standing.state;
                self.finding = standing.finding.cloned();
                if let Some(mut episode) = self.open.take() {
                    episode.onset_at = self.onset_at(&episode, standing.at);
                    self.episodes.push(episode);
                }
                self.picture.take_if(|_| !self.is_pictured);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        detect::{
            episode::{Episode, EpisodeId, Tempo},
            finding::{Estimate, Evidence, Pattern, Severity},
        },
        sample::{Area, Identity},
    };

    pub(in super::super) fn finding(confidence: f64, floor: f64) -> Finding {
        Finding {
            growth: Estimate { value: confidence, lower: 0.5, upper: 1.5 },
            confidence,
            pattern: Pattern::Linear,
            severity: Severity::Low,
            time_to_limit: None,
            floor,
            leaked: 0.0,
            since: 0.0,
            evidence: Evidence::default(),
        }
    }

    fn episode(confirmed_at: Option<Seconds>) -> Episode {
        let id = EpisodeId::new(Identity { pid: 0, start_ticks: 0 }, "anon", 1.0);
        Episode { id, since: 0.5, floor_before: 10.0, opened_at: 1.0, confirmed_at }
    }

    fn hear(summary: &mut Summary, occasion: Occasion, at: Seconds, told: Option<(&Finding, &Episode)>) {
        let (finding, episode) = told.unzip();
        let standing = Standing {
            occasion,
            at,
            state: LeakState::None,
            confidence: 0.0,
            finding,
            tempo: Tempo::AT_ONCE,
            state_bytes: 0,
            episode,
        };
        summary.hear(&standing).unwrap();
    }

    fn summary() -> Summary {
        called("a")
    }

    pub(in super::super) fn called(name: &str) -> Summary {
        let series = Series {
            name: name.into(),
            area: Area::new("anon", Unit::Bytes),
            limit: None,
            restarts: Vec::new(),
            started_at: None,
            interval_secs: 1.0,
        };
        Summary::new(series, 0.0, true)
    }

    #[test]
    fn an_episode_keeps_its_last_word_and_not_its_doubts() {
        let mut summary = summary();
        hear(
            &mut summary,
            Occasion::Change(LeakState::None),
            1.0,
            Some((&finding(0.8, 20.0), &episode(None))),
        );
        let sure = (&finding(0.95, 30.0), &episode(Some(2.0)));
        hear(&mut summary, Occasion::Change(LeakState::Suspected), 2.0, Some(sure));
        hear(&mut summary, Occasion::Look, 3.0, Some((&finding(0.3, 99.0), &episode(Some(2.0)))));
        hear(&mut summary, Occasion::Change(LeakState::Confirmed), 4.0, None);
        let [ended] = summary.episodes.as_slice() else { panic!("{summary:?}") };
        assert_eq!((ended.confirmed_at, ended.ended), (Some(2.0), Some((4.0, Ending::Stopped))));
        assert_eq!((ended.finding.confidence, ended.leaked), (0.95, 20.0));
        hear(
            &mut summary,
            Occasion::Change(LeakState::None),
            5.0,
            Some((&finding(0.8, 20.0), &episode(None))),
        );
        hear(&mut summary, Occasion::Restart(LeakState::Suspected), 6.0, None);
        assert_eq!(summary.episodes[1].ended, Some((6.0, Ending::Restart)));
    }

    #[test]
    fn episodes_are_bounded_and_the_open_one_is_always_kept() {
        let mut summary = summary();
        let told = Some((&finding(0.8, 20.0), &episode(None)));
        for _ in 0..MOST_EPISODES + 3 {
            hear(&mut summary, Occasion::Change(LeakState::None), 1.0, told);
            hear(&mut summary, Occasion::Change(LeakState::Suspected), 2.0, None);
        }
        hear(&mut summary, Occasion::Look, 3.0, told);
        hear(&mut summary, Occasion::End, 3.0, told);
        assert_eq!((summary.episodes.len(), summary.episodes_left_out), (MOST_EPISODES + 1, 3));
        assert!(summary.episodes.last().unwrap().ended.is_none());
    }
}
