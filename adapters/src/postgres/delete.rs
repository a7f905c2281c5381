//! The ways out of a mailbox. Other replicas write as well, and each statement is a trip to the server: all in one. Each takes
//! mailboxes first and messages next, both in a fixed order, so that no two wait for each other.

use sqlx::PgPool;
use woosh_domain::model::{DeviceId, SequenceNumber, Timestamp};

use crate::store::{Acknowledged, SqlError, count};

/// Deletes the messages of the envelopes that are `gone` with their last ones: the end of each statement here.
macro_rules! released {
    () => {
        "freed AS (
            SELECT message_id, count(*) AS envelopes FROM gone GROUP BY message_id
        ), held AS (
            SELECT id, copies FROM messages WHERE id IN (SELECT message_id FROM freed) ORDER BY id FOR UPDATE
        ), dropped AS (
            DELETE FROM messages m USING held h, freed f
            WHERE m.id = h.id AND f.message_id = h.id AND h.copies = f.envelopes
        ), kept AS (
            UPDATE messages m SET copies = m.copies - f.envelopes FROM held h, freed f
            WHERE m.id = h.id AND f.message_id = h.id AND h.copies > f.envelopes
        )"
    };
}

/// Acknowledges the oldest envelopes up to a number, at most `limit` of them.
pub(super) async fn acknowledge(
    pool: &PgPool,
    mailbox: DeviceId,
    up_to: SequenceNumber,
    limit: usize,
) -> Result<Acknowledged, SqlError> {
    // What a send has stored for which the box was waited for is not seen here, so its numbers are not there yet either.
    // What others have acknowledged meanwhile is seen as it was, and may go further than this.
    let done: Option<Acknowledged> = sqlx::query_as(concat!(
        "WITH box AS (
            SELECT device_id, acknowledged FROM mailboxes WHERE device_id = $1 FOR UPDATE
        ), seen AS (
            SELECT last_sequence FROM mailboxes WHERE device_id = $1
        ), go AS (
            SELECT device_id FROM box, seen WHERE $2 > acknowledged AND $2 <= last_sequence
        ), due AS (
            SELECT e.sequence FROM go JOIN envelopes e ON e.device_id = go.device_id
            WHERE e.sequence <= $2 ORDER BY e.sequence LIMIT $3
        ), reached AS (
            SELECT CASE WHEN count(*) < $3 THEN $2 ELSE max(sequence) END AS up_to FROM due
        ), gone AS (
            DELETE FROM envelopes e USING go, reached r
            WHERE e.device_id = go.device_id AND e.sequence <= r.up_to
            RETURNING e.message_id, e.size
        ), moved AS (
            UPDATE mailboxes mb
            SET acknowledged = greatest(mb.acknowledged, r.up_to), pending = mb.pending - g.envelopes,
                bytes = mb.bytes - g.size
            FROM go, reached r,
                 (SELECT count(*) AS envelopes, coalesce(sum(size), 0)::bigint AS size FROM gone) g
            WHERE mb.device_id = go.device_id
            RETURNING mb.acknowledged
        ), closed AS (
            DELETE FROM gaps USING moved WHERE device_id = $1 AND last_sequence <= moved.acknowledged
        ), ",
        released!(),
        "SELECT coalesce((SELECT acknowledged FROM moved), box.acknowledged) AS acknowledged, seen.last_sequence,
                (SELECT count(*) FROM gone) AS deleted
         FROM box, seen"
    ))
    .bind(mailbox.get())
    .bind(up_to.get())
    .bind(count(limit))
    .fetch_optional(pool)
    .await?;
    Ok(done.unwrap_or_default())
}

/// Deletes expired envelopes of all mailboxes, at most `limit` of them.
pub(super) async fn expire(pool: &PgPool, now: Timestamp, limit: usize) -> Result<u64, SqlError> {
    let deleted: i64 = sqlx::query_scalar(concat!(
        "WITH expired AS (
            SELECT device_id, sequence FROM envelopes WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
        ), boxes AS (
            SELECT device_id FROM mailboxes WHERE device_id IN (SELECT device_id FROM expired)
            ORDER BY device_id FOR UPDATE
        ), gone AS (
            DELETE FROM envelopes e USING expired x, (SELECT count(*) FROM boxes) held
            WHERE e.device_id = x.device_id AND e.sequence = x.sequence
            RETURNING e.device_id, e.message_id, e.size
        ), emptied AS (
            UPDATE mailboxes mb SET pending = mb.pending - g.envelopes, bytes = mb.bytes - g.size
            FROM (SELECT device_id, count(*) AS envelopes, sum(size)::bigint AS size FROM gone GROUP BY device_id) g
            WHERE mb.device_id = g.device_id
        ), ",
        released!(),
        "SELECT count(*) FROM gone"
    ))
    .bind(now.micros())
    .bind(count(limit))
    .fetch_one(pool)
    .await?;
    Ok(deleted.unsigned_abs())
}

/// Deletes what a deleted device has left, at most `limit` envelopes, and where there are none, the note that there
/// may be some.
pub(super) async fn purge(pool: &PgPool, device: DeviceId, limit: usize) -> Result<(), SqlError> {
    // What another has just deleted was there when this looked, and there may be more behind it.
    let due: i64 = sqlx::query_scalar(concat!(
        "WITH due AS (
            SELECT sequence FROM envelopes WHERE device_id = $1 ORDER BY sequence LIMIT $2
        ), gone AS (
            DELETE FROM envelopes e USING due WHERE e.device_id = $1 AND e.sequence = due.sequence
            RETURNING e.message_id, e.size
        ), ",
        released!(),
        "SELECT count(*) FROM due"
    ))
    .bind(device.get())
    .bind(count(limit))
    .fetch_one(pool)
    .await?;
    if due == 0 {
        sqlx::query(
            "WITH keys AS (DELETE FROM idempotency_keys WHERE device_id = $1) DELETE FROM purges WHERE device_id = $1",
        )
        .bind(device.get())
        .execute(pool)
        .await?;
    }
    Ok(())
}
