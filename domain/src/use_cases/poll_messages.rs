use std::sync::Arc;

use super::{Caller, ReadMailbox};
use crate::model::{DeviceId, Envelope, Message, SequenceNumber, Timestamp};
use crate::ports::{Clock, MailboxPage, Mailboxes, PageLimit, PortError};

/// Reads pending messages: the first step of reading messages through the classic API (the deprecated predecessor of
/// v1), before [`DeleteMessages`](super::DeleteMessages).
///
/// A classic client polls, and then deletes all messages sent before the poll's `query_time`, a Unix second. So that
/// this deletion loses no message, `query_time` never exceeds the mailbox's watermark `not_before`. Therefore the poll
/// returns every pending message sent before `query_time`, and no message sent before `query_time` arrives after the
/// poll.
pub struct PollMessages {
    mailboxes: Arc<dyn Mailboxes>,
    clock: Arc<dyn Clock>,
}

/// The result of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// The oldest pending messages in order, usually at most [`PollMessages::LIMIT`]. If a single Unix second has more
    /// messages than the poll reads at once, `messages` has only the first messages of that second.
    pub messages: Vec<Message>,
    /// Where to continue if `messages` ends in the middle of a Unix second. The remaining messages of that second
    /// belong to the result, too; read them with [`PollMessages::next`].
    pub rest: Option<RestOfSecond>,
    /// A Unix second. All pending messages sent before `query_time` are in `messages`, or can be read with `rest`, and
    /// no further message sent before `query_time` can arrive.
    pub query_time: i64,
}

/// Where to continue reading the messages of a Unix second, if they are too many to be read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestOfSecond {
    after: SequenceNumber,
    end: Timestamp,
}

impl PollMessages {
    /// Maximum number of messages in the result of a poll, unless a single Unix second has more.
    pub const LIMIT: usize = 100;
    /// Maximum total size of the contents that one read of the mailbox returns, in bytes, counted as escaped JSON
    /// strings.
    pub const MAX_BYTES: usize = ReadMailbox::MAX_BYTES;

    /// Creates the use case from its dependencies.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, clock: Arc<dyn Clock>) -> Self {
        Self { mailboxes, clock }
    }

    /// Reads the caller's oldest pending messages, and deletes none of them.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn execute(&self, caller: &Caller) -> Result<Poll, PortError> {
        let mailbox = caller.device;
        let Some(mut page) = self.read(mailbox).await? else {
            // The user was deleted after the caller was authenticated.
            return Ok(Poll { messages: Vec::new(), rest: None, query_time: 0 });
        };
        let now = self.clock.now();
        // If the watermark can't be raised, the poll still works: the client can delete fewer messages, and receives
        // the others again.
        if let Some(watermark) = watermark_to_raise(&page, now)
            && self.mailboxes.raise_not_before(mailbox, watermark, now).await.is_ok()
        {
            page = self.read(mailbox).await?.unwrap_or(page);
        }
        Ok(end_at_second(page))
    }

    /// Continues a poll that could not return all messages of a Unix second. Returns the next messages of that second.
    /// If the second may have even more messages, also returns where to continue.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn next(
        &self,
        caller: &Caller,
        rest: RestOfSecond,
    ) -> Result<(Vec<Message>, Option<RestOfSecond>), PortError> {
        let page = self.read_after(caller.device, rest.after).await?;
        Ok(up_to_end(page.map(|page| page.envelopes).unwrap_or_default(), rest.end))
    }

    /// Reads the oldest envelopes: at most one more than [`Self::LIMIT`]. The additional envelope shows in which Unix
    /// second the first message beyond the limit was sent, so that the result of the poll can end before that second.
    async fn read(&self, mailbox: DeviceId) -> Result<Option<MailboxPage>, PortError> {
        self.read_after(mailbox, SequenceNumber::ZERO).await
    }

    async fn read_after(&self, mailbox: DeviceId, after: SequenceNumber) -> Result<Option<MailboxPage>, PortError> {
        let limit = PageLimit { count: Self::LIMIT + 1, bytes: Self::MAX_BYTES };
        let mut page = self.mailboxes.read(mailbox, after, limit, self.clock.expiry_time()).await?;
        // The classic API can't report gaps, so pages that have only gaps are skipped.
        while let Some(gaps) = page.as_ref().filter(|page| page.envelopes.is_empty() && page.has_more) {
            page = self.mailboxes.read(mailbox, gaps.up_to(), limit, self.clock.expiry_time()).await?;
        }
        Ok(page)
    }
}

/// Builds the result of a poll from a page of the mailbox. Chooses the messages and `query_time` so that no pending
/// message sent before `query_time` is missing: each is in `messages`, or can be read with `rest`.
fn end_at_second(page: MailboxPage) -> Poll {
    let MailboxPage { not_before, mut envelopes, has_more, .. } = page;
    let complete_before = not_before.floor_to_second();
    let next = if has_more || envelopes.len() > PollMessages::LIMIT { envelopes.last().map(sent_at) } else { None };
    let first = envelopes.first().map(sent_at);
    let (Some(first), Some(next)) = (first, next.filter(|next| *next < complete_before)) else {
        envelopes.truncate(PollMessages::LIMIT);
        return poll(messages(envelopes), complete_before);
    };

    let split = next.floor_to_second();
    if first < split {
        envelopes.retain(|envelope| sent_at(envelope) < split);
        return poll(messages(envelopes), split);
    }
    let end = split.next_second();
    let (messages, rest) = up_to_end(envelopes, end);
    Poll { rest, ..poll(messages, end) }
}

