//! The inspector of Node: one question over WebSocket, which reads numbers and changes nothing.
//!
//! The connection is opened for each reading and closed behind it, since a Node that ends waits for whoever is connected.
//! Nothing is enabled, no snapshot is taken, and what is evaluated calls functions of Node alone.

use super::exposition::Exposition;
use crate::{config::selector::Series, fetch::Client};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Uri;
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// A list of targets, and an answer with its counts of resources.
const MOST_BYTES: usize = 64 * 1024;
/// Other messages that may come before the answer.
const MOST_MESSAGES: usize = 16;
/// Milliseconds for which Node may evaluate the question.
const EVALUATION_MS: u32 = 1000;
/// The number of the question.
const QUESTION: u64 = 1;
/// Reads what `prom-client` would tell. Of the resources it gives their numbers, as there may be a hundred thousand.
const EXPRESSION: &str = "(() => {
  const v8 = process.getBuiltinModule?.('v8');
  const cpu = process.cpuUsage();
  const resources = {};
  for (const kind of process.getActiveResourcesInfo?.() ?? []) resources[kind] = (resources[kind] ?? 0) + 1;
  return {
    memory: process.memoryUsage(),
    limit: v8?.getHeapStatistics().heap_size_limit,
    spaces: v8?.getHeapSpaceStatistics().map((space) => [space.space_name, space.space_used_size]),
    resources: Object.entries(resources),
    cpu: (cpu.user + cpu.system) / 1e6,
    start: globalThis.performance?.timeOrigin / 1000,
  };
})()";

/// What can be debugged at an endpoint.
#[derive(Deserialize)]
struct Target {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "webSocketDebuggerUrl")]
    url: Option<String>,
}

