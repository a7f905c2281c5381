use std::collections::HashMap;

use crate::model::{DeviceId, IdempotencyKey, Quota, SequenceNumber, Timestamp, Username};
use crate::ports::{DeliverOutcome, Receipt};

/// What a store has read and locked for a batch of sends.
#[derive(Debug, Default)]
pub struct BatchState {
    /// The recipients that exist, by the [key](Username::key) of their names.
    pub recipients: HashMap<String, RecipientState>,
    /// The receipts that are stored under keys of the batch.
    pub receipts: HashMap<ScopedKey, StoredReceipt>,
}

impl BatchState {
    /// Adds a mailbox of a recipient.
    pub fn add_mailbox(&mut self, recipient: &Username, mailbox: MailboxState) {
        let state = self.recipients.entry(recipient.key());
        let state = state.or_insert_with(|| RecipientState { username: recipient.clone(), mailboxes: Vec::new() });
        state.mailboxes.push(mailbox);
    }
}

/// A recipient and its mailboxes.
#[derive(Debug, Clone)]
pub struct RecipientState {
    /// The username, as registered.
    pub username: Username,
    /// The mailboxes of its devices, in the order of the devices.
    pub mailboxes: Vec<MailboxState>,
}

/// The counters of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxState {
    /// Its device.
    pub device: DeviceId,
    /// Everything up to this number is acknowledged.
    pub acknowledged: SequenceNumber,
    /// Its newest sequence number.
    pub last: SequenceNumber,
    /// Its watermark: every later message has `sent_at >= not_before`.
    pub not_before: Timestamp,
    /// How many envelopes are pending.
    pub pending: u64,
    /// The bytes of their contents.
    pub bytes: u64,
    /// The first of the newest numbers that all met a full mailbox; `None` if the newest number did not.
    pub refused_from: Option<SequenceNumber>,
    /// Whether the batch changes it.
    pub changed: bool,
}

impl MailboxState {
    /// Takes the next sequence number for a message of that time.
    pub(super) fn take_number(&mut self, sent_at: Timestamp) -> SequenceNumber {
        self.last = self.last.next();
        self.not_before = sent_at;
        self.changed = true;
        self.last
    }

    pub(super) fn has_room(&self, size: u64, quota: Quota) -> bool {
        self.pending < quota.messages && self.bytes.saturating_add(size) <= quota.bytes
    }

    /// Counts an envelope that has just taken its number.
    pub(super) fn add(&mut self, size: u64) {
        self.pending += 1;
        self.bytes += size;
        self.refused_from = None;
    }

    /// Keeps a gap for a number. Returns the first number of that gap.
    pub(super) fn refuse(&mut self, sequence: SequenceNumber) -> SequenceNumber {
        *self.refused_from.get_or_insert(sequence)
    }
}

/// An idempotency key and the device that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScopedKey {
    /// The sender's device.
    pub device: DeviceId,
    /// The key.
    pub key: String,
}

impl ScopedKey {
    /// The key of a device.
    pub fn new(device: DeviceId, key: &IdempotencyKey) -> Self {
        Self { device, key: key.as_str().to_owned() }
    }
}

/// A receipt that is stored under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The [fingerprint](crate::model::Fingerprint) of the send.
    pub fingerprint: Vec<u8>,
    /// The receipt of the send.
    pub receipt: Receipt,
}

impl StoredReceipt {
    /// The outcome of another send under the same key.
    pub(super) fn outcome(&self, fingerprint: &[u8]) -> DeliverOutcome {
        if self.fingerprint == fingerprint {
            DeliverOutcome::Repeated(self.receipt.clone())
        } else {
            DeliverOutcome::KeyReused
        }
    }
}
