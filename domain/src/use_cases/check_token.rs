use std::sync::Arc;

use super::{Caller, SessionCaller};
use crate::model::{Token, TokenHash};
use crate::ports::{PortError, SessionOwner, Sessions};

/// Finds the owner of a bearer token.
pub struct CheckToken {
    sessions: Arc<dyn Sessions>,
}

impl CheckToken {
    /// Creates the use case from its dependencies.
    pub fn new(sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions }
    }

    /// Returns the owner of a token, or `None` if the token's session has ended or never existed.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn execute(&self, token: &Token) -> Result<Option<SessionCaller>, PortError> {
        let token = token.hash();
        let owner = self.sessions.find(&token).await?;
        Ok(owner.map(|owner| caller(owner, token)))
    }

    /// Returns the owner of a token like [`Self::execute`], but without a query if this server still has the owner in
    /// memory. In that case, the session may already have ended on another replica. Only for use cases that check the
    /// session again when they store data.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn recall(&self, token: &Token) -> Result<Option<SessionCaller>, PortError> {
        let hash = token.hash();
        match self.sessions.recall(&hash) {
            Some(owner) => Ok(Some(caller(owner, hash))),
            None => self.execute(token).await,
        }
    }
}

/// Returns the caller that a session authenticates.
pub(super) fn caller(owner: SessionOwner, token: TokenHash) -> SessionCaller {
    SessionCaller {
        caller: Caller { user_id: owner.user_id, username: owner.username, device: owner.device },
        session: owner.session,
        token,
    }
}
