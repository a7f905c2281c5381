//! Verifies that reads skip the remains of deleted envelopes, which Postgres keeps while a long transaction runs, such
//! as a backup.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::time::sleep;
use woosh_harness::client::Device;
use woosh_harness::{Backend, TestDatabase, TestServer};

const MESSAGES: i64 = 300;
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let name = "an_empty_read_passes_no_acknowledged_envelope";
    let trial = support::trial("postgres", Backend::Postgres, name, || run(read_under_a_snapshot()));
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

fn run(test: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(test).map_err(|error| format!("{error:#}").into())
}

/// Returns how often the index of the envelopes by sequence number was scanned, and how many of its entries were read.
async fn scans(connection: &mut PgConnection) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as("SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'envelopes_pkey'")
        .fetch_one(connection)
        .await
}

async fn read_under_a_snapshot() -> anyhow::Result<()> {
    let database = Arc::new(TestDatabase::create(Backend::Postgres).await?);
    let server = TestServer::start_on(database.clone(), 0).await?;
    let (alice, bob) = (Device::register(server.url(), "alice").await?, Device::register(server.url(), "bob").await?);
    let options = database.postgres_options().unwrap();
    let (mut snapshot, mut statistics) = (options.connect().await?, options.connect().await?);
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users").execute(&mut snapshot).await?;
    for _ in 0..MESSAGES {
        bob.send(&["alice"], "hello").await?;
    }
    assert_eq!(alice.acknowledge_request(MESSAGES, None).send().await?.status(), 200);

    // Postgres updates the statistics of a connection about once a second.
    let start = Instant::now();
    let (mut scans_before, mut entries_before) = (0, 0);
    for round in 0..2 {
        let first = scans(&mut statistics).await?;
        loop {
            let page = alice.mailbox_page("").await?;
            assert_eq!((page.messages.len(), page.up_to), (0, MESSAGES));
            let (scans, entries) = scans(&mut statistics).await?;
            if scans > first.0 + 20 && start.elapsed() > Duration::from_secs(3 * (round + 1)) {
                if round == 1 {
                    let (scans, entries) = (scans - scans_before, entries - entries_before);
                    assert!(entries < scans * 5, "{scans} scans of {entries} entries");
                }
                (scans_before, entries_before) = (scans, entries);
                break;
            }
            assert!(start.elapsed() < LIMIT, "no statistics");
            sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
