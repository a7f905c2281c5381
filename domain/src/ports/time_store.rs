use async_trait::async_trait;

use super::PortError;
use crate::model::Timestamp;

/// The time as all replicas see it.
#[async_trait]
pub trait TimeStore: Send + Sync {
    /// Returns the current time of the clock that all replicas share. `None` if there is only one replica: its own wall
    /// clock is the right one.
    ///
    /// # Errors
    ///
    /// If the store fails, or does not answer in time.
    async fn shared_time(&self) -> Result<Option<Timestamp>, PortError>;

    /// Returns the time that [`set_trusted_time`](Self::set_trusted_time) last stored. MUST return `None` if nothing was
    /// ever stored.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn trusted_time(&self) -> Result<Option<Timestamp>, PortError>;

    /// Stores the current time, which is not in doubt. MUST replace the stored time, even by an earlier one.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn set_trusted_time(&self, now: Timestamp) -> Result<(), PortError>;
}
