use super::*;
use crate::model::{
    Contents, DeviceId, Envelope, Incarnation, Message, MessageId, SessionId, Timestamp, Token, UserId, Username,
};
use crate::ports::{
    MockClock, MockMailboxes, MockNotifier, MockSessions, MockSubscription, SessionOwner, Subscription,
};
use crate::use_cases::Caller;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Runs the use case on a simulated mailbox. The first read of the mailbox returns the first page of `pages`, the
/// second read the second page, and so on. In the same way, each wait returns the next outcome of `waits`.
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
    let mut notifier = MockNotifier::new();
    notifier.expect_subscribe().return_once(move |_, _| -> Box<dyn Subscription> {
        let mut subscription = MockSubscription::new();
        let mut waits = waits.into_iter();
        subscription.expect_wait().returning(move |_| waits.next().expect("too many waits"));
        Box::new(subscription)
    });
    execute(cursor, mailboxes, notifier, session_is_open).await
}

async fn execute(
    cursor: Cursor,
    mailboxes: MockMailboxes,
    notifier: MockNotifier,
    session_is_open: bool,
) -> Result<MailboxPage, ReadMailboxError> {
    let mut sessions = MockSessions::new();
    let owner = SessionOwner {
        session: caller().session,
        user_id: caller().caller.user_id,
        username: caller().caller.username,
        device: caller().caller.device,
    };
    sessions.expect_find().returning(move |_| Ok(session_is_open.then(|| owner.clone())));
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
        read(vec![empty(), empty(), page()], vec![WaitOutcome::Notified, WaitOutcome::Notified], true).await.unwrap(),
        page()
    );
    let pages = vec![empty(), empty(), empty()];
    assert_eq!(read(pages, vec![WaitOutcome::Notified, WaitOutcome::TimedOut], true).await.unwrap(), empty());
}

#[tokio::test]
async fn an_envelope_without_a_notification_is_read_after_the_timeout() {
    assert_eq!(read(vec![empty(), page()], vec![WaitOutcome::TimedOut], true).await.unwrap(), page());
}

/// Verifies promise D8 (prompt): the message arrives right after the first read of the mailbox.
#[tokio::test]
async fn a_message_between_the_first_read_and_the_wait_is_not_missed() {
    let reads = Arc::new(AtomicUsize::new(0));
    let mut mailboxes = MockMailboxes::new();
    let counted = reads.clone();
    mailboxes.expect_read().returning(move |_, _, _, _| {
        Ok(Some(if counted.fetch_add(1, Ordering::SeqCst) == 0 { empty() } else { page() }))
    });
    let mut notifier = MockNotifier::new();
    notifier.expect_subscribe().return_once(move |_, _| -> Box<dyn Subscription> {
        let outcome = if reads.load(Ordering::SeqCst) == 0 { WaitOutcome::Notified } else { WaitOutcome::Stopping };
        let mut subscription = MockSubscription::new();
        subscription.expect_wait().return_once(move |_| outcome);
        Box::new(subscription)
    });
    assert_eq!(execute(Cursor::default(), mailboxes, notifier, true).await.unwrap(), page());
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
