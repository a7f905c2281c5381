use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::deadline::within;

/// Maximum time for Postgres to answer the test of a connection.
pub(super) const TEST_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection that a caller uses. When this value is dropped, the connection goes back to the pool if Postgres still
/// answers on it, even if the value is dropped in the middle of a statement.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `None` once `drop` has taken the connection.
    connection: Option<PoolConnection<Postgres>>,
    /// When the pool handed the connection out.
    acquired_at: Instant,
    /// The connections of the pool that are kept until a caller needs one.
    kept: Weak<KeptConnections>,
    last_use: LastUse,
}

/// What is known about the last statement on a connection.
#[derive(Debug, PartialEq)]
enum LastUse {
    /// The statement may still run.
    Unfinished,
    /// The statement was part of a transaction, which has to be rolled back before the connection is used again.
    InTransaction,
    /// The statement has ended, and no transaction is open.
    Finished,
}

impl Lease {
    /// Wraps a connection that the pool hands out to a caller. After its use, the connection may be kept in `kept` for
    /// the next caller.
    pub(super) fn new(connection: PoolConnection<Postgres>, kept: &Arc<KeptConnections>) -> Self {
        let (acquired_at, last_use) = (Instant::now(), LastUse::Unfinished);
        Self { connection: Some(connection), acquired_at, kept: Arc::downgrade(kept), last_use }
    }

    /// Returns when the pool handed the connection out.
    pub(super) fn acquired_at(&self) -> Instant {
        self.acquired_at
    }

    /// Records that a transaction begins. Unless [`Self::finish`] is called later, the transaction is rolled back
    /// before the connection is used again.
    pub(super) fn begin(&mut self) {
        self.last_use = LastUse::InTransaction;
    }

    /// Gives the connection back after all statements on it have ended. Another caller can then use the connection
    /// without a test.
    pub(crate) fn finish(mut self) {
        self.last_use = LastUse::Finished;
    }
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
        if self.last_use == LastUse::Finished
            && let Some(kept) = self.kept.upgrade()
        {
            let (acquired_at, last_use) = (self.acquired_at, LastUse::Unfinished);
            kept.keep(Self { connection: Some(connection), acquired_at, kept: self.kept.clone(), last_use });
            return;
        }
        let in_transaction = self.last_use == LastUse::InTransaction;
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(give_back(connection, in_transaction))),
            Err(_) => drop(connection.detach()),
        }
    }
}

/// Gives a connection back to its pool. If a transaction is open, rolls it back first. If Postgres does not answer on
/// the connection, closes the connection instead.
async fn give_back(mut connection: PoolConnection<Postgres>, in_transaction: bool) {
    if in_transaction {
        let rolled_back = within(TEST_TIMEOUT, sqlx::raw_sql("ROLLBACK").execute(&mut *connection)).await;
        if rolled_back.is_err() {
            // Closes only the socket, because an orderly close would wait for a server that does not answer.
            drop(connection.detach());
            return;
        }
    }
    // `return_to_pool` tests the connection. If that takes too long, the connection is dropped together with the
    // future.
    let _ = timeout(TEST_TIMEOUT, connection.return_to_pool()).await;
}

/// Connections that callers have finished using, kept until another caller needs one.
///
/// When a connection goes back to the pool of `sqlx`, that pool tests the connection, which costs a round trip to the
/// database. A connection whose last statement has ended needs no test, so it is kept here instead.
#[derive(Debug, Default)]
pub(super) struct KeptConnections(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The connection that was used last is at the end.
    connections: Vec<KeptConnection>,
    /// The number of callers that wait for a connection from the pool.
    waiting: usize,
}

/// A kept connection. When this value is dropped, the connection goes back to the pool of `sqlx`.
#[derive(Debug)]
pub(super) struct KeptConnection {
    pub(super) lease: Lease,
    /// When the last caller finished using the connection.
    pub(super) since: Instant,
}

impl KeptConnections {
    /// Takes the connection that was used last.
    pub(super) fn take(&self) -> Option<KeptConnection> {
        self.state().connections.pop()
    }

    /// Keeps a connection. If a caller waits for a connection from the pool, gives the connection back to the pool
    /// instead.
    pub(super) fn keep(&self, lease: Lease) {
        let mut state = self.state();
        if state.waiting == 0 {
            state.connections.push(KeptConnection { lease, since: Instant::now() });
        } else {
            // The lock must not be held while the connection is dropped.
            drop(state);
            drop(lease);
        }
    }

    /// Gives all kept connections back to the pool of `sqlx`, because the caller is about to use that pool. While the
    /// returned value exists, no connection is kept: each goes back to the pool of `sqlx` after its use.
    pub(super) fn release(&self) -> Waiting<'_> {
        let mut state = self.state();
        state.waiting += 1;
        let connections = std::mem::take(&mut state.connections);
        drop(state);
        drop(connections);
        Waiting(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step under the lock can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a caller that waits for a connection from the pool, until this value is dropped.
pub(super) struct Waiting<'a>(&'a KeptConnections);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}
