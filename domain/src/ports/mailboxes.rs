use async_trait::async_trait;

use super::PortError;
use crate::model::{
    Contents, CursorError, DeviceId, Envelope, Fingerprint, Gap, IdempotencyKey, Incarnation, KeyGeneration,
    MailboxPosition, MessageId, Quota, SequenceNumber, SessionId, Timestamp, Username,
};

/// A send to one or more recipients.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The sender's username, with upper and lower case as registered.
    pub sender: Username,
    /// The device of the sender.
    pub sender_device: DeviceId,
    /// The session whose token authenticated the sender. `None` if a password authenticated the sender.
    pub session: Option<SessionId>,
    /// Recipients with their contents; each user at most once.
    pub recipients: Vec<AddressedContents>,
    /// The current time.
    pub now: Timestamp,
    /// Seconds from the message's `sent_at` until the message expires. If the watermark of a mailbox puts `sent_at`
    /// ahead of `now` by more than [`MAX_STAMP_LEAD`](crate::timekeeping::MAX_STAMP_LEAD), the seconds count from `now`
    /// plus `MAX_STAMP_LEAD` instead.
    pub ttl_seconds: u64,
    /// The capacity of each mailbox.
    pub quota: Quota,
    /// The idempotency key, scoped to the sender's device, and the hash of the request (its fingerprint).
    pub idempotency: Option<(IdempotencyKey, Fingerprint)>,
}

/// Contents for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedContents {
    /// The recipient's username, in any combination of upper and lower case.
    pub recipient: Username,
    /// The contents.
    pub contents: Contents,
}

/// The outcome of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliverOutcome {
    /// The session of the send has ended. Nothing was stored.
    SessionEnded,
    /// The send was stored.
    Stored {
        /// The receipt for the sender.
        receipt: Receipt,
        /// The usernames of the recipients, with upper and lower case as registered, in the order of the request.
        recipients: Vec<Username>,
    },
    /// The same send was already stored under the same idempotency key. The value is the receipt of the stored send.
    Repeated(Receipt),
    /// The idempotency key was already used for a different send. Nothing was stored.
    KeyReused,
    /// These users do not exist. Nothing was stored.
    UnknownRecipients(Vec<Username>),
    /// The mailboxes of all recipients are full. Only gaps were stored.
    AllMailboxesFull,
}

/// Confirmation of a stored send, for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Permanent unique identifier of the send.
    pub id: MessageId,
    /// The `sent_at` that all messages of the send have.
    pub sent_at: Timestamp,
    /// The devices whose mailboxes were full, ordered by identifier.
    pub undelivered: Vec<Undelivered>,
}

/// A device that did not receive a message, because its mailbox was full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The username of the device's user, with upper and lower case as registered.
    pub recipient: Username,
    /// The device.
    pub device: DeviceId,
}

/// The maximum size of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Maximum number of envelopes.
    pub count: usize,
    /// Maximum total size of the contents in bytes, as [`json_size`](crate::model::json_size) counts them. A page
    /// includes its first envelope even if that envelope alone exceeds this limit.
    pub bytes: usize,
}

/// A page of a mailbox: the next envelopes, and the state of the mailbox at the time of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxPage {
    /// The incarnation of the mailbox.
    pub incarnation: Incarnation,
    /// Everything up to and including this sequence number is acknowledged.
    pub acknowledged: SequenceNumber,
    /// The last sequence number assigned in this mailbox.
    pub last: SequenceNumber,
    /// The watermark of the mailbox: every message added from now on has `sent_at >= not_before`. The watermark never
    /// decreases.
    pub not_before: Timestamp,
    /// The time at which [`Mailboxes::raise_not_before`] last raised `not_before`, and so closed the mailbox to
    /// messages with an earlier `sent_at`. Initially the time at which the mailbox was created. Deliveries raise
    /// `not_before`, too, but do not change `closed_at`. Polls of the classic API compare `closed_at` with the current
    /// time, so that they do not raise the watermark too often.
    pub closed_at: Timestamp,
    /// The envelopes, ordered by sequence number.
    pub envelopes: Vec<Envelope>,
    /// The gaps after the reader's cursor, up to [`Self::up_to`]: numbers whose envelopes expired, or were not stored
    /// because the mailbox was full (D7).
    pub gaps: Vec<Gap>,
    /// Whether the mailbox has more envelopes or gaps after this page.
    pub has_more: bool,
}

