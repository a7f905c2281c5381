use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::{Connection as _, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, Semaphore};
use woosh_domain::model::{DeviceId, Incarnation, SequenceNumber, Timestamp, TokenHash, UserId};
use woosh_domain::ports::{DeliverOutcome, MailboxPage, NewDelivery, PageLimit, PortError};

use super::file_guard::FileGuard;
use super::mailbox_job::MailboxJob;
use super::mailbox_writer::MailboxWriter;
use super::open::{OpenFile, open};
use super::reader::Reader;
use super::writer::Writer;
use super::{delete, read};
use crate::notify::Notifier;
use crate::store::{
    Acknowledged, CONCURRENT_PAGES, OpenError, OwnerRow, PendingSend, SessionCache, SqlError, SqlStore, closed, count,
    retry,
};

/// The store on one SQLite file.
pub(crate) struct SqliteStore {
    writer: Writer,
    mailbox_writer: MailboxWriter<MailboxJob>,
    reader: Reader,
    read_pool: SqlitePool,
    page_permits: Semaphore,
    session_cache: Arc<SessionCache>,
    notifier: Notifier,
    guard: Arc<FileGuard>,
}

impl SqliteStore {
    /// Opens the database file of a `sqlite:` URL and migrates its schema. Creates the file if it does not exist.
    /// Retries transient errors until `timeout` has elapsed.
    pub(crate) async fn open(url: &str, timeout: Duration) -> Result<Self, OpenError> {
        let location = url.split('?').next().unwrap_or(url);
        let OpenFile { guard, connection, options, mailbox_connection, page_connections, read_pool } =
            retry(location, timeout, || open(url)).await?;
        let turn = Arc::<Mutex<()>>::default();
        let check = guard.clone();
        let mailbox_writer = MailboxWriter::start(mailbox_connection, turn.clone(), Box::new(move || check.check()))
            .map_err(|error| OpenError::Other { location: url.to_owned(), cause: error.into() })?;
        Ok(Self {
            writer: Writer::start(connection, options, turn),
            guard,
            mailbox_writer,
            reader: Reader::new(page_connections),
            read_pool,
            page_permits: Semaphore::new(CONCURRENT_PAGES),
            session_cache: Arc::new(SessionCache::new()),
            notifier: Notifier::default(),
        })
    }

    async fn write_mailbox<T: Send + 'static>(
        &self,
        work: impl Fn(&rusqlite::Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, PortError> {
        let (job, outcome) = MailboxJob::step(work);
        self.mailbox_writer.run(job).await?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }
}

impl SqlStore for SqliteStore {
    type Database = Sqlite;
    type ReadPool = SqlitePool;

    const IS_ONLY_PROCESS: bool = true;

    fn read_pool(&self) -> &SqlitePool {
        &self.read_pool
    }

    fn page_permits(&self) -> &Semaphore {
        &self.page_permits
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
        let guard = self.guard.clone();
        self.writer
            .run(
                move |connection| {
                    Box::pin(async move {
                        let outcome = work(connection).await?;
                        // The check is part of the job. If the commit failed instead, the writer would replace its
                        // connection to the original file.
                        guard.check()?;
                        Ok(outcome)
                    })
                },
                then,
            )
            .await
    }

    async fn lock_mailboxes(_: &mut SqliteConnection, _: UserId) -> Result<(), SqlError> {
        // Nothing to lock: SQLite runs one write transaction at a time.
        Ok(())
    }

    async fn find_session(&self, token: &TokenHash) -> Result<Option<OwnerRow>, PortError> {
        let row = sqlx::query_as(
            "SELECT s.id, d.user_id, u.username, s.device_id
             FROM sessions s JOIN devices d ON d.id = s.device_id JOIN users u ON u.id = d.user_id
             WHERE s.token_hash = $1",
        )
        .bind(token.as_bytes().to_vec())
        .fetch_optional(&self.read_pool);
        Ok(row.await.map_err(SqlError::from)?)
    }

