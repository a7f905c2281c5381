//! Tests of the v1 API that concern several operations: the format of errors, long polls and streams at shutdown,
//! limits that the operator sets, restored backups, and logging.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use rustix::process::Signal;
use serde_json::{Value, json};
use support::{Server, ask, output, register};

const PASSWORD: &str = "open-sesame-of-v1";

/// Sends a request. Sends `token` as a bearer token unless it is empty.
async fn request(server: &Server, token: &str, method: Method, path: &str, body: String) -> Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, format!("{}{path}", server.url)).body(body);
    request = request.header("content-type", "application/json");
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap()
}

async fn post(server: &Server, token: &str, path: &str, body: Value) -> (u16, Value) {
    let answer = request(server, token, Method::POST, path, body.to_string()).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Registers a user and returns its token.
async fn token(server: &Server, name: &str) -> String {
    let user = json!({ "username": name, "password": PASSWORD, "public_key": "public-key-of-v1" });
    let (status, registered) = post(server, "", "/v1/users", user).await;
    assert_eq!(status, 201, "{registered}");
    registered["token"].as_str().unwrap().to_owned()
}

fn to(name: &str) -> Value {
    json!({ "recipients": [{ "username": name, "contents": "attack-at-dawn" }] })
}

#[tokio::test]
async fn framework_errors_are_problems_under_v1_and_classic_errors_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let alice = token(&server, "alice").await;
    let huge = "x".repeat(2 * 1024 * 1024);
    for (method, path, body, status, code) in [
        (Method::GET, "/v1", "", 404, "not_found"),
        (Method::GET, "/v1/nowhere", "", 404, "not_found"),
        (Method::GET, "/v1/users/%ff", "", 404, "not_found"),
        (Method::DELETE, "/v1/sessions/one", "", 404, "not_found"),
        (Method::PUT, "/v1/users/me", "", 405, "method_not_allowed"),
        (Method::POST, "/v1/users/bob", "", 405, "method_not_allowed"),
        (Method::POST, "/v1/messages", "", 400, "invalid_request"),
        (Method::POST, "/v1/messages", "{", 400, "invalid_request"),
        (Method::POST, "/v1/messages", "[]", 400, "invalid_request"),
        (Method::POST, "/v1/messages", &huge, 413, "body_too_large"),
        (Method::GET, "/v1/mailbox?limit=99999999999999999999", "", 400, "invalid_request"),
        (Method::GET, "/v1/mailbox?wait=%ff", "", 400, "invalid_request"),
    ] {
        let answer = request(&server, &alice, method, path, body.to_owned()).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        assert_eq!(answer.headers().contains_key("allow"), status == 405, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{path}");
        assert_eq!(problem["status"], status, "{path}");
    }
    let answer = request(&server, "", Method::GET, "/v1/users/me", String::new()).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
    let answer = request(&server, "", Method::GET, "/v10", String::new()).await;
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "status": 404, "message": "not found" }));
}

#[tokio::test]
async fn waiting_readers_do_not_delay_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let alice = token(&server, "alice").await;
    let stream = request(&server, &alice, Method::GET, "/v1/mailbox/stream", String::new()).await;
    assert_eq!(stream.status(), 200);
    let poll = request(&server, &alice, Method::GET, "/v1/mailbox?wait=50", String::new());
    let stop = async {
        // Time for the poll to start waiting, which is longer on a busy machine.
        for _ in 0..10 {
            request(&server, &alice, Method::GET, "/v1/mailbox", String::new()).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        server.signal(Signal::TERM);
        Instant::now()
    };
    let (page, start) = futures_util::future::join(poll, stop).await;
    assert_eq!(page.json::<Value>().await.unwrap()["messages"], json!([]));
    // The stream ends with its last chunk, so the client sees no broken connection.
    assert!(stream.text().await.unwrap().starts_with(": "));
    assert!(server.child.wait().unwrap().success());
    // Requests that do not end have ten seconds.
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
}

#[tokio::test]
async fn both_apis_report_a_full_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--mailbox-messages", "1"]);
    let alice = token(&server, "alice").await;
    register(&server, "bob").await;
    assert_eq!(post(&server, &alice, "/v1/messages", to("alice")).await.0, 201);
    let (status, problem) = post(&server, &alice, "/v1/messages", to("alice")).await;
    assert_eq!((status, &problem["code"]), (507, &json!("mailbox_full")));
    let message = json!({ "recipient": "alice", "contents": "hello" });
    let (status, error) = ask(&server, "bob", "POST", "/messages", message).await;
    assert_eq!((status, &error["status"]), (507, &json!(507)));
}

