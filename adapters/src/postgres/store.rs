use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use tokio::time::timeout;
use woosh_domain::model::{DeviceId, SequenceNumber, Timestamp, TokenHash, UserId};
use woosh_domain::ports::{DeliverOutcome, MailboxPage, NewDelivery, PageLimit, PortError};

use super::session_reader::SessionReader;
use super::writer::Writer;
use super::{delete, open, read};
use crate::notify::Notifier;
use crate::store::{Acknowledged, OpenError, OwnerRow, SessionCache, SqlError, SqlStore};

/// Maximum time to wait for the time of the database.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The store on one Postgres database.
pub(crate) struct PostgresStore {
    pool: PgPool,
    writer: Writer,
    session_reader: SessionReader,
    session_cache: Arc<SessionCache>,
    notifier: Notifier,
}

impl PostgresStore {
    /// Connects to the database and migrates it. If the database is unreachable, retries until `timeout` has elapsed.
    pub(crate) async fn open(options: &PgConnectOptions, location: &str, timeout: Duration) -> Result<Self, OpenError> {
        let (options, pool) = open::open(options, location, timeout).await?;
        let notifier = Notifier::connect(options, pool.clone()).await;
        let notifier =
            notifier.map_err(|error| OpenError::Other { location: location.to_owned(), cause: error.into() })?;
        Ok(Self {
            writer: Writer::start(&pool),
            session_reader: SessionReader::start(&pool),
            pool,
            session_cache: Arc::new(SessionCache::new()),
            notifier,
        })
    }
}

impl SqlStore for PostgresStore {
    type Database = Postgres;

    const IS_ONLY_PROCESS: bool = false;

    fn read_pool(&self) -> &PgPool {
        &self.pool
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
        let pool = self.pool.clone();
        let task = tokio::spawn(async move {
            let mut transaction = pool.begin().await?;
            // If `work` fails, dropping the transaction rolls it back.
            let outcome = work(&mut transaction).await?;
            transaction.commit().await?;
            then(&outcome);
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
    ) -> Result<MailboxPage, PortError> {
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
        limit: usize,
    ) -> Result<Acknowledged, PortError> {
        Ok(delete::acknowledge(&self.pool, mailbox, up_to, limit).await?)
    }

    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
        let raised = sqlx::query(
            "UPDATE mailboxes SET not_before = $2, closed_at = $3 WHERE device_id = $1 AND not_before < $2",
        )
        .bind(mailbox.get())
        .bind(moment.micros())
        .bind(now.micros())
        .execute(&self.pool);
        raised.await.map_err(SqlError::from)?;
        Ok(())
    }

    async fn delete_expired(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        Ok(delete::expire(&self.pool, now, limit).await?)
    }

    async fn delete_leftovers(&self, device: DeviceId, limit: usize) -> Result<(), PortError> {
        Ok(delete::purge(&self.pool, device, limit).await?)
    }

    async fn shared_time(&self) -> Result<Option<Timestamp>, PortError> {
        let micros = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
        let micros = timeout(CLOCK_TIMEOUT, micros.fetch_one(&self.pool)).await.map_err(PortError::unavailable)?;
        Ok(Some(Timestamp::from_micros(micros.map_err(SqlError::from)?)))
    }

    async fn ping(&self) -> Result<(), PortError> {
        self.pool.acquire().await.map_err(SqlError::from)?.ping().await.map_err(SqlError::from)?;
        Ok(())
    }

    async fn close(&self) {
        self.notifier.close();
        self.pool.close().await;
    }
}
