use rusqlite::{Connection, OptionalExtension as _, Row};
use woosh_domain::model::{DeviceId, Incarnation, SequenceNumber, Timestamp};
use woosh_domain::ports::{MailboxPage, PageLimit};

use crate::store::{EnvelopeRow, PageBuilder, SqlError, count};

/// Reads a page of a mailbox; `None` if the mailbox does not exist. Runs its statements in one transaction, so that the
/// page shows the mailbox and its envelopes as of the same commit.
pub(super) fn page(
    connection: &mut Connection,
    mailbox: DeviceId,
    after: SequenceNumber,
    limit: PageLimit,
    now: Timestamp,
) -> Result<Option<MailboxPage>, SqlError> {
    let transaction = connection.transaction()?;
    let page = transaction
        .prepare_cached(
            "SELECT incarnation, acknowledged, last_sequence, not_before, closed_at FROM mailboxes WHERE device_id = ?1",
        )?
        .query_row([mailbox.get()], |row| {
            Ok(MailboxPage {
                incarnation: Incarnation::new(row.get("incarnation")?),
                acknowledged: SequenceNumber::new(row.get("acknowledged")?),
                last: SequenceNumber::new(row.get("last_sequence")?),
                not_before: Timestamp::from_micros(row.get("not_before")?),
                closed_at: Timestamp::from_micros(row.get("closed_at")?),
                envelopes: Vec::new(),
                gaps: Vec::new(),
                has_more: false,
            })
        })
        .optional()?;
    let Some(page) = page else {
        return Ok(None);
    };
    // Up to `acknowledged` there are only remains of deleted envelopes, which a scan would have to pass one by one.
    let after = after.max(page.acknowledged);
    let mut builder = PageBuilder::new(page, limit);
    let mut select = transaction.prepare_cached(
        "SELECT e.sequence, e.expires_at, m.id, m.send_id, m.sender, m.sender_device, m.recipient, m.contents, m.sent_at
         FROM envelopes e JOIN messages m ON m.id = e.message_id
         WHERE e.device_id = ?1 AND e.sequence > ?2 AND e.expires_at > ?3
         ORDER BY e.sequence
         LIMIT ?4",
    )?;
    // Selects one envelope more than fits on the page, to find out whether more envelopes follow.
    let most = count(limit.count).saturating_add(1);
    let mut rows = select.query([mailbox.get(), after.get(), now.micros(), most])?;
    while let Some(row) = rows.next()? {
        if !builder.add(envelope_row(row)?)? {
            break;
        }
    }
    Ok(Some(builder.page))
}

fn envelope_row(row: &Row<'_>) -> rusqlite::Result<EnvelopeRow> {
    Ok(EnvelopeRow {
        sequence: row.get(0)?,
        expires_at: row.get(1)?,
        id: row.get(2)?,
        send_id: row.get(3)?,
        sender: row.get(4)?,
        sender_device: row.get(5)?,
        recipient: row.get(6)?,
        contents: row.get(7)?,
        sent_at: row.get(8)?,
    })
}
