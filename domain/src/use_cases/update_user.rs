use std::sync::Arc;

use super::Caller;
use crate::model::{User, Version};
use crate::ports::{PortError, UpdateUserOutcome, UserChange, Users};

/// Updates the caller's public key and vault.
pub struct UpdateUser {
    users: Arc<dyn Users>,
}

/// Why an update was refused.
#[derive(Debug, thiserror::Error)]
pub enum UpdateUserError {
    /// The user has another version than the caller expected.
    #[error("the user has another version than expected: read the user again, then repeat the change")]
    VersionMismatch,
    /// The user was deleted after the request was authenticated.
    #[error("the user was deleted")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl UpdateUser {
    /// Creates the use case from its dependencies.
    pub fn new(users: Arc<dyn Users>) -> Self {
        Self { users }
    }

    /// Applies a change, and returns the updated user. If `expected` is given, applies the change only if the user has
    /// that version.
    ///
    /// # Errors
    ///
    /// If the user has another version or was deleted, or the store fails.
    pub async fn execute(
        &self,
        caller: &Caller,
        change: UserChange,
        expected: Option<Version>,
    ) -> Result<User, UpdateUserError> {
        match self.users.update(caller.user_id, change, expected).await? {
            UpdateUserOutcome::Updated(user) => Ok(user),
            UpdateUserOutcome::VersionMismatch => Err(UpdateUserError::VersionMismatch),
            UpdateUserOutcome::NotFound => Err(UpdateUserError::NotFound),
        }
    }
}
