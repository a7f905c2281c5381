use async_trait::async_trait;

use super::PortError;
use crate::model::{
    Contents, DeviceId, Envelope, Fingerprint, Gap, IdempotencyKey, MessageId, Quota, SequenceNumber, Timestamp,
    Username,
};

/// A send: contents for one recipient or more.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Who sends it, as registered.
    pub sender: Username,
    /// The device that it is sent from.
    pub sender_device: DeviceId,
    /// What is for whom; nobody is named twice.
    pub recipients: Vec<AddressedContents>,
    /// The present moment.
    pub now: Timestamp,
    /// How many seconds after its stamp it expires.
    pub ttl_seconds: u64,
    /// How much each mailbox holds.
    pub quota: Quota,
    /// Under which key of the sender's device it happens once, and what tells it from others.
    pub idempotency: Option<(IdempotencyKey, Fingerprint)>,
}

/// Contents for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedContents {
    /// Who they are for, in any spelling.
    pub recipient: Username,
    /// What they are.
    pub contents: Contents,
}

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliverOutcome {
    /// It is stored.
    Stored {
        /// What the sender gets to know of it.
        receipt: Receipt,
        /// The names of the recipients as registered, in the order in which they were given.
        recipients: Vec<Username>,
    },
    /// It was stored before, under the same key.
    Repeated(Receipt),
    /// Another send has the key.
    KeyReused,
    /// Nobody has one of these names.
    UnknownRecipients(Vec<Username>),
    /// Every mailbox that it was for is full.
    AllMailboxesFull,
}

/// What a sender gets to know of a send that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Names it for good.
    pub id: MessageId,
    /// When it was stored.
    pub sent_at: Timestamp,
    /// The devices whose mailboxes were full, in the order of their identifiers.
    pub undelivered: Vec<Undelivered>,
}

/// A device whose mailbox was full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Whose it is.
    pub recipient: Username,
    /// The device.
    pub device: DeviceId,
}

/// How much a page holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// The most envelopes.
    pub count: usize,
    /// The most bytes of contents. The first envelope comes whatever its size.
    pub bytes: usize,
}

/// The next envelopes of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxPage {
    /// All up to this number is acknowledged.
    pub acknowledged: SequenceNumber,
    /// The newest number ever given out.
    pub last: SequenceNumber,
    /// Every envelope stamped before this moment is stored already: none will ever be added.
    pub not_before: Timestamp,
    /// When the mailbox was last closed before a moment; its creation where it never was.
    pub closed_at: Timestamp,
    /// Envelopes in the order of their sequence numbers.
    pub envelopes: Vec<Envelope>,
    /// The numbers up to [`Self::up_to`] whose envelopes are gone unread.
    pub gaps: Vec<Gap>,
    /// Whether there are envelopes beyond these.
    pub has_more: bool,
}

impl MailboxPage {
    /// The page of a mailbox that is not there.
    pub const EMPTY: Self = Self {
        acknowledged: SequenceNumber::ZERO,
        last: SequenceNumber::ZERO,
        not_before: Timestamp::EPOCH,
        closed_at: Timestamp::EPOCH,
        envelopes: Vec::new(),
        gaps: Vec::new(),
        has_more: false,
    };

    /// The number that all of this page is at or below, and all that is to come is above.
    pub fn up_to(&self) -> SequenceNumber {
        match self.envelopes.last() {
            Some(last) if self.has_more => last.sequence,
            _ => self.last,
        }
    }
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcknowledgeOutcome {
    /// All up to this number is acknowledged.
    UpTo(SequenceNumber),
    /// No envelope beyond this number was ever there, so nothing was acknowledged.
    Beyond(SequenceNumber),
}

/// The mailboxes and what is in them.
///
/// A mailbox numbers its envelopes 1, 2, 3 … without a gap, in the order in which they are committed (D3), and their
/// stamps never decrease along those numbers. It has a moment `not_before`, before which nothing that it takes from
/// then on is stamped; it starts at the mailbox's creation and only ever rises.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// Stores a send: contents once per recipient, and an envelope in the mailbox of each of the recipient's devices.
    ///
    /// MUST store all of it or nothing (D6), durably, before it returns (D1). MUST stamp it with `now`, or with the latest
    /// `not_before` of the mailboxes where that is later, and raise theirs to the stamp. MUST store nothing where one of
    /// the recipients is not there. A mailbox that has no room for it by the quota MUST keep a gap of its number (D7)
    /// instead of an envelope, and hold up no other; where none has room, the gaps are all that is kept.
    ///
    /// With a key, MUST store a send once and give the same receipt from then on, also when two such calls run at
    /// once; the key MUST be stored in the same step, and only with a send that is stored (D4). MUST wake who waits on the
    /// mailboxes, on whichever replica (D8).
    ///
    /// # Errors
    ///
    /// Where the store fails. It may be stored all the same where the failure came after the commit.
    async fn deliver(&self, delivery: NewDelivery) -> Result<DeliverOutcome, PortError>;

    /// Reads the oldest envelopes after a sequence number that have not expired `now`.
    ///
    /// MUST change nothing (D2). MUST give every such envelope stamped before the page's `not_before`, up to the limit,
    /// and one at least where there is any. MUST give each number above `after` and what is acknowledged, up to
    /// [`MailboxPage::up_to`], in an envelope or in a gap. MUST give [`MailboxPage::EMPTY`] where there is no such mailbox.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn read(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<MailboxPage, PortError>;

    /// Acknowledges the oldest envelopes up to a sequence number, at most `limit` of them.
    ///
    /// MUST delete exactly those, with their gaps, and each message with its last envelope. MUST change nothing where
    /// all up to that number is acknowledged already (D5), or where it is beyond the newest that ever was.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was deleted.
    async fn acknowledge(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        limit: usize,
    ) -> Result<AcknowledgeOutcome, PortError>;

    /// Raises a mailbox's `not_before` to a moment, and notes that this was done `now`.
    ///
    /// MUST change nothing where `not_before` is there already. MUST have waited for every delivery that took a stamp before
    /// that moment: a read that starts after it returns sees them all.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError>;

    /// Acknowledges the oldest envelopes stamped before a moment, at most `limit` of them, and gives how many that were.
    ///
    /// MUST delete exactly those, with the gaps below them, and each message with its last envelope. MUST NOT fail when repeated (D5).
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was deleted.
    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError>;

    /// Deletes envelopes that have expired `now`, at most `limit` of them, and gives how many that were.
    ///
    /// MUST delete each message with its last envelope, make room for others in the mailboxes, and leave the numbers to
    /// be read as gaps.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was deleted.
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<u64, PortError>;

    /// Deletes what deleted devices had in their mailboxes, at most `limit` envelopes, and returns whether there may be
    /// more.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was deleted.
    async fn purge(&self, limit: usize) -> Result<bool, PortError>;

    /// Forgets idempotency keys from before a moment, at most `limit` of them, and gives how many that were.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was forgotten.
    async fn expire_idempotency_keys(&self, before: Timestamp, limit: usize) -> Result<u64, PortError>;
}
