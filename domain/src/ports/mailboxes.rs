use async_trait::async_trait;

use super::PortError;
use crate::model::{
    Contents, DeviceId, Envelope, Fingerprint, Gap, IdempotencyKey, MessageId, Quota, SequenceNumber, Timestamp,
    Username,
};

/// A send to one or more recipients.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The sender's username, as registered.
    pub sender: Username,
    /// The device that it is sent from.
    pub sender_device: DeviceId,
    /// Recipients with their contents; each user at most once.
    pub recipients: Vec<AddressedContents>,
    /// The current time.
    pub now: Timestamp,
    /// Seconds from the message's `sent_at` until the message expires.
    pub ttl_seconds: u64,
    /// The capacity of each mailbox.
    pub quota: Quota,
    /// The idempotency key, scoped to the sender's device, and the fingerprint of the request.
    pub idempotency: Option<(IdempotencyKey, Fingerprint)>,
}

/// Contents for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedContents {
    /// The recipient's username, in any spelling.
    pub recipient: Username,
    /// The contents.
    pub contents: Contents,
}

/// The outcome of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliverOutcome {
    /// The send was stored.
    Stored {
        /// The receipt for the sender.
        receipt: Receipt,
        /// The usernames of the recipients as registered, in the order of the request.
        recipients: Vec<Username>,
    },
    /// The same send was stored before under the same key; this is its receipt.
    Repeated(Receipt),
    /// The key was used for another send.
    KeyReused,
    /// These users do not exist; nothing was stored.
    UnknownRecipients(Vec<Username>),
    /// The mailboxes of all recipients are full; only gaps were stored.
    AllMailboxesFull,
}

/// Confirms a stored send to its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Permanent unique identifier of the send.
    pub id: MessageId,
    /// The time of sending that its messages carry.
    pub sent_at: Timestamp,
    /// The devices whose mailboxes were full, ordered by identifier.
    pub undelivered: Vec<Undelivered>,
}

/// A device whose mailbox was full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The username of its user, as registered.
    pub recipient: Username,
    /// The device.
    pub device: DeviceId,
}

/// The maximum size of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Maximum number of envelopes.
    pub count: usize,
    /// Maximum total size of contents in bytes. The first envelope is included whatever its size.
    pub bytes: usize,
}

/// A page of a mailbox: the next envelopes, and the state of the mailbox at the time of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxPage {
    /// Everything up to this number is acknowledged.
    pub acknowledged: SequenceNumber,
    /// The last sequence number assigned in this mailbox.
    pub last: SequenceNumber,
    /// A watermark: every later message has `sent_at >= not_before`; it never decreases.
    pub not_before: Timestamp,
    /// When [`Mailboxes::raise_not_before`] last raised `not_before`; initially the creation of the mailbox.
    pub closed_at: Timestamp,
    /// The envelopes, ordered by sequence number.
    pub envelopes: Vec<Envelope>,
    /// The sequence numbers up to [`Self::up_to`] whose envelopes are gone unread (D7).
    pub gaps: Vec<Gap>,
    /// Whether the mailbox has more envelopes after these.
    pub has_more: bool,
}

impl MailboxPage {
    /// The page of a mailbox that does not exist.
    pub const EMPTY: Self = Self {
        acknowledged: SequenceNumber::ZERO,
        last: SequenceNumber::ZERO,
        not_before: Timestamp::EPOCH,
        closed_at: Timestamp::EPOCH,
        envelopes: Vec::new(),
        gaps: Vec::new(),
        has_more: false,
    };

    /// Returns the last sequence number that this page covers; all envelopes still to be read have greater numbers.
    pub fn up_to(&self) -> SequenceNumber {
        match self.envelopes.last() {
            Some(last) if self.has_more => last.sequence,
            _ => self.last,
        }
    }
}

/// The outcome of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcknowledgeOutcome {
    /// Everything up to this number is acknowledged.
    UpTo(SequenceNumber),
    /// This is the last sequence number assigned so far; the request exceeds it, and nothing was acknowledged.
    Beyond(SequenceNumber),
}

