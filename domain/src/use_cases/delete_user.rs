use std::sync::Arc;

use super::{Caller, purge};
use crate::ports::{Mailboxes, PortError, Users};

/// Deletes the caller with all that belongs to it.
pub struct DeleteUser {
    users: Arc<dyn Users>,
    mailboxes: Arc<dyn Mailboxes>,
}

impl DeleteUser {
    /// Works on these ports.
    pub fn new(users: Arc<dyn Users>, mailboxes: Arc<dyn Mailboxes>) -> Self {
        Self { users, mailboxes }
    }

    /// Deletes the caller: its keys, vault, devices, sessions, and what waits in its mailboxes. Its name is not given out
    /// again. What it has sent stays with its recipients.
    ///
    /// # Errors
    ///
    /// Where a port fails. The user may be gone by then, and the rest of what it had goes later.
    pub async fn execute(&self, caller: &Caller) -> Result<(), PortError> {
        if self.users.delete(caller.user_id).await? {
            purge(self.mailboxes.as_ref()).await?;
        }
        Ok(())
    }
}
