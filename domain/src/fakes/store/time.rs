use async_trait::async_trait;

use super::MemoryStore;
use crate::model::Timestamp;
use crate::ports::{PortError, TimeStore};

#[async_trait]
impl TimeStore for MemoryStore {
    async fn shared_time(&self) -> Result<Option<Timestamp>, PortError> {
        Ok(None)
    }

    async fn trusted_time(&self) -> Result<Option<Timestamp>, PortError> {
        Ok(self.state().trusted_time)
    }

    async fn set_trusted_time(&self, now: Timestamp) -> Result<(), PortError> {
        self.state().trusted_time = Some(now);
        Ok(())
    }
}
