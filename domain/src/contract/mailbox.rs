use futures_util::future::{join, join_all};

use super::fixtures::*;
use crate::model::DeviceId;
use crate::ports::{MailboxPage, PageLimit, Stores};

/// Verifies promise D2 (no loss).
pub(super) async fn reading_changes_nothing(stores: Stores) {
    let alice = add(&stores, "alice").await;
    deliver(&stores, "alice", "one", 1).await;
    deliver(&stores, "alice", "two", 2).await;
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!(numbers(&page), [1, 2]);
    assert_eq!(read_all(&stores, alice.mailbox).await, page);
}

pub(super) async fn a_page_starts_after_the_cursor_and_ends_at_the_limit(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..5 {
        deliver(&stores, "alice", "hello", 0).await;
    }
    assert_eq!(numbers(&read(&stores, alice.mailbox, 0, 2).await), [1, 2]);
    assert_eq!(numbers(&read(&stores, alice.mailbox, 2, 2).await), [3, 4]);
    assert_eq!(numbers(&read(&stores, alice.mailbox, 4, 2).await), [5]);
    assert_eq!(numbers(&read(&stores, alice.mailbox, 5, 2).await), [0; 0]);
}

pub(super) async fn a_page_is_limited_by_bytes_but_has_at_least_one_envelope(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for text in ["four", "", "ten ten te", "four", "one"] {
        deliver(&stores, "alice", text, 0).await;
    }
    let read = async |after, count, bytes| {
        let limit = PageLimit { count, bytes };
        let page = read_limited(&stores, alice.mailbox, after, limit, moment(0)).await;
        assert_eq!(page.gaps, []);
        (numbers(&page), page.has_more, page.up_to().get())
    };
    assert_eq!(read(0, 10, 100).await, (vec![1, 2, 3, 4, 5], false, 5));
    assert_eq!(read(0, 10, 21).await, (vec![1, 2, 3, 4, 5], false, 5));
    assert_eq!(read(0, 10, 20).await, (vec![1, 2, 3, 4], true, 4));
    assert_eq!(read(0, 10, 4).await, (vec![1, 2], true, 2));
    assert_eq!(read(0, 10, 1).await, (vec![1], true, 1));
    assert_eq!(read(2, 10, 4).await, (vec![3], true, 3));
    assert_eq!(read(3, 2, 100).await, (vec![4, 5], false, 5));
    assert_eq!(read(3, 1, 100).await, (vec![4], true, 4));
    assert_eq!(read(5, 1, 1).await, (vec![], false, 5));
    assert_eq!(read(i64::MAX, 1, 1).await, (vec![], false, 5));
}

pub(super) async fn a_page_counts_the_escapes_of_json(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for text in ["\u{1}", "\n\"", "plain"] {
        deliver(&stores, "alice", text, 0).await;
    }
    for (bytes, expected) in [(15, vec![1, 2, 3]), (14, vec![1, 2]), (10, vec![1, 2]), (9, vec![1])] {
        let limit = PageLimit { count: 10, bytes };
        let page = read_limited(&stores, alice.mailbox, 0, limit, moment(0)).await;
        assert_eq!(numbers(&page), expected, "{bytes}");
    }
}

pub(super) async fn an_unknown_mailbox_has_no_page(stores: Stores) {
    let alice = add(&stores, "alice").await;
    assert!(exists(&stores, alice.mailbox).await);
    assert!(!exists(&stores, DeviceId::new(4711)).await);
}

pub(super) async fn the_watermark_starts_at_the_creation_of_the_mailbox(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!((page.not_before, page.closed_at), (moment(0), moment(0)));
    let sent = deliver(&stores, "alice", "hello", -1).await;
    assert_eq!(sent.sent_at, moment(0));
}

