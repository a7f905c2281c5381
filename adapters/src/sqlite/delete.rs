//! Deletes envelopes: acknowledged envelopes, expired envelopes, and the envelopes of deleted devices. Only one
//! connection writes to the file at a time, so the rows that a function reads do not change before it writes.

use rusqlite::{Connection, OptionalExtension as _, params};
use woosh_domain::model::{DeviceId, Incarnation, SequenceNumber, Timestamp};

use crate::store::{Acknowledged, SqlError};

/// The state of a mailbox before an acknowledgement, and the envelopes that the acknowledgement would delete.
struct Due {
    incarnation: i64,
    acknowledged: i64,
    last_sequence: i64,
    /// The greatest sequence number among the envelopes to delete. `None` if there are none.
    last_due: Option<i64>,
    /// The number of envelopes to delete.
    due: i64,
    /// The total size of the contents of the envelopes to delete, in bytes.
    bytes: i64,
}

/// Deletes at most `limit` envelopes of a deleted device. If the device has no envelopes, deletes its row in `purges`,
/// the table of deleted devices that may still have envelopes.
pub(super) fn purge(connection: &Connection, device: DeviceId, limit: i64) -> Result<(), SqlError> {
    let device = device.get();
    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT max(sequence) FROM
                 (SELECT sequence FROM envelopes WHERE device_id = ?1 ORDER BY sequence LIMIT ?2)",
        )?
        .query_row([device, limit], |row| row.get(0))?;
    if let Some(last) = last {
        delete_envelopes(connection, device, last)?;
    } else {
        connection.prepare_cached("DELETE FROM purges WHERE device_id = ?1")?.execute([device])?;
    }
    Ok(())
}

/// A subquery that selects the envelopes that expired first. Statements of one transaction all select the same
/// envelopes, until one of the statements deletes them.
macro_rules! expired {
    () => {
        "(SELECT device_id, sequence, message_id, size FROM envelopes
          WHERE expires_at <= ?1 ORDER BY expires_at, device_id, sequence LIMIT ?2)"
    };
}

/// Deletes at most `limit` expired envelopes, of all mailboxes. Returns the number of deleted envelopes.
pub(super) fn expire(connection: &Connection, now: Timestamp, limit: i64) -> Result<u64, SqlError> {
    let run = |sql| connection.prepare_cached(sql)?.execute([now.micros(), limit]);
    run(concat!(
        "UPDATE mailboxes SET pending = pending - expired.envelopes, bytes = bytes - expired.size
         FROM (SELECT device_id, count(*) AS envelopes, sum(size) AS size FROM ",
        expired!(),
        " GROUP BY device_id) expired
         WHERE expired.device_id = mailboxes.device_id"
    ))?;
    run(concat!(
        "UPDATE messages SET copies = copies - expired.envelopes
         FROM (SELECT message_id, count(*) AS envelopes FROM ",
        expired!(),
        " GROUP BY message_id) expired
         WHERE expired.message_id = messages.id"
    ))?;
    run(concat!("DELETE FROM messages WHERE copies = 0 AND id IN (SELECT message_id FROM ", expired!(), ")"))?;
    let deleted = run(concat!(
        "DELETE FROM envelopes WHERE (device_id, sequence) IN (SELECT device_id, sequence FROM ",
        expired!(),
        ")"
    ))?;
    Ok(deleted as u64)
}

/// Acknowledges and deletes the oldest envelopes of a mailbox up to the sequence number `up_to`, at most `limit` of
/// them. Changes nothing if `expected` is given and differs from the incarnation of the mailbox.
pub(super) fn acknowledge(
    connection: &Connection,
    mailbox: DeviceId,
    up_to: SequenceNumber,
    expected: Option<Incarnation>,
    limit: i64,
) -> Result<Option<Acknowledged>, SqlError> {
    let (mailbox, up_to) = (mailbox.get(), up_to.get());
    let due = connection
        .prepare_cached(
            "SELECT mb.incarnation, mb.acknowledged, mb.last_sequence, due.last AS last_due, due.envelopes AS due, due.bytes
             FROM mailboxes mb, (
                 SELECT max(sequence) AS last, count(*) AS envelopes, coalesce(sum(size), 0) AS bytes
                 FROM (SELECT sequence, size FROM envelopes
                       WHERE device_id = ?1 AND sequence <= ?2
                             AND sequence > (SELECT acknowledged FROM mailboxes WHERE device_id = ?1)
                       ORDER BY sequence LIMIT ?3)
             ) due
             WHERE mb.device_id = ?1",
        )?
        .query_row([mailbox, up_to, limit], |row| {
            Ok(Due {
                incarnation: row.get("incarnation")?,
                acknowledged: row.get("acknowledged")?,
                last_sequence: row.get("last_sequence")?,
                last_due: row.get("last_due")?,
                due: row.get("due")?,
                bytes: row.get("bytes")?,
            })
        })
        .optional()?;
    let Some(due) = due else {
        return Ok(None);
    };
    let Due { incarnation, acknowledged, last_sequence, .. } = due;
    let is_other = expected.is_some_and(|expected| expected.get() != incarnation);
    if is_other || up_to > last_sequence || up_to <= acknowledged {
        return Ok(Some(Acknowledged { incarnation, acknowledged, last_sequence, deleted: 0 }));
    }
    let reached = due.last_due.filter(|_| due.due >= limit).unwrap_or(up_to);
    connection
        .prepare_cached(
            "UPDATE mailboxes SET acknowledged = ?2, pending = pending - ?3, bytes = bytes - ?4 WHERE device_id = ?1",
        )?
        .execute([mailbox, reached, due.due, due.bytes])?;
    connection
        .prepare_cached("DELETE FROM gaps WHERE device_id = ?1 AND first_sequence <= ?2 AND last_sequence <= ?2")?
        .execute([mailbox, reached])?;
    if due.due > 0 {
        delete_envelopes(connection, mailbox, reached)?;
    }
    Ok(Some(Acknowledged { incarnation, acknowledged: reached, last_sequence, deleted: due.due }))
}

/// Deletes the envelopes of a mailbox up to the sequence number `up_to`, and each message whose last envelope is
/// deleted.
fn delete_envelopes(connection: &Connection, mailbox: i64, up_to: i64) -> rusqlite::Result<()> {
    let run = |sql| connection.prepare_cached(sql)?.execute(params![mailbox, up_to]);
    // Messages whose only envelope is deleted need no update, and most messages have a single envelope.
    run("DELETE FROM messages
         WHERE copies = 1 AND id IN (SELECT message_id FROM envelopes WHERE device_id = ?1 AND sequence <= ?2)")?;
    run("UPDATE messages SET copies = copies - 1
         WHERE id IN (SELECT message_id FROM envelopes WHERE device_id = ?1 AND sequence <= ?2)")?;
    run("DELETE FROM envelopes WHERE device_id = ?1 AND sequence <= ?2")?;
    Ok(())
}

/// Raises the watermark (`not_before`) of a mailbox to `moment`, unless the watermark is already that high.
pub(super) fn raise_not_before(
    connection: &Connection,
    mailbox: DeviceId,
    moment: Timestamp,
    now: Timestamp,
) -> Result<(), SqlError> {
    connection
        .prepare_cached(
            "UPDATE mailboxes SET not_before = ?2, closed_at = ?3 WHERE device_id = ?1 AND not_before < ?2",
        )?
        .execute([mailbox.get(), moment.micros(), now.micros()])?;
    Ok(())
}
