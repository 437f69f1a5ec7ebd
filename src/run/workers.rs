//! A thread for each collector, so that one which hangs stops nothing else.
//!
//! A tick asks every idle collector and waits for the answers until a deadline. Who is late is not asked again before
//! it has answered; its answer is taken at a later tick, with the time at which it was read.

use super::clock;
use crate::{
    collect::{CollectError, Collector, Request},
    sample::Batch,
};
use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread,
    time::{Duration, Instant},
};

/// Enough for a collector: its reads are shallow.
const STACK_BYTES: usize = 256 * 1024;

/// All collectors at work.
pub(super) struct Workers {
    workers: Vec<Worker>,
}

struct Worker {
    name: &'static str,
    requests: SyncSender<Request>,
    answers: Receiver<Answer>,
    is_busy: bool,
}

struct Answer {
    batch: Result<Batch, CollectError>,
    took: Duration,
}

/// What a collector gave at a tick.
pub(super) struct Collected {
    pub(super) name: &'static str,
    pub(super) outcome: Outcome,
}

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
    pub(super) fn start(collectors: Vec<Box<dyn Collector>>) -> std::io::Result<Self> {
        let workers = collectors.into_iter().map(Worker::start).collect::<std::io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// Asks all idle collectors and gathers the answers that come before the deadline.
    pub(super) fn collect(&mut self, request: &Request, deadline: Instant) -> Vec<Collected> {
        for worker in &mut self.workers {
            worker.ask(request);
        }
        self.workers.iter_mut().map(|worker| worker.answer(deadline)).collect()
    }
}

impl Worker {
    fn start(mut collector: Box<dyn Collector>) -> std::io::Result<Self> {
        let name = collector.name();
        let (requests, todo) = mpsc::sync_channel::<Request>(1);
        let (done, answers) = mpsc::sync_channel(1);
        thread::Builder::new().name(format!("collect-{name}")).stack_size(STACK_BYTES).spawn(move || {
            for request in todo {
                let began = clock::instant();
                let batch = collector.collect(&request);
                let answer = Answer { batch, took: clock::instant().duration_since(began) };
                if done.send(answer).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { name, requests, answers, is_busy: false })
    }

    fn ask(&mut self, request: &Request) {
        if !self.is_busy {
            self.is_busy = self.requests.try_send(request.clone()).is_ok();
        }
    }

    fn answer(&mut self, deadline: Instant) -> Collected {
        let patience = deadline.saturating_duration_since(clock::instant());
        let outcome = match self.answers.recv_timeout(patience) {
            Ok(Answer { batch: Ok(batch), took }) => Outcome::Batch(batch, took),
            Ok(Answer { batch: Err(error), .. }) => Outcome::Failed(error),
            Err(RecvTimeoutError::Timeout) => return Collected { name: self.name, outcome: Outcome::Late },
            Err(RecvTimeoutError::Disconnected) => Outcome::Dead,
        };
        self.is_busy = false;
        Collected { name: self.name, outcome }
    }
}
