//! Sends. Other replicas write too, so the mailboxes are locked while a batch is planned. Each statement is a round trip to the
//! server, so there are few of them.

use std::collections::VecDeque;

use sqlx::PgConnection;
use woosh_domain::model::SequenceNumber;
use woosh_domain::planner::{
    BatchState, Changes, MailboxState, PlannedGap, PlannedReceipt, PlannedSend, ScopedKey, plan,
};
use woosh_domain::ports::NewDelivery;

use crate::pool::Pool;
use crate::store::{KeyRow, MailboxRow, SqlError, format_undelivered, recipient_keys};

/// How many identifiers of messages are reserved at once.
const RESERVED_IDS: i64 = 1000;

/// Stores sends in one transaction. `ids` are reserved identifiers of messages; it is refilled as needed.
pub(super) async fn deliver(
    pool: &Pool,
    ids: &mut VecDeque<i64>,
    sends: &[&NewDelivery],
) -> Result<Vec<PlannedSend>, SqlError> {
    let needed = sends.iter().map(|send| send.recipients.len()).sum();
    let mut transaction = pool.begin().await?;
    if ids.len() < needed {
        reserve_ids(&mut transaction, ids, needed).await?;
    }
    let keys: Vec<_> = sends
        .iter()
        .filter_map(|send| Some(ScopedKey::new(send.sender_device, &send.idempotency.as_ref()?.0)))
        .collect();
    let mut state = BatchState::default();
    if !keys.is_empty() {
        load_receipts(&mut transaction, &keys, &mut state).await?;
    }
    load_mailboxes(&mut transaction, sends, &mut state).await?;
    let plan = plan(sends.iter().copied(), state, std::iter::from_fn(|| ids.pop_front()));
    if plan.changes == Changes::default() {
        transaction.rollback().await?;
    } else {
        write(&mut transaction, &plan.changes).await?;
        transaction.commit().await?;
    }
    Ok(plan.sends)
}

/// Reserves identifiers. A sequence is not rolled back, so they are never given out again.
async fn reserve_ids(connection: &mut PgConnection, ids: &mut VecDeque<i64>, needed: usize) -> Result<(), SqlError> {
    let count = i64::try_from(needed).unwrap_or(i64::MAX).max(RESERVED_IDS);
    let reserved: Vec<i64> =
        // OFFSET keeps the name from being looked up for each row.
        sqlx::query_scalar(
            "SELECT nextval(name) FROM generate_series(1, $1),
                 (SELECT pg_get_serial_sequence('messages', 'id')::regclass AS name OFFSET 0) sequence",
        )
            .bind(count)
            .fetch_all(connection)
            .await?;
    ids.extend(reserved);
    Ok(())
}

/// Locks the keys of these sends, in a fixed order, and loads the receipts that are stored under them. Keys are locked before
/// mailboxes in every transaction, so that no two wait for each other.
async fn load_receipts(
    connection: &mut PgConnection,
    keys: &[ScopedKey],
    state: &mut BatchState,
) -> Result<(), SqlError> {
    let (devices, keys): (Vec<_>, Vec<_>) = keys.iter().map(|key| (key.device.get(), key.key.as_str())).unzip();
    sqlx::query(
        "SELECT pg_advisory_xact_lock(lock) FROM (
             SELECT DISTINCT hashtextextended(key, device_id) AS lock
             FROM unnest($1::bigint[], $2::text[]) AS sent (device_id, key) ORDER BY lock
         ) locks",
    )
    .bind(&devices)
    .bind(&keys)
    .execute(&mut *connection)
    .await?;
    // A statement of its own, so that it sees what the transactions that held the locks have committed.
    let rows: Vec<KeyRow> = sqlx::query_as(
        "SELECT k.device_id, k.key, k.fingerprint, k.send_id, k.sent_at, k.undelivered
         FROM unnest($1::bigint[], $2::text[]) AS sent (device_id, key)
         JOIN idempotency_keys k ON k.device_id = sent.device_id AND k.key = sent.key",
    )
    .bind(&devices)
    .bind(&keys)
    .fetch_all(connection)
    .await?;
    state.receipts = rows.into_iter().map(KeyRow::parse).collect::<Result<_, _>>()?;
    Ok(())
}

