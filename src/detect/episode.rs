//! A leak from onset to resolution: the hysteresis between what a detector thinks now and what people are told.

use super::{finding::Finding, judge::Owner};
use crate::sample::{Identity, Seconds};
use serde::{Deserialize, Serialize};
use std::fmt;

/// From this confidence on a leak is suspected.
pub const SUSPECT_AT: f64 = 0.7;
/// From this confidence on, held for a [patience](Tempo::patience_secs), a leak is confirmed.
pub const CONFIRM_AT: f64 = 0.88;
/// Below this confidence, held for as long, an episode ends. Far below the other two, so that a verdict at the edge does
/// not flap.
pub const CLEAR_BELOW: f64 = 0.2;
/// In its first so many seconds of the grid everything grows, and no sureness is worth any haste.
const HASTELESS_SECS: f64 = 1200.0;
/// At what pace a wavering confidence takes back the time of sureness.
const WAVERING_PACE: f64 = 0.5;
/// One look is a coincidence, and so are its neighbours.
const COARSE: Tempo = Tempo { patience_secs: 1200.0, very_sure_at: 0.95, haste: 4.0, wavers_to: CONFIRM_AT };
/// Where samples come every few seconds, the floors that a verdict stands on are each of several of them, and looks are as
/// many as samples are elsewhere: among so many one or two that waver mean little.
const FINE: Tempo = Tempo { patience_secs: 960.0, very_sure_at: 0.97, haste: 6.0, wavers_to: 0.75 };

/// How soon people are told of a change of mind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tempo {
    /// How long it must last, in seconds.
    pub patience_secs: f64,
    /// From this confidence on, time counts `haste` times: the surer it is, the less it has to wait.
    pub very_sure_at: f64,
    /// How many times.
    pub haste: f64,
    /// Below [`CONFIRM_AT`], down to this confidence, it wavers: the time of sureness runs back. Further down it is over.
    pub wavers_to: f64,
}

impl Tempo {
    /// For a process of this age in seconds of the grid, whose samples go into the grid's finest buckets if they are
    /// `fine`; `pace` is 1 but for trials in fast motion.
    #[must_use]
    pub fn of(age_secs: Seconds, fine: bool, pace: f64) -> Self {
        let tempo = if fine { FINE } else { COARSE };
        let haste = if age_secs < HASTELESS_SECS { 1.0 } else { tempo.haste };
        Self { patience_secs: tempo.patience_secs * pace, haste, ..tempo }
    }

    /// The time of sureness after `secs` more of a confidence, or none when it is over.
    fn sure_secs(&self, before: Option<f64>, confidence: f64, secs: f64) -> Option<f64> {
        if confidence >= self.very_sure_at {
            Some(before.map_or(0.0, |sure| sure + self.haste * secs))
        } else if confidence >= CONFIRM_AT {
            Some(before.map_or(0.0, |sure| sure + secs))
        } else {
            before.filter(|_| confidence >= self.wavers_to).map(|sure| (sure - WAVERING_PACE * secs).max(0.0))
        }
    }
}

#[cfg(test)]
impl Tempo {
    /// What is thought is told.
    pub(crate) const AT_ONCE: Self = Self { patience_secs: 0.0, ..COARSE };
}

/// What people are told of an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeakState {
    /// No leak.
    #[default]
    None = 0,
    /// Perhaps a leak.
    Suspected = 1,
    /// A leak.
    Confirmed = 2,
}

impl LeakState {
    /// The word for logs and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Suspected => "suspected",
            Self::Confirmed => "confirmed",
        }
    }
}

/// The id of an episode: the same in every log line and answer about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EpisodeId(u64);

impl EpisodeId {
    /// An id made from who leaks, where and since when (FNV-1a); the same facts give the same id.
    #[must_use]
    pub fn new(identity: Identity, area: &str, opened_at: Seconds) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let words = [u64::from(identity.pid), identity.start_ticks, opened_at.to_bits()];
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).chain(area.bytes());
        Self(bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
    }
}

