use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::{CursorError, DeviceId, SequenceNumber};
use crate::ports::{AcknowledgeOutcome, Stores};

fn up_to(number: i64) -> AcknowledgeOutcome {
    AcknowledgeOutcome::UpTo(SequenceNumber::new(number))
}

/// Verifies promise D2 (no loss).
pub(super) async fn exactly_the_acknowledged_envelopes_are_deleted(stores: Stores) {
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

/// Verifies promise D5 (idempotent acknowledge).
pub(super) async fn acknowledging_the_same_or_less_changes_nothing(stores: Stores) {
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

/// Verifies promise D5 (idempotent acknowledge).
pub(super) async fn acknowledging_beyond_the_last_number_is_refused(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for last in 0..3 {
        let page = read_all(&stores, alice.mailbox).await;
        let (acknowledged, position) = (SequenceNumber::new(i64::from(last > 0)), page.position());
        assert_eq!((position.acknowledged, position.last.get()), (acknowledged, last));
        let beyond = AcknowledgeOutcome::Refused(CursorError::Ahead(position));
        for number in [last + 1, 1000, i64::MAX] {
            assert_eq!(acknowledge(&stores, alice.mailbox, number, 1000).await, beyond);
        }
        assert_eq!(read_all(&stores, alice.mailbox).await, page);
        deliver(&stores, "alice", "hello", 0).await;
        acknowledge(&stores, alice.mailbox, 1, 1000).await;
    }
    for number in [0, 1] {
        let outcome = acknowledge(&stores, DeviceId::new(4711), number, 1000).await;
        assert_eq!(outcome, AcknowledgeOutcome::NotFound);
    }
}

pub(super) async fn the_limit_applies_to_the_oldest_envelopes(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..5 {
        deliver(&stores, "alice", "hello", 0).await;
    }
    assert_eq!(acknowledge(&stores, alice.mailbox, 5, 2).await, up_to(2));
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [3, 4, 5]);
    assert_eq!(acknowledge(&stores, alice.mailbox, 5, 2).await, up_to(4));
    assert_eq!(acknowledge(&stores, alice.mailbox, 5, 2).await, up_to(5));
}

/// Verifies promise D9 (isolation).
pub(super) async fn acknowledging_leaves_other_mailboxes_unchanged(stores: Stores) {
    let (alice, carol) = (add(&stores, "alice").await, add(&stores, "carol").await);
    deliver(&stores, "alice", "for alice", 0).await;
    deliver(&stores, "carol", "for carol", 0).await;
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    assert_eq!(numbers(&read_all(&stores, carol.mailbox).await), [1]);
}

/// Verifies promise D5 (idempotent acknowledge).
pub(super) async fn concurrent_acknowledgements_never_move_backwards(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..200 {
        deliver(&stores, "alice", "hello", 0).await;
    }
    let reached = AtomicI64::new(0);
    join_all((1..=8).map(async |part: i64| {
        let up_to = part * 25;
        loop {
            let AcknowledgeOutcome::UpTo(now) = acknowledge(&stores, alice.mailbox, up_to, 1).await else {
                panic!("acknowledging {up_to} was refused");
            };
            let most = reached.fetch_max(now.get(), Ordering::SeqCst).max(now.get());
            let seen = read(&stores, alice.mailbox, 0, 1).await.acknowledged.get();
            assert!(seen >= most, "{most} was acknowledged, and then {seen}");
            if now.get() >= up_to {
                break;
            }
        }
    }))
    .await;
    assert_eq!(read_all(&stores, alice.mailbox).await.acknowledged.get(), 200);
}
