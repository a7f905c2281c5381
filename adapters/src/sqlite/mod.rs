//! SQLite as a server's store: one file in WAL mode, one writer and a few readers.

mod open;
mod writer;

use futures_util::future::BoxFuture;
use sqlx::{SqliteConnection, SqlitePool};
use woosh_domain::ports::PortError;

use self::writer::Writer;
use crate::sql::SqlError;

/// The ports on one SQLite file.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Runs a unit of work in a transaction: all of it happens, durably, or, where it gives an error, nothing.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
    ) -> Result<T, PortError> {
        self.writer.run(work).await
    }

    /// Connections that only read.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Finds out whether the file can be read.
    pub(crate) async fn ping(&self) -> Result<(), PortError> {
        sqlx::query("SELECT 1").execute(&self.readers).await.map_err(SqlError::from)?;
        Ok(())
    }

    /// Finishes the writes that were begun, moves the log into the file and lets go of it.
    pub(crate) async fn close(&self) {
        // Only a connection that may write can tidy up behind the last one.
        self.readers.close().await;
        self.writer.close().await;
    }
}