/// An answer; what else it holds is nobody's business here.
#[derive(Deserialize)]
struct Answer {
    result: Option<Evaluated>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

#[derive(Deserialize)]
struct Evaluated {
    result: Remote,
}

#[derive(Deserialize)]
struct Remote {
    value: Option<Told>,
    description: Option<String>,
}

/// What Node tells of itself.
#[derive(Deserialize)]
struct Told {
    memory: Memory,
    limit: Option<f64>,
    #[serde(default)]
    spaces: Vec<(String, f64)>,
    #[serde(default)]
    resources: Vec<(String, f64)>,
    cpu: Option<f64>,
    start: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    rss: f64,
    heap_total: f64,
    heap_used: f64,
    external: Option<f64>,
    array_buffers: Option<f64>,
}

/// Asks the inspector; the error follows its URL.
pub(super) async fn read(client: &Client, url: &Uri, page: &mut Exposition<'_>) -> Result<(), String> {
    let mut list = Vec::new();
    let take = |piece: &[u8]| {
        list.extend_from_slice(piece);
        Ok(())
    };
    client.get(url, MOST_BYTES, take).await?;
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    tell(&evaluate(&authority, &path_of(&list)?).await?, page);
    Ok(())
}

/// The path of Node's own target. The host is the one that was written, whatever the list says.
fn path_of(list: &[u8]) -> Result<String, String> {
    let targets: Vec<Target> = serde_json::from_slice(list)
        .map_err(|error| format!("lists no targets: {error}; is it the inspector of a Node (--inspect)?"))?;
    let node = targets.into_iter().find(|target| target.kind == "node");
    let url = node.and_then(|node| node.url).and_then(|url| url.parse::<Uri>().ok());
    let path = url.map(|url| url.path().to_owned());
    path.ok_or_else(|| String::from("lists no Node; is another debugger connected?"))
}

async fn evaluate(authority: &str, path: &str) -> Result<Told, String> {
    let stream =
        TcpStream::connect(authority).await.map_err(|error| format!("cannot be reached: {error}"))?;
    let config =
        WebSocketConfig::default().max_message_size(Some(MOST_BYTES)).max_frame_size(Some(MOST_BYTES));
    let connected = client_async_with_config(format!("ws://{authority}{path}"), stream, Some(config)).await;
    let (mut socket, _answer) = connected.map_err(|error| format!("refuses a debugger: {error}"))?;
    let question = json!({
        "id": QUESTION,
        "method": "Runtime.evaluate",
        "params": {"expression": EXPRESSION, "returnByValue": true, "silent": true, "timeout": EVALUATION_MS},
    });
    let broken = |error| format!("breaks off: {error}");
    socket.send(Message::text(question.to_string())).await.map_err(broken)?;
    for _ in 0..MOST_MESSAGES {
        let message = socket.next().await.ok_or_else(|| String::from("breaks off"))?.map_err(broken)?;
        let Ok(text) = message.to_text() else { continue };
        if let Some(told) = answer(text)? {
            let _closed_already = socket.close(None).await;
            return Ok(told);
        }
    }
    Err(String::from("tells of everything but what it was asked for"))
}

/// What a message says; none where it is no answer.
fn answer(text: &str) -> Result<Option<Told>, String> {
    let unexpected = |error| format!("gives an unexpected answer: {error}");
    let about: serde_json::Value = serde_json::from_str(text).map_err(unexpected)?;
    if about.get("id").and_then(serde_json::Value::as_u64) != Some(QUESTION) {
        return Ok(None);
    }
    let Answer { result, error } = serde_json::from_value(about).map_err(unexpected)?;
    if let Some(Failure { message }) = error {
        return Err(format!("does not evaluate the question: {message}"));
    }
    let remote = result.map(|evaluated| evaluated.result);
    let told = remote.ok_or_else(|| String::from("gives an empty answer"))?;
    let description = told.description.unwrap_or_default();
    let first_line = description.lines().next().unwrap_or_default().to_owned();
    told.value.map(Some).ok_or_else(|| format!("does not evaluate the question: {first_line}"))
}

fn tell(told: &Told, page: &mut Exposition<'_>) {
    let Memory { rss, heap_total, heap_used, external, array_buffers } = told.memory;
    let numbers = [
        ("process_resident_memory_bytes", Some(rss)),
        ("nodejs_heap_size_used_bytes", Some(heap_used)),
        ("nodejs_heap_size_total_bytes", Some(heap_total)),
        ("nodejs_heap_size_limit_bytes", told.limit),
        ("nodejs_external_memory_bytes", external),
        ("nodejs_array_buffers_bytes", array_buffers),
        ("process_cpu_seconds_total", told.cpu),
        ("process_start_time_seconds", told.start),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            page.tell(&Series { name, labels: Vec::new() }, value);
        }
    }
    let labelled = [
        ("nodejs_heap_space_size_used_bytes", "space", &told.spaces),
        ("nodejs_active_resources", "type", &told.resources),
    ];
    for (name, label, values) in labelled {
        for (of, value) in values {
            page.tell(&Series { name, labels: vec![(label, Cow::Borrowed(of.as_str()))] }, *value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::application::table::{Index, Role};

    #[test]
    fn an_answer_tells_what_the_client_library_would() {
        let text = r#"{"id": 1, "result": {"result": {"type": "object", "value": {"memory": {"rss": 200, "heapTotal": 80,
            "heapUsed": 60, "external": 30, "arrayBuffers": 7}, "limit": 4000, "spaces": [["new_space", 5]],
            "resources": [["Timeout", 3], ["TCPSocketWrap", 2]], "cpu": 1.5, "start": 1700000000.5}}}}"#;
        let index = Index::new();
        let mut page = Exposition::new(&index, "", &[]);
        tell(&answer(text).unwrap().unwrap(), &mut page);
        let told = page.finish().unwrap();
        for (role, expected) in [
            (Role::Bytes("rss"), 200.0),
            (Role::Bytes("heap"), 60.0),
            (Role::Bytes("heap_committed"), 80.0),
            (Role::Limit("heap"), 4000.0),
            (Role::Bytes("v8_external"), 30.0),
            (Role::Bytes("array_buffers"), 7.0),
            (Role::Objects("timers"), 3.0),
            (Role::Objects("sockets"), 2.0),
            (Role::Start, 1_700_000_000.5),
        ] {
            assert_eq!(told.value(role), Some(expected), "{role:?}");
        }
        assert_eq!(told.pools().collect::<Vec<_>>(), [("new_space", 5.0)]);
        assert_eq!(told.runtime, Some("node"));
    }

    #[test]
    fn what_is_no_answer_is_said() {
        assert!(answer(r#"{"method": "Runtime.consoleAPICalled"}"#).unwrap().is_none());
        for (text, part) in [
            ("nonsense", "unexpected answer"),
            (r#"{"id": 1}"#, "empty answer"),
            (r#"{"id": 1, "error": {"code": -1, "message": "not here"}}"#, "question: not here"),
            (
                r#"{"id": 1, "result": {"result": {"type": "object", "description": "Error: no\n at x"}}}"#,
                "question: Error: no",
            ),
            (r#"{"id": 1, "result": {"result": {"value": {"memory": {"rss": "x"}}}}}"#, "unexpected answer"),
        ] {
            let error = answer(text).err().expect(text);
            assert!(error.ends_with(part) || error.contains(part), "{error}");
        }
    }

    #[test]
    fn only_the_path_of_the_list_counts() {
        let list = |kind: &str| {
            format!(r#"[{{"type": "{kind}", "webSocketDebuggerUrl": "ws://elsewhere:1/abc", "title": "x"}}]"#)
        };
        assert_eq!(path_of(list("node").as_bytes()), Ok("/abc".into()));
        assert!(path_of(list("page").as_bytes()).unwrap_err().contains("lists no Node"));
        assert!(path_of(br#"[{"type": "node"}]"#).unwrap_err().contains("lists no Node"));
        assert!(path_of(b"<html>").unwrap_err().contains("lists no targets"));
    }
}
