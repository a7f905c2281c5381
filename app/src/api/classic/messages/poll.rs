use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::{Caller, Poll};

use super::{ClassicMessage, example_time};
use crate::api::errors::PortFailed;
use crate::services::Services;

/// A page of pending messages.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct ClassicMessagePage {
    /// Unix time in seconds. After you have processed the messages sent before this time, pass it as `until` to delete
    /// them.
    query_time: i64,
    /// Messages, oldest first.
    messages: Vec<ClassicMessage>,
}

impl From<Poll> for ClassicMessagePage {
    fn from(poll: Poll) -> Self {
        Self { query_time: poll.query_time, messages: poll.messages.into_iter().map(ClassicMessage::from).collect() }
    }
}

impl Example for ClassicMessagePage {
    fn example() -> Self {
        Self { query_time: example_time() + 1, messages: vec![ClassicMessage::example()] }
    }
}

#[derive(ApiResponse)]
pub(super) enum ClassicPollMessagesReply {
    /// The oldest pending messages.
    #[oai(status = 200)]
    Ok(Json<ClassicMessagePage>),
}

pub(super) async fn poll(services: &Services, caller: &Caller) -> poem::Result<ClassicPollMessagesReply> {
    let poll = services.poll_messages.execute(caller).await.map_err(PortFailed::from)?;
    Ok(ClassicPollMessagesReply::Ok(Json(poll.into())))
}