impl fmt::Display for EpisodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// An open episode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Its id.
    pub id: EpisodeId,
    /// When the growth began.
    pub since: Seconds,
    /// The floor that it began from, in the area's unit.
    pub floor_before: f64,
    /// When it was first suspected.
    pub opened_at: Seconds,
    /// When it was confirmed, if it was.
    pub confirmed_at: Option<Seconds>,
}

/// The state machine of one area: `None` → `Suspected` → `Confirmed` → `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpisodeTracker {
    open: Option<Episode>,
    /// How long it has been sure, in seconds, those of high sureness counted more and those of wavering taken back; none when
    /// it is not.
    sure_secs: Option<f64>,
    noted_at: Option<Seconds>,
    doubt_since: Option<Seconds>,
}

/// A change of state, to be logged and counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// The state before.
    pub from: LeakState,
    /// The state now.
    pub to: LeakState,
    /// The episode that changed (the one just ended, when `to` is `None`).
    pub episode: Episode,
}

impl EpisodeTracker {
    /// The state that people are told.
    #[must_use]
    pub fn state(&self) -> LeakState {
        match self.open {
            None => LeakState::None,
            Some(Episode { confirmed_at: None, .. }) => LeakState::Suspected,
            Some(_) => LeakState::Confirmed,
        }
    }

    /// The open episode.
    #[must_use]
    pub fn episode(&self) -> Option<&Episode> {
        self.open.as_ref()
    }

    /// Takes in a new verdict (none: too little evidence) of the owner's area at `now`.
    pub fn step(
        &mut self,
        finding: Option<&Finding>,
        owner: Owner<'_>,
        now: Seconds,
        tempo: Tempo,
    ) -> Option<Transition> {
        let from = self.state();
        // Thin evidence is no doubt: after a gap there is nothing to say for a while, and what was said stands.
        let finding = finding?;
        self.note(finding, now, tempo);
        let lasted = |since: Option<Seconds>| since.is_some_and(|since| now - since >= tempo.patience_secs);
        if lasted(self.doubt_since) {
            return self.end(from);
        }
        let confirmed = self.sure_secs.is_some_and(|secs| secs >= tempo.patience_secs);
        if finding.confidence >= SUSPECT_AT && self.open.is_none() {
            self.open = Some(Episode {
                id: EpisodeId::new(owner.identity, owner.area, now),
                since: finding.since,
                floor_before: finding.floor - finding.leaked,
                opened_at: now,
                confirmed_at: None,
            });
        }
        let open = self.open.as_mut()?;
        if open.confirmed_at.is_none() && confirmed {
            open.confirmed_at = Some(now);
            // More is known of the onset than at the first suspicion.
            if finding.since < open.since {
                open.since = finding.since;
                open.floor_before = finding.floor - finding.leaked;
            }
        }
        let episode = *open;
        let to = self.state();
        (to != from).then_some(Transition { from, to, episode })
    }

    /// Remembers since when it has been sure, or in doubt.
    fn note(&mut self, finding: &Finding, now: Seconds, tempo: Tempo) {
        let keep = |holds: bool, since: Option<Seconds>| holds.then(|| since.unwrap_or(now));
        let since_last = self.noted_at.map_or(0.0, |before| now - before);
        self.sure_secs = tempo.sure_secs(self.sure_secs, finding.confidence, since_last);
        self.noted_at = Some(now);
        self.doubt_since = keep(finding.confidence < CLEAR_BELOW, self.doubt_since);
    }

