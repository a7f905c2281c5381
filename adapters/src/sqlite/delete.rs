//! The ways out of a mailbox. The writer has the file to itself: it looks, decides, and writes.

use sqlx::SqliteConnection;
use woosh_domain::model::{DeviceId, SequenceNumber, Timestamp};
use woosh_domain::ports::PortError;

use super::SqliteStore;
use crate::sql::{Acknowledged, SqlError, count};

/// What is to be deleted of a mailbox.
#[derive(sqlx::FromRow)]
struct Due {
    acknowledged: i64,
    last_sequence: i64,
    /// The last of the oldest envelopes up to the number, as many as the limit lets.
    last_due: Option<i64>,
    due: i64,
    bytes: i64,
}

impl SqliteStore {
    /// Acknowledges the oldest envelopes up to a number, at most `limit` of them.
    pub(crate) async fn delete_up_to(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        limit: usize,
    ) -> Result<Acknowledged, PortError> {
        self.write(move |connection| Box::pin(acknowledge(connection, mailbox.get(), up_to.get(), count(limit)))).await
    }

    /// Deletes expired envelopes of all mailboxes, at most `limit` of them.
    pub(crate) async fn delete_expired(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        self.write(move |connection| Box::pin(expire(connection, now.micros(), count(limit)))).await
    }

    /// Deletes what a deleted device has left, at most `limit` envelopes, and where there are none, the note that there
    /// may be some.
    pub(crate) async fn delete_remains(&self, device: DeviceId, limit: usize) -> Result<(), PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                let last: Option<i64> = sqlx::query_scalar(
                    "SELECT max(sequence) FROM
                         (SELECT sequence FROM envelopes WHERE device_id = $1 ORDER BY sequence LIMIT $2)",
                )
                .bind(device.get())
                .bind(count(limit))
                .fetch_one(&mut *connection)
                .await?;
                let Some(last) = last else {
                    sqlx::query(
                        "DELETE FROM idempotency_keys WHERE device_id = $1; DELETE FROM purges WHERE device_id = $1",
                    )
                    .bind(device.get())
                    .execute(connection)
                    .await?;
                    return Ok(());
                };
                release(connection, device.get(), last).await
            })
        })
        .await
    }
}

/// The oldest expired envelopes, the same in each statement of a transaction.
macro_rules! expired {
    () => {
        "(SELECT device_id, sequence, message_id, size FROM envelopes
          WHERE expires_at <= $1 ORDER BY expires_at, device_id, sequence LIMIT $2)"
    };
}

async fn expire(connection: &mut SqliteConnection, now: i64, limit: i64) -> Result<u64, SqlError> {
    sqlx::query(concat!(
        "UPDATE mailboxes SET pending = pending - gone.envelopes, bytes = bytes - gone.size
         FROM (SELECT device_id, count(*) AS envelopes, sum(size) AS size FROM ",
        expired!(),
        " GROUP BY device_id) gone
         WHERE gone.device_id = mailboxes.device_id;
         UPDATE messages SET copies = copies - gone.envelopes
         FROM (SELECT message_id, count(*) AS envelopes FROM ",
        expired!(),
        " GROUP BY message_id) gone
         WHERE gone.message_id = messages.id;
         DELETE FROM messages WHERE copies = 0 AND id IN (SELECT message_id FROM ",
        expired!(),
        ")"
    ))
    .bind(now)
    .bind(limit)
    .execute(&mut *connection)
    .await?;
    let deleted = sqlx::query(concat!(
        "DELETE FROM envelopes WHERE (device_id, sequence) IN (SELECT device_id, sequence FROM ",
        expired!(),
        ")"
    ))
    .bind(now)
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

async fn acknowledge(
    connection: &mut SqliteConnection,
    mailbox: i64,
    up_to: i64,
    limit: i64,
) -> Result<Acknowledged, SqlError> {
    let due: Option<Due> = sqlx::query_as(
        "SELECT mb.acknowledged, mb.last_sequence, due.last AS last_due, due.envelopes AS due, due.bytes
         FROM mailboxes mb, (
             SELECT max(sequence) AS last, count(*) AS envelopes, coalesce(sum(size), 0) AS bytes
             FROM (SELECT sequence, size FROM envelopes
                   WHERE device_id = $1 AND sequence <= $2 ORDER BY sequence LIMIT $3)
         ) due
         WHERE mb.device_id = $1",
    )
    .bind(mailbox)
    .bind(up_to)
    .bind(limit)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(due) = due else {
        return Ok(Acknowledged { acknowledged: 0, last_sequence: 0, deleted: 0 });
    };
    let Due { acknowledged, last_sequence, .. } = due;
    if up_to > last_sequence || up_to <= acknowledged {
        return Ok(Acknowledged { acknowledged, last_sequence, deleted: 0 });
    }
    let reached = due.last_due.filter(|_| due.due >= limit).unwrap_or(up_to);
    sqlx::query(
        "UPDATE mailboxes SET acknowledged = $2, pending = pending - $3, bytes = bytes - $4 WHERE device_id = $1;
         DELETE FROM gaps WHERE device_id = $1 AND last_sequence <= $2",
    )
    .bind(mailbox)
    .bind(reached)
    .bind(due.due)
    .bind(due.bytes)
    .execute(&mut *connection)
    .await?;
    if due.due > 0 {
        release(connection, mailbox, reached).await?;
    }
    Ok(Acknowledged { acknowledged: reached, last_sequence, deleted: due.due })
}

/// Deletes a mailbox's envelopes up to a number, and each message with its last envelope.
async fn release(connection: &mut SqliteConnection, mailbox: i64, up_to: i64) -> Result<(), SqlError> {
    // Most messages have but one envelope.
    sqlx::query(
        "DELETE FROM messages
         WHERE copies = 1 AND id IN (SELECT message_id FROM envelopes WHERE device_id = $1 AND sequence <= $2);
         UPDATE messages SET copies = copies - 1
         WHERE id IN (SELECT message_id FROM envelopes WHERE device_id = $1 AND sequence <= $2);
         DELETE FROM envelopes WHERE device_id = $1 AND sequence <= $2",
    )
    .bind(mailbox)
    .bind(up_to)
    .execute(connection)
    .await?;
    Ok(())
}
