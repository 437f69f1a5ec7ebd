//! Real OTLP receivers hold the same values as `/metrics` at the same tick; and one that is away harms nothing.

use crate::{
    exporter::{Exporter, Scratch},
    exposition::{Scrape, Series},
    peers::{free_port, program},
    process::{Process, now, pause, wait_for},
    programs::Family,
};
use memleak_exporter::export::metric::{Metric, TARGET_METRICS, own};
use std::{
    collections::BTreeMap,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Pushes are compared once they hold verdicts.
const GROWTH: &str = "memleak_area_growth_bytes_per_second";

/// What identifies a series, and its value's bits.
type Values = BTreeMap<(String, BTreeMap<String, String>), u64>;

#[test]
fn the_collector_holds_the_same_values_over_grpc() {
    let receiver = Receiver::collector(&Scratch::new("collector-grpc"));
    receiver.holds_the_same("grpc", receiver.grpc_port);
}

#[test]
fn the_collector_holds_the_same_values_over_http() {
    let receiver = Receiver::collector(&Scratch::new("collector-http"));
    receiver.holds_the_same("http/protobuf", receiver.http_port);
}

#[test]
fn rotel_holds_the_same_values_over_grpc() {
    let receiver = Receiver::rotel();
    receiver.holds_the_same("grpc", receiver.grpc_port);
}

#[test]
fn rotel_holds_the_same_values_over_http() {
    let receiver = Receiver::rotel();
    receiver.holds_the_same("http/protobuf", receiver.http_port);
}

#[test]
fn a_receiver_that_is_away_harms_nothing_and_is_served_when_it_is_back() {
    let away = Duration::from_secs(if std::env::var_os("MEMLEAK_TEST_LONG").is_some() { 60 } else { 15 });
    let scratch = Scratch::new("away");
    let (grpc_port, http_port) = (free_port(), free_port());
    let queue = 5.0;
    let family = Family::new("away", 4);
    let _programs = [family.start("c", "leak", &[]), family.start("c", "steady", &[])];
    let exporter = pushing(&scratch, &family, "grpc", grpc_port, "  queue: 5\n  timeout: 1s\n");
    let value = |name: &str, labels: &[(&str, &str)]| exporter.scrape().value(name, labels).unwrap_or(0.0);
    let exports = "memleak_exporter_otlp_exports_total";
    wait_for("the first dropped batch", PATIENCE, || {
        (value(exports, &[("result", "dropped")]) > 0.0).then_some(())
    });
    // The first verdict touches the model's table and what verdicts are computed in, which are there to stay.
    wait_for("a verdict", PATIENCE, || exporter.scrape().all(GROWTH, &[]).next().map(|_| ()));

    let resident = || value("process_resident_memory_bytes", &[]);
    let (before, ticks_before, began) = (resident(), exporter.ticks(), now());
    while now().duration_since(began) < away {
        assert!(value("memleak_exporter_otlp_queue_batches", &[]) <= queue);
        pause(Duration::from_millis(200));
    }
    let grown = resident() - before;
    assert!(grown < 1e6, "grown by {grown} bytes in {away:?}");
    let ticks = exporter.ticks() - ticks_before;
    assert!(ticks > 2.0 * away.as_secs_f64(), "{ticks} ticks at 200 ms in {away:?}");
    let complaints =
        exporter.process.output().lines().filter(|line| line.to_lowercase().contains("otlp")).count();
    assert!(complaints < 5, "{complaints} lines about one outage");

    let receiver = Receiver::collector_at(&scratch, grpc_port, http_port);
    wait_for("what is pushed now", PATIENCE, || (!receiver.batches().is_empty()).then_some(()));
    wait_for("a sent batch", PATIENCE, || (value(exports, &[("result", "sent")]) > 0.0).then_some(()));
}

/// An exporter of this family's programs, with budgets, that pushes every 300 ms.
fn pushing(scratch: &Scratch, family: &Family, protocol: &str, endpoint: u16, rest: &str) -> Exporter {
    let otlp = format!(
        "sensitivity: strict\notlp:\n  endpoint: http://127.0.0.1:{endpoint}\n  protocol: {protocol}\n  interval: 300ms\n  \
         compression: gzip\n{rest}"
    );
    Exporter::start_configured(scratch, &family.configuration("200ms", &otlp), &[])
}

/// How a receiver tells what it received.
enum Account {
    /// A file of JSON lines, one for each request.
    JsonLines(PathBuf),
    /// Its standard output.
    Printed,
}

struct Receiver {
    process: Process,
    grpc_port: u16,
    http_port: u16,
    account: Account,
}

impl Receiver {
    fn collector(scratch: &Scratch) -> Self {
        Self::collector_at(scratch, free_port(), free_port())
    }

    fn collector_at(scratch: &Scratch, grpc_port: u16, http_port: u16) -> Self {
        fs::create_dir_all(&scratch.path).expect("our own directory");
        let received = std::env::temp_dir().join(format!("memleak-otlp-{grpc_port}-{http_port}.jsonl"));
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/collector/config.yaml");
        let mut process = Process::start(
            Process::command(program("otelcol"))
                .arg(format!("--config={}", configuration.display()))
                .env("OTELCOL_GRPC_PORT", grpc_port.to_string())
                .env("OTELCOL_HTTP_PORT", http_port.to_string())
                .env("OTELCOL_PROMETHEUS_PORT", free_port().to_string())
                .env("OTELCOL_FILE", &received),
        );
        process.line_with("Everything is ready", PATIENCE);
        Self { process, grpc_port, http_port, account: Account::JsonLines(received) }
    }

    fn rotel() -> Self {
        let (grpc_port, http_port) = (free_port(), free_port());
        let process = Process::start(Process::command(program("rotel-agent")).args([
            "start",
            &format!("--otlp-grpc-endpoint=127.0.0.1:{grpc_port}"),
            &format!("--otlp-http-endpoint=127.0.0.1:{http_port}"),
            "--exporter=blackhole",
            "--debug-log=metrics",
            "--debug-log-verbosity=detailed",
        ]));
        for port in [grpc_port, http_port] {
            wait_for("rotel to listen", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok().map(drop));
        }
        Self { process, grpc_port, http_port, account: Account::Printed }
    }

    /// What it has received so far, push by push. A push is several requests, and the last may still be under way.
    fn batches(&self) -> Vec<Values> {
        let requests: Vec<Values> = match &self.account {
            Account::JsonLines(file) => {
                fs::read_to_string(file).unwrap_or_default().lines().filter_map(json_batch).collect()
            }
            Account::Printed => printed_batches(&self.process.output()),
        };
        let mut pushes: Vec<Values> = Vec::new();
        for request in requests {
            match pushes.last_mut().filter(|push| request.keys().all(|series| !push.contains_key(series))) {
                Some(push) => push.extend(request),
                None => pushes.push(request),
            }
        }
        pushes.pop();
        pushes
    }

    /// Lets an exporter push to it and compares a batch with the scrape of the same tick, value by value.
    fn holds_the_same(&self, protocol: &str, port: u16) {
        let scratch = Scratch::new(&format!("same-{port}"));
        let printed = u32::from(matches!(self.account, Account::Printed));
        let family = Family::new("otlp", 5 + 2 * printed + u32::from(protocol == "grpc"));
        let _programs = [family.start("c", "leak", &[]), family.start("python", "steady", &[])];
        let exporter = pushing(&scratch, &family, protocol, port, "");
        let mut scrapes: BTreeMap<u64, Values> = BTreeMap::new();
        let mut compared = 0;
        wait_for("three pushes of scraped ticks", PATIENCE, || {
            let scrape = exporter.scrape();
            if let Some(tick) = scrape.value(own::LAST_TICK.name, &[]) {
                scrapes.insert(tick.to_bits(), values_of(&scrape));
            }
            compared = 0;
            for batch in self.batches().iter().filter(|batch| batch.keys().any(|(name, _)| name == GROWTH)) {
                let key = (own::LAST_TICK.name.to_owned(), BTreeMap::new());
                let Some(scraped) = batch.get(&key).and_then(|tick| scrapes.get(tick)) else { continue };
                same(batch, scraped);
                compared += 1;
            }
            (compared >= 3).then_some(())
        });
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Account::JsonLines(file) = &self.account {
            let _never_written = fs::remove_file(file);
        }
    }
}

fn same(pushed: &Values, scraped: &Values) {
    assert!(scraped.len() > 60, "{} series", scraped.len());
    assert!(scraped.keys().any(|(name, _)| name == "memleak_threshold_bytes_per_second"), "no budget");
    let differing: Vec<_> =
        scraped.iter().filter(|(series, value)| pushed.get(*series) != Some(*value)).collect();
    assert!(differing.is_empty(), "scraped but not pushed so: {differing:?}");
    let more: Vec<_> = pushed.keys().filter(|series| !scraped.contains_key(*series)).collect();
    assert!(more.is_empty(), "pushed but not scraped: {more:?}");
}

/// The metrics that are compared: all of targets, and the tick's time. Counters of requests move between the two.
fn compared() -> impl Iterator<Item = &'static Metric> {
    TARGET_METRICS.iter().chain([&own::LAST_TICK])
}

