use std::collections::HashMap;

use sqlx::PgConnection;
use woosh_domain::model::{DeviceId, SequenceNumber};
use woosh_domain::planner::{Changes, MailboxState};

use crate::store::{SqlError, format_undelivered};

/// The SQLSTATEs of a conflict: `division_by_zero`, with which the statement below reports a mailbox that has changed, and
/// `unique_violation`, if another transaction has used an idempotency key.
const CONFLICTS: [&str; 2] = ["22012", "23505"];

/// Returns whether [`write`] failed because another transaction was faster.
pub(super) fn is_conflict(error: &SqlError) -> bool {
    let SqlError::Database(sqlx::Error::Database(cause)) = error else { return false };
    cause.code().is_some_and(|code| CONFLICTS.contains(&code.as_ref()))
}

/// Builds the statement that writes a batch.
///
/// A mailbox is updated only if its numbers, watermark and newest gap are as loaded. If any is not, the statement divides by
/// zero, and nothing is stored. The row stays locked until the commit, so sequence numbers follow commit order (D3). Pending
/// envelopes are counted relative to the stored counters, because acknowledgements and the sweep lower them at any time.
macro_rules! write {
    ($more:literal) => {
        concat!(
            "WITH mailbox AS (
                 UPDATE mailboxes mb
                 SET last_sequence = c.last_sequence, not_before = c.not_before, refused_from = c.refused_from,
                     pending = mb.pending + c.pending, bytes = mb.bytes + c.bytes
                 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                             $7::bigint[], $8::bigint[], $9::bigint[])
                      AS c (device_id, last_sequence, not_before, refused_from, pending, bytes,
                            loaded_sequence, loaded_not_before, loaded_refused_from)
                 WHERE mb.device_id = c.device_id AND mb.last_sequence = c.loaded_sequence
                   AND mb.not_before = c.loaded_not_before AND mb.refused_from = c.loaded_refused_from
                 RETURNING mb.device_id, mb.acknowledged
             ), message AS (
                 INSERT INTO messages (id, send_id, sender, sender_device, recipient, contents, sent_at, copies)
                 OVERRIDING SYSTEM VALUE
                 SELECT * FROM unnest($10::bigint[], $11::bigint[], $12::text[], $13::bigint[], $14::text[],
                                      $15::bytea[], $16::bigint[], $17::bigint[])
             ), envelope AS (
                 INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
                 SELECT * FROM unnest($18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[])
             )",
            $more,
            "SELECT array_agg(device_id), array_agg(acknowledged), 1 / (count(*) = cardinality($1))::int FROM mailbox"
        )
    };
}

/// Most batches have neither gaps nor receipts. Without them, the database has less to set up.
const WRITE: &str = write!("");
const WRITE_ALL: &str = write!(
    ", gap AS (
         INSERT INTO gaps (device_id, first_sequence, last_sequence)
         SELECT * FROM unnest($23::bigint[], $24::bigint[], $25::bigint[])
         ON CONFLICT (device_id, first_sequence) DO UPDATE SET last_sequence = excluded.last_sequence
     ), receipt AS (
         INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered)
         SELECT * FROM unnest($26::bigint[], $27::text[], $28::bytea[], $29::bigint[], $30::bigint[], $31::text[])
     )"
);

/// Writes a batch that was planned on `loaded`, in one statement. Returns up to which number each changed mailbox is
/// acknowledged.
pub(super) async fn write(
    connection: &mut PgConnection,
    changes: &Changes<'_>,
    loaded: &HashMap<DeviceId, MailboxState>,
) -> Result<HashMap<DeviceId, SequenceNumber>, SqlError> {
    let Changes { mailboxes, messages, envelopes, gaps, receipts } = changes;
    // Each mailbox of a plan is one of those that were loaded, with other counters.
    let before = |mailbox: &MailboxState| loaded.get(&mailbox.device).copied().unwrap_or(*mailbox);
    let refused_from = |mailbox: &MailboxState| mailbox.refused_from.map_or(0, SequenceNumber::get);
    let more = !gaps.is_empty() || !receipts.is_empty();
    let mut query = sqlx::query_as(if more { WRITE_ALL } else { WRITE })
        .bind(column(mailboxes, |mailbox| mailbox.device.get()))
        .bind(column(mailboxes, |mailbox| mailbox.last.get()))
        .bind(column(mailboxes, |mailbox| mailbox.not_before.micros()))
        .bind(column(mailboxes, refused_from))
        .bind(column(mailboxes, |mailbox| mailbox.pending.cast_signed() - before(mailbox).pending.cast_signed()))
        .bind(column(mailboxes, |mailbox| mailbox.bytes.cast_signed() - before(mailbox).bytes.cast_signed()))
        .bind(column(mailboxes, |mailbox| before(mailbox).last.get()))
        .bind(column(mailboxes, |mailbox| before(mailbox).not_before.micros()))
        .bind(column(mailboxes, |mailbox| refused_from(&before(mailbox))))
        .bind(column(messages, |message| message.id))
        .bind(column(messages, |message| message.send.get()))
        .bind(column(messages, |message| message.sender.as_str()))
        .bind(column(messages, |message| message.sender_device.get()))
        .bind(column(messages, |message| message.recipient.as_str()))
        .bind(column(messages, |message| message.contents.as_bytes()))
        .bind(column(messages, |message| message.sent_at.micros()))
        .bind(column(messages, |message| i64::from(message.copies)))
        .bind(column(envelopes, |envelope| envelope.mailbox.get()))
        .bind(column(envelopes, |envelope| envelope.sequence.get()))
        .bind(column(envelopes, |envelope| envelope.message))
        .bind(column(envelopes, |envelope| envelope.size.cast_signed()))
        .bind(column(envelopes, |envelope| envelope.expires_at.micros()));
    if more {
        query = query
            .bind(column(gaps, |gap| gap.mailbox.get()))
            .bind(column(gaps, |gap| gap.first.get()))
            .bind(column(gaps, |gap| gap.last.get()))
            .bind(column(receipts, |planned| planned.key.device.get()))
            .bind(column(receipts, |planned| planned.key.key.as_str()))
            .bind(column(receipts, |planned| planned.receipt.fingerprint.as_slice()))
            .bind(column(receipts, |planned| planned.receipt.receipt.id.get()))
            .bind(column(receipts, |planned| planned.receipt.receipt.sent_at.micros()))
            .bind(column(receipts, |planned| format_undelivered(&planned.receipt.receipt.undelivered)));
    }
    let (devices, acknowledged, _): (Option<Vec<i64>>, Option<Vec<i64>>, i32) = query.fetch_one(connection).await?;
    let devices = devices.into_iter().flatten().map(DeviceId::new);
    Ok(devices.zip(acknowledged.into_iter().flatten().map(SequenceNumber::new)).collect())
}

/// One column of rows.
fn column<'a, Row, Value>(rows: &'a [Row], value: impl FnMut(&'a Row) -> Value) -> Vec<Value> {
    rows.iter().map(value).collect()
}