impl MailboxPage {
    /// Maximum number of gaps on a page.
    pub const MAX_GAPS: usize = 1000;

    /// Returns the last sequence number that this page covers. All envelopes after this page have greater numbers.
    pub fn up_to(&self) -> SequenceNumber {
        let envelope = self.envelopes.last().map(|envelope| envelope.sequence);
        let gap = self.gaps.last().map(|gap| gap.last);
        envelope.max(gap).filter(|_| self.has_more).unwrap_or(self.last)
    }

    /// Finds the gaps above `after` that this page has to report, and stores them in [`Self::gaps`] (D7). If there are
    /// more than [`Self::MAX_GAPS`] gaps, ends the page before the first gap that does not fit. Expects a page that
    /// has no gaps yet.
    ///
    /// `refused` holds, in ascending order, the ranges of numbers above `after` and up to [`Self::up_to`] whose
    /// envelopes were not stored because the mailbox was full. The caller may leave out ranges after the first
    /// [`Self::MAX_GAPS`]` + 1`.
    pub fn add_gaps(&mut self, after: SequenceNumber, refused: &[(SequenceNumber, SequenceNumber)]) {
        let whole = self.up_to();
        // The caller may have left out later ranges, so the page ends before this one.
        let mut up_to = refused.get(Self::MAX_GAPS).map_or(whole, |(first, _)| whole.min(first.previous()));
        let present = self.envelopes.iter().map(|envelope| envelope.sequence).take_while(|number| *number <= up_to);
        let mut gaps = Gap::between(after.max(self.acknowledged), up_to, present, refused, Self::MAX_GAPS + 1);
        if let Some(first) = gaps.drain(Self::MAX_GAPS.min(gaps.len())..).next() {
            up_to = first.first.previous();
        }
        if up_to < whole {
            self.envelopes.retain(|envelope| envelope.sequence <= up_to);
            self.has_more = true;
        }
        self.gaps = gaps;
    }

    /// Returns the part of the mailbox's state against which the cursors of readers are checked.
    pub fn position(&self) -> MailboxPosition {
        MailboxPosition { incarnation: self.incarnation, acknowledged: self.acknowledged, last: self.last }
    }
}

/// The outcome of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcknowledgeOutcome {
    /// Everything up to and including this sequence number is acknowledged.
    UpTo(SequenceNumber),
    /// The sequence number was not assigned yet, or the caller gave another incarnation than the mailbox has. Nothing
    /// was acknowledged.
    Refused(CursorError),
    /// The mailbox does not exist.
    NotFound,
}

