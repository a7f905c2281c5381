//! Stores sends. One statement per send: it is one round trip, and atomic beside the writes of other replicas.

use sqlx::{FromRow, PgPool};
use woosh_domain::model::{DeviceId, MessageId, Timestamp};
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError, Receipt, Undelivered};

use crate::store::{Cell, ReceiptRow, SqlError};

/// A recipient and one of its mailboxes, if there are any.
#[derive(FromRow)]
struct OutcomeRow {
    /// The index in the list of recipients.
    index: i64,
    /// `None` if there is no such user.
    user_id: Option<i64>,
    username: Option<String>,
    device_id: Option<i64>,
    has_room: Option<bool>,
    send_id: Option<i64>,
    sent_at: i64,
}

/// Stores a send, unless its key is used or a recipient is unknown.
///
/// Locks the mailboxes in a fixed order, so that sends don't deadlock, until the commit, so that sequence numbers
/// follow commit order (D3). Inserts the idempotency key in the same statement (D4): if another send with that key is
/// in flight, this one waits for it and then fails as a whole with a unique violation. The start of the current gap is
/// kept in the mailbox's row (`refused_from`), because the statement does not see rows in `gaps` that were committed
/// while it waited for a lock. Contents are joined last, so that they are not sorted once per device.
const DELIVER: &str = "
WITH used_key AS (
    SELECT 1 FROM idempotency_keys WHERE device_id = $4 AND key = $8
), recipient AS (
    SELECT a.ordinal - 1 AS index, length(a.contents)::bigint AS size, u.id AS user_id, u.username
    FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS a (key, contents, ordinal)
    LEFT JOIN users u ON u.username_key = a.key
), valid AS (
    SELECT 1 WHERE NOT EXISTS (SELECT FROM used_key) AND NOT EXISTS (SELECT FROM recipient WHERE user_id IS NULL)
), locked AS (
    SELECT mb.device_id, mb.not_before, r.index, r.size, r.username,
           mb.pending < $6 AND mb.bytes + r.size <= $7 AS has_room
    FROM valid, recipient r
    JOIN devices d ON d.user_id = r.user_id
    JOIN mailboxes mb ON mb.device_id = d.id
    ORDER BY mb.device_id
    FOR UPDATE OF mb
), stamp AS (
    SELECT greatest($3, max(not_before)) AS sent_at FROM locked
), send AS (
    SELECT nextval(pg_get_serial_sequence('messages', 'id')) AS id FROM valid
), numbered AS (
    UPDATE mailboxes mb
    SET last_sequence = mb.last_sequence + 1,
        not_before = s.sent_at,
        pending = mb.pending + CASE WHEN l.has_room THEN 1 ELSE 0 END,
        bytes = mb.bytes + CASE WHEN l.has_room THEN l.size ELSE 0 END,
        refused_from = CASE
            WHEN l.has_room THEN 0
            WHEN mb.refused_from > 0 THEN mb.refused_from
            ELSE mb.last_sequence + 1
        END
    FROM locked l, stamp s
    WHERE mb.device_id = l.device_id
    RETURNING mb.device_id, mb.last_sequence, mb.refused_from, l.index, l.size, l.has_room
), message AS (
    INSERT INTO messages (send_id, sender, sender_device, recipient, contents, sent_at, copies)
    SELECT send.id, $5, $4, r.username, a.contents, s.sent_at, c.copies
    FROM send, stamp s, recipient r
    JOIN unnest($2::bytea[]) WITH ORDINALITY AS a (contents, ordinal) ON a.ordinal = r.index + 1
    JOIN (SELECT index, count(*) AS copies FROM locked WHERE has_room GROUP BY index) c ON c.index = r.index
    RETURNING id, recipient
), stored AS (
    INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
    SELECT n.device_id, n.last_sequence, m.id, n.size, s.sent_at + $10
    FROM stamp s, numbered n
    JOIN recipient r ON r.index = n.index
    JOIN message m ON m.recipient = r.username
    WHERE n.has_room
), refused AS (
    INSERT INTO gaps (device_id, first_sequence, last_sequence)
    SELECT device_id, refused_from, last_sequence FROM numbered WHERE NOT has_room
    ON CONFLICT (device_id, first_sequence) DO UPDATE SET last_sequence = excluded.last_sequence
), new_key AS (
    INSERT INTO idempotency_keys (device_id, key, fingerprint, send_id, sent_at, undelivered)
    SELECT $4, $8, $9, send.id, s.sent_at, coalesce(
        (SELECT string_agg(device_id || ':' || username, ',' ORDER BY device_id) FROM locked WHERE NOT has_room), '')
    FROM send, stamp s
    WHERE $8 IS NOT NULL AND EXISTS (SELECT FROM locked WHERE has_room)
)
SELECT r.index, r.user_id, r.username, l.device_id, l.has_room, send.id AS send_id, s.sent_at
FROM stamp s CROSS JOIN recipient r
LEFT JOIN locked l ON l.index = r.index
LEFT JOIN send ON true
ORDER BY r.index, l.device_id";

