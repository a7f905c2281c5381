use std::collections::HashMap;

use sqlx::PgConnection;
use woosh_domain::model::{DeviceId, SequenceNumber, SessionId, Timestamp};
use woosh_domain::planner::{Changes, MailboxState, Plan, RecipientState};
use woosh_domain::ports::{DeliverOutcome, NewDelivery};

use crate::store::{SqlError, count, format_undelivered, sessions};

/// SQLSTATE `division_by_zero`. The statement that writes a batch causes this error on purpose if the plan of the batch
/// is outdated.
const OUTDATED: &str = "22012";
/// The constraint that is violated if an idempotency key is stored already.
const ONE_RECEIPT: &str = "idempotency_keys_pkey";

/// The counters of the mailboxes that a batch has changed.
pub(super) type Counters = HashMap<DeviceId, MailboxCounters>;

/// The values of a mailbox that acknowledgements and expiry change. The statement that writes a batch returns the
/// stored values, because those in the plan of the batch may be outdated.
pub(super) struct MailboxCounters {
    pub(super) acknowledged: SequenceNumber,
    pub(super) pending: u64,
    pub(super) bytes: u64,
}

/// Builds the statement that writes a planned batch of sends.
///
/// If the plan is outdated, the statement divides by zero on purpose, and so stores nothing. The plan is outdated
/// unless
/// - each mailbox that the plan changes still has the last sequence number that it had when the plan was made, and a
///   watermark that is not after the `sent_at` of its first new message. The row of the mailbox stays locked until the
///   commit, so sequence numbers follow commit order (D3);
/// - the recipients still have the devices that the plan knows;
/// - the sessions of the senders are open (D9).
///
/// The statement adds to the stored number and size of a mailbox's envelopes (`pending`, `bytes`) instead of replacing
/// them, because acknowledgements and expiry can lower them at any time.
macro_rules! write {
    ($more:literal) => {
        concat!(
            "WITH mailbox AS (
                 UPDATE mailboxes mb
                 SET last_sequence = c.last_sequence, not_before = c.not_before, refused_from = c.refused_from,
                     pending = mb.pending + c.pending, bytes = mb.bytes + c.bytes
                 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                             $7::bigint[], $8::bigint[])
                      AS c (device_id, last_sequence, not_before, refused_from, pending, bytes, planned_on, first_sent_at)
                 WHERE mb.device_id = c.device_id AND mb.last_sequence = c.planned_on
                   AND mb.not_before <= c.first_sent_at
                 RETURNING mb.device_id, mb.acknowledged, mb.pending, mb.bytes
             ), message AS (
                 INSERT INTO messages (id, send_id, sender, sender_device, recipient, contents, sent_at, copies)
                 OVERRIDING SYSTEM VALUE
                 SELECT * FROM unnest($9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::text[],
                                      $14::bytea[], $15::bigint[], $16::bigint[])
             ), envelope AS (
                 INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
                 SELECT * FROM unnest($17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[])
             )",
            $more,
            "SELECT array_agg(device_id), array_agg(acknowledged), array_agg(pending), array_agg(bytes),
                    1 / (count(*) = cardinality($1)
                         AND (SELECT count(*) FROM devices WHERE user_id = ANY($22)) = $23
                         AND (SELECT count(*) FROM sessions WHERE id = ANY($24)) = cardinality($24))::int
             FROM mailbox"
        )
    };
}

/// The statement for a batch that writes neither gaps nor receipts. Most batches write neither, and a shorter statement
/// costs the database less.
const WRITE: &str = write!("");
const WRITE_ALL: &str = write!(
    ", gap AS (
         INSERT INTO gaps (device_id, first_sequence, last_sequence)
         SELECT * FROM unnest($25::bigint[], $26::bigint[], $27::bigint[])
         ON CONFLICT (device_id, first_sequence) DO UPDATE SET last_sequence = excluded.last_sequence
     ), receipt AS (
         INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered, generation)
         SELECT *, (SELECT number FROM key_generation)
         FROM unnest($28::bigint[], $29::text[], $30::bytea[], $31::bigint[], $32::bigint[], $33::text[])
     )"
);

