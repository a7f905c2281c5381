//! Sends. Other replicas write as well, and each statement is a trip to the server: all in one.

use sqlx::{FromRow, PgPool};
use woosh_domain::model::{DeviceId, MessageId, Timestamp};
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError, Receipt, Undelivered};

use crate::store::{Cell, ReceiptRow, SqlError};

/// A recipient and one of its mailboxes.
#[derive(FromRow)]
struct OutcomeRow {
    place: i64,
    /// `None` if there is no such user.
    user_id: Option<i64>,
    username: Option<String>,
    device_id: Option<i64>,
    room: Option<bool>,
    send_id: Option<i64>,
    sent_at: i64,
}

/// Takes the mailboxes in a fixed order, so that no two sends wait for each other, and holds them until it commits, so that
/// sequence numbers follow the order of commits (D3). The key is stored by the same statement (D4): where another send
/// under it is in flight, this one waits for that, and then fails as a whole. Where a gap starts is in the mailbox: it may be
/// by a send that was waited for, whose own rows are not seen here. Contents join last, so that nothing sorts them
/// once for each device.
const DELIVER: &str = "
WITH known AS (
    SELECT 1 FROM idempotency_keys WHERE device_id = $4 AND key = $8
), wanted AS (
    SELECT w.place - 1 AS place, length(w.contents)::bigint AS size, u.id AS user_id, u.username
    FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS w (key, contents, place)
    LEFT JOIN users u ON u.username_key = w.key
), go AS (
    SELECT 1 WHERE NOT EXISTS (SELECT FROM known) AND NOT EXISTS (SELECT FROM wanted WHERE user_id IS NULL)
), locked AS (
    SELECT mb.device_id, mb.not_before, w.place, w.size, w.username,
           mb.pending < $6 AND mb.bytes + w.size <= $7 AS room
    FROM go, wanted w
    JOIN devices d ON d.user_id = w.user_id
    JOIN mailboxes mb ON mb.device_id = d.id
    ORDER BY mb.device_id
    FOR UPDATE OF mb
), stamp AS (
    SELECT greatest($3, max(not_before)) AS sent_at FROM locked
), send AS (
    SELECT nextval(pg_get_serial_sequence('messages', 'id')) AS id FROM go
), numbered AS (
    UPDATE mailboxes mb
    SET last_sequence = mb.last_sequence + 1,
        not_before = s.sent_at,
        pending = mb.pending + CASE WHEN l.room THEN 1 ELSE 0 END,
        bytes = mb.bytes + CASE WHEN l.room THEN l.size ELSE 0 END,
        refused_from = CASE WHEN l.room THEN 0 WHEN mb.refused_from > 0 THEN mb.refused_from ELSE mb.last_sequence + 1 END
    FROM locked l, stamp s
    WHERE mb.device_id = l.device_id
    RETURNING mb.device_id, mb.last_sequence, mb.refused_from, l.place, l.size, l.room
), message AS (
    INSERT INTO messages (send_id, sender, sender_device, recipient, contents, sent_at, copies)
    SELECT send.id, $5, $4, w.username, t.contents, s.sent_at, c.copies
    FROM send, stamp s, wanted w
    JOIN unnest($2::bytea[]) WITH ORDINALITY AS t (contents, place) ON t.place = w.place + 1
    JOIN (SELECT place, count(*) AS copies FROM locked WHERE room GROUP BY place) c ON c.place = w.place
    RETURNING id, recipient
), placed AS (
    INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
    SELECT n.device_id, n.last_sequence, m.id, n.size, s.sent_at + $10
    FROM stamp s, numbered n
    JOIN wanted w ON w.place = n.place
    JOIN message m ON m.recipient = w.username
    WHERE n.room
), refused AS (
    INSERT INTO gaps (device_id, first_sequence, last_sequence)
    SELECT device_id, refused_from, last_sequence FROM numbered WHERE NOT room
    ON CONFLICT (device_id, first_sequence) DO UPDATE SET last_sequence = excluded.last_sequence
), remembered AS (
    INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered)
    SELECT $4, $8, $9, send.id, s.sent_at, coalesce(
        (SELECT string_agg(device_id || ':' || username, ',' ORDER BY device_id) FROM locked WHERE NOT room), '')
    FROM send, stamp s
    WHERE $8 IS NOT NULL AND EXISTS (SELECT FROM locked WHERE room)
)
SELECT w.place, w.user_id, w.username, l.device_id, l.room, send.id AS send_id, s.sent_at
FROM stamp s CROSS JOIN wanted w
LEFT JOIN locked l ON l.place = w.place
LEFT JOIN send ON true
ORDER BY w.place, l.device_id";

