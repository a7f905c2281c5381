//! Servers as processes: they can be killed and come back, and go with whoever started them.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use woosh_harness::client::Device;
use woosh_harness::{Backend, ServerProcess, TestDatabase};

const PROGRAM: &str = env!("CARGO_BIN_EXE_woosh-harness");

#[tokio::test]
async fn a_killed_server_is_gone_and_comes_back_with_its_data_where_it_was() {
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
async fn a_server_that_ends_at_the_start_is_an_error_with_what_it_said() {
    let database = Arc::new(TestDatabase::create(Backend::Sqlite).await.unwrap());
    let url = database.url().to_string();
    std::fs::write(url.trim_start_matches("sqlite:"), "something else, and long enough to be looked at".repeat(100))
        .unwrap();
    let error = ServerProcess::start(Path::new(PROGRAM), database, 0).await.err().unwrap();
    assert!(error.to_string().contains("is not a SQLite database"), "{error:#}");
}

#[tokio::test]
async fn a_port_that_is_in_use_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let database = Arc::new(TestDatabase::create(Backend::Sqlite).await.unwrap());
    let error = ServerProcess::start(Path::new(PROGRAM), database, port).await.err().unwrap();
    assert!(error.to_string().contains(&port.to_string()), "{error:#}");
}

#[test]
fn servers_go_when_whoever_started_them_is_killed() {
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
    wait_until("all are gone", || processes_for(folder.path()).is_empty());
    wait_until("no file is left", || std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "it does not come to it that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The commands of the processes that have the folder for their temporary files.
fn processes_for(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|process| process.path());
    let text = |path: &Path, name: &str| {
        std::fs::read(path.join(name)).map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    processes
        .filter(|path| text(path, "environ").is_ok_and(|environment| environment.contains(folder)))
        .filter_map(|path| text(&path, "cmdline").ok())
        .collect()
}
