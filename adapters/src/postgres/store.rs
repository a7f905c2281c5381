use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, Postgres};
use tokio::sync::Semaphore;
use woosh_domain::model::{DeviceId, Incarnation, SequenceNumber, Timestamp, TokenHash, UserId};
use woosh_domain::ports::{DeliverOutcome, MailboxPage, NewDelivery, PageLimit, PortError};

use super::open::{LOOK_UP_LIMIT, OpenDatabase, WRITE_LIMIT};
use super::session_reader::SessionReader;
use super::writer::Writer;
use super::{delete, open, read};
use crate::notify::Notifier;
use crate::pool::{Pool, Requirements};
use crate::store::{
    Acknowledged, CONCURRENT_PAGES, OpenError, OpenFailure, OwnerRow, SessionCache, SqlError, SqlStore, after_commit,
    retry,
};

/// The store on one Postgres database.
pub(crate) struct PostgresStore {
    /// The pool for reads.
    pool: Pool,
    /// The pool for writes. It shares the connections of `pool`, but has a longer time limit.
    write_pool: Pool,
    page_permits: Semaphore,
    writer: Writer,
    session_reader: SessionReader,
    session_cache: Arc<SessionCache>,
    notifier: Notifier,
}

impl PostgresStore {
    /// Connects, verifies the settings of the server, and migrates the database. Retries transient errors until
    /// `timeout` has elapsed.
    pub(crate) async fn open(
        options: &PgConnectOptions,
        requirements: Requirements,
        location: &str,
        timeout: Duration,
    ) -> Result<Self, OpenError> {
        let open = || async move {
            let OpenDatabase { pool, notify_pool } = open::open(options, requirements, location).await?;
            let notifier = Notifier::connect(notify_pool, pool.clone()).await;
            Ok((pool, notifier.map_err(|error| OpenFailure::new(location, error))?))
        };
        let (pool, notifier) = retry(location, timeout, open).await?;
        let write_pool = pool.with_limit(WRITE_LIMIT);
        Ok(Self {
            writer: Writer::start(&write_pool),
            session_reader: SessionReader::start(&pool.with_limit(LOOK_UP_LIMIT)),
            pool,
            write_pool,
            page_permits: Semaphore::new(CONCURRENT_PAGES),
            session_cache: Arc::new(SessionCache::new()),
            notifier,
        })
    }
}

impl SqlStore for PostgresStore {
    type Database = Postgres;
    type ReadPool = Pool;

    const IS_ONLY_PROCESS: bool = false;

    fn read_pool(&self) -> &Pool {
        &self.pool
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
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, PortError> {
        let pool = self.write_pool.clone();
        let task = tokio::spawn(async move {
            let written = async {
                let mut transaction = pool.begin().await?;
                // If `work` fails, dropping the transaction rolls it back.
                let outcome = work(&mut transaction).await?;
                transaction.commit().await?;
                Ok::<_, SqlError>(outcome)
            };
            let outcome = pool.run(written).await?;
            after_commit(|| then(&outcome));
            Ok::<_, SqlError>(outcome)
        });
        Ok(task.await.map_err(PortError::fault)??)
    }

    async fn lock_mailboxes(connection: &mut PgConnection, user: UserId) -> Result<(), SqlError> {
        sqlx::query(
            "SELECT device_id FROM mailboxes WHERE device_id IN (SELECT id FROM devices WHERE user_id = $1)
             ORDER BY device_id FOR UPDATE",
        )
        .bind(user.get())
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn find_session(&self, token: &TokenHash) -> Result<Option<OwnerRow>, PortError> {
        self.session_reader.find(token).await
    }

    async fn read_page(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<Option<MailboxPage>, PortError> {
        Ok(read::page(&self.pool, mailbox, after, limit, now).await?)
    }

    async fn deliver(&self, delivery: NewDelivery) -> Result<DeliverOutcome, PortError> {
        let session = delivery.session;
        let outcome = self.writer.deliver(delivery, self.notifier.clone()).await?;
        if let (DeliverOutcome::SessionEnded, Some(session)) = (&outcome, session) {
            self.session_cache.remove(session);
        }
        Ok(outcome)
    }

    async fn delete_up_to(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
    ) -> Result<Option<Acknowledged>, PortError> {
        Ok(delete::acknowledge(&self.write_pool, mailbox, up_to, incarnation, limit).await?)
    }

    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
        let raised = sqlx::query(
            "UPDATE mailboxes SET not_before = $2, closed_at = $3 WHERE device_id = $1 AND not_before < $2",
        )
        .bind(mailbox.get())
        .bind(moment.micros())
        .bind(now.micros())
        .execute(&self.write_pool);
        raised.await.map_err(SqlError::from)?;
        Ok(())
    }

    async fn delete_expired(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        Ok(delete::expire(&self.write_pool, now, limit).await?)
    }

    async fn delete_leftovers(&self, device: DeviceId, limit: usize) -> Result<(), PortError> {
        Ok(delete::purge(&self.write_pool, device, limit).await?)
    }

    async fn shared_time(&self) -> Result<Option<Timestamp>, PortError> {
        let micros = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
        let micros = micros.fetch_one(&self.pool).await.map_err(SqlError::from)?;
        Ok(Some(Timestamp::from_micros(micros)))
    }

    async fn ping(&self) -> Result<(), PortError> {
        Ok(self.pool.ping().await.map_err(SqlError::from)?)
    }

    async fn close(&self) {
        self.notifier.close();
        self.pool.close().await;
    }
}
