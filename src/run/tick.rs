//! The tick: collect, remember, judge, publish. It runs on a thread of its own, so that no scrape waits for it.

mod answers;

use super::{
    News,
    clock::{Clock, Now, instant},
    present::{LeftOut, Presentation},
    report::{self, Told},
    standing::Standings,
    storage::Storage,
    watch::{Event, Terms, Watch},
    workers::{Build, Collected, Job, Outcome, Round, Workers},
};
use crate::{
    act::{signal, spawn},
    collect::{ALL, Entry, Lent, Request, Stopwatch, paths::Paths, processors},
    config::{Collectors, Config, Limits},
    detect::{attribution, episode::LeakState},
    export::{
        exposition::Exposition,
        otlp::Pusher,
        own::{DroppedBy, Own},
    },
    http::Question,
    inbox::Inbox,
    sample::{Batch, Unread},
};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

/// A tick waits for this share of the interval for collectors; the rest is for judging and rendering.
const COLLECT_SHARE: f64 = 0.8;
/// And never longer than this, however long the interval is: the order to stop waits as long as it does.
const COLLECT_PATIENCE: Duration = Duration::from_secs(5);

/// What the tick is told from outside.
pub(super) enum Control {
    /// A new configuration.
    Reconfigure(Box<Change>),
    /// A question, answered between two ticks.
    Ask(Question),
    /// The end.
    Stop,
}

/// A new configuration with what was built for it.
pub(super) struct Change {
    pub(super) config: Config,
    pub(super) pusher: PusherChange,
}

/// What becomes of the pusher with a new configuration.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it travels in a box")]
pub(super) enum PusherChange {
    /// It goes on, with what waits in it.
    Keep,
    /// Another takes its place, or none.
    Replace(Option<Pusher>),
}

/// What the tick needs from the rest of the program.
pub(super) struct Surroundings {
    pub(super) paths: Paths,
    pub(super) collectors: Vec<&'static str>,
    /// What programs push.
    pub(super) inbox: Arc<Inbox>,
    pub(super) own: Arc<Own>,
    pub(super) exposition: Arc<Exposition>,
    pub(super) clock: Clock,
    /// Where the state is kept, if it is.
    pub(super) storage: Option<Storage>,
    /// Who hears of each tick in this program itself.
    pub(super) audience: Option<SyncSender<News>>,
}

/// The ticking part.
pub(super) struct Ticker {
    surroundings: Surroundings,
    workers: Workers,
    watch: Watch,
    limits: Limits,
    collectors: Collectors,
    show_pid: bool,
    interval: Duration,
    pusher: Option<Pusher>,
    reporter: report::Reporter,
    standings: Standings,
    tick: u64,
    /// When a tick was asked for last.
    asked_at: Option<Instant>,
    events: Vec<Event>,
}

impl Ticker {
    /// Builds everything, so that what can fail does so before anything runs.
    pub(super) fn new(
        config: &Config,
        mut surroundings: Surroundings,
        pusher: Option<Pusher>,
    ) -> std::io::Result<Self> {
        let workers = Workers::start(jobs(config, &surroundings))?;
        let interval = config.sampling.interval;
        let mut watch = Watch::new(terms(config, &surroundings.collectors), interval.as_secs_f64());
        watch.set_budgets(&config.sensitivity, processors::online(&surroundings.paths));
        watch.set_attribution(&config.attribution);
        if let Some(storage) = &mut surroundings.storage {
            storage.hand_over(&mut watch);
        }
        // What was handed over was graded by the table of then.
        watch.set_severity(config.severity.as_ref());
        Ok(Self {
            workers,
            watch,
            limits: config.limits.clone(),
            collectors: config.collectors.clone(),
            show_pid: config.processes.show_pid,
            interval,
            pusher,
            reporter: report::Reporter::default(),
            standings: Standings::new(config, &surroundings),
            tick: 0,
            asked_at: None,
            events: Vec::new(),
            surroundings,
        })
    }

    /// Ticks until told to stop; gives the pusher back so that what waits in it can still be sent.
    pub(super) fn run(mut self, control: &Receiver<Control>) -> Option<Pusher> {
        let mut next = instant();
        loop {
            match control.recv_timeout(next.saturating_duration_since(instant())) {
                Ok(Control::Reconfigure(change)) => {
                    self.reconfigure(*change);
                    // A shorter interval counts from now on, not from the end of the old one.
                    next = next.min(instant() + self.interval);
                }
                Ok(Control::Ask(question)) => self.answer(question),
                Ok(Control::Stop) | Err(RecvTimeoutError::Disconnected) => return self.end(),
                Err(RecvTimeoutError::Timeout) => {
                    self.tick();
                    next = following(next, self.interval);
                }
            }
        }
    }

