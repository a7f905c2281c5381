use std::sync::Arc;

use crate::model::{User, Username};
use crate::ports::{PortError, Users};

/// Looks up a user by username.
pub struct FindUser {
    users: Arc<dyn Users>,
}

impl FindUser {
    /// Creates the use case from its dependencies.
    pub fn new(users: Arc<dyn Users>) -> Self {
        Self { users }
    }

    /// Returns the user `username`, ignoring ASCII case. The API decides which fields the client may see.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn execute(&self, username: &Username) -> Result<Option<User>, PortError> {
        self.users.find(username).await
    }
}
