//! Sends. Those of a batch are stored together in a few statements, since a round trip to the thread that runs a statement
//! costs more than the statement.

use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sqlx::{Connection as _, FromRow, SqliteConnection};
use woosh_domain::model::SequenceNumber;
use woosh_domain::planner::{BatchState, Changes, PlannedSend, plan};
use woosh_domain::ports::{NewDelivery, PortError};

use super::writer::{BulkJob, message};
use crate::store::{KeyRow, MailboxRow, PendingSend, SqlError, format_undelivered, recipient_keys};

#[async_trait]
impl BulkJob for PendingSend {
    /// Stores all sends together. If that fails, stores each by itself, so that one that can't be stored does not fail the
    /// others.
    async fn run_all(connection: &mut SqliteConnection, sends: &mut [Self]) -> sqlx::Result<()> {
        let mut waiting: Vec<_> = sends.iter_mut().filter(|send| !send.is_cancelled()).collect();
        let deliveries: Vec<_> = waiting.iter().map(|send| send.delivery()).collect();
        match store_in_savepoint(connection, &deliveries).await? {
            Ok(planned) => {
                for (send, planned) in waiting.iter_mut().zip(planned) {
                    send.set(Ok(planned));
                }
            }
            Err(_) => {
                for send in waiting {
                    let planned = store_in_savepoint(connection, &[send.delivery()]).await?;
                    let only = planned.and_then(|mut planned| planned.pop().ok_or(sqlx::Error::RowNotFound.into()));
                    send.set(only.map_err(PortError::from));
                }
            }
        }
        Ok(())
    }

    fn answer(self, failed: Option<PortError>) {
        Self::answer(self, failed);
    }
}

async fn store_in_savepoint(
    connection: &mut SqliteConnection,
    sends: &[&NewDelivery],
) -> sqlx::Result<Result<Vec<PlannedSend>, SqlError>> {
    let mut savepoint = connection.begin().await?;
    // A panic must not end the writer.
    let planned = AssertUnwindSafe(store(&mut savepoint, sends)).catch_unwind().await.unwrap_or_else(|panic| {
        Err(sqlx::Error::Protocol(format!("a send panicked: {}", message(panic.as_ref()))).into())
    });
    match planned {
        Ok(_) => savepoint.commit().await?,
        Err(_) => savepoint.rollback().await?,
    }
    Ok(planned)
}

async fn store(connection: &mut SqliteConnection, sends: &[&NewDelivery]) -> Result<Vec<PlannedSend>, SqlError> {
    let (mut state, next_id) = load_mailboxes(connection, sends).await?;
    load_receipts(connection, sends, &mut state).await?;
    let plan = plan(sends.iter().copied(), state, next_id..);
    write(connection, &plan.changes).await?;
    write_gaps(connection, &plan.changes).await?;
    write_receipts(connection, &plan.changes).await?;
    Ok(plan.sends)
}

/// A mailbox of a recipient, and the identifier of the next message.
#[derive(FromRow)]
struct LoadedRow {
    #[sqlx(flatten)]
    mailbox: MailboxRow,
    next_id: i64,
}

/// Loads the mailboxes of all recipients, and the identifier of the next message.
async fn load_mailboxes(
    connection: &mut SqliteConnection,
    sends: &[&NewDelivery],
) -> Result<(BatchState, i64), SqlError> {
    let rows: Vec<LoadedRow> = sqlx::query_as(
        "SELECT u.id AS user_id, u.username, mb.device_id, mb.last_sequence, mb.not_before, mb.pending, mb.bytes,
                mb.refused_from, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) + 1 AS next_id
         FROM json_each($1) recipient
         JOIN users u ON u.username_key = recipient.value
         JOIN devices d ON d.user_id = u.id
         JOIN mailboxes mb ON mb.device_id = d.id
         ORDER BY mb.device_id",
    )
    .bind(json(&recipient_keys(sends))?)
    .fetch_all(connection)
    .await?;
    let mut state = BatchState::default();
    let next_id = rows.first().map_or(1, |row| row.next_id);
    for row in rows {
        row.mailbox.add_to(&mut state)?;
    }
    Ok((state, next_id))
}