/// The mailboxes and their envelopes.
///
/// A mailbox numbers its envelopes 1, 2, 3 … in commit order, with no number skipped (D3). From one number to the next,
/// `sent_at` never decreases. The `not_before` of a mailbox is a watermark: every message added from now on has
/// `sent_at >= not_before`. The watermark starts at the creation time of the mailbox and never decreases.
///
/// These guarantees hold within one incarnation of a mailbox. A mailbox gets another incarnation only after its store
/// was restored from a backup ([`Self::renew_incarnations`]).
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// Stores a send: a message for each recipient, and an envelope in the mailbox of each of the recipient's devices.
    ///
    /// MUST store the send for all recipients or for none (D6). When this method returns, the send MUST be durable
    /// (D1). MUST store nothing if one of the recipients does not exist, or if the session of the send has ended. MUST
    /// set `sent_at` to the latest of `now` and the `not_before` of all mailboxes that the send addresses, and MUST
    /// raise the `not_before` of each of these mailboxes to `sent_at`.
    ///
    /// If a mailbox has no room under the quota, MUST store a gap in that mailbox in place of the envelope (D7), and
    /// MUST still store the envelopes of the other mailboxes. If no mailbox has room, MUST store only the gaps.
    ///
    /// If the send has an idempotency key, MUST store the send once and return the same receipt for every repetition,
    /// even if calls run concurrently. MUST store the key in the same transaction as the send, and only if the send is
    /// stored (D4). MUST store with the key the generation of keys that is current while the transaction runs. MUST
    /// keep the key until [`expire_idempotency_keys`](Self::expire_idempotency_keys) deletes it, even if the sender's
    /// device is deleted.
    ///
    /// MUST notify readers that wait on the mailboxes, on every replica (D8).
    ///
    /// # Errors
    ///
    /// If the store fails. If the failure occurred after the commit, the send is stored nevertheless.
    async fn deliver(&self, delivery: NewDelivery) -> Result<DeliverOutcome, PortError>;

    /// Reads the oldest envelopes after the sequence number `after`, except those that have expired at `now`.
    ///
    /// MUST change nothing (D2). Among the unexpired envelopes after `after`, MUST return all that have a `sent_at`
    /// before the page's `not_before`, up to the limit. MUST return at least one envelope if there is an unexpired one
    /// after `after`, unless [`MailboxPage::MAX_GAPS`] gaps come first. For each number above `after`, above the last
    /// acknowledged number and not above [`MailboxPage::up_to`], MUST return an envelope or a gap. MUST return at most
    /// [`MailboxPage::MAX_GAPS`] gaps: if there are more, the page ends before the first gap that does not fit, and
    /// `has_more` is `true`. MUST return `None` if the mailbox does not exist.
    ///
    /// The incarnation, the numbers and the envelopes of a page MUST all be from the same committed state. A page MUST
    /// reflect every delivery that any reader, on any replica, learned of before the call, from a page or from a
    /// notification: [`MailboxPage::last`] is never below a number that a reader has received.
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
    ) -> Result<Option<MailboxPage>, PortError>;

    /// Acknowledges at most `limit` of the oldest envelopes up to the sequence number `up_to`.
    ///
    /// MUST delete exactly those envelopes, and the gaps up to the acknowledged number. MUST delete a message together
    /// with its last envelope. MUST change nothing if everything up to `up_to` is already acknowledged (D5), if `up_to`
    /// has not been assigned yet, or if `incarnation` is given and differs from the mailbox's incarnation.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    async fn acknowledge(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
    ) -> Result<AcknowledgeOutcome, PortError>;

    /// Changes the incarnation of at most `limit` mailboxes to `incarnation`. Called repeatedly after a restore from a
    /// backup, until every mailbox has a new incarnation.
    ///
    /// Goes through the mailboxes in the order of their devices, and starts with the first mailbox after `after`, or
    /// with the first of all if `after` is `None`. Returns the changed mailboxes in this order; returns no mailbox if
    /// none is left.
    ///
    /// MUST change nothing else. Mailboxes MAY share an incarnation, because a cursor is compared only with the
    /// incarnation of its own mailbox.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is changed.
    async fn renew_incarnations(
        &self,
        after: Option<DeviceId>,
        incarnation: Incarnation,
        limit: usize,
    ) -> Result<Vec<DeviceId>, PortError>;

    /// Raises the watermark `not_before` of a mailbox to `moment`, and sets
    /// [`closed_at`](MailboxPage::closed_at) to `now`.
    ///
    /// MUST change nothing if `not_before` is already at or after `moment`. MUST wait for every concurrent delivery
    /// with `sent_at` before `moment`, so that a read that starts after this call returns sees all those deliveries.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError>;

    /// Acknowledges at most `limit` of the oldest envelopes with `sent_at` before `moment`. Returns the number of
    /// acknowledged envelopes.
    ///
    /// MUST delete exactly those envelopes, and the gaps below the newest deleted envelope. MUST delete a message
    /// together with its last envelope. MUST NOT fail if the call is repeated (D5).
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError>;

    /// Deletes at most `limit` envelopes that have expired at `now`. Returns the number of deleted envelopes.
    ///
    /// MUST delete a message together with its last envelope. MUST stop counting the deleted envelopes towards the
    /// quotas of their mailboxes. Pages MUST still report the sequence numbers of the deleted envelopes as gaps (D7).
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<u64, PortError>;

    /// Deletes at most `limit` envelopes of deleted devices. Returns whether more such envelopes may remain.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    async fn purge(&self, limit: usize) -> Result<bool, PortError>;

    /// Returns the current generation of idempotency keys.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn key_generation(&self) -> Result<KeyGeneration, PortError>;

    /// Ends a generation of idempotency keys. The next generation, whose number is greater by 1, then becomes current.
    ///
    /// MUST change nothing if `generation` is not the current generation, even if calls run concurrently.
    ///
    /// # Errors
    ///
    /// If the store fails. If the failure occurred after the commit, the generation has ended nevertheless.
    async fn end_key_generation(&self, generation: KeyGeneration) -> Result<(), PortError>;

    /// Deletes at most `limit` idempotency keys of the generations before `before`. Returns the number of deleted keys.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    async fn expire_idempotency_keys(&self, before: KeyGeneration, limit: usize) -> Result<u64, PortError>;
}
