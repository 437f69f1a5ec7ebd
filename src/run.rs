//! Run: builds every part from its own piece of the configuration, then lets them go.
//!
//! What can fail fails while building, before anything runs: addresses are bound, certificates read, threads started.
//! After that a failing part never stops another. Here alone is the clock read, and here alone do the rooms of the flow
//! meet: the tick on its own thread, the listeners on the main one, one immutable snapshot between them.

pub mod clock;
pub mod local;
pub mod logging;
mod pages;
mod present;
pub mod reload;
mod report;
mod standing;
mod storage;
mod tick;
mod watch;
mod workers;

use crate::{
    collect::{ALL, host::HostFacts, paths::Paths, push},
    config::{self, Config, NameSource, OtlpTemporality},
    export::{
        exposition::Exposition,
        otlp::{self, Pusher, Temporality},
        own::{BuildInfo, Own, Start},
    },
    http::{self, Door, ListenOptions},
    inbox::Inbox,
    snapshot::Snapshot,
};
use anyhow::{Context as _, anyhow};
use clock::Clock;
use pages::Served;
use reload::{Pushing, Reloader};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use storage::Storage;
use tick::{Control, Surroundings, Ticker};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch as latest},
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
    /// The web file, if one was named: TLS, users, headers and the rate of requests.
    pub web_file: Option<PathBuf>,
    /// Where to keep what was learned, if it is to be kept.
    pub storage_path: Option<PathBuf>,
    /// The collectors that run.
    pub collectors: Vec<&'static str>,
    /// Who in this program hears what happens, if anybody does.
    pub audience: Option<mpsc::SyncSender<News>>,
}

/// What an audience in this program hears. Nobody waits for it: what it has no room for is lost on it.
#[derive(Clone, Debug)]
pub enum News {
    /// The addresses that the exporter listens on, before the first tick.
    Listening(Vec<SocketAddr>),
    /// The result of a tick.
    Snapshot(Arc<Snapshot>),
}

/// Runs the exporter until a signal ends it.
///
/// # Errors
/// Whatever keeps it from starting or from going on, with the reason and what to do.
pub fn run(options: Options, config: Config) -> anyhow::Result<()> {
    run_until(options, config, std::future::pending())
}

/// Runs the exporter until a signal ends it, or something else that is waited for.
///
/// # Errors
/// Those of [`run`].
pub fn run_until(options: Options, config: Config, end: impl Future<Output = ()>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime for the network")?;
    let outcome = runtime.block_on(until_told_twice(options, config, end));
    // What hangs in a read now ends with the process; waiting for it would hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn until_told_twice(
    options: Options,
    config: Config,
    end: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let signals = count_signals()?;
    let first = signals.clone();
    let told_once = async {
        tokio::select! {
            () = told(first, 1) => {}
            () = end => {}
        }
    };
    tokio::select! {
        outcome = serve(options, config, told_once) => outcome,
        () = told(signals, 2) => Err(anyhow!("told to end a second time: ended at once, with work undone")),
    }
}

