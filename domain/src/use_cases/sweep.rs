use std::sync::Arc;

use crate::ports::{Clock, Mailboxes, PortError};

/// Maximum number of envelopes, mailboxes or idempotency keys that one call of the store changes, so that large changes
/// block other requests only briefly.
pub(super) const BATCH: usize = 1000;

/// Deletes expired messages and other data that is no longer needed. Each server runs this use case periodically in the
/// background.
pub struct Sweep {
    mailboxes: Arc<dyn Mailboxes>,
    clock: Arc<dyn Clock>,
}

impl Sweep {
    /// Minimum time for which an idempotency key is stored, in seconds: one day.
    pub const IDEMPOTENCY_KEY_SECONDS: u64 = 24 * 60 * 60;

    /// Creates the use case from its dependencies.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, clock: Arc<dyn Clock>) -> Self {
        Self { mailboxes, clock }
    }

    /// Deletes expired messages, old idempotency keys, and the remaining envelopes of deleted devices.
    ///
    /// # Errors
    ///
    /// If the store fails. Some of the data may have been deleted already.
    pub async fn execute(&self) -> Result<(), PortError> {
        let now = self.clock.expiry_time();
        while self.mailboxes.expire(now, BATCH).await? >= BATCH as u64 {}
        // Keys that were stored while the time was in doubt may have times that are too early, so no key is deleted
        // until a day after the doubt.
        if self.clock.seconds_since_doubt().is_none_or(|seconds| seconds > Self::IDEMPOTENCY_KEY_SECONDS) {
            let before = now.minus_seconds(Self::IDEMPOTENCY_KEY_SECONDS);
            while self.mailboxes.expire_idempotency_keys(before, BATCH).await? >= BATCH as u64 {}
        }
        purge(self.mailboxes.as_ref()).await
    }
}

/// Deletes all remaining envelopes of deleted devices.
pub(super) async fn purge(mailboxes: &dyn Mailboxes) -> Result<(), PortError> {
    while mailboxes.purge(BATCH).await? {}
    Ok(())
}
