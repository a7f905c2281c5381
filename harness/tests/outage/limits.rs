//! The time limits of calls to a database that does not answer. These tests state the limits as numbers, so that they
//! notice a change of a constant. Their clock is paused, so that no limit takes real time.

use std::time::{Duration, Instant as RealInstant};

use futures_util::future::join_all;
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::time::{Instant, timeout};
use woosh_adapters::database::Database;
use woosh_domain::model::*;
use woosh_domain::ports::*;
use woosh_harness::TestDatabase;
use woosh_harness::postgres::Proxy;

use super::fixture::database;

/// A test fails if its call has not returned after this time. The test does not really wait: its clock is paused.
const HOUR: Duration = Duration::from_secs(3600);
/// If a connection was unused for over a second, the pool first checks that the database still answers on it. The tests
/// use each connection again within this shorter time, so that there is no such check.
const UNUSED: Duration = Duration::from_millis(500);

/// A store that connects to Postgres through a proxy, which can make Postgres seem to stop answering.
struct Fixture {
    _test_database: TestDatabase,
    proxy: Proxy,
    database: Database,
    observer: PgConnection,
}

impl Fixture {
    async fn open() -> anyhow::Result<Self> {
        let test_database = database().await?;
        let proxy = Proxy::start(&test_database).await?;
        let database = Database::open(&proxy.url()?, Duration::ZERO).await?;
        let observer = test_database.postgres_options().unwrap().connect().await?;
        Ok(Self { _test_database: test_database, proxy, database, observer })
    }

    /// Makes the database stop answering, and pauses the clock. Before that, opens all connections that the pool may
    /// have, and uses each of them within [`UNUSED`].
    async fn silence(&mut self) -> anyhow::Result<()> {
        let stores = self.database.stores();
        loop {
            let start = RealInstant::now();
            for found in join_all((0..100).map(|_| find(&stores))).await {
                found?;
            }
            if self.pooled().await? == 16 && start.elapsed() < UNUSED {
                break;
            }
            assert!(self.pooled().await? <= 16, "more than 16 connections");
        }
        self.proxy.silence_all();
        tokio::time::pause();
        Ok(())
    }

    /// Returns how many connections to Postgres the store has open. Does not count the one that listens for
    /// notifications.
    async fn pooled(&mut self) -> sqlx::Result<i64> {
        sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'woosh-server' AND query NOT ILIKE '%LISTEN%'",
        )
        .fetch_one(&mut self.observer)
        .await
    }
}

/// Returns after how many seconds a call fails because the database does not answer.
async fn fails_after<T, E>(call: impl Future<Output = Result<T, E>>) -> u64 {
    let start = Instant::now();
    assert!(timeout(HOUR, call).await.is_ok_and(|outcome| outcome.is_err()), "not after an hour");
    start.elapsed().as_secs()
}

pub(crate) async fn calls() -> anyhow::Result<()> {
    let mut fixture = Fixture::open().await?;
    let stores = fixture.database.stores();
    fixture.silence().await?;
    let token = Token::from_random([1; 32]).hash();
    let seconds = tokio::join!(
        fails_after(stores.sessions.find(&token)),
        fails_after(find(&stores)),
        fails_after(stores.mailboxes.deliver(delivery())),
        fails_after(fixture.database.check_commit()),
    );
    assert_eq!(seconds, (3, 5, 10, 10));
    Ok(())
}

pub(crate) async fn pool() -> anyhow::Result<()> {
    let mut fixture = Fixture::open().await?;
    let stores = fixture.database.stores();
    fixture.silence().await?;
    let mut seconds = join_all((0..40).map(|_| fails_after(find(&stores)))).await;
    seconds.sort_unstable();
    // 16 calls have a connection, and 24 wait for one.
    assert_eq!(seconds, [[3; 24].as_slice(), &[5; 16]].concat());
    Ok(())
}

pub(crate) async fn closing() -> anyhow::Result<()> {
    let mut fixture = Fixture::open().await?;
    fixture.silence().await?;
    let start = Instant::now();
    let closing = async {
        // Begins after the write has taken its connection.
        tokio::task::yield_now().await;
        timeout(HOUR, fixture.database.close()).await.unwrap();
        start.elapsed().as_secs()
    };
    let (_, closed_after) = tokio::join!(fixture.database.check_commit(), closing);
    assert_eq!(closed_after, 5);
    Ok(())
}

pub(crate) async fn start() -> anyhow::Result<()> {
    let test_database = database().await?;
    let proxy = Proxy::start(&test_database).await?;
    proxy.silence_all();
    let url = proxy.url()?;
    tokio::time::pause();
    assert_eq!(fails_after(Database::open(&url, Duration::ZERO)).await, 5);
    Ok(())
}

/// Looks up a user, as an example of a call that only reads.
async fn find(stores: &Stores) -> Result<Option<User>, PortError> {
    stores.users.find(&Username::new("alice").unwrap()).await
}

fn delivery() -> NewDelivery {
    let contents = Contents::new("hello".to_owned()).unwrap();
    NewDelivery {
        sender: Username::new("bob").unwrap(),
        sender_device: DeviceId::new(1),
        session: None,
        recipients: vec![AddressedContents { recipient: Username::new("alice").unwrap(), contents }],
        now: Timestamp::from_seconds(1_700_000_000),
        ttl_seconds: 60,
        quota: Quota { messages: 10, bytes: 1000 },
        idempotency: None,
    }
}
