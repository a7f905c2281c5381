//! Deletes envelopes: acknowledged and expired ones, and those of deleted devices. The writer is the only connection
//! that writes, so what a step reads stays true until it writes.

use sqlx::SqliteConnection;
use woosh_domain::model::{DeviceId, SequenceNumber, Timestamp};

use crate::store::{Acknowledged, SqlError};

/// What an acknowledgement would delete.
#[derive(sqlx::FromRow)]
struct Due {
    acknowledged: i64,
    last_sequence: i64,
    /// The sequence number of the last envelope that is due, within the limit.
    last_due: Option<i64>,
    due: i64,
    bytes: i64,
}

/// Deletes envelopes of a deleted device, at most `limit`. If none is left, deletes its keys and its row in `purges`.
pub(super) async fn purge(connection: &mut SqliteConnection, device: DeviceId, limit: i64) -> Result<(), SqlError> {
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(sequence) FROM
             (SELECT sequence FROM envelopes WHERE device_id = $1 ORDER BY sequence LIMIT $2)",
    )
    .bind(device.get())
    .bind(limit)
    .fetch_one(&mut *connection)
    .await?;
    let Some(last) = last else {
        sqlx::query("DELETE FROM idempotency_keys WHERE device_id = $1; DELETE FROM purges WHERE device_id = $1")
            .bind(device.get())
            .execute(connection)
            .await?;
        return Ok(());
    };
    delete_envelopes(connection, device.get(), last).await
}

/// The oldest expired envelopes, the same in each statement of a transaction.
macro_rules! expired {
    () => {
        "(SELECT device_id, sequence, message_id, size FROM envelopes
          WHERE expires_at <= $1 ORDER BY expires_at, device_id, sequence LIMIT $2)"
    };
}

/// Deletes expired envelopes of all mailboxes, at most `limit`. Returns how many.
pub(super) async fn expire(connection: &mut SqliteConnection, now: Timestamp, limit: i64) -> Result<u64, SqlError> {
    sqlx::query(concat!(
        "UPDATE mailboxes SET pending = pending - expired.envelopes, bytes = bytes - expired.size
         FROM (SELECT device_id, count(*) AS envelopes, sum(size) AS size FROM ",
        expired!(),
        " GROUP BY device_id) expired
         WHERE expired.device_id = mailboxes.device_id;
         UPDATE messages SET copies = copies - expired.envelopes
         FROM (SELECT message_id, count(*) AS envelopes FROM ",
        expired!(),
        " GROUP BY message_id) expired
         WHERE expired.message_id = messages.id;
         DELETE FROM messages WHERE copies = 0 AND id IN (SELECT message_id FROM ",
        expired!(),
        ")"
    ))
    .bind(now.micros())
    .bind(limit)
    .execute(&mut *connection)
    .await?;
    let deleted = sqlx::query(concat!(
        "DELETE FROM envelopes WHERE (device_id, sequence) IN (SELECT device_id, sequence FROM ",
        expired!(),
        ")"
    ))
    .bind(now.micros())
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// Acknowledges envelopes up to the sequence number `up_to`, oldest first, and at most `limit` of them.
pub(super) async fn acknowledge(
    connection: &mut SqliteConnection,
    mailbox: DeviceId,
    up_to: SequenceNumber,
    limit: i64,
) -> Result<Acknowledged, SqlError> {
    let (mailbox, up_to) = (mailbox.get(), up_to.get());
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
        return Ok(Acknowledged::default());
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
        delete_envelopes(connection, mailbox, reached).await?;
    }
    Ok(Acknowledged { acknowledged: reached, last_sequence, deleted: due.due })
}

/// Deletes a mailbox's envelopes up to a sequence number, and each message with its last envelope.
async fn delete_envelopes(connection: &mut SqliteConnection, mailbox: i64, up_to: i64) -> Result<(), SqlError> {
    // Most messages have a single envelope.
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
