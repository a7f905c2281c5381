use std::sync::Arc;

use super::{Caller, purge};
use crate::model::DeviceId;
use crate::ports::{DeleteDeviceOutcome, Devices, Mailboxes, PortError};

/// Deletes one of the caller's devices, with its mailbox and sessions.
pub struct DeleteDevice {
    devices: Arc<dyn Devices>,
    mailboxes: Arc<dyn Mailboxes>,
}

impl DeleteDevice {
    /// Creates the use case from its dependencies.
    pub fn new(devices: Arc<dyn Devices>, mailboxes: Arc<dyn Mailboxes>) -> Self {
        Self { devices, mailboxes }
    }

    /// Deletes a device, unless it is the caller's only device.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    pub async fn execute(&self, caller: &Caller, device: DeviceId) -> Result<DeleteDeviceOutcome, PortError> {
        let outcome = self.devices.delete(caller.user_id, device).await?;
        if outcome == DeleteDeviceOutcome::Deleted {
            // The device is deleted already. If the purge fails, the next sweep deletes the remaining envelopes.
            let _ = purge(self.mailboxes.as_ref()).await;
        }
        Ok(outcome)
    }
}