fn values_of(scrape: &Scrape) -> Values {
    let wanted: Vec<&str> = compared().map(|metric| metric.name).collect();
    let series = scrape.0.iter().filter(|series| wanted.contains(&series.name.as_str()));
    series
        .map(|Series { name, labels, value }| {
            // An empty label is no label, in Prometheus as in OTLP.
            let labels = labels.iter().filter(|(_, value)| !value.is_empty());
            let labels = labels.map(|(key, value)| (key.clone(), value.clone())).collect();
            ((name.clone(), labels), value.to_bits())
        })
        .collect()
}

/// The Prometheus name of a pushed metric, by the standard mapping of name, unit and kind.
fn mapped(otlp_name: &str, unit: &str, is_counter: bool) -> Option<String> {
    let mut name = otlp_name.replace('.', "_");
    name.push_str(match unit {
        "By" => "_bytes",
        "s" => "_seconds",
        "By/s" => "_bytes_per_second",
        "1" if !is_counter => "_ratio",
        "" | "1" => "",
        other => panic!("no mapping is known for the unit {other:?} of {otlp_name}"),
    });
    if is_counter {
        name.push_str("_total");
    }
    compared().any(|metric| metric.name == name).then_some(name)
}

/// One line of the collector's file.
fn json_batch(line: &str) -> Option<Values> {
    let request: serde_json::Value = serde_json::from_str(line).ok()?;
    let mut values = Values::new();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    for resource in list(&request["resourceMetrics"]) {
        for metric in list(&resource["scopeMetrics"]).iter().flat_map(|scope| list(&scope["metrics"])) {
            let is_counter = metric["sum"]["isMonotonic"] == true;
            let points = if metric["sum"].is_object() { &metric["sum"] } else { &metric["gauge"] };
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let Some(name) = mapped_if_known(&text(&metric["name"]), &text(&metric["unit"]), is_counter)
            else {
                continue;
            };
            for point in list(&points["dataPoints"]) {
                let labels = list(&point["attributes"])
                    .iter()
                    .map(|attribute| (text(&attribute["key"]), attribute_text(&attribute["value"])))
                    .collect();
                let value = point["asDouble"].as_f64().or_else(|| text(&point["asInt"]).parse().ok())?;
                values.insert((name.clone(), labels), value.to_bits());
            }
        }
    }
    (!values.is_empty()).then_some(values)
}

