use async_trait::async_trait;

use super::PortError;
use crate::model::{Device, DeviceId, UserId};

/// What became of a device that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteDeviceOutcome {
    /// It is gone.
    Deleted,
    /// It is the user's last, and stays.
    Last,
    /// The user has no such device.
    NotFound,
}

/// The devices of users.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Devices: Send + Sync {
    /// The devices of a user, oldest first.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn list(&self, user: UserId) -> Result<Vec<Device>, PortError>;

    /// Deletes a device of a user with its mailbox and sessions.
    ///
    /// MUST leave alone what is another user's, and the user's last device, also when two such calls run at once. MUST
    /// have ended the sessions, on every replica, when it returns, and wake who waits on the device. What was in the
    /// mailbox MAY be left to [`Mailboxes::purge`](super::Mailboxes::purge); nobody can read it any more.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was deleted.
    async fn delete(&self, user: UserId, device: DeviceId) -> Result<DeleteDeviceOutcome, PortError>;
}
