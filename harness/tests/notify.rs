//! Verifies promise D8 (prompt) of the delivery contract: a waiting reader receives a message promptly on any replica.
//! Also verifies that waiting readers cost almost nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use libtest_mimic::{Arguments, Failed};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use woosh_harness::client::{Device, Message};
use woosh_harness::{Backend, ServerProcess, TestDatabase, TestServer};

/// Maximum delay of a message whose notification is lost.
const MAX_DELAY: Duration = Duration::from_secs(10);

fn main() {
    let prompt = "a_waiting_reader_gets_a_message_promptly";
    let trial = |group, backend, name, test: fn() -> BoxFuture<'static, anyhow::Result<()>>| {
        support::trial(group, backend, name, move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(test()).map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    let trials = vec![
        trial("sqlite", Backend::Sqlite, prompt, || Box::pin(prompt_delivery(Backend::Sqlite, 1))),
        trial("postgres", Backend::Postgres, prompt, || Box::pin(prompt_delivery(Backend::Postgres, 1))),
        trial("two_replicas", Backend::Postgres, prompt, || Box::pin(prompt_delivery(Backend::Postgres, 2))),
        trial("two_replicas", Backend::Postgres, "a_lost_notification_delays_a_message_and_does_not_lose_it", || {
            Box::pin(lost_notifications())
        }),
        trial(
            "postgres",
            Backend::Postgres,
            "a_message_notifies_only_its_own_readers_and_waiting_readers_hold_no_connection",
            || Box::pin(many_readers()),
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Two readers that wait on the first server, one with a long poll and one with a stream, and a sender that uses the
/// last server.
struct Fixture {
    database: Arc<TestDatabase>,
    servers: Vec<TestServer>,
    sender: Device,
    received: mpsc::UnboundedReceiver<(Instant, Message)>,
    readers: JoinSet<()>,
}

/// How long a send took, and how long until a reader received the message.
struct Delay {
    /// The time from the sender's request to the 201 response.
    response: Duration,
    /// The time from the 201 response until the reader received the message. Zero if the message arrived before the
    /// response.
    after_response: Duration,
    /// The time from the sender's request until the reader received the message.
    after_request: Duration,
}

impl Fixture {
    async fn start(backend: Backend, replicas: usize) -> anyhow::Result<Self> {
        let database = Arc::new(TestDatabase::create(backend).await?);
        let mut servers = Vec::new();
        for _ in 0..replicas {
            servers.push(TestServer::start_on(database.clone(), 0).await?);
        }
        let url = servers[0].url().to_owned();
        let sender = Device::register(&url, "sender").await?;
        let (messages, received) = mpsc::unbounded_channel();
        let mut readers = JoinSet::new();
        readers.spawn(poll(Device::register(&url, "poller").await?, url.clone(), messages.clone()));
        readers.spawn(follow(Device::register(&url, "follower").await?, url, messages));
        Ok(Self { database, servers, sender, received, readers })
    }

    /// Stops the readers, and then the servers. In another order, the readers would panic.
    async fn end(mut self) {
        self.readers.shutdown().await;
    }

    /// Sends a message and waits until a reader has received it. Returns the delay.
    async fn send(&mut self, number: usize) -> anyhow::Result<Delay> {
        let recipient = if number.is_multiple_of(2) { "poller" } else { "follower" };
        let contents = format!("{recipient} {number}");
        let requested = Instant::now();
        self.sender.at(self.servers.last().unwrap().url()).send(&[recipient], &contents).await?;
        let responded = Instant::now();
        let (received_at, message) = timeout(MAX_DELAY, self.received.recv()).await?.unwrap();
        assert_eq!(message.contents, contents);
        Ok(Delay {
            response: responded - requested,
            after_response: received_at.saturating_duration_since(responded),
            after_request: received_at - requested,
        })
    }

    /// Sends messages one after another, each to a waiting reader. Panics if the readers do not receive them promptly.
    /// The limits are longer if the sends themselves take long. On a busy machine, sends fewer than `messages`.
    async fn ensure_prompt(&mut self, messages: usize) -> anyhow::Result<()> {
        let (start, mut delays) = (Instant::now(), Vec::new());
        for number in 0..messages {
            if number >= 20 && start.elapsed() > MAX_DELAY {
                break;
            }
            delays.push(self.send(number).await?);
            sleep(Duration::from_millis(5)).await;
        }
        let (median, p99) = quantiles(delays.iter().map(|delay| delay.after_response));
        let (busy, _) = quantiles(delays.iter().map(|delay| delay.response));
        let since_request = quantiles(delays.iter().map(|delay| delay.after_request));
        println!(
            "{}, {} servers: received {median:.1?} (p99 {p99:.1?}) after the 201, {:.1?} (p99 {:.1?}) after the request",
            self.database.backend(),
            self.servers.len(),
            since_request.0,
            since_request.1
        );
        assert!(median < Duration::from_millis(50) + 2 * busy, "the median is {median:?}, and {busy:?} for sends");
        assert!(p99 < Duration::from_millis(500) + 20 * busy, "the 99th percentile is {p99:?}, and {busy:?} for sends");
        Ok(())
    }
}

/// Returns the median and the 99th percentile of the durations.
fn quantiles(durations: impl Iterator<Item = Duration>) -> (Duration, Duration) {
    let mut sorted: Vec<_> = durations.collect();
    sorted.sort_unstable();
    (sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100])
}

async fn poll(reader: Device, url: String, messages: mpsc::UnboundedSender<(Instant, Message)>) {
    let mut after = 0;
    loop {
        let page = reader.at(&url).mailbox_page(&format!("?wait=50&after={after}")).await.unwrap();
        let now = Instant::now();
        after = page.up_to;
        page.messages.into_iter().for_each(|message| messages.send((now, message)).unwrap());
    }
}

async fn follow(reader: Device, url: String, messages: mpsc::UnboundedSender<(Instant, Message)>) {
    let mut events = reader.at(&url).stream("").await.unwrap();
    while let Some(message) = events.next().await.unwrap() {
        messages.send((Instant::now(), message)).unwrap();
    }
}

/// Verifies promise D8 (prompt) of the delivery contract.
async fn prompt_delivery(backend: Backend, replicas: usize) -> anyhow::Result<()> {
    let mut fixture = Fixture::start(backend, replicas).await?;
    fixture.ensure_prompt(300).await?;
    fixture.end().await;
    Ok(())
}

/// Verifies promise D8 (prompt) of the delivery contract: a lost notification delays a message, but does not lose it.
async fn lost_notifications() -> anyhow::Result<()> {
    let mut fixture = Fixture::start(Backend::Postgres, 2).await?;
    let options = fixture.database.postgres_options().unwrap();
    let name = options.get_database().unwrap().to_owned();
    let mut connection = options.connect().await?;
    let mut admin = options.database("postgres").connect().await?;
    fixture.ensure_prompt(20).await?;

    let mut worst = Duration::ZERO;
    for number in 0..20 {
        disconnect(&mut connection).await?;
        worst = worst.max(fixture.send(number).await?.after_response);
    }
    println!("disconnected 20 times: received at most {worst:.1?} after the 201");
    wait_for_listeners(&mut connection).await?;
    fixture.ensure_prompt(50).await?;

    // Without permission to connect, the servers can't reconnect immediately.
    allow_connections(&mut admin, &name, false).await?;
    disconnect(&mut connection).await?;
    let delay = fixture.send(0).await?.after_response;
    println!("disconnected without reconnecting: received {delay:.1?} after the 201");
    allow_connections(&mut admin, &name, true).await?;
    wait_for_listeners(&mut connection).await?;
    fixture.ensure_prompt(50).await?;
    fixture.end().await;
    Ok(())
}

/// Terminates the database connections with which the servers send and receive notifications.
async fn disconnect(connection: &mut PgConnection) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut ended = 0;
    while ended == 0 {
        let terminated: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND (query ILIKE 'LISTEN%' OR query ILIKE '%NOTIFY%')
               AND pid <> pg_backend_pid()",
        )
        .fetch_all(&mut *connection)
        .await?;
        ended = terminated.len();
        assert!(start.elapsed() < MAX_DELAY, "no connection listens");
    }
    Ok(())
}

async fn allow_connections(admin: &mut PgConnection, database: &str, allowed: bool) -> sqlx::Result<()> {
    let statement = AssertSqlSafe(format!("ALTER DATABASE {database} WITH ALLOW_CONNECTIONS {allowed}"));
    sqlx::raw_sql(statement).execute(admin).await?;
    Ok(())
}

async fn wait_for_listeners(connection: &mut PgConnection) -> anyhow::Result<()> {
    let start = Instant::now();
    while listeners(connection).await? < 2 {
        assert!(start.elapsed() < MAX_DELAY, "the servers did not listen again");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn listeners(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'",
    )
    .fetch_one(connection)
    .await
}

/// Returns how many database connections the servers have, and how many of these connections have been active after
/// `since`, in seconds since the Unix epoch.
async fn activity(connection: &mut PgConnection, since: f64) -> sqlx::Result<(i64, i64)> {
    sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE state_change > to_timestamp($1)) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'woosh-server'",
    )
    .bind(since)
    .fetch_one(connection)
    .await
}