/// Loads the receipts of earlier sends under the keys of these sends.
async fn load_receipts(
    connection: &mut SqliteConnection,
    sends: &[&NewDelivery],
    state: &mut BatchState,
) -> Result<(), SqlError> {
    let keys = sends.iter().filter_map(|send| Some((send.sender_device.get(), send.idempotency.as_ref()?.0.as_str())));
    let keys: Vec<_> = keys.collect();
    if keys.is_empty() {
        return Ok(());
    }
    let rows: Vec<KeyRow> = sqlx::query_as(
        "SELECT k.device_id, k.key, k.fingerprint, k.send_id, k.sent_at, k.undelivered
         FROM json_each($1) sent
         JOIN idempotency_keys k ON k.device_id = sent.value ->> 0 AND k.key = sent.value ->> 1",
    )
    .bind(json(&keys)?)
    .fetch_all(connection)
    .await?;
    state.receipts = rows.into_iter().map(KeyRow::parse).collect::<Result<_, _>>()?;
    Ok(())
}

/// Writes messages, mailboxes and envelopes in one round trip. Lists are passed as JSON, which SQLite can read as a table,
/// and contents concatenated, since they may be any text.
async fn write(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<(), SqlError> {
    if changes.mailboxes.is_empty() {
        return Ok(());
    }
    let mailboxes: Vec<_> = changes
        .mailboxes
        .iter()
        .map(|mailbox| {
            let refused_from = mailbox.refused_from.map_or(0, SequenceNumber::get);
            let (last, not_before) = (mailbox.last.get(), mailbox.not_before.micros());
            (mailbox.device.get(), last, not_before, mailbox.pending, mailbox.bytes, refused_from)
        })
        .collect();
    // It starts with an unused byte, since an empty blob would be bound as NULL.
    let mut contents = vec![0];
    let mut messages = Vec::with_capacity(changes.messages.len());
    for message in &changes.messages {
        let (sender, device) = (message.sender.as_str(), message.sender_device.get());
        // SQL counts bytes from 1.
        let (start, length) = (contents.len() + 1, message.contents.len());
        contents.extend_from_slice(message.contents.as_bytes());
        let (recipient, sent_at) = (message.recipient.as_str(), message.sent_at.micros());
        let (id, send_id, copies) = (message.id, message.send.get(), message.copies);
        messages.push((id, send_id, sender, device, recipient, start, length, sent_at, copies));
    }
    let envelopes = changes.envelopes.iter().map(|envelope| {
        let (mailbox, sequence) = (envelope.mailbox.get(), envelope.sequence.get());
        (mailbox, sequence, envelope.message, envelope.size, envelope.expires_at.micros())
    });
    let envelopes: Vec<_> = envelopes.collect();
    sqlx::query(
        "INSERT INTO messages (id, send_id, sender, sender_device, recipient, contents, sent_at, copies)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
                substr($2, value ->> 5, value ->> 6), value ->> 7, value ->> 8
         FROM json_each($1);
         UPDATE mailboxes
         SET last_sequence = value ->> 1, not_before = value ->> 2, pending = value ->> 3, bytes = value ->> 4,
             refused_from = value ->> 5
         FROM json_each($3)
         WHERE device_id = value ->> 0;
         INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each($4)",
    )
    .bind(json(&messages)?)
    .bind(contents)
    .bind(json(&mailboxes)?)
    .bind(json(&envelopes)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_gaps(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<(), SqlError> {
    let gaps = changes.gaps.iter().map(|gap| (gap.mailbox.get(), gap.first.get(), gap.last.get()));
    let gaps: Vec<_> = gaps.collect();
    if gaps.is_empty() {
        return Ok(());
    }
    // `WHERE true` tells the parser that ON CONFLICT does not belong to a join.
    sqlx::query(
        "INSERT INTO gaps (device_id, first_sequence, last_sequence)
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE true
         ON CONFLICT (device_id, first_sequence) DO UPDATE SET last_sequence = excluded.last_sequence",
    )
    .bind(json(&gaps)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_receipts(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<(), SqlError> {
    for planned in &changes.receipts {
        let stored = &planned.receipt;
        sqlx::query(
            "INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(planned.key.device.get())
        .bind(&planned.key.key)
        .bind(&stored.fingerprint)
        .bind(stored.receipt.id.get())
        .bind(stored.receipt.sent_at.micros())
        .bind(format_undelivered(&stored.receipt.undelivered))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, SqlError> {
    // Numbers and strings always can be serialized.
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()).into())
}
