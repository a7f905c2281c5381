use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::{DeviceId, Fingerprint, IdempotencyKey, Quota};
use crate::ports::{DeliverOutcome, NewDelivery, Stores};

/// A send to Alice under a key.
fn once(key: &str, text: &str, micros: i64) -> NewDelivery {
    let plain = delivery(&[("alice", text)], micros);
    let parts = plain.recipients.iter().map(|addressed| (&addressed.recipient, &addressed.contents));
    let fingerprint = Fingerprint::of(parts, None);
    NewDelivery { idempotency: Some((must(IdempotencyKey::new(key)), fingerprint)), ..plain }
}

pub(super) async fn a_send_under_a_key_happens_once(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let first = store(&stores, once("key", "hello", 1)).await;
    for micros in [1, 5] {
        let again = must(stores.mailboxes.deliver(once("key", "hello", micros)).await);
        assert_eq!(again, DeliverOutcome::Repeated(first.clone()));
    }
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1]);
    // It is remembered also when the message is gone.
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    assert_eq!(must(stores.mailboxes.deliver(once("key", "hello", 9)).await), DeliverOutcome::Repeated(first));
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [0; 0]);
}

pub(super) async fn of_many_at_once_under_a_key_one_is_stored(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let sends = (0..50).map(|micros| stores.mailboxes.deliver(once("key", "hello", micros)));
    let outcomes: Vec<_> = join_all(sends).await.into_iter().map(must).collect();
    let mut receipts = Vec::new();
    let mut stored = 0;
    for outcome in outcomes {
        match outcome {
            DeliverOutcome::Stored { receipt, .. } => {
                stored += 1;
                receipts.push(receipt);
            }
            DeliverOutcome::Repeated(receipt) => receipts.push(receipt),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stored, 1);
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1]);
}

pub(super) async fn another_send_under_a_key_is_refused(stores: Stores) {
    let alice = add(&stores, "alice").await;
    store(&stores, once("key", "hello", 1)).await;
    assert_eq!(must(stores.mailboxes.deliver(once("key", "other", 1)).await), DeliverOutcome::KeyReused);
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1]);
}

pub(super) async fn a_key_is_its_devices_own(stores: Stores) {
    let alice = add(&stores, "alice").await;
    store(&stores, once("key", "hello", 1)).await;
    let other = NewDelivery { sender_device: DeviceId::new(4712), ..once("key", "hello", 1) };
    store(&stores, other).await;
    store(&stores, once("KEY", "hello", 1)).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1, 2, 3]);
}

pub(super) async fn what_was_not_stored_does_not_use_up_its_key(stores: Stores) {
    let refused = must(stores.mailboxes.deliver(once("key", "hello", 1)).await);
    assert_eq!(refused, DeliverOutcome::UnknownRecipients(vec![name("alice")]));
    let alice = add(&stores, "alice").await;
    let full = NewDelivery { quota: Quota { messages: 0, bytes: 0 }, ..once("key", "hello", 1) };
    assert_eq!(must(stores.mailboxes.deliver(full).await), DeliverOutcome::AllMailboxesFull);
    store(&stores, once("key", "hello", 1)).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [2]);
}

pub(super) async fn the_receipt_names_who_missed_it_each_time(stores: Stores) {
    let alice = add(&stores, "Alice").await;
    deliver(&stores, "alice", "one", 0).await;
    let second = add_device(&stores, &alice).await;
    let tight = NewDelivery { quota: Quota { messages: 1, bytes: 1000 }, ..once("key", "two", 1) };
    let receipt = store(&stores, tight.clone()).await;
    let missed: Vec<_> = receipt.undelivered.iter().map(|missed| (missed.recipient.as_str(), missed.device)).collect();
    assert_eq!(missed, [("Alice", alice.mailbox)]);
    assert_eq!(must(stores.mailboxes.deliver(tight).await), DeliverOutcome::Repeated(receipt));
    assert_eq!(numbers(&read_all(&stores, second).await), [1]);
}

pub(super) async fn old_keys_are_forgotten_in_steps(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for (key, micros) in [("one", 10), ("two", 20), ("three", 30)] {
        store(&stores, once(key, "hello", micros)).await;
    }
    assert_eq!(must(stores.mailboxes.expire_idempotency_keys(moment(30), 1).await), 1);
    assert_eq!(must(stores.mailboxes.expire_idempotency_keys(moment(30), 5).await), 1);
    assert_eq!(must(stores.mailboxes.expire_idempotency_keys(moment(30), 5).await), 0);
    assert!(matches!(must(stores.mailboxes.deliver(once("three", "hello", 40)).await), DeliverOutcome::Repeated(_)));
    store(&stores, once("one", "hello", 40)).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1, 2, 3, 4]);
}
