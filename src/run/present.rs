//! From what is known to what is shown: processes summed up into targets, the worst verdict in front, limits applied.

use super::watch::{Attributions, Watch, WatchedArea, WatchedMember};
use crate::{
    config::{Collectors, Limits},
    detect::{
        attribution,
        episode::{Episode, LeakState},
        finding::{Estimate, Finding},
        severity,
    },
    export::{
        metric,
        prometheus::selection::{COLLECTOR_OF_PARTS, collectors_of},
    },
    sample::{Kind, Limit, Part, Seconds, Target},
    severity::Table,
    snapshot::{AreaView, PartView, Snapshot, TargetView, Verdict},
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
    /// What single collectors may show.
    pub(super) collectors: &'a Collectors,
    pub(super) show_pid: bool,
    /// By which findings of several processes together are graded.
    pub(super) severity: &'a Table,
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
        let processes = by_target.iter().filter(|(target, _)| target.kind == Kind::Process);
        let member_count = processes.map(|(_, members)| members.len()).sum();
        let mut left_out = LeftOut::default();
        let targets = watch
            .targets()
            .map(|(target, record)| {
                let members = by_target.get(&**target).map(Vec::as_slice).unwrap_or_default();
                let areas = self.keep_worst_areas(self.areas(members), &mut left_out);
                let (parts, parts_read_at) = self.parts(members, watch.attributions(), &mut left_out);
                TargetView {
                    target: Arc::clone(target),
                    info: record.info.clone(),
                    members: record.members,
                    restarts: record.restarts,
                    episodes: record.episodes,
                    counts: record.counts,
                    event_loop_lag_secs: record.event_loop_lag_secs,
                    response_times: record.response_times,
                    oldest_file_at: members
                        .iter()
                        .filter_map(|watched| watched.oldest_file_at)
                        .min_by(f64::total_cmp),
                    areas,
                    rules: watch.rules_of(target),
                    parts,
                    parts_read_at,
                    is_expected: record.is_expected,
                }
            })
            .collect();
        let targets = merged(targets);
        let mut targets: Vec<TargetView> = self.keep_most_important(targets, &mut left_out);
        targets.sort_by(|one, other| one.target.cmp(&other.target));
        let taken_at = at + self.wall_offset_secs;
        let snapshot = Snapshot { tick, taken_at, targets, member_count, ..Snapshot::default() };
        (snapshot, left_out)
    }

    /// The areas of a target: one row for each area, or for each area of each process.
    fn areas(&self, members: &[&WatchedMember]) -> Vec<AreaView> {
        let mut rows: Vec<(Option<u32>, Vec<&WatchedArea>)> = Vec::new();
        for watched in members {
            if self.show_pid
                && let pid @ Some(_) = watched.member.identity.process_id()
            {
                rows.extend(watched.areas.iter().map(|area| (pid, vec![area])));
                continue;
            }
            for area in &watched.areas {
                let is_same =
                    |parts: &[&WatchedArea]| parts.first().is_some_and(|first| first.area == area.area);
                match rows.iter_mut().find(|(_, parts)| is_same(parts)) {
                    Some((_, parts)) => parts.push(area),
                    None => rows.push((None, vec![area])),
                }
            }
        }
        let mut views: Vec<AreaView> =
            rows.iter().filter_map(|(pid, parts)| self.view(*pid, parts)).collect();
        views.sort_by(by_name_and_pid);
        views
    }

    /// What the processes of a target are made of together, and when the oldest reading of it was.
    fn parts(
        &self,
        members: &[&WatchedMember],
        attributions: &Attributions,
        left_out: &mut LeftOut,
    ) -> (Vec<PartView>, Option<Seconds>) {
        let mut parts: Vec<PartView> = Vec::new();
        let mut read_at = None;
        for course in members.iter().filter_map(|watched| attributions.of(watched.member.identity)) {
            let Some(latest) = course.latest() else { continue };
            read_at = Some(read_at.map_or(latest.at, |oldest: Seconds| oldest.min(latest.at)));
            for part in &latest.parts {
                let growth = attribution::growth(course, part);
                let is_same =
                    |known: &&mut PartView| known.measure == part.measure && known.name == part.name;
                match parts.iter_mut().find(is_same) {
                    Some(known) => add(known, part, growth),
                    None => parts.push(PartView {
                        name: Arc::clone(&part.name),
                        measure: part.measure,
                        size: part.size,
                        confidence: part.confidence,
                        growth,
                    }),
                }
            }
        }
        left_out.areas += parts.len().saturating_sub(self.limits.areas_per_target);
        parts.sort_by(|one, other| other.size.total_cmp(&one.size));
        parts.truncate(self.limits.areas_per_target);
        parts.sort_by(|one, other| (one.measure, &one.name).cmp(&(other.measure, &other.name)));
        (parts, read_at.map(|at| at + self.wall_offset_secs))
    }

    /// One row, of the same area of one or more processes.
    fn view(&self, pid: Option<u32>, parts: &[&WatchedArea]) -> Option<AreaView> {
        let first = parts.first()?;
        let sampled_at = parts.iter().map(|part| part.sampled_at).fold(f64::INFINITY, f64::min);
        let nearest = nearest_limit(parts);
        let roomiest = || parts.iter().filter_map(|part| limit_of(part)).reduce(Limit::nearer);
        Some(AreaView {
            area: first.area.clone(),
            pid,
            size: parts.iter().map(|part| part.size).sum(),
            limit: nearest.as_ref().map(|(limit, _)| *limit).or_else(roomiest),
            sampled_at: sampled_at + self.wall_offset_secs,
            verdict: self.verdict(parts, nearest.map(|(_, time)| time)),
        })
    }

    /// The worst verdict, with the growth and the leaked amount of all that leak.
    fn verdict(&self, parts: &[&WatchedArea], time_to_limit: Option<Estimate>) -> Option<Verdict> {
        let judged: Vec<&&WatchedArea> = parts.iter().filter(|part| part.is_judged()).collect();
        let worst = judged.iter().max_by(|one, other| worse(one, other))?;
        let finding = worst.told().map(|finding| {
            let growth = growth_together(parts).unwrap_or(finding.growth);
            let of_parts =
                parts.iter().filter_map(|part| part.finding()).map(|finding| finding.severity).max();
            let since = finding.since + self.wall_offset_secs;
            let together = Finding { growth, time_to_limit, since, ..finding };
            let severity = severity::of(&together, self.severity).max(of_parts.unwrap_or_default());
            Finding { severity, ..together }
        });
        Some(Verdict {
            state: worst.state(),
            finding,
            episode: worst.episode().map(|episode| on_the_wall(episode, self.wall_offset_secs)),
            leaked: parts.iter().map(|part| leaked(part)).sum(),
            explained: parts
                .iter()
                .filter(|part| part.state() > LeakState::None)
                .filter_map(|part| part.explained)
                .reduce(|one, other| one && other),
        })
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

    /// Applies the limit on the series of parts: those of the most suspicious targets stay.
    fn keep_parts(&self, targets: &mut [TargetView], left_out: &mut LeftOut) {
        let Some(mut room) = self.collectors.of(COLLECTOR_OF_PARTS).series else { return };
        let mut with_parts: Vec<&mut TargetView> =
            targets.iter_mut().filter(|target| !target.parts.is_empty()).collect();
        with_parts.sort_by_key(|target| std::cmp::Reverse(state(target)));
        for target in with_parts {
            let wanted = metric::part_series_count(target);
            match room.checked_sub(wanted) {
                Some(rest) => room = rest,
                None => {
                    left_out.series += wanted;
                    (target.parts, target.parts_read_at) = (Vec::new(), None);
                }
            }
        }
    }

    /// Applies the limits on targets and series: the expected, most suspicious, fastest-growing and largest stay.
    fn keep_most_important(&self, mut targets: Vec<TargetView>, left_out: &mut LeftOut) -> Vec<TargetView> {
        self.keep_parts(&mut targets, left_out);
        let mut room = Room::new(self.limits.series, self.collectors);
        if targets.len() <= self.limits.targets && targets.iter().all(|target| room.take(target).is_ok()) {
            return targets;
        }
        let largest = targets.iter().map(size).fold(f64::MIN_POSITIVE, f64::max);
        let fastest = targets.iter().map(growth).fold(f64::MIN_POSITIVE, f64::max);
        let importance = |target: &TargetView| (size(target) / largest).max(growth(target) / fastest);
        targets.sort_by(|one, other| {
            let by_state = (state(other), other.is_expected).cmp(&(state(one), one.is_expected));
            by_state.then(importance(other).total_cmp(&importance(one)))
        });
        left_out.targets += targets.len().saturating_sub(self.limits.targets);
        targets.truncate(self.limits.targets);
        let mut room = Room::new(self.limits.series, self.collectors);
        targets.retain(|target| match room.take(target) {
            Ok(()) => true,
            Err(wanted) => {
                left_out.series += wanted;
                false
            }
        });
        targets
    }
}