    async fn read_page(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<Option<MailboxPage>, PortError> {
        self.reader.run(move |connection| read::page(connection, mailbox, after, limit, now)).await
    }

    async fn deliver(&self, delivery: NewDelivery) -> Result<DeliverOutcome, PortError> {
        let (send, outcome) = PendingSend::new(delivery, self.notifier.clone());
        self.mailbox_writer.run(MailboxJob::Send(send)).await?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn delete_up_to(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
    ) -> Result<Option<Acknowledged>, PortError> {
        let limit = count(limit);
        self.write_mailbox(move |connection| delete::acknowledge(connection, mailbox, up_to, incarnation, limit)).await
    }

    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
        self.write_mailbox(move |connection| delete::raise_not_before(connection, mailbox, moment, now)).await
    }

    async fn delete_expired(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        self.write_mailbox(move |connection| delete::expire(connection, now, count(limit))).await
    }

    async fn delete_leftovers(&self, device: DeviceId, limit: usize) -> Result<(), PortError> {
        self.write_mailbox(move |connection| delete::purge(connection, device, count(limit))).await
    }

    async fn shared_time(&self) -> Result<Option<Timestamp>, PortError> {
        // Only one process uses the file, so no clock is shared.
        Ok(None)
    }

    async fn ping(&self) -> Result<(), PortError> {
        self.read_pool.acquire().await.map_err(SqlError::from)?.ping().await.map_err(SqlError::from)?;
        self.write(|_| Box::pin(async { Ok(()) })).await?;
        self.write_mailbox(|_| Ok(())).await
    }

    async fn close(&self) {
        self.notifier.close();
        // The writers close last, because closing the last connection copies the WAL to the database file and deletes
        // it, and a read-only connection can't do that.
        self.reader.close().await;
        self.read_pool.close().await;
        self.writer.close().await;
        self.mailbox_writer.close().await;
        self.guard.release();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use futures_util::future::join_all;

    #[tokio::test]
    async fn the_wal_shrinks_after_a_long_read_has_ended() {
        const MIB: u64 = 1024 * 1024;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("woosh.db");
        let store = SqliteStore::open(&format!("sqlite:{}", path.display()), Duration::ZERO).await.unwrap();
        let write = async || {
            let work = |connection: &rusqlite::Connection| {
                connection.execute("INSERT INTO purges VALUES (1) ON CONFLICT DO UPDATE SET device_id = 1", [])?;
                let padding = "INSERT INTO retired_usernames VALUES (zeroblob(1048576))
                               ON CONFLICT DO UPDATE SET digest = zeroblob(1048576)";
                Ok(connection.execute(padding, [])?)
            };
            store.write_mailbox(work).await.unwrap();
        };
        let size = || std::fs::metadata(folder.path().join("woosh.db-wal")).unwrap().len();
        let reader = rusqlite::Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM users;").unwrap();
        while size() < 40 * MIB {
            write().await;
        }
        reader.execute_batch("COMMIT").unwrap();
        for _ in 0..3 {
            write().await;
        }
        assert!(size() <= 16 * MIB, "{} MiB", size() / MIB);
        store.close().await;
    }

    /// Promise D1 (durable) depends on the settings that this test checks.
    #[tokio::test]
    async fn both_writers_sync_each_commit_to_the_wal_and_enforce_foreign_keys() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("woosh.db").display());
        let store = SqliteStore::open(&url, Duration::ZERO).await.unwrap();
        let settings = store.write(|connection| {
            Box::pin(async move {
                let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
                let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
                let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await?;
                Ok((journal, synchronous, foreign_keys))
            })
        });
        // `synchronous = 2` is FULL.
        let expected = ("wal".to_owned(), 2, 1);
        assert_eq!(settings.await.unwrap(), expected);
        let of_mailboxes = store.write_mailbox(|connection| {
            Ok((
                connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
                connection.pragma_query_value(None, "synchronous", |row| row.get(0))?,
                connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?,
            ))
        });
        assert_eq!(of_mailboxes.await.unwrap(), expected);
        store.close().await;
    }

    #[tokio::test]
    async fn servers_that_open_a_new_file_concurrently_use_it_one_after_another() {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("woosh.db").display());
            let open = AtomicUsize::new(0);
            let servers = (0..4).map(async |_| {
                let store = SqliteStore::open(&url, Duration::ZERO).await.unwrap();
                assert_eq!(open.fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                open.fetch_sub(1, Ordering::SeqCst);
                store.close().await;
            });
            join_all(servers).await;
        }
    }
}
