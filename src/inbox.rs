//! What programs push: the last value of each area, between the listener that takes it in and the tick that reads it.
//!
//! It is a table and no queue, so a program that pushes without end only overwrites its own values. It is bounded by the
//! number of areas, shut until a collector reads it, and knows no clock: an area was heard when it was read.

use crate::sample::{Area, Identity, Kind, Limit, LimitSource, Sample, Seconds, Target};
use regex::Regex;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Areas of one program: as many as are shown of a target by default.
pub const AREAS_OF_A_PROGRAM: usize = 64;

/// What programs have pushed.
#[derive(Debug, Default)]
pub struct Inbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// None while nobody reads.
    terms: Option<Arc<Terms>>,
    /// Areas of all programs.
    areas: usize,
    /// Samples that found no room since it was read last.
    refused: u64,
    /// When it was read first.
    began_at: Option<Seconds>,
    programs: BTreeMap<Identity, Program>,
}

/// What may be pushed.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Areas of all programs together.
    pub areas_max: usize,
    /// Metrics of OTLP that become areas beside the known ones: those whose name matches one of these.
    pub metrics: Vec<Regex>,
}

#[derive(Debug)]
struct Program {
    target: Arc<Target>,
    areas: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    area: Area,
    size: f64,
    limit: Option<f64>,
    is_new: bool,
    heard_at: Seconds,
}

/// What one program says of itself. The names are checked: not empty, bounded, without control characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Push {
    /// The name of its target.
    pub target: String,
    /// Which of several programs of this target it is; empty where there is one.
    pub instance: String,
    /// Its areas.
    pub areas: Vec<Pushed>,
}

/// One area as it is pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// Name and unit.
    pub area: Area,
    /// Its size, a number and not negative.
    pub size: f64,
    /// Its limit, above 0.
    pub limit: Option<f64>,
}

/// What became of pushed samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// So many were taken in.
    pub taken: usize,
    /// So many found no room.
    pub refused: usize,
}

/// What was heard of one program at a reading.
#[derive(Debug)]
pub struct Heard {
    /// Which program.
    pub identity: Identity,
    /// Its target.
    pub target: Arc<Target>,
    /// What is new since the last reading.
    pub samples: Vec<Sample>,
    /// Areas that were silent for too long.
    pub ended: Vec<Area>,
}

/// Everything that a reading finds.
#[derive(Debug)]
pub struct Contents {
    /// Every program that is there, whether it says anything new or not.
    pub programs: Vec<Heard>,
    /// Samples that found no room since the last reading.
    pub refused: u64,
    /// When the inbox was read first.
    pub began_at: Seconds,
}

impl Inbox {
    /// Opens it, or changes what may be pushed. What is there already stays.
    pub fn open(&self, terms: Terms) {
        self.state().terms = Some(Arc::new(terms));
    }

    /// What may be pushed; none while nobody reads it.
    #[must_use]
    pub fn terms(&self) -> Option<Arc<Terms>> {
        self.state().terms.clone()
    }

    /// Takes in what programs say, as far as there is room.
    pub fn put(&self, pushes: impl IntoIterator<Item = Push>) -> Taken {
        let mut state = self.state();
        let mut sum = Taken::default();
        for push in pushes {
            let refused = state.put(&push);
            sum.refused += refused;
            sum.taken += push.areas.len() - refused;
        }
        state.refused = state.refused.saturating_add(u64::try_from(sum.refused).unwrap_or(u64::MAX));
        sum
    }

