use std::sync::Arc;

use super::Caller;
use super::sweep::BATCH;
use crate::model::Timestamp;
use crate::ports::{Mailboxes, PortError};

/// Deletes messages that a client has polled: the second step of reading messages through the classic API (the
/// deprecated predecessor of v1), after [`PollMessages`](super::PollMessages).
///
/// A deletion deletes all messages that were sent before its `until`, even if no poll has returned them. This is part
/// of the frozen contract of the classic API. If `until` is the `query_time` of a poll, the poll has returned all of
/// these messages. There are two exceptions, because the request names neither a mailbox nor an incarnation:
///
/// - If the polled device was deleted after the poll, the deletion applies to the mailbox of the user's next oldest
///   device.
/// - If the database was restored from a backup after the poll, messages that are sent after the restore may have a
///   `sent_at` before `until`.
pub struct DeleteMessages {
    mailboxes: Arc<dyn Mailboxes>,
}

impl DeleteMessages {
    /// Creates the use case from its dependencies.
    pub fn new(mailboxes: Arc<dyn Mailboxes>) -> Self {
        Self { mailboxes }
    }

    /// Deletes the messages in the caller's mailbox that were sent before the Unix second `until_seconds`. Returns the
    /// number of deleted messages. If `until_seconds` is the `query_time` of a [`Poll`](super::Poll), deletes only
    /// messages that the poll returned. [`DeleteMessages`] describes the two exceptions.
    ///
    /// # Errors
    ///
    /// If the store fails. The oldest messages may have been deleted already.
    pub async fn execute(&self, caller: &Caller, until_seconds: i64) -> Result<u64, PortError> {
        let until = Timestamp::from_seconds(until_seconds);
        let mut deleted = 0;
        loop {
            let batch = self.mailboxes.acknowledge_before(caller.device, until, BATCH).await?;
            deleted += batch;
            if batch < BATCH as u64 {
                return Ok(deleted);
            }
        }
    }
}
