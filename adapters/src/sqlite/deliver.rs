//! Sends. The writer has the file to itself: it looks, decides, and writes.

use sqlx::{FromRow, SqliteConnection};
use woosh_domain::model::{DeviceId, MessageId, Timestamp};
use woosh_domain::ports::{Addressed, Delivery, NewDelivery, PortError, Receipt, Undelivered};

use super::SqliteStore;
use crate::sql::{ReceiptRow, SqlError, format_undelivered, username};

/// A recipient, and one of its mailboxes where it is there.
#[derive(FromRow)]
struct TargetRow {
    place: i64,
    username: Option<String>,
    device_id: Option<i64>,
    not_before: Option<i64>,
    pending: Option<i64>,
    bytes: Option<i64>,
    /// The identifier that the next message gets.
    next_id: i64,
}

/// What a recipient gets.
struct Part<'a> {
    recipient: &'a str,
    addressed: &'a Addressed,
    placed: Vec<i64>,
    refused: Vec<i64>,
}

impl SqliteStore {
    pub(crate) async fn store_delivery(&self, new: NewDelivery) -> Result<Delivery, PortError> {
        let wakeups = self.wakeups.clone();
        let stored = self.write_then(
            move |connection| Box::pin(deliver(connection, new)),
            move |(_, placed): &(Delivery, Vec<i64>)| wakeups.wake(placed),
        );
        Ok(stored.await?.0)
    }
}

/// Stores a send, and gives the mailboxes that it went into.
async fn deliver(connection: &mut SqliteConnection, new: NewDelivery) -> Result<(Delivery, Vec<i64>), SqlError> {
    if let Some((key, fingerprint)) = &new.once {
        let known: Option<ReceiptRow> = sqlx::query_as(
            "SELECT fingerprint, send_id, sent_at, undelivered FROM idempotency_keys WHERE device_id = $1 AND key = $2",
        )
        .bind(new.sender_device.get())
        .bind(key.as_str())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(known) = known {
            return Ok((known.answer(fingerprint)?, Vec::new()));
        }
    }

    let targets = targets(connection, &new.recipients).await?;
    let unknown = targets.iter().filter(|target| target.username.is_none());
    let unknown: Vec<_> = unknown.filter_map(|target| new.recipients.get(target.place as usize)).collect();
    if !unknown.is_empty() {
        let names = unknown.into_iter().map(|addressed| addressed.recipient.clone()).collect();
        return Ok((Delivery::NoSuchRecipients(names), Vec::new()));
    }
    let sent_at = targets.iter().filter_map(|target| target.not_before).fold(new.now.micros(), i64::max);
    let parts = divide(&targets, &new);
    let placed: Vec<i64> = parts.iter().flat_map(|part| part.placed.iter().copied()).collect();
    for part in parts.iter().filter(|part| !part.refused.is_empty()) {
        refuse(connection, &part.refused, sent_at).await?;
    }
    if placed.is_empty() {
        return Ok((Delivery::AllFull, placed));
    }

    // Of the first message, and so of no other send.
    let id = targets.first().map_or(0, |target| target.next_id);
    for part in parts.iter().filter(|part| !part.placed.is_empty()) {
        place(connection, part, &new, id, sent_at).await?;
    }
    let mut undelivered = Vec::new();
    for part in &parts {
        for device in &part.refused {
            let recipient = username("users", "username", *device, part.recipient)?;
            undelivered.push(Undelivered { recipient, device: DeviceId::new(*device) });
        }
    }
    undelivered.sort_by_key(|missed| missed.device);
    let receipt = Receipt { id: MessageId::new(id), sent_at: Timestamp::from_micros(sent_at), undelivered };
    remember(connection, &new, &receipt).await?;
    let recipients = parts.iter().map(|part| username("users", "username", id, part.recipient));
    let recipients = recipients.collect::<Result<_, _>>()?;
    Ok((Delivery::Stored { receipt, recipients }, placed))
}

/// The mailboxes of each recipient, in the order of the recipients; one row without a name for who is not there.
async fn targets(connection: &mut SqliteConnection, recipients: &[Addressed]) -> Result<Vec<TargetRow>, SqlError> {
    let names: Vec<_> = recipients.iter().map(|addressed| format!("\"{}\"", addressed.recipient.key())).collect();
    let targets = sqlx::query_as(
        "SELECT r.key AS place, u.username, mb.device_id, mb.not_before, mb.pending, mb.bytes,
                coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) + 1 AS next_id
         FROM json_each($1) r
         LEFT JOIN users u ON u.username_key = r.value
         LEFT JOIN devices d ON d.user_id = u.id
         LEFT JOIN mailboxes mb ON mb.device_id = d.id
         ORDER BY r.key, mb.device_id",
    )
    .bind(format!("[{}]", names.join(",")))
    .fetch_all(connection)
    .await?;
    Ok(targets)
}