/// Returns the messages among `envelopes` that were sent before `end`. If more messages sent before `end` may follow
/// after `envelopes`, also returns where to continue.
fn up_to_end(mut envelopes: Vec<Envelope>, end: Timestamp) -> (Vec<Message>, Option<RestOfSecond>) {
    let last = envelopes.last().filter(|last| sent_at(last) < end);
    let rest = last.map(|last| RestOfSecond { after: last.sequence, end });
    envelopes.retain(|envelope| sent_at(envelope) < end);
    (messages(envelopes), rest)
}

/// Returns the time to which the watermark `not_before` should be raised, or `None` to leave the watermark as it is.
/// The `query_time` of a poll never exceeds the watermark, so a higher watermark lets the client delete more of the
/// pending messages. The result for an empty mailbox is `None`, so that polling an empty mailbox never writes to the
/// database.
fn watermark_to_raise(page: &MailboxPage, now: Timestamp) -> Option<Timestamp> {
    let complete_before = page.not_before.floor_to_second();
    let second = now.floor_to_second();
    let mut undeletable = page.envelopes.iter().map(sent_at).filter(|sent_at| *sent_at >= complete_before);
    if undeletable.clone().any(|sent_at| sent_at < second) {
        return Some(second);
    }
    // A message with `sent_at` after `now` was sent while the clock was ahead, so `not_before` is ahead, too. The
    // client must be able to delete such messages before the clock catches up, so the watermark is raised past them, by
    // at most a second. The watermark is raised at most every other second, so that the clock catches up even if new
    // messages arrive all the time.
    let ahead = undeletable.clone().any(|sent_at| sent_at > now);
    let just_raised = second.seconds().abs_diff(page.closed_at.seconds()) <= 1;
    let last = undeletable.next_back()?;
    (ahead && !just_raised).then(|| last.next_second())
}

fn sent_at(envelope: &Envelope) -> Timestamp {
    envelope.message.sent_at
}

fn messages(envelopes: Vec<Envelope>) -> Vec<Message> {
    envelopes.into_iter().map(|envelope| envelope.message).collect()
}

fn poll(messages: Vec<Message>, complete_before: Timestamp) -> Poll {
    Poll { messages, rest: None, query_time: complete_before.seconds() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Contents, Gap, GapReason, Incarnation, MessageId, UserId, Username};
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
            incarnation: Incarnation::new(1),
            acknowledged: SequenceNumber::ZERO,
            last: SequenceNumber::new(1),
            not_before: Timestamp::from_seconds(NOW - 10),
            closed_at: Timestamp::from_seconds(NOW - 20),
            envelopes: vec![Envelope { sequence: SequenceNumber::new(1), message }],
            gaps: Vec::new(),
            has_more: false,
        }
    }

    async fn poll(mailboxes: MockMailboxes) -> Result<Poll, PortError> {
        let mut clock = MockClock::new();
        clock.expect_now().returning(|| Timestamp::from_seconds(NOW));
        clock.expect_expiry_time().returning(|| Timestamp::from_seconds(NOW));
        let caller =
            Caller { user_id: UserId::new(1), username: Username::new("alice").unwrap(), device: DeviceId::new(1) };
        PollMessages::new(Arc::new(mailboxes), Arc::new(clock)).execute(&caller).await
    }

    #[tokio::test]
    async fn if_the_watermark_cannot_be_raised_the_poll_still_succeeds_with_the_old_one() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_read().times(1).returning(|_, _, _, _| Ok(Some(page())));
        mailboxes.expect_raise_not_before().times(1).returning(|_, _, _| Err(PortError::unavailable("disk full")));
        let poll = poll(mailboxes).await.unwrap();
        assert_eq!(poll.messages.len(), 1);
        assert_eq!(poll.query_time, NOW - 10);
    }

    #[test]
    fn a_clock_catches_up_with_a_mailbox_that_gets_a_message_and_a_poll_every_second() {
        let second = Timestamp::from_seconds;
        let mut page = page();
        let sent = |page: &mut MailboxPage, now: Timestamp| {
            page.not_before = page.not_before.max(now);
            page.envelopes[0].message.sent_at = page.not_before;
        };
        page.not_before = second(NOW + 100);
        for passed in 0..250 {
            let now = second(NOW + passed);
            sent(&mut page, now);
            if let Some(raised) = watermark_to_raise(&page, now) {
                (page.not_before, page.closed_at) = (raised, now);
            }
        }
        assert!(page.not_before <= second(NOW + 250), "{:?} is ahead of {}", page.not_before, NOW + 250);
    }

    #[tokio::test]
    async fn a_failed_read_is_an_error() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_read().returning(|_, _, _, _| Err(PortError::unavailable("gone")));
        assert!(poll(mailboxes).await.is_err());
    }

    #[tokio::test]
    async fn pages_that_have_only_gaps_are_skipped() {
        let gap = Gap { first: SequenceNumber::new(1), last: SequenceNumber::new(7), reason: GapReason::Expired };
        let mut mailboxes = MockMailboxes::new();
        let mut reads = 0;
        mailboxes.expect_read().times(2).returning(move |_, after, _, _| {
            reads += 1;
            assert_eq!(after.get(), [0, 7][reads - 1]);
            let only_gaps = MailboxPage { envelopes: Vec::new(), gaps: vec![gap], has_more: true, ..page() };
            let last = MailboxPage { not_before: Timestamp::from_seconds(NOW), ..page() };
            Ok(Some(if reads == 1 { only_gaps } else { last }))
        });
        assert_eq!(poll(mailboxes).await.unwrap().messages.len(), 1);
    }

    #[tokio::test]
    async fn polling_an_empty_mailbox_writes_nothing() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes
            .expect_read()
            .times(1)
            .returning(|_, _, _, _| Ok(Some(MailboxPage { envelopes: Vec::new(), ..page() })));
        mailboxes.expect_raise_not_before().never();
        assert_eq!(poll(mailboxes).await.unwrap().messages, []);
    }
}
