//! A thread for each collector, so that one which hangs stops nothing else.
//!
//! A tick asks every idle collector whose turn it is and waits for the answers until a deadline. Who is late is not
//! asked again before it has answered. Its answer is taken when it comes, with the time at which it was asked for, and
//! the question that was due meanwhile follows at once: a collector that needs nearly all of its time would otherwise
//! miss every other tick. For one that stays silent no tick waits any more.
//!
//! A collector whose thread panicked is built anew, but not tick by tick: it may well panic again.
//!
//! With a new configuration the threads stay and the collectors on them are built anew: what a thread has freed is at
//! hand for the thread itself and for no other, and a process that starts all of them again at every reload grows.

use super::clock;
use crate::{
    collect::{CollectError, Collector, Request},
    sample::Batch,
};
use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

/// A new collector and the first question to it may wait together; more never do.
const ORDERS_AHEAD: usize = 2;
/// Enough for a collector: its reads are shallow.
const STACK_BYTES: usize = 256 * 1024;
/// A collector is built anew at most this often: each panic prints its own lines to the log.
const REBUILD_PAUSE: Duration = Duration::from_secs(60);
/// So many ticks wait for an answer to an earlier question; then it is taken for hanging, and only looked for.
const WAITING_TICKS: u32 = 3;

/// Builds a collector on its thread, the first time and again after it panicked.
pub(super) type Build = Arc<dyn Fn() -> Box<dyn Collector> + Send + Sync>;

/// How a collector is put to work.
pub(super) struct Job {
    /// The name of the collector.
    pub(super) name: &'static str,
    pub(super) build: Build,
    /// Its turn comes with every so many ticks.
    pub(super) every_ticks: u32,
    /// It is late after this time.
    pub(super) timeout: Duration,
}

/// All collectors at work.
pub(super) struct Workers {
    workers: Vec<Worker>,
}

struct Worker {
    job: Job,
    built_at: Instant,
    link: Link,
    state: State,
    /// Its turn has come, and it was not asked yet.
    is_due: bool,
    outcomes: Vec<Outcome>,
}

/// The way to a collector's thread and back. Dropping it ends the thread after what it is at.
struct Link {
    orders: SyncSender<Order>,
    answers: Receiver<Answer>,
}

/// What a collector's thread is told.
enum Order {
    /// To ask its collector.
    Ask(Request),
    /// To go on with a new one.
    Build(Build),
}

struct Answer {
    batch: Result<Batch, CollectError>,
    took: Duration,
}

/// What a collector's thread is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Idle,
    /// A question, asked then, that so many ticks since have waited for in vain.
    Asked { at: Instant, ticks: u32 },
    /// Its thread is gone.
    Dead,
}

/// What a tick asks.
#[derive(Clone, Copy)]
pub(super) struct Round<'a> {
    pub(super) request: &'a Request,
    /// The number of the tick.
    pub(super) tick: u64,
    /// When it began.
    pub(super) now: Instant,
    /// Until when it waits.
    pub(super) deadline: Instant,
}

/// What a collector gave at a tick.
pub(super) struct Collected {
    pub(super) name: &'static str,
    /// What came of its questions, in their order; nothing while it is not its turn, or its time is not over.
    pub(super) outcomes: Vec<Outcome>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// What it saw, and how long it took.
    Batch(Batch, Duration),
    /// The same, later than it may be.
    Overdue(Batch, Duration),
    /// It saw nothing, with the reason.
    Failed(CollectError),
    /// It has not answered in time.
    Late,
    /// Its thread is gone.
    Dead,
}

impl Workers {
    /// Starts a thread for each collector.
    pub(super) fn start(jobs: Vec<Job>) -> io::Result<Self> {
        let mut workers = Self { workers: Vec::new() };
        workers.take_over(jobs)?;
        Ok(workers)
    }

    /// Puts these collectors in the place of those that are at work, on the same threads where they do nothing just now.
    ///
    /// # Errors
    /// A thread cannot be started. Then nothing has changed.
    pub(super) fn take_over(&mut self, jobs: Vec<Job>) -> io::Result<()> {
        let now = clock::instant();
        let is_free = |name| self.workers.iter().any(|worker| worker.is_free(name));
        let link = |job: &Job| if is_free(job.name) { Ok(None) } else { Link::start(job).map(Some) };
        let links = jobs.iter().map(link).collect::<io::Result<Vec<_>>>()?;
        let mut old = std::mem::take(&mut self.workers);
        for (job, new) in jobs.into_iter().zip(links) {
            let free = |old: &mut Vec<Worker>| {
                let at = old.iter().position(|worker| worker.is_free(job.name))?;
                Some(old.swap_remove(at).link.goes_on_with(&job))
            };
            if let Some(link) = new.or_else(|| free(&mut old)) {
                self.workers.push(Worker::new(job, link, now));
            }
        }
        Ok(())
    }

