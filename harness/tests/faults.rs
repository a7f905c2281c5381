//! Verifies promises D1 (durable), D2 (no loss) and D4 (idempotent send) with `woosh-harness faults`, which injects
//! faults while clients send. Also verifies that this command fails if a message is lost or duplicated, or if the
//! server does not serve again.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::time::sleep;
use woosh_harness::Backend;

/// SQL that selects the device of the late recipient, the user mia. This recipient reads nothing until all messages are
/// sent.
const LATE: &str = "(SELECT d.id FROM devices d JOIN users u ON u.id = d.user_id WHERE u.username = 'mia')";
/// Maximum time to wait until the server has stored messages. The test then damages the database file.
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let quick = [
        (
            "sqlite",
            Backend::Sqlite,
            &["killed", "stopped", "read-only", "disk-full", "file-removed", "file-replaced"][..],
        ),
        ("postgres", Backend::Postgres, &["killed", "read-only", "cut", "terminated", "restarted"]),
    ];
    let quick = quick.map(|(group, backend, faults)| {
        let name = "nothing_accepted_is_lost_or_duplicated_under_faults";
        support::trial(group, backend, name, move || pass(backend, faults))
    });
    let wrong = [
        Trial::test("a_run_that_loses_a_message_fails", || fail(lose, " lost")),
        Trial::test("a_run_that_finds_a_message_twice_fails", || fail(duplicate, " 1 duplicated")),
        Trial::test("a_run_whose_server_does_not_serve_again_fails", || {
            fail(destroy, "did not serve again within 15 s")
        }),
        Trial::test("a_fault_that_does_not_apply_to_the_database_is_refused", refuse),
    ];
    libtest_mimic::run(&Arguments::from_args(), quick.into_iter().chain(wrong).collect()).exit();
}

fn faults(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_woosh-harness"));
    command.arg("faults").args(arguments).stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// Verifies promises D1, D2 and D4: runs `woosh-harness faults` with the faults `names`. Under each fault, the server
/// must keep the promises, unless the machine can't produce the fault.
fn pass(backend: Backend, names: &[&str]) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let json = folder.path().join("faults.json");
    let backend = backend.to_string();
    let mut command = faults(&["--seconds", "1", "--database", &backend, "--json", json.to_str().unwrap()]);
    let output = command.args(names.iter().flat_map(|name| ["--only", name])).output()?;
    let printed = text(&output);
    println!("{printed}");
    assert!(output.status.success(), "{printed}");
    let document: Value = serde_json::from_slice(&fs::read(json)?)?;
    let faults = document["faults"].as_array().unwrap();
    assert_eq!(faults.len(), names.len(), "{document}");
    for (fault, name) in faults.iter().zip(names) {
        assert_eq!((&fault["fault"], &fault["database"]), (&Value::from(*name), &Value::from(&*backend)), "{document}");
        match fault["status"].as_str() {
            Some("passed") => {
                assert!(fault["accepted"].as_u64() >= Some(100), "{fault}");
                assert!(fault["answers"]["201"].as_u64() >= Some(100), "{fault}");
                assert_eq!((&fault["lost"], &fault["duplicated"]), (&Value::from(0), &Value::from(0)), "{fault}");
            }
            // The reason is in the output above.
            Some("skipped") => assert!(!fault["reason"].as_str().unwrap().is_empty(), "{fault}"),
            _ => panic!("{fault}"),
        }
    }
    // These need nothing from the machine.
    assert!(["killed", "cut", "file-removed"].iter().any(|name| printed.contains(&format!("{name:<13} passed"))));
    Ok(())
}

/// Runs `woosh-harness faults` with a server that is killed. While no server runs, `spoil` changes the database. Checks
/// that the run fails, and prints `expected` as the reason.
fn fail(spoil: impl AsyncFn(&Path) -> anyhow::Result<()>, expected: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut command = faults(&["--seconds", "8", "--database", "sqlite", "--only", "killed"]);
    let run = command.env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let spoiled = runtime.block_on(async {
        let file = stored_messages(folder.path()).await;
        spoil(&file).await
    });
    let output = run.wait_with_output()?;
    let printed = text(&output);
    println!("{printed}");
    spoiled.map_err(|error| format!("{error:#}"))?;
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("killed        FAILED: ") && printed.contains(expected), "{printed}");
    assert!(printed.contains("0 passed, 1 failed, 0 skipped"), "{printed}");
    Ok(())
}

/// Waits until the mailbox of the late recipient (see `LATE`) has messages, and no server uses the database. Returns
/// the path of the database file.
async fn stored_messages(folder: &Path) -> PathBuf {
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < LIMIT, "no messages are stored");
        sleep(Duration::from_millis(20)).await;
        let folders = fs::read_dir(folder).unwrap().filter_map(Result::ok);
        let Some(file) = folders.map(|folder| folder.path().join("woosh.db")).find(|file| file.exists()) else {
            continue;
        };
        let lock = fs::File::open(file.with_file_name("woosh.db-lock"));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) && stored(&file).await.is_ok_and(|count| count > 10) {
            return file;
        }
    }
}

async fn open(file: &Path) -> sqlx::Result<SqliteConnection> {
    SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(30)).connect().await
}

async fn stored(file: &Path) -> sqlx::Result<i64> {
    let count = format!("SELECT count(*) FROM envelopes WHERE device_id = {LATE}");
    let mut connection = open(file).await?;
    let count = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut connection).await?;
    // The last connection writes the WAL into the file. A connection that is only dropped does so at any time later.
    connection.close().await?;
    Ok(count)
}

async fn run_sql(file: &Path, statements: String) -> anyhow::Result<()> {
    let mut connection = open(file).await?;
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

async fn lose(file: &Path) -> anyhow::Result<()> {
    run_sql(file, format!("DELETE FROM envelopes WHERE device_id = {LATE} AND sequence = 3")).await
}

async fn duplicate(file: &Path) -> anyhow::Result<()> {
    let third = format!("FROM envelopes WHERE device_id = {LATE} AND sequence = 3");
    let statements = format!(
        "UPDATE mailboxes SET last_sequence = last_sequence + 1, pending = pending + 1, bytes = bytes + (SELECT size {third})
         WHERE device_id = {LATE};
         UPDATE messages SET copies = copies + 1 WHERE id = (SELECT message_id {third});
         INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
         SELECT device_id, (SELECT last_sequence FROM mailboxes WHERE device_id = {LATE}), message_id, size, expires_at {third};"
    );
    run_sql(file, statements).await
}

async fn destroy(file: &Path) -> anyhow::Result<()> {
    Ok(fs::write(file, "not a database, and longer than a header".repeat(100))?)
}

fn refuse() -> Result<(), Failed> {
    let output = faults(&["--database", "sqlite", "--only", "cut"]).output()?;
    let printed = text(&output);
    assert!(!output.status.success() && printed.contains("--only names no fault of this database"), "{printed}");
    Ok(())
}
