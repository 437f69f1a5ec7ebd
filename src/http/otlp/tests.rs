use super::*;
use crate::inbox::Terms;
use opentelemetry_proto::tonic::{
    common::v1::AnyValue,
    metrics::v1::{Gauge, ResourceMetrics, ScopeMetrics, Sum},
};

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let value = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.into())) });
    pairs
        .iter()
        .map(|(key, text)| KeyValue { key: (*key).into(), value: value(text), ..KeyValue::default() })
        .collect()
}

fn point(pairs: &[(&str, &str)], value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(pairs),
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn sum_of(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    let data = Some(Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: false }));
    Metric { name: name.into(), unit: "By".into(), data, ..Metric::default() }
}

fn gauge(name: &str, unit: &str, value: f64) -> Metric {
    let data = Some(Data::Gauge(Gauge { data_points: vec![point(&[], value)] }));
    Metric { name: name.into(), unit: unit.into(), data, ..Metric::default() }
}

fn request(resource: &[(&str, &str)], metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: attributes(resource), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

/// What becomes of an export as it comes over the network.
fn taken(
    inbox: &Inbox,
    request: &ExportMetricsServiceRequest,
) -> Result<ExportMetricsServiceResponse, Refusal> {
    take_in(inbox, &request.encode_to_vec())
}

const CHECKOUT: &[(&str, &str)] = &[("service.name", "checkout")];

fn inbox(patterns: &[&str]) -> Inbox {
    let inbox = Inbox::default();
    let metrics = patterns.iter().map(|pattern| regex::Regex::new(pattern).unwrap()).collect();
    inbox.open(Terms { areas_max: 100, metrics });
    inbox
}

/// What the inbox holds after an export: `area=size<limit`, sorted.
fn areas_of(inbox: &Inbox, metrics: Vec<Metric>) -> Vec<String> {
    let response = taken(inbox, &request(CHECKOUT, metrics)).unwrap();
    assert_eq!(response.partial_success, None);
    let mut told: Vec<String> = inbox
        .read(1.0, 60.0)
        .programs
        .iter()
        .flat_map(|heard| &heard.samples)
        .map(|sample| {
            let limit = sample.limit.map_or_else(String::new, |limit| format!("<{}", limit.value));
            let unit = if sample.area.unit == Unit::Bytes { "" } else { " objects" };
            format!("{}={}{limit}{unit}", sample.area.name, sample.size)
        })
        .collect();
    told.sort();
    told
}

#[test]
fn metrics_of_runtimes_are_areas() {
    let pool = |kind, name, value| point(&[("jvm.memory.type", kind), ("jvm.memory.pool.name", name)], value);
    let jvm = vec![
        sum_of(
            "jvm.memory.used",
            vec![
                pool("heap", "G1 Eden Space", 5.0),
                pool("heap", "G1 Old Gen", 20.0),
                pool("non_heap", "Metaspace", 7.0),
            ],
        ),
        sum_of(
            "jvm.memory.limit",
            vec![pool("heap", "G1 Old Gen", 100.0), pool("heap", "G1 Eden Space", -1.0)],
        ),
        sum_of(
            "jvm.memory.used_after_last_gc",
            vec![pool("heap", "G1 Eden Space", 0.0), pool("heap", "G1 Old Gen", 18.0)],
        ),
        sum_of(
            "jvm.memory.committed",
            vec![pool("heap", "G1 Old Gen", 60.0), pool("non_heap", "Metaspace", 9.0)],
        ),
        sum_of("process.memory.usage", vec![point(&[], 90.0)]),
    ];
    assert_eq!(
        areas_of(&inbox(&[]), jvm),
        ["external=30", "heap=25<100", "heap_after_gc=18", "heap_committed=60", "metaspace=7", "rss=90"]
    );
    let space = |name, value| point(&[("v8js.heap.space.name", name)], value);
    let node = vec![
        sum_of("v8js.memory.heap.used", vec![space("old_space", 10.0), space("new_space", 2.0)]),
        sum_of("v8js.memory.heap.limit", vec![space("old_space", 20.0), space("new_space", 4.0)]),
    ];
    assert_eq!(areas_of(&inbox(&[]), node), ["heap=12", "heap_committed=24"]);
    let older = vec![
        sum_of(
            "process.runtime.cpython.memory",
            vec![point(&[("type", "rss")], 8.0), point(&[("type", "vms")], 99.0)],
        ),
        gauge("go.goroutine.count", "{goroutine}", 12.0),
    ];
    assert_eq!(areas_of(&inbox(&[]), older), ["goroutines=12 objects", "rss=8"]);
}

#[test]
fn metrics_of_ones_own_are_areas_where_they_are_named() {
    let metrics = || {
        vec![
            gauge("app.cache", "By", 3.0),
            gauge("app.cache.entries", "{entry}", 4.0),
            gauge("app.requests", "1", 5.0),
        ]
    };
    assert_eq!(areas_of(&inbox(&[]), metrics()), Vec::<String>::new());
    assert_eq!(
        areas_of(&inbox(&[r"^app\.cache.*$"]), metrics()),
        ["app_cache=3", "app_cache_entries=4 objects"]
    );
}

#[test]
fn what_is_no_size_is_no_area() {
    let mut monotonic = sum_of("process.memory.usage", vec![point(&[], 5.0)]);
    let Some(Data::Sum(sum)) = &mut monotonic.data else { panic!() };
    sum.is_monotonic = true;
    let mut delta = sum_of("process.memory.usage", vec![point(&[], 5.0)]);
    let Some(Data::Sum(sum)) = &mut delta.data else { panic!() };
    sum.aggregation_temporality = AggregationTemporality::Delta as i32;
    let unrecorded = NumberDataPoint { flags: 1, ..point(&[], 5.0) };
    for metric in [
        monotonic,
        delta,
        sum_of("process.memory.usage", vec![unrecorded]),
        gauge("process.memory.usage", "By", f64::NAN),
        gauge("process.memory.usage", "By", f64::INFINITY),
        gauge("process.memory.usage", "By", -5.0),
        Metric { name: "process.memory.usage".into(), ..Metric::default() },
    ] {
        assert_eq!(areas_of(&inbox(&[]), vec![metric.clone()]), Vec::<String>::new(), "{metric:?}");
    }
}

#[test]
fn the_resource_names_the_target_and_tells_instances_apart() {
    let metrics = || vec![gauge("process.memory.usage", "By", 1.0)];
    let inbox = inbox(&[]);
    for resource in [
        &[("service.name", "a")][..],
        &[("service.name", "a"), ("service.instance.id", "1")],
        &[("service.name", "a"), ("service.instance.id", "2")],
        &[("service.name", "a"), ("host.name", "h"), ("process.pid", "2")],
    ] {
        assert_eq!(taken(&inbox, &request(resource, metrics())).unwrap().partial_success, None);
    }
    assert_eq!(inbox.read(1.0, 60.0).programs.len(), 4);
    for name in ["", "a\nb", &"a".repeat(129)] {
        let partial =
            taken(&inbox, &request(&[("service.name", name)], metrics())).unwrap().partial_success.unwrap();
        assert_eq!(partial.rejected_data_points, 1);
        assert!(partial.error_message.contains("service.name"), "{}", partial.error_message);
    }
    assert_eq!(taken(&inbox, &request(&[], vec![gauge("x", "1", 1.0)])).unwrap().partial_success, None);
    assert_eq!(taken(&Inbox::default(), &request(CHECKOUT, metrics())), Err(Refusal::Shut));
}

#[test]
fn what_finds_no_room_is_told() {
    let inbox = Inbox::default();
    inbox.open(Terms { areas_max: 1, metrics: Vec::new() });
    let metrics = vec![gauge("process.memory.usage", "By", 1.0), gauge("go.goroutine.count", "1", 1.0)];
    let partial = taken(&inbox, &request(CHECKOUT, metrics)).unwrap().partial_success.unwrap();
    assert_eq!((partial.rejected_data_points, partial.error_message.contains("push.areas")), (1, true));
}

#[test]
fn json_is_taken_in_as_protobuf_is() {
    let inbox = inbox(&["^cache$"]);
    let answered = |body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json; charset=utf-8".parse().unwrap());
        let answer = answer(&inbox, &headers, &Bytes::from(body.to_owned()));
        (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
    };
    let body = r#"{"resourceMetrics": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeMetrics": [{"metrics": [
            {"name": "cache", "unit": "By", "gauge": {"dataPoints": [{"asInt": "70", "timeUnixNano": "1"}]}},
            {"name": "process.memory.usage", "unit": "By", "sum": {"dataPoints": [{"asDouble": 5.0}],
                "aggregationTemporality": 2, "isMonotonic": false}}]}]}]}"#;
    assert_eq!(answered(body), (200, "{}".into()));
    let mut told: Vec<String> = inbox
        .read(1.0, 60.0)
        .programs
        .iter()
        .flat_map(|heard| &heard.samples)
        .map(|sample| format!("{}={}", sample.area.name, sample.size))
        .collect();
    told.sort();
    assert_eq!(told, ["cache=70", "rss=5"]);
    assert!(answered(&body.replace("shop", "")).1.contains("service.name"));
    assert_eq!(answered("{\"resourceMetrics\": 1}").0, 400);
    assert_eq!(answered(&" ".repeat(JSON_MAX_BYTES + 1)).0, 413);
}

