use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::{Caller, Poll};

use super::{Message, example_time};
use crate::api::errors::PortFailed;
use crate::services::Services;

/// Pending messages.
#[derive(Debug, Object)]
#[oai(rename = "ClassicMessages", example)]
pub(super) struct Messages {
    /// The Unix second that all from before can be deleted by.
    query_time: i64,
    /// The messages, oldest first.
    messages: Vec<Message>,
}

impl From<Poll> for Messages {
    fn from(poll: Poll) -> Self {
        Self { query_time: poll.query_time, messages: poll.messages.into_iter().map(Message::from).collect() }
    }
}

impl Example for Messages {
    fn example() -> Self {
        Self { query_time: example_time() + 1, messages: vec![Message::example()] }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The oldest pending messages.
    #[oai(status = 200)]
    Ok(Json<Messages>),
}

pub(super) async fn poll(services: &Services, caller: &Caller) -> poem::Result<Response> {
    let poll = services.poll_messages.execute(caller).await.map_err(PortFailed::from)?;
    Ok(Response::Ok(Json(poll.into())))
}
