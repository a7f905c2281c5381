use async_trait::async_trait;

use super::{MemoryStore, State};
use crate::model::{MAX_STREAM_TICKETS, SessionId, Timestamp, TokenHash};
use crate::ports::{NewStreamTicket, PortError, StreamTickets};

#[async_trait]
impl StreamTickets for MemoryStore {
    async fn issue(&self, new: NewStreamTicket) -> Result<bool, PortError> {
        let state = &mut *self.state();
        if state.token_of(new.session).is_none() {
            return Ok(false);
        }
        let of_session = |ticket: &&NewStreamTicket| ticket.session == new.session;
        if state.stream_tickets.iter().filter(of_session).count() >= MAX_STREAM_TICKETS
            && let Some(first) = state.stream_tickets.iter().filter(of_session).min_by_key(|ticket| ticket.expires_at)
        {
            let first = first.ticket;
            state.stream_tickets.retain(|ticket| ticket.ticket != first);
        }
        state.stream_tickets.push(new);
        Ok(true)
    }

    async fn take(&self, ticket: &TokenHash, now: Timestamp) -> Result<Option<TokenHash>, PortError> {
        let state = &mut *self.state();
        let taken = |stored: &NewStreamTicket| stored.ticket == *ticket && stored.expires_at > now;
        let Some(index) = state.stream_tickets.iter().position(taken) else {
            return Ok(None);
        };
        let session = state.stream_tickets.remove(index).session;
        Ok(state.token_of(session))
    }

    async fn expire_tickets(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        let mut deleted = 0;
        self.state().stream_tickets.retain(|ticket| {
            let is_deleted = ticket.expires_at <= now && deleted < limit as u64;
            deleted += u64::from(is_deleted);
            !is_deleted
        });
        Ok(deleted)
    }
}

impl State {
    /// Returns the hash of the token of an open session.
    fn token_of(&self, session: SessionId) -> Option<TokenHash> {
        let mut sessions = self.accounts.iter().flat_map(|account| &account.sessions);
        sessions.find(|(open, _)| open.id == session).map(|(_, token)| *token)
    }
}
