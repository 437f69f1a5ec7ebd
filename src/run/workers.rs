//! A thread for each collector, so that one which hangs stops nothing else.
//!
//! A tick asks every idle collector and waits for the answers until a deadline. Who is late is not asked again before
//! it has answered. Its answer is taken when it comes, with the time at which it was asked for, and the question of the
//! present tick follows at once: a collector that needs nearly all of its time would otherwise miss every other tick.
//!
//! A collector whose thread panicked is built anew, but not tick by tick: it may well panic again.

use super::clock;
use crate::{
    collect::{CollectError, Collector, Request},
    sample::Batch,
};
use std::{
    io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread,
    time::{Duration, Instant},
};

/// Enough for a collector: its reads are shallow.
const STACK_BYTES: usize = 256 * 1024;
/// A collector is built anew at most this often: each panic prints its own lines to the log.
const REBUILD_PAUSE: Duration = Duration::from_secs(60);

/// Builds a collector, the first time and again after it panicked.
pub(super) type Build = Box<dyn Fn() -> Box<dyn Collector> + Send>;

/// All collectors at work.
pub(super) struct Workers {
    workers: Vec<Worker>,
}

struct Worker {
    name: &'static str,
    build: Build,
    built_at: Instant,
    link: Link,
    state: State,
    overdue: Option<Outcome>,
}

/// The way to a collector's thread and back. Dropping it ends the thread after what it is at.
struct Link {
    requests: SyncSender<Request>,
    answers: Receiver<Answer>,
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
    /// The request of this tick.
    Asked,
    /// The request of an earlier tick.
    Behind,
    /// Its thread is gone.
    Dead,
}

/// What a collector gave at a tick.
pub(super) struct Collected {
    pub(super) name: &'static str,
    /// What came only now of what an earlier tick asked for; to be taken in first.
    pub(super) overdue: Option<Outcome>,
    /// What became of this tick's request.
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// What it saw, and how long it took.
    Batch(Batch, Duration),
    /// It saw nothing, with the reason.
    Failed(CollectError),
    /// It has not answered yet.
    Late,
    /// Its thread is gone.
    Dead,
}

impl Workers {
    /// Starts a thread for each collector.
    pub(super) fn start(builds: Vec<Build>) -> io::Result<Self> {
        let now = clock::instant();
        let workers = builds.into_iter().map(|build| Worker::start(build, now)).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// Asks all idle collectors, at the moment `now`, and gathers the answers that come before the deadline.
    pub(super) fn collect(&mut self, request: &Request, now: Instant, deadline: Instant) -> Vec<Collected> {
        for worker in &mut self.workers {
            worker.begin(request, now);
        }
        self.workers.iter_mut().map(|worker| worker.finish(request, deadline)).collect()
    }
}

impl Worker {
    fn start(build: Build, now: Instant) -> io::Result<Self> {
        let collector = build();
        let name = collector.name();
        let link = Link::start(collector)?;
        Ok(Self { name, build, built_at: now, link, state: State::Idle, overdue: None })
    }

    fn begin(&mut self, request: &Request, now: Instant) {
        match self.state {
            State::Asked => self.state = State::Behind,
            State::Dead => self.build_anew(now),
            State::Idle | State::Behind => {}
        }
        self.ask(request);
        // What has come since the last tick is taken now, so that it waits for no other collector.
        self.catch_up(request, now);
    }

    fn finish(&mut self, request: &Request, deadline: Instant) -> Collected {
        self.catch_up(request, deadline);
        let outcome = if self.state == State::Behind { Outcome::Late } else { self.answer(deadline) };
        Collected { name: self.name, overdue: self.overdue.take(), outcome }
    }

    /// Takes the answer to an earlier request, if it comes before the deadline, and asks again at once.
    fn catch_up(&mut self, request: &Request, deadline: Instant) {
        if self.state == State::Behind {
            let outcome = self.answer(deadline);
            match self.state {
                State::Idle => {
                    self.overdue = Some(outcome);
                    self.ask(request);
                }
                State::Asked | State::Behind | State::Dead => {}
            }
        }
    }

