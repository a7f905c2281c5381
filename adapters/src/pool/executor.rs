use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection as _, Describe, Either, Execute, Executor, Postgres, SqlStr};

use super::Pool;

impl<'p> Executor<'p> for &'_ Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        // Fetches all rows at once, because the deadline is for the statement: it must not include the time in which
        // the caller processes rows.
        let rows = async move {
            pool.run(async {
                let mut connection = pool.acquire().await?;
                let rows = connection.fetch_many(query).try_collect::<Vec<_>>().await?;
                // The rows of a page may be large.
                connection.shrink_buffers();
                connection.finish();
                Ok::<_, sqlx::Error>(rows)
            })
            .await
        };
        Box::pin(stream::once(rows).map_ok(|rows| stream::iter(rows).map(Ok)).try_flatten())
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move {
            pool.run(async {
                let mut connection = pool.acquire().await?;
                let row = connection.fetch_optional(query).await?;
                connection.finish();
                Ok::<_, sqlx::Error>(row)
            })
            .await
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.run(async { pool.acquire().await?.prepare_with(sql, parameters).await }).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.run(async { pool.acquire().await?.describe(sql).await }).await })
    }
}