    fn end(&mut self, from: LeakState) -> Option<Transition> {
        self.sure_secs = None;
        let episode = self.open.take()?;
        Some(Transition { from, to: LeakState::None, episode })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::{Estimate, Evidence, Pattern, Severity};

    const TEMPO: Tempo = Tempo { patience_secs: 2.0, ..COARSE };

    fn finding(confidence: f64) -> Finding {
        Finding {
            growth: Estimate { value: 1.0, lower: 0.5, upper: 1.5 },
            confidence,
            pattern: Pattern::Linear,
            severity: Severity::Low,
            time_to_limit: None,
            floor: 9.0,
            leaked: 1.0,
            since: 5.0,
            evidence: Evidence::default(),
        }
    }

    /// Feeds confidences one verdict after the other; the states are the data that decides.
    fn check(confidences: &[f64], expected: &[LeakState]) {
        check_at(TEMPO, confidences, expected);
    }

    fn check_at(tempo: Tempo, confidences: &[f64], expected: &[LeakState]) {
        let mut tracker = EpisodeTracker::default();
        let owner = Owner { identity: Identity { pid: 1, start_ticks: 2 }, area: "anon" };
        let states: Vec<LeakState> = confidences
            .iter()
            .zip(1u8..)
            .map(|(confidence, now)| {
                tracker.step(Some(&finding(*confidence)), owner, f64::from(now), tempo);
                tracker.state()
            })
            .collect();
        assert_eq!(states, expected);
    }

    #[test]
    fn sureness_must_last_and_so_must_doubt() {
        use LeakState::{Confirmed, None, Suspected};
        check(&[0.5, 0.92, 0.92, 0.92], &[None, Suspected, Suspected, Confirmed]);
        check(&[0.5, 0.97, 0.97], &[None, Suspected, Confirmed]);
        check(&[0.92, 0.8, 0.92, 0.92, 0.92], &[Suspected, Suspected, Suspected, Suspected, Confirmed]);
        check(&[0.69, 0.5], &[None, None]);
        let sure = [0.92, 0.92, 0.92];
        let told = [Suspected, Suspected, Confirmed];
        check(&[&sure[..], &[0.1, 0.6, 0.1, 0.1]].concat(), &[&told[..], &[Confirmed; 4]].concat());
        check(&[&sure[..], &[0.1, 0.1, 0.1]].concat(), &[&told[..], &[Confirmed, Confirmed, None]].concat());
    }

    #[test]
    fn nothing_is_hasty_just_after_a_start() {
        assert_eq!(Tempo::of(600.0, false, 1.0), Tempo { haste: 1.0, ..COARSE });
        assert_eq!(Tempo::of(1500.0, false, 0.1), Tempo { patience_secs: 120.0, ..COARSE });
        assert_eq!(Tempo::of(600.0, true, 1.0), Tempo { haste: 1.0, ..FINE });
    }

    #[test]
    fn wavering_among_many_looks_takes_time_back_and_doubt_takes_all() {
        use LeakState::{Confirmed, Suspected};
        let confirmed_last = [Suspected, Suspected, Suspected, Suspected, Confirmed];
        for patience_secs in [2.0, 2.5] {
            // Half a second is taken back: 0, 1, 0.5, 1.5, 2.5.
            check_at(Tempo { patience_secs, ..FINE }, &[0.9, 0.9, 0.8, 0.9, 0.9], &confirmed_last);
        }
        let tempo = Tempo { patience_secs: 2.0, ..FINE };
        check_at(tempo, &[0.9, 0.9, 0.74, 0.9, 0.9], &[Suspected; 5]);
        check_at(tempo, &[0.9, 0.96, 0.98], &[Suspected, Suspected, Confirmed]);
    }

    #[test]
    fn thin_evidence_changes_nothing() {
        let mut tracker = EpisodeTracker::default();
        let owner = Owner { identity: Identity { pid: 1, start_ticks: 2 }, area: "anon" };
        tracker.step(Some(&finding(0.8)), owner, 1.0, TEMPO);
        assert_eq!(tracker.step(None, owner, 2.0, TEMPO), None);
        assert_eq!(tracker.state(), LeakState::Suspected);
    }
}
