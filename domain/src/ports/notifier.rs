use std::time::Duration;

use async_trait::async_trait;

use crate::model::{DeviceId, SequenceNumber};

/// Notifies waiting readers of new envelopes (D8).
#[cfg_attr(test, mockall::automock)]
pub trait Notifier: Send + Sync {
    /// Subscribes to a mailbox until `timeout` has elapsed.
    ///
    /// MUST notify of every delivery that a read started after this call misses.
    fn subscribe(&self, mailbox: DeviceId, timeout: Duration) -> Box<dyn Subscription>;
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitOutcome {
    /// The mailbox or its sessions may have changed: read again.
    Notified,
    /// The timeout has elapsed.
    TimedOut,
    /// The server is stopping; the reader should not wait again.
    Stopping,
}

/// A reader's subscription to a mailbox. It ends when dropped.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Subscription: Send {
    /// Waits until the mailbox may have envelopes beyond `seen`, the reader's cursor, or a session of its device may
    /// have ended.
    ///
    /// MUST return [`WaitOutcome::Notified`] promptly after each delivery that the subscription has not been notified
    /// of yet, whichever replica made it, and after a session of the device has ended. MAY return it spuriously. MUST
    /// NOT hold a thread or a database connection.
    async fn wait(&mut self, seen: SequenceNumber) -> WaitOutcome;
}
