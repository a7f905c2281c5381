use sqlx::{FromRow as _, Row as _};
use woosh_domain::model::{DeviceId, Incarnation, SequenceNumber, Timestamp};
use woosh_domain::ports::{MailboxPage, PageLimit};

use crate::pool::Pool;
use crate::store::{EnvelopeRow, PageBuilder, SqlError, count};

/// Reads a page of a mailbox; `None` if the mailbox does not exist. Runs a single statement, so that the page shows the
/// mailbox and its envelopes as of the same commit. Selects one envelope more than fits on the page, to find out
/// whether more envelopes follow.
///
/// The statement skips everything up to the last acknowledged sequence number. These envelopes are deleted, but as long
/// as an older transaction runs, Postgres keeps their rows, and reading through many deleted rows is slow.
pub(super) async fn page(
    pool: &Pool,
    mailbox: DeviceId,
    after: SequenceNumber,
    limit: PageLimit,
    now: Timestamp,
) -> Result<Option<MailboxPage>, SqlError> {
    let rows = sqlx::query(
        "SELECT mb.incarnation, mb.acknowledged, mb.last_sequence, mb.not_before, mb.closed_at, e.sequence, e.expires_at,
                m.id, m.send_id, m.sender, m.sender_device, m.recipient, m.contents, m.sent_at
         FROM mailboxes mb
         LEFT JOIN (
             SELECT device_id, sequence, message_id, expires_at,
                    row_number() OVER (ORDER BY sequence) AS row_number,
                    sum(size) OVER (ORDER BY sequence ROWS UNBOUNDED PRECEDING) - size AS bytes_before
             FROM (
                 SELECT device_id, sequence, message_id, expires_at, size FROM envelopes
                 WHERE device_id = $1 AND expires_at > $3
                       AND sequence > greatest($2, (SELECT acknowledged FROM mailboxes WHERE device_id = $1))
                 ORDER BY sequence
                 LIMIT $4
             ) oldest
         ) e ON e.device_id = mb.device_id AND (e.bytes_before <= $5 OR e.row_number <= 2)
         LEFT JOIN messages m ON m.id = e.message_id
         WHERE mb.device_id = $1
         ORDER BY e.sequence",
    )
    .bind(mailbox.get())
    .bind(after.get())
    .bind(now.micros())
    .bind(count(limit.count).saturating_add(1))
    .bind(count(limit.bytes))
    .fetch_all(pool)
    .await?;

    // Each row repeats the columns of the mailbox.
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let page = MailboxPage {
        incarnation: Incarnation::new(row.try_get("incarnation")?),
        acknowledged: SequenceNumber::new(row.try_get("acknowledged")?),
        last: SequenceNumber::new(row.try_get("last_sequence")?),
        not_before: Timestamp::from_micros(row.try_get("not_before")?),
        closed_at: Timestamp::from_micros(row.try_get("closed_at")?),
        envelopes: Vec::new(),
        gaps: Vec::new(),
        has_more: false,
    };
    let mut builder = PageBuilder::new(page, limit);
    for row in &rows {
        // A mailbox without pending envelopes results in one row, in which the columns of the envelope are null.
        let is_empty = row.try_get::<Option<i64>, _>("sequence")?.is_none();
        if is_empty || !builder.add(EnvelopeRow::from_row(row)?)? {
            break;
        }
    }
    Ok(Some(builder.page))
}
