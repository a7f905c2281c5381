use futures_util::future::{join, join_all};

use super::fixtures::*;
use crate::model::{Contents, DeviceId, Message};
use crate::ports::{DeliverOutcome, NewDelivery, Stores};

pub(super) async fn a_message_is_read_as_sent(stores: Stores) {
    let alice = add(&stores, "Alice").await;
    let sent = deliver(&stores, "alice", "hello", 5).await;
    assert_eq!((sent.sent_at, sent.undelivered), (moment(5), vec![]));
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!(numbers(&page), [1]);
    let read = Message {
        id: sent.id,
        sender: name("bob"),
        sender_device: Some(DeviceId::new(4711)),
        recipient: name("Alice"),
        contents: contents("hello"),
        sent_at: moment(5),
        expires_at: moment(5).plus_seconds(TTL),
    };
    assert_eq!(page.envelopes[0].message, read);
}

pub(super) async fn a_send_with_an_unknown_recipient_stores_nothing(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for recipients in [&["unknown"][..], &["alice", "unknown", "missing"]] {
        let recipients: Vec<_> = recipients.iter().map(|name| (*name, "hello")).collect();
        let unknown: Vec<_> = recipients.iter().map(|(text, _)| name(text)).filter(|to| *to != name("alice")).collect();
        let refused = must(stores.mailboxes.deliver(delivery(&recipients, 0)).await);
        assert_eq!(refused, DeliverOutcome::UnknownRecipients(unknown));
    }
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [0; 0]);
}

pub(super) async fn a_send_of_an_ended_session_stores_nothing(stores: Stores) {
    let (alice, bob) = (add(&stores, "alice").await, add(&stores, "bob").await);
    let (session, _) = open(&stores, &bob, None, 1).await;
    let of_session = |micros| NewDelivery { session: Some(session.id), ..delivery(&[("alice", "hello")], micros) };
    // Sends twice, because some stores remember the recipients of the first send, and store the second send in another
    // way.
    for micros in [1, 2] {
        store(&stores, of_session(micros)).await;
    }
    assert!(must(stores.sessions.end(bob.user.id, session.id).await));
    for micros in [3, 4] {
        assert_eq!(must(stores.mailboxes.deliver(of_session(micros)).await), DeliverOutcome::SessionEnded);
    }
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1, 2]);
    deliver(&stores, "alice", "without a session", 5).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1, 2, 3]);
}

pub(super) async fn a_send_includes_the_devices_that_its_recipients_have(stores: Stores) {
    let alice = add(&stores, "alice").await;
    deliver(&stores, "alice", "one", 1).await;
    deliver(&stores, "alice", "two", 2).await;
    let second = add_device(&stores, &alice).await;
    deliver(&stores, "alice", "three", 3).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1, 2, 3]);
    assert_eq!(numbers(&read_all(&stores, second).await), [1]);
    must(stores.devices.delete(alice.user.id, alice.mailbox).await);
    deliver(&stores, "alice", "four", 4).await;
    assert_eq!(numbers(&read_all(&stores, second).await), [1, 2]);
    must(stores.users.delete(alice.user.id).await);
    let unknown = must(stores.mailboxes.deliver(delivery(&[("alice", "five")], 5)).await);
    assert_eq!(unknown, DeliverOutcome::UnknownRecipients(vec![name("alice")]));
}

