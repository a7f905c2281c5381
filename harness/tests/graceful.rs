//! Verifies promise D8 (prompt) of the delivery contract at shutdown: a server that stops ends all long polls and
//! streams.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::{join_all, try_join_all};
use libtest_mimic::Arguments;
use tokio::task::JoinHandle;
use woosh_harness::client::Device;
use woosh_harness::{Backend, ServerProcess, TestDatabase};

const READERS: usize = 10;

fn main() {
    let name = "a_server_that_shuts_down_answers_waiting_readers_and_exits_promptly";
    let trials = [("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)].map(|(group, backend)| {
        support::trial(group, backend, name, move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(stop(backend)).map_err(|error| format!("{error:#}").into())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

/// Verifies promise D8 (prompt) of the delivery contract: a stopping server ends all long polls and streams at once.
async fn stop(backend: Backend) -> anyhow::Result<()> {
    let database = Arc::new(TestDatabase::create(backend).await?);
    let program = Path::new(env!("CARGO_BIN_EXE_woosh-harness"));
    let mut server = ServerProcess::start(program, database, 0).await?;
    let url = server.url();
    let alice = Device::register(&url, "alice").await?;
    let devices = try_join_all((0..READERS).map(|_| alice.another())).await?;

    let mut polls: Vec<JoinHandle<_>> = Vec::new();
    for device in devices {
        let url = url.clone();
        polls.push(tokio::spawn(async move { device.at(&url).mailbox_page("?wait=50").await }));
    }
    let mut streams = try_join_all((0..READERS).map(|_| alice.stream(""))).await?;
    // Gives the polls time to start waiting, and more time on a busy machine.
    for _ in 0..10 {
        alice.mailbox_page("").await?;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(polls.iter_mut().all(|poll| poll.now_or_never().is_none()));

    let start = Instant::now();
    let status = server.terminate().await?;
    let took = start.elapsed();
    println!("{backend}: exited after {took:?} with {READERS} long polls and {READERS} streams");
    assert!(status.success(), "{status}");
    // Requests that do not end have ten seconds.
    assert!(took < Duration::from_secs(9), "shutting down took {took:?}");
    for poll in join_all(polls).await {
        let page = poll??;
        assert_eq!((page.messages.len(), page.gaps, page.up_to), (0, 0, 0));
    }
    for stream in &mut streams {
        assert_eq!(stream.next().await?, None);
    }
    Ok(())
}
