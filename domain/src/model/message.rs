use super::{Contents, DeviceId, MessageId, SequenceNumber, Timestamp, Username};

/// Opaque contents from one user to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Permanent identifier of the send that created it.
    pub id: MessageId,
    /// The sender's username, as registered.
    pub sender: Username,
    /// The device that it was sent from; `None` for messages stored before this was recorded.
    pub sender_device: Option<DeviceId>,
    /// The recipient's username, as registered.
    pub recipient: Username,
    /// The contents, which the server never reads.
    pub contents: Contents,
    /// When it was stored. Within a mailbox it never decreases from one sequence number to the next.
    pub sent_at: Timestamp,
    /// When it expires; from then on it is never delivered.
    pub expires_at: Timestamp,
}

/// One copy of a message, in the mailbox of one of its recipient's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Its position in the mailbox.
    pub sequence: SequenceNumber,
    /// The message; the envelopes of all devices hold the same one.
    pub message: Message,
}
