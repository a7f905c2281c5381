use std::sync::Arc;

use crate::ports::{Clock, Mailboxes, PortError};

/// The most that one step deletes, so that whoever deletes a great many holds up others for moments only.
pub(super) const BATCH: usize = 1000;

/// Deletes what nobody can have any more. A server does this again and again in the background.
pub struct Sweep {
    mailboxes: Arc<dyn Mailboxes>,
    clock: Arc<dyn Clock>,
}

impl Sweep {
    /// How many seconds an idempotency key is remembered: a day.
    pub const IDEMPOTENCY_KEY_SECONDS: u64 = 24 * 60 * 60;

    /// Works on these ports.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, clock: Arc<dyn Clock>) -> Self {
        Self { mailboxes, clock }
    }

    /// Deletes expired messages, forgets old idempotency keys, and finishes what the deletion of a device or user left
    /// where it broke off.
    ///
    /// # Errors
    ///
    /// Where the port fails. Some may be deleted by then.
    pub async fn execute(&self) -> Result<(), PortError> {
        let now = self.clock.now();
        while self.mailboxes.expire(now, BATCH).await? >= BATCH as u64 {}
        let before = now.minus_seconds(Self::IDEMPOTENCY_KEY_SECONDS);
        while self.mailboxes.expire_idempotency_keys(before, BATCH).await? >= BATCH as u64 {}
        purge(self.mailboxes.as_ref()).await
    }
}

/// Deletes all that deleted devices had.
pub(super) async fn purge(mailboxes: &dyn Mailboxes) -> Result<(), PortError> {
    while mailboxes.purge(BATCH).await? {}
    Ok(())
}
