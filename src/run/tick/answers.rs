//! What the tick answers between two ticks: it takes samples at once, forgets, and tells the past of areas.

use super::Ticker;
use crate::{
    http::{AreaKey, Bucket, Level, Past, Question, What},
    run::{
        clock::instant,
        watch::{Watch, WatchedArea},
    },
    sample::{Seconds, Target},
    series::ladder::{LEVELS, Window},
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Between two ticks that were asked for.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// The buckets of one level by their number, each with its lowest and its highest size.
type Buckets = BTreeMap<i64, (f64, f64)>;

impl Ticker {
    /// Answers a question. Who asked may have gone; then nobody takes the answer.
    pub(super) fn answer(&mut self, question: Question) {
        match question.what {
            What::Sample(reply) => {
                let now = instant();
                let is_too_soon =
                    self.asked_at.is_some_and(|asked_at| now.duration_since(asked_at) < SAMPLE_EVERY);
                if !is_too_soon {
                    self.asked_at = Some(now);
                    self.tick();
                }
                let _nobody_waits = reply.send((!is_too_soon).then_some(self.tick));
            }
            What::Forget(target, reply) => {
                let forgotten = self.watch.forget(&target);
                tracing::info!(target = &*target.name, areas = forgotten, "forgot what was learned");
                let _nobody_waits = reply.send(forgotten);
            }
            What::Past(areas, reply) => {
                let offset = self.surroundings.clock.now().wall_offset_secs;
                let _nobody_waits = reply.send(pasts(&self.watch, self.show_pid, &areas, offset));
            }
        }
    }
}

/// The past of areas as they are shown: that of all processes together, or of one.
fn pasts(watch: &Watch, show_pid: bool, areas: &[AreaKey], offset: Seconds) -> Vec<Past> {
    let mut wanted: HashMap<&Target, Vec<(usize, &AreaKey)>> = HashMap::new();
    for (index, key) in areas.iter().enumerate() {
        wanted.entry(&*key.target).or_default().push((index, key));
    }
    let mut found: Vec<[Buckets; LEVELS]> = areas.iter().map(|_| Default::default()).collect();
    let mut widths = [0.0; LEVELS];
    let mut window = Window::default();
    for watched in watch.members() {
        let Some(keys) = wanted.get(&*watched.member.target) else { continue };
        let pid = watched.member.identity.process_id().filter(|_| show_pid);
        for area in &watched.areas {
            let is_meant = |(_, key): &&(usize, &AreaKey)| key.area == area.area && key.pid == pid;
            let Some((index, _)) = keys.iter().find(is_meant) else { continue };
            if let Some(levels) = found.get_mut(*index) {
                add(area, &mut window, levels, &mut widths);
            }
        }
    }
    found.into_iter().map(|levels| past(levels, &widths, offset)).collect()
}

/// Adds what is remembered of one process.
fn add(area: &WatchedArea, window: &mut Window, levels: &mut [Buckets; LEVELS], widths: &mut [f64; LEVELS]) {
    let Some(ladder) = area.ladder() else { return };
    for (level, (buckets, width)) in levels.iter_mut().zip(widths).enumerate() {
        ladder.window(level, window);
        if window.floors.is_empty() {
            continue;
        }
        *width = window.width_secs;
        let sizes = window.floors.iter().zip(&window.ceilings);
        for (step, (floor, ceiling)) in window.steps.iter().zip(sizes) {
            let sum = buckets.entry(number(window.begin / window.width_secs + step)).or_insert((0.0, 0.0));
            *sum = (sum.0 + floor, sum.1 + ceiling);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of buckets are whole and below 2^53")]
fn number(bucket: f64) -> i64 {
    bucket.round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "numbers of buckets are below 2^53")]
fn past(levels: [Buckets; LEVELS], widths: &[f64; LEVELS], offset: Seconds) -> Past {
    let levels = levels.into_iter().zip(widths).filter(|(buckets, _)| !buckets.is_empty());
    let level = |(buckets, width): (Buckets, &f64)| Level {
        width_secs: *width,
        buckets: buckets
            .into_iter()
            .map(|(number, (low, high))| Bucket { at: number as f64 * width + offset, low, high })
            .collect(),
    };
    Past { levels: levels.map(level).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        run::watch::tests::{PROCESS, anon, member, watching},
        sample::{Area, Batch, Unit},
    };
    use std::sync::Arc;

    #[test]
    fn the_past_of_a_target_is_that_of_its_processes_together() {
        let members = [1, 2].map(|pid| member("web", pid, 0.0));
        let mut watch = watching();
        for tick in 0..40 {
            let mut batch = Batch::new(f64::from(tick) * 3.0);
            for member in &members {
                batch.push(Arc::clone(member), [anon(100.0 * f64::from(member.identity.pid))]);
            }
            watch.take_in(PROCESS, &batch, &mut Vec::new());
        }
        let target = &members[0].target;
        let key = |pid| AreaKey { target: Arc::clone(target), area: Area::new("anon", Unit::Bytes), pid };
        let together = pasts(&watch, false, &[key(None), key(Some(1))], 1000.0);
        let first = &together[0].levels[0];
        assert_eq!(
            (first.width_secs, first.buckets[0]),
            (12.0, Bucket { at: 1000.0, low: 300.0, high: 300.0 })
        );
        assert_eq!((first.buckets.len(), together[1].levels.len()), (9, 0));
        assert_eq!(together[0].levels.get(1).map(|level| level.width_secs), Some(36.0));
        let alone = pasts(&watch, true, &[key(Some(2))], 0.0);
        assert_eq!(alone[0].levels[0].buckets.first().map(|bucket| bucket.low), Some(200.0));
        assert_eq!((watch.forget(target), watch.forget(target)), (2, 0));
        assert_eq!(pasts(&watch, false, &[key(None)], 0.0), [Past::default()]);
    }
}
