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

/// Returns whether the delivered envelopes can be added to the empty `page` without another read of the mailbox:
/// nothing else has changed since the page was read, and the envelopes fit within the limit.
fn follows(delivered: &Delivered, page: &MailboxPage, limit: PageLimit) -> bool {
    let contents = delivered.envelopes.iter().map(|envelope| envelope.message.contents.as_str().as_bytes());
    let bytes: usize = contents.map(json_size).sum();
    delivered.acknowledged == page.acknowledged && delivered.envelopes.len() <= limit.count && bytes <= limit.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Contents, DeviceId, Envelope, Incarnation, Message, MessageId, SessionId, Timestamp, Token, UserId, Username,
    };
    use crate::ports::{
        MockClock, MockMailboxes, MockNotifier, MockSessions, MockSubscription, SessionOwner, Subscription,
    };
    use crate::use_cases::Caller;

    fn caller() -> SessionCaller {
        let alice = Username::new("alice").unwrap();
        SessionCaller {
            caller: Caller { user_id: UserId::new(1), username: alice, device: DeviceId::new(1) },
            session: SessionId::new(1),
            token: Token::from_random([1; 32]).hash(),
        }
    }

    fn empty() -> MailboxPage {
        MailboxPage {
            incarnation: Incarnation::new(1),
            acknowledged: SequenceNumber::ZERO,
            last: SequenceNumber::ZERO,
            not_before: Timestamp::EPOCH,
            closed_at: Timestamp::EPOCH,
            envelopes: Vec::new(),
            gaps: Vec::new(),
            has_more: false,
        }
    }

    fn page() -> MailboxPage {
        let message = Message {
            id: MessageId::new(1),
            sender: Username::new("bob").unwrap(),
            sender_device: None,
            recipient: Username::new("alice").unwrap(),
            contents: Contents::new("hello".to_owned()).unwrap(),
            sent_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH,
        };
        let envelopes = vec![Envelope { sequence: SequenceNumber::new(1), message }];
        MailboxPage { last: SequenceNumber::new(1), envelopes, ..empty() }
    }

    /// Runs the use case on a simulated mailbox. Reads of the mailbox return `pages`, one page for each read. The waits
    /// between the reads end with the outcomes `waits`.
    async fn read(
        pages: Vec<MailboxPage>,
        waits: Vec<WaitOutcome>,
        session_is_open: bool,
    ) -> Result<MailboxPage, ReadMailboxError> {
        read_after(Cursor::default(), pages, waits, session_is_open).await
    }

    async fn read_after(
        cursor: Cursor,
        pages: Vec<MailboxPage>,
        waits: Vec<WaitOutcome>,
        session_is_open: bool,
    ) -> Result<MailboxPage, ReadMailboxError> {
        let mut mailboxes = MockMailboxes::new();
        let mut pages = pages.into_iter();
        mailboxes.expect_read().returning(move |_, _, _, _| Ok(Some(pages.next().expect("too many reads"))));
        let mut sessions = MockSessions::new();
        let owner = SessionOwner {
            session: caller().session,
            user_id: caller().caller.user_id,
            username: caller().caller.username,
            device: caller().caller.device,
        };
        sessions.expect_find().returning(move |_| Ok(session_is_open.then(|| owner.clone())));
        let mut notifier = MockNotifier::new();
        notifier.expect_subscribe().return_once(move |_, _| -> Box<dyn Subscription> {
            let mut subscription = MockSubscription::new();
            let mut waits = waits.into_iter();
            subscription.expect_wait().returning(move |_| waits.next().expect("too many waits"));
            Box::new(subscription)
        });
        let mut clock = MockClock::new();
        clock.expect_expiry_time().returning(|| Timestamp::EPOCH);
        let read = ReadMailbox::new(Arc::new(mailboxes), Arc::new(sessions), Arc::new(notifier), Arc::new(clock));
        read.execute(&caller(), cursor, 10, Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn pending_envelopes_are_returned_without_waiting() {
        assert_eq!(read(vec![page()], vec![], true).await.unwrap(), page());
    }

    #[tokio::test]
    async fn gaps_that_fill_a_page_are_returned_without_waiting() {
        let full = || MailboxPage { has_more: true, ..empty() };
        assert_eq!(read(vec![full()], vec![], true).await.unwrap(), full());
    }

    #[tokio::test]
    async fn a_reader_waits_for_an_envelope_or_the_timeout() {
        assert_eq!(
            read(vec![empty(), empty(), page()], vec![WaitOutcome::Notified, WaitOutcome::Notified], true)
                .await
                .unwrap(),
            page()
        );
        let pages = vec![empty(), empty(), empty()];
        assert_eq!(read(pages, vec![WaitOutcome::Notified, WaitOutcome::TimedOut], true).await.unwrap(), empty());
    }

    #[tokio::test]
    async fn an_envelope_without_a_notification_is_read_after_the_timeout() {
        assert_eq!(read(vec![empty(), page()], vec![WaitOutcome::TimedOut], true).await.unwrap(), page());
    }

    fn delivered(acknowledged: i64) -> WaitOutcome {
        let acknowledged = SequenceNumber::new(acknowledged);
        WaitOutcome::Delivered(Delivered { envelopes: page().envelopes, acknowledged })
    }

    #[tokio::test]
    async fn envelopes_handed_over_by_the_notifier_are_not_read_again() {
        assert_eq!(read(vec![empty()], vec![delivered(0)], true).await.unwrap(), page());
    }

    #[tokio::test]
    async fn envelopes_handed_over_after_the_session_ended_are_not_returned() {
        let read = read(vec![empty()], vec![delivered(0)], false).await;
        assert!(matches!(read, Err(ReadMailboxError::SessionEnded)));
    }

    #[tokio::test]
    async fn a_page_is_read_again_if_more_than_the_envelopes_changed() {
        let again = MailboxPage { acknowledged: SequenceNumber::new(1), ..page() };
        let pages = vec![empty(), again.clone()];
        assert_eq!(read(pages, vec![delivered(1)], true).await.unwrap(), again);
    }

    #[tokio::test]
    async fn a_stopping_server_is_not_read_again() {
        assert_eq!(read(vec![empty()], vec![WaitOutcome::Stopping], true).await.unwrap(), empty());
    }

    #[tokio::test]
    async fn an_ended_session_reads_nothing_that_arrived_later() {
        let read = read(vec![empty(), page()], vec![WaitOutcome::Notified], false).await;
        assert!(matches!(read, Err(ReadMailboxError::SessionEnded)));
    }

    #[tokio::test]
    async fn a_cursor_beyond_the_mailbox_is_refused_instead_of_waiting() {
        let cursor = Cursor { after: Some(SequenceNumber::new(1)), incarnation: None };
        let refused = read_after(cursor, vec![empty()], vec![], true).await;
        assert!(matches!(refused, Err(ReadMailboxError::Cursor(CursorError::Ahead(_)))), "{refused:?}");
        // A reader whose cursor is at the last number waits.
        let seen = MailboxPage { envelopes: Vec::new(), ..page() };
        let waited = read_after(cursor, vec![seen.clone(), seen.clone()], vec![WaitOutcome::TimedOut], true).await;
        assert_eq!(waited.unwrap(), seen);
    }

    #[tokio::test]
    async fn a_reader_that_waits_learns_that_the_mailbox_was_restored() {
        let cursor = Cursor { after: None, incarnation: Some(Incarnation::new(1)) };
        let restored = MailboxPage { incarnation: Incarnation::new(2), ..page() };
        let refused = read_after(cursor, vec![empty(), restored.clone()], vec![WaitOutcome::Notified], true).await;
        let expected = CursorError::OtherIncarnation(restored.position());
        assert!(matches!(refused, Err(ReadMailboxError::Cursor(error)) if error == expected));
    }

    #[tokio::test]
    async fn the_cursor_of_an_ended_session_is_not_checked() {
        let cursor = Cursor { after: Some(SequenceNumber::MAX), incarnation: Some(Incarnation::new(2)) };
        let read = read_after(cursor, vec![empty()], vec![], false).await;
        assert!(matches!(read, Err(ReadMailboxError::SessionEnded)));
    }
}
