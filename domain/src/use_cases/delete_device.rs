use std::sync::Arc;

use super::{Caller, purge};
use crate::model::DeviceId;
use crate::ports::{DeleteDeviceOutcome, Devices, Mailboxes, PortError};

/// Deletes a device of the caller, with its mailbox and sessions.
pub struct DeleteDevice {
    devices: Arc<dyn Devices>,
    mailboxes: Arc<dyn Mailboxes>,
}

impl DeleteDevice {
    /// Works on these ports.
    pub fn new(devices: Arc<dyn Devices>, mailboxes: Arc<dyn Mailboxes>) -> Self {
        Self { devices, mailboxes }
    }

    /// Deletes a device; never the caller's last one.
    ///
    /// # Errors
    ///
    /// Where a port fails; then nothing was deleted.
    pub async fn execute(&self, caller: &Caller, device: DeviceId) -> Result<DeleteDeviceOutcome, PortError> {
        let deletion = self.devices.delete(caller.user_id, device).await?;
        if deletion == DeleteDeviceOutcome::Deleted {
            // It is gone. What is left where this fails is for the next who tidies up.
            let _ = purge(self.mailboxes.as_ref()).await;
        }
        Ok(deletion)
    }
}
