use super::fixtures::*;
use crate::model::{GapReason, Quota};
use crate::ports::{MailboxPage, NewDelivery, PageLimit, Stores};

/// Verifies promise D7 (visible loss).
pub(super) async fn a_page_ends_before_a_gap_that_is_too_many(stores: Stores) {
    let alice = add(&stores, "alice").await;
    // Envelopes with odd numbers meet a full mailbox, and those with even numbers expire, so that each number is a gap
    // of its own.
    let full = Quota { messages: 0, bytes: 0 };
    for _ in 0..=MailboxPage::MAX_GAPS / 2 {
        must(stores.mailboxes.deliver(NewDelivery { quota: full, ..delivery(&[("alice", "refused")], 0) }).await);
        store(&stores, NewDelivery { ttl_seconds: 1, ..delivery(&[("alice", "expires")], 0) }).await;
    }
    deliver(&stores, "alice", "stays", 0).await;
    let most = i64::try_from(MailboxPage::MAX_GAPS).unwrap_or(i64::MAX);
    let read = async |after| {
        let limit = PageLimit { count: 10, bytes: usize::MAX };
        read_limited(&stores, alice.mailbox, after, limit, moment(0).plus_seconds(2)).await
    };

    // All gaps after number 2 fit on one page.
    let page = read(2).await;
    assert_eq!((page.gaps.len(), page.has_more, page.up_to().get()), (MailboxPage::MAX_GAPS, false, most + 3));
    assert_eq!(numbers(&page), [most + 3]);

    let page = read(0).await;
    assert_eq!((page.gaps.len(), page.has_more, page.up_to().get()), (MailboxPage::MAX_GAPS, true, most));
    assert_eq!(numbers(&page), [0; 0]);
    assert_eq!(gaps(&page)[..2], [(1, 1, GapReason::MailboxFull), (2, 2, GapReason::Expired)]);

    let page = read(most).await;
    assert_eq!((page.has_more, page.up_to().get(), numbers(&page)), (false, most + 3, vec![most + 3]));
    let rest = [(most + 1, most + 1, GapReason::MailboxFull), (most + 2, most + 2, GapReason::Expired)];
    assert_eq!(gaps(&page), rest);
}
