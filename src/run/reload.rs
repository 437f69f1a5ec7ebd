//! Reload: a new configuration on SIGHUP or by request. A bad one changes nothing and says so.

use super::{
    build_pusher,
    clock::Clock,
    tick::{Change, Control},
};
use crate::{
    collect::host::HostFacts,
    config::{Config, ConfigErrors, written},
    export::own::Own,
    http::ReloadRequest,
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};
use tokio::signal::unix::{SignalKind, signal};

/// Reads the configuration from its file, or from the environment alone.
///
/// # Errors
/// All mistakes at once.
pub fn read(file: Option<&Path>) -> Result<Config, ConfigErrors> {
    let lookup = |name: &str| std::env::var(name).ok();
    match file {
        Some(path) => written::load(path, &lookup),
        None => Config::from_environment(&lookup),
    }
}

/// Takes over new configurations.
pub(super) struct Reloader {
    pub(super) file: Option<PathBuf>,
    pub(super) control: mpsc::Sender<Control>,
    pub(super) own: Arc<Own>,
    pub(super) facts: HostFacts,
    pub(super) clock: Clock,
}

impl Reloader {
    /// Reloads whenever a signal or a request says so.
    pub(super) async fn run(self, mut requests: tokio::sync::mpsc::Receiver<ReloadRequest>) {
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => {
                tracing::error!(%error, "cannot listen for SIGHUP; reloads by signal are off");
                return;
            }
        };
        loop {
            tokio::select! {
                Some(()) = hangups.recv() => { let _logged = self.reload(); }
                Some(request) = requests.recv() => { let _client_left = request.reply.send(self.reload()); }
                else => return,
            }
        }
    }

    fn reload(&self) -> Result<(), String> {
        let outcome = self.take_over();
        match &outcome {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(error) => {
                self.own.reload_failed();
                for line in error.lines() {
                    tracing::error!(error = line, "configuration refused; the previous one stays in force");
                }
            }
        }
        outcome
    }

    fn take_over(&self) -> Result<(), String> {
        let config = read(self.file.as_deref()).map_err(|errors| errors.to_string())?;
        let pusher = build_pusher(&config, &self.facts, &self.own).map_err(|error| format!("{error:#}"))?;
        let interval_secs = config.sampling.interval.as_secs_f64();
        self.control
            .send(Control::Reconfigure(Box::new(Change { config, pusher })))
            .map_err(|_ended| String::from("the tick has ended"))?;
        self.own.reloaded(self.clock.now().wall(), interval_secs);
        Ok(())
    }
}
