use futures_util::future::{join, join_all, join3};

use super::fixtures::*;
use crate::model::DeviceId;
use crate::ports::{AcknowledgeOutcome, NewDelivery, Stores};

pub(super) async fn every_device_of_every_recipient_receives_the_message(stores: Stores) {
    let (alice, carol) = (add(&stores, "alice").await, add(&stores, "carol").await);
    let second = add_device(&stores, &alice).await;
    deliver(&stores, "alice", "before", 1).await;
    let receipt = store(&stores, delivery(&[("carol", "for carol"), ("ALICE", "for alice")], 5)).await;
    for (mailbox, sequence, text) in
        [(alice.mailbox, 2, "for alice"), (second, 2, "for alice"), (carol.mailbox, 1, "for carol")]
    {
        let page = read_all(&stores, mailbox).await;
        let last = must(page.envelopes.last().ok_or("nothing came"));
        assert_eq!(last.sequence.get(), sequence);
        assert_eq!((last.message.id, last.message.sent_at), (receipt.id, receipt.sent_at));
        assert_eq!(last.message.contents, contents(text));
    }
}

pub(super) async fn every_send_has_its_own_identifier(stores: Stores) {
    add(&stores, "alice").await;
    let carol = add(&stores, "carol").await;
    let mut ids = Vec::new();
    for round in 0..5 {
        ids.push(deliver(&stores, "alice", "hello", 0).await.id);
        ids.push(store(&stores, delivery(&[("alice", "hello"), ("carol", "hello")], 0)).await.id);
        acknowledge(&stores, carol.mailbox, round, 1000).await;
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

pub(super) async fn sent_at_is_the_latest_watermark_of_all_mailboxes(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let second = add_device(&stores, &alice).await;
    let carol = add(&stores, "carol").await;
    must(stores.mailboxes.raise_not_before(second, moment(70), moment(70)).await);
    let receipt = store(&stores, delivery(&[("carol", "hello"), ("alice", "hello")], 5)).await;
    assert_eq!(receipt.sent_at, moment(70));
    for mailbox in [alice.mailbox, second, carol.mailbox] {
        let page = read_all(&stores, mailbox).await;
        assert_eq!((page.not_before, page.envelopes[0].message.sent_at), (moment(70), moment(70)));
    }
}

pub(super) async fn a_message_is_kept_until_its_last_device_acknowledges_it(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let second = add_device(&stores, &alice).await;
    for text in ["one", "two", "three"] {
        deliver(&stores, "alice", text, 0).await;
    }
    acknowledge(&stores, alice.mailbox, 2, 1000).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [3]);
    assert_eq!(numbers(&read_all(&stores, second).await), [1, 2, 3]);
    acknowledge(&stores, second, 3, 1000).await;
    assert_eq!(numbers(&read_all(&stores, alice.mailbox).await), [3]);
    assert_eq!(numbers(&read_all(&stores, second).await), [0; 0]);
}

/// Verifies promises D2 (no loss) and D3 (order): each device reads every envelope once, no envelope remains, and no
/// deadlock occurs.
pub(super) async fn concurrent_acknowledgements_lose_no_delivery(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let devices = [alice.mailbox, add_device(&stores, &alice).await, add_device(&stores, &alice).await];
    let senders = join_all((0..4).map(async |_| {
        for count in 0..25 {
            deliver(&stores, "alice", "hello", count).await;
        }
    }));
    let readers = join_all(devices.map(async |device: DeviceId| {
        let mut seen = 0;
        while seen < 100 {
            let page = read(&stores, device, seen, 7).await;
            let numbers = numbers(&page);
            assert_eq!(numbers, (seen + 1..=seen + numbers.len() as i64).collect::<Vec<_>>());
            seen += numbers.len() as i64;
            acknowledge(&stores, device, seen, 1000).await;
            yield_once().await;
        }
    }));
    join(senders, readers).await;
    for device in devices {
        assert_eq!(numbers(&read_all(&stores, device).await), [0; 0]);
    }
}

/// Verifies promise D6 (atomic fan-out) for recipients in different orders, and that no deadlock occurs.
pub(super) async fn concurrent_fan_outs_in_any_order_arrive_completely(stores: Stores) {
    let names = ["dave", "alice", "erin", "carol"];
    let mut accounts = Vec::new();
    for name in names {
        accounts.push(add(&stores, name).await);
    }
    for account in accounts.iter().rev() {
        add_device(&stores, account).await;
    }
    join_all((0..60).map(async |count: i64| {
        let mut recipients = names.map(|name| (name, "hello"));
        recipients.rotate_left((count % 4) as usize);
        if count % 2 == 0 {
            recipients.reverse();
        }
        store(&stores, delivery(&recipients, count)).await;
    }))
    .await;
    for account in accounts {
        for device in must(stores.devices.list(account.user.id).await) {
            let page = read_all(&stores, device.id).await;
            assert_eq!(numbers(&page), (1..=60).collect::<Vec<_>>(), "{}", account.user.username);
        }
    }
}

/// Verifies promise D6 (atomic fan-out) for concurrent writes of every kind to the same mailboxes. Sorting the
/// mailboxes by username, by device or by expiry results in different orders here. So writes can deadlock unless all of
/// them lock the mailboxes in one common order.
pub(super) async fn concurrent_writes_of_every_kind_complete(stores: Stores) {
    let names = ["dave", "alice", "erin", "carol"];
    let mut mailboxes = Vec::new();
    let mut accounts = Vec::new();
    for name in names {
        accounts.push(add(&stores, name).await);
    }
    for account in accounts.iter().rev() {
        mailboxes.extend([account.mailbox, add_device(&stores, account).await]);
    }
    for round in 0..8 {
        // Of each user, the last one's envelopes expire first.
        for number in 0..12 {
            let ttl = 1 + (number % 4) as u64;
            let recipient = names[3 - (number % 4)];
            store(&stores, NewDelivery { ttl_seconds: ttl, ..delivery(&[(recipient, "hello")], 0) }).await;
        }
        let sends = join_all((0..24_usize).map(async |count| {
            let mut recipients = names.map(|name| (name, "hello"));
            recipients.rotate_left(count % 4);
            if count % 2 == 0 {
                recipients.reverse();
            }
            store(&stores, delivery(&recipients, 0)).await;
        }));
        let expiry = join_all((0..6).map(async |count| {
            must(stores.mailboxes.expire(moment(0).plus_seconds(10), 2 + count).await);
        }));
        let acknowledging = join_all(mailboxes.iter().map(|mailbox| acknowledge(&stores, *mailbox, round * 20, 7)));
        let (_, _, acknowledged) = join3(sends, expiry, acknowledging).await;
        assert!(acknowledged.iter().all(|outcome| matches!(outcome, AcknowledgeOutcome::UpTo(_))), "{acknowledged:?}");
    }
    for mailbox in mailboxes {
        // 3 expiring messages and 24 for all in each round.
        assert_eq!(read(&stores, mailbox, 0, 1).await.last.get(), 8 * 27);
    }
}
