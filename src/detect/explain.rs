//! One leak, one alarm: whether the growth of a whole is already told of by what is inside of it.
//!
//! A process that leaks makes its control group grow, and the machine. All of that is true and shown; one alarm is
//! enough. The rule is conservative, since what is explained raises none: a whole is explained only by verdicts that
//! stand at least as firmly as its own (a suspicion explains no confirmed leak), and only if these add up to
//! [`EXPLAINED_SHARE`] of its growth, both now and over the time since its own growth began. A second leak beside the
//! first, of the kernel for one, or of many small processes, therefore stays an alarm of its own.
//!
//! What is inside counts once: a process within a container within a pod explains the container, and the container the
//! pod.

use super::{episode::LeakState, finding::Finding};
use crate::sample::{Kind, Seconds};
use std::collections::HashMap;

/// From this share of its growth on a whole is explained: two measures of one leak differ by some per cent, two leaks of
/// like size by half.
pub const EXPLAINED_SHARE: f64 = 0.7;

/// An area under suspicion: of a process, of a control group, or of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Suspect<'a> {
    /// Whose it is.
    pub kind: Kind,
    /// The path of its control group: of the one that it is in, or that it is.
    pub group: &'a str,
    /// What people are told of it; not `None`.
    pub state: LeakState,
    /// How it grows.
    pub rise: Rise,
}

/// How an area grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// In units a second.
    pub growth: f64,
    /// How much it has grown since it began, in units.
    pub leaked: f64,
    /// When it began.
    pub since: Seconds,
}

impl Rise {
    /// The growth that a verdict tells of.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        Self { growth: finding.growth.value, leaked: finding.leaked, since: finding.since }
    }

    /// How much of it lies after a moment.
    fn leaked_since(&self, moment: Seconds, now: Seconds) -> f64 {
        if self.since >= moment { self.leaked } else { self.leaked.min(self.growth * (now - moment)) }
    }
}

/// Whether the parts add up to enough of the whole.
#[must_use]
pub fn explains(parts: &[Rise], whole: &Rise, now: Seconds) -> bool {
    let growth: f64 = parts.iter().map(|part| part.growth).sum();
    let leaked: f64 = parts.iter().map(|part| part.leaked_since(whole.since, now)).sum();
    growth > 0.0 && growth >= EXPLAINED_SHARE * whole.growth && leaked >= EXPLAINED_SHARE * whole.leaked
}

