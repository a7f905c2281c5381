use std::sync::Arc;

use crate::model::{User, Username};
use crate::ports::{PortError, Users};

/// Looks a user up by its exact name.
pub struct FindUser {
    users: Arc<dyn Users>,
}

impl FindUser {
    /// Works on this port.
    pub fn new(users: Arc<dyn Users>) -> Self {
        Self { users }
    }

    /// The user of that name, in any spelling of ASCII case. Who may see which part of it is for the API to say.
    ///
    /// # Errors
    ///
    /// Where the port fails.
    pub async fn execute(&self, username: &Username) -> Result<Option<User>, PortError> {
        self.users.find(username).await
    }
}
