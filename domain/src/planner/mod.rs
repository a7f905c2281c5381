//! Works out what a batch of sends changes: pure code, shared by all stores.
//!
//! A store finds out the [`BatchState`], for example the mailboxes of all recipients of the batch, and calls [`plan`].
//! The store then writes the [`Changes`] in one transaction, commits, and answers each send with its [`PlannedSend`]. A
//! store may lock the state before it calls [`plan`]. Otherwise the store has to check the state when it writes the
//! changes, and must write nothing if the state has changed. The planner does no I/O.
//!
//! The planner implements the parts of the delivery contract that need no I/O: consecutive sequence numbers (D3), one
//! message per idempotency key (D4), sends that are stored for all recipients or for none (D6), and gaps for full
//! mailboxes (D7).

mod state;
#[cfg(test)]
mod tests;

pub use self::state::{BatchState, MailboxState, RecipientState, ScopedKey, StoredReceipt};

use std::collections::HashMap;

use crate::model::{DeviceId, Envelope, Message, MessageId, SequenceNumber, Timestamp, Username};
use crate::ports::{DeliverOutcome, NewDelivery, Receipt, Undelivered};
use crate::timekeeping::MAX_STAMP_LEAD;

/// The result of planning a batch of sends.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    /// The outcome of each send, in the order of the batch.
    pub sends: Vec<PlannedSend>,
    /// The changes that the store has to write.
    pub changes: Changes<'a>,
    /// The state of the recipients after the batch, by username in lower case ([`Username::key`]). A store may keep
    /// this state for the next batch, so that it need not read the state again.
    pub recipients: HashMap<String, RecipientState>,
}

/// The outcome of one send of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSend {
    /// The outcome to report to the sender after the changes are committed.
    pub outcome: DeliverOutcome,
    /// The envelopes of the send. After the commit, the store notifies the readers that wait on the mailboxes of these
    /// envelopes.
    pub copies: Vec<PlannedCopy>,
}

impl PlannedSend {
    /// Returns the envelope that `copy` describes, so that the store can hand the envelope over to waiting readers.
    /// Returns `None` if the send stored nothing. `send` MUST be the planned send, and `copy` one of [`Self::copies`].
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

/// An envelope of a send, without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedCopy {
    /// The mailbox.
    pub mailbox: DeviceId,
    /// The sequence number of the envelope.
    pub sequence: SequenceNumber,
    /// Everything in the mailbox up to and including this sequence number is acknowledged. Waiting readers receive this
    /// number together with the envelope.
    pub acknowledged: SequenceNumber,
    /// The index of the recipient in [`NewDelivery::recipients`].
    pub recipient: usize,
    /// When the envelope expires.
    pub expires_at: Timestamp,
}

/// The changes that a store has to write for a batch, in one transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// The new state of each changed mailbox, ordered by device.
    pub mailboxes: Vec<MailboxState>,
    /// The new messages.
    pub messages: Vec<PlannedMessage<'a>>,
    /// The new envelopes.
    pub envelopes: Vec<PlannedEnvelope>,
    /// Gaps to store. If a gap of the same mailbox with the same `first` is stored already, the new gap replaces it.
    pub gaps: Vec<PlannedGap>,
    /// Receipts to store under their idempotency keys.
    pub receipts: Vec<PlannedReceipt>,
}

/// A message to store. Its contents are stored once, for all devices of the recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMessage<'a> {
    /// The unique identifier of the row in the `messages` table.
    pub id: i64,
    /// The identifier of the send, which all messages of the send share: the `id` of the first of these messages.
    pub send: MessageId,
    /// The sender's username.
    pub sender: &'a Username,
    /// The sender's device.
    pub sender_device: DeviceId,
    /// The recipient's username, with upper and lower case as registered.
    pub recipient: Username,
    /// The contents.
    pub contents: &'a str,
    /// The time at which the message is stored.
    pub sent_at: Timestamp,
    /// The number of envelopes that refer to this message.
    pub copies: u32,
}

/// An envelope to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedEnvelope {
    /// The mailbox.
    pub mailbox: DeviceId,
    /// The sequence number of the envelope.
    pub sequence: SequenceNumber,
    /// The [`PlannedMessage::id`] of the message.
    pub message: i64,
    /// The size of the contents in bytes.
    pub size: u64,
    /// When the envelope expires.
    pub expires_at: Timestamp,
}

