//! Stores batches of sends. All sends of a batch are planned together, so each mailbox is read once per batch.

use rusqlite::{Connection, Row, params};
use woosh_domain::model::SequenceNumber;
use woosh_domain::planner::{BatchState, Changes, Plan, ScopedKey, plan};
use woosh_domain::ports::NewDelivery;

use crate::store::{KeyRow, MailboxRow, PendingSend, SqlError, format_undelivered, recipient_keys, sessions};

/// Stores a batch of sends, and sets the outcome of each send.
pub(super) fn store(connection: &Connection, sends: &mut [&mut PendingSend]) -> Result<(), SqlError> {
    if sends.is_empty() {
        return Ok(());
    }
    let deliveries: Vec<_> = sends.iter().map(|send| send.delivery()).collect();
    let mut state = load_mailboxes(connection, &deliveries)?;
    load_receipts(connection, &deliveries, &mut state)?;
    load_sessions(connection, &deliveries, &mut state)?;
    let Plan { sends: planned, changes, .. } = plan(deliveries, state, next_id(connection)?..);
    write(connection, &changes)?;
    for (send, planned) in sends.iter_mut().zip(planned) {
        send.set(Ok(planned));
    }
    Ok(())
}

/// Returns the identifier of the next message: one more than the largest identifier ever stored, so that no identifier
/// is reused.
fn next_id(connection: &Connection) -> rusqlite::Result<i64> {
    let mut select = connection
        .prepare_cached("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0) + 1")?;
    select.query_row([], |row| row.get(0))
}

/// Loads the mailboxes of all recipients of `sends`.
fn load_mailboxes(connection: &Connection, sends: &[&NewDelivery]) -> Result<BatchState, SqlError> {
    let mut select = connection.prepare_cached(
        "SELECT u.id AS user_id, u.username, mb.device_id, mb.acknowledged, mb.last_sequence, mb.not_before, mb.pending,
                mb.bytes, mb.refused_from
         FROM users u
         JOIN devices d ON d.user_id = u.id
         JOIN mailboxes mb ON mb.device_id = d.id
         WHERE u.username_key = ?1
         ORDER BY d.id",
    )?;
    let mut state = BatchState::default();
    for key in recipient_keys(sends) {
        let mut rows = select.query([key])?;
        while let Some(row) = rows.next()? {
            mailbox_row(row)?.add_to(&mut state)?;
        }
    }
    Ok(state)
}

fn mailbox_row(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    Ok(MailboxRow {
        user_id: row.get("user_id")?,
        username: row.get("username")?,
        device_id: row.get("device_id")?,
        acknowledged: row.get("acknowledged")?,
        last_sequence: row.get("last_sequence")?,
        not_before: row.get("not_before")?,
        pending: row.get("pending")?,
        bytes: row.get("bytes")?,
        refused_from: row.get("refused_from")?,
    })
}

/// Loads the receipts that are already stored under the idempotency keys of `sends`.
fn load_receipts(connection: &Connection, sends: &[&NewDelivery], state: &mut BatchState) -> Result<(), SqlError> {
    for send in sends {
        let Some((key, _)) = &send.idempotency else { continue };
        let ScopedKey { device, key } = ScopedKey::new(send.sender_device, key);
        let mut select = connection.prepare_cached(
            "SELECT device_id, key, fingerprint, send_id, sent_at, undelivered FROM idempotency_keys
             WHERE device_id = ?1 AND key = ?2",
        )?;
        let mut rows = select.query(params![device.get(), key])?;
        if let Some(row) = rows.next()? {
            let (key, receipt) = key_row(row)?.parse()?;
            state.receipts.insert(key, receipt);
        }
    }
    Ok(())
}

fn key_row(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        device_id: row.get("device_id")?,
        key: row.get("key")?,
        fingerprint: row.get("fingerprint")?,
        send_id: row.get("send_id")?,
        sent_at: row.get("sent_at")?,
        undelivered: row.get("undelivered")?,
    })
}

fn load_sessions(connection: &Connection, sends: &[&NewDelivery], state: &mut BatchState) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1")?;
    for session in sessions(sends) {
        if select.exists([session.get()])? {
            state.sessions.insert(session);
        }
    }
    Ok(())
}

fn write(connection: &Connection, changes: &Changes<'_>) -> rusqlite::Result<()> {
    let Changes { mailboxes, messages, envelopes, gaps, receipts } = changes;
    let mut insert = connection.prepare_cached(
        "INSERT INTO messages (id, send_id, sender, sender_device, recipient, contents, sent_at, copies)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for message in messages {
        insert.execute(params![
            message.id,
            message.send.get(),
            message.sender.as_str(),
            message.sender_device.get(),
            message.recipient.as_str(),
            message.contents.as_bytes(),
            message.sent_at.micros(),
            message.copies,
        ])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for envelope in envelopes {
        insert.execute([
            envelope.mailbox.get(),
            envelope.sequence.get(),
            envelope.message,
            envelope.size.cast_signed(),
            envelope.expires_at.micros(),
        ])?;
    }
    let mut update = connection.prepare_cached(
        "UPDATE mailboxes SET last_sequence = ?2, not_before = ?3, pending = ?4, bytes = ?5, refused_from = ?6
         WHERE device_id = ?1",
    )?;
    for mailbox in mailboxes {
        update.execute([
            mailbox.device.get(),
            mailbox.last.get(),
            mailbox.not_before.micros(),
            mailbox.pending.cast_signed(),
            mailbox.bytes.cast_signed(),
            mailbox.refused_from.map_or(0, SequenceNumber::get),
        ])?;
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO gaps (device_id, first_sequence, last_sequence) VALUES (?1, ?2, ?3)
         ON CONFLICT (device_id, first_sequence) DO UPDATE SET last_sequence = excluded.last_sequence",
    )?;
    for gap in gaps {
        upsert.execute([gap.mailbox.get(), gap.first.get(), gap.last.get()])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT number FROM key_generation))",
    )?;
    for planned in receipts {
        let stored = &planned.receipt;
        insert.execute(params![
            planned.key.device.get(),
            planned.key.key,
            stored.fingerprint,
            stored.receipt.id.get(),
            stored.receipt.sent_at.micros(),
            format_undelivered(&stored.receipt.undelivered),
        ])?;
    }
    Ok(())
}
