use std::time::Duration;

use async_trait::async_trait;

use crate::model::{DeviceId, Envelope, SequenceNumber};

/// Notifies waiting readers of new envelopes (D8).
#[cfg_attr(test, mockall::automock)]
pub trait Notifier: Send + Sync {
    /// Subscribes to a mailbox until `timeout` has elapsed.
    ///
    /// A reader subscribes, and then reads the mailbox. So that the reader misses no delivery, MUST notify the
    /// subscription of every delivery that a read right after this call does not see yet.
    fn subscribe(&self, mailbox: DeviceId, timeout: Duration) -> Box<dyn Subscription>;
}

/// Why a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitOutcome {
    /// The mailbox received envelopes.
    Delivered(Delivered),
    /// The mailbox, or a session of its device, may have changed. The reader should read again.
    Notified,
    /// The timeout has elapsed.
    TimedOut,
    /// The server is stopping. The reader should not wait again.
    Stopping,
}

/// New envelopes for a waiting reader, handed over so that the reader need not read them from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The envelopes, at least one. Their sequence numbers MUST be consecutive and start directly after the reader's
    /// cursor. The envelopes MUST be committed.
    pub envelopes: Vec<Envelope>,
    /// Everything up to and including this sequence number was acknowledged when the newest envelope of the mailbox was
    /// committed.
    pub acknowledged: SequenceNumber,
}

/// A reader's subscription to a mailbox. Dropping the value ends the subscription.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Subscription: Send {
    /// Waits until the mailbox may have envelopes after the reader's cursor `seen`, or until a session of the device
    /// may have ended.
    ///
    /// MUST return [`WaitOutcome::Notified`] or [`WaitOutcome::Delivered`] promptly after a delivery on any replica,
    /// unless the subscription was already notified of that delivery. MUST also return one of these outcomes promptly
    /// after a session of the device has ended. MAY return [`WaitOutcome::Notified`] without a delivery or an ended
    /// session. MUST NOT hold a thread or a database connection.
    async fn wait(&mut self, seen: SequenceNumber) -> WaitOutcome;
}
