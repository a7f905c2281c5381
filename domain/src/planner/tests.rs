use super::*;
use crate::model::{Contents, Fingerprint, IdempotencyKey, Quota, UserId};
use crate::ports::AddressedContents;

const QUOTA: Quota = Quota { messages: 3, bytes: 10 };

fn name(name: &str) -> Username {
    Username::new(name).unwrap()
}

fn number(number: i64) -> SequenceNumber {
    SequenceNumber::new(number)
}

fn send(recipients: &[(&str, &str)], key: Option<&str>) -> NewDelivery {
    let recipients: Vec<_> = recipients
        .iter()
        .map(|(to, text)| AddressedContents {
            recipient: name(to),
            contents: Contents::new((*text).to_owned()).unwrap(),
        })
        .collect();
    let fingerprint = Fingerprint::of(recipients.iter().map(|to| (&to.recipient, &to.contents)), None);
    NewDelivery {
        sender: name("bob"),
        sender_device: DeviceId::new(99),
        session: None,
        recipients,
        now: Timestamp::from_seconds(100),
        ttl_seconds: 60,
        quota: QUOTA,
        idempotency: key.map(|key| (IdempotencyKey::new(key).unwrap(), fingerprint)),
    }
}

fn mailbox(device: i64) -> MailboxState {
    MailboxState {
        device: DeviceId::new(device),
        acknowledged: number(4),
        last: number(7),
        not_before: Timestamp::from_seconds(50),
        pending: 0,
        bytes: 0,
        refused_from: None,
        changed_at: None,
    }
}

/// Returns a state in which Alice has the mailboxes 1 and 2, and Carol has the mailbox 3.
fn state() -> BatchState {
    let mut state = BatchState::default();
    for (recipient, device) in [("alice", 1), ("alice", 2), ("carol", 3)] {
        state.add_mailbox(UserId::new(1), &name(recipient), mailbox(device));
    }
    state
}

fn copies(send: &PlannedSend) -> Vec<i64> {
    send.copies.iter().map(|copy| copy.mailbox.get()).collect()
}

fn numbers(changes: &Changes<'_>) -> Vec<(i64, i64)> {
    changes.envelopes.iter().map(|envelope| (envelope.mailbox.get(), envelope.sequence.get())).collect()
}

fn receipt(outcome: &DeliverOutcome) -> &Receipt {
    match outcome {
        DeliverOutcome::Stored { receipt, .. } | DeliverOutcome::Repeated(receipt) => receipt,
        other => panic!("{other:?}"),
    }
}

/// Verifies promise D3 (order).
#[test]
fn each_send_of_a_batch_takes_the_next_number_of_each_mailbox() {
    let sends = [send(&[("alice", "a")], None), send(&[("carol", "b"), ("ALICE", "c")], None)];
    let Plan { sends, changes, .. } = plan(&sends, state(), 1..);
    assert_eq!(numbers(&changes), [(1, 8), (2, 8), (3, 8), (1, 9), (2, 9)]);
    let last: Vec<_> = changes.mailboxes.iter().map(|mailbox| (mailbox.device.get(), mailbox.last.get())).collect();
    assert_eq!(last, [(1, 9), (2, 9), (3, 8)]);
    assert_eq!(copies(&sends[1]), [3, 1, 2]);
    let copies: Vec<_> =
        changes.messages.iter().map(|message| (message.id, message.send.get(), message.copies)).collect();
    assert_eq!(copies, [(1, 1, 2), (2, 2, 1), (3, 2, 2)]);
}

/// Verifies promise D4 (idempotent send).
#[test]
fn a_key_stores_one_message_also_within_a_batch() {
    let mut sends = vec![send(&[("alice", "a")], Some("k")), send(&[("alice", "a")], Some("k"))];
    sends.push(send(&[("alice", "b")], Some("k")));
    let Plan { sends, changes, .. } = plan(&sends, state(), 1..);
    assert_eq!(numbers(&changes), [(1, 8), (2, 8)]);
    assert_eq!(sends[1].outcome, DeliverOutcome::Repeated(receipt(&sends[0].outcome).clone()));
    assert_eq!(sends[2].outcome, DeliverOutcome::KeyReused);
    let mut state = state();
    state.receipts = changes.receipts.into_iter().map(|planned| (planned.key, planned.receipt)).collect();
    assert_eq!(state.receipts.len(), 1);
    let repeated = send(&[("alice", "a")], Some("k"));
    let later = plan([&repeated], state, 1..);
    assert_eq!(later.sends[0].outcome, sends[1].outcome);
    assert_eq!(later.changes, Changes::default());
}

#[test]
fn a_key_belongs_to_one_device() {
    let first = send(&[("alice", "a")], Some("k"));
    let other = NewDelivery { sender_device: DeviceId::new(98), ..send(&[("alice", "b")], Some("k")) };
    let Plan { sends, .. } = plan([&first, &other], state(), 1..);
    assert!(matches!(sends[1].outcome, DeliverOutcome::Stored { .. }));
}

/// Verifies promise D6 (atomic fan-out).
#[test]
fn a_send_with_an_unknown_recipient_changes_nothing() {
    let sends = [send(&[("alice", "a"), ("dave", "b"), ("erin", "c")], Some("k"))];
    let Plan { sends, changes, .. } = plan(&sends, state(), 1..);
    assert_eq!(sends[0].outcome, DeliverOutcome::UnknownRecipients(vec![name("dave"), name("erin")]));
    assert_eq!(changes, Changes::default());
}

