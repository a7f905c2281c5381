use async_trait::async_trait;

use super::PortError;
use crate::model::{Device, DeviceId, UserId};

/// The outcome of deleting a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteDeviceOutcome {
    /// The device was deleted.
    Deleted,
    /// It is the user's last device and was not deleted.
    Last,
    /// The user has no such device.
    NotFound,
}

/// The devices of all users.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Devices: Send + Sync {
    /// Returns a user's devices, oldest first.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn list(&self, user: UserId) -> Result<Vec<Device>, PortError>;

    /// Deletes a device of a user with its mailbox and sessions.
    ///
    /// MUST NOT delete another user's device or the user's last device, even if two calls run concurrently. MUST have
    /// ended the device's sessions on every replica when it returns, and MUST notify readers that wait on the device.
    /// The envelopes of its mailbox MUST be unreadable from then on; deleting them MAY be left to
    /// [`Mailboxes::purge`](super::Mailboxes::purge).
    ///
    /// # Errors
    ///
    /// If the store fails; nothing is deleted then.
    async fn delete(&self, user: UserId, device: DeviceId) -> Result<DeleteDeviceOutcome, PortError>;
}
