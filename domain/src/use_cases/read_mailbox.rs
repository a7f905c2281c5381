use std::sync::Arc;
use std::time::Duration;

use super::SessionCaller;
use crate::model::{Cursor, CursorError, SequenceNumber, json_size};
use crate::ports::{Clock, Delivered, MailboxPage, Mailboxes, Notifier, PageLimit, PortError, Sessions, WaitOutcome};

/// Reads a device's mailbox. If no envelope is pending, the read can wait for one (long poll).
pub struct ReadMailbox {
    mailboxes: Arc<dyn Mailboxes>,
    sessions: Arc<dyn Sessions>,
    notifier: Arc<dyn Notifier>,
    clock: Arc<dyn Clock>,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadMailboxError {
    /// The session ended after the caller was authenticated.
    #[error("the session has ended")]
    SessionEnded,
    /// The mailbox refuses the cursor, because the reader can't have received it from this mailbox.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ReadMailbox {
    /// Maximum number of envelopes on a page.
    pub const MAX_COUNT: usize = 1000;
    /// Maximum total size of the contents on a page in bytes, counted as escaped JSON strings. With its other fields
    /// and its gaps, a page stays below 1 MiB as JSON.
    pub const MAX_BYTES: usize = 640 * 1024;
    /// Maximum time that a reader may wait. Many proxies end requests after 60 seconds.
    pub const MAX_WAIT: Duration = Duration::from_secs(50);

    /// Creates the use case from its dependencies.
    pub fn new(
        mailboxes: Arc<dyn Mailboxes>,
        sessions: Arc<dyn Sessions>,
        notifier: Arc<dyn Notifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { mailboxes, sessions, notifier, clock }
    }

    /// Returns at most `count` of the oldest envelopes after the cursor. If there is no such envelope, waits until one
    /// arrives or `wait` has elapsed. Deletes nothing (D2). A waiting reader holds no thread and no database
    /// connection.
    ///
    /// Checks the cursor before and after each wait, because the store may be restored from a backup during a wait. A
    /// cursor at the last number of the mailbox is valid.
    ///
    /// # Errors
    ///
    /// If the cursor is beyond the last number or of another incarnation, the session ends while the reader waits, or
    /// the store fails.
    pub async fn execute(
        &self,
        caller: &SessionCaller,
        cursor: Cursor,
        count: usize,
        wait: Duration,
    ) -> Result<MailboxPage, ReadMailboxError> {
        let mailbox = caller.caller.device;
        let after = cursor.after.unwrap_or(SequenceNumber::ZERO);
        let limit = PageLimit { count: count.min(Self::MAX_COUNT), bytes: Self::MAX_BYTES };
        let read = async || {
            // If there is no mailbox, the session has ended, because a mailbox is deleted together with the sessions of
            // its device.
            let page = self.mailboxes.read(mailbox, after, limit, self.clock.expiry_time()).await?;
            page.ok_or(ReadMailboxError::SessionEnded)
        };
        if wait.is_zero() {
            let page = read().await?;
            page.position().check(cursor)?;
            return Ok(page);
        }
        // Subscribe before the first read, so that no delivery between reading and waiting is missed.
        let mut subscription = self.notifier.subscribe(mailbox, wait);
        let mut may_wait = true;
        let mut page = read().await?;
        loop {
            // The session is checked after the read: if the session is still open, the page has no envelope that
            // arrived after its end.
            if self.sessions.find(&caller.token).await?.is_none() {
                return Err(ReadMailboxError::SessionEnded);
            }
            page.position().check(cursor)?;
            // A page can have no envelopes and still `has_more`, if there are too many gaps for one page.
            if !page.envelopes.is_empty() || page.has_more || !may_wait {
                return Ok(page);
            }
            page = match subscription.wait(page.last).await {
                WaitOutcome::Delivered(delivered) if follows(&delivered, &page, limit) => {
                    let last = delivered.envelopes.last().map_or(page.last, |envelope| envelope.sequence);
                    MailboxPage { envelopes: delivered.envelopes, last, ..page }
                }
                WaitOutcome::Delivered(_) | WaitOutcome::Notified => read().await?,
                // Read once more: there may be gaps, or envelopes whose notification was lost.
                WaitOutcome::TimedOut => {
                    may_wait = false;
                    read().await?
                }
                // A stopping server notifies all waiting readers at once. If each of them read once more, the shutdown
                // would take longer.
                WaitOutcome::Stopping => return Ok(page),
            }
        }
    }
}

/// Returns whether the delivered envelopes can be added to the empty `page` without another read of the mailbox. They
/// can be added if nothing was acknowledged since the page was read, and if they fit within the limit.
fn follows(delivered: &Delivered, page: &MailboxPage, limit: PageLimit) -> bool {
    let contents = delivered.envelopes.iter().map(|envelope| envelope.message.contents.as_str().as_bytes());
    let bytes: usize = contents.map(json_size).sum();
    delivered.acknowledged == page.acknowledged && delivered.envelopes.len() <= limit.count && bytes <= limit.bytes
}

#[cfg(test)]
#[path = "read_mailbox_tests.rs"]
mod tests;