pub(super) async fn a_recipient_is_found_by_any_spelling(stores: Stores) {
    let alice = add(&stores, "Alice").await;
    for spelling in ["alice", "ALICE"] {
        match must(stores.mailboxes.deliver(delivery(&[(spelling, "hello")], 0)).await) {
            DeliverOutcome::Stored { recipients, .. } => assert_eq!(recipients, [name("Alice")]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1, 2]);
}

/// Verifies promise D10 (agnostic).
pub(super) async fn contents_are_returned_byte_for_byte(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let texts = ["", "\0", "\u{1F54A}\u{FFFF}\r\n\t\"\\", &"x".repeat(Contents::MAX_BYTES)];
    for text in texts {
        deliver(&stores, "alice", text, 0).await;
    }
    let page = read_all(&stores, alice.mailbox).await;
    let read: Vec<_> = page.envelopes.iter().map(|envelope| envelope.message.contents.as_str()).collect();
    assert_eq!(read, texts);
}

/// Verifies promise D3 (order).
pub(super) async fn sequence_numbers_are_gapless(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let deliveries: Vec<_> = (0..100).map(|count| format!("message {count}")).collect();
    join_all(deliveries.iter().map(|text| deliver(&stores, "alice", text, 0))).await;
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!(numbers(&page), (1..=100).collect::<Vec<_>>());
    let mut read: Vec<_> = page.envelopes.iter().map(|envelope| envelope.message.contents.as_str()).collect();
    read.sort_unstable();
    let mut sent: Vec<_> = deliveries.iter().map(String::as_str).collect();
    sent.sort_unstable();
    assert_eq!(read, sent);
}

/// Verifies promise D3 (order).
pub(super) async fn no_envelope_appears_below_one_already_read(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let senders = join_all((0..16).map(async |sender: i64| {
        for count in 0..10 {
            deliver(&stores, "alice", "hello", sender * 100 + count).await;
        }
    }));
    let reader = async {
        let mut seen = 0;
        while seen < 160 {
            // Rereads everything each time, so that a late envelope shows as a change below the numbers already read.
            let numbers = numbers(&read_all(&stores, alice.mailbox).await);
            assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
            assert!(numbers.len() as i64 >= seen);
            seen = numbers.len() as i64;
            yield_once().await;
        }
    };
    join(senders, reader).await;
}

pub(super) async fn sent_at_never_decreases_even_if_the_clock_does(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for micros in [50, 20, 90, 0] {
        deliver(&stores, "alice", "hello", micros).await;
    }
    let page = read_all(&stores, alice.mailbox).await;
    let sent_at: Vec<_> = page.envelopes.iter().map(|envelope| envelope.message.sent_at).collect();
    assert_eq!(sent_at, [moment(50), moment(50), moment(90), moment(90)]);
    assert_eq!(page.not_before, moment(90));
}

pub(super) async fn sent_at_is_never_before_the_watermark(stores: Stores) {
    let alice = add(&stores, "alice").await;
    must(stores.mailboxes.raise_not_before(alice.mailbox, moment(70), moment(70)).await);
    let early = deliver(&stores, "alice", "early", 30).await;
    let late = deliver(&stores, "alice", "late", 80).await;
    assert_eq!((early.sent_at, late.sent_at), (moment(70), moment(80)));
}

/// Verifies promise D3 (order), and that no deadlock occurs.
pub(super) async fn concurrent_deliveries_to_many_mailboxes_all_arrive(stores: Stores) {
    let names = ["alice", "carol", "dave", "erin", "frank", "grace"];
    let mut accounts = Vec::new();
    for name in names {
        accounts.push(add(&stores, name).await);
    }
    join_all((0..120).map(|count| deliver(&stores, names[count % names.len()], "hello", 0))).await;
    for account in accounts {
        let page = read_all(&stores, account.mailbox).await;
        assert_eq!(numbers(&page), (1..=20).collect::<Vec<_>>(), "{}", account.user.username);
    }
}

/// Verifies promise D9 (isolation).
pub(super) async fn a_mailbox_has_only_its_own_messages(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let carol = add(&stores, "carol").await;
    deliver(&stores, "alice", "to alice", 0).await;
    deliver(&stores, "carol", "to carol", 0).await;
    deliver(&stores, "alice", "to alice too", 0).await;
    let read = async |mailbox| {
        let page = read_all(&stores, mailbox).await;
        page.envelopes.into_iter().map(|envelope| envelope.message.contents.into_string()).collect::<Vec<_>>()
    };
    assert_eq!(read(alice.mailbox).await, ["to alice", "to alice too"]);
    assert_eq!(read(carol.mailbox).await, ["to carol"]);
}
