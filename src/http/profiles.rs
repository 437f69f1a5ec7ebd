//! Profiles of a stretch of work: what grew between two moments, by the sizes of the ticks before each.
//!
//! They are kept in memory, few and not for long: who begins one and goes away costs the others nothing but that.

use super::api::{AreaSize, area_sizes};
use crate::{sample::Seconds, snapshot::Snapshot};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

/// Profiles that are open at once.
pub(super) const PROFILES_MAX: usize = 16;
/// Areas of one; what a larger machine shows beyond that is left out.
const AREAS_MAX: usize = 20_000;
/// Areas of an answer, those that grew most first.
const ANSWER_MAX: usize = 1_000;
/// One that nobody ended is forgotten.
pub(super) const LONGEST_SECS: f64 = 24.0 * 3600.0;

/// The open profiles by their ids.
#[derive(Debug, Default)]
pub(super) struct Profiles(Mutex<BTreeMap<String, Profile>>);

#[derive(Debug)]
struct Profile {
    began_at: Seconds,
    began_tick: u64,
    kind: Option<String>,
    target: Option<String>,
    sizes: HashMap<String, f64>,
}

/// What is said of a profile that began.
#[derive(Serialize)]
pub(super) struct Begun {
    id: String,
    began_at: Seconds,
    expires_at: Seconds,
    areas: usize,
}

/// What grew.
#[derive(Serialize)]
pub(super) struct Ended {
    id: String,
    began_at: Seconds,
    ended_at: Seconds,
    /// Ticks between the two; with none of them, nothing can have grown.
    ticks: u64,
    total: usize,
    areas: Vec<Grown>,
}

#[derive(Serialize)]
struct Grown {
    #[serde(flatten)]
    area: AreaSize,
    /// None: it was not there.
    begin: Option<f64>,
    end: f64,
    growth: f64,
}

impl Profiles {
    /// Begins one, of all areas or of those of a kind or a target; none where too many are open.
    pub(super) fn begin(
        &self,
        snapshot: &Snapshot,
        kind: Option<String>,
        target: Option<String>,
    ) -> Option<Begun> {
        let mut profiles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let began_at = snapshot.taken_at;
        profiles.retain(|_, profile| began_at - profile.began_at < LONGEST_SECS);
        if profiles.len() >= PROFILES_MAX {
            return None;
        }
        let sizes = area_sizes(snapshot, kind.as_deref(), target.as_deref());
        let sizes: HashMap<String, f64> = sizes.take(AREAS_MAX).map(|(area, size)| (area.id, size)).collect();
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).ok()?;
        let id = format!("{:016x}", u64::from_le_bytes(random));
        let begun =
            Begun { id: id.clone(), began_at, expires_at: began_at + LONGEST_SECS, areas: sizes.len() };
        profiles.insert(id, Profile { began_at, began_tick: snapshot.tick, kind, target, sizes });
        Some(begun)
    }

    /// Ends one; none where there is none with this id.
    pub(super) fn end(&self, snapshot: &Snapshot, id: &str) -> Option<Ended> {
        let profile = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)?;
        let sizes = area_sizes(snapshot, profile.kind.as_deref(), profile.target.as_deref());
        let mut areas: Vec<Grown> = sizes
            .take(AREAS_MAX)
            .map(|(area, end)| {
                let begin = profile.sizes.get(&area.id).copied();
                Grown { area, begin, end, growth: end - begin.unwrap_or_default() }
            })
            .collect();
        let total = areas.len();
        areas.sort_by(|one, other| other.growth.total_cmp(&one.growth));
        areas.truncate(ANSWER_MAX);
        Some(Ended {
            id: id.to_owned(),
            began_at: profile.began_at,
            ended_at: snapshot.taken_at,
            ticks: snapshot.tick.saturating_sub(profile.began_tick),
            total,
            areas,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_few_and_expire() {
        let profiles = Profiles::default();
        let at = |taken_at: f64| Snapshot { tick: 1, taken_at, ..Snapshot::default() };
        let ids: Vec<String> =
            std::iter::from_fn(|| profiles.begin(&at(0.0), None, None)).map(|begun| begun.id).collect();
        assert_eq!(ids.len(), PROFILES_MAX);
        assert!(profiles.end(&at(5.0), &ids[0]).is_some() && profiles.end(&at(5.0), &ids[0]).is_none());
        assert!(profiles.begin(&at(LONGEST_SECS - 1.0), None, None).is_some(), "one has ended");
        assert!(profiles.begin(&at(LONGEST_SECS - 1.0), None, None).is_none());
        assert!(profiles.begin(&at(LONGEST_SECS), None, None).is_some(), "the others were forgotten");
    }
}
