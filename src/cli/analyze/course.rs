//! The course of one series before its judges: one [`Judge`] for each life of its process, and what is told of it when.
//!
//! The judges are those of the exporter and are treated as it treats them. A restart ends what was open and begins with
//! a new judge; the sample that shows the restart is the first of the new life. Nothing here knows more than an
//! exporter would have known at that time.

use super::csv::Point;
use crate::{
    detect::{
        episode::{Episode, LeakState, Tempo},
        finding::Finding,
        judge::{Judge, Owner},
        judgement::{Circumstances, Scratch},
    },
    sample::{Area, Identity, Limit, LimitSource, Seconds},
};
use std::{io, iter::Peekable, slice, sync::Arc};

const HOUR_SECS: f64 = 3600.0;

/// What is known of a series beside its samples.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// What outputs call it.
    pub(super) name: Arc<str>,
    /// Name and unit of the area.
    pub(super) area: Area,
    /// The limit on it, in its unit.
    pub(super) limit: Option<f64>,
    /// When the process was started anew, in rising order.
    pub(super) restarts: Vec<Seconds>,
    /// When the process of the first sample was started; none where nobody says.
    pub(super) started_at: Option<Seconds>,
    /// The time between two samples, in seconds.
    pub(super) interval_secs: f64,
}

/// Why something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// There was a new look at the series.
    Look,
    /// And what people are told has changed by it, from this state.
    Change(LeakState),
    /// The process was started anew, and what was told of its predecessor, this state, is over.
    Restart(LeakState),
    /// A full hour since the first sample.
    Hour,
    /// The last sample.
    End,
}

/// How a series stands after a sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'a> {
    /// Why it is told.
    pub(super) occasion: Occasion,
    /// The time of the last sample that was used.
    pub(super) at: Seconds,
    /// What people are told.
    pub(super) state: LeakState,
    /// The last confidence in this life of the process; 0 before the first.
    pub(super) confidence: f64,
    /// The verdict; none while there is too little evidence.
    pub(super) finding: Option<&'a Finding>,
    /// How soon the detector tells of a change of mind about it.
    pub(super) tempo: Tempo,
    /// Bytes that the judge takes.
    pub(super) state_bytes: usize,
    /// The open episode.
    pub(super) episode: Option<&'a Episode>,
}

impl Standing<'_> {
    /// How much the open episode has leaked, in the area's unit.
    pub(super) fn leaked(&self) -> Option<f64> {
        Some((self.finding?.floor - self.episode?.floor_before).max(0.0))
    }
}

/// Who is told; an error ends it all.
pub(super) trait Audience {
    /// Takes in how a series stands.
    fn hear(&mut self, standing: &Standing<'_>) -> io::Result<()>;
}

/// One life of the process.
#[derive(Debug)]
struct Life {
    judge: Judge,
    identity: Identity,
    started_at: Seconds,
    last_confidence: f64,
}

impl Life {
    /// The life that follows another one, or the first. A judge learns from its predecessor how the last life went.
    fn after(before: Option<&Self>, started_at: Seconds, series: &Series, scratch: &mut Scratch) -> Self {
        let start_ticks = before.map_or(0, |before| before.identity.start_ticks + 1);
        let past = before.map(|before| before.judge.end(before.started_at, scratch));
        let interval_secs = series.interval_secs;
        Self {
            judge: past.map_or_else(|| Judge::new(interval_secs), |past| Judge::after(past, interval_secs)),
            identity: Identity { pid: 0, start_ticks },
            started_at,
            last_confidence: 0.0,
        }
    }
}

/// One series on its way.
pub(super) struct Course<'a> {
    series: &'a Series,
    life: Life,
    restarts: Peekable<slice::Iter<'a, Seconds>>,
    first_at: Seconds,
    last_at: Seconds,
    next_hour_at: Seconds,
    scratch: Scratch,
}

impl<'a> Course<'a> {
    /// The course that begins with a sample at `first_at`, which is still to be taken in.
    ///
    /// Where nobody says when the process was started, it was at the first sample: that is what an exporter would have
    /// seen at most.
    pub(super) fn new(series: &'a Series, first_at: Seconds) -> Self {
        let mut restarts = series.restarts.iter().peekable();
        let started_at = latest_until(&mut restarts, first_at).or(series.started_at).unwrap_or(first_at);
        let mut scratch = Scratch::default();
        Self {
            series,
            life: Life::after(None, started_at, series, &mut scratch),
            restarts,
            first_at,
            last_at: first_at,
            next_hour_at: first_at + HOUR_SECS,
            scratch,
        }
    }

    /// Takes in a sample and tells what is to be told of it.
    pub(super) fn take_in(&mut self, point: Point, audience: &mut impl Audience) -> io::Result<()> {
        let Point { at, size } = point;
        if at > self.next_hour_at {
            // What was known at the full hour is what the last sample before it showed.
            audience.hear(&self.standing(Occasion::Hour))?;
            let hours = ((at - self.first_at) / HOUR_SECS).ceil();
            self.next_hour_at = self.first_at + hours * HOUR_SECS;
        }
        if let Some(started_at) = latest_until(&mut self.restarts, at) {
            let before = self.life.judge.state();
            self.life = Life::after(Some(&self.life), started_at, self.series, &mut self.scratch);
            self.last_at = at;
            audience.hear(&self.standing(Occasion::Restart(before)))?;
        }
        self.last_at = at;
        let circumstances = self.circumstances(size);
        let owner = Owner { identity: self.life.identity, area: &self.series.area.name };
        let step = self.life.judge.take_in(at, size, &circumstances, owner, &mut self.scratch);
        if !step.looked {
            return Ok(());
        }
        if let Some(finding) = self.life.judge.finding() {
            self.life.last_confidence = finding.confidence;
        }
        let occasion = step.transition.map_or(Occasion::Look, |transition| Occasion::Change(transition.from));
        audience.hear(&self.standing(occasion))
    }