#[tokio::test]
async fn operators_can_limit_the_ttl_and_turn_search_off() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--max-ttl", "60", "--user-search", "false"]);
    let alice = token(&server, "alice").await;
    let mut message = to("alice");
    message["ttl_seconds"] = json!(61);
    let (status, problem) = post(&server, &alice, "/v1/messages", message).await;
    assert_eq!((status, &problem["detail"]), (400, &json!("ttl_seconds has to be 1 to 60")));
    let answer = request(&server, &alice, Method::GET, "/v1/users?prefix=ali", String::new()).await;
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "search_off");
}

/// Makes the backup while the server is stopped, and restores it after the server has stored more messages.
#[tokio::test]
async fn after_a_restore_the_cursors_of_clients_that_are_ahead_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("woosh.db"), folder.path().join("backup.db"));
    let server = Server::start(folder.path(), &[]);
    let alice = token(&server, "alice").await;
    let send = async |server: &Server| assert_eq!(post(server, &alice, "/v1/messages", to("alice")).await.0, 201);
    let read = async |server: &Server, query: &str| {
        let answer = request(server, &alice, Method::GET, &format!("/v1/mailbox{query}"), String::new()).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    send(&server).await;
    server.stop();
    std::fs::copy(&file, &backup).unwrap();
    let server = Server::start(folder.path(), &[]);
    send(&server).await;
    let (_, seen) = read(&server, "").await;
    assert_eq!(seen["up_to"], 2);
    server.stop();

    std::fs::copy(&backup, &file).unwrap();
    let restored = output(folder.path(), &["restored"]);
    assert!(restored.status.success());
    let printed = String::from_utf8(restored.stdout).unwrap();
    assert_eq!(printed, "sqlite:woosh.db is prepared: 1 mailboxes have a new incarnation\n");

    let server = Server::start(folder.path(), &[]);
    // A new message gets the sequence number that the client has already seen for a lost message.
    send(&server).await;
    let cursor = format!("?after=2&incarnation={}", seen["incarnation"].as_str().unwrap());
    let (status, problem) = read(&server, &cursor).await;
    assert_eq!((status, &problem["code"]), (409, &json!("mailbox_restored")));
    assert_eq!((&problem["acknowledged"], &problem["newest"]), (&json!(0), &json!(2)));
    let cursor = format!("?after=0&incarnation={}", problem["incarnation"].as_str().unwrap());
    let (status, page) = read(&server, &cursor).await;
    assert_eq!((status, page["messages"].as_array().unwrap().len()), (200, 2));
}

#[test]
fn invalid_limits_are_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for args in [["--mailbox-messages", "0"], ["--mailbox-bytes", "0"], ["--max-ttl", "0"], ["--max-ttl", "3153600001"]]
    {
        let output = output(folder.path(), &["--port", "0", args[0], args[1]]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(&format!("{} has to be 1 to ", args[0])), "{text}");
    }
}

#[tokio::test]
async fn secrets_of_v1_are_not_logged_even_at_trace_level() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--log", "trace"]);
    let alice = token(&server, "alice").await;
    let key = "idempotency-key-of-v1";
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = client.post(format!("{}/v1/messages", server.url)).header("idempotency-key", key);
    assert_eq!(send.bearer_auth(&alice).json(&to("alice")).send().await.unwrap().status(), 201);
    request(&server, &alice, Method::GET, "/v1/mailbox", String::new()).await;
    request(&server, &alice, Method::GET, "/v1/users?prefix=alice", String::new()).await;
    let (status, created) = post(&server, &alice, "/v1/mailbox/stream-tickets", json!({})).await;
    assert_eq!(status, 201, "{created}");
    let ticket = created["ticket"].as_str().unwrap();
    let stream = format!("/v1/mailbox/stream?ticket={ticket}");
    for status in [200, 401] {
        assert_eq!(request(&server, "", Method::GET, &stream, String::new()).await.status(), status);
    }
    let login = json!({ "username": "alice", "password": [PASSWORD] });
    post(&server, "", "/v1/sessions", login).await;
    let log = server.stop();
    assert!(log.iter().any(|line| line.contains("/v1/messages") && line.contains("status=201")), "{log:#?}");
    for secret in [PASSWORD, &alice, "attack-at-dawn", "public-key-of-v1", "$argon2id$", "prefix=alice", key, ticket] {
        let lines: Vec<_> = log.iter().filter(|line| line.contains(secret)).collect();
        assert!(lines.is_empty(), "{secret} is in {lines:#?}");
    }
}
