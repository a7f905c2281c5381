use std::sync::Arc;
use std::time::Duration;

use super::SessionCaller;
use crate::model::SequenceNumber;
use crate::ports::{Clock, MailboxPage, Mailboxes, Notifier, PageLimit, PortError, Sessions, WaitOutcome};

/// Reads a device's mailbox, and waits for something to come where it is empty.
pub struct ReadMailbox {
    mailboxes: Arc<dyn Mailboxes>,
    sessions: Arc<dyn Sessions>,
    notifier: Arc<dyn Notifier>,
    clock: Arc<dyn Clock>,
}

/// Why nothing was read.
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
    /// The most envelopes of a page.
    pub const MAX_COUNT: usize = 1000;
    /// The most bytes of contents of a page, unless the first envelope alone has more.
    pub const MAX_BYTES: usize = 1024 * 1024;
    /// The longest that a reader waits.
    pub const MAX_WAIT: Duration = Duration::from_secs(60);

    /// Works on these ports.
    pub fn new(
        mailboxes: Arc<dyn Mailboxes>,
        sessions: Arc<dyn Sessions>,
        notifier: Arc<dyn Notifier>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { mailboxes, sessions, notifier, clock }
    }

    /// The oldest envelopes after a number, or after what is acknowledged where none is given; at most `count` of them.
    /// Where there is none, waits for one for as long as `wait`. It deletes nothing (D2), and waiting holds neither a
    /// thread nor a connection.
    ///
    /// # Errors
    ///
    /// Where the session ends while the reader waits, or a port fails.
    pub async fn execute(
        &self,
        asking: &SessionCaller,
        after: Option<SequenceNumber>,
        count: usize,
        wait: Duration,
    ) -> Result<MailboxPage, ReadMailboxError> {
        let mailbox = asking.caller.device;
        let after = after.unwrap_or(SequenceNumber::ZERO);
        let limit = PageLimit { count: count.min(Self::MAX_COUNT), bytes: Self::MAX_BYTES };
        let read = || self.mailboxes.read(mailbox, after, limit, self.clock.now());
        if wait.is_zero() {
            return Ok(read().await?);
        }
        // Before the first look, so that nothing that comes after it is missed.
        let mut subscription = self.notifier.subscribe(mailbox, wait);
        let mut waiting = true;
        loop {
            let page = read().await?;
            // After the look, so that nobody gets what came after the session ended.
            if self.sessions.find(&asking.token).await?.is_none() {
                return Err(ReadMailboxError::SessionEnded);
            }
            if !page.envelopes.is_empty() || !waiting {
                return Ok(page);
            }
            match subscription.wait(page.last).await {
                WaitOutcome::Notified => {}
                // There may be gaps, or what nobody told of.
                WaitOutcome::TimedOut => waiting = false,
                // All who wait are told so at once: they don't ask for more.
                WaitOutcome::Stopping => return Ok(page),
            }
        }
    }
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

    fn asking() -> SessionCaller {
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

    /// Reads where the mailbox gives these pages, one after another, and each wait ends like that.
    async fn read(
        pages: Vec<MailboxPage>,
        waits: Vec<WaitOutcome>,
        session_goes_on: bool,
    ) -> Result<MailboxPage, ReadMailboxError> {
        let mut mailboxes = MockMailboxes::new();
        let mut pages = pages.into_iter();
        mailboxes.expect_read().returning(move |_, _, _, _| Ok(pages.next().expect("read too often")));
        let mut sessions = MockSessions::new();
        let owner = SessionOwner {
            session: asking().session,
            user_id: asking().caller.user_id,
            username: asking().caller.username,
            device: asking().caller.device,
        };
        sessions.expect_find().returning(move |_| Ok(session_goes_on.then(|| owner.clone())));
        let mut notifier = MockNotifier::new();
        notifier.expect_subscribe().return_once(move |_, _| -> Box<dyn Subscription> {
            let mut subscription = MockSubscription::new();
            let mut waits = waits.into_iter();
            subscription.expect_wait().returning(move |_| waits.next().expect("waited too often"));
            Box::new(subscription)
        });
        let mut clock = MockClock::new();
        clock.expect_now().returning(|| Timestamp::EPOCH);
        let read = ReadMailbox::new(Arc::new(mailboxes), Arc::new(sessions), Arc::new(notifier), Arc::new(clock));
        read.execute(&asking(), None, 10, Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn what_is_there_is_not_waited_for() {
        assert_eq!(read(vec![page()], vec![], true).await.unwrap(), page());
    }

    #[tokio::test]
    async fn a_reader_waits_until_something_is_there_or_its_time_is_up() {
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
    async fn what_nobody_told_of_is_there_when_the_wait_is_over() {
        assert_eq!(read(vec![MailboxPage::EMPTY, page()], vec![WaitOutcome::TimedOut], true).await.unwrap(), page());
    }

    #[tokio::test]
    async fn a_server_that_stops_is_asked_for_no_more() {
        assert_eq!(
            read(vec![MailboxPage::EMPTY], vec![WaitOutcome::Stopping], true).await.unwrap(),
            MailboxPage::EMPTY
        );
    }

    #[tokio::test]
    async fn nobody_gets_what_came_after_the_session_ended() {
        let read = read(vec![MailboxPage::EMPTY, page()], vec![WaitOutcome::Notified], false).await;
        assert!(matches!(read, Err(ReadMailboxError::SessionEnded)));
    }
}
