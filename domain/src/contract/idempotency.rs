use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::{DeviceId, Fingerprint, IdempotencyKey, KeyGeneration, Quota};
use crate::ports::{DeliverOutcome, NewDelivery, Stores};

/// Returns a send to Alice with an idempotency key.
fn keyed(key: &str, text: &str, micros: i64) -> NewDelivery {
    let plain = delivery(&[("alice", text)], micros);
    let parts = plain.recipients.iter().map(|addressed| (&addressed.recipient, &addressed.contents));
    let fingerprint = Fingerprint::of(parts, None);
    NewDelivery { idempotency: Some((must(IdempotencyKey::new(key)), fingerprint)), ..plain }
}

pub(super) async fn a_repeated_send_is_stored_once(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let first = store(&stores, keyed("key", "hello", 1)).await;
    for micros in [1, 5] {
        let again = must(stores.mailboxes.deliver(keyed("key", "hello", micros)).await);
        assert_eq!(again, DeliverOutcome::Repeated(first.clone()));
    }
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1]);
    // The key is stored for longer than the message.
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    assert_eq!(must(stores.mailboxes.deliver(keyed("key", "hello", 9)).await), DeliverOutcome::Repeated(first));
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [0; 0]);
}

pub(super) async fn concurrent_sends_under_one_key_are_stored_once(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let sends = (0..50).map(|micros| stores.mailboxes.deliver(keyed("key", "hello", micros)));
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

pub(super) async fn another_send_under_a_used_key_is_refused(stores: Stores) {
    let alice = add(&stores, "alice").await;
    store(&stores, keyed("key", "hello", 1)).await;
    assert_eq!(must(stores.mailboxes.deliver(keyed("key", "other", 1)).await), DeliverOutcome::KeyReused);
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1]);
}

pub(super) async fn a_key_is_scoped_to_its_device(stores: Stores) {
    let alice = add(&stores, "alice").await;
    store(&stores, keyed("key", "hello", 1)).await;
    let other = NewDelivery { sender_device: DeviceId::new(4712), ..keyed("key", "hello", 1) };
    store(&stores, other).await;
    store(&stores, keyed("KEY", "hello", 1)).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1, 2, 3]);
}

pub(super) async fn a_send_that_is_not_stored_does_not_use_its_key(stores: Stores) {
    let refused = must(stores.mailboxes.deliver(keyed("key", "hello", 1)).await);
    assert_eq!(refused, DeliverOutcome::UnknownRecipients(vec![name("alice")]));
    let alice = add(&stores, "alice").await;
    let full = NewDelivery { quota: Quota { messages: 0, bytes: 0 }, ..keyed("key", "hello", 1) };
    assert_eq!(must(stores.mailboxes.deliver(full).await), DeliverOutcome::AllMailboxesFull);
    store(&stores, keyed("key", "hello", 1)).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [2]);
}

pub(super) async fn every_repetition_reports_the_same_undelivered_devices(stores: Stores) {
    let alice = add(&stores, "Alice").await;
    deliver(&stores, "alice", "one", 0).await;
    let second = add_device(&stores, &alice).await;
    let tight = NewDelivery { quota: Quota { messages: 1, bytes: 1000 }, ..keyed("key", "two", 1) };
    let receipt = store(&stores, tight.clone()).await;
    let missed: Vec<_> = receipt.undelivered.iter().map(|missed| (missed.recipient.as_str(), missed.device)).collect();
    assert_eq!(missed, [("Alice", alice.mailbox)]);
    assert_eq!(must(stores.mailboxes.deliver(tight).await), DeliverOutcome::Repeated(receipt));
    assert_eq!(numbers(&read_all(&stores, second).await), [1]);
}

/// Ends the current generation of keys. Returns the next generation.
async fn next_generation(stores: &Stores) -> KeyGeneration {
    let ended = must(stores.mailboxes.key_generation().await);
    must(stores.mailboxes.end_key_generation(ended).await);
    must(stores.mailboxes.key_generation().await)
}

pub(super) async fn a_generation_of_keys_ends_once(stores: Stores) {
    let first = must(stores.mailboxes.key_generation().await);
    for ended in join_all((0..20).map(|_| stores.mailboxes.end_key_generation(first))).await {
        must(ended);
    }
    let second = must(stores.mailboxes.key_generation().await);
    assert_eq!(second.get(), first.get() + 1);
    must(stores.mailboxes.end_key_generation(KeyGeneration::new(second.get() + 1)).await);
    assert_eq!(must(stores.mailboxes.key_generation().await), second);
}

/// The generation of a key, not the `sent_at` of its send, decides when the key is deleted, because a clock that was
/// wrong can put `sent_at` into the distant past or future.
pub(super) async fn old_keys_are_deleted_in_batches(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for (key, micros) in [("one", 30), ("two", 20)] {
        store(&stores, keyed(key, "hello", micros)).await;
    }
    let first = must(stores.mailboxes.key_generation().await);
    let second = next_generation(&stores).await;
    store(&stores, keyed("three", "hello", 10)).await;
    next_generation(&stores).await;
    assert_eq!(must(stores.mailboxes.expire_idempotency_keys(first, 5).await), 0);
    assert_eq!(must(stores.mailboxes.expire_idempotency_keys(second, 1).await), 1);
    assert_eq!(must(stores.mailboxes.expire_idempotency_keys(second, 5).await), 1);
    assert_eq!(must(stores.mailboxes.expire_idempotency_keys(second, 5).await), 0);
    assert!(matches!(must(stores.mailboxes.deliver(keyed("three", "hello", 40)).await), DeliverOutcome::Repeated(_)));
    store(&stores, keyed("one", "hello", 40)).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1, 2, 3, 4]);
}

/// The store must keep an idempotency key even after the device that used the key is deleted. The deletion may occur
/// while a send of the device is in flight, and the client may then repeat the send.
pub(super) async fn a_key_outlives_its_device(stores: Stores) {
    let (alice, bob) = (add(&stores, "alice").await, add(&stores, "bob").await);
    let device = add_device(&stores, &bob).await;
    let send = NewDelivery { sender_device: device, ..keyed("key", "hello", 1) };
    let receipt = store(&stores, send.clone()).await;
    must(stores.devices.delete(bob.user.id, device).await);
    while must(stores.mailboxes.purge(1).await) {}
    assert_eq!(must(stores.mailboxes.deliver(send).await), DeliverOutcome::Repeated(receipt));
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1]);
    let next = next_generation(&stores).await;
    assert_eq!(must(stores.mailboxes.expire_idempotency_keys(next, 5).await), 1);
}
