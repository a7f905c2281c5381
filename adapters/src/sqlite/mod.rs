//! SQLite as a server's store: one file in WAL mode, one writer and a few readers.

mod open;
mod writer;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};
use woosh_domain::ports::PortError;

use self::writer::Writer;
use crate::database::Backend;
use crate::sql::{SqlError, SqlStore};

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
}

impl SqlStore for SqliteStore {
    type Database = Sqlite;
}

#[async_trait]
impl Backend for SqliteStore {
    async fn ping(&self) -> Result<(), PortError> {
        sqlx::query("SELECT 1").execute(&self.readers).await.map_err(SqlError::from)?;
        Ok(())
    }

    async fn close(&self) {
        // Only a connection that may write can tidy up behind the last one.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The primary part of a result code (<https://www.sqlite.org/rescode.html>).
fn primary(code: &str) -> Option<i32> {
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

/// Whether what failed with this code may go through later.
pub(crate) fn is_passing(code: &str) -> bool {
    /// `SQLITE_BUSY`, `SQLITE_LOCKED`, `SQLITE_IOERR` and `SQLITE_FULL`.
    const PASSING: [i32; 4] = [5, 6, 10, 13];
    primary(code).is_some_and(|code| PASSING.contains(&code))
}
