//! Stores sends. Those of a batch are stored together in a few statements, because a round trip to the thread that runs
//! a statement costs more than the statement itself.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use sqlx::{Connection as _, FromRow, SqliteConnection};
use tokio::sync::oneshot;
use woosh_domain::model::DeviceId;
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError};

use super::plan::{Mailbox, Plan, Recipient, scoped_key};
use super::writer::{BulkJob, message};
use crate::notify::Notifier;
use crate::store::{Cell, ReceiptRow, SqlError};

/// A send that is queued for the writer.
pub(super) struct PendingSend {
    new: NewDelivery,
    notifier: Notifier,
    outcome: Option<Result<Outcome, PortError>>,
    reply: oneshot::Sender<Result<DeliverOutcome, PortError>>,
}

/// The outcome of a send, and the mailboxes that it was added to.
type Outcome = (DeliverOutcome, Vec<DeviceId>);

impl PendingSend {
    /// Creates a send whose outcome is sent to `reply` after the recipients were notified.
    pub(super) fn new(
        new: NewDelivery,
        notifier: Notifier,
        reply: oneshot::Sender<Result<DeliverOutcome, PortError>>,
    ) -> Self {
        Self { new, notifier, outcome: None, reply }
    }
}

#[async_trait]
impl BulkJob for PendingSend {
    /// Stores all sends together. If that fails, stores each separately, so that one that can't be stored does not fail
    /// the others.
    async fn run_all(connection: &mut SqliteConnection, sends: &mut [Self]) -> sqlx::Result<()> {
        // The caller of a closed reply was cancelled before it got an answer, so its send can be dropped.
        let mut waiting: Vec<_> = sends.iter_mut().filter(|send| !send.reply.is_closed()).collect();
        let deliveries: Vec<_> = waiting.iter().map(|send| &send.new).collect();
        match store_in_savepoint(connection, &deliveries).await? {
            Ok(outcomes) => {
                for (send, outcome) in waiting.iter_mut().zip(outcomes) {
                    send.outcome = Some(Ok(outcome));
                }
            }
            Err(_) => {
                for send in waiting {
                    let outcome = store_in_savepoint(connection, &[&send.new]).await?;
                    let outcome =
                        outcome.and_then(|mut outcomes| outcomes.pop().ok_or(sqlx::Error::RowNotFound.into()));
                    send.outcome = Some(outcome.map_err(PortError::from));
                }
            }
        }
        Ok(())
    }

    fn answer(self, failed: Option<PortError>) {
        let outcome = match (self.outcome, failed) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok((outcome, mailboxes))), None) => {
                self.notifier.notify(&mailboxes);
                Ok(outcome)
            }
            (None, None) => return,
        };
        // Fails if the caller was cancelled, which needs no answer then.
        let _ = self.reply.send(outcome);
    }
}

async fn store_in_savepoint(
    connection: &mut SqliteConnection,
    deliveries: &[&NewDelivery],
) -> sqlx::Result<Result<Vec<Outcome>, SqlError>> {
    let mut savepoint = connection.begin().await?;
    // Caught, so that a panic does not end the writer.
    let outcome =
        AssertUnwindSafe(store_all(&mut savepoint, deliveries)).catch_unwind().await.unwrap_or_else(|panic| {
            Err(sqlx::Error::Protocol(format!("a send panicked: {}", message(panic.as_ref()))).into())
        });
    match outcome {
        Ok(_) => savepoint.commit().await?,
        Err(_) => savepoint.rollback().await?,
    }
    Ok(outcome)
}

async fn store_all(connection: &mut SqliteConnection, deliveries: &[&NewDelivery]) -> Result<Vec<Outcome>, SqlError> {
    let mut plan = Plan { known: find_receipts(connection, deliveries).await?, ..Plan::default() };
    find_recipients(connection, deliveries, &mut plan).await?;
    let outcomes = deliveries.iter().map(|new| plan.deliver(new)).collect::<Result<_, _>>()?;
    write(connection, &plan).await?;
    write_gaps(connection, &plan).await?;
    write_keys(connection, &plan).await?;
    Ok(outcomes)
}

#[derive(FromRow)]
struct KnownRow {
    device_id: i64,
    key: String,
    #[sqlx(flatten)]
    receipt: ReceiptRow,
}

/// The receipts of earlier sends under the keys of these sends.
async fn find_receipts(
    connection: &mut SqliteConnection,
    deliveries: &[&NewDelivery],
) -> Result<HashMap<(i64, String), ReceiptRow>, SqlError> {
    let keys = deliveries.iter().filter_map(|new| new.idempotency.as_ref().map(|(key, _)| scoped_key(new, key)));
    let keys: Vec<_> = keys.collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<KnownRow> = sqlx::query_as(
        "SELECT k.device_id, k.key, k.fingerprint, k.send_id, k.sent_at, k.undelivered
         FROM json_each($1) scoped_key
         JOIN idempotency_keys k ON k.device_id = scoped_key.value ->> 0 AND k.key = scoped_key.value ->> 1",
    )
    .bind(json(&keys)?)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.device_id, row.key), row.receipt)).collect())
}

