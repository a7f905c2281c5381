//! Deletes envelopes: acknowledged envelopes, expired envelopes, and the envelopes of deleted devices. Each function
//! runs one statement, which takes one round trip, and which is atomic even while other replicas write. Each statement
//! locks mailboxes first and messages next, both in a fixed order, so that no two statements deadlock.

use woosh_domain::model::{DeviceId, Incarnation, SequenceNumber, Timestamp};

use crate::pool::Pool;
use crate::store::{Acknowledged, SqlError, count};

/// Common table expressions for a statement whose expression `deleted` returns the deleted envelopes. In each message
/// of these envelopes, they lower `copies`, the number of copies that are left. If no copy is left, they delete the
/// message.
///
/// Usually, the statement deletes all copies of a message. Such a message needs no lock, because no other statement
/// deletes any of its envelopes. A message with more copies is locked first, because another statement may be deleting
/// other copies of the message at the same time.
macro_rules! release_messages {
    () => {
        "deleted_copies AS (
            SELECT message_id, count(*) AS envelopes FROM deleted GROUP BY message_id
        ), released AS MATERIALIZED (
            SELECT m.id, m.copies > d.envelopes AS has_more FROM messages m JOIN deleted_copies d ON m.id = d.message_id
        ), deleted_unlocked AS (
            DELETE FROM messages WHERE id = ANY(ARRAY(SELECT id FROM released WHERE NOT has_more))
        ), locked_messages AS (
            SELECT id, copies FROM messages WHERE id = ANY(ARRAY(SELECT id FROM released WHERE has_more))
            ORDER BY id FOR UPDATE
        ), deleted_messages AS (
            DELETE FROM messages m USING locked_messages l, deleted_copies d
            WHERE m.id = l.id AND d.message_id = l.id AND l.copies = d.envelopes
        ), kept_messages AS (
            UPDATE messages m SET copies = m.copies - d.envelopes FROM locked_messages l, deleted_copies d
            WHERE m.id = l.id AND d.message_id = l.id AND l.copies > d.envelopes
        )"
    };
}

/// Acknowledges and deletes the oldest envelopes of a mailbox up to the sequence number `up_to`, at most `limit` of
/// them. Changes nothing if `incarnation` is given and differs from the incarnation of the mailbox.
pub(super) async fn acknowledge(
    pool: &Pool,
    mailbox: DeviceId,
    up_to: SequenceNumber,
    incarnation: Option<Incarnation>,
    limit: usize,
) -> Result<Option<Acknowledged>, SqlError> {
    // A send that commits while this statement waits for the lock on the mailbox is not visible to the statement. So
    // `up_to` is compared with the last sequence number in the statement's snapshot, not with the value in the locked
    // row: otherwise the statement would acknowledge an envelope that it can't see and so can't delete. `greatest`
    // keeps the result of a concurrent acknowledgement of a higher number.
    let acknowledged = sqlx::query_as(concat!(
        "WITH mailbox AS (
            SELECT device_id, incarnation, acknowledged FROM mailboxes WHERE device_id = $1 FOR UPDATE
        ), snapshot AS (
            SELECT last_sequence FROM mailboxes WHERE device_id = $1
        ), valid AS (
            SELECT device_id, acknowledged FROM mailbox, snapshot
            WHERE $2 > acknowledged AND $2 <= last_sequence AND ($4::bigint IS NULL OR $4 = incarnation)
        ), due AS (
            SELECT e.sequence FROM valid v JOIN envelopes e ON e.device_id = v.device_id
            WHERE e.sequence > v.acknowledged AND e.sequence <= $2 ORDER BY e.sequence LIMIT $3
        ), reached AS (
            SELECT CASE WHEN count(*) < $3 THEN $2 ELSE max(sequence) END AS up_to FROM due
        ), deleted AS (
            DELETE FROM envelopes e USING valid v, reached r
            WHERE e.device_id = v.device_id AND e.sequence > v.acknowledged AND e.sequence <= r.up_to
            RETURNING e.message_id, e.size
        ), updated AS (
            UPDATE mailboxes mb
            SET acknowledged = greatest(mb.acknowledged, r.up_to), pending = mb.pending - d.envelopes,
                bytes = mb.bytes - d.size
            FROM valid v, reached r,
                 (SELECT count(*) AS envelopes, coalesce(sum(size), 0)::bigint AS size FROM deleted) d
            WHERE mb.device_id = v.device_id
            RETURNING mb.acknowledged
        ), deleted_gaps AS (
            DELETE FROM gaps USING updated
            WHERE device_id = $1 AND first_sequence <= updated.acknowledged AND last_sequence <= updated.acknowledged
        ), ",
        release_messages!(),
        "SELECT mailbox.incarnation, coalesce((SELECT acknowledged FROM updated), mailbox.acknowledged) AS acknowledged,
                greatest(snapshot.last_sequence, mailbox.acknowledged) AS last_sequence,
                (SELECT count(*) FROM deleted) AS deleted
         FROM mailbox, snapshot"
    ))
    .bind(mailbox.get())
    .bind(up_to.get())
    .bind(count(limit))
    .bind(incarnation.map(Incarnation::get))
    .fetch_optional(pool)
    .await?;
    Ok(acknowledged)
}

