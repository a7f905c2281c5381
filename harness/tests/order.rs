//! Verifies promise D3 (order) of the delivery contract: after a reader has seen a sequence number, no lower number
//! appears, even if one send overtakes another.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use libtest_mimic::{Arguments, Failed};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::sleep;
use woosh_harness::client::{Device, MailboxPage, try_send};
use woosh_harness::{Backend, TestDatabase, TestServer};

const SENDERS: usize = 32;
const MESSAGES: usize = 25;
const TOTAL: i64 = (SENDERS * MESSAGES) as i64;
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let targets =
        [("sqlite", Backend::Sqlite, 1), ("postgres", Backend::Postgres, 1), ("two_replicas", Backend::Postgres, 2)];
    let name = "no_sequence_number_appears_below_one_that_a_reader_has_seen";
    let mut trials: Vec<_> = targets
        .map(|(group, backend, replicas)| support::trial(group, backend, name, move || run(race(backend, replicas))))
        .into();
    let name = "an_acknowledgement_that_waits_for_a_send_deletes_what_it_reports";
    trials.push(support::trial("postgres", Backend::Postgres, name, || run(acknowledge_ahead())));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run(test: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(test).map_err(|error| format!("{error:#}").into())
}

/// Verifies promise D3 (order) of the delivery contract: reads a mailbox while many senders send to it concurrently.
async fn race(backend: Backend, replicas: usize) -> anyhow::Result<()> {
    let database = Arc::new(TestDatabase::create(backend).await?);
    let mut servers = Vec::new();
    for _ in 0..replicas {
        servers.push(TestServer::start_on(database.clone(), 0).await?);
    }
    let urls: Vec<_> = servers.iter().map(|server| server.url().to_owned()).collect();
    // A send locks mailboxes in the order of their devices: alice's first, then zoe's.
    let alice = Device::register(&urls[0], "alice").await?;
    let zoe = Device::register(&urls[0], "zoe").await?;
    let names: Vec<_> = (0..SENDERS).map(|number| format!("sender-{number}")).collect();
    let mut senders = Vec::new();
    for name in &names {
        senders.push(Device::register(&urls[0], name).await?);
    }

    let done = AtomicBool::new(false);
    let sending = async {
        join_all(senders.iter().enumerate().map(|(number, sender)| send_all(sender, number, &urls))).await;
        done.store(true, Ordering::Relaxed);
    };
    let holding = async {
        match database.postgres_options() {
            Some(options) => hold_lock(options, zoe.id(), &done).await,
            None => Ok(0),
        }
    };
    let (locks, pages, rereads, ()) = tokio::join!(holding, follow(&alice, &urls), reread(&alice, &urls), sending);
    println!(
        "{backend}, {replicas} servers: {TOTAL} messages in {pages} pages, reread {rereads} times, locked {} times",
        locks?
    );
    Ok(())
}

/// Verifies promises D2 (no loss) and D5 (idempotent acknowledge) of the delivery contract: acknowledges a sequence
/// number while the send that takes this number is being committed.
async fn acknowledge_ahead() -> anyhow::Result<()> {
    let database = Arc::new(TestDatabase::create(Backend::Postgres).await?);
    let server = TestServer::start_on(database.clone(), 0).await?;
    let url = server.url();
    let alice = Device::register(url, "alice").await?;
    let zoe = Device::register(url, "zoe").await?;
    let options = database.postgres_options().unwrap();
    let (mut holder, mut watch) = (options.connect().await?, options.connect().await?);

    let mut transaction = holder.begin().await?;
    lock(&mut transaction, zoe.id()).await?;
    let sending = async { zoe.send(&["alice", "zoe"], "foo").await.unwrap() };
    let acknowledging = async {
        wait_for_blocked(&mut watch, 1).await;
        try_send(alice.acknowledge_request(1, None)).await.unwrap()
    };
    let releasing = async {
        let mut watch = options.connect().await.unwrap();
        wait_for_blocked(&mut watch, 2).await;
        transaction.commit().await.unwrap();
    };
    let ((), (status, answer), ()) = tokio::join!(sending, acknowledging, releasing);
    // The acknowledgement either fails because the message does not exist yet, or deletes the message.
    let page = alice.mailbox_page("?after=0").await?;
    let remaining = page.messages.len();
    assert_eq!(
        (remaining, page.acknowledged),
        if status == 200 { (0, 1) } else { (1, 0) },
        "{status} {answer}, then {page:?}"
    );
    Ok(())
}

