use std::sync::Arc;

use crate::ports::{Clock, Mailboxes, PortError, StreamTickets};

/// Maximum number of envelopes, mailboxes or idempotency keys that one call to the store changes, except in a sweep.
/// Larger changes are divided into several calls, so that each call blocks other requests only briefly.
pub(super) const BATCH: usize = 1000;
/// Maximum number of envelopes or stream tickets that a sweep deletes in one call to the store. On SQLite, all other
/// writes wait for this call.
const STEP: usize = 100;

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

    /// Deletes expired messages and stream tickets, and the remaining envelopes of deleted devices, step by step.
    ///
    /// # Errors
    ///
    /// If the store fails. Some of the data may have been deleted already.
    pub async fn execute(&self) -> Result<(), PortError> {
        while self.step().await? {}
        Ok(())
    }

    /// Deletes at most 100 of each: expired envelopes, expired tickets, and envelopes of deleted devices. Returns
    /// whether more may be left. Between two steps, the caller can pause, so that a long sweep leaves the database to
    /// requests for a part of the time.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn step(&self) -> Result<bool, PortError> {
        let now = self.clock.expiry_time();
        Ok(self.mailboxes.expire(now, STEP).await? >= STEP as u64
            || self.tickets.expire_tickets(now, STEP).await? >= STEP as u64
            || self.mailboxes.purge(STEP).await?)
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

    /// Three steps delete expired envelopes, one deletes expired stream tickets, and two delete envelopes of deleted
    /// devices. The third step deletes the last three envelopes, and goes on with tickets.
    #[tokio::test]
    async fn a_sweep_deletes_everything_that_is_due_in_small_steps() {
        let mut clock = MockClock::new();
        clock.expect_expiry_time().returning(|| Timestamp::from_seconds(1_000_000));
        let mut mailboxes = MockMailboxes::new();
        let (mut expired, mut purges) = ([100, 100, 3, 0, 0, 0].into_iter(), [true, true, false].into_iter());
        mailboxes
            .expect_expire()
            .withf(|now, limit| (now.seconds(), *limit) == (1_000_000, 100))
            .times(6)
            .returning(move |_, _| Ok(expired.next().expect("too many steps")));
        mailboxes
            .expect_purge()
            .withf(|limit| *limit == 100)
            .times(3)
            .returning(move |_| Ok(purges.next().expect("too many steps")));
        let (mut tickets, mut used) = (MockStreamTickets::new(), [100, 0, 0, 0].into_iter());
        tickets
            .expect_expire_tickets()
            .withf(|now, limit| (now.seconds(), *limit) == (1_000_000, 100))
            .times(4)
            .returning(move |_, _| Ok(used.next().expect("too many steps")));
        Sweep::new(Arc::new(mailboxes), Arc::new(tickets), Arc::new(clock)).execute().await.unwrap();
    }
}
