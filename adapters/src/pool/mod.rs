//! Connections to Postgres with verified settings. Each use of a connection has a deadline.
//!
//! If a database host stops answering, its connections stay open: the operating system reports an error only after
//! about 15 minutes. Therefore each use of a connection ends at a deadline at the latest. After its use, a connection
//! goes back to the pool only if Postgres still answers on it. Otherwise the connection is closed, and the pool opens
//! another one.
//!
//! - `deadline`: limits the duration of a use.
//! - `executor`: runs statements on a pool.
//! - `lease`: a connection that a caller uses, and connections that are kept for the next caller.
//! - `settings`: the settings of a connection.
//! - `transaction`: a transaction on a connection of a pool.

mod deadline;
mod executor;
mod lease;
mod settings;
mod transaction;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool};
use tokio::time::timeout;

pub(crate) use self::deadline::{Failure, within};
use self::lease::{KeptConnection, KeptConnections, Lease, TEST_TIMEOUT};
pub(crate) use self::settings::{
    CONNECT_TIMEOUT, Requirements, SettingError, apply, connect, ensure_sessions, prepare_to_migrate,
};

use crate::transient::is_stale;

/// Maximum time that a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer than this is tested before it is used again, so that no request gets a dead
/// connection.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How long an unused connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Maximum time that closing the pool waits for connections that are in use.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool of connections to Postgres.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    connections: PgPool,
    kept: Arc<KeptConnections>,
    /// Connections that were opened before this moment are closed instead of being used again.
    oldest: Arc<Mutex<Instant>>,
    /// Maximum time for which a caller may use a connection, including the wait for the connection.
    limit: Duration,
}

impl Pool {
    /// Creates a pool of at most `size` connections. Opens connections as needed. A caller may use a
    /// connection for at most `limit`.
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
        Self { connections, kept: Arc::default(), oldest, limit }
    }

    /// Returns a pool that shares the connections of this pool, but whose callers may use a connection for at most
    /// `limit`.
    pub(crate) fn with_limit(&self, limit: Duration) -> Self {
        Self { limit, ..self.clone() }
    }

    /// Runs `connect`, which connects a listener. A listener keeps its connection for an unlimited time, so `connect`
    /// gets the `sqlx` pool that this pool wraps. The use of a connection from the `sqlx` pool has no deadline.
    pub(crate) async fn without_deadlines<T>(&self, connect: impl AsyncFnOnce(&PgPool) -> T) -> T {
        let _waiting = self.kept.release();
        connect(&self.connections).await
    }

    /// Returns the options with which the pool opens connections.
    pub(crate) fn options(&self) -> Arc<PgConnectOptions> {
        self.connections.connect_options()
    }

    /// Runs `work`, which uses connections of this pool. Cancels `work` if it takes longer than the time limit of the
    /// pool. If `work` fails because Postgres can no longer use a prepared statement, calls [`Self::renew`].
    pub(crate) async fn run<T, E: Failure>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let outcome = within(self.limit, work).await;
        if let Err(error) = &outcome
            && error.of_database().is_some_and(is_stale)
        {
            self.renew();
        }
        outcome
    }

    /// Makes the pool close all connections that are open now, instead of using them again.
    pub(crate) fn renew(&self) {
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Takes a connection. When the returned value is dropped, the connection goes back to the pool. The caller has to
    /// limit how long it uses the connection, with [`Self::run`].
    pub(crate) async fn acquire(&self) -> sqlx::Result<Lease> {
        let oldest = *self.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(KeptConnection { lease, since }) = self.kept.take() {
            // Any other connection goes back to the pool, which tests or closes it.
            if lease.acquired_at() > oldest && since.elapsed() <= TRUSTED_IDLE {
                return Ok(lease);
            }
        }
        let _waiting = self.kept.release();
        Ok(Lease::new(self.connections.acquire().await?, &self.kept))
    }

    /// Closes all connections. Waits for connections that are in use, but at most for `CLOSE_TIMEOUT`.
    pub(crate) async fn close(&self) {
        let _waiting = self.kept.release();
        if timeout(CLOSE_TIMEOUT, self.connections.close()).await.is_err() {
            tracing::warn!("stopped waiting for connections to the database that are still in use");
        }
    }
}