    /// Reads what is there at a moment, and forgets what was silent for more than so many seconds.
    pub fn read(&self, at: Seconds, forget_after_secs: f64) -> Contents {
        let mut state = self.state();
        let mut programs = Vec::with_capacity(state.programs.len());
        let mut areas = 0;
        state.programs.retain(|identity, program| {
            let (samples, ended) = program.read(at, forget_after_secs);
            areas += program.areas.len();
            let is_there = !program.areas.is_empty();
            if is_there {
                programs.push(Heard {
                    identity: *identity,
                    target: Arc::clone(&program.target),
                    samples,
                    ended,
                });
            }
            is_there
        });
        state.areas = areas;
        let refused = std::mem::take(&mut state.refused);
        Contents { programs, refused, began_at: *state.began_at.get_or_insert(at) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes in what one program says, and counts what found no room.
    fn put(&mut self, push: &Push) -> usize {
        let areas_max = self.terms.as_ref().map_or(0, |terms| terms.areas_max);
        let identity = identity(push);
        let mut room = areas_max.saturating_sub(self.areas);
        if room == 0 && !self.programs.contains_key(&identity) {
            return push.areas.len();
        }
        let program = self.programs.entry(identity).or_insert_with(|| {
            let target = Target { kind: Kind::Application, name: push.target.as_str().into() };
            Program { target: Arc::new(target), areas: Vec::new() }
        });
        let mut refused = 0;
        for pushed in &push.areas {
            let is_kept = program.take(pushed);
            if !is_kept && room > 0 && program.areas.len() < AREAS_OF_A_PROGRAM {
                let Pushed { area, size, limit } = pushed.clone();
                program.areas.push(Kept { area, size, limit, is_new: true, heard_at: f64::NAN });
                self.areas += 1;
                room -= 1;
            } else if !is_kept {
                refused += 1;
            }
        }
        refused
    }
}

impl Program {
    /// Takes in the value of an area that is known, and says whether it is.
    fn take(&mut self, pushed: &Pushed) -> bool {
        let known = self.areas.iter_mut().find(|kept| kept.area == pushed.area);
        let is_known = known.is_some();
        if let Some(kept) = known {
            (kept.size, kept.limit, kept.is_new) = (pushed.size, pushed.limit, true);
        }
        is_known
    }

    fn read(&mut self, at: Seconds, forget_after_secs: f64) -> (Vec<Sample>, Vec<Area>) {
        let (mut samples, mut ended) = (Vec::new(), Vec::new());
        self.areas.retain_mut(|kept| {
            if std::mem::take(&mut kept.is_new) {
                kept.heard_at = at;
                samples.push(kept.sample());
                return true;
            }
            let stays = at - kept.heard_at <= forget_after_secs;
            if !stays {
                ended.push(kept.area.clone());
            }
            stays
        });
        (samples, ended)
    }
}

impl Kept {
    fn sample(&self) -> Sample {
        let limit = self.limit.map(|value| Limit { value, used: self.size, source: LimitSource::Runtime });
        Sample { area: self.area.clone(), size: self.size, limit }
    }
}

/// No byte of UTF-8 is 255, so that the two names cannot run into each other.
fn identity(push: &Push) -> Identity {
    Identity::hashed(push.target.bytes().chain([u8::MAX]).chain(push.instance.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Unit;

    fn open(areas_max: usize) -> Inbox {
        let inbox = Inbox::default();
        inbox.open(Terms { areas_max, metrics: Vec::new() });
        inbox
    }

    fn push(target: &str, instance: &str, areas: &[(&str, f64)]) -> Push {
        let pushed = |(name, size): &(&str, f64)| Pushed {
            area: Area::new(name, Unit::Bytes),
            size: *size,
            limit: None,
        };
        Push { target: target.into(), instance: instance.into(), areas: areas.iter().map(pushed).collect() }
    }

    /// What is heard: `target/area=size`, and `target/-area` where one ended.
    fn heard(inbox: &Inbox, at: f64) -> Vec<String> {
        let mut told = Vec::new();
        for Heard { target, samples, ended, .. } in inbox.read(at, 60.0).programs {
            told.extend(
                samples.iter().map(|sample| format!("{}/{}={}", target.name, sample.area.name, sample.size)),
            );
            told.extend(ended.iter().map(|area| format!("{}/-{}", target.name, area.name)));
        }
        told.sort();
        told
    }

    #[test]
    fn the_last_value_of_each_area_is_told_once_and_forgotten_after_a_silence() {
        let inbox = open(10);
        inbox.put([push("a", "", &[("x", 1.0), ("y", 1.0)]), push("a", "", &[("x", 2.0)])]);
        assert_eq!(heard(&inbox, 100.0), ["a/x=2", "a/y=1"]);
        assert_eq!(heard(&inbox, 103.0), Vec::<String>::new());
        inbox.put([push("a", "", &[("y", 1.0)])]);
        assert_eq!(heard(&inbox, 160.0), ["a/y=1"]);
        assert_eq!(heard(&inbox, 161.0), ["a/-x"]);
        assert_eq!(inbox.read(220.0, 60.0).programs.len(), 1, "present until it has been silent for long");
        assert_eq!(inbox.read(221.0, 60.0).programs.len(), 0);
        assert_eq!(inbox.state().areas, 0);
    }

    #[test]
    fn instances_are_programs_of_their_own() {
        let inbox = open(10);
        inbox.put([
            push("a", "1", &[("x", 1.0)]),
            push("a", "2", &[("x", 2.0)]),
            push("a1", "", &[("x", 3.0)]),
        ]);
        assert_eq!(inbox.read(1.0, 60.0).programs.len(), 3);
    }

    #[test]
    fn a_full_inbox_takes_what_it_knows_and_nothing_new() {
        let inbox = open(2);
        assert_eq!(
            inbox.put([push("a", "", &[("x", 1.0), ("y", 1.0), ("z", 1.0)])]),
            Taken { taken: 2, refused: 1 }
        );
        assert_eq!(inbox.put([push("b", "", &[("x", 1.0)])]), Taken { taken: 0, refused: 1 });
        assert_eq!(inbox.put([push("a", "", &[("y", 7.0)])]), Taken { taken: 1, refused: 0 });
        let contents = inbox.read(1.0, 60.0);
        assert_eq!((contents.programs.len(), contents.refused), (1, 2));
        assert_eq!(inbox.read(2.0, 60.0).refused, 0);
        let many: Vec<(String, f64)> = (0..100).map(|number| (format!("x{number}"), 1.0)).collect();
        let many: Vec<(&str, f64)> = many.iter().map(|(name, size)| (name.as_str(), *size)).collect();
        assert_eq!(open(1_000).put([push("a", "", &many)]), Taken { taken: 64, refused: 36 });
    }

    #[test]
    fn it_is_shut_until_somebody_reads_it() {
        let inbox = Inbox::default();
        assert!(inbox.terms().is_none());
        assert_eq!(inbox.put([push("a", "", &[("x", 1.0)])]), Taken { taken: 0, refused: 1 });
    }
}
