use async_trait::async_trait;

use super::PortError;
use crate::model::{Password, PasswordHash};

/// Hashes and verifies passwords.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes a password.
    ///
    /// MUST use a random salt, so that equal passwords have different hashes. MUST NOT block the calling thread.
    ///
    /// # Errors
    ///
    /// If the hash cannot be computed.
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PortError>;

    /// Returns whether `hash` is a hash of `password`.
    ///
    /// If `hash` is `None`, MUST return `false` after the time that checking a wrong password takes, so that response
    /// times do not reveal which usernames exist (D9). MAY return sooner if this hasher recently verified the same
    /// password against the same hash. MUST NOT block the calling thread.
    ///
    /// # Errors
    ///
    /// If the hash cannot be parsed or computed.
    async fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PortError>;
}
