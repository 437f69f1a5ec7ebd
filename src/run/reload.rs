//! Reload: a new configuration on SIGHUP or by request. A bad one changes nothing and says so.

use super::{
    build_pusher,
    clock::Clock,
    tick::{Change, Control, PusherChange},
};
use crate::{
    collect::host::HostFacts,
    config::{Config, ConfigErrors, Otlp, written},
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
    /// What the running pusher was built from.
    pub(super) pushing: Pushing,
}

/// All that a pusher is built from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pushing {
    otlp: Option<Otlp>,
    series_max: usize,
}

impl Pushing {
    pub(super) fn of(config: &Config) -> Self {
        Self { otlp: config.otlp.clone(), series_max: config.limits.series }
    }

    /// Whether the pusher goes on under a new configuration, with what waits in it. With certificates it never does: a
    /// reload is how renewed ones under the same names are taken over.
    fn goes_on_under(&self, new: &Self) -> bool {
        let reads_files = |otlp: &Otlp| {
            otlp.certificate_file.is_some()
                || otlp.client_certificate_file.is_some()
                || otlp.client_key_file.is_some()
        };
        self == new && !new.otlp.as_ref().is_some_and(reads_files)
    }
}

impl Reloader {
    /// Reloads whenever a signal or a request says so.
    pub(super) async fn run(mut self, mut requests: tokio::sync::mpsc::Receiver<ReloadRequest>) {
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

    fn reload(&mut self) -> Result<(), String> {
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

    fn take_over(&mut self) -> Result<(), String> {
        let config = read(self.file.as_deref()).map_err(|errors| errors.to_string())?;
        let pushing = Pushing::of(&config);
        let pusher = if self.pushing.goes_on_under(&pushing) {
            PusherChange::Keep
        } else {
            let pusher = build_pusher(&config, &self.facts, &self.own);
            PusherChange::Replace(pusher.map_err(|error| format!("{error:#}"))?)
        };
        let interval_secs = config.sampling.interval.as_secs_f64();
        let severity = config.severity.clone();
        self.control
            .send(Control::Reconfigure(Box::new(Change { config, pusher })))
            .map_err(|_ended| String::from("the tick has ended"))?;
        self.pushing = pushing;
        self.own.reloaded(self.clock.now().wall(), interval_secs);
        self.own.graded_by(severity.as_ref());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pusher_goes_on_while_nothing_that_it_is_built_from_changes() {
        let pushing = |otlp: Option<Otlp>, series_max| Pushing { otlp, series_max };
        let plain = || Some(Otlp::default());
        let queued = || Some(Otlp { queue: 7, ..Otlp::default() });
        let secured = || Some(Otlp { certificate_file: Some("ca.pem".into()), ..Otlp::default() });
        for (old, new, goes_on) in [
            (pushing(None, 1), pushing(None, 1), true),
            (pushing(plain(), 1), pushing(plain(), 1), true),
            (pushing(None, 1), pushing(plain(), 1), false),
            (pushing(plain(), 1), pushing(None, 1), false),
            (pushing(plain(), 1), pushing(queued(), 1), false),
            (pushing(plain(), 1), pushing(plain(), 2), false),
            (pushing(secured(), 1), pushing(secured(), 1), false),
        ] {
            assert_eq!(old.goes_on_under(&new), goes_on, "{:?} {:?}", old.otlp, new.otlp);
        }
    }
}
