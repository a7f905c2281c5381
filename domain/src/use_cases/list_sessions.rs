use std::sync::Arc;

use super::Caller;
use crate::model::Session;
use crate::ports::{PortError, Sessions};

/// Lists the caller's sessions.
pub struct ListSessions {
    sessions: Arc<dyn Sessions>,
}

impl ListSessions {
    /// Creates the use case from its dependencies.
    pub fn new(sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions }
    }

    /// Returns the caller's sessions, oldest first.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn execute(&self, caller: &Caller) -> Result<Vec<Session>, PortError> {
        self.sessions.list(caller.user_id).await
    }
}
