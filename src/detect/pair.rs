//! Two areas of one target side by side: what neither of them shows alone.
//!
//! - Bytes that grow while the objects that they hold do not, or less: entries of a cache [bloat](Pattern::CacheBloat).
//! - Resident memory that grows while what is live in it does not: [fragmentation](Pattern::Fragmentation), or an
//!   allocator that keeps what was freed.
//!
//! It names the pattern of a leak that was found without it, and changes nothing else of the verdict. It is silent while
//! the other area is in doubt: growth that is not seen yet would look like none.

use super::{
    episode::CLEAR_BELOW,
    finding::{Finding, Pattern},
};
use crate::sample::{Area, Unit};

/// What the name of an area in objects adds to that of the same population in bytes.
const OBJECTS: [&str; 2] = ["_entries", "_objects"];
/// Memory as the kernel counts it,
const RESIDENT: [&str; 2] = ["anon", "rss"];
/// and what a runtime says is live in it.
const LIVE: [&str; 2] = ["heap_after_gc", "heap"];
/// Bytes for each object explain a leak if they make up this share of its growth.
const MOST: f64 = 0.5;
/// Live bytes do not grow if they grow by less than this share of the resident ones.
const LITTLE: f64 = 0.25;

/// How two areas of one target belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// One population, in bytes and in objects.
    Objects,
    /// Resident memory and what is live in it.
    Live,
}

impl Relation {
    /// How a second area belongs to a first one, by their names and units.
    #[must_use]
    pub fn of(first: &Area, second: &Area) -> Option<Self> {
        match (first.unit, second.unit) {
            (Unit::Bytes, Unit::Objects) => {
                let rest = second.name.strip_prefix(&*first.name)?;
                OBJECTS.contains(&rest).then_some(Self::Objects)
            }
            (Unit::Bytes, Unit::Bytes) => {
                let is_pair = RESIDENT.contains(&&*first.name) && LIVE.contains(&&*second.name);
                is_pair.then_some(Self::Live)
            }
            (Unit::Objects, _) => None,
        }
    }

    /// The name of the first area's growth in the light of the second one; none where that says nothing of it.
    #[must_use]
    pub fn name(self, first: &Finding, second: &Finding) -> Option<Pattern> {
        let is_known = second.pattern.grows() || second.confidence < CLEAR_BELOW;
        if !first.pattern.grows() || !is_known {
            return None;
        }
        match self {
            Self::Objects => bloats(first, second).then_some(Pattern::CacheBloat),
            Self::Live => {
                let is_idle = second.growth.upper < LITTLE * first.growth.value;
                is_idle.then_some(Pattern::Fragmentation)
            }
        }
    }
}

/// Whether bytes grow by a larger share of themselves than objects do: for certain, and by much.
fn bloats(bytes: &Finding, objects: &Finding) -> bool {
    let share = |growth: f64, finding: &Finding| growth / finding.floor.abs().max(1.0);
    let of_bytes = share(bytes.growth.value, bytes);
    let of_objects = share(objects.growth.value, objects).max(0.0);
    share(bytes.growth.lower, bytes) > share(objects.growth.upper, objects).max(0.0)
        && of_bytes - of_objects >= MOST * of_bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        detect::{
            judge::{Judge, Owner},
            judgement::{Circumstances, Scratch},
        },
        sample::Identity,
    };

    const INTERVAL_SECS: f64 = 30.0;

    /// The samples of a series in promtool's notation: `5+2x3 9x1` is 5 7 9 11 9 9.
    fn samples(notation: &str) -> Vec<f64> {
        let mut samples = Vec::new();
        for part in notation.split(' ') {
            let (line, count) = part.split_once('x').unwrap();
            let (start, step) = line.split_once('+').unwrap_or((line, "0"));
            let [start, step]: [f64; 2] = [start, step].map(|number| number.parse().unwrap());
            samples.extend((0..=count.parse().unwrap()).map(|index: u32| start + step * f64::from(index)));
        }
        samples
    }

    /// The last verdict on a series of an old process, sampled every half minute.
    fn judged(unit: Unit, notation: &str) -> Finding {
        let mut judge = Judge::new(INTERVAL_SECS);
        let mut scratch = Scratch::default();
        let circumstances = Circumstances { unit, started_at: -1e6, limit: None };
        let owner = Owner { identity: Identity { pid: 1, start_ticks: 1 }, area: "a" };
        for (index, size) in (0u32..).zip(samples(notation)) {
            let at = f64::from(index) * INTERVAL_SECS;
            judge.take_in(at, size, &circumstances, owner, &mut scratch);
        }
        judge.finding().unwrap().clone()
    }

    fn check(areas: [(&str, Unit); 2], series: [&str; 2], expected: Option<Pattern>) {
        let [first, second] = areas.map(|(name, unit)| Area::new(name, unit));
        let relation = Relation::of(&first, &second).expect("a pair");
        let [one, other] = [(first.unit, series[0]), (second.unit, series[1])];
        let found = relation.name(&judged(one.0, one.1), &judged(other.0, other.1));
        assert_eq!(found, expected, "{series:?}");
    }

    const LEAK: &str = "400e6x240 400e6+4e5x720";
    const STEADY: &str = "400e6x960";

    #[test]
    fn names_and_units_make_a_pair() {
        let check = |first: (&str, Unit), second: (&str, Unit), expected| {
            let [first, second] = [first, second].map(|(name, unit)| Area::new(name, unit));
            assert_eq!(Relation::of(&first, &second), expected, "{first:?} {second:?}");
        };
        use Unit::{Bytes, Objects};
        check(("cache", Bytes), ("cache_entries", Objects), Some(Relation::Objects));
        check(("cache", Bytes), ("cache_entries", Bytes), None);
        check(("cache", Bytes), ("caches", Objects), None);
        check(("cache_entries", Objects), ("cache", Bytes), None);
        check(("rss", Bytes), ("heap", Bytes), Some(Relation::Live));
        check(("heap", Bytes), ("anon", Bytes), None);
        check(("anon", Bytes), ("rss", Bytes), None);
    }

    #[test]
    fn entries_that_grow_bloat_and_more_entries_do_not() {
        let areas = [("cache", Unit::Bytes), ("cache_entries", Unit::Objects)];
        check(areas, [LEAK, "5000x960"], Some(Pattern::CacheBloat));
        check(areas, [LEAK, "5000x240 5000+-2x720"], Some(Pattern::CacheBloat));
        check(areas, [LEAK, "5000x240 5000+5x720"], None);
        check(areas, [STEADY, "5000x960"], None);
    }

    #[test]
    fn resident_memory_that_grows_alone_is_fragmented() {
        let areas = [("anon", Unit::Bytes), ("heap_after_gc", Unit::Bytes)];
        check(areas, [LEAK, "300e6x960"], Some(Pattern::Fragmentation));
        check(areas, [LEAK, "300e6x240 300e6+4e5x720"], None);
        check(areas, [STEADY, "300e6x960"], None);
    }

    #[test]
    fn doubt_about_the_second_area_is_silence() {
        let (leak, steady) = (judged(Unit::Bytes, LEAK), judged(Unit::Bytes, "300e6x960"));
        assert_eq!(Relation::Live.name(&leak, &steady), Some(Pattern::Fragmentation));
        let doubtful = Finding { confidence: 0.4, ..steady };
        assert_eq!(Relation::Live.name(&leak, &doubtful), None);
    }
}
