use std::sync::Arc;

use super::{Caller, purge};
use crate::ports::{Mailboxes, PortError, Users};

/// Deletes the caller's account with its devices, sessions and mailboxes.
pub struct DeleteUser {
    users: Arc<dyn Users>,
    mailboxes: Arc<dyn Mailboxes>,
}

impl DeleteUser {
    /// Creates the use case from its dependencies.
    pub fn new(users: Arc<dyn Users>, mailboxes: Arc<dyn Mailboxes>) -> Self {
        Self { users, mailboxes }
    }

    /// Deletes the caller's account: public key, vault, devices, sessions, and mailboxes with their pending messages.
    /// The username cannot be registered again. Messages that the user sent remain with their recipients.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    pub async fn execute(&self, caller: &Caller) -> Result<(), PortError> {
        if self.users.delete(caller.user_id).await? {
            // The user is deleted already. If the purge fails, the next sweep deletes the remaining envelopes.
            let _ = purge(self.mailboxes.as_ref()).await;
        }
        Ok(())
    }
}
