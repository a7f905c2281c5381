use sqlx::FromRow;
use woosh_domain::model::{Contents, DeviceId, Envelope, Message, MessageId, SequenceNumber, Timestamp, json_size};
use woosh_domain::ports::{MailboxPage, PageLimit};

use super::{Cell, SqlError};

/// A row of the table `envelopes`, joined with the row of its message.
#[derive(FromRow)]
pub(crate) struct EnvelopeRow {
    pub(crate) sequence: i64,
    pub(crate) expires_at: i64,
    pub(crate) id: i64,
    pub(crate) send_id: i64,
    pub(crate) sender: String,
    pub(crate) sender_device: Option<i64>,
    pub(crate) recipient: String,
    pub(crate) contents: Vec<u8>,
    pub(crate) sent_at: i64,
}

impl TryFrom<EnvelopeRow> for Envelope {
    type Error = SqlError;

    fn try_from(row: EnvelopeRow) -> Result<Self, SqlError> {
        let message = Message {
            id: MessageId::new(row.send_id),
            sender: Cell::by_id("messages", "sender", row.id).username(&row.sender)?,
            sender_device: row.sender_device.map(DeviceId::new),
            recipient: Cell::by_id("messages", "recipient", row.id).username(&row.recipient)?,
            contents: Cell::by_id("messages", "contents", row.id).text(row.contents, Contents::new)?,
            sent_at: Timestamp::from_micros(row.sent_at),
            expires_at: Timestamp::from_micros(row.expires_at),
        };
        Ok(Self { sequence: SequenceNumber::new(row.sequence), message })
    }
}

/// Builds a page of envelopes. The number and the total size of the envelopes on a page are limited, but the first
/// envelope always fits.
pub(crate) struct PageBuilder {
    pub(crate) page: MailboxPage,
    limit: PageLimit,
    bytes: usize,
}

impl PageBuilder {
    /// Creates a builder that adds envelopes to `page`, which has no envelopes yet.
    pub(crate) fn new(page: MailboxPage, limit: PageLimit) -> Self {
        Self { page, limit, bytes: 0 }
    }

    /// Adds the next envelope of the mailbox if it fits on the page, and returns `true`. Otherwise marks the page as
    /// having more envelopes, and returns `false`.
    pub(crate) fn add(&mut self, row: EnvelopeRow) -> Result<bool, SqlError> {
        self.bytes += json_size(&row.contents);
        let full = self.page.envelopes.len() == self.limit.count || self.bytes > self.limit.bytes;
        if full && !self.page.envelopes.is_empty() {
            self.page.has_more = true;
            return Ok(false);
        }
        self.page.envelopes.push(row.try_into()?);
        Ok(true)
    }
}
