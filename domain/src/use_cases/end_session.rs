use std::sync::Arc;

use super::Caller;
use crate::model::SessionId;
use crate::ports::{PortError, Sessions};

/// Ends one of the caller's sessions.
pub struct EndSession {
    sessions: Arc<dyn Sessions>,
}

impl EndSession {
    /// Creates the use case from its dependencies.
    pub fn new(sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions }
    }

    /// Ends a session of the caller, immediately and on every replica. Returns `false` if the caller has no session
    /// with this identifier.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn execute(&self, caller: &Caller, session: SessionId) -> Result<bool, PortError> {
        self.sessions.end(caller.user_id, session).await
    }
}
