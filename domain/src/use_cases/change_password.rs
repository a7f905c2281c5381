use std::sync::Arc;

use super::SessionCaller;
use super::authenticate::verify;
use crate::model::Password;
use crate::ports::{PasswordHasher, PortError, Users};

/// Changes the caller's password.
pub struct ChangePassword {
    users: Arc<dyn Users>,
    hasher: Arc<dyn PasswordHasher>,
}

/// Why the password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The old password is wrong.
    #[error("old_password is wrong")]
    WrongPassword,
    /// The store or the password hasher failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ChangePassword {
    /// Creates the use case from its dependencies.
    pub fn new(users: Arc<dyn Users>, hasher: Arc<dyn PasswordHasher>) -> Self {
        Self { users, hasher }
    }

    /// Replaces the caller's password, and ends all sessions of the user except the calling session.
    ///
    /// # Errors
    ///
    /// If the old password is wrong, or if the store or the password hasher fails.
    pub async fn execute(
        &self,
        caller: &SessionCaller,
        old: &Password,
        new: &Password,
    ) -> Result<(), ChangePasswordError> {
        let username = Some(&caller.caller.username);
        let credential = verify(self.users.as_ref(), self.hasher.as_ref(), username, old).await?;
        let credential = credential.ok_or(ChangePasswordError::WrongPassword)?;
        let hash = self.hasher.hash(new).await?;
        let old = &credential.password_hash;
        // The password may have changed since it was verified.
        match self.users.set_password(caller.caller.user_id, old, hash, caller.session).await? {
            true => Ok(()),
            false => Err(ChangePasswordError::WrongPassword),
        }
    }
}
