//! The connections that read pages of mailboxes. Reads run on tokio's threads for blocking work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use woosh_domain::ports::PortError;

use crate::store::{SqlError, closed};

/// A pool of read connections. Each connection runs one read at a time.
pub(super) struct Reader {
    idle: Arc<Mutex<Vec<Connection>>>,
    /// One permit for each connection in the pool.
    permits: Arc<Semaphore>,
    count: u32,
}

impl Reader {
    /// Creates a pool of `connections`.
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let count = connections.len();
        let permits = Arc::new(Semaphore::new(count));
        Self { idle: Arc::new(Mutex::new(connections)), permits, count: u32::try_from(count).unwrap_or(u32::MAX) }
    }

    /// Runs `work` on an idle connection. Waits until a connection is idle.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, PortError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| closed())?;
        let idle = self.idle.clone();
        let read = tokio::task::spawn_blocking(move || {
            // A permit guarantees that a connection is idle.
            let mut connection = Borrowed { connection: lock(&idle).pop(), idle: &idle };
            let outcome = connection.connection.as_mut().map(work);
            drop(connection);
            drop(permit);
            outcome
        });
        let outcome = read.await.map_err(PortError::fault)?;
        Ok(outcome.ok_or_else(closed)??)
    }

    /// Waits until all connections are idle, then closes them. Later reads fail.
    pub(super) async fn close(&self) {
        let _all = self.permits.acquire_many(self.count).await;
        self.permits.close();
        lock(&self.idle).clear();
    }
}

/// A connection in use. Dropping this value returns the connection to the pool, even during a panic.
struct Borrowed<'a> {
    connection: Option<Connection>,
    idle: &'a Mutex<Vec<Connection>>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        lock(self.idle).extend(self.connection.take());
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> MutexGuard<'_, Vec<Connection>> {
    // Ignores poisoning, because a panic under this lock can't leave the list inconsistent.
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
