use async_trait::async_trait;

use super::PortError;
use crate::model::{Device, DeviceId, UserId};

/// The outcome of deleting a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteDeviceOutcome {
    /// The device was deleted.
    Deleted,
    /// The device is the user's only device, and was not deleted.
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

    /// Deletes a device of a user, together with the device's mailbox and sessions.
    ///
    /// MUST NOT delete another user's device or the user's last device, even if two calls run concurrently. When this
    /// method returns, the device's sessions MUST have ended on every replica, and the envelopes of the device's
    /// mailbox MUST be unreadable. An implementation MAY leave the deletion of the envelopes to
    /// [`Mailboxes::purge`](super::Mailboxes::purge). MUST notify readers that wait on the device.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    async fn delete(&self, user: UserId, device: DeviceId) -> Result<DeleteDeviceOutcome, PortError>;
}
