//! Works out what a batch of sends changes, once for every store.
//!
//! A store locks the mailboxes of all recipients of a batch, reads their [`BatchState`], and calls [`plan`]. It then writes the
//! [`Changes`] in the same transaction, commits, and answers each send with its [`PlannedSend`]. The planner does no I/O.
//!
//! It holds the parts of the delivery contract that are arithmetic: sequence numbers without gaps (D3), one message per
//! idempotency key (D4), all or nothing (D6), and gaps for full mailboxes (D7).

mod state;
#[cfg(test)]
mod tests;

pub use self::state::{BatchState, MailboxState, RecipientState, ScopedKey, StoredReceipt};

use crate::model::{DeviceId, Envelope, Message, MessageId, SequenceNumber, Timestamp, Username};
use crate::ports::{DeliverOutcome, NewDelivery, Receipt, Undelivered};

/// What a batch of sends does.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// One per send, in their order.
    pub sends: Vec<PlannedSend>,
    /// What to write.
    pub changes: Changes<'a>,
}

/// What becomes of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSend {
    /// The answer to its sender, once the changes are committed.
    pub outcome: DeliverOutcome,
    /// The envelopes of the send, whose readers the store notifies after the commit.
    pub copies: Vec<PlannedCopy>,
}

impl PlannedSend {
    /// Returns the envelope of a copy, for readers that wait. `send` MUST be the send that was planned.
    pub fn envelope(&self, send: &NewDelivery, copy: &PlannedCopy) -> Option<Envelope> {
        let DeliverOutcome::Stored { receipt, recipients } = &self.outcome else { return None };
        let message = Message {
            id: receipt.id,
            sender: send.sender.clone(),
            sender_device: Some(send.sender_device),
            recipient: recipients.get(copy.recipient)?.clone(),
            contents: send.recipients.get(copy.recipient)?.contents.clone(),
            sent_at: receipt.sent_at,
            expires_at: copy.expires_at,
        };
        Some(Envelope { sequence: copy.sequence, message })
    }
}

/// An envelope of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedCopy {
    /// The mailbox.
    pub mailbox: DeviceId,
    /// The sequence number of the envelope.
    pub sequence: SequenceNumber,
    /// Everything in the mailbox up to this number is acknowledged.
    pub acknowledged: SequenceNumber,
    /// The index of the recipient in the send.
    pub recipient: usize,
    /// When the envelope expires.
    pub expires_at: Timestamp,
}

/// What a store has to write for a batch, in one transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// The new state of each mailbox that changes, in the order of their devices.
    pub mailboxes: Vec<MailboxState>,
    /// The new messages.
    pub messages: Vec<PlannedMessage<'a>>,
    /// The new envelopes.
    pub envelopes: Vec<PlannedEnvelope>,
    /// Gaps to insert. A stored gap of the same mailbox with the same first number is replaced.
    pub gaps: Vec<PlannedGap>,
    /// Receipts to store under their idempotency keys.
    pub receipts: Vec<PlannedReceipt>,
}

/// Contents to store once, for all devices of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMessage<'a> {
    /// Identifies the row.
    pub id: i64,
    /// Identifies the send.
    pub send: MessageId,
    /// The sender's username.
    pub sender: &'a Username,
    /// The sender's device.
    pub sender_device: DeviceId,
    /// The recipient's username, as registered.
    pub recipient: Username,
    /// The contents.
    pub contents: &'a str,
    /// The time of the send.
    pub sent_at: Timestamp,
    /// How many envelopes refer to it.
    pub copies: u32,
}

/// An envelope to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedEnvelope {
    /// The mailbox.
    pub mailbox: DeviceId,
    /// Its sequence number.
    pub sequence: SequenceNumber,
    /// The [`id`](PlannedMessage::id) of its message.
    pub message: i64,
    /// The bytes of its contents.
    pub size: u64,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Sequence numbers that met a full mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedGap {
    /// The mailbox.
    pub mailbox: DeviceId,
    /// The first number.
    pub first: SequenceNumber,
    /// The last number.
    pub last: SequenceNumber,
}

/// A receipt to store under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedReceipt {
    /// The key.
    pub key: ScopedKey,
    /// The receipt.
    pub receipt: StoredReceipt,
}

/// Plans a batch: each send in turn, on the state that those before it leave.
///
/// `state` MUST hold every recipient of the batch that exists, with all of its mailboxes, and every receipt under one of its
/// keys. `ids` MUST yield as many unused identifiers of messages as the sends have recipients together.
///
/// # Panics
///
/// If `ids` yields fewer.
pub fn plan<'a>(
    sends: impl IntoIterator<Item = &'a NewDelivery>,
    state: BatchState,
    ids: impl IntoIterator<Item = i64>,
) -> Plan<'a> {
    let mut planner = Planner { state, ids: ids.into_iter(), changes: Changes::default() };
    let sends = sends.into_iter().map(|send| planner.send(send)).collect();
    let Planner { state, mut changes, .. } = planner;
    let recipients = state.recipients.into_values();
    changes.mailboxes = recipients.flat_map(|recipient| recipient.mailboxes).filter(|it| it.changed).collect();
    changes.mailboxes.sort_unstable_by_key(|mailbox| mailbox.device);
    Plan { sends, changes }
}

