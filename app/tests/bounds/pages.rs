use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::client::{database, memory, register, request, send};
use crate::support::{PASSWORD, Server, ask};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_page_takes_at_most_1_mib_even_if_every_character_is_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    for _ in 0..6 {
        send(&server, &bob, &"\u{1}".repeat(60_000)).await;
    }
    let (mut after, mut received) = (0, 0);
    loop {
        let path = format!("/v1/mailbox?after={after}");
        let text = request(&server, &alice, Method::GET, &path, &Value::Null).await.text().await.unwrap();
        assert!(text.len() <= MIB, "{} bytes", text.len());
        let page: Value = serde_json::from_str(&text).unwrap();
        received += page["messages"].as_array().unwrap().len();
        after = page["up_to"].as_i64().unwrap();
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(received, 6);
}

#[tokio::test]
async fn a_million_gaps_take_many_pages_and_neither_memory_nor_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let (alice, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    send(&server, &bob, "first").await;
    let mut database = database(folder.path()).await;
    // Messages with even numbers met a full mailbox, and messages with odd numbers expired, so each number is a gap of
    // its own.
    let gaps = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
                INSERT INTO gaps SELECT device_id, 2 * i, 2 * i FROM n, mailboxes WHERE last_sequence = 1";
    database.execute(gaps).await.unwrap();
    database.execute("UPDATE mailboxes SET last_sequence = 2000000 WHERE last_sequence = 1").await.unwrap();
    let before = memory(&server);

    let first = request(&server, &alice, Method::GET, "/v1/mailbox?limit=1", &Value::Null).await;
    let first: Value = first.json().await.unwrap();
    assert_eq!((&first["up_to"], &first["has_more"]), (&json!(1001), &json!(true)));
    let last = request(&server, &alice, Method::GET, "/v1/mailbox?after=1999999", &Value::Null).await;
    let gap = json!({ "first": 2_000_000, "last": 2_000_000, "reason": "mailbox_full" });
    let last: Value = last.json().await.unwrap();
    assert_eq!((&last["messages"], &last["gaps"]), (&json!([]), &json!([gap])));
    assert_eq!((&last["up_to"], &last["has_more"]), (&json!(2_000_000), &json!(false)));

    let reads = join_all((0..16).map(|read| {
        let (server, alice) = (&server, &alice);
        async move {
            let path = format!("/v1/mailbox?limit=1&after={}", read * 100_000);
            let page: Value = request(server, alice, Method::GET, &path, &Value::Null).await.json().await.unwrap();
            assert_eq!(page["gaps"].as_array().map(Vec::len), Some(1000), "{page}");
        }
    }));
    let start = Instant::now();
    reads.await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(memory(&server) < before + 50, "{before} MiB before, {} MiB after", memory(&server));
}

#[tokio::test]
async fn a_classic_poll_of_a_second_with_30_mb_is_complete_and_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let (_, bob) = (register(&server, "alice").await, register(&server, "bob").await);
    send(&server, &bob, "first").await;
    let mut database = database(folder.path()).await;
    let messages = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 467)
         INSERT INTO messages SELECT i, sender, recipient, CAST(hex(zeroblob(32768)) AS BLOB), sent_at, 1, i, NULL
         FROM n, messages WHERE id = 1";
    database.execute(messages).await.unwrap();
    let envelopes = "INSERT INTO envelopes SELECT e.device_id, m.id, m.id, 65536, e.expires_at
                     FROM messages m, envelopes e WHERE m.id > 1 AND e.message_id = 1";
    database.execute(envelopes).await.unwrap();
    database.execute("UPDATE mailboxes SET last_sequence = 467 WHERE last_sequence = 1").await.unwrap();
    // Warms up the server for more than a second. Then the second of the messages is over, and a poll returns all of
    // them.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1100) {
        ask(&server, "bob", "GET", "/messages", Value::Null).await;
    }
    let before = memory(&server);

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}/messages", server.url)).header("x-user-name", "alice");
    let mut response = request.header("x-user-token", PASSWORD).send().await.unwrap();
    let (mut text, mut most) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
        most = most.max(memory(&server));
    }
    let page: Value = serde_json::from_slice(&text).unwrap();
    let messages = page["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 467);
    let query_time = page["query_time"].as_i64().unwrap();
    assert!(messages.iter().all(|message| message["sent_at"].as_i64().unwrap() < query_time));
    assert!(most < before + 15, "{before} MiB before, up to {most} MiB meanwhile");
}
