//! Run: builds every part from its own piece of the configuration, then lets them go.
//!
//! What can fail fails while building, before anything runs: addresses are bound, certificates read, threads started.
//! After that a failing part never stops another. Here alone is the clock read, and here alone do the rooms of the flow
//! meet: the tick on its own thread, the listeners on the main one, one immutable snapshot between them.

pub mod clock;
pub mod logging;
mod pages;
mod present;
pub mod reload;
mod report;
mod tick;
mod watch;
mod workers;

use crate::{
    collect::{host::HostFacts, paths::Paths},
    config::{Config, NameSource, OtlpTemporality},
    export::{
        exposition::Exposition,
        otlp::{self, Pusher, Temporality},
        own::{BuildInfo, Own, Start},
    },
    http::{self, ListenOptions},
};
use anyhow::Context as _;
use clock::Clock;
use pages::Served;
use reload::Reloader;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tick::{Control, Surroundings, Ticker};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

/// What waits for the OTLP endpoint has this long to be sent at the end.
const LAST_PUSH: Duration = Duration::from_secs(5);
/// About how many samples a first verdict needs: the buckets of the shortest horizon.
const FIRST_VERDICT_SAMPLES: u32 = 44;

/// How the exporter was started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file, if one was named.
    pub config_file: Option<PathBuf>,
    /// Where to listen and what to offer.
    pub listen: ListenOptions,
    /// Where the kernel's trees are.
    pub paths: Paths,
    /// The collectors that run.
    pub collectors: Vec<&'static str>,
}

/// Runs the exporter until a signal ends it.
///
/// # Errors
/// Whatever keeps it from starting, with the reason and what to do.
pub fn run(options: Options, config: Config) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime for the network")?
        .block_on(serve(options, config))
}

async fn serve(options: Options, config: Config) -> anyhow::Result<()> {
    let clock = Clock::start();
    let bound = http::bind(&options.listen)?;
    let facts = HostFacts::read();
    let start =
        Start { loaded_at: clock.now().wall(), interval_secs: config.sampling.interval.as_secs_f64() };
    let own =
        Arc::new(Own::new(&build_info(), &start).context("cannot register the exporter's own metrics")?);
    let exposition = Arc::new(Exposition::new(Arc::clone(&own)));
    let pusher = build_pusher(&config, &facts, &own)?;
    let surroundings = Surroundings {
        paths: options.paths.clone(),
        collectors: options.collectors.clone(),
        own: Arc::clone(&own),
        exposition: Arc::clone(&exposition),
        clock,
    };
    let ticker = Ticker::new(&config, surroundings, pusher).context("cannot start the collectors")?;
    introduce(&options, &config, &facts, &bound.local_addresses());

    let (control, commands) = mpsc::channel();
    let ticking = thread::Builder::new()
        .name(String::from("tick"))
        .spawn(move || ticker.run(&commands))
        .context("cannot start the tick's thread")?;
    let (reloads, reload_requests) = tokio::sync::mpsc::channel(1);
    let reloader =
        Reloader { file: options.config_file, control: control.clone(), own: Arc::clone(&own), facts, clock };
    let reloading = tokio::spawn(reloader.run(reload_requests));
    let state = http::State {
        pages: Arc::new(Served { exposition, own, collectors: options.collectors }),
        reload: reloads,
        first_verdict_samples: FIRST_VERDICT_SAMPLES,
    };
    let served = bound.serve(state, told_to_end()?).await;

    reloading.abort();
    let _gone_already = control.send(Control::Stop);
    let pusher = tokio::task::spawn_blocking(move || ticking.join()).await;
    if let Ok(Ok(Some(pusher))) = pusher
        && !pusher.flush(LAST_PUSH).await
    {
        tracing::warn!("the OTLP endpoint did not take what was waiting");
    }
    tracing::info!("stopped");
    served
}

/// The pusher that the configuration asks for.
fn build_pusher(config: &Config, facts: &HostFacts, own: &Own) -> anyhow::Result<Option<Pusher>> {
    let Some(otlp) = &config.otlp else { return Ok(None) };
    let options = otlp::Options {
        resource: resource(facts),
        temporality: match otlp.temporality {
            OtlpTemporality::Cumulative => Temporality::Cumulative,
            OtlpTemporality::Delta => Temporality::Delta,
            OtlpTemporality::LowMemory => Temporality::LowMemory,
        },
        series_max: config.limits.series,
    };
    Pusher::new(otlp, &options, own.otlp()).map(Some)
}

/// Who we are, for OTLP.
fn resource(facts: &HostFacts) -> BTreeMap<String, String> {
    [
        ("host.name", &facts.name),
        ("host.arch", &facts.architecture),
        ("os.description", &facts.system),
        ("service.instance.id", &facts.name),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(key, value)| (key.to_owned(), value.clone()))
    .collect()
}

fn build_info() -> BuildInfo {
    BuildInfo {
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("MEMLEAK_EXPORTER_REVISION").unwrap_or("unknown"),
        rustversion: option_env!("MEMLEAK_EXPORTER_RUSTVERSION").unwrap_or("unknown"),
    }
}

/// Says in a few lines what is watched and where to look.
fn introduce(options: &Options, config: &Config, facts: &HostFacts, addresses: &[SocketAddr]) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        host = %facts.name,
        system = %facts.system,
        kernel = %facts.kernel,
        "memleak_exporter starts"
    );
    let group_by: Vec<&str> = NameSource::ALL
        .iter()
        .filter(|(_, source)| config.processes.group_by.contains(source))
        .map(|(word, _)| *word)
        .collect();
    tracing::info!(
        collectors = options.collectors.join(","),
        procfs = %options.paths.procfs.display(),
        interval = ?config.sampling.interval,
        grouped_by = group_by.join(","),
        judged = config.processes.judge.join(","),
        config_file = options.config_file.as_ref().map_or_else(|| String::from("none"), |file| file.display().to_string()),
        "watching every process"
    );
    if let Some(otlp) = &config.otlp {
        tracing::info!(protocol = ?otlp.protocol, interval = ?otlp.interval, "pushing by OTLP");
    }
    let prefix = options.listen.route_prefix.as_deref().unwrap_or_default().trim_end_matches('/');
    for address in addresses {
        let host = if address.ip().is_unspecified() { String::from("localhost") } else { host_of(address) };
        let base = format!("http://{host}:{}{prefix}", address.port());
        let metrics = format!("{base}{}", options.listen.telemetry_path);
        tracing::info!(%address, metrics, page = format!("{base}/"), "listening");
    }
}

fn host_of(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

/// Resolves at the first SIGTERM or SIGINT.
fn told_to_end() -> anyhow::Result<impl Future<Output = ()>> {
    let end = Arc::new(Notify::new());
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).context("cannot listen for signals")?;
        let end = Arc::clone(&end);
        tokio::spawn(async move {
            signals.recv().await;
            tracing::info!("told to end; finishing what runs");
            end.notify_one();
        });
    }
    Ok(async move { end.notified().await })
}
