use std::sync::Arc;

use super::Caller;
use crate::model::SessionId;
use crate::ports::{PortError, Sessions};

/// Ends a session of the caller.
pub struct EndSession {
    sessions: Arc<dyn Sessions>,
}

impl EndSession {
    /// Works on this port.
    pub fn new(sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions }
    }

    /// Ends a session at once, on every replica, and returns whether the caller had it.
    ///
    /// # Errors
    ///
    /// Where the port fails.
    pub async fn execute(&self, caller: &Caller, session: SessionId) -> Result<bool, PortError> {
        self.sessions.end(caller.user_id, session).await
    }
}
