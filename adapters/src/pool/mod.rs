//! Connections to Postgres that have verified settings, and whose every use has a deadline.
//!
//! A host that goes silent ends no connection: the operating system reports an error after about 15 minutes. So each use ends
//! at a deadline at the latest, and its connection goes back to the pool only if it still answers. Otherwise the
//! connection is closed, and the pool opens another one.
//!
//! - `deadline`: limits the duration of a use.
//! - `executor`: runs statements on a pool.
//! - `settings`: the settings of a connection.
//! - `transaction`: a transaction on a connection of a pool.

mod deadline;
mod executor;
mod settings;
mod transaction;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::time::timeout;

pub(crate) use self::deadline::{Failure, within};
pub(crate) use self::settings::{
    CONNECT_TIMEOUT, Requirements, SettingError, apply, connect, ensure_sessions, prepare_to_migrate,
};

use crate::transient::is_stale;

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer than this is tested before use, so that no request gets one that is dead.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How long a connection has for the answer to a test.
const TEST_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long closing waits for connections that are in use.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool of connections to Postgres.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    connections: PgPool,
    /// Connections that are older than this are closed instead of used again.
    oldest: Arc<Mutex<Instant>>,
    /// The deadline of a use, with the wait for a connection.
    limit: Duration,
}

impl Pool {
    /// Creates a pool of at most `size` connections. Opens connections as needed. A use of a connection ends after `limit`.
    pub(crate) fn new(options: PgConnectOptions, requirements: Requirements, size: u32, limit: Duration) -> Self {
        let oldest = Arc::new(Mutex::new(Instant::now()));
        let connections = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .test_before_acquire(false)
            .after_connect(move |connection, _| Box::pin(apply(connection, requirements)))
            .before_acquire({
                let oldest = oldest.clone();
                move |connection, meta| {
                    let outdated = meta.age > oldest.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
                    Box::pin(async move {
                        if !outdated && meta.idle_for > TRUSTED_IDLE {
                            within(TEST_TIMEOUT, connection.ping()).await?;
                        }
                        Ok(!outdated)
                    })
                }
            })
            // Prepared statements are cached per connection. There are fewer of them than the default capacity of 100.
            .connect_lazy_with(options);
        Self { connections, oldest, limit }
    }

    /// Returns the same connections with another limit.
    pub(crate) fn with_limit(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// Returns the pool without deadlines, for a listener.
    pub(crate) fn without_deadlines(&self) -> &PgPool {
        &self.connections
    }

    /// Returns the options of each connection.
    pub(crate) fn options(&self) -> Arc<PgConnectOptions> {
        self.connections.connect_options()
    }

    /// Runs `work`, which uses connections of this pool, until the limit.
    pub(crate) async fn run<T, E: Failure>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let outcome = within(self.limit, work).await;
        if let Err(error) = &outcome
            && error.of_database().is_some_and(is_stale)
        {
            self.renew();
        }
        outcome
    }

    /// Closes the connections of now instead of using them again.
    pub(crate) fn renew(&self) {
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Takes a connection, which goes back to the pool when it is dropped. The caller limits the duration of its use, with
    /// [`Self::run`].
    pub(crate) async fn acquire(&self) -> sqlx::Result<Lease> {
        Ok(Lease { connection: Some(self.connections.acquire().await?), in_transaction: false })
    }

    /// Closes all connections, after those that are in use have come back.
    pub(crate) async fn close(&self) {
        if timeout(CLOSE_TIMEOUT, self.connections.close()).await.is_err() {
            tracing::warn!("connections to the database are still in use");
        }
    }
}

/// A connection that a caller uses. When it is dropped, it goes back to the pool if it still answers, even if it was dropped
/// in the middle of a statement.
pub(crate) struct Lease {
    /// `None` after it is dropped.
    connection: Option<PoolConnection<Postgres>>,
    in_transaction: bool,
}

impl Deref for Lease {
    type Target = PoolConnection<Postgres>;

    #[expect(clippy::expect_used, reason = "the connection is taken only by `drop`")]
    fn deref(&self) -> &Self::Target {
        self.connection.as_ref().expect("the connection was dropped")
    }
}

impl DerefMut for Lease {
    #[expect(clippy::expect_used, reason = "the connection is taken only by `drop`")]
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.connection.as_mut().expect("the connection was dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(give_back(connection, self.in_transaction))),
            Err(_) => drop(connection.detach()),
        }
    }
}

/// Returns a connection to its pool. Closes it if it does not answer.
async fn give_back(mut connection: PoolConnection<Postgres>, in_transaction: bool) {
    if in_transaction {
        let rolled_back = within(TEST_TIMEOUT, sqlx::raw_sql("ROLLBACK").execute(&mut *connection)).await;
        if rolled_back.is_err() {
            // Not closed in agreement with the server, which may take as long as any other use.
            drop(connection.detach());
            return;
        }
    }
    // Tests the connection. If this future is dropped, so is the connection.
    let _ = timeout(TEST_TIMEOUT, connection.return_to_pool()).await;
}
