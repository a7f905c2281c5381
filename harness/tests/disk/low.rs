use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use woosh_harness::{Backend, TestDatabase};

use super::fixture::{PASSWORD, Running, eventually, registration, start, to};
use super::tmpfs::Tmpfs;

const MIB: u64 = 1024 * 1024;

pub(crate) async fn refused() -> anyhow::Result<()> {
    let database = TestDatabase::create(Backend::Sqlite).await?;
    let server = start(database.url(), 0).await?;
    let ((alice, _), (_, device)) = (server.register("alice").await, server.register("bob").await);
    for contents in ["one", "two", "three"] {
        assert_eq!(server.post(&alice, "/v1/messages", &to("bob", contents)).await.0, 201);
    }
    let login = json!({ "username": "bob", "password": PASSWORD });
    let (status, second) = server.post("", "/v1/sessions", &login).await;
    assert_eq!(status, 201, "{second}");
    server.stop().await;

    // No disk has as much.
    let server = start(database.url(), u64::MAX).await?;
    let statuses = async |requests: &[(&str, Method, &str, Value)]| {
        let answers = requests.iter().map(|(token, method, path, body)| server.ask(token, method.clone(), path, body));
        join_all(answers).await.into_iter().map(|(status, _)| status).collect::<Vec<_>>()
    };
    let classic = json!({ "recipient": "bob", "contents": "hello" });
    let new = [
        (alice.as_str(), Method::POST, "/v1/messages", to("bob", "refused")),
        (&alice, Method::PATCH, "/v1/users/me", json!({ "info": "refused" })),
        ("", Method::POST, "/v1/users", registration("carol")),
        ("", Method::POST, "/users", registration("carol")),
        ("", Method::POST, "/v1/sessions", login.clone()),
    ];
    assert_eq!(statuses(&new).await, [507; 5]);
    assert_eq!(server.ask_classic("alice", Method::POST, "/messages", &classic).await.0, 507);
    assert_eq!(server.ask_classic("alice", Method::POST, "/users/me", &json!({ "info": "refused" })).await.0, 507);

    let own = json!({ "username": "bob", "password": PASSWORD, "device_id": device });
    let (status, again) = server.post("", "/v1/sessions", &own).await;
    assert_eq!((status, again["device"]["id"].as_i64()), (201, Some(device)), "{again}");
    let bob_again = again["token"].as_str().unwrap();
    let (status, page) = server.ask(bob_again, Method::GET, "/v1/mailbox", &Value::Null).await;
    assert_eq!((status, page["up_to"].as_i64()), (200, Some(3)), "{page}");
    assert_eq!(server.post(bob_again, "/v1/mailbox/ack", &json!({ "up_to": 2 })).await.0, 200);
    let (status, page) = server.ask_classic("bob", Method::GET, "/messages", &Value::Null).await;
    assert_eq!((status, page["messages"].as_array().unwrap().len()), (200, 1), "{page}");
    let until = format!("/messages?until={}", i64::MAX / 1_000_000_000_000);
    assert_eq!(server.ask_classic("bob", Method::DELETE, &until, &Value::Null).await.0, 200);
    let delete_device = format!("/v1/devices/{}", second["device"]["id"]);
    let password = json!({ "old_password": PASSWORD, "new_password": "another" });
    assert_eq!(statuses(&[(bob_again, Method::DELETE, &delete_device, Value::Null)]).await, [204]);
    assert_eq!(statuses(&[(bob_again, Method::PUT, "/v1/users/me/password", password)]).await, [204]);
    assert_eq!(statuses(&[(bob_again, Method::DELETE, "/v1/sessions/current", Value::Null)]).await, [204]);
    assert_eq!((server.health("ready").await, server.health("live").await), (200, 200));
    server.stop().await;

    let server = start(database.url(), 1).await?;
    assert_eq!(server.post(&alice, "/v1/messages", &to("bob", "hello")).await.0, 201);
    assert_eq!(server.post("", "/v1/users", &registration("carol")).await.0, 201);
    server.stop().await;
    Ok(())
}

pub(crate) async fn other_machine() -> anyhow::Result<()> {
    let database = TestDatabase::create(Backend::Postgres).await?;
    let server = start(database.url(), u64::MAX).await?;
    let (alice, _) = server.register("alice").await;
    assert_eq!(server.post(&alice, "/v1/messages", &to("alice", "hello")).await.0, 201);
    server.stop().await;
    Ok(())
}

/// The free space in bytes below which the server stores nothing new.
const MINIMUM: u64 = 96 * MIB;

/// Sends a message repeatedly, until the server refuses a send for lack of space. Returns how many sends were stored.
async fn fill(server: &Running, token: &str, message: &Value, disk: &Tmpfs) -> usize {
    let (start, mut sent) = (Instant::now(), 0);
    loop {
        let answers = join_all((0..4).map(|_| server.post(token, "/v1/messages", message))).await;
        for (status, body) in &answers {
            assert!(matches!(status, 201 | 507), "{status}: {body}");
        }
        let stored = answers.iter().filter(|(status, _)| *status == 201).count();
        sent += stored;
        if stored < answers.len() {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{sent} messages do not fill the disk");
    }
    println!("refused after {sent} messages, with {} MiB free", disk.free() / MIB);
    assert!(disk.free() > MINIMUM / 2);
    sent
}

pub(crate) async fn filled(disk: Tmpfs) -> anyhow::Result<()> {
    let server = start(&disk.database(), MINIMUM).await?;
    let ((alice, _), (bob, _)) = (server.register("alice").await, server.register("bob").await);
    let message = to("bob", &"x".repeat(60_000));
    let mut sent = fill(&server, &alice, &message, &disk).await;
    server.stop().await;

    // Stopping and starting frees the space of the WAL, and needs space for another one.
    let server = start(&disk.database(), MINIMUM).await?;
    sent += fill(&server, &alice, &message, &disk).await;
    let mut received = 0;
    loop {
        let (status, page) = server.ask(&bob, Method::GET, "/v1/mailbox", &Value::Null).await;
        assert_eq!(status, 200, "{page}");
        received += page["messages"].as_array().unwrap().len();
        let acknowledged = server.post(&bob, "/v1/mailbox/ack", &json!({ "up_to": page["up_to"] })).await;
        assert_eq!(acknowledged.0, 200, "{}", acknowledged.1);
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(received, sent);
    // The file does not shrink, but its space is used again.
    eventually("accepted", async || server.post(&alice, "/v1/messages", &message).await.0 == 201).await;
    println!("accepted again, with {} MiB free", disk.free() / MIB);
    server.stop().await;
    Ok(())
}
