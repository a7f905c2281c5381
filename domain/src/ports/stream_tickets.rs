use async_trait::async_trait;

use super::PortError;
use crate::model::{SessionId, Timestamp, TokenHash};

/// A stream ticket to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewStreamTicket {
    /// The hash of the ticket.
    pub ticket: TokenHash,
    /// The session that the ticket stands for.
    pub session: SessionId,
    /// When the ticket expires.
    pub expires_at: Timestamp,
}

/// The stream tickets of all sessions. A stream ticket stands for a session once, for a short time.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait StreamTickets: Send + Sync {
    /// Stores a ticket. Returns false if the session has ended.
    ///
    /// MUST store nothing if the session has ended. If the session would have more than
    /// [`MAX_STREAM_TICKETS`](crate::model::MAX_STREAM_TICKETS) tickets, MUST delete those of its other tickets that
    /// expire first.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, no ticket is stored.
    async fn issue(&self, ticket: NewStreamTicket) -> Result<bool, PortError>;

    /// Deletes a ticket, and returns the hash of the token of its session. Returns `None` if there is no such ticket.
    ///
    /// MUST return `None` if the ticket expires at or before `now`, or if its session has ended. If a ticket is taken
    /// several times at once, on any replica, MUST return the hash once at most.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn take(&self, ticket: &TokenHash, now: Timestamp) -> Result<Option<TokenHash>, PortError>;

    /// Deletes at most `limit` tickets that expire at or before `now`. Returns the number of deleted tickets.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, no ticket is deleted.
    async fn expire_tickets(&self, now: Timestamp, limit: usize) -> Result<u64, PortError>;
}
