use async_trait::async_trait;

use super::PortError;
use crate::model::Timestamp;

/// Reads the clock that all replicas share. Also keeps the *trusted time*: the current time, which servers store
/// periodically while the time is not in doubt.
#[async_trait]
pub trait TimeStore: Send + Sync {
    /// Returns the current time of the clock that all replicas share. `None` if the store allows only one replica,
    /// which uses its own wall clock instead.
    ///
    /// # Errors
    ///
    /// If the store fails, or does not answer in time.
    async fn shared_time(&self) -> Result<Option<Timestamp>, PortError>;

    /// Returns the time that [`set_trusted_time`](Self::set_trusted_time) last stored. MUST return `None` if no time
    /// was ever stored.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn trusted_time(&self) -> Result<Option<Timestamp>, PortError>;

    /// Stores the current time, so that a server that starts later can tell whether its clock is plausible. Callers
    /// call this only while the time is not in doubt. MUST replace the stored time, even by an earlier one.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn set_trusted_time(&self, now: Timestamp) -> Result<(), PortError>;
}