async fn now(connection: &mut PgConnection) -> sqlx::Result<f64> {
    sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::float8").fetch_one(connection).await
}

/// Verifies promise D8 (prompt) of the delivery contract with many readers, which need few database connections.
async fn many_readers() -> anyhow::Result<()> {
    const READERS: usize = 500;
    const USERS: usize = 20;
    /// Number of database connections of the server: those of its pool, and two for notifications.
    const CONNECTIONS: i64 = 16 + 2;
    /// Maximum number of database connections that may be active while one message is sent and received. The message
    /// uses six, a sweep three, and a poll for lost notifications one. A pool uses idle connections in rotation. So if
    /// all readers were notified, their reads would use all connections.
    const MAX_ACTIVE: i64 = 10;

    let database = Arc::new(TestDatabase::create(Backend::Postgres).await?);
    let mut connection = database.postgres_options().unwrap().connect().await?;
    let server = ServerProcess::start(Path::new(env!("CARGO_BIN_EXE_woosh-harness")), database, 0).await?;
    let url = server.url();
    let (alice, bob) = (Device::register(&url, "alice").await?, Device::register(&url, "bob").await?);
    let mut others = Vec::new();
    for number in 0..USERS {
        let user = Device::register(&url, &format!("user-{number}")).await?;
        let devices = stream::iter(1..READERS / USERS).map(|_| user.another()).buffered(8);
        others.extend(devices.try_collect::<Vec<_>>().await?);
        others.push(user);
    }
    let mut waiting = JoinSet::new();
    for other in others {
        let url = url.clone();
        waiting.spawn(async move { other.at(&url).mailbox_page("?wait=50").await });
    }
    assert_eq!(waiting.len(), READERS);
    let reading = tokio::spawn({
        let url = url.clone();
        async move { alice.at(&url).mailbox_page("?wait=50").await }
    });
    // Waits until every reader has read once and no connection is active any more.
    let start = Instant::now();
    loop {
        let quiet_since = now(&mut connection).await? - 0.3;
        let (total, busy) = activity(&mut connection, quiet_since).await?;
        if busy == 0 && total > 12 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{busy} of {total} connections are still active");
        sleep(Duration::from_millis(20)).await;
    }

    let since = now(&mut connection).await?;
    bob.send(&["alice"], "for alice alone").await?;
    // A poll for lost notifications may take longer.
    let page = timeout(Duration::from_secs(4), reading).await???;
    assert_eq!(page.messages.len(), 1);
    // Gives unwanted notifications time to arrive.
    sleep(Duration::from_millis(300)).await;
    assert!(waiting.try_join_next().is_none(), "another reader was notified");
    let (total, busy) = activity(&mut connection, since).await?;
    println!("{READERS} waiting readers: {total} connections, {busy} of them active for one message");
    assert!(total <= CONNECTIONS, "there are {total} connections");
    assert!(busy <= MAX_ACTIVE, "{busy} of {total} connections were active for one message");
    Ok(())
}
