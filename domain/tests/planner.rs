//! Compares the planner with the in-memory store, which implements sends independently: planning a batch must have the
//! same result as storing its sends one after another.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;

use proptest::prelude::*;
use woosh_domain::fakes::MemoryStore;
use woosh_domain::model::*;
use woosh_domain::planner::{BatchState, MailboxState, Plan, plan};
use woosh_domain::ports::*;

const QUOTA: Quota = Quota { messages: 4, bytes: 12 };
const NAMES: [&str; 3] = ["alice", "carol", "erin"];

/// A send: its recipients as indexes into [`NAMES`] (any other index is an unknown user), the size of its contents in
/// bytes, its idempotency key, and its time in seconds, relative to the time when the users registered.
type Step = (Vec<usize>, usize, Option<u8>, i64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let recipients = prop::sample::subsequence(vec![0, 1, 2, 3], 1..=3);
    prop::collection::vec((recipients, 0_usize..6, prop::option::of(0_u8..3), -5_i64..5), 1..30)
}

fn delivery((recipients, size, key, moved): &Step) -> NewDelivery {
    let name = |index: usize| Username::new(NAMES.get(index).copied().unwrap_or("nobody")).unwrap();
    let recipients: Vec<_> = recipients
        .iter()
        .map(|index| AddressedContents { recipient: name(*index), contents: Contents::new("x".repeat(*size)).unwrap() })
        .collect();
    let fingerprint = Fingerprint::of(recipients.iter().map(|to| (&to.recipient, &to.contents)), None);
    NewDelivery {
        sender: Username::new("bob").unwrap(),
        sender_device: DeviceId::new(4711),
        session: None,
        recipients,
        now: Timestamp::from_seconds(1000 + moved),
        ttl_seconds: 60,
        quota: QUOTA,
        idempotency: key.map(|key| (IdempotencyKey::new(&format!("key-{key}")).unwrap(), fingerprint)),
    }
}

async fn register(stores: &Stores) -> Vec<(Username, DeviceId)> {
    let mut mailboxes = Vec::new();
    for name in NAMES {
        let new = NewUser {
            username: Username::new(name).unwrap(),
            password_hash: PasswordHash::new("hash".to_owned()),
            public_key: PublicKey::new(String::new()).unwrap(),
            private_key: None,
            info: Info::new(String::new()).unwrap(),
            device_name: DeviceName::new(String::new()).unwrap(),
            incarnation: Incarnation::new(1),
            token: None,
            created_at: Timestamp::from_seconds(1000),
        };
        let registered = stores.users.add(new).await.unwrap().unwrap();
        mailboxes.push((registered.user.username, registered.device.id));
    }
    mailboxes
}

/// Returns the outcome without the identifier of the send, which the planner and the in-memory store choose
/// differently.
fn without_id(outcome: DeliverOutcome) -> DeliverOutcome {
    let id = MessageId::new(0);
    match outcome {
        DeliverOutcome::Stored { receipt, recipients } => {
            DeliverOutcome::Stored { receipt: Receipt { id, ..receipt }, recipients }
        }
        DeliverOutcome::Repeated(receipt) => DeliverOutcome::Repeated(Receipt { id, ..receipt }),
        other => other,
    }
}

async fn compare(steps: Vec<Step>, batch: usize) -> Result<(), TestCaseError> {
    let stores = MemoryStore::stores();
    let mailboxes = register(&stores).await;
    let start = |(name, device): &(Username, DeviceId)| {
        let counters = MailboxState {
            device: *device,
            acknowledged: SequenceNumber::ZERO,
            last: SequenceNumber::ZERO,
            not_before: Timestamp::from_seconds(1000),
            pending: 0,
            bytes: 0,
            refused_from: None,
            changed_at: None,
        };
        (*device, (name.clone(), counters))
    };
    let mut counters: HashMap<_, _> = mailboxes.iter().map(start).collect();
    let (mut receipts, mut envelopes, mut gaps) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut next_id = 1;
    for steps in steps.chunks(batch) {
        let deliveries: Vec<_> = steps.iter().map(delivery).collect();
        let mut state = BatchState { receipts: receipts.clone(), ..BatchState::default() };
        for (name, counters) in counters.values() {
            state.add_mailbox(UserId::new(1), name, MailboxState { changed_at: None, ..*counters });
        }
        let Plan { sends, changes, .. } = plan(&deliveries, state, next_id..);
        for (delivery, planned) in deliveries.iter().zip(sends) {
            let expected = stores.mailboxes.deliver(delivery.clone()).await.unwrap();
            prop_assert_eq!(without_id(planned.outcome), without_id(expected));
        }
        next_id += changes.messages.len() as i64;
        for changed in changes.mailboxes {
            counters.get_mut(&changed.device).unwrap().1 = changed;
        }
        receipts.extend(changes.receipts.into_iter().map(|planned| (planned.key, planned.receipt)));
        for envelope in changes.envelopes {
            let known = envelopes.insert((envelope.mailbox, envelope.sequence), envelope.expires_at);
            prop_assert_eq!(known, None, "a number was taken twice");
        }
        gaps.extend(changes.gaps.into_iter().map(|gap| ((gap.mailbox, gap.first), gap.last)));
    }
    for (_, device) in mailboxes {
        let limit = PageLimit { count: 1000, bytes: 1_000_000 };
        let now = Timestamp::from_seconds(1000);
        let page = stores.mailboxes.read(device, SequenceNumber::ZERO, limit, now).await.unwrap().unwrap();
        let (_, counters) = counters[&device];
        prop_assert_eq!(counters.last, page.last);
        prop_assert_eq!(counters.not_before, page.not_before);
        prop_assert_eq!(counters.pending, page.envelopes.len() as u64);
        for envelope in &page.envelopes {
            let expires_at = envelopes.remove(&(device, envelope.sequence));
            prop_assert_eq!(expires_at, Some(envelope.message.expires_at));
        }
        let mut own: Vec<_> = gaps.iter().filter(|((mailbox, _), _)| *mailbox == device).collect();
        own.sort();
        let own: Vec<_> = own.into_iter().map(|((_, first), last)| (*first, *last)).collect();
        let expected: Vec<_> = page.gaps.iter().map(|gap| (gap.first, gap.last)).collect();
        prop_assert_eq!(own, expected);
    }
    prop_assert!(envelopes.is_empty());
    Ok(())
}

proptest! {
    #[test]
    fn a_batch_ends_as_if_its_sends_had_come_one_after_another(steps in steps(), batch in 1_usize..8) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(steps, batch))?;
    }
}