pub(super) async fn the_watermark_never_decreases(stores: Stores) {
    let alice = add(&stores, "alice").await;
    must(stores.mailboxes.raise_not_before(alice.mailbox, moment(70), moment(75)).await);
    // An earlier or equal time changes nothing.
    for earlier in [20, 70] {
        must(stores.mailboxes.raise_not_before(alice.mailbox, moment(earlier), moment(90)).await);
    }
    let page = read_all(&stores, alice.mailbox).await;
    assert_eq!((page.not_before, page.closed_at), (moment(70), moment(75)));
    must(stores.mailboxes.raise_not_before(DeviceId::new(4711), moment(20), moment(20)).await);
}

/// Raises the watermark while messages arrive at different times `now`, as if through servers whose clocks differ.
/// After each raise, no message may be added with a `sent_at` before the watermark.
pub(super) async fn nothing_is_added_before_the_watermark(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let senders = join_all((0..16).map(async |sender: i64| {
        for count in 0..10 {
            deliver(&stores, "alice", "hello", sender * 7 + count * 50).await;
        }
    }));
    let stored_before = |page: &MailboxPage, moment| {
        let stored = page.envelopes.iter().filter(|envelope| envelope.message.sent_at < moment);
        stored.map(|envelope| envelope.sequence).collect::<Vec<_>>()
    };
    let raising = async {
        let mut read = Vec::new();
        for micros in (0..600).step_by(20) {
            must(stores.mailboxes.raise_not_before(alice.mailbox, moment(micros), moment(micros)).await);
            let page = read_all(&stores, alice.mailbox).await;
            assert!(page.not_before >= moment(micros));
            read.push((page.not_before, stored_before(&page, page.not_before)));
        }
        read
    };
    let (_, read) = join(senders, raising).await;
    let last = read_all(&stores, alice.mailbox).await;
    for (not_before, stored) in read {
        assert_eq!(stored_before(&last, not_before), stored, "before {not_before:?}");
    }
}

pub(super) async fn acknowledging_before_a_time_deletes_exactly_the_older_envelopes(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for micros in [10, 20, 30, 40] {
        deliver(&stores, "alice", "hello", micros).await;
    }
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(30), 1000).await, 2);
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [3, 4]);
}

/// Verifies promise D5 (idempotent acknowledge).
pub(super) async fn acknowledging_before_a_time_again_deletes_nothing(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for micros in [10, 20, 30] {
        deliver(&stores, "alice", "hello", micros).await;
    }
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(25), 1000).await, 2);
    for earlier in [25, 15, 0] {
        assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(earlier), 1000).await, 0);
    }
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [3]);
    assert_eq!(acknowledge_before(&stores, DeviceId::new(4711), moment(25), 1000).await, 0);
}

pub(super) async fn acknowledging_before_a_time_stops_at_the_limit(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..5 {
        deliver(&stores, "alice", "hello", 0).await;
    }
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(1), 2).await, 2);
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [3, 4, 5]);
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(1), 3).await, 3);
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(1), 3).await, 0);
}

pub(super) async fn acknowledging_before_a_future_time_deletes_everything(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for micros in [10, 20, 30] {
        deliver(&stores, "alice", "hello", micros).await;
    }
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(i64::from(u32::MAX)), 1000).await, 3);
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [0; 0]);
}

/// Verifies promise D3 (order).
pub(super) async fn numbering_continues_after_everything_is_acknowledged(stores: Stores) {
    let alice = add(&stores, "alice").await;
    deliver(&stores, "alice", "one", 10).await;
    deliver(&stores, "alice", "two", 20).await;
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(30), 1000).await, 2);
    deliver(&stores, "alice", "three", 30).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [3]);
}

/// Verifies promise D9 (isolation).
pub(super) async fn acknowledging_before_a_time_leaves_other_mailboxes_unchanged(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let carol = add(&stores, "carol").await;
    deliver(&stores, "alice", "to alice", 0).await;
    deliver(&stores, "carol", "to carol", 0).await;
    assert_eq!(acknowledge_before(&stores, alice.mailbox, moment(1), 1000).await, 1);
    assert_eq!(numbers(&read_all(&stores, carol.mailbox).await), [1]);
}
