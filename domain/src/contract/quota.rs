use super::fixtures::*;
use crate::model::{GapReason, Quota};
use crate::ports::{DeliverOutcome, NewDelivery, Stores};

fn within(messages: u64, bytes: u64, recipients: &[(&str, &str)]) -> NewDelivery {
    NewDelivery { quota: Quota { messages, bytes }, ..delivery(recipients, 0) }
}

/// Verifies promise D7 (visible loss).
pub(super) async fn a_full_mailbox_stores_gaps_instead_of_envelopes(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..2 {
        store(&stores, within(2, 100, &[("alice", "hello")])).await;
    }
    for _ in 0..3 {
        let refused = must(stores.mailboxes.deliver(within(2, 100, &[("alice", "hello")])).await);
        assert_eq!(refused, DeliverOutcome::AllMailboxesFull);
    }
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!((numbers(&page), gaps(&page)), (vec![1, 2], vec![(3, 5, GapReason::MailboxFull)]));
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    store(&stores, within(2, 100, &[("alice", "hello")])).await;
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!((numbers(&page), gaps(&page)), (vec![2, 6], vec![(3, 5, GapReason::MailboxFull)]));
    acknowledge(&stores, alice.mailbox, 4, 1000).await;
    assert_eq!(gaps(&read_all(&stores, alice.mailbox).await), [(5, 5, GapReason::MailboxFull)]);
    acknowledge(&stores, alice.mailbox, 5, 1000).await;
    assert_eq!(gaps(&read_all(&stores, alice.mailbox).await), []);
}

pub(super) async fn the_quota_counts_bytes_of_contents(stores: Stores) {
    let alice = add(&stores, "alice").await;
    store(&stores, within(100, 10, &[("alice", "sixsix")])).await;
    let refused = must(stores.mailboxes.deliver(within(100, 10, &[("alice", "fünf")])).await);
    assert_eq!(refused, DeliverOutcome::AllMailboxesFull);
    store(&stores, within(100, 10, &[("alice", "four")])).await;
    store(&stores, within(100, 10, &[("alice", "")])).await;
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!((numbers(&page), gaps(&page)), (vec![1, 3, 4], vec![(2, 2, GapReason::MailboxFull)]));
}

pub(super) async fn a_full_mailbox_does_not_block_others(stores: Stores) {
    let (alice, carol) = (add(&stores, "Alice").await, add(&stores, "carol").await);
    deliver(&stores, "alice", "one", 0).await;
    let second = add_device(&stores, &alice).await;
    let receipt = store(&stores, within(1, 100, &[("carol", "two"), ("alice", "two")])).await;
    let missed: Vec<_> = receipt.undelivered.iter().map(|missed| (missed.recipient.as_str(), missed.device)).collect();
    assert_eq!(missed, [("Alice", alice.mailbox)]);
    assert_eq!(numbers(&read_all(&stores, second).await), [1]);
    assert_eq!(numbers(&read_all(&stores, carol.mailbox).await), [1]);
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!((numbers(&page), gaps(&page)), (vec![1], vec![(2, 2, GapReason::MailboxFull)]));
}

/// Tests that a full mailbox has room again after an acknowledgement up to a sequence number, after an acknowledgement
/// before a time, and after expiry.
pub(super) async fn acknowledging_and_expiry_free_room(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let fits = async || {
        matches!(must(stores.mailboxes.deliver(within(3, 9, &[("alice", "abc")])).await), DeliverOutcome::Stored { .. })
    };
    let fill = async || {
        let mut count = 0;
        while fits().await {
            count += 1;
        }
        count
    };
    assert_eq!(fill().await, 3);
    acknowledge(&stores, alice.mailbox, 2, 1000).await;
    assert_eq!(fill().await, 2);
    let last = read_all(&stores, alice.mailbox).await.last.get();
    acknowledge(&stores, alice.mailbox, last, 1).await;
    assert_eq!(fill().await, 1);
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(1), 2).await, 2);
    assert_eq!(fill().await, 2);
    must(stores.mailboxes.expire(moment(0).plus_seconds(TTL), 1000).await);
    assert_eq!(fill().await, 3);
}