async fn wait_for_blocked(connection: &mut sqlx::PgConnection, count: i64) {
    let start = Instant::now();
    loop {
        let blocked: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        if blocked >= count {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{blocked} connections are blocked");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn lock(connection: &mut sqlx::PgConnection, mailbox: i64) -> sqlx::Result<()> {
    sqlx::query("SELECT FROM mailboxes WHERE device_id = $1 FOR UPDATE").bind(mailbox).execute(connection).await?;
    Ok(())
}

/// Sends messages to alice. If `sender_number` is even, also sends each message to zoe.
async fn send_all(sender: &Device, sender_number: usize, urls: &[String]) {
    let recipients: &[&str] = if sender_number.is_multiple_of(2) { &["alice", "zoe"] } else { &["alice"] };
    for number in 0..MESSAGES {
        sender
            .at(&urls[(sender_number / 2 + number) % urls.len()])
            .send(recipients, &number.to_string())
            .await
            .unwrap();
    }
}

/// Locks zoe's mailbox repeatedly, until `done` is true. A send to both alice and zoe then has to wait, and holds the
/// lock of alice's mailbox meanwhile. Returns how often this function locked zoe's mailbox.
async fn hold_lock(options: PgConnectOptions, zoe: i64, done: &AtomicBool) -> sqlx::Result<u32> {
    let mut connection = options.connect().await?;
    let mut locks = 0;
    while !done.load(Ordering::Relaxed) {
        let mut transaction = connection.begin().await?;
        lock(&mut transaction, zoe).await?;
        sleep(Duration::from_millis(20 + 7 * u64::from(locks % 5))).await;
        transaction.commit().await?;
        locks += 1;
        sleep(Duration::from_millis(15)).await;
    }
    Ok(locks)
}

/// Reads the mailbox page by page, without pauses, until it has received all [`TOTAL`] messages. Each read goes to the
/// next of the URLs, and after the last URL to the first one again. Panics if a sequence number is missing, or if this
/// takes longer than [`LIMIT`]. Returns the number of pages.
async fn follow(reader: &Device, urls: &[String]) -> usize {
    let (start, mut seen, mut pages) = (Instant::now(), 0, 0);
    while seen < TOTAL {
        let page =
            reader.at(&urls[pages % urls.len()]).mailbox_page(&format!("?after={seen}&limit=1000")).await.unwrap();
        assert_gapless(&page, seen);
        seen = page.up_to;
        pages += 1;
        assert!(start.elapsed() < LIMIT, "received only {seen} messages");
    }
    pages
}

/// Reads the whole mailbox from its start, again and again, until it contains all [`TOTAL`] messages. Each read goes to
/// the next of the URLs, and after the last URL to the first one again. Returns the number of reads.
async fn reread(reader: &Device, urls: &[String]) -> usize {
    let (start, mut seen, mut times) = (Instant::now(), 0, 0);
    while seen < TOTAL {
        let page = reader.at(&urls[times % urls.len()]).mailbox_page("?after=0&limit=1000").await.unwrap();
        assert_gapless(&page, 0);
        assert!(page.up_to >= seen, "{} to {seen} disappeared", page.up_to + 1);
        seen = page.up_to;
        times += 1;
        assert!(start.elapsed() < LIMIT, "received only {seen} messages");
    }
    times
}

fn assert_gapless(page: &MailboxPage, after: i64) {
    let sequences: Vec<_> = page.messages.iter().map(|message| message.sequence).collect();
    let expected: Vec<_> = (after + 1..).take(sequences.len()).collect();
    assert_eq!(sequences, expected, "after {after}");
    assert_eq!((page.gaps, page.has_more, page.up_to), (0, false, after + sequences.len() as i64));
}
