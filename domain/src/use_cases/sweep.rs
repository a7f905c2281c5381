use std::sync::Arc;

use crate::ports::{Clock, Mailboxes, PortError, StreamTickets};

/// Maximum number of envelopes, mailboxes, idempotency keys or stream tickets that one call of the store changes, so that large changes
/// block other requests only briefly.
pub(super) const BATCH: usize = 1000;

/// Deletes expired messages and other data that is no longer needed. Each server runs this use case periodically in the
/// background.
pub struct Sweep {
    mailboxes: Arc<dyn Mailboxes>,
    tickets: Arc<dyn StreamTickets>,
    clock: Arc<dyn Clock>,
}

impl Sweep {
    /// Minimum time for which an idempotency key is stored, in seconds: one day.
    pub const IDEMPOTENCY_KEY_SECONDS: u64 = 24 * 60 * 60;

    /// Creates the use case from its dependencies.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, tickets: Arc<dyn StreamTickets>, clock: Arc<dyn Clock>) -> Self {
        Self { mailboxes, tickets, clock }
    }

    /// Deletes expired messages and stream tickets, old idempotency keys, and the remaining envelopes of deleted
    /// devices.
    ///
    /// # Errors
    ///
    /// If the store fails. Some of the data may have been deleted already.
    pub async fn execute(&self) -> Result<(), PortError> {
        let now = self.clock.expiry_time();
        while self.mailboxes.expire(now, BATCH).await? >= BATCH as u64 {}
        while self.tickets.expire_tickets(now, BATCH).await? >= BATCH as u64 {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::ports::{MockClock, MockMailboxes, MockStreamTickets};

    /// Sweeps mocked mailboxes while the clock's expiry time is 1,000,000 seconds. The time was last in doubt
    /// `since_doubt` seconds ago, or never. Expects three batches of expired envelopes, two of expired stream tickets,
    /// three of envelopes of deleted devices, and, only if `deletes_keys`, two of idempotency keys. The last batch of each is not full.
    async fn sweep(since_doubt: Option<u64>, deletes_keys: bool) {
        let mut clock = MockClock::new();
        clock.expect_expiry_time().returning(|| Timestamp::from_seconds(1_000_000));
        clock.expect_seconds_since_doubt().return_const(since_doubt);
        let mut mailboxes = MockMailboxes::new();
        let (mut expired, mut keys, mut purges) =
            ([1000, 1000, 3].into_iter(), [1000, 0].into_iter(), [true, true, false].into_iter());
        mailboxes
            .expect_expire()
            .withf(|now, limit| (now.seconds(), *limit) == (1_000_000, 1000))
            .times(3)
            .returning(move |_, _| Ok(expired.next().expect("too many batches")));
        mailboxes
            .expect_expire_idempotency_keys()
            .withf(|before, limit| (before.seconds(), *limit) == (1_000_000 - 86_400, 1000))
            .times(if deletes_keys { 2 } else { 0 })
            .returning(move |_, _| Ok(keys.next().expect("too many batches")));
        mailboxes
            .expect_purge()
            .withf(|limit| *limit == 1000)
            .times(3)
            .returning(move |_| Ok(purges.next().expect("too many batches")));
        let (mut tickets, mut used) = (MockStreamTickets::new(), [1000, 0].into_iter());
        tickets
            .expect_expire_tickets()
            .withf(|now, limit| (now.seconds(), *limit) == (1_000_000, 1000))
            .times(2)
            .returning(move |_, _| Ok(used.next().expect("too many batches")));
        Sweep::new(Arc::new(mailboxes), Arc::new(tickets), Arc::new(clock)).execute().await.unwrap();
    }

    /// Verifies promise D4 (idempotent send): keys are kept for a day.
    #[tokio::test]
    async fn a_sweep_deletes_everything_that_is_due_in_batches() {
        sweep(None, true).await;
        sweep(Some(86_401), true).await;
    }

    #[tokio::test]
    async fn keys_are_kept_for_a_day_after_the_time_was_in_doubt() {
        sweep(Some(0), false).await;
        sweep(Some(86_400), false).await;
    }
}