fn attribute_text(value: &serde_json::Value) -> String {
    let text = value["stringValue"].as_str().or_else(|| value["intValue"].as_str());
    text.unwrap_or_default().to_owned()
}

/// As [`mapped`], for metrics of ours only.
fn mapped_if_known(name: &str, unit: &str, is_counter: bool) -> Option<String> {
    compared().any(|metric| metric.otlp_name == name).then(|| mapped(name, unit, is_counter))?
}

/// What rotel printed: blocks that begin with a resource, then metric after metric.
fn printed_batches(output: &str) -> Vec<Values> {
    let mut batches = Vec::new();
    // The last block may not be complete yet.
    let mut blocks: Vec<&str> = output.split("ResourceMetrics #0").skip(1).collect();
    blocks.pop();
    for block in blocks {
        let mut values = Values::new();
        for metric in block.split("\nMetric #").skip(1) {
            printed_metric(metric, &mut values);
        }
        batches.push(values);
    }
    batches
}

fn printed_metric(text: &str, values: &mut Values) {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("-> {name}:")));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    let is_counter = field("IsMonotonic") == "true";
    let Some(name) = mapped_if_known(&field("Name"), &field("Unit"), is_counter) else { return };
    for point in text.split("NumberDataPoints #").skip(1) {
        let mut labels = BTreeMap::new();
        for line in point.lines() {
            if let Some((key, value)) = line.trim().strip_prefix("-> ").and_then(|line| line.split_once(": "))
            {
                let value = value.trim_end();
                let bare = value
                    .split_once('(')
                    .map_or(value, |(_, inner)| inner.strip_suffix(')').unwrap_or(inner));
                labels.insert(key.to_owned(), bare.to_owned());
            }
        }
        let value = point.lines().find_map(|line| line.trim().strip_prefix("Value: "));
        let value: f64 = value.expect("a value").trim().parse().expect("a number");
        values.insert((name.clone(), labels), value.to_bits());
    }
}
