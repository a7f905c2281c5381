//! Deliberate defects of the store. A test turns one on, and verifies that the simulation finds it.

/// A deliberate defect of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Sends without an idempotency key are confirmed, but not stored.
    SendsLost,
    /// Idempotency keys are ignored, so that a repeated send is stored again.
    KeysIgnored,
    /// Nobody is ever notified.
    NotificationsLost,
    /// A session that was found once is found even after it has ended.
    EndedSessionsCached,
    /// Mailboxes keep their incarnations when the store is restored from a backup.
    IncarnationsKept,
}