    fn ask(&mut self, request: &Request) {
        if self.state == State::Idle {
            match self.link.requests.try_send(request.clone()) {
                Ok(()) => self.state = State::Asked,
                Err(_its_thread_is_gone) => self.state = State::Dead,
            }
        }
    }

    fn answer(&mut self, deadline: Instant) -> Outcome {
        let patience = deadline.saturating_duration_since(clock::instant());
        let (state, outcome) = match self.link.answers.recv_timeout(patience) {
            Ok(Answer { batch: Ok(batch), took }) => (State::Idle, Outcome::Batch(batch, took)),
            Ok(Answer { batch: Err(error), .. }) => (State::Idle, Outcome::Failed(error)),
            Err(RecvTimeoutError::Timeout) => (self.state, Outcome::Late),
            Err(RecvTimeoutError::Disconnected) => (State::Dead, Outcome::Dead),
        };
        self.state = state;
        outcome
    }

    fn build_anew(&mut self, now: Instant) {
        if now.saturating_duration_since(self.built_at) < REBUILD_PAUSE {
            return;
        }
        self.built_at = now;
        match Link::start((self.build)()) {
            Ok(link) => {
                self.link = link;
                self.state = State::Idle;
            }
            Err(error) => {
                tracing::warn!(collector = self.name, %error, "cannot start a collector's thread again");
            }
        }
    }
}

impl Link {
    fn start(mut collector: Box<dyn Collector>) -> io::Result<Self> {
        let (requests, todo) = mpsc::sync_channel::<Request>(1);
        let (done, answers) = mpsc::sync_channel(1);
        let name = format!("collect-{}", collector.name());
        thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(move || {
            for request in todo {
                let began = clock::instant();
                let batch = collector.collect(&request);
                let answer = Answer { batch, took: clock::instant().duration_since(began) };
                if done.send(answer).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { requests, answers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
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
        fn name(&self) -> &'static str {
            "fake"
        }

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

    struct Bench {
        workers: Workers,
        steps: mpsc::Sender<Step>,
        built: Arc<AtomicUsize>,
        began: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let (steps, todo) = mpsc::channel();
            let (todo, built) = (Arc::new(Mutex::new(todo)), Arc::new(AtomicUsize::new(0)));
            let count = Arc::clone(&built);
            let build: Build = Box::new(move || {
                count.fetch_add(1, Ordering::Relaxed);
                Box::new(Fake(Arc::clone(&todo)))
            });
            Self { workers: Workers::start(vec![build]).unwrap(), steps, built, began: clock::instant() }
        }

        /// The outcomes of a tick at this second, in order: the time of a batch, or what else happened.
        fn tick(&mut self, at: u32, patience: Duration) -> Vec<String> {
            let request = Request { at: f64::from(at), suspects: Arc::default() };
            let now = self.began + Duration::from_secs(u64::from(at));
            let deadline = clock::instant() + patience;
            let collected = self.workers.collect(&request, now, deadline);
            let outcomes = collected.into_iter().flat_map(|one| one.overdue.into_iter().chain([one.outcome]));
            let word = |outcome| match outcome {
                Outcome::Batch(batch, _) => format!("{}", batch.at),
                Outcome::Failed(_) => String::from("failed"),
                Outcome::Late => String::from("late"),
                Outcome::Dead => String::from("dead"),
            };
            outcomes.map(word).collect()
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
        assert_eq!(bench.built.load(Ordering::Relaxed), 1);
        assert_eq!(bench.tick(61, PATIENCE), ["61"]);
        bench.steps([Step::Panic]);
        for at in [62, 120] {
            assert_eq!(bench.tick(at, PATIENCE), ["dead"], "at {at}");
        }
        assert_eq!(bench.built.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn one_that_panics_after_its_time_is_found_dead() {
        let mut bench = Bench::new();
        assert_eq!(bench.tick(1, Duration::ZERO), ["late"]);
        bench.steps([Step::Panic]);
        assert_eq!(bench.tick(2, PATIENCE), ["dead"]);
    }
}
