use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::fixtures::*;
use crate::model::{Cursor, CursorError, DeviceId, Incarnation, SequenceNumber};
use crate::ports::{AcknowledgeOutcome, MailboxPage, NewSession, NewUser, Stores, WaitOutcome};

async fn acknowledge_in(
    stores: &Stores,
    mailbox: DeviceId,
    up_to: i64,
    incarnation: Option<Incarnation>,
) -> AcknowledgeOutcome {
    must(stores.mailboxes.acknowledge(mailbox, SequenceNumber::new(up_to), incarnation, 1000).await)
}

pub(super) async fn a_mailbox_has_the_incarnation_that_it_was_created_with(stores: Stores) {
    let (first, second) = (Incarnation::new(i64::MIN), Incarnation::new(i64::MAX));
    let new = NewUser { incarnation: first, ..new_user("alice") };
    let account = must(must(stores.users.add(new).await).ok_or("taken"));
    let alice = TestUser { user: account.user, mailbox: account.device.id };
    assert_eq!(read_all(&stores, alice.mailbox).await.incarnation, first);
    // A login on an existing device does not change its mailbox.
    for device in [Some(alice.mailbox), None] {
        let login = NewSession { incarnation: second, ..new_session(&alice, device, u8::from(device.is_some())) };
        must(stores.sessions.open(login).await);
    }
    let devices = must(stores.devices.list(alice.user.id).await);
    assert_eq!(devices.len(), 2);
    assert_eq!(read_all(&stores, alice.mailbox).await.incarnation, first);
    assert_eq!(read_all(&stores, devices[1].id).await.incarnation, second);
    // Neither sends nor acknowledgements change the incarnation.
    deliver(&stores, "alice", "hello", 0).await;
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    assert_eq!(read_all(&stores, alice.mailbox).await.incarnation, first);
}

pub(super) async fn renewing_in_steps_changes_every_incarnation_and_nothing_else(stores: Stores) {
    let new = Incarnation::new(-4711);
    let renew = async |after, limit| must(stores.mailboxes.renew_incarnations(after, new, limit).await);
    assert_eq!(renew(None, 10).await, []);
    let (alice, carol) = (add(&stores, "alice").await, add(&stores, "carol").await);
    let mailboxes = [alice.mailbox, carol.mailbox, add_device(&stores, &alice).await];
    for text in ["one", "two", "three"] {
        deliver(&stores, "alice", text, 0).await;
    }
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    let pages = async || join_all(mailboxes.map(|mailbox| read_all(&stores, mailbox))).await;
    let before = pages().await;
    let expected = |renewed: usize| -> Vec<_> {
        let pages = before.iter().cloned().enumerate();
        pages
            .map(|(index, page)| if index < renewed { MailboxPage { incarnation: new, ..page } } else { page })
            .collect()
    };

    assert_eq!(renew(None, 2).await, mailboxes[..2]);
    assert_eq!(pages().await, expected(2));
    assert_eq!(renew(Some(mailboxes[1]), 2).await, mailboxes[2..]);
    assert_eq!(pages().await, expected(3));
    assert_eq!(renew(Some(mailboxes[2]), 2).await, []);
    // Repeating a step returns the same mailboxes, and changes nothing else.
    assert_eq!(renew(None, 10).await, mailboxes);
    assert_eq!(pages().await, expected(3));
    deliver(&stores, "alice", "four", 0).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [2, 3, 4]);
}

pub(super) async fn acknowledging_in_another_incarnation_is_refused_and_changes_nothing(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..3 {
        deliver(&stores, "alice", "hello", 0).await;
    }
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    let old = read_all(&stores, alice.mailbox).await.incarnation;
    must(stores.mailboxes.renew_incarnations(None, Incarnation::new(4711), 10).await);
    let page = read_all(&stores, alice.mailbox).await;
    // Refused even if the acknowledgement would change nothing, or is beyond the last number.
    for number in [0, 1, 2, 3, 4, i64::MAX] {
        let refused = AcknowledgeOutcome::Refused(CursorError::OtherIncarnation(page.position()));
        assert_eq!(acknowledge_in(&stores, alice.mailbox, number, Some(old)).await, refused);
    }
    let beyond = AcknowledgeOutcome::Refused(CursorError::Ahead(page.position()));
    assert_eq!(acknowledge_in(&stores, alice.mailbox, 4, Some(page.incarnation)).await, beyond);
    assert_eq!(read_all(&stores, alice.mailbox).await, page);

    let reached = |number| AcknowledgeOutcome::UpTo(SequenceNumber::new(number));
    assert_eq!(acknowledge_in(&stores, alice.mailbox, 2, Some(page.incarnation)).await, reached(2));
    assert_eq!(acknowledge_in(&stores, alice.mailbox, 3, None).await, reached(3));
    let unknown = DeviceId::new(4711);
    assert_eq!(acknowledge_in(&stores, unknown, 0, Some(old)).await, AcknowledgeOutcome::NotFound);
}

/// Verifies promise D3 (order). Once any reader of a mailbox has received an envelope, the [`MailboxPage::last`] of
/// every later page, for any reader, is at least the number of this envelope. Otherwise the mailbox would refuse a
/// cursor with this number, although the reader has received the envelope.
pub(super) async fn no_page_is_behind_a_number_that_a_reader_has_received(stores: Stores) {
    const SENDERS: i64 = 8;
    const MESSAGES: i64 = 20;
    let alice = add(&stores, "alice").await;
    let senders = join_all((0..SENDERS).map(async |_| {
        for _ in 0..MESSAGES {
            deliver(&stores, "alice", "hello", 0).await;
        }
    }));
    let newest = AtomicI64::new(0);
    let readers = join_all((0..4).map(async |_| {
        let mut subscription = stores.notifier.subscribe(alice.mailbox, Duration::from_secs(30));
        while newest.load(Ordering::SeqCst) < SENDERS * MESSAGES {
            // The newest number that any reader has received.
            let after = newest.load(Ordering::SeqCst);
            let page = read(&stores, alice.mailbox, after, 1000).await;
            let cursor = Cursor { after: Some(SequenceNumber::new(after)), incarnation: Some(page.incarnation) };
            assert_eq!(page.position().check(cursor), Ok(()));
            newest.fetch_max(page.up_to().get(), Ordering::SeqCst);
            if page.up_to().get() == SENDERS * MESSAGES {
                break;
            }
            if let WaitOutcome::Delivered(delivered) = subscription.wait(page.up_to()).await {
                let last = delivered.envelopes.last().map_or(0, |envelope| envelope.sequence.get());
                newest.fetch_max(last, Ordering::SeqCst);
            }
        }
    }));
    join(senders, readers).await;
}
