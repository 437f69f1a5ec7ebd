//! What applications tell of themselves: well-known metrics of their runtimes, and any number that the configuration names.
//!
//! All of them are asked side by side, on the collector's own thread, each with its own time; what one does not tell is
//! missing for this reading and no other's trouble. An application is a target with one member, which its name and its
//! start make itself: where the start is told, another one is a restart. One that tells nothing at all any more keeps its
//! values for some minutes, as a late collector's targets do, and is then taken for gone.

mod account;
mod exposition;
mod inspector;
mod pull;
mod table;

use self::{
    exposition::{Exposition, Told},
    pull::{Answer, Means, Patience, Pull, number},
    table::{Index, Role, TABLE},
};
use super::{CollectError, Collector, Lent, Request, Spawn, Wake};
use crate::{
    config::{
        Application, Config, Judged,
        applications::{ApplicationArea, Origin, without_query},
        selector::Selector,
    },
    fetch::{Client, UNREACHABLE},
    sample::{
        Area, Batch, Counter, Counts, Generation, Identity, Kind, Limit, LimitSource, Member, Sample,
        Seconds, SourceOutcome, Target, TargetInfo, Unit,
    },
};
use futures_util::future::{join, join_all};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::runtime::Runtime;

/// A page of metrics; that of a service with ten thousand series has 1 MB.
const MOST_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// By which keys an application's credentials are set.
const CREDENTIALS: &str = "`basic_auth` or `bearer_token_file`";
/// The name of this collector.
pub const NAME: &str = "application";
/// What the process collector calls the runtime of a process whose inspector can be woken.
pub const NODE: &str = "node";
/// Areas that are judged wherever they are told.
const JUDGED: [&str; 4] = [HEAP_AFTER_GC, HEAP, EXTERNAL, "array_buffers"];
const HEAP: &str = "heap";
/// What was left of the heap after a collection: the floor by itself, so that the heap need not be judged beside it.
const HEAP_AFTER_GC: &str = "heap_after_gc";
/// Resident memory beside the committed heap.
const EXTERNAL: &str = "external";
/// The sources have this share of the collector's time; what is left is for telling.
const ASKING_SHARE: f64 = 0.9;
/// An application that tells nothing for so long is gone.
const GONE_AFTER_SECS: f64 = 300.0;
/// What programs write where there is no limit lies far above this, and no limit does.
const LARGEST_LIMIT: f64 = 1e15;
/// Threads that look up hosts and read files.
const MOST_THREADS: usize = 16;

/// Samples applications.
pub struct ApplicationCollector {
    applications: Vec<Asked>,
    index: Index,
    spawn: Spawn,
    wake: Wake,
    procfs: PathBuf,
    timeout: Duration,
    /// Made at the first reading, where there is anything to read.
    runtime: Option<Runtime>,
}

/// One application, with what it takes to ask it.
struct Asked {
    application: Application,
    target: Arc<Target>,
    /// The names of its sources: its own for the endpoint, and one for each area.
    source: Arc<str>,
    area_sources: Vec<Arc<str>>,
    client: Option<Result<Client, String>>,
    patience: Patience,
    /// Its endpoint is not read before then.
    next_at: Seconds,
    /// Who was asked to open its inspector: nobody is asked twice.
    woken: Option<Identity>,
    documents: Vec<Pull>,
    /// The names of its areas, so that they are one in memory.
    names: HashSet<Arc<str>>,
    member: Option<Arc<Member>>,
    /// Its start as it was told, in milliseconds.
    started_at_millis: Option<u64>,
    failing_since: Option<Seconds>,
}

/// What an application told at one reading.
struct Reading {
    page: Answer<Told>,
    documents: Vec<Answer<Value>>,
}

/// The areas of one reading by their names.
type Areas = BTreeMap<Arc<str>, (Unit, f64, Option<Limit>)>;

impl Collector for ApplicationCollector {
    fn collect(&mut self, request: &Request) -> Result<Batch, CollectError> {
        let mut batch = Batch::new(request.at);
        if self.applications.is_empty() {
            return Ok(batch);
        }
        let Self { applications, index, spawn, timeout, runtime, .. } = self;
        let runtime = match runtime {
            Some(runtime) => runtime,
            None => runtime.insert(start_runtime()?),
        };
        let readings = applications.iter_mut().map(|asked| asked.ask(index, *spawn, *timeout, request.at));
        let readings = runtime.block_on(join_all(readings));
        for (asked, mut reading) in applications.iter_mut().zip(readings) {
            if let Some(Err(error)) = &mut reading.page
                && error.starts_with(UNREACHABLE)
                && let Some(outcome) = asked.wake(request, |identity| (self.wake)(&self.procfs, identity))
            {
                error.push_str("; ");
                error.push_str(&outcome);
            }
            asked.tell(&reading, &mut batch);
        }
        Ok(batch)
    }
}

