use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use woosh_domain::model::Timestamp;
use woosh_domain::ports::{PortError, TimeStore};

use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::{SqlError, SqlStore};

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl TimeStore for Store {
    async fn shared_time(&self) -> Result<Option<Timestamp>, PortError> {
        SqlStore::shared_time(self).await
    }

    async fn trusted_time(&self) -> Result<Option<Timestamp>, PortError> {
        let trusted_at: Option<i64> = sqlx::query_scalar("SELECT trusted_at FROM clock")
            .fetch_optional(self.read_pool())
            .await
            .map_err(SqlError::from)?;
        Ok(trusted_at.map(Timestamp::from_micros))
    }

    async fn set_trusted_time(&self, now: Timestamp) -> Result<(), PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO clock (id, trusted_at) VALUES (1, $1)
                     ON CONFLICT (id) DO UPDATE SET trusted_at = excluded.trusted_at",
                )
                .bind(now.micros())
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }
}
