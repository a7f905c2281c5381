use super::{Contents, DeviceId, MessageId, SequenceNumber, Timestamp, Username};

/// Opaque contents, from a user to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the send that it came with, for good.
    pub id: MessageId,
    /// Who sent it, as registered.
    pub sender: Username,
    /// The device that it was sent from; none where that was not kept yet.
    pub sender_device: Option<DeviceId>,
    /// Who it is for, as registered.
    pub recipient: Username,
    /// What it carries.
    pub contents: Contents,
    /// When it was stored. In a mailbox this never decreases from one sequence number to the next.
    pub sent_at: Timestamp,
    /// When it is given to nobody any more.
    pub expires_at: Timestamp,
}

/// A message in the mailbox of one of its recipient's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Its place in the mailbox.
    pub sequence: SequenceNumber,
    /// The message, shared by all envelopes that hold it.
    pub message: Message,
}
