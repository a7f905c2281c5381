use std::sync::Arc;

use super::Caller;
use crate::model::{SessionId, Token, TokenHash};
use crate::ports::{PortError, Sessions};

/// Finds out whose a token is.
pub struct CheckToken {
    sessions: Arc<dyn Sessions>,
}

/// Who is asking, by which session.
#[derive(Debug, Clone)]
pub struct SessionCaller {
    /// The user and its device.
    pub caller: Caller,
    /// The session.
    pub session: SessionId,
    /// What is kept of its token, to see later whether it still goes on.
    pub token: TokenHash,
}

impl CheckToken {
    /// Works on this port.
    pub fn new(sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions }
    }

    /// Whose a token is; nobody's where its session has ended or never was.
    ///
    /// # Errors
    ///
    /// Where the port fails.
    pub async fn execute(&self, token: &Token) -> Result<Option<SessionCaller>, PortError> {
        let token = token.hash();
        let owner = self.sessions.find(&token).await?;
        Ok(owner.map(|owner| SessionCaller {
            caller: Caller { user_id: owner.user_id, username: owner.username, device: owner.device },
            session: owner.session,
            token,
        }))
    }
}
