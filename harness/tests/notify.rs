//! D8: a waiting reader has a message at once, on whichever server it waits, and waiting costs next to nothing.
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

/// How long a message may take whose notification is lost.
const LATE: Duration = Duration::from_secs(10);

fn main() {
    let prompt = "a_waiting_reader_has_a_message_at_once";
    let trial = |group, backend, name, test: fn() -> BoxFuture<'static, anyhow::Result<()>>| {
        support::trial(group, backend, name, move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(test()).map_err(|error| Failed::from(format!("{error:#}")))
        })
    };
    let trials = vec![
        trial("sqlite", Backend::Sqlite, prompt, || Box::pin(promptness(Backend::Sqlite, 1))),
        trial("postgres", Backend::Postgres, prompt, || Box::pin(promptness(Backend::Postgres, 1))),
        trial("two_replicas", Backend::Postgres, prompt, || Box::pin(promptness(Backend::Postgres, 2))),
        trial("two_replicas", Backend::Postgres, "lost_notifications_cost_a_delay_and_no_message", || Box::pin(loss())),
        trial(
            "postgres",
            Backend::Postgres,
            "a_message_wakes_its_reader_alone_and_no_reader_holds_a_connection",
            || Box::pin(crowd()),
        ),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Two readers that wait on the first server, one by long poll and one on a stream, and who sends them messages through
/// the last.
struct Scene {
    database: Arc<TestDatabase>,
    servers: Vec<TestServer>,
    sender: Device,
    received: mpsc::UnboundedReceiver<(Instant, Message)>,
    readers: JoinSet<()>,
}

/// How long it took until a message was received.
struct Delay {
    /// From the arrival of the 201; nothing where the message was there before.
    after_answer: Duration,
    after_request: Duration,
}

impl Scene {
    async fn start(backend: Backend, replicas: usize) -> anyhow::Result<Self> {
        let database = Arc::new(TestDatabase::create(backend).await?);
        let mut servers = Vec::new();
        for _ in 0..replicas {
            servers.push(TestServer::start_on(database.clone(), 0).await?);
        }
        let url = servers[0].url().to_owned();
        let sender = Device::register(&url, "sender").await?;
        let (news, received) = mpsc::unbounded_channel();
        let mut readers = JoinSet::new();
        readers.spawn(poll(Device::register(&url, "poller").await?, url.clone(), news.clone()));
        readers.spawn(follow(Device::register(&url, "follower").await?, url, news));
        Ok(Self { database, servers, sender, received, readers })
    }

    /// Ends the readers, which would take the end of their server for a failure.
    async fn end(mut self) {
        self.readers.shutdown().await;
    }

    /// Sends a message, waits until it is received, and gives how long that took.
    async fn send(&mut self, number: usize) -> anyhow::Result<Delay> {
        let recipient = if number.is_multiple_of(2) { "poller" } else { "follower" };
        let contents = format!("{recipient} {number}");
        let requested = Instant::now();
        self.sender.at(self.servers.last().unwrap().url()).send(&[recipient], &contents).await?;
        let answered = Instant::now();
        let (at, message) = timeout(LATE, self.received.recv()).await?.unwrap();
        assert_eq!(message.contents, contents);
        Ok(Delay { after_answer: at.saturating_duration_since(answered), after_request: at - requested })
    }

    /// Sends messages, each to a reader that waits again, and fails unless they are received at once.
    async fn ensure_prompt(&mut self, messages: usize) -> anyhow::Result<()> {
        let (start, mut delays) = (Instant::now(), Vec::new());
        for number in 0..messages {
            assert!(start.elapsed() < 3 * LATE, "it took {:?} to receive {number} messages", start.elapsed());
            delays.push(self.send(number).await?);
            sleep(Duration::from_millis(5)).await;
        }
        let (median, p99) = quantiles(delays.iter().map(|delay| delay.after_answer));
        let since_request = quantiles(delays.iter().map(|delay| delay.after_request));
        println!(
            "{}, {} servers: received {median:.1?} (p99 {p99:.1?}) after the 201, {:.1?} (p99 {:.1?}) after the request",
            self.database.backend(),
            self.servers.len(),
            since_request.0,
            since_request.1
        );
        assert!(median < Duration::from_millis(50), "the median is {median:?}");
        assert!(p99 < Duration::from_millis(500), "the 99th percentile is {p99:?}");
        Ok(())
    }
}

/// The median and the 99th percentile.
fn quantiles(of: impl Iterator<Item = Duration>) -> (Duration, Duration) {
    let mut sorted: Vec<_> = of.collect();
    sorted.sort_unstable();
    (sorted[sorted.len() / 2], sorted[sorted.len() * 99 / 100])
}

async fn poll(reader: Device, url: String, news: mpsc::UnboundedSender<(Instant, Message)>) {
    let mut after = 0;
    loop {
        let page = reader.at(&url).mailbox_page(&format!("?wait=60&after={after}")).await.unwrap();
        let now = Instant::now();
        after = page.up_to;
        page.messages.into_iter().for_each(|message| news.send((now, message)).unwrap());
    }
}

async fn follow(reader: Device, url: String, news: mpsc::UnboundedSender<(Instant, Message)>) {
    let mut events = reader.at(&url).stream("").await.unwrap();
    while let Some(message) = events.next().await.unwrap() {
        news.send((Instant::now(), message)).unwrap();
    }
}

async fn promptness(backend: Backend, replicas: usize) -> anyhow::Result<()> {
    let mut scene = Scene::start(backend, replicas).await?;
    scene.ensure_prompt(300).await?;
    scene.end().await;
    Ok(())
}

async fn loss() -> anyhow::Result<()> {
    let mut scene = Scene::start(Backend::Postgres, 2).await?;
    let options = scene.database.postgres_options().unwrap();
    let name = options.get_database().unwrap().to_owned();
    let mut connection = options.connect().await?;
    let mut admin = options.database("postgres").connect().await?;
    scene.ensure_prompt(20).await?;

    let mut worst = Duration::ZERO;
    for number in 0..20 {
        cut_off(&mut connection).await?;
        worst = worst.max(scene.send(number).await?.after_answer);
    }
    println!("cut off 20 times: received {worst:.1?} after the 201 at worst");
    wait_for_listeners(&mut connection).await?;
    scene.ensure_prompt(50).await?;

    // Now they can't come back at once.
    allow_connections(&mut admin, &name, false).await?;
    cut_off(&mut connection).await?;
    let delay = scene.send(0).await?.after_answer;
    println!("cut off for long: received {delay:.1?} after the 201");
    allow_connections(&mut admin, &name, true).await?;
    wait_for_listeners(&mut connection).await?;
    scene.ensure_prompt(50).await?;
    scene.end().await;
    Ok(())
}

/// Ends the connections that listen and those that notify, of all servers.
async fn cut_off(connection: &mut PgConnection) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut ended = 0;
    while ended == 0 {
        let cut: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND (query ILIKE 'LISTEN%' OR query ILIKE '%NOTIFY%')
               AND pid <> pg_backend_pid()",
        )
        .fetch_all(&mut *connection)
        .await?;
        ended = cut.len();
        assert!(start.elapsed() < LATE, "nobody listens");
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
        assert!(start.elapsed() < LATE, "nobody listens again");
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

/// What a server's connections do: how many there are, and how many have done something since a moment.
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

async fn crowd() -> anyhow::Result<()> {
    const READERS: usize = 500;
    const USERS: usize = 20;
    /// Of the pool and for wake-ups.
    const CONNECTIONS: i64 = 16 + 2;

    let database = Arc::new(TestDatabase::create(Backend::Postgres).await?);
    let mut connection = database.postgres_options().unwrap().connect().await?;
    let server = ServerProcess::start(Path::new(env!("CARGO_BIN_EXE_woosh-harness")), database, 0).await?;
    let url = server.url();
    let (alice, bob) = (Device::register(&url, "alice").await?, Device::register(&url, "bob").await?);
    let mut others = Vec::new();
    for place in 0..USERS {
        let user = Device::register(&url, &format!("user-{place}")).await?;
        let devices = stream::iter(1..READERS / USERS).map(|_| user.another()).buffered(8);
        others.extend(devices.try_collect::<Vec<_>>().await?);
        others.push(user);
    }
    let mut waiting = JoinSet::new();
    for other in others {
        let url = url.clone();
        waiting.spawn(async move { other.at(&url).mailbox_page("?wait=60").await });
    }
    assert_eq!(waiting.len(), READERS);
    let reading = tokio::spawn({
        let url = url.clone();
        async move { alice.at(&url).mailbox_page("?wait=60").await }
    });
    // Each has looked once, and then nothing happens any more.
    let begun = Instant::now();
    loop {
        let quiet_since = now(&mut connection).await? - 0.3;
        let (total, busy) = activity(&mut connection, quiet_since).await?;
        if busy == 0 && total > 12 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{busy} of {total} connections are still busy");
        sleep(Duration::from_millis(20)).await;
    }

    let since = now(&mut connection).await?;
    bob.send(&["alice"], "for alice alone").await?;
    let page = timeout(Duration::from_secs(1), reading).await???;
    assert_eq!(page.messages.len(), 1);
    // Time for what should not happen.
    sleep(Duration::from_millis(300)).await;
    assert!(waiting.try_join_next().is_none(), "somebody else was woken");
    let (total, busy) = activity(&mut connection, since).await?;
    println!("{READERS} readers wait: {total} connections, {busy} of them had to do with one message");
    assert!(total <= CONNECTIONS, "there are {total} connections");
    assert!(busy <= 8, "{busy} of {total} connections were busy with one message");
    Ok(())
}
