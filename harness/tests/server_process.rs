//! Tests that server processes can be killed and restarted, and that they stop if the process that started them is
//! killed.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use woosh_harness::client::Device;
use woosh_harness::{Backend, ServerProcess, TestDatabase};

const PROGRAM: &str = env!("CARGO_BIN_EXE_woosh-harness");

/// Verifies promise D1 (durable) of the delivery contract.
#[tokio::test]
async fn a_killed_server_restarts_on_the_same_port_with_its_data() {
    let database = Arc::new(TestDatabase::create(Backend::Sqlite).await.unwrap());
    let mut server = ServerProcess::start(Path::new(PROGRAM), database, 0).await.unwrap();
    let url = server.url();
    let alice = Device::register(&url, "alice").await.unwrap();
    alice.send(&["alice"], "kept").await.unwrap();
    for _ in 0..3 {
        server.kill().await.unwrap();
        assert!(reqwest::get(&url).await.unwrap_err().is_connect());
        server.restart().await.unwrap();
        assert_eq!(server.url(), url);
        assert_eq!(alice.mailbox_page("").await.unwrap().messages.len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_exits_at_startup_is_an_error_with_its_message() {
    let database = Arc::new(TestDatabase::create(Backend::Sqlite).await.unwrap());
    let url = database.url().to_string();
    std::fs::write(url.trim_start_matches("sqlite:"), "not a database, and longer than a header".repeat(100)).unwrap();
    let error = ServerProcess::start(Path::new(PROGRAM), database, 0).await.err().unwrap();
    assert!(error.to_string().contains("is not a SQLite database"), "{error:#}");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let database = Arc::new(TestDatabase::create(Backend::Sqlite).await.unwrap());
    let error = ServerProcess::start(Path::new(PROGRAM), database, port).await.err().unwrap();
    assert!(error.to_string().contains(&port.to_string()), "{error:#}");
}

#[test]
fn servers_stop_if_the_process_that_started_them_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = Command::new(PROGRAM)
        .args(["kill", "--seconds", "60"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("a server runs", || processes_for(folder.path()).iter().any(|command| command.contains("serve")));
    harness.kill().unwrap();
    harness.wait().unwrap();
    wait_until("no process is left", || processes_for(folder.path()).is_empty());
    wait_until("no file is left", || std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the command lines of the processes whose environment variables contain the path of the folder.
fn processes_for(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|process| process.path());
    let read = |path: &Path, name: &str| {
        std::fs::read(path.join(name)).map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    processes
        .filter(|path| read(path, "environ").is_ok_and(|environment| environment.contains(folder)))
        .filter_map(|path| read(&path, "cmdline").ok())
        .collect()
}
