use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::DeviceId;
use crate::ports::{DeleteDeviceOutcome, DeliverOutcome, Stores};

pub(super) async fn devices_are_listed_oldest_first(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let (_, second) = open(&stores, &alice, None, 1).await;
    let (_, third) = open(&stores, &alice, None, 2).await;
    let listed = must(stores.devices.list(alice.user.id).await);
    assert_eq!(listed[0].id, alice.mailbox);
    assert_eq!(listed[1..], [second, third]);
    assert_eq!(must(stores.devices.list(crate::model::UserId::new(4711)).await), []);
}

pub(super) async fn deleting_a_device_deletes_its_mailbox_and_sessions(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let (_, second) = open(&stores, &alice, None, 1).await;
    deliver(&stores, "alice", "for both", 0).await;
    assert_eq!(must(stores.devices.delete(alice.user.id, second.id).await), DeleteDeviceOutcome::Deleted);
    while must(stores.mailboxes.purge(1).await) {}
    assert_eq!(must(stores.sessions.find(&token(1)).await), None);
    assert!(!exists(&stores, second.id).await);
    assert_eq!(must(stores.devices.delete(alice.user.id, second.id).await), DeleteDeviceOutcome::NotFound);
    // The other device keeps its mailbox.
    deliver(&stores, "alice", "for one", 0).await;
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!(numbers(&page), [1, 2]);
    assert_eq!(page.envelopes[0].message.contents, contents("for both"));
}

pub(super) async fn the_last_device_and_devices_of_others_are_not_deleted(stores: Stores) {
    let (alice, bob) = (add(&stores, "alice").await, add(&stores, "bob").await);
    add_device(&stores, &bob).await;
    let delete = async |device| must(stores.devices.delete(alice.user.id, device).await);
    assert_eq!(delete(alice.mailbox).await, DeleteDeviceOutcome::Last);
    assert_eq!(delete(bob.mailbox).await, DeleteDeviceOutcome::NotFound);
    assert_eq!(delete(DeviceId::new(4711)).await, DeleteDeviceOutcome::NotFound);
    assert_eq!(must(stores.devices.list(bob.user.id).await).len(), 2);
}

pub(super) async fn concurrent_deletions_leave_one_device(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for number in 1..4 {
        open(&stores, &alice, None, number).await;
    }
    let devices = must(stores.devices.list(alice.user.id).await);
    let deletions = devices.iter().map(|device| stores.devices.delete(alice.user.id, device.id));
    let outcomes: Vec<_> = join_all(deletions).await.into_iter().map(must).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == DeleteDeviceOutcome::Last).count(), 1);
    assert_eq!(must(stores.devices.list(alice.user.id).await).len(), 1);
}

/// Verifies promise D6 (atomic fan-out), and that no deadlock occurs.
pub(super) async fn concurrent_deliveries_and_deletions_complete(stores: Stores) {
    let names = ["alice", "carol", "dave"];
    let mut accounts = Vec::new();
    for name in names {
        let account = add(&stores, name).await;
        add_device(&stores, &account).await;
        accounts.push(account);
    }
    let all = [("alice", "hello"), ("carol", "hello"), ("dave", "hello")];
    let sends = join_all((0..40).map(async |count: i64| {
        let outcome = must(stores.mailboxes.deliver(delivery(&all, count)).await);
        assert!(matches!(outcome, DeliverOutcome::Stored { .. } | DeliverOutcome::UnknownRecipients(_)), "{outcome:?}");
    }));
    let deletions = async {
        yield_once().await;
        must(stores.devices.delete(accounts[1].user.id, accounts[1].mailbox).await);
        assert!(must(stores.users.delete(accounts[2].user.id).await));
        while must(stores.mailboxes.purge(10).await) {}
    };
    futures_util::future::join(sends, deletions).await;
    while must(stores.mailboxes.purge(10).await) {}
    let page = read_all(&stores, accounts[0].mailbox).await;
    assert_eq!(numbers(&page), (1..=page.envelopes.len() as i64).collect::<Vec<_>>());
    assert!(!exists(&stores, accounts[2].mailbox).await);
}

/// Several purges (deletions of the envelopes of deleted devices) run concurrently in practice: every replica purges,
/// and so does each deletion of a device or user.
pub(super) async fn concurrent_purges_leave_nothing(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let second = add_device(&stores, &alice).await;
    for _ in 0..100 {
        deliver(&stores, "alice", "for both", 0).await;
    }
    must(stores.devices.delete(alice.user.id, second).await);
    join_all((0..8).map(async |_| while must(stores.mailboxes.purge(1).await) {})).await;
    // Alice's first device still has its envelopes.
    assert_eq!(must(stores.mailboxes.expire(moment(0).plus_seconds(TTL), 1000).await), 100);
}
