use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::client::{memory, register, request, send};
use crate::support::Server;

/// Opens a connection, sends `bytes`, and reads nothing.
async fn unread(server: &Server, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address().parse().unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Opens an HTTP/2 connection with `streams` streams, sends the same request on each, and reads no response body.
async fn unread_streams(server: &Server, path: &str, token: &str, streams: usize) -> Vec<h2::client::ResponseFuture> {
    let tcp = TcpStream::connect(server.address()).await.unwrap();
    let (client, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    let mut responses = Vec::new();
    for _ in 0..streams {
        let request =
            http::Request::get(format!("{}{path}", server.url)).header("authorization", format!("Bearer {token}"));
        let mut client = client.clone().ready().await.unwrap();
        responses.push(client.send_request(request.body(()).unwrap(), true).unwrap().0);
    }
    responses
}

#[tokio::test]
async fn unread_documents_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    request(&server, "", Method::GET, "/docs", &Value::Null).await;
    let before = memory(&server);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(unread_streams(&server, "/docs", "", 100).await);
    }
    let get = b"GET /docs HTTP/1.1\r\nhost: x\r\n\r\n";
    let connections = join_all((0..100).map(|_| unread(&server, get))).await;
    for response in held.into_iter().flatten() {
        assert_eq!(response.await.unwrap().status(), 200);
    }
    assert!(memory(&server) < before + 40, "{before} MiB before, {} MiB after", memory(&server));
    drop(connections);
}

#[tokio::test]
async fn unread_pages_are_refused_beyond_the_share_of_their_account_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    for _ in 0..10 {
        send(&server, &bob, &"\"".repeat(60_000)).await;
    }
    let before = memory(&server);
    let get = format!("GET /v1/mailbox HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {alice}\r\n\r\n").repeat(5);
    let connections = join_all((0..100).map(|_| unread(&server, get.as_bytes()))).await;
    let streams = unread_streams(&server, "/v1/mailbox", &alice, 100).await;
    let mut statuses = Vec::new();
    for response in streams {
        let response = response.await.unwrap();
        if response.status() == 503 {
            assert_eq!(response.headers()["retry-after"], "1");
        }
        statuses.push(response.status().as_u16());
    }
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(memory(&server) < before + 100, "{before} MiB before, {} MiB after", memory(&server));

    let others = request(&server, &bob, Method::GET, "/v1/mailbox", &Value::Null).await;
    assert_eq!(others.status(), 200);
    // When clients hang up, the memory that they reserved is available again.
    drop(connections);
    let start = Instant::now();
    while request(&server, &alice, Method::GET, "/v1/mailbox", &Value::Null).await.status() != 200 {
        assert!(start.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn bodies_in_flight_are_refused_beyond_the_share_of_their_account() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let (_, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    let before = memory(&server);
    let padding = "x".repeat(1_000_000);
    let body = json!({ "recipients": [{ "username": "alice", "contents": "hello" }], "padding": padding }).to_string();
    let head = format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bob}\r\n");
    let head = format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let whole = format!("{head}{body}");
    let (almost, last) = whole.as_bytes().split_at(whole.len() - 1);
    let refused = watch::Sender::new(0);
    let statuses = join_all((0..40).map(async |_| {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(almost).await.unwrap();
        let mut answer = [0; 1000];
        // The other bodies stay in flight until most have been refused.
        let mut most = refused.subscribe();
        let early = tokio::select! {
            read = stream.read(&mut answer) => Some(read.unwrap()),
            _ = most.wait_for(|refused| *refused >= 32) => None,
        };
        let read = match early {
            Some(read) => read,
            None => {
                // Fails if the body was refused just now.
                let _ = stream.write_all(last).await;
                stream.read(&mut answer).await.unwrap()
            }
        };
        refused.send_modify(|refused| *refused += 1);
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert_eq!(answer.contains("retry-after: 1"), answer.starts_with("HTTP/1.1 503"), "{answer}");
        answer[9..12].to_owned()
    }))
    .await;
    let stored = statuses.iter().filter(|status| *status == "201").count();
    assert!((1..=8).contains(&stored), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| *status == "503").count(), 40 - stored);
    assert!(memory(&server) < before + 100, "{before} MiB before, {} MiB after", memory(&server));
    // The reservations of these clients have ended, so that a send succeeds.
    send(&server, &bob, "hello").await;
}
