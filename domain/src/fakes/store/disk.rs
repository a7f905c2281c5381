use async_trait::async_trait;

use super::MemoryStore;
use crate::ports::{Disk, FreeSpace, PortError};

#[async_trait]
impl Disk for MemoryStore {
    async fn free_space(&self) -> Result<Option<FreeSpace>, PortError> {
        Ok(None)
    }
}