    /// Asks all idle collectors whose turn it is, and gathers the answers that come before the deadline.
    pub(super) fn collect(&mut self, round: Round<'_>) -> Vec<Collected> {
        for worker in &mut self.workers {
            worker.begin(round);
        }
        self.workers.iter_mut().map(|worker| worker.finish(round)).collect()
    }
}

impl Worker {
    fn new(job: Job, link: Link, now: Instant) -> Self {
        // The first tick asks everybody, whoever's turn it is.
        Self { job, built_at: now, link, state: State::Idle, is_due: true, outcomes: Vec::new() }
    }

    /// Whether this is the thread of that collector and has nothing to do.
    fn is_free(&self, name: &str) -> bool {
        self.job.name == name && self.state == State::Idle
    }

    fn begin(&mut self, round: Round<'_>) {
        self.is_due |= round.tick.is_multiple_of(u64::from(self.job.every_ticks));
        if self.state == State::Dead {
            self.build_anew(round.now);
        }
        // What has come since the last tick is taken now, so that it waits for no other collector.
        self.receive(round.now);
        self.ask(round.request);
    }

    fn finish(&mut self, round: Round<'_>) -> Collected {
        if let State::Asked { ticks: 1..=WAITING_TICKS, .. } = self.state {
            self.receive(round.deadline);
            self.ask(round.request);
        }
        if let State::Asked { at, ticks: 0 } = self.state {
            self.receive(round.deadline.min(at + self.job.timeout));
        }
        match &mut self.state {
            State::Asked { at, ticks } => {
                *ticks = ticks.saturating_add(1);
                if clock::instant().saturating_duration_since(*at) >= self.job.timeout {
                    self.outcomes.push(Outcome::Late);
                }
            }
            State::Dead if self.outcomes.is_empty() => self.outcomes.push(Outcome::Dead),
            State::Idle | State::Dead => {}
        }
        Collected { name: self.job.name, outcomes: std::mem::take(&mut self.outcomes) }
    }

    fn ask(&mut self, request: &Request) {
        if self.state == State::Idle && self.is_due {
            self.state = match self.link.orders.try_send(Order::Ask(request.clone())) {
                Ok(()) => State::Asked { at: clock::instant(), ticks: 0 },
                Err(_its_thread_is_gone) => State::Dead,
            };
            self.is_due = false;
        }
    }

    /// Takes the answer to the open question, if it comes by then.
    fn receive(&mut self, until: Instant) {
        let State::Asked { .. } = self.state else { return };
        let patience = until.saturating_duration_since(clock::instant());
        let (state, outcome) = match self.link.answers.recv_timeout(patience) {
            Ok(Answer { batch: Ok(batch), took }) if took > self.job.timeout => {
                (State::Idle, Outcome::Overdue(batch, took))
            }
            Ok(Answer { batch: Ok(batch), took }) => (State::Idle, Outcome::Batch(batch, took)),
            Ok(Answer { batch: Err(error), .. }) => (State::Idle, Outcome::Failed(error)),
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => (State::Dead, Outcome::Dead),
        };
        self.state = state;
        self.outcomes.push(outcome);
    }

    fn build_anew(&mut self, now: Instant) {
        if now.saturating_duration_since(self.built_at) < REBUILD_PAUSE {
            return;
        }
        self.built_at = now;
        match Link::start(&self.job) {
            Ok(link) => {
                self.link = link;
                self.state = State::Idle;
                self.is_due = true;
            }
            Err(error) => {
                tracing::warn!(collector = self.job.name, %error, "cannot start a collector's thread again");
            }
        }
    }
}

impl Link {
    fn start(job: &Job) -> io::Result<Self> {
        let (orders, todo) = mpsc::sync_channel(ORDERS_AHEAD);
        let (done, answers) = mpsc::sync_channel(1);
        let (name, build) = (format!("collect-{}", job.name), Arc::clone(&job.build));
        thread::Builder::new()
            .name(name)
            .stack_size(STACK_BYTES)
            .spawn(move || work(&build, &todo, &done))?;
        Ok(Self { orders, answers })
    }

