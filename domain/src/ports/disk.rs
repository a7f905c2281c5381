use async_trait::async_trait;

use super::PortError;

/// The disk that the store is on.
#[async_trait]
pub trait Disk: Send + Sync {
    /// Returns the space into which the store can grow. `None` if the store can't see its disk, because the disk is on
    /// another machine.
    ///
    /// # Errors
    ///
    /// If the space can't be determined.
    async fn free_space(&self) -> Result<Option<FreeSpace>, PortError>;
}

/// Space for new data, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Free space of the disk that the server may use. Does not include space that the file system reserves for root.
    pub on_disk: u64,
    /// Space inside the files of the store that deleted data has left free. The store reuses this space for new data.
    pub in_files: u64,
}
