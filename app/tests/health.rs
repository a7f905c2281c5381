//! Tests of the health checks of a server whose database fails.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};
use support::{PASSWORD, Server, ask, register};

/// Returns the status of a health check.
async fn health(server: &Server, check: &str) -> u16 {
    reqwest::get(format!("{}/health/{check}", server.url)).await.unwrap().status().as_u16()
}

/// Waits until the readiness check returns `status`. Waiting can take a second, because the server reuses the result of
/// a check for a second.
async fn becomes(server: &Server, status: u16) {
    let start = Instant::now();
    while health(server, "ready").await != status {
        assert!(start.elapsed() < Duration::from_secs(30), "the status does not become {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns how many lines of a log contain a text.
fn count(log: &[String], text: &str) -> usize {
    log.iter().filter(|line| line.contains(text)).count()
}

/// Verifies promise D1 (durable): a message that would only be stored in a removed file is not accepted.
#[tokio::test]
async fn while_the_database_file_is_removed_or_replaced_nothing_is_accepted_and_a_restart_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    register(&server, "alice").await;
    register(&server, "bob").await;
    let message = json!({ "recipient": "bob", "contents": "hello" });
    let send = async || ask(&server, "alice", "POST", "/messages", message.clone()).await.0;
    let observed = async || (send().await, health(&server, "live").await);
    becomes(&server, 200).await;
    assert_eq!(observed().await, (201, 200));
    for name in ["woosh.db", "woosh.db-wal"] {
        let (file, elsewhere) = (folder.path().join(name), folder.path().join("elsewhere"));
        fs::rename(&file, &elsewhere).unwrap();
        assert_eq!(observed().await, (503, 503), "{name} was removed");
        becomes(&server, 503).await;
        fs::copy(&elsewhere, &file).unwrap();
        assert_eq!(observed().await, (503, 503), "{name} was replaced");
        fs::rename(&elsewhere, &file).unwrap();
        assert_eq!(observed().await, (201, 200), "{name} was put back");
        becomes(&server, 200).await;
    }
    let refused = json!({ "username": "carol", "password": PASSWORD, "public_key": "", "private_key": "" });
    fs::remove_file(folder.path().join("woosh.db")).unwrap();
    assert_eq!(ask(&server, "alice", "POST", "/users", refused).await.0, 503);
    let log = server.stop();
    assert_eq!((count(&log, "put it back, or restart"), count(&log, "has to be restarted")), (3, 2), "{log:#?}");
}

#[tokio::test]
async fn a_server_whose_writer_is_stuck_is_alive_but_not_ready_and_logs_each_change_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    becomes(&server, 200).await;
    let url = format!("sqlite:{}", folder.path().join("woosh.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    for _ in 0..2 {
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        becomes(&server, 503).await;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            assert_eq!((health(&server, "ready").await, health(&server, "live").await), (503, 200));
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        becomes(&server, 200).await;
    }
    other.close().await.unwrap();
    let log = server.stop();
    assert_eq!((count(&log, "not ready: "), count(&log, "ready again after ")), (2, 2), "{log:#?}");
}
