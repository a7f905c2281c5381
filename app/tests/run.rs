//! Tests of a running server: logging, shutdown and crashes.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};
use support::{PASSWORD, Server, ask, register, try_ask};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Verifies promises D1 (durable) and D2 (no loss) of the delivery contract: the server is killed repeatedly while
/// several clients send.
#[tokio::test]
async fn sends_answered_with_201_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut sent = Vec::new();
    let total = watch::Sender::new(0);
    for round in 0..5 {
        let server = Server::start(folder.path(), &[]);
        if round == 0 {
            register(&server, "alice").await;
            register(&server, "bob").await;
        }
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let senders = (0..4).map(async |sender| {
            let mut answered = Vec::new();
            for count in 0.. {
                let contents = format!("{round}/{sender}/{count}");
                let message = json!({ "recipient": "bob", "contents": contents });
                match try_ask(&client, &server, "alice", "POST", "/messages", &message).await {
                    Ok((status, _)) => {
                        assert_eq!(status, 201);
                        answered.push(contents);
                        total.send_modify(|total| *total += 1);
                    }
                    // The server was killed before it responded, so this message may or may not be stored.
                    Err(_) => break,
                }
            }
            answered
        });
        let kill = async {
            // Kills after a number of responses instead of after a time, so that the kill happens while sends are in
            // flight, however fast the machine is.
            let mut answers = total.subscribe();
            answers.wait_for(|total| *total >= (round + 1) * 20).await.unwrap();
            server.signal(Signal::KILL);
        };
        let (answered, ()) = futures_util::future::join(futures_util::future::join_all(senders), kill).await;
        sent.extend(answered.into_iter().flatten());
    }
    assert!(sent.len() > 50, "only {} messages were sent", sent.len());

    let server = Server::start(folder.path(), &[]);
    let mut received = HashSet::new();
    let start = Instant::now();
    loop {
        let (_, page) = ask(&server, "bob", "GET", "/messages", json!(null)).await;
        let messages = page["messages"].as_array().unwrap();
        if messages.is_empty() {
            break;
        }
        received.extend(messages.iter().map(|message| message["contents"].as_str().unwrap().to_owned()));
        ask(&server, "bob", "DELETE", &format!("/messages?until={}", page["query_time"]), json!(null)).await;
        assert!(start.elapsed() < Duration::from_secs(240), "the mailbox is still not empty: {page}");
    }
    let lost: Vec<_> = sent.iter().filter(|contents| !received.contains(*contents)).collect();
    assert!(lost.is_empty(), "of {} messages these are lost: {lost:?}", sent.len());
}

#[tokio::test]
async fn requests_in_flight_finish_when_the_server_stops() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(folder.path(), &[]);
        let body =
            json!({ "username": "alice", "password": PASSWORD, "public_key": "", "private_key": "" }).to_string();
        let (head, tail) = body.split_at(10);
        let address = server.address().to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // "100 Continue" shows that the server is processing the request.
        let request = format!(
            "POST /users HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert!(interim.starts_with(b"HTTP/1.1 100"));
        stream.write_all(head.as_bytes()).await.unwrap();

        server.signal(signal);
        server.wait_for("stopping");
        // Waits until the server refuses new connections. It must still serve the request in flight.
        while TcpStream::connect(&address).await.is_ok() {}
        stream.write_all(tail.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(server.child.wait().unwrap().success());
    }
}

#[tokio::test]
async fn stalled_clients_do_not_delay_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let mut stalled = Vec::new();
    let half = "POST /users HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"username\": ";
    for begun in ["", "GET /health/li", half] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    // An idle keep-alive connection must not delay the shutdown, either.
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();

    let start = Instant::now();
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[tokio::test]
async fn unauthenticated_requests_are_refused_before_their_body_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let request = "POST /messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 401");

    let broken = "POST /messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n";
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(broken.as_bytes()).await.unwrap();
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 401");
}

/// To verify a password, each login needs 19 MiB for a moment. If the allocator kept this memory, the server would use
/// hundreds of megabytes after many logins.
#[tokio::test]
async fn a_flood_of_logins_does_not_retain_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    register(&server, "alice").await;
    for round in 0..3 {
        let attempts = (0..32).map(|attempt| {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = client.get(format!("{}/users/me", server.url)).header("x-user-name", "alice");
            request.header("x-user-token", format!("wrong {round} {attempt}")).send()
        });
        for answer in futures_util::future::join_all(attempts).await {
            assert_eq!(answer.unwrap().status(), 401);
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kibibytes < 100 * 1024, "{line}");
}

#[tokio::test]
async fn secrets_are_not_logged_even_at_trace_level() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--log", "trace"]);
    register(&server, "alice").await;
    register(&server, "bob").await;
    let message = json!({ "recipient": "bob", "contents": "attack-at-dawn" });
    ask(&server, "alice", "POST", "/messages", message).await;
    ask(&server, "bob", "GET", "/messages", json!(null)).await;
    ask(&server, "alice", "GET", "/users/friends?username=bob", json!(null)).await;
    ask(&server, "alice", "POST", "/users/me", json!({ "info": ["attack-at-dawn"] })).await;
    let log = server.stop();
    assert!(log.iter().any(|line| line.contains("/messages") && line.contains("status=201")), "{log:#?}");
    for secret in [PASSWORD, "attack-at-dawn", "private-key-of-it", "public-key-of-it", "$argon2id$", "username=bob"] {
        let lines: Vec<_> = log.iter().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret} is in {lines:#?}");
    }
}

#[tokio::test]
async fn json_logs_have_one_object_per_line_with_the_request_id() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--log", "woosh_server=debug,info", "--log-format", "json"]);
    let answer = reqwest::get(format!("{}/health/live", server.url)).await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let log = server.stop();
    let lines: Vec<serde_json::Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = lines.iter().find(|line| line["path"] == "/health/live").unwrap();
    assert_eq!(line["span"]["request_id"], id);
}

#[tokio::test]
async fn a_running_server_deletes_what_has_expired_and_what_deleted_devices_left() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    register(&server, "alice").await;
    register(&server, "bob").await;
    ask(&server, "alice", "POST", "/messages", json!({ "recipient": "bob", "contents": "hello" })).await;
    let mut database = SqliteConnectOptions::new().filename(folder.path().join("woosh.db")).connect().await.unwrap();
    let old = "UPDATE envelopes SET expires_at = 1;
               INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered, generation)
               VALUES (1, 'old', x'00', 1, 1, '', -26);
               INSERT INTO messages (sender, recipient, contents, sent_at, copies)
               VALUES ('alice', 'nobody', x'00', 1, 1);
               INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
               SELECT 4711, 1, max(id), 1, 9000000000000000 FROM messages;
               INSERT INTO purges (device_id) VALUES (4711)";
    database.execute(old).await.unwrap();
    let start = Instant::now();
    loop {
        let counts = "SELECT (SELECT count(*) FROM envelopes), (SELECT count(*) FROM messages),
                             (SELECT count(*) FROM idempotency_keys), (SELECT count(*) FROM purges)";
        let left: (i64, i64, i64, i64) = sqlx::query_as(counts).fetch_one(&mut database).await.unwrap();
        if left == (0, 0, 0, 0) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{left:?} rows are left");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