/// Locks the mailboxes of all recipients until the commit, so that sequence numbers follow commit order (D3). The order
/// of locking is fixed, so that no two transactions can deadlock.
async fn load_mailboxes(
    connection: &mut PgConnection,
    sends: &[&NewDelivery],
    state: &mut BatchState,
) -> Result<(), SqlError> {
    let rows: Vec<MailboxRow> = sqlx::query_as(
        "SELECT u.id AS user_id, u.username, mb.device_id, mb.acknowledged, mb.last_sequence, mb.not_before, mb.pending,
                mb.bytes, mb.refused_from
         FROM unnest($1::text[]) AS recipient (key)
         JOIN users u ON u.username_key = recipient.key
         JOIN devices d ON d.user_id = u.id
         JOIN mailboxes mb ON mb.device_id = d.id
         ORDER BY mb.device_id
         FOR UPDATE OF mb",
    )
    .bind(recipient_keys(sends))
    .fetch_all(connection)
    .await?;
    rows.into_iter().try_for_each(|row| row.add_to(state))
}

/// Writes the mailboxes, messages and envelopes of a batch in one statement.
const WRITE: &str = "
WITH mailbox AS (
    UPDATE mailboxes mb
    SET last_sequence = c.last_sequence, not_before = c.not_before, pending = c.pending, bytes = c.bytes,
        refused_from = c.refused_from
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
         AS c (device_id, last_sequence, not_before, pending, bytes, refused_from)
    WHERE mb.device_id = c.device_id
), message AS (
    INSERT INTO messages (id, send_id, sender, sender_device, recipient, contents, sent_at, copies)
    OVERRIDING SYSTEM VALUE
    SELECT * FROM unnest($7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::text[], $12::bytea[], $13::bigint[],
                         $14::bigint[])
)
INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
SELECT * FROM unnest($15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[])";

async fn write(connection: &mut PgConnection, changes: &Changes<'_>) -> Result<(), SqlError> {
    let Changes { mailboxes, messages, envelopes, gaps, receipts } = changes;
    if !gaps.is_empty() {
        write_gaps(connection, gaps).await?;
    }
    if !receipts.is_empty() {
        write_receipts(connection, receipts).await?;
    }
    let refused_from = |mailbox: &MailboxState| mailbox.refused_from.map_or(0, SequenceNumber::get);
    if mailboxes.is_empty() {
        return Ok(());
    }
    sqlx::query(WRITE)
        .bind(column(mailboxes, |mailbox| mailbox.device.get()))
        .bind(column(mailboxes, |mailbox| mailbox.last.get()))
        .bind(column(mailboxes, |mailbox| mailbox.not_before.micros()))
        .bind(column(mailboxes, |mailbox| mailbox.pending.cast_signed()))
        .bind(column(mailboxes, |mailbox| mailbox.bytes.cast_signed()))
        .bind(column(mailboxes, refused_from))
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
        .execute(connection)
        .await?;
    Ok(())
}

async fn write_gaps(connection: &mut PgConnection, gaps: &[PlannedGap]) -> Result<(), SqlError> {
    sqlx::query(
        "INSERT INTO gaps (device_id, first_sequence, last_sequence)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
         ON CONFLICT (device_id, first_sequence) DO UPDATE SET last_sequence = excluded.last_sequence",
    )
    .bind(column(gaps, |gap| gap.mailbox.get()))
    .bind(column(gaps, |gap| gap.first.get()))
    .bind(column(gaps, |gap| gap.last.get()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_receipts(connection: &mut PgConnection, receipts: &[PlannedReceipt]) -> Result<(), SqlError> {
    sqlx::query(
        "INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered)
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::text[])",
    )
    .bind(column(receipts, |planned| planned.key.device.get()))
    .bind(column(receipts, |planned| planned.key.key.as_str()))
    .bind(column(receipts, |planned| planned.receipt.fingerprint.as_slice()))
    .bind(column(receipts, |planned| planned.receipt.receipt.id.get()))
    .bind(column(receipts, |planned| planned.receipt.receipt.sent_at.micros()))
    .bind(column(receipts, |planned| format_undelivered(&planned.receipt.receipt.undelivered)))
    .execute(connection)
    .await?;
    Ok(())
}

/// One column of rows.
fn column<'a, Row, Value>(rows: &'a [Row], value: impl FnMut(&'a Row) -> Value) -> Vec<Value> {
    rows.iter().map(value).collect()
}