/// Deletes at most `limit` expired envelopes, of all mailboxes. Returns the number of deleted envelopes.
pub(super) async fn expire(pool: &Pool, now: Timestamp, limit: usize) -> Result<u64, SqlError> {
    let deleted: i64 = sqlx::query_scalar(concat!(
        "WITH expired AS (
            SELECT device_id, sequence FROM envelopes WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
        ), locked AS (
            SELECT device_id FROM mailboxes WHERE device_id IN (SELECT device_id FROM expired)
            ORDER BY device_id FOR UPDATE
        ), deleted AS (
            DELETE FROM envelopes e USING expired x, (SELECT count(*) FROM locked) lock_first
            WHERE e.device_id = x.device_id AND e.sequence = x.sequence
            RETURNING e.device_id, e.message_id, e.size
        ), updated AS (
            UPDATE mailboxes mb SET pending = mb.pending - d.envelopes, bytes = mb.bytes - d.size
            FROM (SELECT device_id, count(*) AS envelopes, sum(size)::bigint AS size FROM deleted GROUP BY device_id) d
            WHERE mb.device_id = d.device_id
        ), ",
        release_messages!(),
        "SELECT count(*) FROM deleted"
    ))
    .bind(now.micros())
    .bind(count(limit))
    .fetch_one(pool)
    .await?;
    Ok(deleted.unsigned_abs())
}

/// Deletes at most `limit` envelopes of a deleted device. If the device has no envelopes left, deletes its row in
/// `purges`, the table of deleted devices that may still have envelopes.
pub(super) async fn purge(pool: &Pool, device: DeviceId, limit: usize) -> Result<(), SqlError> {
    // Counts the selected envelopes, not the deleted ones: a concurrent purge may delete the selected envelopes first,
    // while the device has more envelopes left.
    let due: i64 = sqlx::query_scalar(concat!(
        "WITH due AS (
            SELECT sequence FROM envelopes WHERE device_id = $1 ORDER BY sequence LIMIT $2
        ), deleted AS (
            DELETE FROM envelopes e USING due WHERE e.device_id = $1 AND e.sequence = due.sequence
            RETURNING e.message_id, e.size
        ), ",
        release_messages!(),
        "SELECT count(*) FROM due"
    ))
    .bind(device.get())
    .bind(count(limit))
    .fetch_one(pool)
    .await?;
    if due == 0 {
        sqlx::query("DELETE FROM purges WHERE device_id = $1").bind(device.get()).execute(pool).await?;
    }
    Ok(())
}
