use std::sync::Arc;

use super::Caller;
use super::sweep::BATCH;
use crate::model::{CursorError, Incarnation, MailboxPosition, SequenceNumber};
use crate::ports::{AcknowledgeOutcome, Mailboxes, PortError};

/// Acknowledges messages that a device has processed, and thereby deletes them from the device's mailbox.
pub struct Acknowledge {
    mailboxes: Arc<dyn Mailboxes>,
}

/// Why nothing was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AcknowledgeError {
    /// `up_to` is higher than any sequence number that the mailbox has assigned.
    #[error("up_to is beyond the newest sequence number of the mailbox, {}", .0.last.get())]
    Beyond(MailboxPosition),
    /// The given incarnation is not the mailbox's incarnation, so `up_to` may refer to other envelopes.
    #[error("{}", CursorError::OtherIncarnation(*.0))]
    OtherIncarnation(MailboxPosition),
    /// The session ended after the caller was authenticated.
    #[error("the session has ended")]
    SessionEnded,
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl Acknowledge {
    /// Creates the use case from its dependencies.
    pub fn new(mailboxes: Arc<dyn Mailboxes>) -> Self {
        Self { mailboxes }
    }

    /// Acknowledges everything up to the sequence number `up_to`. Returns the last acknowledged sequence number, which
    /// is higher than `up_to` if more was acknowledged before. Repeating the call, or acknowledging a lower number,
    /// changes nothing (D5).
    ///
    /// # Errors
    ///
    /// If `up_to` was not assigned yet, the mailbox has another incarnation than the given one, the session has ended,
    /// or the store fails. If the store fails, the oldest envelopes may have been acknowledged already. Retrying is
    /// safe.
    pub async fn execute(
        &self,
        caller: &Caller,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
    ) -> Result<SequenceNumber, AcknowledgeError> {
        loop {
            match self.mailboxes.acknowledge(caller.device, up_to, incarnation, BATCH).await? {
                AcknowledgeOutcome::UpTo(reached) if reached >= up_to => return Ok(reached),
                AcknowledgeOutcome::UpTo(_) => {}
                AcknowledgeOutcome::Refused(CursorError::Ahead(position)) => {
                    return Err(AcknowledgeError::Beyond(position));
                }
                AcknowledgeOutcome::Refused(CursorError::OtherIncarnation(position)) => {
                    return Err(AcknowledgeError::OtherIncarnation(position));
                }
                // If there is no mailbox, the session has ended, because a mailbox is deleted together with the
                // sessions of its device.
                AcknowledgeOutcome::NotFound => return Err(AcknowledgeError::SessionEnded),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, UserId, Username};
    use crate::ports::MockMailboxes;

    #[tokio::test]
    async fn large_acknowledgements_run_in_batches() {
        let mut mailboxes = MockMailboxes::new();
        let mut reached = 0;
        mailboxes.expect_acknowledge().times(3).returning(move |_, up_to, _, limit| {
            reached += limit as i64;
            Ok(AcknowledgeOutcome::UpTo(SequenceNumber::new(reached).min(up_to)))
        });
        let caller =
            Caller { user_id: UserId::new(1), username: Username::new("alice").unwrap(), device: DeviceId::new(1) };
        let up_to = SequenceNumber::new(2_500);
        let reached = Acknowledge::new(Arc::new(mailboxes)).execute(&caller, up_to, None).await.unwrap();
        assert_eq!(reached, up_to);
    }
}
