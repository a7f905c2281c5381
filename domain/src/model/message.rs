use super::{Contents, DeviceId, MessageId, SequenceNumber, Timestamp, Username};

/// Opaque contents from one user to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Permanent identifier of the send that created the message.
    pub id: MessageId,
    /// The sender's username, with upper and lower case as registered.
    pub sender: Username,
    /// The device that sent the message. `None` for a message from a server version that did not record the device.
    pub sender_device: Option<DeviceId>,
    /// The recipient's username, with upper and lower case as registered.
    pub recipient: Username,
    /// The contents, which the server never reads.
    pub contents: Contents,
    /// The time at which the message was stored. Within a mailbox, `sent_at` never decreases from one sequence number
    /// to the next.
    pub sent_at: Timestamp,
    /// The time at which the message expires. From then on, the server never delivers the message.
    pub expires_at: Timestamp,
}

/// One copy of a message, in the mailbox of one of its recipient's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The position of the envelope in the mailbox.
    pub sequence: SequenceNumber,
    /// The message. The recipient's devices each have an envelope with the same message.
    pub message: Message,
}
