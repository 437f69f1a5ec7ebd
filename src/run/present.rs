//! From what is known to what is shown: processes summed up into targets, the worst verdict in front, limits applied.

use super::watch::{Watch, WatchedArea, WatchedMember};
use crate::{
    config::Limits,
    detect::{
        episode::LeakState,
        finding::{Estimate, Finding},
    },
    export::metric,
    sample::{Limit, Seconds, Target},
    snapshot::{AreaView, Snapshot, TargetView, Verdict},
};
use std::{cmp::Ordering, collections::HashMap, sync::Arc};

/// What limits left out of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) targets: usize,
    pub(super) areas: usize,
    pub(super) series: usize,
}

/// How to show.
pub(super) struct Presentation<'a> {
    pub(super) limits: &'a Limits,
    pub(super) show_pid: bool,
    /// What to add to the steady time to get the wall clock's.
    pub(super) wall_offset_secs: f64,
}

impl Presentation<'_> {
    /// The snapshot of this tick.
    pub(super) fn snapshot(&self, watch: &Watch, tick: u64, at: Seconds) -> (Snapshot, LeftOut) {
        let mut by_target: HashMap<&Target, Vec<&WatchedMember>> = HashMap::new();
        for watched in watch.members() {
            by_target.entry(&watched.member.target).or_default().push(watched);
        }
        let member_count = by_target.values().map(Vec::len).sum();
        let mut left_out = LeftOut::default();
        let targets = watch
            .targets()
            .map(|(target, record)| {
                let members = by_target.get(&**target).map(Vec::as_slice).unwrap_or_default();
                let areas = self.keep_worst_areas(self.areas(members), &mut left_out);
                TargetView {
                    target: Arc::clone(target),
                    info: record.info.clone(),
                    members: record.members,
                    restarts: record.restarts,
                    episodes: record.episodes,
                    areas,
                    is_expected: record.is_expected,
                }
            })
            .collect();
        let targets = self.keep_most_important(targets, &mut left_out);
        let snapshot = Snapshot { tick, taken_at: at + self.wall_offset_secs, targets, member_count };
        (snapshot, left_out)
    }

    fn areas(&self, members: &[&WatchedMember]) -> Vec<AreaView> {
        let mut views: Vec<AreaView> = Vec::new();
        for watched in members {
            let pid = self.show_pid.then_some(watched.member.identity.pid);
            for area in &watched.areas {
                let found = views.iter_mut().find(|view| view.pid == pid && view.area == area.area);
                match found {
                    Some(view) => self.add(view, area),
                    None => views.push(self.view(area, pid)),
                }
            }
        }
        views.sort_by(by_name_and_pid);
        views
    }

    /// Applies the limit on areas: the most suspicious and largest stay, in the order in which they stood.
    fn keep_worst_areas(&self, mut areas: Vec<AreaView>, left_out: &mut LeftOut) -> Vec<AreaView> {
        let over = areas.len().saturating_sub(self.limits.areas_per_target);
        if over > 0 {
            left_out.areas += over;
            let state = |area: &AreaView| area.verdict.as_ref().map(|verdict| verdict.state);
            areas.sort_by(|one, other| state(other).cmp(&state(one)).then(other.size.total_cmp(&one.size)));
            areas.truncate(self.limits.areas_per_target);
            areas.sort_by(by_name_and_pid);
        }
        areas
    }

    fn view(&self, area: &WatchedArea, pid: Option<u32>) -> AreaView {
        let verdict = area.is_judged().then(|| Verdict {
            state: area.state(),
            finding: area.finding().cloned(),
            episode: area.episode().copied(),
            leaked: leaked(area),
        });
        AreaView {
            area: area.area.clone(),
            pid,
            size: area.size,
            limit: area.limit.map(|limit| at_least(limit, area.size)),
            sampled_at: area.sampled_at + self.wall_offset_secs,
            verdict,
        }
    }

    /// Adds the same area of another process: sizes sum up, the worst verdict stays, growth sums up.
    fn add(&self, view: &mut AreaView, area: &WatchedArea) {
        view.size += area.size;
        view.sampled_at = view.sampled_at.min(area.sampled_at + self.wall_offset_secs);
        let nearest = match (view.limit, area.limit) {
            (Some(one), Some(other)) => Some(one.nearer(other)),
            (one, other) => one.or(other),
        };
        view.limit = nearest.map(|limit| at_least(limit, area.size));
        if let (Some(verdict), true) = (&mut view.verdict, area.is_judged()) {
            merge(verdict, area);
        }
    }

    /// Applies the limits on targets and series: the most suspicious, fastest-growing and largest stay.
    fn keep_most_important(&self, mut targets: Vec<TargetView>, left_out: &mut LeftOut) -> Vec<TargetView> {
        let series = |target: &TargetView| metric::series_count(target);
        let total: usize = targets.iter().map(series).sum();
        if targets.len() <= self.limits.targets && total <= self.limits.series {
            return targets;
        }
        let largest = targets.iter().map(size).fold(f64::MIN_POSITIVE, f64::max);
        let fastest = targets.iter().map(growth).fold(f64::MIN_POSITIVE, f64::max);
        let importance = |target: &TargetView| (size(target) / largest).max(growth(target) / fastest);
        targets.sort_by(|one, other| {
            let by_state = (other.is_expected, state(other)).cmp(&(one.is_expected, state(one)));
            by_state.then(importance(other).total_cmp(&importance(one)))
        });
        left_out.targets += targets.len().saturating_sub(self.limits.targets);
        targets.truncate(self.limits.targets);
        let mut budget = self.limits.series;
        targets.retain(|target| {
            let wanted = series(target);
            let fits = wanted <= budget;
            if fits {
                budget -= wanted;
            } else {
                left_out.series += wanted;
            }
            fits
        });
        targets.sort_by(|one, other| one.target.cmp(&other.target));
        targets
    }
}