/// A mailbox, with its owner.
#[derive(FromRow)]
struct MailboxRow {
    user_id: i64,
    username_key: String,
    username: String,
    device_id: i64,
    last_sequence: i64,
    not_before: i64,
    pending: i64,
    bytes: i64,
    next_id: i64,
}

async fn find_recipients(
    connection: &mut SqliteConnection,
    deliveries: &[&NewDelivery],
    plan: &mut Plan<'_>,
) -> Result<(), SqlError> {
    let all = deliveries.iter().flat_map(|new| &new.recipients);
    let mut names: Vec<_> = all.map(|addressed| addressed.recipient.key()).collect();
    names.sort_unstable();
    names.dedup();
    let rows: Vec<MailboxRow> = sqlx::query_as(
        "SELECT u.id AS user_id, u.username_key, u.username, mb.device_id, mb.last_sequence, mb.not_before, mb.pending, mb.bytes,
                coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) + 1 AS next_id
         FROM json_each($1) name
         JOIN users u ON u.username_key = name.value
         JOIN devices d ON d.user_id = u.id
         JOIN mailboxes mb ON mb.device_id = d.id
         ORDER BY mb.device_id",
    )
    .bind(json(&names)?)
    .fetch_all(connection)
    .await?;
    for row in rows {
        plan.next_id = row.next_id;
        let mailbox = Mailbox {
            device: DeviceId::new(row.device_id),
            last_sequence: row.last_sequence,
            not_before: row.not_before,
            pending: row.pending,
            bytes: row.bytes,
            changed: false,
        };
        match plan.recipients.get_mut(&row.username_key) {
            Some(recipient) => recipient.mailboxes.push(mailbox),
            None => {
                let username = Cell::by_id("users", "username", row.user_id).username(&row.username)?;
                plan.recipients.insert(row.username_key, Recipient { username, mailboxes: vec![mailbox] });
            }
        }
    }
    Ok(())
}

/// Writes messages, mailboxes and envelopes in one round trip. Lists are passed as JSON, which SQLite reads as a table.
/// Contents are passed as one concatenated blob, because they may be any text.
async fn write(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<(), SqlError> {
    let mailboxes = plan.recipients.values().flat_map(|recipient| &recipient.mailboxes);
    let mailboxes = mailboxes.filter(|mailbox| mailbox.changed).map(|mailbox| {
        (mailbox.device.get(), mailbox.last_sequence, mailbox.not_before, mailbox.pending, mailbox.bytes)
    });
    let mailboxes: Vec<_> = mailboxes.collect();
    if mailboxes.is_empty() {
        return Ok(());
    }
    // Starts with an unused byte, because an empty blob would be bound as NULL.
    let mut contents = vec![0];
    let mut messages = Vec::with_capacity(plan.messages.len());
    for message in &plan.messages {
        let (sender, device) = (message.new.sender.as_str(), message.new.sender_device.get());
        // `substr` counts from 1.
        let (start, length) = (contents.len() + 1, message.contents.len());
        contents.extend_from_slice(message.contents.as_bytes());
        let recipient = message.recipient.as_str();
        let (id, send_id) = (message.id, message.send_id);
        messages.push((id, send_id, sender, device, recipient, start, length, message.sent_at, message.copies));
    }
    let envelopes: Vec<_> = plan
        .envelopes
        .iter()
        .map(|envelope| {
            (envelope.device.get(), envelope.sequence, envelope.message, envelope.size, envelope.expires_at)
        })
        .collect();
    sqlx::query(
        "INSERT INTO messages (id, send_id, sender, sender_device, recipient, contents, sent_at, copies)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4,
                substr($2, value ->> 5, value ->> 6), value ->> 7, value ->> 8
         FROM json_each($1);
         UPDATE mailboxes
         SET last_sequence = value ->> 1, not_before = value ->> 2, pending = value ->> 3, bytes = value ->> 4
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

async fn write_gaps(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<(), SqlError> {
    let gaps: Vec<_> = plan.gaps.iter().map(|gap| (gap.device.get(), gap.first, gap.last)).collect();
    if gaps.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE gaps SET last_sequence = value ->> 2 FROM json_each($1)
         WHERE device_id = value ->> 0 AND last_sequence = (value ->> 1) - 1;
         INSERT INTO gaps (device_id, first_sequence, last_sequence)
         SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)
         WHERE NOT EXISTS (SELECT 1 FROM gaps WHERE device_id = value ->> 0 AND last_sequence = value ->> 2)",
    )
    .bind(json(&gaps)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_keys(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<(), SqlError> {
    for scoped_key in &plan.keys {
        let Some(receipt) = plan.known.get(scoped_key) else { continue };
        sqlx::query(
            "INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(scoped_key.0)
        .bind(&scoped_key.1)
        .bind(&receipt.fingerprint)
        .bind(receipt.send_id)
        .bind(receipt.sent_at)
        .bind(&receipt.undelivered)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, SqlError> {
    // Numbers and strings can always be serialized.
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()).into())
}
