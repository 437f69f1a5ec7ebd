//! What programs push, and directories that fill: the real binary, a plain client, and a real OpenTelemetry SDK.

use crate::{
    exporter::{Exporter, Scratch},
    exposition::Scrape,
    peers::directory,
    process::{Process, wait_for},
};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Status and body of a POST.
fn post(url: &str, content_type: &str, body: &str) -> (u16, String) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.post(url).content_type(content_type).send(body).expect("an answer");
    (answer.status().as_u16(), answer.body_mut().read_to_string().expect("text"))
}

#[test]
fn a_directory_that_fills_is_shown_and_a_missing_one_is_absent() {
    let scratch = Scratch::new("directories");
    let spool = scratch.path.join("spool");
    std::fs::create_dir_all(&spool).expect("a directory");
    for name in ["a.jsonl", "b.jsonl", "c.txt"] {
        std::fs::write(spool.join(name), "1234567").expect("a file");
    }
    let configuration = format!(
        "sampling: {{interval: 200ms}}\ndirectories:\n- name: spool\n  path: {}\n  pattern: '.*\\.jsonl'\n  \
         limit: {{files: 10}}\n- path: /absent/of-{}\n",
        spool.display(),
        std::process::id()
    );
    let flags = ["--collector.disable-defaults", "--collector.directory"];
    let exporter = Exporter::start_configured(&scratch, &configuration, &flags);
    let of = |scrape: &Scrape, name: &str, area: &str| {
        scrape.value(name, &[("target", "spool"), ("kind", "directory"), ("area", area)])
    };
    let files = |wanted: f64| {
        exporter.scrape_until("files", PATIENCE, |scrape| {
            of(scrape, "memleak_area_size_objects", "files").filter(|files| (files - wanted).abs() < 0.5)
        })
    };
    files(2.0);
    std::fs::write(spool.join("d.jsonl"), "1").expect("a file");
    files(3.0);
    let scrape = exporter.scrape();
    assert_eq!(of(&scrape, "memleak_area_limit_objects", "files"), Some(10.0));
    assert!(of(&scrape, "memleak_area_size_bytes", "file_bytes").is_some_and(|bytes| bytes >= 3.0));
    let oldest = scrape.value("memleak_directory_oldest_file_timestamp_seconds", &[("target", "spool")]);
    assert!(oldest.is_some_and(|oldest| oldest > 1.7e9), "{oldest:?}");
    let absent = format!("/absent/of-{}", std::process::id());
    assert_eq!(scrape.value("memleak_target_present", &[("target", &absent)]), Some(0.0));
    assert_eq!(scrape.value("memleak_exporter_collector_success", &[("collector", "directory")]), Some(1.0));
    let said = exporter.process.output();
    assert_eq!(said.lines().filter(|line| line.contains(&absent)).count(), 1, "{said}");

    scratch.write("memleak.yml", "sampling: {interval: 200ms}\n");
    exporter.process.signal(rustix::process::Signal::HUP);
    let is_gone = |scrape: &Scrape| {
        scrape.value("memleak_target_present", &[("target", "spool")]).is_none().then_some(())
    };
    exporter.scrape_until("no directory any more", PATIENCE, is_gone);
}