/// An episode with the wall clock's times.
pub(super) fn on_the_wall(episode: &Episode, offset: Seconds) -> Episode {
    Episode {
        since: episode.since + offset,
        opened_at: episode.opened_at + offset,
        confirmed_at: episode.confirmed_at.map(|at| at + offset),
        ..*episode
    }
}

/// How many series may still be shown: in all, and of single collectors.
struct Room<'a> {
    in_all: usize,
    collectors: &'a Collectors,
    of_collectors: HashMap<&'static [&'static str], usize>,
}

impl<'a> Room<'a> {
    fn new(in_all: usize, collectors: &'a Collectors) -> Self {
        Self { in_all, collectors, of_collectors: HashMap::new() }
    }

    /// Makes room for all series of a target; where there is none it says how many those are.
    fn take(&mut self, target: &TargetView) -> Result<(), usize> {
        let wanted = metric::series_count(target);
        // What two collectors see has the room of both.
        let names = collectors_of(target.target.kind);
        let rooms = names.iter().map(|name| self.collectors.of(name).series.unwrap_or(usize::MAX));
        let of_collector =
            self.of_collectors.entry(names).or_insert_with(|| rooms.fold(0, usize::saturating_add));
        // Parts are another collector's.
        let own = wanted.saturating_sub(metric::part_series_count(target));
        if wanted > self.in_all || own > *of_collector {
            return Err(wanted);
        }
        self.in_all -= wanted;
        *of_collector -= own;
        Ok(())
    }
}

