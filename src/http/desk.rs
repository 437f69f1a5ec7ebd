//! What is asked of the tick: it alone has the past of the areas, and alone takes samples.
//!
//! A question waits for the end of the tick that runs, and so few wait at once that no tick is late for them. Whoever goes
//! away leaves its question behind, and with it its place in the queue until that is answered.

use super::{Pages, answer::Answer};
use crate::sample::{Area, Seconds, Target};
use hyper::{StatusCode, header::RETRY_AFTER};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

/// Questions that wait at once.
const QUESTIONS_MAX: usize = 4;
/// A tick takes no longer than this, unless the machine is overwhelmed.
const PATIENCE: Duration = Duration::from_secs(15);

/// A question with its place in the queue.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub what: What,
    _place: OwnedSemaphorePermit,
}

/// What can be asked, each with who takes the answer.
#[derive(Debug)]
pub enum What {
    /// Take samples now. The answer is the number of the tick; none where the last one that was asked for is too near.
    Sample(oneshot::Sender<Option<u64>>),
    /// Forget what was learned of a target. The answer is the number of its areas that are judged anew.
    Forget(Arc<Target>, oneshot::Sender<usize>),
    /// The past of some areas, each as it is shown. The answer has as many items in the same order.
    Past(Vec<AreaKey>, oneshot::Sender<Vec<Past>>),
}

/// An area as it is shown: of the whole target, or of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AreaKey {
    /// Whose.
    pub target: Arc<Target>,
    /// Name and unit.
    pub area: Area,
    /// The process, where pids are shown.
    pub pid: Option<u32>,
}

/// What is remembered of an area, at several resolutions, the finest first. Empty for one that is not judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The resolutions that have a bucket.
    pub levels: Vec<Level>,
}

/// One resolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Seconds of a bucket.
    pub width_secs: f64,
    /// In the order of time; a gap is a missing bucket.
    pub buckets: Vec<Bucket>,
}

/// The sizes of an area during a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// When it begins, in wall-clock seconds.
    pub at: Seconds,
    /// The lowest size.
    pub low: f64,
    /// The highest size; of several processes together, the sum of theirs.
    pub high: f64,
}

/// Where questions are asked.
pub(super) struct Desk {
    pages: Arc<dyn Pages>,
    places: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(pages: Arc<dyn Pages>) -> Self {
        Self { pages, places: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    ///
    /// The refusal where too many ask at once, the exporter ends, or a tick takes very long.
    pub(super) async fn ask<T>(
        &self,
        what: impl FnOnce(oneshot::Sender<T>) -> What,
    ) -> Result<T, Box<Answer>> {
        let later = |sentence: &str| {
            Box::new(Answer::text(StatusCode::SERVICE_UNAVAILABLE, sentence).with(RETRY_AFTER, "1"))
        };
        let Ok(Ok(place)) = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned()).await else {
            return Err(later("Too much is asked at once. Try again in a moment."));
        };
        let (reply, answer) = oneshot::channel();
        if !self.pages.ask(Question { what: what(reply), _place: place }) {
            return Err(later("The exporter is shutting down."));
        }
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            _late_or_gone => Err(later("The tick takes long. Try again in a moment.")),
        }
    }
}
