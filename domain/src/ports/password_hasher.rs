use async_trait::async_trait;

use super::PortError;
use crate::model::{Password, PasswordHash};

/// Turns passwords into what may be kept of them.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes a password.
    ///
    /// MUST salt it, so that equal passwords have different hashes. MUST NOT hold up the calling thread.
    ///
    /// # Errors
    ///
    /// Where the hash can't be computed.
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PortError>;

    /// Tells whether `hash` was made from `password`.
    ///
    /// MUST answer `false` where there is no hash, after as long as a wrong password takes, so that nobody learns from
    /// the time which usernames exist. MAY answer faster where it has lately verified the same password against the
    /// same hash. MUST NOT hold up the calling thread.
    ///
    /// # Errors
    ///
    /// Where the hash can't be read or computed.
    async fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PortError>;
}