    fn end(mut self) -> Option<Pusher> {
        let Surroundings { storage, clock, own, .. } = &mut self.surroundings;
        if let Some(storage) = storage.take() {
            storage.finish(&self.watch, clock, own);
        }
        self.pusher
    }

    fn tick(&mut self) {
        self.tick += 1;
        // When it was due may lie far back, after a pause of the machine; the collectors get their time all the same.
        let began = instant();
        let now = self.surroundings.clock.now();
        let request = Request {
            at: now.steady,
            suspects: Arc::new(self.suspects()),
            attributed: self.watch.wanted_attributions(),
            jvms: self.watch.jvms(),
            nodes: self.watch.nodes(),
            stopwatch: Stopwatch::new(move || instant().saturating_duration_since(began)),
        };
        let patience = self.interval.mul_f64(COLLECT_SHARE).min(COLLECT_PATIENCE);
        let round = Round { request: &request, tick: self.tick, now: began, deadline: began + patience };
        let collected = self.workers.collect(round);
        let judging_began = instant();
        for one in collected {
            self.take_in(one);
        }
        self.watch.explain(now.steady);
        self.tell(now);
        let own = &self.surroundings.own;
        own.judged(self.watch.judged_count(), instant().duration_since(judging_began).as_secs_f64());
        self.publish(now);
        let Surroundings { storage, clock, own, .. } = &mut self.surroundings;
        if let Some(storage) = storage {
            storage.tick(&self.watch, clock, own);
        }
    }

    fn suspects(&self) -> HashSet<crate::sample::Identity> {
        self.watch.suspects()
    }

    fn take_in(&mut self, collected: Collected) {
        let Collected { name, outcomes } = collected;
        for outcome in outcomes {
            self.take_in_outcome(name, outcome);
        }
    }

    fn take_in_outcome(&mut self, name: &'static str, outcome: Outcome) {
        self.standings.heard_of(name, &outcome, self.surroundings.clock.now());
        match outcome {
            Outcome::Batch(batch, took) => {
                self.take_in_batch(name, &batch, took);
                self.reporter.collector_works(name);
            }
            Outcome::Overdue(batch, took) => {
                self.take_in_batch(name, &batch, took);
                self.surroundings.own.collector_failed(name);
                self.reporter.collector_is_late(name);
            }
            Outcome::Failed(error) => {
                self.surroundings.own.collector_failed(name);
                self.reporter.collector_fails(name, &error);
            }
            Outcome::Late => {
                self.surroundings.own.collector_failed(name);
                self.reporter.collector_is_late(name);
            }
            Outcome::Dead => {
                self.surroundings.own.collector_failed(name);
                self.reporter.collector_is_dead(name);
            }
        }
    }

    fn take_in_batch(&mut self, name: &'static str, batch: &Batch, took: Duration) {
        self.surroundings.own.collector_finished(name, took.as_secs_f64());
        self.count(name, batch);
        self.watch.take_in(name, batch, &mut self.events);
    }

    fn count(&mut self, name: &'static str, batch: &Batch) {
        let own = &self.surroundings.own;
        own.reads_failed(name, batch.errors);
        own.members_dropped(name, batch.dropped_members);
        let Unread { turns, large, descriptors } = batch.unread;
        own.dropped(DroppedBy::AttributionTime, turns);
        own.dropped(DroppedBy::AttributionSize, large);
        own.dropped(DroppedBy::AttributionDescriptors, descriptors);
        self.reporter.permission_errors(name, batch.errors.permission);
        for outcome in &batch.sources {
            own.source_answered(&outcome.name, outcome.failure.is_none());
            self.reporter.source(outcome);
        }
    }

    /// Logs and counts what happened at this tick.
    fn tell(&mut self, now: Now) {
        let Surroundings { own, storage, .. } = &mut self.surroundings;
        for event in self.events.drain(..) {
            match event {
                Event::Budget(change) => report::budget(&change),
                Event::Verdict(finding, unit) => own.verdict(&finding, unit),
                Event::Restart { target, is_service } => report::restart(&target, is_service),
                Event::Episode { member, area, transition, finding } => {
                    self.standings.changed(&member, &area, &transition, (finding.as_ref(), now));
                    let is_explained = self.watch.is_explained(&member, &area);
                    let course = self.watch.attributions().of(member.identity);
                    let grows_in = course.and_then(attribution::fastest);
                    let grows_in = grows_in.map(|(part, growth)| (&*part.name, growth));
                    report::episode(
                        &member,
                        &area,
                        &transition,
                        &Told { finding: finding.as_ref(), is_explained, grows_in },
                    );
                    if let Some(storage) = storage {
                        storage.note_news();
                    }
                    if transition.to == LeakState::Confirmed
                        && let Some(confirmed_at) = transition.episode.confirmed_at
                    {
                        own.confirmed((confirmed_at - transition.episode.since).max(0.0));
                    }
                }
            }
        }
    }

