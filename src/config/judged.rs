//! Which areas of a collector's targets are judged.

use std::{collections::BTreeMap, sync::Arc};

/// Which areas of a collector's targets are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Those of every target.
    everywhere: Vec<Arc<str>>,
    /// Where it is so: every area of every target but these.
    all_but: Option<&'static [&'static str]>,
    /// What is said of single targets, by their names: areas, and whether they are judged.
    of_targets: BTreeMap<Box<str>, Vec<(Arc<str>, bool)>>,
    /// An area, and the one that takes its place where it is told: it shows the same, and better.
    better: Option<(&'static str, &'static str)>,
}

impl Judged {
    /// These areas of all targets.
    #[must_use]
    pub const fn everywhere(areas: Vec<Arc<str>>) -> Self {
        Self { everywhere: areas, all_but: None, of_targets: BTreeMap::new(), better: None }
    }

    /// Every area of all targets but these.
    #[must_use]
    pub fn all_but(areas: &'static [&'static str]) -> Self {
        Self { all_but: Some(areas), ..Self::everywhere(Vec::new()) }
    }

    /// The first area is not judged where the second one is told, unless that is said.
    #[must_use]
    pub fn preferring(self, area: &'static str, better: &'static str) -> Self {
        Self { better: Some((area, better)), ..self }
    }

    /// Says of one target whether an area is judged.
    pub fn say(&mut self, target: &str, area: &Arc<str>, is_judged: bool) {
        self.of_targets.entry(target.into()).or_default().push((Arc::clone(area), is_judged));
    }

    /// Whether an area of a target is judged; `has` says which areas the target has.
    #[must_use]
    pub fn includes(&self, target: &str, area: &Arc<str>, has: impl Fn(&str) -> bool) -> bool {
        let said = self.of_targets.get(target).and_then(|areas| areas.iter().find(|(name, _)| name == area));
        if let Some((_, is_judged)) = said {
            return *is_judged;
        }
        let yields = || self.better.is_some_and(|(worse, better)| **area == *worse && has(better));
        let is_one = || self.all_but.is_some_and(|others| !others.contains(&&**area));
        (self.everywhere.contains(area) || is_one()) && !yields()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_target_wins_and_the_better_area_takes_the_place_of_the_other() {
        let [heap, after_gc, cache] = ["heap", "after_gc", "cache"].map(Arc::<str>::from);
        let mut judged =
            Judged::everywhere(vec![Arc::clone(&heap), Arc::clone(&after_gc)]).preferring("heap", "after_gc");
        judged.say("a", &cache, true);
        judged.say("b", &after_gc, false);
        judged.say("c", &heap, true);
        let none = |_: &str| false;
        let both = |name: &str| name == "after_gc";
        assert!(judged.includes("a", &cache, none) && !judged.includes("b", &cache, none));
        assert!(judged.includes("a", &heap, none) && !judged.includes("a", &heap, both));
        assert!(judged.includes("a", &after_gc, both) && !judged.includes("b", &after_gc, both));
        assert!(judged.includes("c", &heap, both));
    }
}