/// A file system that hangs holds one of its threads, which nobody may wait for.
impl Drop for ApplicationCollector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn start_runtime() -> Result<Runtime, CollectError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let started = builder.enable_all().max_blocking_threads(MOST_THREADS).build();
    started.map_err(|source| CollectError::Start { what: "the runtime that asks applications", source })
}

impl ApplicationCollector {
    /// A collector of the configured applications.
    #[must_use]
    pub fn new(config: &Config, lent: &Lent) -> Self {
        Self {
            applications: config.applications.iter().map(Asked::new).collect(),
            index: Index::new(),
            spawn: lent.spawn,
            wake: lent.wake,
            procfs: lent.paths.procfs.clone(),
            timeout: config.time_for_a_reading(NAME).mul_f64(ASKING_SHARE),
            runtime: None,
        }
    }
}

/// The areas of applications that are judged.
#[must_use]
pub fn judged(config: &Config) -> Judged {
    let mut judged = Judged::everywhere(JUDGED.map(Arc::from).to_vec()).preferring(HEAP, HEAP_AFTER_GC);
    for application in &config.applications {
        for area in &application.areas {
            let Some(is_judged) = area.judge else { continue };
            judged.say(&application.name, &area.name, is_judged);
            judged.say(&application.name, &area.entries_name, is_judged);
        }
    }
    judged
}

impl Asked {
    fn new(application: &Application) -> Self {
        let name = &application.name;
        let mut documents: Vec<Pull> = Vec::new();
        for area in &application.areas {
            if let Some(Origin::Document { place, .. }) = &area.origin
                && documents.iter().all(|known| known.place != *place)
            {
                documents.push(Pull::new(place.clone()));
            }
        }
        Self {
            target: Arc::new(Target { kind: Kind::Application, name: name.clone() }),
            source: name.as_ref().into(),
            area_sources: application
                .areas
                .iter()
                .map(|area| format!("{name}/{}", area.name).into())
                .collect(),
            client: None,
            patience: Patience::default(),
            next_at: f64::NEG_INFINITY,
            woken: None,
            documents,
            names: HashSet::new(),
            member: None,
            started_at_millis: None,
            failing_since: None,
            application: application.clone(),
        }
    }

    /// Asks the endpoint and all documents at once.
    async fn ask(&mut self, index: &Index, spawn: Spawn, timeout: Duration, at: Seconds) -> Reading {
        let Self { application, client, documents, patience, next_at, .. } = self;
        let client = &*client
            .get_or_insert_with(|| Client::new(&application.access, application.is_over_tls(), CREDENTIALS));
        let selectors: Vec<&Selector> = application.selectors().collect();
        let page = async {
            if at < *next_at {
                return None;
            }
            let page = Exposition::new(index, &application.prefix, &selectors);
            let answer = patience.ask(timeout, read_page(client, application, page)?).await;
            if let (Some(Ok(_)), Some(interval)) = (&answer, application.interval) {
                *next_at = at + interval.as_secs_f64();
            }
            answer
        };
        let means = Means { client, spawn, timeout };
        let documents = join_all(documents.iter_mut().map(|document| document.read(means)));
        let (page, documents) = join(page, documents).await;
        Reading { page, documents }
    }

    /// Tells what was read.
    fn tell(&mut self, reading: &Reading, batch: &mut Batch) {
        batch.expected.push(Arc::clone(&self.target));
        let outcomes_before = batch.sources.len();
        let mut areas = Areas::new();
        match (&reading.page, self.application.endpoint()) {
            (Some(Ok(told)), _) => {
                areas = well_known(told);
                batch.sources.push(worked(&self.source));
            }
            (Some(Err(error)), Some(url)) => {
                batch.sources.push(failed(&self.source, format!("{} {error}", without_query(url))));
            }
            _ => {}
        }
        self.tell_configured(reading, &mut areas, batch);
        let outcomes = batch.sources.get(outcomes_before..).unwrap_or_default();
        let failures = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
        batch.errors.read += u64::try_from(failures).unwrap_or(u64::MAX);
        let page = reading.page.as_ref().and_then(|page| page.as_ref().ok());
        if failures < outcomes.len() {
            self.failing_since = None;
            self.recognise(page, batch.at);
        } else if failures > 0 {
            self.failing_since.get_or_insert(batch.at);
        }
        if let Some(since) = self.failing_since {
            if batch.at - since <= GONE_AFTER_SECS {
                batch.silent.push(Arc::clone(&self.target));
            } else {
                (self.member, self.started_at_millis) = (None, None);
            }
            return;
        }
        let Some(member) = self.member.clone() else { return };
        if let Some(told) = page {
            batch.counted.push((member.identity, counts(told)));
            batch.event_loop_lags.extend(told.value(Role::Lag).map(|lag| (member.identity, lag)));
            batch.response_times.extend(told.response_times().map(|times| (member.identity, times)));
        } else if reading.page.is_some() {
            batch.untold.push(member.identity);
        }
        let samples: Vec<Sample> = areas.into_iter().map(|area| self.sample(area)).collect();
        batch.push(member, samples);
    }