    fn publish(&mut self, now: Now) {
        let presentation = Presentation {
            limits: &self.limits,
            collectors: &self.collectors,
            show_pid: self.show_pid,
            severity: self.watch.severity(),
            wall_offset_secs: now.wall_offset_secs,
        };
        let (mut snapshot, left_out) = presentation.snapshot(&self.watch, self.tick, now.steady);
        let own = &self.surroundings.own;
        snapshot.standing = self.standings.current(&self.watch, own);
        let snapshot = Arc::new(snapshot);
        own.ticked(now.wall());
        count_left_out(own, left_out);
        if let Some(audience) = &self.surroundings.audience {
            // Who is busy hears of the next one; who is gone, of none.
            let _busy_or_gone = audience.try_send(News::Snapshot(Arc::clone(&snapshot)));
        }
        self.surroundings.exposition.publish(Arc::clone(&snapshot));
        if let Some(pusher) = &self.pusher {
            pusher.offer(&snapshot, || own.gather(), now.steady);
        }
    }

    /// What a collector knew that has nothing to do any more is gone: no batch of its own will say so.
    fn forget_the_needless(&mut self, config: &Config) {
        let nothing = Batch::new(self.surroundings.clock.now().steady);
        for entry in wanted(&self.surroundings.collectors).filter(|entry| !(entry.is_needed)(config)) {
            self.watch.take_in(entry.name, &nothing, &mut self.events);
        }
    }

    fn reconfigure(&mut self, change: Change) {
        let Change { config, pusher } = change;
        self.standings.reconfigure(&config);
        if let Err(error) = self.workers.take_over(jobs(&config, &self.surroundings)) {
            tracing::error!(%error, "cannot start a collector's thread; the old ones go on");
        }
        // Which sources there are is known anew with their first answers.
        self.surroundings.own.forget_sources();
        self.interval = config.sampling.interval;
        let terms = terms(&config, &self.surroundings.collectors);
        self.watch.reconfigure(terms, self.interval.as_secs_f64());
        self.forget_the_needless(&config);
        self.watch.set_budgets(&config.sensitivity, processors::online(&self.surroundings.paths));
        self.watch.set_attribution(&config.attribution);
        self.watch.set_severity(config.severity.as_ref());
        self.limits = config.limits.clone();
        self.collectors = config.collectors.clone();
        self.show_pid = config.processes.show_pid;
        if let PusherChange::Replace(pusher) = pusher {
            self.pusher = pusher;
        }
    }
}

/// The collectors that run.
fn wanted<'a>(collectors: &'a [&'static str]) -> impl Iterator<Item = &'static Entry> + 'a {
    ALL.iter().filter(|entry| collectors.contains(&entry.name))
}

/// How each of them is watched.
fn terms(config: &Config, collectors: &[&'static str]) -> Vec<Terms> {
    wanted(collectors)
        .map(|entry| {
            let interval = config.sampling.interval * config.ticks_between_readings(entry.name);
            Terms {
                collector: entry.name,
                judged: (entry.judged)(config),
                interval_secs: interval.as_secs_f64(),
                has_budgets: entry.has_budgets,
            }
        })
        .collect()
}

/// What each collector that has something to do is told to do.
fn jobs(config: &Config, surroundings: &Surroundings) -> Vec<Job> {
    let shared = Arc::new(config.clone());
    let needed = wanted(&surroundings.collectors).filter(|entry| (entry.is_needed)(config));
    let job = |entry: &'static Entry| {
        let (paths, inbox) = (surroundings.paths.clone(), Arc::clone(&surroundings.inbox));
        let (config, lent) =
            (Arc::clone(&shared), Lent { paths, inbox, instant, spawn: spawn::output, wake: signal::wake });
        let build: Build = Arc::new(move || (entry.build)(&config, &lent));
        Job {
            name: entry.name,
            build,
            every_ticks: shared.ticks_between_readings(entry.name),
            timeout: shared.time_for_a_reading(entry.name),
        }
    };
    needed.map(job).collect()
}

fn count_left_out(own: &Own, left_out: LeftOut) {
    let count = |things: usize| u64::try_from(things).unwrap_or(u64::MAX);
    own.dropped(DroppedBy::Targets, count(left_out.targets));
    own.dropped(DroppedBy::AreasPerTarget, count(left_out.areas));
    own.dropped(DroppedBy::Series, count(left_out.series));
}

/// The next tick: an interval later, or right away, with the missed ones left out, when this one took too long.
fn following(tick: Instant, interval: Duration) -> Instant {
    let next = tick + interval;
    let now = instant();
    if next < now { now } else { next }
}