type Row = (Option<Vec<i64>>, Option<Vec<i64>>, Option<Vec<i64>>, Option<Vec<i64>>, i32);

/// Writes a planned batch of sends. `before` holds the mailboxes as they were before the planner changed them. Returns
/// `None`, and stores nothing, if another transaction has made the plan outdated.
pub(super) async fn write(
    connection: &mut PgConnection,
    sends: &[&NewDelivery],
    plan: &Plan<'_>,
    before: &HashMap<DeviceId, MailboxState>,
) -> Result<Option<Counters>, SqlError> {
    let Changes { mailboxes, messages, envelopes, gaps, receipts } = &plan.changes;
    if mailboxes.is_empty() {
        return Ok(Some(Counters::new()));
    }
    let storing = sends.iter().zip(&plan.sends).filter(|(_, planned)| {
        matches!(planned.outcome, DeliverOutcome::Stored { .. } | DeliverOutcome::AllMailboxesFull)
    });
    let storing: Vec<_> = storing.map(|(send, _)| *send).collect();
    let changed = |recipient: &&RecipientState| recipient.mailboxes.iter().any(|mailbox| mailbox.changed_at.is_some());
    let recipients: Vec<_> = plan.recipients.values().filter(changed).collect();
    let devices: usize = recipients.iter().map(|recipient| recipient.mailboxes.len()).sum();
    // Every mailbox of a plan is one that the batch was planned on.
    let before = |mailbox: &MailboxState| before.get(&mailbox.device).copied().unwrap_or(*mailbox);
    let more = !gaps.is_empty() || !receipts.is_empty();
    let mut query = sqlx::query_as(if more { WRITE_ALL } else { WRITE })
        .bind(column(mailboxes, |mailbox| mailbox.device.get()))
        .bind(column(mailboxes, |mailbox| mailbox.last.get()))
        .bind(column(mailboxes, |mailbox| mailbox.not_before.micros()))
        .bind(column(mailboxes, |mailbox| mailbox.refused_from.map_or(0, SequenceNumber::get)))
        .bind(column(mailboxes, |mailbox| mailbox.pending.cast_signed() - before(mailbox).pending.cast_signed()))
        .bind(column(mailboxes, |mailbox| mailbox.bytes.cast_signed() - before(mailbox).bytes.cast_signed()))
        .bind(column(mailboxes, |mailbox| before(mailbox).last.get()))
        .bind(column(mailboxes, |mailbox| mailbox.changed_at.map_or(0, Timestamp::micros)))
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
        .bind(column(envelopes, |envelope| envelope.expires_at.micros()))
        .bind(column(&recipients, |recipient| recipient.user.get()))
        .bind(count(devices))
        .bind(sessions(&storing).into_iter().map(SessionId::get).collect::<Vec<_>>());
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
    match query.fetch_one(connection).await {
        Ok(row) => Ok(Some(counters(row))),
        Err(sqlx::Error::Database(cause))
            if cause.code().is_some_and(|code| code == OUTDATED) || cause.constraint() == Some(ONE_RECEIPT) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn counters((devices, acknowledged, pending, bytes, _): Row) -> Counters {
    let column = |values: Option<Vec<i64>>| values.unwrap_or_default().into_iter();
    let counters = column(acknowledged).zip(column(pending)).zip(column(bytes));
    let counters = counters.map(|((acknowledged, pending), bytes)| MailboxCounters {
        acknowledged: SequenceNumber::new(acknowledged),
        pending: pending.unsigned_abs(),
        bytes: bytes.unsigned_abs(),
    });
    column(devices).map(DeviceId::new).zip(counters).collect()
}

/// Collects one column of some rows, to bind it as an array.
fn column<'a, Row, Value>(rows: &'a [Row], value: impl FnMut(&'a Row) -> Value) -> Vec<Value> {
    rows.iter().map(value).collect()
}
