use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sqlx::FromRow;
use woosh_domain::model::{MAX_STREAM_TICKETS, Timestamp, TokenHash};
use woosh_domain::ports::{NewStreamTicket, PortError, StreamTickets};

use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::{Cell, SqlError, SqlStore, count};

#[derive(FromRow)]
struct TakenRow {
    session_id: i64,
    token_hash: Option<Vec<u8>>,
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl StreamTickets for Store {
    async fn issue(&self, new: NewStreamTicket) -> Result<bool, PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                // Locks the session, so that concurrent calls don't exceed the limit, and the session does not end.
                let locked = sqlx::query("UPDATE sessions SET created_at = created_at WHERE id = $1")
                    .bind(new.session.get())
                    .execute(&mut *connection)
                    .await?;
                if locked.rows_affected() == 0 {
                    return Ok(false);
                }
                sqlx::query(
                    "DELETE FROM stream_tickets
                     WHERE session_id = $1 AND ticket_hash NOT IN
                         (SELECT ticket_hash FROM stream_tickets WHERE session_id = $1 ORDER BY expires_at DESC LIMIT $2)",
                )
                .bind(new.session.get())
                .bind(count(MAX_STREAM_TICKETS - 1))
                .execute(&mut *connection)
                .await?;
                sqlx::query("INSERT INTO stream_tickets (ticket_hash, session_id, expires_at) VALUES ($1, $2, $3)")
                    .bind(new.ticket.as_bytes().to_vec())
                    .bind(new.session.get())
                    .bind(new.expires_at.micros())
                    .execute(connection)
                    .await?;
                Ok(true)
            })
        })
        .await
    }

    async fn take(&self, ticket: &TokenHash, now: Timestamp) -> Result<Option<TokenHash>, PortError> {
        let ticket = *ticket;
        let taken: Option<TakenRow> = self
            .write(move |connection| {
                Box::pin(async move {
                    let row = sqlx::query_as(
                        "DELETE FROM stream_tickets WHERE ticket_hash = $1 AND expires_at > $2
                         RETURNING session_id, (SELECT token_hash FROM sessions WHERE id = session_id) AS token_hash",
                    )
                    .bind(ticket.as_bytes().to_vec())
                    .bind(now.micros())
                    .fetch_optional(connection)
                    .await?;
                    Ok(row)
                })
            })
            .await?;
        let Some(TakenRow { session_id, token_hash: Some(hash) }) = taken else {
            return Ok(None);
        };
        let cell = Cell::by_id("sessions", "token_hash", session_id);
        let hash = <[u8; 32]>::try_from(hash).map_err(|_| SqlError::from(cell.corrupt("it does not have 32 bytes")))?;
        Ok(Some(TokenHash::from_bytes(hash)))
    }

    async fn expire_tickets(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        let first: Option<i64> = sqlx::query_scalar("SELECT min(expires_at) FROM stream_tickets")
            .fetch_one(self.read_pool())
            .await
            .map_err(SqlError::from)?;
        if first.is_none_or(|first| first > now.micros()) {
            return Ok(0);
        }
        self.write(move |connection| {
            Box::pin(async move {
                let deleted = sqlx::query(
                    "DELETE FROM stream_tickets WHERE ticket_hash IN
                         (SELECT ticket_hash FROM stream_tickets WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)",
                )
                .bind(now.micros())
                .bind(count(limit))
                .execute(connection)
                .await?;
                Ok(deleted.rows_affected())
            })
        })
        .await
    }
}