fn by_name_and_pid(one: &AreaView, other: &AreaView) -> Ordering {
    (&one.area.name, one.pid).cmp(&(&other.area.name, other.pid))
}

/// A limit is used at least by the area itself, whatever the age of the reading.
fn at_least(limit: Limit, size: f64) -> Limit {
    Limit { used: limit.used.max(size), ..limit }
}

/// What the open episode has leaked.
fn leaked(area: &WatchedArea) -> f64 {
    match (area.episode(), area.finding()) {
        (Some(episode), Some(finding)) => (finding.floor - episode.floor_before).max(0.0),
        _ => 0.0,
    }
}

/// Merges the verdict on one more process into a target's.
fn merge(verdict: &mut Verdict, area: &WatchedArea) {
    verdict.leaked += leaked(area);
    let Some(finding) = area.finding() else { return };
    let Some(so_far) = &mut verdict.finding else {
        verdict.finding = Some(finding.clone());
        verdict.state = verdict.state.max(area.state());
        verdict.episode = area.episode().copied();
        return;
    };
    let growth = sum(&so_far.growth, &finding.growth);
    let is_worse = (area.state(), finding.confidence) > (verdict.state, so_far.confidence);
    if is_worse {
        *so_far = finding.clone();
        verdict.state = area.state();
        verdict.episode = area.episode().copied();
    }
    share_the_limit(so_far, growth);
}

/// Independent estimates add up; their errors add up in squares.
fn sum(one: &Estimate, other: &Estimate) -> Estimate {
    let value = one.value + other.value;
    Estimate {
        value,
        lower: value - (one.value - one.lower).hypot(other.value - other.lower),
        upper: value + (one.upper - one.value).hypot(other.upper - other.value),
    }
}

/// Processes that grow together reach their common limit together, sooner than each alone.
fn share_the_limit(finding: &mut Finding, together: Estimate) {
    let alone = finding.growth.value;
    if let (Some(time), true) = (&mut finding.time_to_limit, alone > 0.0 && together.value > alone) {
        let share = alone / together.value;
        *time = Estimate { value: time.value * share, lower: time.lower * share, upper: time.upper * share };
    }
    finding.growth = together;
}

fn state(target: &TargetView) -> LeakState {
    let states = target.areas.iter().filter_map(|area| area.verdict.as_ref());
    states.map(|verdict| verdict.state).max().unwrap_or_default()
}

fn size(target: &TargetView) -> f64 {
    target.areas.iter().map(|area| area.size).fold(0.0, f64::max)
}

fn growth(target: &TargetView) -> f64 {
    let findings = target.areas.iter().filter_map(|area| area.verdict.as_ref()?.finding.as_ref());
    findings.map(|finding| finding.growth.value).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests;
