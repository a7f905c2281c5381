use std::sync::Arc;

use super::sweep::BATCH;
use crate::model::Incarnation;
use crate::ports::{Mailboxes, PortError, Randomness};

/// Prepares a store that was restored from a backup, so that clients learn that their cursors are no longer valid.
///
/// After a restore, a mailbox assigns some sequence numbers a second time, to other envelopes: the numbers that it had
/// assigned between the backup and the restore. A reader with an old cursor would skip these envelopes. With a new
/// incarnation, the mailbox refuses old cursors, so that no envelope is skipped.
pub struct MarkRestored {
    mailboxes: Arc<dyn Mailboxes>,
    randomness: Arc<dyn Randomness>,
}

/// The result of marking a store as restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// The number of mailboxes that have a new incarnation.
    pub mailboxes: u64,
}

impl MarkRestored {
    /// Creates the use case from its dependencies.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, randomness: Arc<dyn Randomness>) -> Self {
        Self { mailboxes, randomness }
    }

    /// Gives every mailbox a new incarnation. Has to run before a server uses the restored store. Repeating the call is
    /// safe, and completes a run that was interrupted.
    ///
    /// # Errors
    ///
    /// If the store or the source of randomness fails. In that case, some mailboxes may have a new incarnation already.
    pub async fn execute(&self) -> Result<Restored, PortError> {
        let incarnation = Incarnation::from_random(self.randomness.bits()?);
        let (mut restored, mut after) = (Restored::default(), None);
        loop {
            let renewed = self.mailboxes.renew_incarnations(after, incarnation, BATCH).await?;
            let Some(last) = renewed.last() else {
                return Ok(restored);
            };
            after = Some(*last);
            restored.mailboxes += renewed.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceId;
    use crate::ports::{MockMailboxes, MockRandomness};

    #[tokio::test]
    async fn every_step_continues_after_the_last_mailbox_of_the_step_before() {
        const MAILBOXES: i64 = 2_500;
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_renew_incarnations().times(4).returning(|after, incarnation, limit| {
            assert_eq!(incarnation, Incarnation::from_random([7; 32]));
            let after = after.map_or(0, DeviceId::get);
            Ok((after + 1..=MAILBOXES.min(after + limit as i64)).map(DeviceId::new).collect())
        });
        let mut randomness = MockRandomness::new();
        randomness.expect_bits().times(1).returning(|| Ok([7; 32]));
        let restored = MarkRestored::new(Arc::new(mailboxes), Arc::new(randomness)).execute().await.unwrap();
        assert_eq!(restored, Restored { mailboxes: MAILBOXES.unsigned_abs() });
    }
}
