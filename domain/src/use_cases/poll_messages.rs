use std::sync::Arc;

use super::Caller;
use crate::model::{DeviceId, Envelope, Message, SequenceNumber, Timestamp};
use crate::ports::{Clock, MailboxPage, Mailboxes, PageLimit, PortError};

/// Reads pending messages; the first half of the classic API's way to read.
///
/// A classic client polls, and then deletes all from before the poll's `query_time`, in whole seconds. So that this
/// loses nothing, `query_time` is always at or below the mailbox's `not_before`: no message of an earlier second can
/// arrive any more. And all messages of those earlier seconds are in the answer.
pub struct PollMessages {
    mailboxes: Arc<dyn Mailboxes>,
    clock: Arc<dyn Clock>,
}

/// The answer to a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The oldest pending messages in order: [`PollMessages::LIMIT`] at most, more only where one second holds more.
    pub messages: Vec<Message>,
    /// The Unix second up to which, itself excluded, the answer is complete for good.
    pub query_time: i64,
}

impl PollMessages {
    /// The most messages of an answer, unless one second holds more.
    pub const LIMIT: usize = 100;
    /// The most bytes of contents of an answer, unless one second holds more.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// Works on these ports.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, clock: Arc<dyn Clock>) -> Self {
        Self { mailboxes, clock }
    }

    /// Reads the caller's oldest pending messages. It deletes none.
    ///
    /// # Errors
    ///
    /// Where a port fails.
    pub async fn execute(&self, caller: &Caller) -> Result<Poll, PortError> {
        let mailbox = caller.device;
        let mut page = self.read(mailbox).await?;
        let now = self.clock.now();
        // A store that can't be written can be read all the same: then more of the answer will come again.
        if let Some(moment) = closable(&page, now)
            && self.mailboxes.raise_not_before(mailbox, moment, now).await.is_ok()
        {
            page = self.read(mailbox).await?;
        }
        self.cut(mailbox, page).await
    }

    /// Reads one envelope more than an answer takes, to see where the answer may end.
    async fn read(&self, mailbox: DeviceId) -> Result<MailboxPage, PortError> {
        self.read_after(mailbox, SequenceNumber::ZERO).await
    }

    async fn read_after(&self, mailbox: DeviceId, after: SequenceNumber) -> Result<MailboxPage, PortError> {
        let limit = PageLimit { count: Self::LIMIT + 1, bytes: Self::MAX_BYTES };
        self.mailboxes.read(mailbox, after, limit, self.clock.now()).await
    }

    /// Ends the answer where a second ends, so that it is complete up to its `query_time`.
    async fn cut(&self, mailbox: DeviceId, page: MailboxPage) -> Result<Poll, PortError> {
        let MailboxPage { not_before, mut envelopes, has_more, .. } = page;
        let closed = not_before.floor_to_second();
        let next = if has_more || envelopes.len() > Self::LIMIT { envelopes.last().map(sent_at) } else { None };
        let first = envelopes.first().map(sent_at);
        let (Some(first), Some(next)) = (first, next.filter(|next| *next < closed)) else {
            envelopes.truncate(Self::LIMIT);
            return Ok(poll(envelopes, closed));
        };

        let split = next.floor_to_second();
        if first < split {
            envelopes.retain(|envelope| sent_at(envelope) < split);
            return Ok(poll(envelopes, split));
        }
        let end = split.next_second();
        self.read_on(mailbox, &mut envelopes, end).await?;
        Ok(poll(envelopes, end))
    }

    /// Completes what one second holds.
    async fn read_on(&self, mailbox: DeviceId, envelopes: &mut Vec<Envelope>, end: Timestamp) -> Result<(), PortError> {
        while let Some(last) = envelopes.last().filter(|last| sent_at(last) < end) {
            let more = self.read_after(mailbox, last.sequence).await?.envelopes;
            if more.is_empty() {
                break;
            }
            envelopes.extend(more);
        }
        envelopes.retain(|envelope| sent_at(envelope) < end);
        Ok(())
    }
}

/// The moment to close a mailbox before, so that more of what is pending can be deleted; nothing where nothing is gained,
/// as in an empty mailbox, so that polling it never writes.
fn closable(page: &MailboxPage, now: Timestamp) -> Option<Timestamp> {
    let closed = page.not_before.floor_to_second();
    let second = now.floor_to_second();
    let mut open = page.envelopes.iter().map(sent_at).filter(|stamp| *stamp >= closed);
    if open.clone().any(|stamp| stamp < second) {
        return Some(second);
    }
    // Some clock was ahead, and the mailbox with it. It must not wait until the time has come: its seconds are closed as
    // they fill, though no more than one in a second, so that it runs ahead no further.
    let ahead = open.clone().any(|stamp| stamp > now);
    let just_closed = page.closed_at.floor_to_second() == second;
    let last = open.next_back()?;
    (ahead && !just_closed).then(|| last.next_second())
}

fn sent_at(envelope: &Envelope) -> Timestamp {
    envelope.message.sent_at
}

fn poll(envelopes: Vec<Envelope>, complete_before: Timestamp) -> Poll {
    Poll {
        messages: envelopes.into_iter().map(|envelope| envelope.message).collect(),
        query_time: complete_before.seconds(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Contents, MessageId, UserId, Username};
    use crate::ports::{MockClock, MockMailboxes};

    const NOW: i64 = 1_700_000_000;

    fn page() -> MailboxPage {
        let alice = Username::new("alice").unwrap();
        let message = Message {
            id: MessageId::new(1),
            sender: Username::new("bob").unwrap(),
            sender_device: None,
            recipient: alice,
            contents: Contents::new("hello".to_owned()).unwrap(),
            sent_at: Timestamp::from_seconds(NOW - 10),
            expires_at: Timestamp::from_seconds(NOW + 10),
        };
        MailboxPage {
            not_before: Timestamp::from_seconds(NOW - 10),
            closed_at: Timestamp::from_seconds(NOW - 20),
            envelopes: vec![Envelope { sequence: SequenceNumber::new(1), message }],
            last: SequenceNumber::new(1),
            ..MailboxPage::EMPTY
        }
    }

    async fn poll(mailboxes: MockMailboxes) -> Result<Poll, PortError> {
        let mut clock = MockClock::new();
        clock.expect_now().returning(|| Timestamp::from_seconds(NOW));
        let caller =
            Caller { user_id: UserId::new(1), username: Username::new("alice").unwrap(), device: DeviceId::new(1) };
        PollMessages::new(Arc::new(mailboxes), Arc::new(clock)).execute(&caller).await
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_written_is_read_and_nothing_can_be_deleted_that_may_still_grow() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_read().times(1).returning(|_, _, _, _| Ok(page()));
        mailboxes.expect_raise_not_before().times(1).returning(|_, _, _| Err(PortError::unavailable("disk full")));
        let poll = poll(mailboxes).await.unwrap();
        assert_eq!(poll.messages.len(), 1);
        assert_eq!(poll.query_time, NOW - 10);
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_read_is_an_error() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_read().returning(|_, _, _, _| Err(PortError::unavailable("gone")));
        assert!(poll(mailboxes).await.is_err());
    }

    #[tokio::test]
    async fn polling_an_empty_mailbox_writes_nothing() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_read().times(1).returning(|_, _, _, _| Ok(MailboxPage { envelopes: Vec::new(), ..page() }));
        mailboxes.expect_raise_not_before().never();
        assert_eq!(poll(mailboxes).await.unwrap().messages, []);
    }
}
