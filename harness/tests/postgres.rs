//! Tests that the harness finds or starts Postgres, and leaves no databases, processes or files behind.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use woosh_harness::{Backend, TestDatabase};

fn main() {
    let trial = |name, test: fn() -> Result<(), Failed>| support::trial("postgres", Backend::Postgres, name, test);
    let trials = vec![
        trial(
            "databases_on_a_configured_server_are_dropped_at_exit_or_by_a_later_run_after_a_crash",
            on_configured_server,
        ),
        trial("a_server_started_from_installed_programs_stops_with_its_harness", on_started_server),
        trial("an_unreachable_configured_server_is_an_error_without_a_fallback", on_unreachable_server),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn command(count: usize) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_woosh-harness"));
    command.args(["start", "--backend", "postgres", "--count", &count.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until the harness process `child` has started its Woosh servers.
fn wait_until_started(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(r#""backend":"postgres""#), "{line}");
}

fn stderr(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

async fn databases(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(r"SELECT datname::text FROM pg_database WHERE datname LIKE 'woosh\_test\_%' ORDER BY 1")
        .fetch_all(connection)
        .await
        .unwrap()
}

fn on_configured_server() -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        // Any Postgres server will do, so the test uses the server of this process.
        let database = TestDatabase::create(Backend::Postgres).await.map_err(|error| format!("{error:#}"))?;
        let admin: PgConnectOptions = database.postgres_options().unwrap().database("postgres");
        let url = admin.to_url_lossy().to_string();
        let mut connection = admin.connect().await?;
        let before = databases(&mut connection).await;
        assert_eq!(before.len(), 1);
        let start = |count| command(count).env("WOOSH_TEST_POSTGRES_URL", &url).spawn().unwrap();

        let mut child = start(2);
        wait_until_started(&mut child);
        assert_eq!(databases(&mut connection).await.len(), 3);
        drop(child.stdin.take());
        assert!(child.wait()?.success());
        assert!(stderr(&mut child).contains("Postgres from WOOSH_TEST_POSTGRES_URL"));
        assert_eq!(databases(&mut connection).await, before);

        let mut child = start(2);
        wait_until_started(&mut child);
        child.kill()?;
        child.wait()?;
        let leftover = databases(&mut connection).await;
        assert_eq!(leftover.len(), 3);

        // A later run drops a database only after Postgres has noticed that the connection of the database's owner is
        // closed. So the test starts runs until then.
        let start_of_sweep = Instant::now();
        while databases(&mut connection).await != before {
            assert!(
                start_of_sweep.elapsed() < Duration::from_secs(30),
                "not dropped: {:?}",
                databases(&mut connection).await
            );
            let mut child = start(1);
            wait_until_started(&mut child);
            drop(child.stdin.take());
            assert!(child.wait()?.success());
        }
        Ok(())
    })
}

fn on_started_server() -> Result<(), Failed> {
    for signal in ["TERM", "KILL"] {
        let mut child =
            command(1).env_remove("WOOSH_TEST_POSTGRES_URL").env("DOCKER_HOST", "unix:///nowhere").spawn()?;
        wait_until_started(&mut child);
        let folders: Vec<_> = children(child.id()).into_iter().filter_map(|id| working_folder(&id)).collect();
        let [folder] = folders.as_slice() else { panic!("Postgres runs in {folders:?}") };
        assert!(folder.join("data/PG_VERSION").exists());
        let killed = Command::new("/bin/sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status()?;
        assert!(killed.success());
        child.wait()?;
        assert!(stderr(&mut child).contains("Postgres from the programs in"));
        let start = Instant::now();
        while folder.exists() || processes_in(folder) > 0 {
            assert!(start.elapsed() < Duration::from_secs(10), "{signal}: {} processes left", processes_in(folder));
        }
    }
    Ok(())
}

fn on_unreachable_server() -> Result<(), Failed> {
    let mut child = command(1).env("WOOSH_TEST_POSTGRES_URL", "postgres://woosh@127.0.0.1:1/woosh").spawn()?;
    assert!(!child.wait()?.success());
    let text = stderr(&mut child);
    assert!(text.contains("WOOSH_TEST_POSTGRES_URL does not answer"), "{text}");
    Ok(())
}

/// Returns the child processes of a process.
fn children(id: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).unwrap().filter_map(Result::ok);
    let ids = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    ids.flat_map(|ids| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn working_folder(id: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{id}/cwd")).ok().filter(|folder| folder.join("data").exists())
}

fn processes_in(folder: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| std::fs::read_link(process.path().join("cwd")).ok())
        .filter(|cwd| cwd.starts_with(folder))
        .count()
}
