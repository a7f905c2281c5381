use std::collections::{HashMap, HashSet};

use crate::model::{DeviceId, IdempotencyKey, Quota, SequenceNumber, SessionId, Timestamp, UserId, Username};
use crate::ports::{DeliverOutcome, Receipt};

/// What the planner has to know about the recipients, idempotency keys and sessions of a batch of sends.
#[derive(Debug, Default)]
pub struct BatchState {
    /// The recipients that exist, by username in lower case ([`Username::key`]).
    pub recipients: HashMap<String, RecipientState>,
    /// The receipts that are already stored under the idempotency keys of the batch.
    pub receipts: HashMap<ScopedKey, StoredReceipt>,
    /// The sessions that requested sends of the batch and are still open.
    pub sessions: HashSet<SessionId>,
}

impl BatchState {
    /// Adds a mailbox to a recipient. Adds the recipient if this is its first mailbox.
    pub fn add_mailbox(&mut self, user: UserId, recipient: &Username, mailbox: MailboxState) {
        let state = self.recipients.entry(recipient.key());
        let state =
            state.or_insert_with(|| RecipientState { user, username: recipient.clone(), mailboxes: Vec::new() });
        state.mailboxes.push(mailbox);
    }
}

/// A recipient and its mailboxes.
#[derive(Debug, Clone)]
pub struct RecipientState {
    /// The user.
    pub user: UserId,
    /// The username, with upper and lower case as registered.
    pub username: Username,
    /// The mailboxes of the recipient's devices, ordered by device.
    pub mailboxes: Vec<MailboxState>,
}

/// The part of a mailbox's state that the planner needs. The planner updates this state with each send that it plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxState {
    /// The device that the mailbox belongs to.
    pub device: DeviceId,
    /// Everything up to and including this sequence number is acknowledged.
    pub acknowledged: SequenceNumber,
    /// The last sequence number assigned in the mailbox.
    pub last: SequenceNumber,
    /// The watermark: every message added from now on has `sent_at >= not_before`.
    pub not_before: Timestamp,
    /// The number of envelopes in the mailbox.
    pub pending: u64,
    /// The total size of the contents of all envelopes in the mailbox, in bytes.
    pub bytes: u64,
    /// The first sequence number of the gap at the end of the mailbox, if its newest envelopes were not stored because
    /// the mailbox was full. `None` if the newest envelope was stored.
    pub refused_from: Option<SequenceNumber>,
    /// The `sent_at` of the first message to which the batch assigns a sequence number in this mailbox. `None` if the
    /// batch does not change the mailbox. A store that did not lock the mailbox has to check, when it writes the
    /// changes, that the stored watermark is not after this time.
    pub changed_at: Option<Timestamp>,
}

impl MailboxState {
    /// Assigns the next sequence number to a message, and sets the watermark to the `sent_at` of the message.
    pub(super) fn take_number(&mut self, sent_at: Timestamp) -> SequenceNumber {
        self.last = self.last.next();
        self.not_before = sent_at;
        self.changed_at.get_or_insert(sent_at);
        self.last
    }

    pub(super) fn has_room(&self, size: u64, quota: Quota) -> bool {
        self.pending < quota.messages && self.bytes.saturating_add(size) <= quota.bytes
    }

    /// Adds an envelope of `size` bytes to the totals [`Self::pending`] and [`Self::bytes`]. Ends the gap at the end of
    /// the mailbox, if there is one.
    pub(super) fn add(&mut self, size: u64) {
        self.pending += 1;
        self.bytes += size;
        self.refused_from = None;
    }

    /// Adds a sequence number to the gap at the end of the mailbox, and starts the gap if there is none. Returns the
    /// first number of the gap.
    pub(super) fn refuse(&mut self, sequence: SequenceNumber) -> SequenceNumber {
        *self.refused_from.get_or_insert(sequence)
    }
}

/// An idempotency key, scoped to the device that sent it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScopedKey {
    /// The device that sent the idempotency key.
    pub device: DeviceId,
    /// The key.
    pub key: String,
}

impl ScopedKey {
    /// Combines an idempotency key with the device that sent it.
    pub fn new(device: DeviceId, key: &IdempotencyKey) -> Self {
        Self { device, key: key.as_str().to_owned() }
    }
}

/// A receipt that is stored under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The hash of the send request, its [fingerprint](crate::model::Fingerprint).
    pub fingerprint: Vec<u8>,
    /// The receipt.
    pub receipt: Receipt,
}

impl StoredReceipt {
    /// Returns the outcome of another send under the same idempotency key: a repetition if the fingerprints (hashes of
    /// the send requests) are equal, otherwise a refusal.
    pub(super) fn outcome(&self, fingerprint: &[u8]) -> DeliverOutcome {
        if self.fingerprint == fingerprint {
            DeliverOutcome::Repeated(self.receipt.clone())
        } else {
            DeliverOutcome::KeyReused
        }
    }
}
