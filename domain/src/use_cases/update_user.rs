use std::sync::Arc;

use super::{Caller, Room};
use crate::model::{User, Version};
use crate::ports::{PortError, UpdateUserOutcome, UserChange, Users};

/// Updates the caller's public key and vault.
pub struct UpdateUser {
    users: Arc<dyn Users>,
    room: Arc<Room>,
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
    /// The store has no room for more data.
    #[error("there is no room for more data")]
    StorageFull,
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl UpdateUser {
    /// Creates the use case from its dependencies.
    pub fn new(users: Arc<dyn Users>, room: Arc<Room>) -> Self {
        Self { users, room }
    }

    /// Applies a change, and returns the updated user. If `expected` is given, applies the change only if the user has
    /// that version.
    ///
    /// # Errors
    ///
    /// If the user has another version or was deleted, the disk has too little free space, or the store fails.
    pub async fn execute(
        &self,
        caller: &Caller,
        change: UserChange,
        expected: Option<Version>,
    ) -> Result<User, UpdateUserError> {
        if !self.room.is_left() {
            return Err(UpdateUserError::StorageFull);
        }
        match self.users.update(caller.user_id, change, expected).await? {
            UpdateUserOutcome::Updated(user) => Ok(user),
            UpdateUserOutcome::VersionMismatch => Err(UpdateUserError::VersionMismatch),
            UpdateUserOutcome::NotFound => Err(UpdateUserError::NotFound),
        }
    }
}