    /// Tells how it ended.
    pub(super) fn end(&self, audience: &mut impl Audience) -> io::Result<()> {
        audience.hear(&self.standing(Occasion::End))
    }

    fn circumstances(&self, size: f64) -> Circumstances {
        // Of several processes under one limit a series says nothing: what counts against the limit is this one.
        let limit = self.series.limit.map(|value| Limit { value, used: size, source: LimitSource::Cgroup });
        Circumstances { unit: self.series.area.unit, started_at: self.life.started_at, limit }
    }

    fn standing(&self, occasion: Occasion) -> Standing<'_> {
        let Life { judge, last_confidence, .. } = &self.life;
        Standing {
            occasion,
            at: self.last_at,
            state: judge.state(),
            confidence: *last_confidence,
            finding: judge.finding(),
            tempo: judge.tempo(self.life.started_at),
            state_bytes: judge.state_bytes(),
            episode: judge.episode(),
        }
    }
}

/// Of the times up to `now` the latest; all of them are passed.
fn latest_until(times: &mut Peekable<slice::Iter<'_, Seconds>>, now: Seconds) -> Option<Seconds> {
    let mut latest = None;
    while let Some(time) = times.next_if(|time| **time <= now) {
        latest = Some(*time);
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Unit;

    /// Everything that is told, as occasion, time and state.
    #[derive(Default)]
    struct Heard(Vec<(Occasion, Seconds, LeakState)>);

    impl Audience for Heard {
        fn hear(&mut self, standing: &Standing<'_>) -> io::Result<()> {
            self.0.push((standing.occasion, standing.at, standing.state));
            Ok(())
        }
    }

    fn series(restarts: &[Seconds]) -> Series {
        Series {
            name: "a".into(),
            area: Area::new("anon", Unit::Bytes),
            limit: None,
            restarts: restarts.to_vec(),
            started_at: None,
            interval_secs: 60.0,
        }
    }

    /// What is told of a leak of 60 MB an hour above 1 GB, sampled every minute for so many hours.
    fn follow(series: &Series, hours: u32) -> Vec<(Occasion, Seconds, LeakState)> {
        let mut heard = Heard::default();
        let mut course = Course::new(series, 0.0);
        for minute in 0..=hours * 60 {
            let point = Point { at: f64::from(minute) * 60.0, size: 1e9 + 1e6 * f64::from(minute) };
            course.take_in(point, &mut heard).unwrap();
        }
        course.end(&mut heard).unwrap();
        heard.0
    }

    #[test]
    fn each_hour_is_told_as_it_stood_at_the_full_hour() {
        let heard = follow(&series(&[]), 3);
        let hours: Vec<Seconds> =
            heard.iter().filter(|told| told.0 == Occasion::Hour).map(|told| told.1).collect();
        assert_eq!(hours, [3600.0, 7200.0]);
        assert_eq!(heard.last().map(|told| (told.0, told.1)), Some((Occasion::End, 10_800.0)));
        let mut told = Heard::default();
        let quiet = series(&[]);
        let mut course = Course::new(&quiet, 0.0);
        for at in [0.0, 3599.0, 3601.0, 20_000.0] {
            course.take_in(Point { at, size: 1.0 }, &mut told).unwrap();
        }
        let hours: Vec<Seconds> =
            told.0.iter().filter(|told| told.0 == Occasion::Hour).map(|told| told.1).collect();
        assert_eq!(hours, [3599.0, 3601.0], "a gap is told once");
    }

    #[test]
    fn a_restart_ends_what_was_open_and_begins_from_nothing() {
        let restart_at = 12.0 * 3600.0 - 30.0;
        let old = Series { started_at: Some(-86_400.0), ..series(&[restart_at]) };
        let heard = follow(&old, 13);
        let at = heard.iter().position(|told| matches!(told.0, Occasion::Restart(_))).unwrap();
        let seen_at = 12.0 * 3600.0;
        assert_eq!(heard[at], (Occasion::Restart(LeakState::Confirmed), seen_at, LeakState::None));
        assert!(heard[at + 1..].iter().take(5).all(|told| told.2 == LeakState::None), "{heard:?}");
    }

    #[test]
    fn the_first_life_begins_where_something_says_and_else_with_the_first_sample() {
        let started = |series: &Series| Course::new(series, 100.0).life.started_at;
        assert_eq!(started(&series(&[])).to_bits(), 100f64.to_bits());
        assert_eq!(started(&series(&[40.0, 70.0, 130.0])).to_bits(), 70f64.to_bits());
        let told = Series { started_at: Some(-5.0), ..series(&[]) };
        assert_eq!(started(&told).to_bits(), (-5f64).to_bits());
    }
}
