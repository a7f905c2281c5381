use std::sync::Arc;
use std::time::Duration;

use super::SessionCaller;
use crate::model::SequenceNumber;
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
    /// The session ended while the reader waited.
    #[error("the session has ended")]
    SessionEnded,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ReadMailbox {
    /// Maximum number of envelopes on a page.
    pub const MAX_COUNT: usize = 1000;
    /// Maximum total size of the contents on a page, in bytes. A page includes its first envelope even if that envelope
    /// is larger.
    pub const MAX_BYTES: usize = 1024 * 1024;
    /// Maximum time that a reader may wait.
    pub const MAX_WAIT: Duration = Duration::from_secs(60);

    /// Creates the use case, which calls these ports.
    pub fn new(
        mailboxes: Arc<dyn Mailboxes>,
        sessions: Arc<dyn Sessions>,
        notifier: Arc<dyn Notifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { mailboxes, sessions, notifier, clock }
    }

    /// Returns at most `count` of the oldest envelopes after the sequence number `after`, which defaults to the last
    /// acknowledged number. If there is no such envelope, waits until one arrives or `wait` has elapsed. Deletes
    /// nothing (D2). A waiting reader holds no thread and no database connection.
    ///
    /// # Errors
    ///
    /// If the session ends while the reader waits, or a port fails.
    pub async fn execute(
        &self,
        caller: &SessionCaller,
        after: Option<SequenceNumber>,
        count: usize,
        wait: Duration,
    ) -> Result<MailboxPage, ReadMailboxError> {
        let mailbox = caller.caller.device;
        let after = after.unwrap_or(SequenceNumber::ZERO);
        let limit = PageLimit { count: count.min(Self::MAX_COUNT), bytes: Self::MAX_BYTES };
        let read = || self.mailboxes.read(mailbox, after, limit, self.clock.expiry_time());
        if wait.is_zero() {
            return Ok(read().await?);
        }
        // Subscribe before the first read, so that no delivery between reading and waiting is missed.
        let mut subscription = self.notifier.subscribe(mailbox, wait);
        let mut may_wait = true;
        let mut page = read().await?;
        loop {
            // Checked after the read, so that the page holds nothing that arrived after the session ended.
            if self.sessions.find(&caller.token).await?.is_none() {
                return Err(ReadMailboxError::SessionEnded);
            }
            if !page.envelopes.is_empty() || !may_wait {
                return Ok(page);
            }
            page = match subscription.wait(page.last).await {
                WaitOutcome::Delivered(delivered) if follows(&delivered, &page, after, limit) => {
                    let last = delivered.envelopes.last().map_or(page.last, |envelope| envelope.sequence);
                    MailboxPage { envelopes: delivered.envelopes, last, ..page }
                }
                WaitOutcome::Delivered(_) | WaitOutcome::Notified => read().await?,
                // Read once more: there may be gaps, or envelopes whose notification was lost.
                WaitOutcome::TimedOut => {
                    may_wait = false;
                    read().await?
                }
                // All readers are notified at once; a last read of each would delay the shutdown.
                WaitOutcome::Stopping => return Ok(page),
            }
        }
    }
}

/// Returns whether the delivered envelopes can be added to the empty `page` without another read of the mailbox:
/// nothing else has changed since the page was read, and the envelopes fit within the limit.
fn follows(delivered: &Delivered, page: &MailboxPage, after: SequenceNumber, limit: PageLimit) -> bool {
    let bytes: usize = delivered.envelopes.iter().map(|envelope| envelope.message.contents.as_str().len()).sum();
    after <= page.last
        && delivered.acknowledged == page.acknowledged
        && delivered.envelopes.len() <= limit.count
        && bytes <= limit.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Contents, DeviceId, Envelope, Message, MessageId, SessionId, Timestamp, Token, UserId, Username,
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
        MailboxPage { last: SequenceNumber::new(1), envelopes, ..MailboxPage::EMPTY }
    }

    /// Reads from a mailbox whose reads return `pages`, one page for each read. The waits between the reads end with
    /// the outcomes `waits`.
    async fn read(
        pages: Vec<MailboxPage>,
        waits: Vec<WaitOutcome>,
        session_is_open: bool,
    ) -> Result<MailboxPage, ReadMailboxError> {
        let mut mailboxes = MockMailboxes::new();
        let mut pages = pages.into_iter();
        mailboxes.expect_read().returning(move |_, _, _, _| Ok(pages.next().expect("too many reads")));
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
        read.execute(&caller(), None, 10, Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn pending_envelopes_are_returned_without_waiting() {
        assert_eq!(read(vec![page()], vec![], true).await.unwrap(), page());
    }

    #[tokio::test]
    async fn a_reader_waits_for_an_envelope_or_the_timeout() {
        assert_eq!(
            read(
                vec![MailboxPage::EMPTY, MailboxPage::EMPTY, page()],
                vec![WaitOutcome::Notified, WaitOutcome::Notified],
                true
            )
            .await
            .unwrap(),
            page()
        );
        let empty = || vec![MailboxPage::EMPTY, MailboxPage::EMPTY, MailboxPage::EMPTY];
        assert_eq!(
            read(empty(), vec![WaitOutcome::Notified, WaitOutcome::TimedOut], true).await.unwrap(),
            MailboxPage::EMPTY
        );
    }

    #[tokio::test]
    async fn an_envelope_without_a_notification_is_read_after_the_timeout() {
        assert_eq!(read(vec![MailboxPage::EMPTY, page()], vec![WaitOutcome::TimedOut], true).await.unwrap(), page());
    }

    fn delivered(acknowledged: i64) -> WaitOutcome {
        let acknowledged = SequenceNumber::new(acknowledged);
        WaitOutcome::Delivered(Delivered { envelopes: page().envelopes, acknowledged })
    }

    #[tokio::test]
    async fn envelopes_handed_over_by_the_notifier_are_not_read_again() {
        assert_eq!(read(vec![MailboxPage::EMPTY], vec![delivered(0)], true).await.unwrap(), page());
    }

    #[tokio::test]
    async fn envelopes_handed_over_after_the_session_ended_are_not_returned() {
        let read = read(vec![MailboxPage::EMPTY], vec![delivered(0)], false).await;
        assert!(matches!(read, Err(ReadMailboxError::SessionEnded)));
    }

    #[tokio::test]
    async fn a_page_is_read_again_if_more_than_the_envelopes_changed() {
        let again = MailboxPage { acknowledged: SequenceNumber::new(1), ..page() };
        let pages = vec![MailboxPage::EMPTY, again.clone()];
        assert_eq!(read(pages, vec![delivered(1)], true).await.unwrap(), again);
    }

    #[tokio::test]
    async fn a_stopping_server_is_not_read_again() {
        assert_eq!(
            read(vec![MailboxPage::EMPTY], vec![WaitOutcome::Stopping], true).await.unwrap(),
            MailboxPage::EMPTY
        );
    }

    #[tokio::test]
    async fn an_ended_session_reads_nothing_that_arrived_later() {
        let read = read(vec![MailboxPage::EMPTY, page()], vec![WaitOutcome::Notified], false).await;
        assert!(matches!(read, Err(ReadMailboxError::SessionEnded)));
    }
}