    /// The thread of a collector that has nothing to do, with another in its place. Should it have ended, the first
    /// question tells.
    fn goes_on_with(self, job: &Job) -> Self {
        let _told_when_asked = self.orders.try_send(Order::Build(Arc::clone(&job.build)));
        self
    }
}

/// What a collector's thread does, until nobody asks it any more.
fn work(build: &Build, orders: &Receiver<Order>, done: &SyncSender<Answer>) {
    let mut collector = build();
    for order in orders {
        match order {
            Order::Build(build) => collector = build(),
            Order::Ask(request) => {
                let began = clock::instant();
                let batch = collector.collect(&request);
                let answer = Answer { batch, took: clock::instant().duration_since(began) };
                if done.send(answer).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Mutex, PoisonError},
        thread::ThreadId,
    };

    /// Long enough for any answer that comes at all.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// What a fake collector does with one request.
    enum Step {
        Answer,
        Fail,
        Panic,
    }

    /// Waits for a step at every request.
    struct Fake(Arc<Mutex<Receiver<Step>>>);

    impl Collector for Fake {
        fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
            let step = self.0.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match step {
                Ok(Step::Panic) => panic!("as the test wants it"),
                Ok(Step::Fail) => {
                    Err(CollectError::Read { path: "/fake".into(), source: io::ErrorKind::Other.into() })
                }
                Ok(Step::Answer) | Err(_) => Ok(Batch::new(request.at)),
            }
        }
    }

    fn words(collected: Vec<Collected>) -> Vec<String> {
        let word = |outcome| match outcome {
            Outcome::Batch(batch, _) | Outcome::Overdue(batch, _) => format!("{}", batch.at),
            Outcome::Failed(_) => String::from("failed"),
            Outcome::Late => String::from("late"),
            Outcome::Dead => String::from("dead"),
        };
        collected.into_iter().flat_map(|one| one.outcomes).map(word).collect()
    }

    struct Bench {
        workers: Workers,
        steps: mpsc::Sender<Step>,
        /// The threads on which collectors were built, in order.
        built: Arc<Mutex<Vec<ThreadId>>>,
        began: Instant,
    }

    fn job(build: &Build) -> Job {
        Job { name: "fake", build: Arc::clone(build), every_ticks: 1, timeout: PATIENCE }
    }

    impl Bench {
        fn new() -> Self {
            let (steps, todo) = mpsc::channel();
            let (todo, built) = (Arc::new(Mutex::new(todo)), Arc::<Mutex<Vec<ThreadId>>>::default());
            let threads = Arc::clone(&built);
            let build: Build = Arc::new(move || {
                threads.lock().unwrap().push(thread::current().id());
                Box::new(Fake(Arc::clone(&todo)))
            });
            let workers = Workers::start(vec![job(&build)]).unwrap();
            Self { workers, steps, built, began: clock::instant() }
        }

        /// The outcomes of a tick at this second, in order: the time of a batch, or what else happened. So long may an
        /// answer take.
        fn tick(&mut self, at: u32, patience: Duration) -> Vec<String> {
            for worker in &mut self.workers.workers {
                worker.job.timeout = patience;
            }
            let request = Request { at: f64::from(at), ..Request::default() };
            let now = self.began + Duration::from_secs(u64::from(at));
            let deadline = clock::instant() + patience;
            let round = Round { request: &request, tick: u64::from(at), now, deadline };
            words(self.workers.collect(round))
        }

        /// Takes over a new configuration with the same collector.
        fn reload(&mut self) {
            let jobs = self.workers.workers.iter().map(|worker| job(&worker.job.build)).collect();
            self.workers.take_over(jobs).unwrap();
        }

        fn threads(&self) -> Vec<ThreadId> {
            self.built.lock().unwrap().clone()
        }

        fn steps(&self, steps: impl IntoIterator<Item = Step>) {
            steps.into_iter().for_each(|step| self.steps.send(step).unwrap());
        }
    }

    #[test]
    fn a_late_answer_costs_no_other_tick() {
        let mut bench = Bench::new();
        assert_eq!(bench.tick(1, Duration::ZERO), ["late"]);
        assert_eq!(bench.tick(2, Duration::ZERO), ["late"]);
        bench.steps([Step::Answer, Step::Answer]);
        assert_eq!(bench.tick(3, PATIENCE), ["1", "3"]);
        bench.steps([Step::Answer]);
        assert_eq!(bench.tick(4, PATIENCE), ["4"]);
        assert_eq!(bench.tick(5, Duration::ZERO), ["late"]);
        bench.steps([Step::Fail, Step::Answer]);
        assert_eq!(bench.tick(6, PATIENCE), ["failed", "6"]);
    }

    #[test]
    fn a_collector_that_panics_is_built_anew_but_not_tick_by_tick() {
        let mut bench = Bench::new();
        bench.steps([Step::Panic, Step::Answer]);
        for at in [1, 2, 59] {
            assert_eq!(bench.tick(at, PATIENCE), ["dead"], "at {at}");
        }
        assert_eq!(bench.threads().len(), 1);
        assert_eq!(bench.tick(61, PATIENCE), ["61"]);
        bench.steps([Step::Panic]);
        for at in [62, 120] {
            assert_eq!(bench.tick(at, PATIENCE), ["dead"], "at {at}");
        }
        assert_eq!(bench.threads().len(), 2);
    }

    #[test]
    fn a_reload_keeps_the_threads_of_those_that_have_nothing_to_do() {
        let mut bench = Bench::new();
        bench.steps([Step::Answer, Step::Answer]);
        assert_eq!(bench.tick(1, PATIENCE), ["1"]);
        bench.reload();
        assert_eq!(bench.tick(2, PATIENCE), ["2"]);
        let [first, second] = bench.threads()[..] else { panic!("{:?}", bench.threads()) };
        assert_eq!(first, second);
        // Of one that is at something nobody waits for the end, nor hears its answer.
        assert_eq!(bench.tick(3, Duration::ZERO), ["late"]);
        bench.reload();
        bench.steps([Step::Answer, Step::Answer]);
        assert_eq!(bench.tick(4, PATIENCE), ["4"]);
        assert_ne!(bench.threads()[2], first);
    }

    #[test]
    fn one_that_panics_after_its_time_is_found_dead() {
        let mut bench = Bench::new();
        assert_eq!(bench.tick(1, Duration::ZERO), ["late"]);
        bench.steps([Step::Panic]);
        assert_eq!(bench.tick(2, PATIENCE), ["dead"]);
    }

    #[test]
    fn a_collector_is_asked_when_its_turn_comes() {
        let mut bench = Bench::new();
        bench.workers.workers[0].job.every_ticks = 4;
        bench.steps((0..3).map(|_| Step::Answer));
        let told: Vec<Vec<String>> = (1..=9).map(|at| bench.tick(at, PATIENCE)).collect();
        let at = |told: &[String]| told.concat();
        let told: Vec<String> = told.iter().map(|told| at(told)).collect();
        assert_eq!(told, ["1", "", "", "4", "", "", "", "8", ""]);
    }

    /// Two collectors; the first never answers. No tick may wait for it in the end, and the other misses none.
    #[test]
    fn one_that_hangs_neither_stops_nor_holds_up_another() {
        let (mut hanging, mut working) = (Bench::new(), Bench::new());
        working.steps((0..20).map(|_| Step::Answer));
        let mut both = Workers { workers: Vec::new() };
        both.workers.append(&mut hanging.workers.workers);
        both.workers.append(&mut working.workers.workers);
        both.workers[0].job.timeout = Duration::ZERO;
        for at in 1..=20u32 {
            let request = Request { at: f64::from(at), ..Request::default() };
            let now = clock::instant();
            // As many milliseconds as cost nothing while ticks still wait, and more than the test may take afterwards.
            let waits = at <= WAITING_TICKS + 1;
            let deadline = now + if waits { Duration::from_millis(20) } else { PATIENCE };
            let round = Round { request: &request, tick: u64::from(at), now, deadline };
            let mut told = words(both.collect(round));
            assert_eq!(told.remove(0), "late", "tick {at}");
            let has_answered = told.last() == Some(&format!("{at}"));
            if waits && !has_answered {
                // A busy machine answered after the deadline; what is missing comes with the next tick.
                continue;
            }
            assert!(has_answered, "tick {at}: {told:?}");
            assert!(
                clock::instant().duration_since(now) < PATIENCE,
                "tick {at} waited for the one that hangs"
            );
        }
    }
}
