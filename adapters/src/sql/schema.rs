use conditional_trait_gen::trait_gen;

use super::Connection;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;

#[trait_gen(Store -> SqliteStore, PostgresStore)]
impl Store {
    /// The version of the newest migration that a migrated database has seen.
    pub(crate) async fn schema_version(connection: &mut Connection<Store>) -> sqlx::Result<i64> {
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(connection).await
    }
}