struct Planner<'a, Ids> {
    state: BatchState,
    ids: Ids,
    changes: Changes<'a>,
}

impl<'a, Ids: Iterator<Item = i64>> Planner<'a, Ids> {
    fn send(&mut self, send: &'a NewDelivery) -> PlannedSend {
        let answer = |outcome| PlannedSend { outcome, copies: Vec::new() };
        let key = send.idempotency.as_ref().map(|(key, _)| ScopedKey::new(send.sender_device, key));
        if let (Some(key), Some((_, fingerprint))) = (&key, &send.idempotency)
            && let Some(stored) = self.state.receipts.get(key)
        {
            return answer(stored.outcome(fingerprint.as_bytes()));
        }
        let names = send.recipients.iter().map(|addressed| &addressed.recipient);
        let unknown: Vec<_> = names.filter(|name| !self.state.recipients.contains_key(&name.key())).cloned().collect();
        if !unknown.is_empty() {
            return answer(DeliverOutcome::UnknownRecipients(unknown));
        }

        let sent_at = self.sent_at(send);
        let mut stored = Storing::at(sent_at);
        for addressed in &send.recipients {
            self.store(send, &addressed.recipient, addressed.contents.as_str(), &mut stored);
        }
        let Some(id) = stored.id else {
            return answer(DeliverOutcome::AllMailboxesFull);
        };
        stored.undelivered.sort_unstable_by_key(|undelivered| undelivered.device);
        let receipt = Receipt { id, sent_at, undelivered: stored.undelivered };
        if let (Some(key), Some((_, fingerprint))) = (key, &send.idempotency) {
            let receipt = StoredReceipt { fingerprint: fingerprint.as_bytes().to_vec(), receipt: receipt.clone() };
            self.state.receipts.insert(key.clone(), receipt.clone());
            self.changes.receipts.push(PlannedReceipt { key, receipt });
        }
        let outcome = DeliverOutcome::Stored { receipt, recipients: stored.recipients };
        PlannedSend { outcome, copies: stored.copies }
    }

    /// The time of a send: `now`, or the latest watermark of its mailboxes if that is later.
    fn sent_at(&self, send: &NewDelivery) -> Timestamp {
        let recipients = send.recipients.iter().filter_map(|to| self.state.recipients.get(&to.recipient.key()));
        let mailboxes = recipients.flat_map(|recipient| &recipient.mailboxes);
        mailboxes.map(|mailbox| mailbox.not_before).fold(send.now, Timestamp::max)
    }

    /// Stores contents for one recipient: an envelope in each mailbox with room, a gap in the others.
    fn store(&mut self, send: &'a NewDelivery, name: &Username, contents: &'a str, stored: &mut Storing) {
        let Some(recipient) = self.state.recipients.get_mut(&name.key()) else { return };
        let size = contents.len() as u64;
        let expires_at = stored.sent_at.plus_seconds(send.ttl_seconds);
        let mut row = None;
        let mut copies = 0;
        for mailbox in &mut recipient.mailboxes {
            let sequence = mailbox.take_number(stored.sent_at);
            if mailbox.has_room(size, send.quota) {
                #[expect(
                    clippy::expect_used,
                    reason = "the caller's contract, and a message without a row would be lost"
                )]
                let message = *row.get_or_insert_with(|| self.ids.next().expect("an identifier for each message"));
                copies += 1;
                mailbox.add(size);
                stored.copies.push(PlannedCopy {
                    mailbox: mailbox.device,
                    sequence,
                    acknowledged: mailbox.acknowledged,
                    recipient: stored.recipients.len(),
                    expires_at,
                });
                let envelope = PlannedEnvelope { mailbox: mailbox.device, sequence, message, size, expires_at };
                self.changes.envelopes.push(envelope);
            } else {
                let first = mailbox.refuse(sequence);
                let gap = PlannedGap { mailbox: mailbox.device, first, last: sequence };
                match self.changes.gaps.iter_mut().find(|gap| gap.mailbox == mailbox.device && gap.first == first) {
                    Some(known) => *known = gap,
                    None => self.changes.gaps.push(gap),
                }
                stored.undelivered.push(Undelivered { recipient: recipient.username.clone(), device: mailbox.device });
            }
        }
        stored.recipients.push(recipient.username.clone());
        if let Some(id) = row {
            let send_id = *stored.id.get_or_insert_with(|| MessageId::new(id));
            self.changes.messages.push(PlannedMessage {
                id,
                send: send_id,
                sender: &send.sender,
                sender_device: send.sender_device,
                recipient: recipient.username.clone(),
                contents,
                sent_at: stored.sent_at,
                copies,
            });
        }
    }
}

/// What a send has stored so far.
struct Storing {
    sent_at: Timestamp,
    id: Option<MessageId>,
    recipients: Vec<Username>,
    copies: Vec<PlannedCopy>,
    undelivered: Vec<Undelivered>,
}

impl Storing {
    fn at(sent_at: Timestamp) -> Self {
        Self { sent_at, id: None, recipients: Vec::new(), copies: Vec::new(), undelivered: Vec::new() }
    }
}
