use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::{Connection as _, Sqlite, SqliteConnection, SqlitePool};
use woosh_domain::model::{DeviceId, SequenceNumber, Timestamp, UserId};
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError};

use super::delete;
use super::open::{OpenFile, open};
use super::writer::{Writer, closed};
use crate::notify::Notifier;
use crate::store::{Acknowledged, OpenError, PendingSend, SessionCache, SqlError, SqlStore, count};

/// The store on one SQLite file.
pub(crate) struct SqliteStore {
    writer: Writer<PendingSend>,
    read_pool: SqlitePool,
    session_cache: Arc<SessionCache>,
    notifier: Notifier,
}

impl SqliteStore {
    /// Opens the file of a `sqlite:` URL and migrates it. Creates it if it does not exist.
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        let OpenFile { connection, options, read_pool } = open(url).await?;
        Ok(Self {
            writer: Writer::start(connection, options),
            read_pool,
            session_cache: Arc::new(SessionCache::new()),
            notifier: Notifier::default(),
        })
    }
}

impl SqlStore for SqliteStore {
    type Database = Sqlite;

    fn read_pool(&self) -> &SqlitePool {
        &self.read_pool
    }

    fn session_cache(&self) -> &Arc<SessionCache> {
        &self.session_cache
    }

    fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    async fn write_then<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, PortError> {
        self.writer.run(work, then).await
    }

    async fn lock_mailboxes(_: &mut SqliteConnection, _: UserId) -> Result<(), SqlError> {
        // The writer is the only one that writes.
        Ok(())
    }

    async fn deliver(&self, delivery: NewDelivery) -> Result<DeliverOutcome, PortError> {
        let (send, outcome) = PendingSend::new(delivery, self.notifier.clone());
        self.writer.run_in_bulk(send).await?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn delete_up_to(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        limit: usize,
    ) -> Result<Acknowledged, PortError> {
        let limit = count(limit);
        self.write(move |connection| Box::pin(delete::acknowledge(connection, mailbox, up_to, limit))).await
    }

    async fn delete_expired(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        self.write(move |connection| Box::pin(delete::expire(connection, now, count(limit)))).await
    }

    async fn delete_leftovers(&self, device: DeviceId, limit: usize) -> Result<(), PortError> {
        self.write(move |connection| Box::pin(delete::purge(connection, device, count(limit)))).await
    }

    async fn ping(&self) -> Result<(), PortError> {
        self.read_pool.acquire().await.map_err(SqlError::from)?.ping().await.map_err(SqlError::from)?;
        self.write(|_| Box::pin(async { Ok(()) })).await
    }

    async fn close(&self) {
        self.notifier.close();
        // The writer closes last: only a connection that writes can checkpoint the WAL and delete it.
        self.read_pool.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    /// D1 depends on these settings.
    #[tokio::test]
    async fn the_writer_syncs_each_commit_to_the_wal_and_enforces_foreign_keys() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("woosh.db").display());
        let store = SqliteStore::open(&url).await.unwrap();
        let settings = store.write(|connection| {
            Box::pin(async move {
                let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
                let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
                let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await?;
                Ok((journal, synchronous, foreign_keys))
            })
        });
        // 2 is FULL.
        assert_eq!(settings.await.unwrap(), ("wal".to_owned(), 2, 1));
        store.close().await;
    }

    #[tokio::test]
    async fn servers_that_open_a_new_file_concurrently_all_succeed() {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("woosh.db").display());
            for store in join_all((0..4).map(|_| SqliteStore::open(&url))).await {
                store.unwrap().close().await;
            }
        }
    }
}
