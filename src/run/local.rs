//! Watching without a listener, for the commands at a desk: the ticks of the exporter, heard in this program alone.

use super::{
    News, build_info,
    clock::Clock,
    start_tick,
    tick::{Control, Surroundings, Ticker},
};
use crate::{
    collect::paths::Paths,
    config::Config,
    export::{
        exposition::Exposition,
        own::{Own, Start},
    },
    inbox::Inbox,
    snapshot::Snapshot,
};
use anyhow::{Context as _, anyhow};
use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

/// Ticks until it is dropped.
pub struct Local {
    news: Receiver<News>,
    control: Sender<Control>,
}

impl Local {
    /// Starts the collectors of these names and their ticks.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(config: &Config, paths: Paths, collectors: &[&'static str]) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let start =
            Start { loaded_at: clock.now().wall(), interval_secs: config.sampling.interval.as_secs_f64() };
        let own =
            Arc::new(Own::new(&build_info(), &start).context("cannot register the exporter's own metrics")?);
        let (audience, news) = mpsc::sync_channel(1);
        let surroundings = Surroundings {
            paths,
            collectors: collectors.to_vec(),
            inbox: Arc::<Inbox>::default(),
            own: Arc::clone(&own),
            exposition: Arc::new(Exposition::new(own)),
            clock,
            storage: None,
            audience: Some(audience),
        };
        let ticker = Ticker::new(config, surroundings, None).context("cannot start the collectors")?;
        let (control, commands) = mpsc::channel();
        start_tick(move || ticker.run(&commands))?;
        Ok(Self { news, control })
    }

    /// The result of the next tick, if it comes in this time.
    ///
    /// # Errors
    /// When the ticks have ended, which they never should.
    pub fn next(&self, patience: Duration) -> anyhow::Result<Option<Arc<Snapshot>>> {
        match self.news.recv_timeout(patience) {
            Ok(News::Snapshot(snapshot)) => Ok(Some(snapshot)),
            Ok(News::Listening(_)) | Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(anyhow!("the tick ended unexpectedly; please report this"))
            }
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // What hangs in a read now ends with the process; waiting for it would hold up the end.
        let _gone_already = self.control.send(Control::Stop);
    }
}
