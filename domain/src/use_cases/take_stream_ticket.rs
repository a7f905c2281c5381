use std::sync::Arc;

use super::SessionCaller;
use super::check_token::caller;
use crate::model::Token;
use crate::ports::{Clock, PortError, Sessions, StreamTickets};

/// Uses up a stream ticket, and finds the session that it stands for.
pub struct TakeStreamTicket {
    tickets: Arc<dyn StreamTickets>,
    sessions: Arc<dyn Sessions>,
    clock: Arc<dyn Clock>,
}

impl TakeStreamTicket {
    /// Creates the use case from its dependencies.
    pub fn new(tickets: Arc<dyn StreamTickets>, sessions: Arc<dyn Sessions>, clock: Arc<dyn Clock>) -> Self {
        Self { tickets, sessions, clock }
    }

    /// Returns the caller whose session the ticket stands for. Returns `None` if the ticket was used before, has
    /// expired or never existed, or if its session has ended.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn execute(&self, ticket: &Token) -> Result<Option<SessionCaller>, PortError> {
        let Some(token) = self.tickets.take(&ticket.hash(), self.clock.now()).await? else {
            return Ok(None);
        };
        let owner = self.sessions.find(&token).await?;
        Ok(owner.map(|owner| caller(owner, token)))
    }
}
