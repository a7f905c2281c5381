use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{Contents, Username};
use woosh_domain::ports::AddressedContents;
use woosh_domain::use_cases::{Caller, SendMessageError, SendRequest};

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
    /// The recipient's mailbox is full.
    #[oai(status = 507)]
    Full(Json<ClassicError>),
}

pub(super) async fn send(services: &Services, caller: &Caller, body: NewMessage) -> poem::Result<Response> {
    let contents = match Contents::new(body.contents) {
        Ok(contents) => contents,
        Err(error) => return Ok(Response::BadRequest(ClassicError::bad_request(error))),
    };
    let not_found = || Response::NotFound(ClassicError::not_found("recipient does not exist"));
    let Ok(recipient) = Username::new(&body.recipient) else {
        // Nobody can have such a name.
        return Ok(not_found());
    };
    if recipient.is_same_as(&caller.username) {
        return Ok(Response::BadRequest(ClassicError::bad_request("recipient is yourself")));
    }
    let addressed = AddressedContents { recipient, contents: contents.clone() };
    let outgoing = SendRequest { recipients: vec![addressed], ttl_seconds: None, key: None };
    Ok(match services.send_message.execute(caller, outgoing).await {
        Ok(sent) => Response::Created(Json(Message::sent(sent, caller, contents))),
        Err(SendMessageError::UnknownRecipients(_)) => not_found(),
        Err(SendMessageError::AllMailboxesFull) => {
            let error = ClassicError::new(StatusCode::INSUFFICIENT_STORAGE, "the recipient's mailbox is full");
            Response::Full(Json(error))
        }
        Err(SendMessageError::Port(error)) => return Err(PortFailed::from(error).into()),
        // What these are about, this API doesn't have.
        Err(
            error @ (SendMessageError::RecipientCount
            | SendMessageError::NamedTwice(_)
            | SendMessageError::Ttl { .. }
            | SendMessageError::KeyReused),
        ) => Response::BadRequest(ClassicError::bad_request(error)),
    })
}
