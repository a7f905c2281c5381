use super::fixtures::*;
use crate::model::{DeviceId, SequenceNumber};
use crate::ports::{Acknowledgement, Stores};

fn up_to(number: i64) -> Acknowledgement {
    Acknowledgement::UpTo(SequenceNumber::new(number))
}

fn beyond(number: i64) -> Acknowledgement {
    Acknowledgement::Beyond(SequenceNumber::new(number))
}

/// D2.
pub(super) async fn exactly_what_is_acknowledged_is_deleted(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..4 {
        deliver(&stores, "alice", "hello", 0).await;
    }
    assert_eq!(acknowledge(&stores, alice.mailbox, 2, 1000).await, up_to(2));
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!(numbers(&page), [3, 4]);
    assert_eq!((page.acknowledged.get(), page.last.get(), page.gaps.len()), (2, 4, 0));
    assert_eq!(acknowledge(&stores, alice.mailbox, 4, 1000).await, up_to(4));
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [0; 0]);
    deliver(&stores, "alice", "hello", 0).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [5]);
}

/// D5.
pub(super) async fn repeating_it_or_less_changes_nothing(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..3 {
        deliver(&stores, "alice", "hello", 0).await;
    }
    acknowledge(&stores, alice.mailbox, 2, 1000).await;
    let page = read_all(&stores, alice.mailbox).await;
    for number in [2, 1, 0] {
        assert_eq!(acknowledge(&stores, alice.mailbox, number, 1000).await, up_to(2));
    }
    assert_eq!(read_all(&stores, alice.mailbox).await, page);
}

/// D5.
pub(super) async fn what_never_was_there_cannot_be_acknowledged(stores: Stores) {
    let alice = add(&stores, "alice").await;
    assert_eq!(acknowledge(&stores, alice.mailbox, 1, 1000).await, beyond(0));
    deliver(&stores, "alice", "hello", 0).await;
    for number in [2, 1000, i64::MAX] {
        assert_eq!(acknowledge(&stores, alice.mailbox, number, 1000).await, beyond(1));
    }
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [1]);
    assert_eq!(acknowledge(&stores, DeviceId::new(4711), 1, 1000).await, beyond(0));
}

pub(super) async fn a_step_takes_the_oldest_up_to_its_limit(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..5 {
        deliver(&stores, "alice", "hello", 0).await;
    }
    assert_eq!(acknowledge(&stores, alice.mailbox, 5, 2).await, up_to(2));
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [3, 4, 5]);
    assert_eq!(acknowledge(&stores, alice.mailbox, 5, 2).await, up_to(4));
    assert_eq!(acknowledge(&stores, alice.mailbox, 5, 2).await, up_to(5));
}

/// D9.
pub(super) async fn another_mailbox_keeps_what_it_has(stores: Stores) {
    let (alice, carol) = (add(&stores, "alice").await, add(&stores, "carol").await);
    deliver(&stores, "alice", "for alice", 0).await;
    deliver(&stores, "carol", "for carol", 0).await;
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    assert_eq!(numbers(&read_all(&stores, carol.mailbox).await), [1]);
}
