use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Lease;

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

    /// Gives all kept connections back to the pool of `sqlx`, because the caller is about to use that pool. No
    /// connection is kept until the returned value is dropped.
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
