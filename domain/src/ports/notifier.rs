use std::time::Duration;

use async_trait::async_trait;

use crate::model::{DeviceId, SequenceNumber};

/// Tells waiting readers that something may have come (D8).
#[cfg_attr(test, mockall::automock)]
pub trait Notifier: Send + Sync {
    /// Attends to a mailbox for as long as the timeout lasts.
    ///
    /// Whatever a read that starts after this misses, it MUST tell of.
    fn subscribe(&self, mailbox: DeviceId, timeout: Duration) -> Box<dyn Subscription>;
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitOutcome {
    /// It is worth to look again.
    Notified,
    /// The timeout is at its end.
    TimedOut,
    /// The server stops, and nobody should ask it for more.
    Stopping,
}

/// A reader's attention to a mailbox. It ends when dropped.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Subscription: Send {
    /// Waits until the mailbox may hold more than the number that was `seen` last, or who reads it may have changed.
    ///
    /// MUST give [`WaitOutcome::Notified`] soon after each delivery that was not told of yet, from whichever replica, and after a
    /// session of the device has ended; MAY give it for nothing. MUST hold neither a thread nor a connection.
    async fn wait(&mut self, seen: SequenceNumber) -> WaitOutcome;
}
