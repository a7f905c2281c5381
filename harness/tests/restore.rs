//! Verifies restores from a backup on every backend. A client that has seen messages that are missing from the backup
//! must get an error. Afterwards, the client must be able to continue to read.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use clap::Parser as _;
use libtest_mimic::{Arguments, Failed};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use woosh_harness::client::{Device, try_send};
use woosh_harness::{Backend, TestDatabase, TestServer};
use woosh_server::cli::Cli;

fn main() {
    let name = "clients_that_are_ahead_of_a_restored_backup_are_told_and_can_go_on";
    let trial = |backend: Backend| support::trial(&backend.to_string(), backend, name, move || run(backend));
    libtest_mimic::run(&Arguments::from_args(), vec![trial(Backend::Sqlite), trial(Backend::Postgres)]).exit();
}

fn run(backend: Backend) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(restore(backend)).map_err(|error| format!("{error:#}").into())
}

async fn restore(backend: Backend) -> anyhow::Result<()> {
    let database = Arc::new(TestDatabase::create(backend).await?);
    let server = TestServer::start_on(database.clone(), 0).await?;
    let (alice, bob) = (Device::register(server.url(), "alice").await?, Device::register(server.url(), "bob").await?);
    send(&alice, &["one", "two"]).await?;
    let backup = Backup::take(&database).await?;
    send(&alice, &["three", "four"]).await?;
    let seen = bob.mailbox_page("").await?;
    assert_eq!((seen.up_to, seen.acknowledged), (4, 0));

    drop(server);
    backup.restore(&database).await?;
    let url =
        database.postgres_options().map_or_else(|| database.url().to_string(), |options| options.to_url_lossy().into());
    // Repeating the command does no harm.
    for _ in 0..2 {
        Cli::try_parse_from(["woosh-server", "restored", "--database", &url, "--allow-fsync-off", "true"])?
            .run()
            .await?;
    }

    let server = TestServer::start_on(database.clone(), 0).await?;
    let (alice, bob) = (alice.at(server.url()), bob.at(server.url()));
    // The old cursor is refused both before and after the mailbox has assigned its number again.
    for newest in 2..7 {
        let incarnation = refused(&bob, &seen.incarnation, newest).await;
        let query = format!("?after=0&incarnation={incarnation}");
        assert_eq!(bob.mailbox_page(&query).await?.up_to, newest);
        send(&alice, &["after the restore"]).await?;
    }
    // Without the incarnation, the number is accepted once the mailbox has reached it.
    assert_eq!(bob.mailbox_page("?after=4").await?.messages.len(), 3);
    let page = bob.mailbox_page("").await?;
    let (status, _) = try_send(bob.acknowledge_request(page.up_to, Some(&page.incarnation))).await.unwrap();
    assert_eq!(status, 200);
    Ok(())
}

/// Sends messages to bob.
async fn send(from: &Device, texts: &[&str]) -> anyhow::Result<()> {
    for text in texts {
        from.send(&["bob"], text).await?;
    }
    Ok(())
}

/// Asserts that the server refuses requests with the incarnation `old`, which is from before the restore. Returns the
/// new incarnation, which the server's error responses contain.
async fn refused(reader: &Device, old: &str, newest: i64) -> String {
    let cursor = format!("?after=4&incarnation={old}");
    let stream = reader.stream_request("").header("Last-Event-ID", format!("{old}-4"));
    let mut incarnations = Vec::new();
    for request in [
        reader.page_request(&cursor),
        reader.page_request(&format!("{cursor}&wait=30")),
        reader.stream_request(&cursor),
        stream,
        reader.acknowledge_request(4, Some(old)),
        reader.acknowledge_request(1, Some(old)),
    ] {
        let (status, problem) = try_send(request).await.unwrap();
        assert_eq!((status, &problem["code"]), (409, &json!("mailbox_restored")), "{problem}");
        assert_eq!((&problem["acknowledged"], &problem["newest"]), (&json!(0), &json!(newest)), "{problem}");
        incarnations.push(problem["incarnation"].clone());
    }
    assert!(incarnations.iter().all(|incarnation| *incarnation == incarnations[0]), "{incarnations:?}");
    let Value::String(incarnation) = incarnations.remove(0) else { panic!("the incarnation is not a string") };
    assert_ne!(incarnation, old);
    incarnation
}

/// A backup of a running server's database.
enum Backup {
    /// On SQLite: a copy of the database file, made by SQLite.
    Sqlite(tempfile::TempPath),
    /// On Postgres: copies of all tables, in the schema `backup` of the same database.
    Postgres,
}

impl Backup {
    async fn take(database: &TestDatabase) -> anyhow::Result<Self> {
        if let Some(options) = database.postgres_options() {
            let copy = |table: &String| format!("CREATE TABLE backup.{table} AS TABLE public.{table};");
            run_sql(options, |tables| {
                "CREATE SCHEMA backup;".to_owned() + &tables.iter().map(copy).collect::<String>()
            })
            .await?;
            return Ok(Self::Postgres);
        }
        let path = tempfile::NamedTempFile::new()?.into_temp_path();
        let mut connection = SqliteConnection::connect(&database.url().to_string()).await?;
        // `VACUUM INTO` accepts an existing file only if the file is empty, as this one is.
        sqlx::query("VACUUM INTO ?1").bind(path.to_str()).execute(&mut connection).await?;
        connection.close().await?;
        Ok(Self::Sqlite(path))
    }

    async fn restore(self, database: &TestDatabase) -> anyhow::Result<()> {
        match (self, database.postgres_options()) {
            (Self::Sqlite(backup), _) => {
                let url = database.url().to_string();
                std::fs::copy(backup, url.strip_prefix("sqlite:").unwrap())?;
            }
            (Self::Postgres, Some(options)) => {
                let fill = |table: &String| {
                    format!("INSERT INTO public.{table} OVERRIDING SYSTEM VALUE SELECT * FROM backup.{table};")
                };
                run_sql(options, |tables| {
                    format!("TRUNCATE {};", tables.join(", ")) + &tables.iter().map(fill).collect::<String>()
                })
                .await?;
            }
            (Self::Postgres, None) => unreachable!("the backup is of the same database"),
        }
        Ok(())
    }
}

/// Runs SQL statements in one transaction. `statements` receives the names of all tables, each table after the tables
/// that it refers to, and returns the statements.
async fn run_sql(options: PgConnectOptions, statements: impl Fn(&[String]) -> String) -> anyhow::Result<()> {
    let mut connection = options.connect().await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY oid",
    )
    .fetch_all(&mut connection)
    .await?;
    sqlx::raw_sql(AssertSqlSafe(statements(&tables))).execute(&mut connection).await?;
    Ok(connection.close().await?)
}
