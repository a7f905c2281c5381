use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::{self, CreateStreamTicketError, SessionCaller};

use crate::api::errors::PortFailed;
use crate::api::no_store::NoStore;
use crate::api::v1::problem::Problem;
use crate::api::v1::sessions::example_token;
use crate::api::v1::values::Time;
use crate::services::Services;

/// A one-use token that opens an event stream.
#[derive(Object)]
#[oai(example)]
pub(super) struct StreamTicket {
    /// The ticket. Pass it to `streamMailbox` as the parameter `ticket`. Returned only in this response.
    ticket: String,
    /// When the ticket expires.
    expires_at: Time,
}

impl From<use_cases::StreamTicket> for StreamTicket {
    fn from(created: use_cases::StreamTicket) -> Self {
        Self { ticket: created.ticket.reveal().to_owned(), expires_at: created.expires_at.into() }
    }
}

impl Example for StreamTicket {
    fn example() -> Self {
        Self { ticket: example_token(), expires_at: Time::example() }
    }
}

#[derive(ApiResponse)]
pub(super) enum CreateStreamTicketReply {
    /// The ticket is created.
    #[oai(status = 201)]
    Created(NoStore<StreamTicket>),
}

pub(super) async fn create(services: &Services, caller: &SessionCaller) -> poem::Result<CreateStreamTicketReply> {
    match services.create_stream_ticket.execute(caller).await {
        Ok(created) => Ok(CreateStreamTicketReply::Created(NoStore(created.into()))),
        Err(CreateStreamTicketError::SessionEnded) => Err(Problem::unauthenticated().into()),
        Err(CreateStreamTicketError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