/// A target that two collectors know is one; its areas are those of both already.
fn merged(mut targets: Vec<TargetView>) -> Vec<TargetView> {
    targets.sort_by(|one, other| one.target.cmp(&other.target));
    targets.dedup_by(|again, first| {
        let is_same = again.target == first.target;
        if is_same {
            first.members += again.members;
            first.restarts += again.restarts;
            first.episodes += again.episodes;
            first.is_expected |= again.is_expected;
        }
        is_same
    });
    targets
}

fn by_name_and_pid(one: &AreaView, other: &AreaView) -> Ordering {
    (&one.area.name, one.pid).cmp(&(&other.area.name, other.pid))
}

/// Adds the same part of another process.
fn add(known: &mut PartView, part: &Part, growth: Option<f64>) {
    let size = known.size + part.size;
    if size > 0.0 {
        known.confidence = (known.confidence * known.size + part.confidence * part.size) / size;
    }
    known.size = size;
    known.growth = match (known.growth, growth) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    };
}

/// Which of two processes' verdicts is the worse: by state, then by confidence; none is the mildest.
fn worse(one: &WatchedArea, other: &WatchedArea) -> Ordering {
    let confidence = |part: &WatchedArea| part.finding().map_or(-1.0, |finding| finding.confidence);
    one.state().cmp(&other.state()).then(confidence(one).total_cmp(&confidence(other)))
}

/// The limit of a process's area; it is used at least by the area itself, whatever the age of the reading.
fn limit_of(part: &WatchedArea) -> Option<Limit> {
    part.limit.map(|limit| Limit { used: limit.used.max(part.size), ..limit })
}

/// The limit that is reached first, and when. Processes that grow under one limit reach it together, sooner than each
/// alone; a resource limit is each process's own.
fn nearest_limit(parts: &[&WatchedArea]) -> Option<(Limit, Estimate)> {
    let times = parts.iter().filter_map(|part| {
        let limit = limit_of(part)?;
        let alone = part.finding()?;
        let time = alone.time_to_limit?;
        let together: f64 = parts
            .iter()
            .filter(|other| std::ptr::eq(**other, *part) || shares(&limit, other))
            .filter_map(|other| other.finding())
            .filter(|finding| finding.time_to_limit.is_some())
            .map(|finding| finding.growth.value)
            .sum();
        let share = if together > 0.0 { (alone.growth.value / together).min(1.0) } else { 1.0 };
        let time =
            Estimate { value: time.value * share, lower: time.lower * share, upper: time.upper * share };
        Some((limit, time))
    });
    times.min_by(|(_, one), (_, other)| one.value.total_cmp(&other.value))
}

/// Whether a process counts against this very limit too.
fn shares(limit: &Limit, other: &WatchedArea) -> bool {
    !limit.source.is_own()
        && other.limit.is_some_and(|theirs| {
            theirs.source == limit.source && theirs.value.to_bits() == limit.value.to_bits()
        })
}

/// The growth of all processes that leak; of all that were judged, where none does.
fn growth_together(parts: &[&WatchedArea]) -> Option<Estimate> {
    let of = |wanted: fn(&WatchedArea) -> bool| {
        let parts = parts.iter().filter(|part| wanted(part));
        parts
            .filter_map(|part| part.finding())
            .map(|finding| finding.growth)
            .reduce(|one, other| sum(&one, &other))
    };
    of(|part| part.state() > LeakState::None).or_else(|| of(|_| true))
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

/// What the open episode has leaked.
fn leaked(part: &WatchedArea) -> f64 {
    match (part.episode(), part.finding()) {
        (Some(episode), Some(finding)) => (finding.floor - episode.floor_before).max(0.0),
        _ => 0.0,
    }
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