#[test]
fn what_is_pushed_is_shown_survives_a_reload_and_vanishes_after_a_silence() {
    let scratch = Scratch::new("pushed");
    let configuration = |forget_after: &str| {
        format!("sampling: {{interval: 200ms}}\npush: {{forget_after: {forget_after}}}\n")
    };
    let flags = ["--collector.disable-defaults", "--collector.push"];
    let exporter = Exporter::start_configured(&scratch, &configuration("1h"), &flags);
    let url = exporter.url("/api/v1/samples");
    let sample =
        r#"{"target":"checkout","area":"bridge_cache","bytes":1234567,"entries":45,"limit":50000000}"#;
    assert_eq!(post(&url, "application/json", sample), (200, String::from("{\"taken\":2}\n")));
    let (status, problem) = post(&url, "application/json", r#"{"target":"checkout","area":"x","bytes":-1}"#);
    let problem: serde_json::Value = serde_json::from_str(&problem).expect("JSON, as of all of the API");
    let detail = problem["detail"].as_str().expect("what is wrong");
    assert_eq!((status, detail.contains("\"bytes\" is -1; write a number from 0")), (400, true), "{detail}");
    let of = |scrape: &Scrape, name: &str, area: &str| {
        scrape.value(name, &[("target", "checkout"), ("kind", "application"), ("area", area)])
    };
    let bytes = |scrape: &Scrape| of(scrape, "memleak_area_size_bytes", "bridge_cache");
    assert_eq!(exporter.scrape_until("the cache", PATIENCE, bytes), 1_234_567.0);
    let scrape = exporter.scrape();
    assert_eq!(of(&scrape, "memleak_area_size_objects", "bridge_cache_entries"), Some(45.0));
    assert_eq!(of(&scrape, "memleak_area_limit_bytes", "bridge_cache"), Some(5e7));
    assert_eq!(of(&scrape, "memleak_area_size_bytes", "x"), None);

    scratch.write("memleak.yml", &configuration("10s"));
    let ticks = exporter.ticks();
    exporter.process.signal(rustix::process::Signal::HUP);
    wait_for("ticks after the reload", PATIENCE, || (exporter.ticks() > ticks + 5.0).then_some(()));
    assert!(bytes(&exporter.scrape()).is_some(), "a reload forgets nothing");
    exporter.scrape_until("its end", PATIENCE, |scrape| bytes(scrape).is_none().then_some(()));
}

/// An application with the OpenTelemetry SDK: the size of its heap, and a cache of its own, exported once.
pub(crate) const APPLICATION: &str = r#"
import sys
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

way, endpoint = sys.argv[1:]
if way == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    insecure = not endpoint.startswith("https://")
    exporter = OTLPMetricExporter(endpoint=endpoint, insecure=insecure, compression=Compression.Gzip)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    exporter = OTLPMetricExporter(endpoint=endpoint, compression=Compression.Gzip)
resource = Resource.create({"service.name": "sdk-" + way, "service.instance.id": "1"})
provider = MeterProvider([PeriodicExportingMetricReader(exporter)], resource=resource)
meter = provider.get_meter("app")
spaces = lambda _: [Observation(3e6, {"v8js.heap.space.name": "old"}), Observation(1e6, {"v8js.heap.space.name": "new"})]
meter.create_observable_up_down_counter("v8js.memory.heap.used", [spaces], unit="By")
meter.create_observable_gauge("app.cache", [lambda _: [Observation(7)]], unit="By")
meter.create_observable_gauge("app.cache.entries", [lambda _: [Observation(5)]], unit="{entry}")
meter.create_counter("app.requests").add(9)
meter.create_histogram("app.duration").record(0.5)
assert provider.force_flush(20000)
provider.shutdown()
print("exported", flush=True)
"#;

#[test]
fn a_real_sdk_pushes_its_heap_over_http_and_grpc() {
    let scratch = Scratch::new("sdk");
    let configuration = "sampling: {interval: 200ms}\npush: {metrics: ['app\\.cache.*']}\n";
    let flags = ["--collector.disable-defaults", "--collector.push", "--otlp.listen-address=127.0.0.1:0"];
    let mut exporter = Exporter::start_configured(&scratch, configuration, &flags);
    let address = exporter.otlp_address();
    for (way, endpoint) in [("http", exporter.url("/v1/metrics")), ("grpc", address)] {
        let mut python = Process::command(directory().join("venv/bin/python"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
            python.env_remove(name);
        }
        let mut application = Process::start(python.args(["-c", APPLICATION, way, &endpoint]));
        application.line_with("exported", PATIENCE);
        let target = format!("sdk-{way}");
        let of = |name: &str, area: &str| {
            let labels = [("target", target.as_str()), ("kind", "application"), ("area", area)];
            exporter
                .scrape_until(&format!("{area} of {target}"), PATIENCE, |scrape| scrape.value(name, &labels))
        };
        assert_eq!(of("memleak_area_size_bytes", "heap"), 4e6);
        assert_eq!(of("memleak_area_size_bytes", "app_cache"), 7.0);
        assert_eq!(of("memleak_area_size_objects", "app_cache_entries"), 5.0);
    }
}