/// Which of these areas of one name are explained by others of them, in their order.
#[must_use]
pub fn explained(suspects: &[Suspect<'_>], now: Seconds) -> Vec<bool> {
    let mut explained = vec![false; suspects.len()];
    for state in [LeakState::Suspected, LeakState::Confirmed] {
        // Only what stands as firmly explains a whole in this state; of these each is a part of the nearest around it.
        let firm = || suspects.iter().enumerate().filter(|(_, suspect)| suspect.state >= state);
        let groups: HashMap<&str, usize> = firm()
            .filter(|(_, suspect)| suspect.kind == Kind::Cgroup)
            .map(|(index, suspect)| (suspect.group, index))
            .collect();
        let machine = firm().find(|(_, suspect)| suspect.kind == Kind::Host).map(|(index, _)| index);
        let mut parts: HashMap<usize, Vec<Rise>> = HashMap::new();
        for (_, suspect) in firm().filter(|(_, suspect)| suspect.kind != Kind::Host) {
            if let Some(whole) = nearest_around(suspect, &groups).or(machine) {
                parts.entry(whole).or_default().push(suspect.rise);
            }
        }
        for (whole, parts) in parts {
            if let (Some(suspect), Some(slot)) = (suspects.get(whole), explained.get_mut(whole))
                && suspect.state == state
            {
                *slot = explains(&parts, &suspect.rise, now);
            }
        }
    }
    explained
}

/// The nearest group around a suspect; a process's own counts, a group's own does not.
fn nearest_around(suspect: &Suspect<'_>, groups: &HashMap<&str, usize>) -> Option<usize> {
    // Seen from inside of a container, paths of groups outside of it lead upwards first, and only their ends are known.
    let visible = below_the_common(suspect.group);
    let is_whole = visible.len() == suspect.group.len();
    let mut path = visible;
    if suspect.kind == Kind::Cgroup {
        path = outer(path)?;
    }
    loop {
        let found = if is_whole {
            groups.get(path).copied()
        } else {
            groups.iter().find(|(known, _)| path.len() > 1 && known.ends_with(path)).map(|(_, index)| *index)
        };
        if found.is_some() {
            return found;
        }
        path = outer(path)?;
    }
}

/// The end of a path that leads upwards first.
fn below_the_common(path: &str) -> &str {
    let mut rest = path;
    while let Some(inner) =
        rest.strip_prefix("/..").filter(|inner| inner.is_empty() || inner.starts_with('/'))
    {
        rest = inner;
    }
    rest
}

/// The path of the group around a group; none of the root.
fn outer(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some(("", "")) | None => None,
        Some(("", _)) => Some("/"),
        Some((outer, _)) => Some(outer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: f64 = 10_000.0;

    /// A rise at an even pace since then.
    fn since(since: f64, growth: f64) -> Rise {
        Rise { growth, leaked: growth * (NOW - since), since }
    }

    #[test]
    fn parts_must_add_up_both_now_and_over_the_time() {
        let whole = since(5_000.0, 100.0);
        for (parts, explained) in [
            (vec![since(5_000.0, 100.0)], true),
            (vec![since(5_000.0, 71.0)], true),
            (vec![since(5_000.0, 69.0)], false),
            (vec![since(5_000.0, 40.0), since(5_000.0, 40.0)], true),
            (vec![], false),
            // It leaks as fast, but only since lately.
            (vec![since(9_000.0, 100.0)], false),
            (vec![since(9_000.0, 500.0)], true),
            // It has leaked for long, of which only what lies in the time of the whole counts.
            (vec![Rise { growth: 60.0, leaked: 1e9, since: 0.0 }], false),
            (vec![Rise { growth: 80.0, leaked: 1e9, since: 0.0 }], true),
            // It has leaked enough, and does so no more.
            (vec![Rise { growth: 0.0, leaked: 1e9, since: 5_000.0 }], false),
            (vec![Rise { growth: -5.0, leaked: 1e9, since: 5_000.0 }], false),
        ] {
            assert_eq!(explains(&parts, &whole, NOW), explained, "{parts:?}");
        }
        let pausing = Rise { growth: 0.0, ..whole };
        assert!(explains(&[since(5_000.0, 100.0)], &pausing, NOW));
    }

    use LeakState::{Confirmed, Suspected};

    fn process(group: &str, state: LeakState, growth: f64) -> Suspect<'_> {
        Suspect { kind: Kind::Process, group, state, rise: since(5_000.0, growth) }
    }

    fn cgroup(group: &str, state: LeakState, growth: f64) -> Suspect<'_> {
        Suspect { kind: Kind::Cgroup, ..process(group, state, growth) }
    }

    fn host(state: LeakState, growth: f64) -> Suspect<'static> {
        Suspect { kind: Kind::Host, ..process("", state, growth) }
    }

    /// Which of these are explained, by their numbers.
    fn check(suspects: &[Suspect<'_>], expected: &[usize]) {
        let explained = explained(suspects, NOW);
        let numbers: Vec<usize> = (0..suspects.len()).filter(|index| explained[*index]).collect();
        assert_eq!(numbers, expected, "{suspects:#?}");
    }

    #[test]
    fn a_process_explains_its_group_the_groups_around_it_and_the_machine() {
        check(
            &[
                process("/pods/a/x", Confirmed, 100.0),
                cgroup("/pods/a/x", Confirmed, 100.0),
                cgroup("/pods/a", Confirmed, 105.0),
                host(Confirmed, 110.0),
            ],
            &[1, 2, 3],
        );
        check(&[process("/a", Confirmed, 100.0), cgroup("/b", Confirmed, 100.0)], &[]);
        check(&[process("/ab", Confirmed, 100.0), cgroup("/a", Confirmed, 100.0)], &[]);
        check(&[process("/a", Confirmed, 100.0), host(Confirmed, 100.0)], &[1]);
        check(&[process("/", Confirmed, 100.0), cgroup("/", Confirmed, 100.0)], &[1]);
    }

    #[test]
    fn a_second_leak_beside_the_first_is_not_explained_by_it() {
        check(
            &[process("/a", Confirmed, 100.0), cgroup("/a", Confirmed, 200.0), host(Confirmed, 200.0)],
            // The machine's growth is that of the group, which raises an alarm of its own.
            &[2],
        );
        check(&[cgroup("/a", Confirmed, 100.0), host(Confirmed, 300.0)], &[]);
    }

    #[test]
    fn nothing_counts_twice() {
        // Both tell of the same 60: together they would seem to be 120.
        check(
            &[
                process("/a/b", Confirmed, 60.0),
                cgroup("/a/b", Confirmed, 60.0),
                cgroup("/a", Confirmed, 100.0),
                host(Confirmed, 150.0),
            ],
            &[1],
        );
    }

    #[test]
    fn a_suspicion_explains_a_suspicion_and_no_confirmed_leak() {
        check(&[process("/a", Suspected, 100.0), cgroup("/a", Confirmed, 100.0)], &[]);
        check(&[process("/a", Suspected, 100.0), cgroup("/a", Suspected, 100.0)], &[1]);
        check(&[process("/a", Confirmed, 100.0), cgroup("/a", Suspected, 100.0)], &[1]);
        // A group that is only suspected does not come between.
        check(
            &[process("/a", Confirmed, 100.0), cgroup("/a", Suspected, 100.0), host(Confirmed, 100.0)],
            &[1, 2],
        );
    }

    #[test]
    fn a_path_that_leads_out_of_the_own_container_is_known_by_its_end() {
        let pod = cgroup("/kubepods/pod7", Confirmed, 100.0);
        let container = cgroup("/kubepods/pod7/abc", Confirmed, 100.0);
        check(&[process("/../../pod7/abc", Confirmed, 100.0), container, pod], &[1, 2]);
        check(&[process("/../../pod7/gone", Confirmed, 100.0), pod], &[1]);
        check(&[process("/..", Confirmed, 100.0), pod], &[]);
        check(&[process("/../od7", Confirmed, 100.0), pod], &[]);
        check(&[process("/..pod7", Confirmed, 100.0), cgroup("/..pod7", Confirmed, 100.0)], &[1]);
    }
}
