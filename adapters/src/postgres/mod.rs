//! Postgres as the store of one or more servers.

mod delete;
mod deliver;
mod open;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use woosh_domain::model::UserId;
use woosh_domain::ports::PortError;

use crate::database::Backend;
use crate::sessions::SessionMemory;
use crate::sql::{SqlError, SqlStore};
use crate::wakeups::Wakeups;
use crate::wakeups::postgres::Exchange;

/// The ports on one Postgres database.
#[derive(Clone)]
pub(crate) struct PostgresStore {
    pool: PgPool,
    /// Remembers none: other replicas end sessions as well.
    sessions: Arc<SessionMemory>,
    wakeups: Wakeups,
    _exchange: Arc<Exchange>,
}

impl PostgresStore {
    /// Runs a unit of work in a transaction: all of it happens, durably, or, where it gives an error, nothing.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
    ) -> Result<T, PortError> {
        self.write_then(work, |_| ()).await
    }

    /// Runs a unit of work in a transaction and then, once that is on the disk, what is to follow, even where nobody waits for
    /// the outcome any more.
    pub(crate) async fn write_then<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, PortError> {
        let pool = self.pool.clone();
        let task = tokio::spawn(async move {
            let mut transaction = pool.begin().await?;
            // Where this fails, dropping the transaction rolls it back.
            let outcome = work(&mut transaction).await?;
            transaction.commit().await?;
            then(&outcome);
            Ok::<_, SqlError>(outcome)
        });
        Ok(task.await.map_err(PortError::fault)??)
    }

    /// What it remembers of sessions.
    pub(crate) fn sessions(&self) -> &Arc<SessionMemory> {
        &self.sessions
    }

    /// Whom it wakes.
    pub(crate) fn wakeups(&self) -> &Wakeups {
        &self.wakeups
    }

    /// Takes the mailboxes of a user in the order in which sends take them, so that neither waits for the other for ever.
    pub(crate) async fn lock_mailboxes(connection: &mut PgConnection, user: UserId) -> Result<(), SqlError> {
        sqlx::query(
            "SELECT device_id FROM mailboxes WHERE device_id IN (SELECT id FROM devices WHERE user_id = $1)
             ORDER BY device_id FOR UPDATE",
        )
        .bind(user.get())
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Connections for single statements.
    pub(crate) fn readers(&self) -> &PgPool {
        &self.pool
    }
}

/// What makes the schema of a database.
pub(crate) fn migrations() -> &'static Migrator {
    &open::MIGRATIONS
}

impl SqlStore for PostgresStore {
    type Database = Postgres;
}

#[async_trait]
impl Backend for PostgresStore {
    async fn ping(&self) -> Result<(), PortError> {
        self.pool.acquire().await.map_err(SqlError::from)?.ping().await.map_err(SqlError::from)?;
        Ok(())
    }

    fn wakeups(&self) -> &Wakeups {
        &self.wakeups
    }

    async fn close(&self) {
        self.wakeups.close();
        self.pool.close().await;
    }
}

/// Whether what failed with this SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>) may go
/// through later.
pub(crate) fn is_passing(code: &str) -> bool {
    /// Connection exceptions, transaction rollbacks (deadlocks among them), insufficient resources, locks and other
    /// things in use, and interventions by the operator.
    const PASSING: [&str; 5] = ["08", "40", "53", "55", "57"];
    PASSING.iter().any(|class| code.starts_with(class))
}
