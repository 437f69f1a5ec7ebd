//! What programs push: the collector that reads nothing itself and takes what lies in the [inbox](crate::inbox).
//!
//! A push is a sample at the reading after it. An area of which nothing new is heard keeps its value and gives the judge
//! no sample: what was not seen is not judged. When it has been silent for `push.forget_after` it is gone, and a program
//! with its last area. After a restart of the exporter, programs that an earlier run knew have as long to be heard.

use super::{CollectError, Collector, Lent, Request};
use crate::{
    config::Config,
    inbox::{Heard, Inbox, Terms},
    sample::{Batch, Generation, Identity, Member, TargetInfo},
};
use std::{collections::HashMap, sync::Arc};

/// The name of this collector.
pub const NAME: &str = "push";

/// Takes what programs push.
pub struct PushCollector {
    inbox: Arc<Inbox>,
    forget_after_secs: f64,
    members: HashMap<Identity, Arc<Member>>,
}

impl PushCollector {
    /// Opens the inbox on the terms of the configuration.
    #[must_use]
    pub fn new(config: &Config, lent: &Lent) -> Self {
        let inbox = Arc::clone(&lent.inbox);
        inbox.open(Terms { areas_max: config.push.areas, metrics: config.push.metrics.clone() });
        Self { inbox, forget_after_secs: config.push.forget_after.as_secs_f64(), members: HashMap::new() }
    }
}

impl Collector for PushCollector {
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
        let mut batch = Batch::new(request.at);
        let contents = self.inbox.read(request.at, self.forget_after_secs);
        batch.dropped_members = contents.refused;
        batch.may_lack_members = request.at - contents.began_at <= self.forget_after_secs;
        let mut before = std::mem::take(&mut self.members);
        for Heard { identity, target, samples, ended } in contents.programs {
            let member = before.remove(&identity).unwrap_or_else(|| {
                Arc::new(Member {
                    target,
                    info: TargetInfo::default(),
                    identity,
                    generation: Generation::default(),
                    started_at: request.at,
                    group: "".into(),
                })
            });
            batch.ended.extend(ended.into_iter().map(|area| (identity, area)));
            batch.push(Arc::clone(&member), samples);
            self.members.insert(identity, member);
        }
        Ok(batch)
    }
}
