use std::time::Duration;

use futures_util::future::join;

use super::fixtures::*;
use crate::model::SequenceNumber;
use crate::ports::{Stores, WaitOutcome};

const LONG: Duration = Duration::from_secs(30);

/// Verifies promise D8.
pub(super) async fn a_delivery_notifies_waiting_readers(stores: Stores) {
    let (alice, carol) = (add(&stores, "alice").await, add(&stores, "carol").await);
    let second = add_device(&stores, &alice).await;
    for mailbox in [alice.mailbox, second, carol.mailbox] {
        let mut subscription = stores.notifier.subscribe(mailbox, LONG);
        let waiting = subscription.wait(SequenceNumber::ZERO);
        let sending = store(&stores, delivery(&[("alice", "hello"), ("carol", "hello")], 0));
        assert_eq!(join(waiting, sending).await.0, WaitOutcome::Notified);
    }
}

pub(super) async fn a_delivery_between_subscribing_and_waiting_notifies(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let mut subscription = stores.notifier.subscribe(alice.mailbox, LONG);
    for _ in 0..3 {
        let seen = read_all(&stores, alice.mailbox).await.last;
        deliver(&stores, "alice", "hello", 0).await;
        assert_eq!(subscription.wait(seen).await, WaitOutcome::Notified);
    }
}

pub(super) async fn a_wait_times_out(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let mut subscription = stores.notifier.subscribe(alice.mailbox, Duration::ZERO);
    assert_eq!(subscription.wait(SequenceNumber::ZERO).await, WaitOutcome::TimedOut);
}

pub(super) async fn the_end_of_a_session_notifies_waiting_readers(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let (session, device) = open(&stores, &alice, None, 1).await;
    let mut subscription = stores.notifier.subscribe(device.id, LONG);
    let ending = stores.sessions.end(alice.user.id, session.id);
    assert_eq!(join(subscription.wait(SequenceNumber::ZERO), ending).await.0, WaitOutcome::Notified);
    let mut subscription = stores.notifier.subscribe(device.id, LONG);
    let deleting = stores.devices.delete(alice.user.id, device.id);
    assert_eq!(join(subscription.wait(SequenceNumber::ZERO), deleting).await.0, WaitOutcome::Notified);
    let mut subscription = stores.notifier.subscribe(alice.mailbox, LONG);
    let deleting = stores.users.delete(alice.user.id);
    assert_eq!(join(subscription.wait(SequenceNumber::ZERO), deleting).await.0, WaitOutcome::Notified);
}