    /// Has the inspector of a process opened that does not answer, where the configuration wants that. Says what came of
    /// it; none where nothing was tried.
    fn wake(
        &mut self,
        request: &Request,
        wake: impl FnOnce(Identity) -> Result<(), String>,
    ) -> Option<String> {
        let name = self.application.wake.as_deref()?;
        let mut nodes = request.nodes.iter().filter(|(target, _)| *target.name == *name);
        let identity = match (nodes.next(), nodes.next()) {
            (Some((_, identity)), None) => *identity,
            (None, _) => return Some(format!("no process on Node is called `{name}` (wake_by_signal)")),
            _ => {
                return Some(format!(
                    "several processes are called `{name}` (wake_by_signal): none is woken"
                ));
            }
        };
        if self.woken.replace(identity) == Some(identity) {
            return Some(format!("process {} was asked to open it before", identity.pid));
        }
        Some(match wake(identity) {
            Ok(()) => {
                tracing::info!(application = %self.application.name, pid = identity.pid, "asked a Node by SIGUSR1 to open its inspector");
                format!("process {} was asked to open it", identity.pid)
            }
            Err(error) => format!("cannot wake its process: {error}"),
        })
    }

    /// Adds the configured areas, and what is said of well-known ones.
    fn tell_configured(&self, reading: &Reading, areas: &mut Areas, batch: &mut Batch) {
        for (area, source) in self.application.areas.iter().zip(&self.area_sources) {
            let limit = |size: f64| {
                area.limit.map(|value| Limit { value, used: size, source: LimitSource::Configured })
            };
            let Some(origin) = &area.origin else {
                if let Some((_, size, known)) = areas.get_mut(&area.name)
                    && let Some(limit) = limit(*size)
                {
                    *known = Some(known.map_or(limit, |known| known.nearer(limit)));
                }
                continue;
            };
            match self.numbers(origin, reading) {
                None => {}
                Some(Ok((size, entries))) => {
                    areas.insert(Arc::clone(&area.name), (area.unit, size, limit(size)));
                    if let Some(entries) = entries {
                        areas.insert(Arc::clone(&area.entries_name), (Unit::Objects, entries, None));
                    }
                    batch.sources.push(worked(source));
                }
                Some(Err(error)) => batch.sources.push(failed(source, error)),
            }
        }
    }

    /// The size of an area, and the number of its entries if that is told.
    fn numbers(&self, origin: &Origin, reading: &Reading) -> Answer<(f64, Option<f64>)> {
        match origin {
            Origin::Metric { size, entries } => {
                let Ok(told) = reading.page.as_ref()? else {
                    return Some(Err(String::from("the application's endpoint fails")));
                };
                let value = |selector: &Selector| {
                    let at = self.application.selectors().position(|known| known == selector);
                    let found = at.and_then(|at| told.selected.get(at).copied().flatten());
                    let found = found.filter(|value| *value >= 0.0);
                    found.ok_or_else(|| format!("no series of `{}` is told, or it is below 0", selector.name))
                };
                Some(value(size).and_then(|size| Ok((size, entries.as_ref().map(value).transpose()?))))
            }
            Origin::Document { place, size, entries } => {
                let at = self.documents.iter().position(|document| document.place == *place)?;
                let document = reading.documents.get(at)?.as_ref()?;
                let told = document.as_ref().map_err(String::clone).and_then(|document| {
                    let entries = entries.as_ref().map(|pointer| number(document, pointer)).transpose()?;
                    Ok((number(document, size)?, entries))
                });
                Some(told.map_err(|error| format!("{place} {error}")))
            }
        }
    }

