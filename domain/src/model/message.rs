use super::{Contents, MessageId, SequenceNumber, Timestamp, Username};

/// Opaque contents, from a user to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the message for good.
    pub id: MessageId,
    /// Who sent it, as registered.
    pub sender: Username,
    /// Who it is for, as registered.
    pub recipient: Username,
    /// What it carries.
    pub contents: Contents,
    /// When it was stored. In a mailbox this never decreases from one sequence number to the next.
    pub sent_at: Timestamp,
}

/// A message in the mailbox of one of its recipient's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Its place in the mailbox.
    pub sequence: SequenceNumber,
    /// The message, shared by all envelopes that hold it.
    pub message: Message,
}