/// Stores a send. Returns its outcome and the mailboxes that it was added to.
pub(super) async fn deliver(pool: &PgPool, new: &NewDelivery) -> Result<(DeliverOutcome, Vec<DeviceId>), PortError> {
    // A unique violation means that a concurrent send with the same key has committed, so a retry finds its receipt.
    let rows = match try_to_deliver(pool, new).await {
        Err(SqlError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {
            try_to_deliver(pool, new).await?
        }
        rows => rows?,
    };
    let unknown = rows.iter().filter(|row| row.username.is_none());
    let unknown: Vec<_> = unknown.filter_map(|row| new.recipients.get(row.index.unsigned_abs() as usize)).collect();
    let Some(id) = rows.first().and_then(|row| row.send_id) else {
        if let Some(outcome) = repeated(pool, new).await? {
            return Ok((outcome, Vec::new()));
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
    let (key, fingerprint) =
        new.idempotency.as_ref().map(|(key, fingerprint)| (key.as_str(), fingerprint.as_bytes())).unzip();
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

/// The outcome of an earlier send under the same key.
async fn repeated(pool: &PgPool, new: &NewDelivery) -> Result<Option<DeliverOutcome>, SqlError> {
    let Some((key, fingerprint)) = &new.idempotency else {
        return Ok(None);
    };
    let receipt: Option<ReceiptRow> = sqlx::query_as(
        "SELECT fingerprint, send_id, sent_at, undelivered FROM idempotency_keys WHERE device_id = $1 AND key = $2",
    )
    .bind(new.sender_device.get())
    .bind(key.as_str())
    .fetch_optional(pool)
    .await?;
    receipt.map(|receipt| receipt.outcome(fingerprint)).transpose()
}

/// The outcome of a send, and the mailboxes that it was added to.
fn outcome(id: i64, rows: &[OutcomeRow]) -> Result<(DeliverOutcome, Vec<DeviceId>), SqlError> {
    let (mut recipients, mut mailboxes, mut undelivered) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let recipient = Cell::by_id("users", "username", row.user_id.unwrap_or_default())
            .username(row.username.as_deref().unwrap_or_default())?;
        match (row.device_id, row.has_room) {
            (Some(device), Some(true)) => mailboxes.push(DeviceId::new(device)),
            (Some(device), _) => {
                undelivered.push(Undelivered { recipient: recipient.clone(), device: DeviceId::new(device) });
            }
            // The recipient is being deleted concurrently, and has no mailboxes left.
            (None, _) => {}
        }
        if recipients.len() as i64 <= row.index {
            recipients.push(recipient);
        }
    }
    if mailboxes.is_empty() && !undelivered.is_empty() {
        return Ok((DeliverOutcome::AllMailboxesFull, mailboxes));
    }
    undelivered.sort_by_key(|missed| missed.device);
    let sent_at = Timestamp::from_micros(rows.first().map_or(0, |row| row.sent_at));
    let receipt = Receipt { id: MessageId::new(id), sent_at, undelivered };
    Ok((DeliverOutcome::Stored { receipt, recipients }, mailboxes))
}