/// The mailboxes and their envelopes.
///
/// A mailbox numbers its envelopes 1, 2, 3 … in commit order, with no number skipped (D3), and `sent_at` never
/// decreases along those numbers. Its `not_before` is a watermark: every later message has `sent_at >= not_before`; it
/// never decreases. It starts at the mailbox's creation.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// Stores a send: a message per recipient, and an envelope in the mailbox of each of the recipient's devices.
    ///
    /// MUST store it for all recipients or for none (D6), durably, before it returns (D1). MUST set `sent_at` to the
    /// latest of `now` and the mailboxes' `not_before`, and raise each `not_before` to it. MUST store nothing if one of
    /// the recipients does not exist. A mailbox without room under the quota MUST store a gap in place of the envelope
    /// (D7), and MUST NOT keep other mailboxes from receiving theirs; if no mailbox has room, only the gaps are stored.
    ///
    /// With an idempotency key, MUST store the send once and return the same receipt for every repetition, even if
    /// calls run concurrently; MUST store the key in the same step, and only if the send is stored (D4). MUST notify
    /// readers that wait on the mailboxes, on every replica (D8).
    ///
    /// # Errors
    ///
    /// If the store fails. The send may be stored nevertheless, if the failure occurred after the commit.
    async fn deliver(&self, delivery: NewDelivery) -> Result<DeliverOutcome, PortError>;

    /// Reads the oldest envelopes after a sequence number that have not expired at `now`.
    ///
    /// MUST change nothing (D2). MUST return every such envelope with `sent_at` before the page's `not_before`, up to
    /// the limit, and at least one if there is any. MUST account for each number above both `after` and the
    /// acknowledged one, up to [`MailboxPage::up_to`], by an envelope or a gap. MUST return [`MailboxPage::EMPTY`] if
    /// the mailbox does not exist.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn read(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<MailboxPage, PortError>;

    /// Acknowledges the oldest envelopes up to a sequence number, at most `limit` of them.
    ///
    /// MUST delete exactly those envelopes and the gaps up to them, and each message with its last envelope. MUST
    /// change nothing if everything up to that number is acknowledged already (D5), or if the number was not assigned
    /// yet.
    ///
    /// # Errors
    ///
    /// If the store fails; nothing is deleted then.
    async fn acknowledge(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        limit: usize,
    ) -> Result<AcknowledgeOutcome, PortError>;

    /// Raises the watermark `not_before` of a mailbox to `moment`, and sets `closed_at` to `now`.
    ///
    /// MUST change nothing if `not_before` is at or after `moment` already. MUST wait for every concurrent delivery
    /// with `sent_at` before `moment`: a read that starts after this call returns sees them all.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError>;

    /// Acknowledges the oldest envelopes with `sent_at` before `moment`, at most `limit` of them, and returns how
    /// many it acknowledged.
    ///
    /// MUST delete exactly those envelopes and the gaps below them, and each message with its last envelope. MUST NOT
    /// fail when repeated (D5).
    ///
    /// # Errors
    ///
    /// If the store fails; nothing is deleted then.
    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError>;

    /// Deletes envelopes that have expired at `now`, at most `limit` of them, and returns how many it deleted.
    ///
    /// MUST delete each message with its last envelope, and free the room in the mailboxes. MUST report the sequence
    /// numbers as gaps from then on (D7).
    ///
    /// # Errors
    ///
    /// If the store fails; nothing is deleted then.
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<u64, PortError>;

    /// Deletes envelopes of deleted devices, at most `limit` of them, and returns whether there may be more.
    ///
    /// # Errors
    ///
    /// If the store fails; nothing is deleted then.
    async fn purge(&self, limit: usize) -> Result<bool, PortError>;

    /// Deletes idempotency keys of sends before a time, at most `limit` of them, and returns how many it deleted.
    ///
    /// # Errors
    ///
    /// If the store fails; nothing is deleted then.
    async fn expire_idempotency_keys(&self, before: Timestamp, limit: usize) -> Result<u64, PortError>;
}
