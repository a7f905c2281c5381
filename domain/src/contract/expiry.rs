use super::fixtures::*;
use crate::model::{GapReason, Timestamp};
use crate::ports::{MailboxPage, NewDelivery, PageLimit, Stores};

/// Delivers to Alice a message that expires after `ttl_seconds`.
async fn deliver_for(stores: &Stores, ttl_seconds: u64) {
    store(stores, NewDelivery { ttl_seconds, ..delivery(&[("alice", "hello")], 0) }).await;
}

async fn read_at(stores: &Stores, mailbox: crate::model::DeviceId, after: i64, now: Timestamp) -> MailboxPage {
    let limit = PageLimit { count: 100, bytes: usize::MAX };
    read_limited(stores, mailbox, after, limit, now).await
}

fn seconds(seconds: u64) -> Timestamp {
    moment(0).plus_seconds(seconds)
}

/// Verifies promise D7 (visible loss).
pub(super) async fn an_expired_envelope_is_a_gap_before_and_after_its_deletion(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for ttl in [5, 50, 5, 5, 50, 5] {
        deliver_for(&stores, ttl).await;
    }
    let page = read_at(&stores, alice.mailbox, 0, seconds(5).minus_seconds(1)).await;
    assert_eq!((numbers(&page), gaps(&page)), (vec![1, 2, 3, 4, 5, 6], vec![]));
    let expired = |first, last| (first, last, GapReason::Expired);
    let expected = (vec![2, 5], vec![expired(1, 1), expired(3, 4), expired(6, 6)]);
    let page = read_at(&stores, alice.mailbox, 0, seconds(5)).await;
    assert_eq!((numbers(&page), gaps(&page)), expected);
    assert_eq!(must(stores.mailboxes.expire(seconds(5), 1000).await), 4);
    let page = read_at(&stores, alice.mailbox, 0, seconds(5)).await;
    assert_eq!((numbers(&page), gaps(&page)), expected);
    assert_eq!(page.up_to().get(), 6);
    let page = read_at(&stores, alice.mailbox, 3, seconds(5)).await;
    assert_eq!((numbers(&page), gaps(&page)), (vec![5], vec![expired(4, 4), expired(6, 6)]));
    // A gap is reported until it is acknowledged.
    acknowledge(&stores, alice.mailbox, 4, 1000).await;
    let page = read_at(&stores, alice.mailbox, 0, seconds(5)).await;
    assert_eq!((numbers(&page), gaps(&page)), (vec![5], vec![expired(6, 6)]));
    acknowledge(&stores, alice.mailbox, 6, 1000).await;
    assert_eq!(gaps(&read_at(&stores, alice.mailbox, 0, seconds(50)).await), []);
}

pub(super) async fn a_watermark_that_is_ahead_delays_expiry_by_a_day_at_most(stores: Stores) {
    const DAY: u64 = 24 * 60 * 60;
    let alice = add(&stores, "alice").await;
    must(stores.mailboxes.raise_not_before(alice.mailbox, seconds(DAY / 2), moment(0)).await);
    deliver_for(&stores, 5).await;
    must(stores.mailboxes.raise_not_before(alice.mailbox, seconds(31 * DAY), moment(0)).await);
    deliver_for(&stores, 5).await;
    let page = read_at(&stores, alice.mailbox, 0, moment(0)).await;
    let times: Vec<_> = page.envelopes.iter().map(|envelope| &envelope.message).collect();
    let times: Vec<_> = times.into_iter().map(|message| (message.sent_at, message.expires_at)).collect();
    assert_eq!(times, [(seconds(DAY / 2), seconds(DAY / 2 + 5)), (seconds(31 * DAY), seconds(DAY + 5))]);
}

pub(super) async fn expired_envelopes_are_deleted_in_batches(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let second = add_device(&stores, &alice).await;
    for ttl in [1, 2, 3, 50] {
        deliver_for(&stores, ttl).await;
    }
    assert_eq!(must(stores.mailboxes.expire(moment(0), 1000).await), 0);
    let mut deleted = 0;
    loop {
        let step = must(stores.mailboxes.expire(seconds(3), 4).await);
        assert!(step <= 4);
        deleted += step;
        if step == 0 {
            break;
        }
    }
    assert_eq!(deleted, 6);
    for mailbox in [alice.mailbox, second] {
        assert_eq!(numbers(&read_at(&stores, mailbox, 0, moment(0)).await), [4]);
    }
}

pub(super) async fn an_expired_envelope_can_be_acknowledged_before_its_deletion(stores: Stores) {
    let alice = add(&stores, "alice").await;
    deliver_for(&stores, 1).await;
    deliver_for(&stores, 50).await;
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    assert_eq!(must(stores.mailboxes.expire(seconds(1), 1000).await), 0);
    let page = read_at(&stores, alice.mailbox, 0, seconds(1)).await;
    assert_eq!((numbers(&page), gaps(&page)), (vec![2], vec![]));
}

pub(super) async fn an_envelope_acknowledged_by_one_device_can_expire_for_another(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let second = add_device(&stores, &alice).await;
    deliver_for(&stores, 1).await;
    acknowledge(&stores, alice.mailbox, 1, 1000).await;
    assert_eq!(must(stores.mailboxes.expire(seconds(1), 1000).await), 1);
    let page = read_at(&stores, second, 0, seconds(1)).await;
    assert_eq!(gaps(&page), [(1, 1, GapReason::Expired)]);
    assert_eq!(gaps(&read_at(&stores, alice.mailbox, 0, seconds(1)).await), []);
}
