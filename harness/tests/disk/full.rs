use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use woosh_adapters::database::Database;
use woosh_harness::{Backend, TestDatabase};

use super::fixture::{eventually, registration, start, to};
use super::tmpfs::Tmpfs;

/// Verifies promises D1 and D2 on a full disk. The server has no minimum of free space, so it stores messages until the
/// disk is full.
pub(crate) async fn sqlite(disk: Tmpfs) -> anyhow::Result<()> {
    // Deleting this file makes space.
    let ballast = disk.occupy(16 * 1024 * 1024);
    let server = start(&disk.database(), 0).await?;
    let ((alice, _), (bob, _)) = (server.register("alice").await, server.register("bob").await);
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for round in 0..500 {
        let sends = (0..8).map(async |number| {
            let contents = format!("{round}/{number} {}", "x".repeat(60_000));
            let (status, body) = server.post(&alice, "/v1/messages", &to("bob", &contents)).await;
            (contents, status, body)
        });
        for (contents, status, body) in join_all(sends).await {
            match status {
                201 => accepted.push(contents),
                503 | 507 => refused.push(status),
                _ => panic!("{status}: {body}"),
            }
        }
        // After a while, nothing is left at all.
        if refused.len() > 50 {
            disk.fill();
        }
        if refused.len() > 200 {
            break;
        }
    }
    let with_507 = refused.iter().filter(|status| **status == 507).count();
    println!(
        "{} messages were accepted, {} refused with 507, {} with 503",
        accepted.len(),
        with_507,
        refused.len() - with_507
    );
    assert!(refused.len() > 200, "the disk was not full");
    eventually("unready", async || server.health("ready").await == 503).await;
    assert_eq!(server.health("live").await, 200);
    assert!(matches!(server.post("", "/v1/users", &registration("carol")).await.0, 503 | 507));
    assert_eq!(server.ask(&bob, Method::GET, "/v1/mailbox?limit=1", &Value::Null).await.0, 200);
    let early = server.post(&bob, "/v1/mailbox/ack", &json!({ "up_to": 1 })).await.0;
    println!("an acknowledgement on the full disk gets {early}");
    std::fs::remove_file(ballast)?;
    eventually("ready", async || server.health("ready").await == 200).await;
    assert_eq!(server.post(&bob, "/v1/mailbox/ack", &json!({ "up_to": 1 })).await.0, 200);
    server.stop().await;

    let server = start(&disk.database(), 0).await?;
    let mut received = HashSet::new();
    loop {
        let (status, page) = server.ask(&bob, Method::GET, "/v1/mailbox", &Value::Null).await;
        assert_eq!(status, 200, "{page}");
        let messages = page["messages"].as_array().unwrap();
        let contents = messages.iter().map(|message| message["contents"].as_str().unwrap().to_owned());
        assert!(contents.into_iter().all(|contents| received.insert(contents)), "a message was stored twice");
        assert_eq!(server.post(&bob, "/v1/mailbox/ack", &json!({ "up_to": page["up_to"] })).await.0, 200);
        if page["has_more"] == false {
            break;
        }
    }
    // The first message was acknowledged before.
    let lost = accepted.iter().filter(|contents| !received.contains(*contents)).count();
    assert_eq!((lost, received.len()), (1, accepted.len() - 1));
    assert_eq!(server.post(&alice, "/v1/messages", &to("bob", "hello")).await.0, 201);
    server.stop().await;
    let database = Database::open(&disk.database(), Duration::ZERO).await?;
    assert_eq!(database.sweep_and_audit(None).await.unwrap(), Vec::<String>::new());
    database.close().await;
    Ok(())
}

/// Returns SQL that makes writes to a table fail as on a full disk. Only writes of the kind `write` fail, such as
/// `INSERT`.
fn refuse(write: &str, table: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
         END $$;
         CREATE TRIGGER refuse BEFORE {write} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
}

pub(crate) async fn postgres() -> anyhow::Result<()> {
    let database = TestDatabase::create(Backend::Postgres).await?;
    let server = start(database.url(), 0).await?;
    let mut admin = database.postgres_options().unwrap().connect().await?;
    let ((alice, _), (bob, _)) = (server.register("alice").await, server.register("bob").await);
    for contents in ["one", "two"] {
        assert_eq!(server.post(&alice, "/v1/messages", &to("bob", contents)).await.0, 201);
    }
    for table in ["messages", "users"] {
        sqlx::raw_sql(AssertSqlSafe(refuse("INSERT", table))).execute(&mut admin).await?;
    }
    let message = to("bob", "refused");
    let statuses = join_all((0..20).map(|_| server.post(&alice, "/v1/messages", &message))).await;
    assert!(statuses.iter().all(|(status, _)| *status == 507), "{statuses:?}");
    let classic = json!({ "recipient": "bob", "contents": "refused" });
    for path in ["/v1/users", "/users"] {
        assert_eq!(server.post("", path, &registration("carol")).await.0, 507);
    }
    assert_eq!(server.ask_classic("alice", Method::POST, "/messages", &classic).await.0, 507);
    assert_eq!(server.post(&bob, "/v1/mailbox/ack", &json!({ "up_to": 1 })).await.0, 200);

    sqlx::raw_sql(AssertSqlSafe(refuse("DELETE", "envelopes"))).execute(&mut admin).await?;
    assert_eq!(server.post(&bob, "/v1/mailbox/ack", &json!({ "up_to": 2 })).await.0, 507);
    sqlx::raw_sql("DROP FUNCTION refuse() CASCADE").execute(&mut admin).await?;
    assert_eq!(server.post(&bob, "/v1/mailbox/ack", &json!({ "up_to": 2 })).await.0, 200);
    assert_eq!(server.post(&alice, "/v1/messages", &to("bob", "three")).await.0, 201);
    let (_, page) = server.ask(&bob, Method::GET, "/v1/mailbox", &Value::Null).await;
    let contents: Vec<_> = page["messages"].as_array().unwrap().iter().map(|message| &message["contents"]).collect();
    assert_eq!(contents, ["three"]);
    server.stop().await;
    Ok(())
}