async fn serve(options: Options, config: Config, told: impl Future<Output = ()>) -> anyhow::Result<()> {
    let bound = http::bind(&options.listen)?;
    let (storage, clock) = open_storage(&options)?;
    let facts = HostFacts::read();
    let start =
        Start { loaded_at: clock.now().wall(), interval_secs: config.sampling.interval.as_secs_f64() };
    let own =
        Arc::new(Own::new(&build_info(), &start).context("cannot register the exporter's own metrics")?);
    if storage.is_some() {
        own.state_is_kept();
    }
    own.graded_by(config.severity.as_ref());
    let door = open_door(options.web_file.as_deref(), &own)?;
    let speaks_tls = door.speaks_tls();
    let bound = bound.behind(door);
    let exposition = Arc::new(Exposition::new(Arc::clone(&own)));
    let pusher = build_pusher(&config, &facts, &own)?;
    let inbox: Arc<Inbox> = Arc::default();
    let surroundings = Surroundings {
        paths: options.paths.clone(),
        inbox: Arc::clone(&inbox),
        collectors: options.collectors.clone(),
        own: Arc::clone(&own),
        exposition: Arc::clone(&exposition),
        clock,
        storage,
        audience: options.audience.clone(),
    };
    let ticker = Ticker::new(&config, surroundings, pusher).context("cannot start the collectors")?;
    introduce(&options, &config, &facts);
    tell_where(&options, if speaks_tls { "https" } else { "http" }, &bound);

    let (control, commands) = mpsc::channel();
    let (ticking, mut tick_ended) = start_tick(move || ticker.run(&commands))?;
    let (reloads, reload_requests) = tokio::sync::mpsc::channel(1);
    let reloader = Reloader {
        file: options.config_file,
        control: control.clone(),
        own: Arc::clone(&own),
        facts,
        clock,
        pushing: Pushing::of(&config),
    };
    let reloading = tokio::spawn(reloader.run(reload_requests));
    let state = http::State {
        pages: Arc::new(Served { exposition, own, collectors: options.collectors, control: control.clone() }),
        inbox,
        reload: reloads,
        first_verdict_samples: FIRST_VERDICT_SAMPLES,
    };
    let served = bound
        .serve(state, async {
            tokio::select! {
                () = told => tracing::info!("told to end; finishing what runs; a second time ends at once"),
                _nobody_is_left = &mut tick_ended => {}
            }
        })
        .await;

    reloading.abort();
    let _gone_already = control.send(Control::Stop);
    if let Some(pusher) = join_tick(ticking).await?
        && !pusher.flush(LAST_PUSH).await
    {
        tracing::warn!("the OTLP endpoint did not take what was waiting");
    }
    tracing::info!("stopped");
    served
}

/// Says where it listens, to the log and to whoever runs it.
fn tell_where(options: &Options, scheme: &str, bound: &http::Bound) {
    say_where(&options.listen, scheme, &bound.local_addresses());
    if let Some(audience) = &options.audience {
        let _gone_already = audience.try_send(News::Listening(bound.local_addresses()));
    }
    for address in bound.otlp_addresses() {
        tracing::info!(%address, "taking in OTLP over gRPC");
    }
}

/// The door by the web file; without one it stands open.
fn open_door(file: Option<&Path>, own: &Arc<Own>) -> anyhow::Result<Door> {
    let Some(file) = file.map(Path::to_owned) else { return Ok(Door::default()) };
    let own = Arc::clone(own);
    let note = Box::new(move |is_good| own.web_file_read(is_good));
    let door = Door::new(Arc::new(move || config::web::load(&file)), note)?;
    if door.wants_passwords() && !door.speaks_tls() {
        tracing::warn!(
            "passwords come over unencrypted connections; a tls_server_config in the web file changes that"
        );
    }
    Ok(door)
}

/// The directory with the state, and a clock that goes on from it.
fn open_storage(options: &Options) -> anyhow::Result<(Option<Storage>, Clock)> {
    let Some(directory) = &options.storage_path else { return Ok((None, Clock::start())) };
    let mut storage = Storage::open(directory, &options.paths.procfs)?;
    let clock = storage.clock()?;
    Ok((Some(storage), clock))
}

/// Starts the tick's thread. The receiver resolves when the thread ends, however it does: without a tick the numbers
/// would be served for ever as they were.
fn start_tick<T: Send + 'static>(
    tick: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<(thread::JoinHandle<T>, oneshot::Receiver<()>)> {
    let (is_alive, ended) = oneshot::channel();
    let ticking = thread::Builder::new()
        .name(String::from("tick"))
        .spawn(move || {
            let _dropped_at_the_end: oneshot::Sender<()> = is_alive;
            tick()
        })
        .context("cannot start the tick's thread")?;
    Ok((ticking, ended))
}