/// Says for each recipient which of its mailboxes have room.
fn divide<'a>(targets: &'a [TargetRow], new: &'a NewDelivery) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = Vec::with_capacity(new.recipients.len());
    for (place, addressed) in new.recipients.iter().enumerate() {
        let own = targets.iter().filter(|target| target.place == place as i64);
        let size = addressed.contents.as_str().len() as u64;
        let mut part = Part { recipient: "", addressed, placed: Vec::new(), refused: Vec::new() };
        for target in own {
            part.recipient = target.username.as_deref().unwrap_or_default();
            let (Some(device), Some(pending), Some(bytes)) = (target.device_id, target.pending, target.bytes) else {
                continue;
            };
            let room = pending.unsigned_abs() < new.quota.messages
                && bytes.unsigned_abs().saturating_add(size) <= new.quota.bytes;
            if room { part.placed.push(device) } else { part.refused.push(device) }
        }
        parts.push(part);
    }
    parts
}

/// Gives a message to the mailboxes of its recipient that have room.
async fn place(
    connection: &mut SqliteConnection,
    part: &Part<'_>,
    new: &NewDelivery,
    send_id: i64,
    sent_at: i64,
) -> Result<(), SqlError> {
    let contents = part.addressed.contents.as_str().as_bytes();
    // Several statements in one trip to the thread that runs them. Envelopes have no rowid, so that the last one inserted
    // stays the message's.
    sqlx::query(
        "INSERT INTO messages (send_id, sender, sender_device, recipient, contents, sent_at, copies)
         VALUES ($1, $2, $3, $4, $5, $6, $7);
         UPDATE mailboxes
         SET last_sequence = last_sequence + 1, not_before = $6, pending = pending + 1, bytes = bytes + $8
         WHERE device_id IN (SELECT value FROM json_each($9));
         INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
         SELECT device_id, last_sequence, last_insert_rowid(), $8, $10 FROM mailboxes
         WHERE device_id IN (SELECT value FROM json_each($9))",
    )
    .bind(send_id)
    .bind(new.sender.as_str())
    .bind(new.sender_device.get())
    .bind(part.recipient)
    .bind(contents)
    .bind(sent_at)
    .bind(part.placed.len() as i64)
    .bind(contents.len() as i64)
    .bind(json(&part.placed))
    .bind(Timestamp::from_micros(sent_at).plus_seconds(new.ttl_seconds).micros())
    .execute(connection)
    .await?;
    Ok(())
}

/// Leaves a gap in mailboxes that are full.
async fn refuse(connection: &mut SqliteConnection, mailboxes: &[i64], sent_at: i64) -> Result<(), SqlError> {
    sqlx::query(
        "UPDATE mailboxes SET last_sequence = last_sequence + 1, not_before = $2
         WHERE device_id IN (SELECT value FROM json_each($1));
         UPDATE gaps SET last_sequence = mb.last_sequence FROM mailboxes mb
         WHERE mb.device_id IN (SELECT value FROM json_each($1))
           AND gaps.device_id = mb.device_id AND gaps.last_sequence = mb.last_sequence - 1;
         INSERT INTO gaps (device_id, first_sequence, last_sequence)
         SELECT device_id, last_sequence, last_sequence FROM mailboxes mb
         WHERE device_id IN (SELECT value FROM json_each($1))
           AND NOT EXISTS (SELECT 1 FROM gaps g WHERE g.device_id = mb.device_id AND g.last_sequence = mb.last_sequence)",
    )
    .bind(json(mailboxes))
    .bind(sent_at)
    .execute(connection)
    .await?;
    Ok(())
}

async fn remember(connection: &mut SqliteConnection, new: &NewDelivery, receipt: &Receipt) -> Result<(), SqlError> {
    let Some((key, fingerprint)) = &new.once else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new.sender_device.get())
    .bind(key.as_str())
    .bind(fingerprint.as_bytes())
    .bind(receipt.id.get())
    .bind(receipt.sent_at.micros())
    .bind(format_undelivered(&receipt.undelivered))
    .execute(connection)
    .await?;
    Ok(())
}

/// Numbers as a JSON array, which is how SQLite takes a list.
fn json(numbers: &[i64]) -> String {
    let numbers: Vec<_> = numbers.iter().map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}
