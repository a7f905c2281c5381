use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::client::{register, request, send};
use crate::support::Server;

/// Sends a request on a new connection, and returns the connection before the response is read.
async fn start(server: &Server, token: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Returns the number of file handles that the server has open, for files and connections.
fn open(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap().count()
}

#[tokio::test]
async fn clients_that_hang_up_release_their_connections() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let alice = register(&server, "alice").await;
    request(&server, &alice, Method::GET, "/v1/mailbox", &Value::Null).await;
    let before = open(&server);
    let mut streams = Vec::new();
    for path in ["/v1/mailbox?wait=50", "/v1/mailbox/stream"] {
        for _ in 0..10 {
            streams.push(start(&server, &alice, path).await);
            // One more client has already sent its next request.
            let mut pipelined = start(&server, &alice, path).await;
            pipelined.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            streams.push(pipelined);
        }
    }
    while open(&server) < before + streams.len() {
        sleep(Duration::from_millis(10)).await;
    }
    drop(streams);
    let start = Instant::now();
    while open(&server) > before + 2 {
        // Far less than the requests would wait.
        assert!(start.elapsed() < Duration::from_secs(30), "{} of {before} are open", open(&server));
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_half_closed_client_that_waits_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let poll = async |arrives: bool| {
        let mut stream = start(&server, &alice, "/v1/mailbox?wait=50").await;
        stream.shutdown().await.unwrap();
        sleep(Duration::from_millis(300)).await;
        if arrives {
            send(&server, &bob, "hello").await;
        }
        let start = Instant::now();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        (answer, start.elapsed())
    };
    let (answer, took) = poll(false).await;
    assert!(answer.contains("\"messages\":[]"), "{answer}");
    assert!((Duration::from_secs(4)..Duration::from_secs(30)).contains(&took), "{took:?}");
    let (answer, took) = poll(true).await;
    assert!(answer.contains("hello"), "{answer}");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

/// A request that does not wait for messages is aborted after 30 seconds.
#[tokio::test]
async fn a_wait_may_take_longer_than_other_requests() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let alice = register(&server, "alice").await;
    let response = request(&server, &alice, Method::GET, "/v1/mailbox?wait=31", &Value::Null).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.unwrap()["messages"], serde_json::json!([]));
}

#[tokio::test]
async fn a_half_closed_stream_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let mut stream = start(&server, &alice, "/v1/mailbox/stream").await;
    stream.shutdown().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    send(&server, &bob, "hello").await;
    let mut text = String::new();
    while !text.contains("hello") {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}