/// Waits for the end of the tick's thread without holding up the runtime.
async fn join_tick<T: Send + 'static>(ticking: thread::JoinHandle<T>) -> anyhow::Result<T> {
    match tokio::task::spawn_blocking(move || ticking.join()).await {
        Ok(Ok(left)) => Ok(left),
        Ok(Err(_told_by_the_panic)) => Err(anyhow!("the tick ended unexpectedly; please report this")),
        Err(error) => Err(anyhow::Error::new(error).context("cannot wait for the tick's end")),
    }
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
fn introduce(options: &Options, config: &Config, facts: &HostFacts) {
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
    let watched: Vec<&str> = ALL
        .iter()
        .filter(|entry| options.collectors.contains(&entry.name) && (entry.is_needed)(config))
        // It waits; nothing is known yet that it would watch.
        .filter(|entry| entry.name != push::NAME)
        .map(|entry| entry.watches)
        .collect();
    let watching = match watched.split_last() {
        None => String::from("no collector runs: nothing is watched"),
        Some((only, [])) => format!("watching {only}"),
        Some((last, others)) => format!("watching {} and {last}", others.join(", ")),
    };
    tracing::info!(
        collectors = options.collectors.join(","),
        procfs = %options.paths.procfs.display(),
        sysfs = %options.paths.sysfs.display(),
        interval = ?config.sampling.interval,
        grouped_by = group_by.join(","),
        judged = config.processes.judge.join(","),
        config_file = options.config_file.as_ref().map_or_else(|| String::from("none"), |file| file.display().to_string()),
        "{watching}"
    );
    if !config.sensitivity.is_off() {
        let (general, targets) = (config.sensitivity.general.is_some(), config.sensitivity.targets.len());
        tracing::info!(general, targets, "plain rules stand beside the model");
    }
    if let Some(otlp) = &config.otlp {
        tracing::info!(protocol = ?otlp.protocol, interval = ?otlp.interval, "pushing by OTLP");
    }
}

/// Says under which addresses it can be asked.
fn say_where(listen: &ListenOptions, scheme: &str, addresses: &[SocketAddr]) {
    let prefix = prefix(listen);
    for address in addresses {
        let host = if address.ip().is_unspecified() { String::from("localhost") } else { host_of(address) };
        let base = format!("{scheme}://{host}:{}{prefix}", address.port());
        let metrics = format!("{base}{}", listen.telemetry_path);
        tracing::info!(%address, metrics, page = format!("{base}/"), "listening");
    }
}

fn host_of(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

/// What all paths begin with: without slashes at its end, and empty for the root.
fn prefix(listen: &ListenOptions) -> String {
    let external = || Some(listen.external_url.as_ref()?.parse::<hyper::Uri>().ok()?.path().to_owned());
    let written = listen.route_prefix.clone().or_else(external).unwrap_or_default();
    match written.trim_matches('/') {
        "" => String::new(),
        inner => format!("/{inner}"),
    }
}

/// How often SIGTERM or SIGINT has come.
fn count_signals() -> anyhow::Result<latest::Receiver<u32>> {
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (count, counted) = latest::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = terminate.recv() => {}
                Some(()) = interrupt.recv() => {}
                else => return,
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(counted)
}

/// Resolves when so many signals have told the exporter to end.
async fn told(mut signals: latest::Receiver<u32>, times: u32) {
    if signals.wait_for(|count| *count >= times).await.is_err() {
        // The runtime is ending, and nobody counts any more.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tick_that_panics_is_noticed_and_is_an_error() {
        let (ticking, ended) = start_tick(|| panic!("as the test wants it")).unwrap();
        assert!(ended.await.is_err());
        let error = join_tick::<()>(ticking).await.expect_err("it panicked");
        assert!(error.to_string().contains("the tick ended unexpectedly"), "{error}");
    }

    #[test]
    fn the_prefix_is_the_external_path_unless_it_is_given() {
        for (route_prefix, external_url, expected) in [
            (None, None, ""),
            (None, Some("https://a.example/x/y/"), "/x/y"),
            (None, Some("https://a.example"), ""),
            (Some("/"), Some("https://a.example/x"), ""),
            (Some("leaks/"), None, "/leaks"),
        ] {
            let listen = ListenOptions {
                route_prefix: route_prefix.map(Into::into),
                external_url: external_url.map(Into::into),
                ..ListenOptions::default()
            };
            assert_eq!(prefix(&listen), expected, "{route_prefix:?} {external_url:?}");
        }
    }
}
