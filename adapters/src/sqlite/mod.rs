//! SQLite as a server's store: one file in WAL mode, one writer and a few readers.

mod delete;
mod deliver;
mod open;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::{Connection as _, Sqlite, SqliteConnection, SqlitePool};
use woosh_domain::model::UserId;
use woosh_domain::ports::PortError;

use self::writer::Writer;
use crate::database::Backend;
use crate::sessions::SessionMemory;
use crate::sql::{SqlError, SqlStore};
use crate::wakeups::Wakeups;

/// The ports on one SQLite file.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: SqlitePool,
    sessions: Arc<SessionMemory>,
    wakeups: Wakeups,
}

impl SqliteStore {
    /// Runs a unit of work in a transaction: all of it happens, durably, or, where it gives an error, nothing.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
    ) -> Result<T, PortError> {
        self.write_then(work, |_| ()).await
    }

    /// Runs a unit of work in a transaction and then, once that is on the disk, what is to follow, even where nobody waits for
    /// the outcome any more.
    pub(crate) async fn write_then<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, PortError> {
        self.writer.run(work, then).await
    }

    /// What it remembers of sessions.
    pub(crate) fn sessions(&self) -> &Arc<SessionMemory> {
        &self.sessions
    }

    /// Whom it wakes.
    pub(crate) fn wakeups(&self) -> &Wakeups {
        &self.wakeups
    }

    /// The writer has the file to itself already.
    pub(crate) async fn lock_mailboxes(_: &mut SqliteConnection, _: UserId) -> Result<(), SqlError> {
        Ok(())
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
        self.readers.acquire().await.map_err(SqlError::from)?.ping().await.map_err(SqlError::from)?;
        self.write(|_| Box::pin(async { Ok(()) })).await
    }

    fn wakeups(&self) -> &Wakeups {
        &self.wakeups
    }

    async fn close(&self) {
        self.wakeups.close();
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    /// D1 rests on these.
    #[tokio::test]
    async fn the_writer_syncs_each_commit_to_a_log_and_minds_foreign_keys() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("woosh.db").display());
        let store = SqliteStore::open(&url).await.unwrap();
        let read = store.write(|connection| {
            Box::pin(async move {
                let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
                let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
                let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await?;
                Ok((journal, synchronous, foreign_keys))
            })
        });
        // 2 is FULL.
        assert_eq!(read.await.unwrap(), ("wal".to_owned(), 2, 1));
        store.close().await;
    }

    #[tokio::test]
    async fn servers_that_start_at_once_on_a_new_file_all_start() {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("woosh.db").display());
            for store in join_all((0..4).map(|_| SqliteStore::open(&url))).await {
                store.unwrap().close().await;
            }
        }
    }
}