    /// Sees whether it is still the same application. Where a start is told for the first time it is.
    fn recognise(&mut self, page: Option<&Told>, at: Seconds) {
        let started_at = page.and_then(|told| told.value(Role::Start));
        let millis = started_at.map(millis);
        let is_other = millis.zip(self.started_at_millis).is_some_and(|(told, known)| told != known);
        let runtime = page.and_then(|told| told.runtime);
        let known = self.member.as_ref().filter(|_| !is_other);
        self.started_at_millis = millis.or(self.started_at_millis);
        if known.is_some_and(|known| runtime.is_none_or(|runtime| *known.info.runtime == *runtime)) {
            return;
        }
        let identity = known.map_or_else(
            || Identity::of_application(&self.application.name, millis.unwrap_or(0)),
            |known| known.identity,
        );
        self.member = Some(Arc::new(Member {
            target: Arc::clone(&self.target),
            info: TargetInfo { runtime: runtime.unwrap_or_default().into(), ..TargetInfo::default() },
            identity,
            generation: Generation::default(),
            started_at: started_at.unwrap_or(at).min(at),
            group: "".into(),
        }));
    }

    fn sample(&mut self, (name, (unit, size, limit)): (Arc<str>, (Unit, f64, Option<Limit>))) -> Sample {
        let name = match self.names.get(&name) {
            Some(known) => Arc::clone(known),
            None => {
                self.names.insert(Arc::clone(&name));
                name
            }
        };
        Sample { area: Area { name, unit }, size, limit }
    }
}

impl Application {
    /// The metrics that its areas name, in their order.
    fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.areas.iter().flat_map(|area: &ApplicationArea| {
            match &area.origin {
                Some(Origin::Metric { size, entries }) => [Some(size), entries.as_ref()],
                _ => [None, None],
            }
            .into_iter()
            .flatten()
        })
    }

    /// Whether any of its URLs is asked over TLS.
    fn is_over_tls(&self) -> bool {
        let documents = self.areas.iter().filter_map(|area| match &area.origin {
            Some(Origin::Document { place: crate::config::applications::Place::Url(url), .. }) => Some(url),
            _ => None,
        });
        self.endpoint().into_iter().chain(documents).any(|url| url.scheme_str() == Some("https"))
    }
}

/// Reads what tells of an application's runtime; none where nothing does.
fn read_page<'a>(
    client: &'a Result<Client, String>,
    application: &'a Application,
    mut page: Exposition<'a>,
) -> Option<impl Future<Output = Result<Told, String>> + 'a> {
    let url = application.endpoint()?;
    Some(async move {
        let client = client.as_ref().map_err(String::clone)?;
        if let Some(account) = &application.account {
            return account::read(client, account, page).await;
        }
        client.get(url, MOST_PAGE_BYTES, |piece| page.feed(piece)).await?;
        page.finish()
    })
}

fn worked(name: &Arc<str>) -> SourceOutcome {
    SourceOutcome { name: Arc::clone(name), failure: None }
}

fn failed(name: &Arc<str>, failure: String) -> SourceOutcome {
    SourceOutcome { name: Arc::clone(name), failure: Some(failure) }
}

/// Seconds as whole milliseconds; a negative time is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn millis(secs: Seconds) -> u64 {
    (secs * 1000.0).round() as u64
}

/// The areas that well-known metrics tell of.
fn well_known(told: &Told) -> Areas {
    let mut areas = Areas::new();
    for row in TABLE {
        let (name, unit) = match row.role {
            Role::Bytes(name) | Role::BytesOnce(name) => (name, Unit::Bytes),
            Role::Objects(name) => (name, Unit::Objects),
            Role::Limit(_) | Role::Pools(_) | Role::Count(_) | Role::Lag | Role::Answers | Role::Start => {
                continue;
            }
        };
        if areas.contains_key(name) {
            continue;
        }
        let is_told = |value: &f64| *value > 0.0 || !matches!(row.role, Role::BytesOnce(_));
        let Some(size) = told.value(row.role).filter(is_told) else { continue };
        // What is left after a collection fills the same heap.
        let limited = if name == HEAP_AFTER_GC { HEAP } else { name };
        let limit = told.value(Role::Limit(limited)).filter(|limit| (1.0..LARGEST_LIMIT).contains(limit));
        let limit = limit.map(|value| Limit { value, used: size, source: LimitSource::Runtime });
        areas.insert(name.into(), (unit, size, limit));
    }
    let size = |name: &str| areas.get(name).map(|(_, size, _)| *size);
    if let Some((resident, committed)) = size("rss").zip(size("heap_committed")) {
        areas.insert(EXTERNAL.into(), (Unit::Bytes, (resident - committed).max(0.0), None));
    }
    for (pool, size) in told.pools() {
        areas.insert(format!("pool_{pool}").into(), (Unit::Bytes, size, None));
    }
    areas
}

fn counts(told: &Told) -> Counts {
    let mut counts = Counts::default();
    for counter in Counter::ALL {
        if let Some(value) = told.value(Role::Count(counter)) {
            counts.set(counter, value);
        }
    }
    counts
}

#[cfg(test)]
mod tests;
