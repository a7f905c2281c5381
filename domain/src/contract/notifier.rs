use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join;

use super::fixtures::*;
use crate::model::{DeviceId, SequenceNumber};
use crate::ports::{Delivered, Stores, WaitOutcome};

const LONG: Duration = Duration::from_secs(30);

/// Verifies promise D8 (prompt).
pub(super) async fn a_delivery_notifies_waiting_readers(stores: Stores) {
    let (alice, carol) = (add(&stores, "alice").await, add(&stores, "carol").await);
    let second = add_device(&stores, &alice).await;
    for mailbox in [alice.mailbox, second, carol.mailbox] {
        let mut subscription = stores.notifier.subscribe(mailbox, LONG);
        let seen = read_all(&stores, mailbox).await.last;
        let waiting = subscription.wait(seen);
        let sending = store(&stores, delivery(&[("alice", "hello"), ("carol", "hello")], 0));
        assert_notified(&stores, mailbox, seen, join(waiting, sending).await.0).await;
    }
}

pub(super) async fn a_delivery_between_subscribing_and_waiting_notifies(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let mut subscription = stores.notifier.subscribe(alice.mailbox, LONG);
    for _ in 0..3 {
        let seen = read_all(&stores, alice.mailbox).await.last;
        deliver(&stores, "alice", "hello", 0).await;
        let outcome = subscription.wait(seen).await;
        assert_notified(&stores, alice.mailbox, seen, outcome).await;
    }
}

/// Verifies promise D8 (prompt). Callers hang up (drop the call of `deliver`) at different moments. If the send is
/// stored all the same, waiting readers must be notified.
pub(super) async fn a_delivery_whose_caller_hangs_up_notifies(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let mut stored = 0;
    // From microseconds to milliseconds.
    for polls in (0..14).map(|power| 1 << power).cycle().take(56) {
        let mut subscription = stores.notifier.subscribe(alice.mailbox, LONG);
        let seen = read_all(&stores, alice.mailbox).await.last;
        {
            let mut delivering = stores.mailboxes.deliver(delivery(&[("alice", "hello")], 0));
            for _ in 0..polls {
                if (&mut delivering).now_or_never().is_some() {
                    break;
                }
                yield_once().await;
            }
        }
        // What was dropped is stored by now, if ever.
        for _ in 0..5 {
            must(stores.mailboxes.deliver(delivery(&[("nobody", "hello")], 0)).await);
            if read_all(&stores, alice.mailbox).await.last > seen {
                stored += 1;
                let outcome = subscription.wait(seen).await;
                assert_notified(&stores, alice.mailbox, seen, outcome).await;
                break;
            }
        }
    }
    assert!(stored > 0, "no send was stored");
}

/// Verifies promise D3 (order): the envelopes that a notifier hands over are those that a read of the mailbox returns.
pub(super) async fn envelopes_handed_over_are_those_that_a_read_returns(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let mut subscription = stores.notifier.subscribe(alice.mailbox, LONG);
    for round in 0..3 {
        let seen = read_all(&stores, alice.mailbox).await.last;
        for number in 0..3 {
            deliver(&stores, "alice", &format!("{round} {number}"), 0).await;
        }
        let outcome = subscription.wait(seen).await;
        assert_notified(&stores, alice.mailbox, seen, outcome).await;
        if round == 1 {
            let up_to = read_all(&stores, alice.mailbox).await.last;
            acknowledge(&stores, alice.mailbox, up_to.get(), 1000).await;
        }
    }
}

/// Checks that the outcome asks the reader to read again, or includes all envelopes of the mailbox after `seen`.
async fn assert_notified(stores: &Stores, mailbox: DeviceId, seen: SequenceNumber, outcome: WaitOutcome) {
    match outcome {
        WaitOutcome::Notified => {}
        WaitOutcome::Delivered(Delivered { envelopes, acknowledged }) => {
            let page = read_all(stores, mailbox).await;
            let missed = page.envelopes.into_iter().filter(|envelope| envelope.sequence > seen);
            assert_eq!(envelopes, missed.collect::<Vec<_>>());
            assert_eq!(acknowledged, page.acknowledged);
        }
        other => panic!("{other:?}"),
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
