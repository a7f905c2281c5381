use async_trait::async_trait;

use super::MemoryStore;
use crate::model::{Device, DeviceId, UserId};
use crate::ports::{DeleteDeviceOutcome, Devices, PortError};

#[async_trait]
impl Devices for MemoryStore {
    async fn list(&self, user: UserId) -> Result<Vec<Device>, PortError> {
        Ok(self.state().account_of(user).map(|account| account.devices.clone()).unwrap_or_default())
    }

    async fn delete(&self, user: UserId, device: DeviceId) -> Result<DeleteDeviceOutcome, PortError> {
        let mut state = self.state();
        let Some(account) = state.account_of(user) else {
            return Ok(DeleteDeviceOutcome::NotFound);
        };
        let Some(index) = account.devices.iter().position(|own| own.id == device) else {
            return Ok(DeleteDeviceOutcome::NotFound);
        };
        if account.devices.len() == 1 {
            return Ok(DeleteDeviceOutcome::Last);
        }
        account.devices.remove(index);
        account.sessions.retain(|(session, _)| session.device != device);
        state.delete_device(device);
        self.notifier.notify([device].into_iter());
        Ok(DeleteDeviceOutcome::Deleted)
    }
}
