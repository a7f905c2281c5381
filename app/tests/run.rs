//! A running server: what it logs, how it stops, and what survives when it is killed.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use rustix::process::Signal;
use serde_json::json;
use support::{PASSWORD, Server, ask, register};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// D1.
#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    register(&server, "alice").await;
    register(&server, "bob").await;
    for count in 0..20 {
        let message = json!({ "recipient": "bob", "contents": count.to_string() });
        assert_eq!(ask(&server, "alice", "POST", "/messages", message).await.0, 201);
    }
    server.signal(Signal::KILL);
    drop(server);

    let server = Server::start(folder.path(), &[]);
    let (_, page) = ask(&server, "bob", "GET", "/messages", json!(null)).await;
    let contents: Vec<_> = page["messages"].as_array().unwrap().iter().map(|message| &message["contents"]).collect();
    assert_eq!(contents, (0..20).map(|count| json!(count.to_string())).collect::<Vec<_>>().iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_request_in_flight_is_finished_when_the_server_is_told_to_stop() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start(folder.path(), &[]);
        let body =
            json!({ "username": "alice", "password": PASSWORD, "public_key": "", "private_key": "" }).to_string();
        let (head, tail) = body.split_at(10);
        let address = server.url.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // The answer to "100-continue" shows that the server has begun with the request.
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
        // Nobody is let in any more; what was begun goes on.
        while TcpStream::connect(&address).await.is_ok() {}
        stream.write_all(tail.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(server.child.wait().unwrap().success());
    }
}

#[tokio::test]
async fn a_client_that_stalls_does_not_keep_the_server_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut idle = TcpStream::connect(&address).await.unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    server.signal(Signal::TERM);
    assert!(server.child.wait().unwrap().success());
}

#[tokio::test]
async fn no_secret_is_logged_however_much_is() {
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
async fn a_log_in_json_is_an_object_a_line_with_the_request_id_of_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--log", "woosh_server=debug,info", "--log-format", "json"]);
    let answer = reqwest::get(format!("{}/health/live", server.url)).await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let log = server.stop();
    let lines: Vec<serde_json::Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = lines.iter().find(|line| line["path"] == "/health/live").unwrap();
    assert_eq!(line["span"]["request_id"], id);
}
