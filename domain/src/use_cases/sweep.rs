use std::sync::Arc;

use crate::ports::{Clock, Mailboxes, PortError, StreamTickets};

/// Maximum number of envelopes, mailboxes, idempotency keys or stream tickets that one call to the store changes.
/// Larger changes are divided into several calls, so that each call blocks other requests only briefly.
pub(super) const BATCH: usize = 1000;

/// Deletes expired messages and other data that is no longer needed. Each server runs this use case periodically in the
/// background.
pub struct Sweep {
    mailboxes: Arc<dyn Mailboxes>,
    tickets: Arc<dyn StreamTickets>,
    clock: Arc<dyn Clock>,
}

impl Sweep {
    /// Creates the use case from its dependencies.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, tickets: Arc<dyn StreamTickets>, clock: Arc<dyn Clock>) -> Self {
        Self { mailboxes, tickets, clock }
    }

    /// Deletes expired messages and stream tickets, and the remaining envelopes of deleted devices.
    ///
    /// # Errors
    ///
    /// If the store fails. Some of the data may have been deleted already.
    pub async fn execute(&self) -> Result<(), PortError> {
        let now = self.clock.expiry_time();
        while self.mailboxes.expire(now, BATCH).await? >= BATCH as u64 {}
        while self.tickets.expire_tickets(now, BATCH).await? >= BATCH as u64 {}
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

    /// Expects three batches of expired envelopes, two of expired stream tickets, and three of envelopes of deleted
    /// devices. The last batch of each is not full.
    #[tokio::test]
    async fn a_sweep_deletes_everything_that_is_due_in_batches() {
        let mut clock = MockClock::new();
        clock.expect_expiry_time().returning(|| Timestamp::from_seconds(1_000_000));
        let mut mailboxes = MockMailboxes::new();
        let (mut expired, mut purges) = ([1000, 1000, 3].into_iter(), [true, true, false].into_iter());
        mailboxes
            .expect_expire()
            .withf(|now, limit| (now.seconds(), *limit) == (1_000_000, 1000))
            .times(3)
            .returning(move |_, _| Ok(expired.next().expect("too many batches")));
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
}
