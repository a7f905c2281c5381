use std::sync::Arc;

use super::SessionCaller;
use crate::model::{Timestamp, Token};
use crate::ports::{Clock, NewStreamTicket, PortError, Randomness, StreamTickets};

/// Creates a stream ticket: a one-use token with which a client opens an event stream if it can't send headers.
pub struct CreateStreamTicket {
    tickets: Arc<dyn StreamTickets>,
    randomness: Arc<dyn Randomness>,
    clock: Arc<dyn Clock>,
}

/// A new stream ticket.
#[derive(Debug, Clone)]
pub struct StreamTicket {
    /// The ticket itself. The store keeps only its hash, so the server cannot return the ticket again.
    pub ticket: Token,
    /// When the ticket expires.
    pub expires_at: Timestamp,
}

/// Why no stream ticket was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateStreamTicketError {
    /// The session ended after its token was checked.
    #[error("the session has ended")]
    SessionEnded,
    /// The store or the source of randomness failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl CreateStreamTicket {
    /// Time for which a ticket is valid, in seconds.
    pub const SECONDS: u64 = 30;

    /// Creates the use case from its dependencies.
    pub fn new(tickets: Arc<dyn StreamTickets>, randomness: Arc<dyn Randomness>, clock: Arc<dyn Clock>) -> Self {
        Self { tickets, randomness, clock }
    }

    /// Creates a ticket for the caller's session.
    ///
    /// # Errors
    ///
    /// If the session has ended, or the store or the source of randomness fails.
    pub async fn execute(&self, caller: &SessionCaller) -> Result<StreamTicket, CreateStreamTicketError> {
        let ticket = Token::from_random(self.randomness.bits()?);
        let expires_at = self.clock.now().plus_seconds(Self::SECONDS);
        let new = NewStreamTicket { ticket: ticket.hash(), session: caller.session, expires_at };
        match self.tickets.issue(new).await? {
            true => Ok(StreamTicket { ticket, expires_at }),
            false => Err(CreateStreamTicketError::SessionEnded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, SessionId, UserId, Username};
    use crate::ports::{MockClock, MockRandomness, MockStreamTickets};
    use crate::use_cases::Caller;

    async fn create(is_open: bool) -> Result<StreamTicket, CreateStreamTicketError> {
        let mut tickets = MockStreamTickets::new();
        let stored = NewStreamTicket {
            ticket: Token::from_random([7; 32]).hash(),
            session: SessionId::new(3),
            expires_at: Timestamp::from_seconds(1030),
        };
        tickets.expect_issue().withf(move |ticket| *ticket == stored).times(1).returning(move |_| Ok(is_open));
        let mut randomness = MockRandomness::new();
        randomness.expect_bits().returning(|| Ok([7; 32]));
        let mut clock = MockClock::new();
        clock.expect_now().returning(|| Timestamp::from_seconds(1000));
        let caller =
            Caller { user_id: UserId::new(1), username: Username::new("alice").unwrap(), device: DeviceId::new(2) };
        let token = Token::new("token".to_owned()).hash();
        let caller = SessionCaller { caller, session: SessionId::new(3), token };
        CreateStreamTicket::new(Arc::new(tickets), Arc::new(randomness), Arc::new(clock)).execute(&caller).await
    }

    #[tokio::test]
    async fn a_ticket_is_random_stored_as_a_hash_and_valid_for_30_seconds() {
        let created = create(true).await.unwrap();
        assert_eq!(created.ticket.reveal(), "07".repeat(32));
        assert_eq!(created.expires_at, Timestamp::from_seconds(1030));
    }

    #[tokio::test]
    async fn an_ended_session_gets_no_ticket() {
        assert!(matches!(create(false).await, Err(CreateStreamTicketError::SessionEnded)));
    }
}
