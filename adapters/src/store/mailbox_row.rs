use std::collections::HashSet;

use sqlx::FromRow;
use woosh_domain::model::{DeviceId, SequenceNumber, SessionId, Timestamp, UserId};
use woosh_domain::planner::{BatchState, MailboxState};
use woosh_domain::ports::NewDelivery;

use super::{Cell, SqlError};

/// A mailbox of a recipient, as loaded to plan a batch of sends.
#[derive(FromRow)]
pub(crate) struct MailboxRow {
    pub(crate) user_id: i64,
    pub(crate) username: String,
    pub(crate) device_id: i64,
    pub(crate) acknowledged: i64,
    pub(crate) last_sequence: i64,
    pub(crate) not_before: i64,
    pub(crate) pending: i64,
    pub(crate) bytes: i64,
    pub(crate) refused_from: i64,
}

impl MailboxRow {
    /// Adds the mailbox to `state`, from which the planner plans a batch of sends.
    pub(crate) fn add_to(self, state: &mut BatchState) -> Result<(), SqlError> {
        let username = Cell::by_id("users", "username", self.user_id).username(&self.username)?;
        let mailbox = MailboxState {
            device: DeviceId::new(self.device_id),
            acknowledged: SequenceNumber::new(self.acknowledged),
            last: SequenceNumber::new(self.last_sequence),
            not_before: Timestamp::from_micros(self.not_before),
            pending: self.pending.unsigned_abs(),
            bytes: self.bytes.unsigned_abs(),
            refused_from: (self.refused_from > 0).then(|| SequenceNumber::new(self.refused_from)),
            changed_at: None,
        };
        state.add_mailbox(UserId::new(self.user_id), &username, mailbox);
        Ok(())
    }
}

/// Returns the username in lower case ([`Username::key`](woosh_domain::model::Username::key)) of each recipient of
/// `sends`, sorted and without duplicates.
pub(crate) fn recipient_keys(sends: &[&NewDelivery]) -> Vec<String> {
    let recipients = sends.iter().flat_map(|send| &send.recipients);
    let mut keys: Vec<_> = recipients.map(|addressed| addressed.recipient.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Returns the sessions that requested `sends`, without duplicates.
pub(crate) fn sessions(sends: &[&NewDelivery]) -> HashSet<SessionId> {
    sends.iter().filter_map(|send| send.session).collect()
}