/// Stores a send. Returns its outcome and the mailboxes that it was stored in.
pub(super) async fn deliver(pool: &PgPool, new: &NewDelivery) -> Result<(DeliverOutcome, Vec<DeviceId>), PortError> {
    // The second time, the send that was in flight under the same key has ended.
    let rows = match try_to_deliver(pool, new).await {
        Err(SqlError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {
            try_to_deliver(pool, new).await?
        }
        rows => rows?,
    };
    let unknown = rows.iter().filter(|row| row.username.is_none());
    let unknown: Vec<_> = unknown.filter_map(|row| new.recipients.get(row.place.unsigned_abs() as usize)).collect();
    let Some(id) = rows.first().and_then(|row| row.send_id) else {
        if let Some(answer) = known(pool, new).await? {
            return Ok((answer, Vec::new()));
        }
        if unknown.is_empty() {
            return Err(PortError::unavailable("the idempotency key has just expired"));
        }
        let names = unknown.into_iter().map(|addressed| addressed.recipient.clone()).collect();
        return Ok((DeliverOutcome::UnknownRecipients(names), Vec::new()));
    };
    Ok(outcome(id, &rows)?)
}

async fn try_to_deliver(pool: &PgPool, new: &NewDelivery) -> Result<Vec<OutcomeRow>, SqlError> {
    let (key, fingerprint) = new.idempotency.as_ref().map(|(key, print)| (key.as_str(), print.as_bytes())).unzip();
    let keys: Vec<_> = new.recipients.iter().map(|addressed| addressed.recipient.key()).collect();
    let contents: Vec<_> = new.recipients.iter().map(|addressed| addressed.contents.as_str().as_bytes()).collect();
    let ttl = Timestamp::EPOCH.plus_seconds(new.ttl_seconds).micros();
    let rows = sqlx::query_as(DELIVER)
        .bind(keys)
        .bind(contents)
        .bind(new.now.micros())
        .bind(new.sender_device.get())
        .bind(new.sender.as_str())
        .bind(i64::try_from(new.quota.messages).unwrap_or(i64::MAX))
        .bind(i64::try_from(new.quota.bytes).unwrap_or(i64::MAX))
        .bind(key)
        .bind(fingerprint)
        .bind(ttl)
        .fetch_all(pool)
        .await?;
    Ok(rows)
}

/// The outcome of a send whose key was used before.
async fn known(pool: &PgPool, new: &NewDelivery) -> Result<Option<DeliverOutcome>, SqlError> {
    let Some((key, fingerprint)) = &new.idempotency else {
        return Ok(None);
    };
    let known: Option<ReceiptRow> = sqlx::query_as(
        "SELECT fingerprint, send_id, sent_at, undelivered FROM idempotency_keys WHERE device_id = $1 AND key = $2",
    )
    .bind(new.sender_device.get())
    .bind(key.as_str())
    .fetch_optional(pool)
    .await?;
    known.map(|known| known.outcome(fingerprint)).transpose()
}

/// What became of a send, and the mailboxes that it went into.
fn outcome(id: i64, rows: &[OutcomeRow]) -> Result<(DeliverOutcome, Vec<DeviceId>), SqlError> {
    let (mut recipients, mut placed, mut undelivered) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let recipient = Cell::by_id("users", "username", row.user_id.unwrap_or_default())
            .username(row.username.as_deref().unwrap_or_default())?;
        match (row.device_id, row.room) {
            (Some(device), Some(true)) => placed.push(DeviceId::new(device)),
            (Some(device), _) => {
                undelivered.push(Undelivered { recipient: recipient.clone(), device: DeviceId::new(device) });
            }
            // Deleted in the same moment, and with it what it was sent.
            (None, _) => {}
        }
        if recipients.len() as i64 <= row.place {
            recipients.push(recipient);
        }
    }
    if placed.is_empty() && !undelivered.is_empty() {
        return Ok((DeliverOutcome::AllMailboxesFull, placed));
    }
    undelivered.sort_by_key(|missed| missed.device);
    let sent_at = Timestamp::from_micros(rows.first().map_or(0, |row| row.sent_at));
    let receipt = Receipt { id: MessageId::new(id), sent_at, undelivered };
    Ok((DeliverOutcome::Stored { receipt, recipients }, placed))
}
