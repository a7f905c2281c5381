use std::sync::Arc;

use super::Caller;
use crate::model::{Info, User};
use crate::ports::{PortError, Users};

/// Changes what a user's vault holds.
pub struct UpdateUser {
    users: Arc<dyn Users>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateUserError {
    /// The user was deleted after it was authenticated.
    #[error("the user is gone")]
    Gone,
    /// The port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl UpdateUser {
    /// Works on this port.
    pub fn new(users: Arc<dyn Users>) -> Self {
        Self { users }
    }

    /// Replaces the caller's info, and gives the user as it is then.
    ///
    /// # Errors
    ///
    /// Where the user is gone, or the port fails.
    pub async fn execute(&self, caller: &Caller, info: Info) -> Result<User, UpdateUserError> {
        self.users.set_info(caller.user_id, info).await?.ok_or(UpdateUserError::Gone)
    }
}
