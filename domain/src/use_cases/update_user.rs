use std::sync::Arc;

use super::Caller;
use crate::model::{User, Version};
use crate::ports::{PortError, UpdateUserOutcome, UserChange, Users};

/// Changes the caller's public key and vault.
pub struct UpdateUser {
    users: Arc<dyn Users>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateUserError {
    /// The user has changed since the caller saw it.
    #[error("the user has changed since: get it, and change what it is now")]
    VersionMismatch,
    /// The user was deleted after it was authenticated.
    #[error("the user is gone")]
    NotFound,
    /// The port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl UpdateUser {
    /// Works on this port.
    pub fn new(users: Arc<dyn Users>) -> Self {
        Self { users }
    }

    /// Makes a change, only to the expected version where one is given, and gives the user as it is then.
    ///
    /// # Errors
    ///
    /// Where the user has another version or is gone, or the port fails.
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
