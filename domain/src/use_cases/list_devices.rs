use std::sync::Arc;

use super::Caller;
use crate::model::Device;
use crate::ports::{Devices, PortError};

/// Lists the caller's devices.
pub struct ListDevices {
    devices: Arc<dyn Devices>,
}

impl ListDevices {
    /// Creates the use case from its dependencies.
    pub fn new(devices: Arc<dyn Devices>) -> Self {
        Self { devices }
    }

    /// Returns the caller's devices, oldest first.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn execute(&self, caller: &Caller) -> Result<Vec<Device>, PortError> {
        self.devices.list(caller.user_id).await
    }
}
