use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{Contents, Username};
use woosh_domain::use_cases::{Caller, SendMessageError};

use super::Message;
use crate::api::body::text;
use crate::api::classic::ClassicError;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// A message to send.
#[derive(Object, Deserialize)]
#[oai(rename = "ClassicNewMessage", example)]
pub(super) struct NewMessage {
    /// The recipient's username, ignoring case.
    #[serde(deserialize_with = "text")]
    recipient: String,
    /// What the sender's client encrypted: at most 64 KiB.
    #[oai(validator(max_length = 65536))]
    #[serde(deserialize_with = "text")]
    contents: String,
}

impl Example for NewMessage {
    fn example() -> Self {
        Self { recipient: "alice".to_owned(), contents: "ciphertext".to_owned() }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The message is stored.
    #[oai(status = 201)]
    Created(Json<Message>),
    /// A field is missing, wrong or too long, or the recipient is the sender.
    #[oai(status = 400)]
    BadRequest(Json<ClassicError>),
    /// Nobody has the recipient's name.
    #[oai(status = 404)]
    NotFound(Json<ClassicError>),
}

pub(super) async fn send(services: &Services, caller: &Caller, body: NewMessage) -> poem::Result<Response> {
    let contents = match Contents::new(body.contents) {
        Ok(contents) => contents,
        Err(error) => return Ok(Response::BadRequest(ClassicError::bad_request(error))),
    };
    let sent = match Username::new(&body.recipient) {
        Ok(recipient) => services.send_message.execute(caller, recipient, contents).await,
        // Nobody can have such a name.
        Err(_) => Err(SendMessageError::NoSuchRecipient),
    };
    match sent {
        Ok(message) => Ok(Response::Created(Json(message.into()))),
        Err(error @ SendMessageError::ToOneself) => Ok(Response::BadRequest(ClassicError::bad_request(error))),
        Err(error @ SendMessageError::NoSuchRecipient) => Ok(Response::NotFound(ClassicError::not_found(error))),
        Err(SendMessageError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
