//! Postgres as the store of one or more servers.

mod open;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};
use woosh_domain::ports::PortError;

use crate::database::Backend;
use crate::sql::{SqlError, SqlStore};

/// The ports on one Postgres database.
pub(crate) struct PostgresStore {
    pool: PgPool,
}

impl PostgresStore {
    /// Runs a unit of work in a transaction: all of it happens, durably, or, where it gives an error, nothing.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
    ) -> Result<T, PortError> {
        let mut transaction = self.pool.begin().await.map_err(SqlError::from)?;
        // Where this fails, dropping the transaction rolls it back.
        let outcome = work(&mut transaction).await?;
        transaction.commit().await.map_err(SqlError::from)?;
        Ok(outcome)
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

    async fn close(&self) {
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
