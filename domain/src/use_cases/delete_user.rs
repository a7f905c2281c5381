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
    /// Where a port fails; then nothing was deleted.
    pub async fn execute(&self, caller: &Caller) -> Result<(), PortError> {
        if self.users.delete(caller.user_id).await? {
            // It is gone. What is left where this fails is for the next who tidies up.
            let _ = purge(self.mailboxes.as_ref()).await;
        }
        Ok(())
    }
}
