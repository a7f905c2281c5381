use async_trait::async_trait;

use super::PortError;
use crate::model::{Contents, DeviceId, Envelope, Message, SequenceNumber, Timestamp, Username};

/// A message to be delivered.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Who sends it, as registered.
    pub sender: Username,
    /// Who it is for, in any spelling.
    pub recipient: Username,
    /// What it carries.
    pub contents: Contents,
    /// The present moment.
    pub now: Timestamp,
}

/// The next envelopes of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Every envelope stamped before this moment is stored already: none will ever be added.
    pub not_before: Timestamp,
    /// When the mailbox was last closed before a moment; its creation where it never was.
    pub closed_at: Timestamp,
    /// Envelopes in the order of their sequence numbers.
    pub envelopes: Vec<Envelope>,
}

impl Page {
    /// The page of a mailbox that is not there.
    pub const EMPTY: Self = Self { not_before: Timestamp::EPOCH, closed_at: Timestamp::EPOCH, envelopes: Vec::new() };
}

/// The mailboxes and what is in them.
///
/// A mailbox numbers its envelopes 1, 2, 3 … without a gap, in the order in which they are committed (D3), and their
/// stamps never decrease along those numbers. It has a moment `not_before`, before which nothing that it takes from
/// then on is stamped; it starts at the mailbox's creation and only ever rises.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// Stores a message, and an envelope of it in the mailbox of each of the recipient's devices.
    ///
    /// MUST store all of it or nothing (D6), durably, before it returns (D1). MUST stamp the message with `now`, or with
    /// the latest `not_before` of the mailboxes where that is later, and raise theirs to the stamp. MUST return `None`
    /// and store nothing where there is no such recipient. MUST give the recipient's name as it was registered.
    ///
    /// # Errors
    ///
    /// Where the store fails. The message may be stored all the same where the failure came after the commit.
    async fn deliver(&self, message: NewMessage) -> Result<Option<Message>, PortError>;

    /// Reads the oldest envelopes after a sequence number, at most `limit` of them.
    ///
    /// MUST change nothing (D2). MUST give every stored envelope stamped before the page's `not_before`, up to the
    /// limit. MUST give [`Page::EMPTY`] where there is no such mailbox.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn read(&self, mailbox: DeviceId, after: SequenceNumber, limit: usize) -> Result<Page, PortError>;

    /// Raises a mailbox's `not_before` to a moment, and notes that this was done `now`.
    ///
    /// MUST change nothing where `not_before` is there already. MUST have waited for every delivery that took a stamp before that moment: a read that starts
    /// after it returns sees them all.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn close_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError>;

    /// Acknowledges the oldest envelopes stamped before a moment, at most `limit` of them, and gives how many that were.
    ///
    /// MUST delete exactly those, and each message with its last envelope. MUST NOT fail when repeated (D5).
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was deleted.
    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError>;
}