#[test]
fn a_piece_that_is_too_large_is_left_out_and_said() {
    let inbox = inbox(&[]);
    let mut large = sum_of("jvm.memory.used", vec![point(&[], 1.0)]);
    large.description = "x".repeat(PIECE_MAX_BYTES);
    let metrics = vec![large, sum_of("process.memory.usage", vec![point(&[], 5.0)])];
    let partial = taken(&inbox, &request(CHECKOUT, metrics)).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 1);
    assert!(partial.error_message.contains("more than 64 KiB"));
    assert_eq!(inbox.read(1.0, 60.0).programs.len(), 1);
}

/// Every end and every byte replaced: nothing panics, and what is no message is refused whole.
#[test]
fn no_message_does_harm() {
    let inbox = inbox(&[]);
    let good = request(CHECKOUT, vec![gauge("process.memory.usage", "By", 5.0)]).encode_to_vec();
    for at in 0..good.len() {
        let _read_or_refused = take_in(&inbox, &good[..at]);
        for byte in [0, 0x0a, 0x7f, 0x80, 0xff] {
            let mut message = good.clone();
            message[at] = byte;
            let _read_or_refused = take_in(&inbox, &message);
        }
    }
    assert_eq!(take_in(&inbox, &good[..good.len() - 1]), Err(Refusal::Malformed));
}
