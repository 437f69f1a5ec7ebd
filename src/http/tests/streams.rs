//! The live stream over real sockets: who may listen, what is told, and who is let go.

use super::*;
use serde_json::Value;
use tokio_tungstenite::tungstenite::{
    self, Message, WebSocket,
    protocol::{Role, frame::coding::CloseCode},
};

const ASK: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Opens a stream; the head of the answer, and the stream where there is one.
fn open(server: &Server, headers: &str) -> (String, Option<WebSocket<TcpStream>>) {
    let mut stream = server.connect();
    let head = format!("GET /api/v1/stream HTTP/1.1\r\nHost: localhost:1\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).unwrap();
    let socket = answer.contains("101 Switching Protocols");
    (answer, socket.then(|| WebSocket::from_raw_socket(stream, Role::Client, None)))
}

fn listen(server: &Server) -> WebSocket<TcpStream> {
    open(server, ASK).1.expect("a stream")
}

fn read(socket: &mut WebSocket<TcpStream>) -> Value {
    serde_json::from_str(socket.read().unwrap().to_text().unwrap()).unwrap()
}

fn types(socket: &mut WebSocket<TcpStream>, count: usize) -> Vec<(String, u64)> {
    let message = |_| {
        let message = read(socket);
        (message["type"].as_str().unwrap().to_owned(), message["tick"].as_u64().unwrap())
    };
    (0..count).map(message).collect()
}

#[test]
fn who_listens_is_told_each_tick() {
    let mut server = Server::start(&ListenOptions::default());
    let (mut one, mut other) = (listen(&server), listen(&server));
    for socket in [&mut one, &mut other] {
        assert_eq!(types(socket, 2), [("hello".into(), 1), ("snapshot".into(), 1)]);
    }
    server.pages.ticks.send_replace(2);
    for socket in [&mut one, &mut other] {
        assert_eq!(types(socket, 1), [("snapshot".into(), 2)]);
    }
    one.close(None).unwrap();
    other.send(Message::text("what about this?")).unwrap();
    let Message::Close(Some(farewell)) = other.read().unwrap() else { panic!("no farewell") };
    assert_eq!(farewell.code, CloseCode::Policy);
    drop(server.ask("GET /metrics", ""));
    // What is still open when the server ends is sent away.
    let mut last = listen(&server);
    assert_eq!(types(&mut last, 2).len(), 2);
    server.stop();
    let Message::Close(Some(farewell)) = last.read().unwrap() else { panic!("no farewell") };
    assert_eq!(farewell.code, CloseCode::Away);
    let mut ended: Vec<_> = server.pages.ended.lock().unwrap().clone();
    ended.sort_by_key(|end| format!("{end:?}"));
    assert_eq!(ended, [StreamEnd::Left, StreamEnd::Over, StreamEnd::Rude]);
    assert!(server.pages.counted.lock().unwrap().contains(&("stream", 101)));
}

#[test]
fn no_page_of_another_origin_listens_and_streams_take_no_seat_from_requests() {
    let options = ListenOptions { max_streams: 2, max_requests: 1, ..ListenOptions::default() };
    let server = Server::start(&options);
    let problem = "content-type: application/problem+json\r\n";
    for (headers, expected) in [
        (String::new(), &["426 Upgrade Required", "upgrade: websocket\r\n", problem] as &[&str]),
        (format!("{ASK}Origin: http://evil.example\r\n"), &["403 Forbidden", problem]),
        (format!("{ASK}Origin: null\r\n"), &["403 Forbidden"]),
        (format!("{ASK}X-Forwarded-For: 192.0.2.7\r\n"), &["403 Forbidden"]),
        (format!("{ASK}Origin: http://localhost:1\r\n"), &["101 Switching Protocols"]),
    ] {
        let (answer, _left_at_once) = open(&server, &headers);
        for part in expected {
            assert!(answer.contains(part), "{headers}: {part} is missing in {answer}");
        }
    }
    let mut held = Vec::new();
    // The one that left gives its seat back in its own time.
    while held.len() < 2 {
        held.extend(open(&server, ASK).1);
    }
    let (answer, none) = open(&server, ASK);
    assert!(none.is_none() && answer.contains("503 Service Unavailable"), "{answer}");
    assert!(answer.contains("retry-after: 60\r\n"), "{answer}");
    server.check("GET /metrics", "", &["200 OK"]);
    server.check("POST /api/v1/stream", "", &["405 Method Not Allowed", "allow: GET\r\n"]);
}

/// However small its own room is: what it does not read stays with the kernel, and then it is let go.
#[test]
fn who_says_too_much_at_once_is_let_go() {
    let server = Server::start(&ListenOptions::default());
    let mut socket = listen(&server);
    socket.send(Message::binary(vec![0; 1 << 20])).ok();
    let ended = std::iter::repeat_with(|| socket.read()).find(|read| !matches!(read, Ok(Message::Text(_))));
    assert!(
        matches!(
            ended,
            Some(Ok(Message::Close(_)) | Err(tungstenite::Error::Io(_) | tungstenite::Error::Protocol(_)))
        ),
        "{ended:?}"
    );
}