/// A range of sequence numbers whose envelopes are not stored because the mailbox is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedGap {
    /// The mailbox.
    pub mailbox: DeviceId,
    /// The first sequence number of the range.
    pub first: SequenceNumber,
    /// The last sequence number of the range, inclusive.
    pub last: SequenceNumber,
}

/// A receipt to store under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedReceipt {
    /// The idempotency key and the device that sent it.
    pub key: ScopedKey,
    /// The receipt, and the hash of the send request (its fingerprint).
    pub receipt: StoredReceipt,
}

/// Plans the sends of a batch in order. Each send is planned on the state after the previous sends.
///
/// `state` MUST contain all existing recipients of the batch, each with all of its mailboxes. It MUST also contain all
/// receipts stored under the idempotency keys of the batch, and the open sessions of the senders. If a store does not
/// lock a part of the state, or only assumes it (for example that a session is open), the store MUST check that part
/// when it writes the changes. `ids` MUST yield unused message identifiers, at least one for each recipient of each
/// send.
///
/// # Panics
///
/// If `ids` yields too few identifiers.
pub fn plan<'a>(
    sends: impl IntoIterator<Item = &'a NewDelivery>,
    state: BatchState,
    ids: impl IntoIterator<Item = i64>,
) -> Plan<'a> {
    let mut planner = Planner { state, ids: ids.into_iter(), changes: Changes::default() };
    let sends = sends.into_iter().map(|send| planner.send(send)).collect();
    let Planner { state, mut changes, .. } = planner;
    let recipients = state.recipients;
    let mailboxes = recipients.values().flat_map(|recipient| &recipient.mailboxes);
    changes.mailboxes = mailboxes.filter(|mailbox| mailbox.changed_at.is_some()).copied().collect();
    changes.mailboxes.sort_unstable_by_key(|mailbox| mailbox.device);
    Plan { sends, changes, recipients }
}

struct Planner<'a, Ids> {
    state: BatchState,
    ids: Ids,
    changes: Changes<'a>,
}

impl<'a, Ids: Iterator<Item = i64>> Planner<'a, Ids> {
    fn send(&mut self, send: &'a NewDelivery) -> PlannedSend {
        let answer = |outcome| PlannedSend { outcome, copies: Vec::new() };
        if send.session.is_some_and(|session| !self.state.sessions.contains(&session)) {
            return answer(DeliverOutcome::SessionEnded);
        }
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

    /// Returns the `sent_at` of a send: the latest of `now` and the watermarks of the recipients' mailboxes.
    fn sent_at(&self, send: &NewDelivery) -> Timestamp {
        let recipients = send.recipients.iter().filter_map(|to| self.state.recipients.get(&to.recipient.key()));
        let mailboxes = recipients.flat_map(|recipient| &recipient.mailboxes);
        mailboxes.map(|mailbox| mailbox.not_before).fold(send.now, Timestamp::max)
    }

    /// Plans the message to one recipient: an envelope in each mailbox that has room, and a gap in each mailbox that is
    /// full.
    fn store(&mut self, send: &'a NewDelivery, name: &Username, contents: &'a str, stored: &mut Storing) {
        let Some(recipient) = self.state.recipients.get_mut(&name.key()) else { return };
        let size = contents.len() as u64;
        let expires_at = expires_at(stored.sent_at, send);
        let mut row = None;
        let mut copies = 0;
        for mailbox in &mut recipient.mailboxes {
            let sequence = mailbox.take_number(stored.sent_at);
            if mailbox.has_room(size, send.quota) {
                #[expect(
                    clippy::expect_used,
                    reason = "the caller's contract; without an identifier, the message would be lost"
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

/// Returns the time at which the messages of a send expire: `sent_at` plus their lifetime. If `sent_at` is more than
/// [`MAX_STAMP_LEAD`] ahead of the current time, the lifetime starts [`MAX_STAMP_LEAD`] after the current time instead.
///
/// While a clock is ahead, it moves watermarks into the future, and later messages get these watermarks as their
/// `sent_at`. Without the limit, such messages could be stored for years. A `sent_at` that is less far ahead may be
/// right, and the clock that shows the current time may be behind. So the lifetime then starts at `sent_at`.
pub fn expires_at(sent_at: Timestamp, send: &NewDelivery) -> Timestamp {
    sent_at.min(send.now.plus(MAX_STAMP_LEAD)).plus_seconds(send.ttl_seconds)
}

/// Collects the results for one send, while the planner works through the recipients of the send.
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