/// Verifies promise D7 (visible loss).
#[test]
fn a_full_mailbox_keeps_one_gap_for_numbers_in_a_row_and_holds_up_no_other() {
    let mut state = state();
    state.recipients.get_mut("alice").unwrap().mailboxes[0].pending = 2;
    let texts: Vec<_> = (0..3).map(|_| send(&[("alice", "a")], None)).collect();
    let Plan { sends, changes, .. } = plan(&texts, state, 1..);
    assert_eq!(numbers(&changes), [(1, 8), (2, 8), (2, 9), (2, 10)]);
    assert_eq!(changes.gaps, [PlannedGap { mailbox: DeviceId::new(1), first: number(9), last: number(10) }]);
    let undelivered = vec![Undelivered { recipient: name("alice"), device: DeviceId::new(1) }];
    assert_eq!(receipt(&sends[1].outcome).undelivered, undelivered);
    assert_eq!(changes.mailboxes[0].refused_from, Some(number(9)));
    assert_eq!(changes.mailboxes[1].refused_from, None);
}

/// Verifies promise D7 (visible loss).
#[test]
fn a_gap_goes_on_where_the_last_batch_left_it_until_something_is_stored() {
    let full = |bytes| {
        let mut state = BatchState::default();
        let counters = MailboxState { bytes, refused_from: Some(number(5)), ..mailbox(1) };
        state.add_mailbox(UserId::new(1), &name("alice"), counters);
        state
    };
    let sends = [send(&[("alice", "xx")], None), send(&[("alice", "x")], None), send(&[("alice", "x")], None)];
    let Plan { sends, changes, .. } = plan(&sends, full(9), 1..);
    assert_eq!(sends[0].outcome, DeliverOutcome::AllMailboxesFull);
    let gap = |first, last| PlannedGap { mailbox: DeviceId::new(1), first: number(first), last: number(last) };
    assert_eq!(changes.gaps, [gap(5, 8), gap(10, 10)]);
    assert_eq!(numbers(&changes), [(1, 9)]);
    assert_eq!(changes.mailboxes[0].bytes, 10);
}

#[test]
fn a_send_that_meets_only_full_mailboxes_keeps_gaps_and_no_receipt() {
    let mut state = state();
    state.recipients.get_mut("carol").unwrap().mailboxes[0].pending = 3;
    let sends = [send(&[("carol", "a")], Some("k"))];
    let Plan { sends, changes, .. } = plan(&sends, state, 1..);
    assert_eq!(sends[0].outcome, DeliverOutcome::AllMailboxesFull);
    assert_eq!((changes.gaps.len(), changes.messages.len(), changes.receipts.len()), (1, 0, 0));
    assert_eq!(changes.mailboxes[0].last, number(8));
}

#[test]
fn the_latest_watermark_of_all_mailboxes_is_the_time_of_a_send_and_their_new_watermark() {
    let mut state = state();
    state.recipients.get_mut("carol").unwrap().mailboxes[0].not_before = Timestamp::from_seconds(500);
    let sends = [send(&[("alice", "a"), ("carol", "b")], None), send(&[("alice", "c")], None)];
    let Plan { sends, changes, .. } = plan(&sends, state, 1..);
    for send in &sends {
        assert_eq!(receipt(&send.outcome).sent_at, Timestamp::from_seconds(500));
    }
    assert!(changes.mailboxes.iter().all(|mailbox| mailbox.not_before == Timestamp::from_seconds(500)));
    assert!(changes.envelopes.iter().all(|envelope| envelope.expires_at == Timestamp::from_seconds(560)));
}

/// Stores lock mailboxes in the order in which the plan lists them, so every plan has to use the same order.
#[test]
fn the_changed_mailboxes_are_in_the_order_of_their_devices() {
    let names: Vec<_> = (0..20).map(|number| format!("user-{number}")).collect();
    let mut state = BatchState::default();
    for (device, recipient) in (1..).zip(&names) {
        state.add_mailbox(UserId::new(1), &name(recipient), mailbox(device));
    }
    let recipients: Vec<_> = names.iter().rev().map(|name| (name.as_str(), "a")).collect();
    let sends = [send(&recipients, None)];
    let Plan { changes, .. } = plan(&sends, state, 1..);
    let devices: Vec<_> = changes.mailboxes.iter().map(|mailbox| mailbox.device.get()).collect();
    assert_eq!(devices, (1..=20).collect::<Vec<_>>());
}

/// Waiting readers receive the envelope that a [`PlannedCopy`] describes, without a read of the store. All other
/// readers receive the envelope that the store writes from the [`Changes`]. The two envelopes must be equal.
#[test]
fn a_planned_copy_is_the_envelope_that_the_changes_contain() {
    let sends = [send(&[("ALICE", "a"), ("carol", "b")], None)];
    let Plan { sends: planned, changes, .. } = plan(&sends, state(), 1..);
    let copied: Vec<_> = planned[0].copies.iter().map(|copy| planned[0].envelope(&sends[0], copy).unwrap()).collect();
    let written = changes.envelopes.iter().map(|envelope| {
        let message = changes.messages.iter().find(|message| message.id == envelope.message).unwrap();
        let message = Message {
            id: message.send,
            sender: message.sender.clone(),
            sender_device: Some(message.sender_device),
            recipient: message.recipient.clone(),
            contents: Contents::new(message.contents.to_owned()).unwrap(),
            sent_at: message.sent_at,
            expires_at: envelope.expires_at,
        };
        Envelope { sequence: envelope.sequence, message }
    });
    assert_eq!(copied, written.collect::<Vec<_>>());
    assert_eq!(copied.len(), 3);
}
