use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{Contents, Username};
use woosh_domain::ports::AddressedContents;
use woosh_domain::use_cases::{Caller, SendMessageError, SendRequest};

use super::ClassicMessage;
use crate::api::classic::ClassicError;
use crate::api::errors::{PortFailed, StorageFull};
use crate::services::Services;

/// A message to send.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct ClassicSendMessageRequest {
    /// Username of the recipient, case-insensitive.
    recipient: String,
    /// Encrypted contents. At most 64 KiB of UTF-8, counted after JSON decoding.
    #[oai(validator(max_length = 65536))]
    contents: String,
}

impl Example for ClassicSendMessageRequest {
    fn example() -> Self {
        Self { recipient: "alice".to_owned(), contents: "ciphertext".to_owned() }
    }
}

#[derive(ApiResponse)]
pub(super) enum ClassicSendMessageReply {
    /// The message is stored.
    #[oai(status = 201)]
    Created(Json<ClassicMessage>),
    /// A field is missing, invalid or too long, or the recipient is the sender.
    #[oai(status = 400)]
    BadRequest(Json<ClassicError>),
    /// The recipient does not exist.
    #[oai(status = 404)]
    NotFound(Json<ClassicError>),
    /// The mailboxes of all devices of the recipient are full, or the server has too little disk space left. Nothing
    /// was sent.
    #[oai(status = 507)]
    Full(Json<ClassicError>),
}

pub(super) async fn send(
    services: &Services,
    caller: &Caller,
    body: ClassicSendMessageRequest,
) -> poem::Result<ClassicSendMessageReply> {
    let contents = match Contents::new(body.contents) {
        Ok(contents) => contents,
        Err(error) => return Ok(ClassicSendMessageReply::BadRequest(ClassicError::bad_request(error))),
    };
    let not_found = || ClassicSendMessageReply::NotFound(ClassicError::not_found("recipient does not exist"));
    let Ok(recipient) = Username::new(&body.recipient) else {
        // An invalid username belongs to no user, so the response is the same 404.
        return Ok(not_found());
    };
    if recipient.is_same_as(&caller.username) {
        return Ok(ClassicSendMessageReply::BadRequest(ClassicError::bad_request(
            "recipient is the sender: send to another user",
        )));
    }
    let addressed = AddressedContents { recipient, contents: contents.clone() };
    let request = SendRequest { recipients: vec![addressed], ttl_seconds: None, key: None };
    Ok(match services.send_message.execute(caller, None, request).await {
        Ok(sent) => ClassicSendMessageReply::Created(Json(ClassicMessage::sent(sent, caller, contents))),
        Err(SendMessageError::UnknownRecipients(_)) => not_found(),
        Err(SendMessageError::AllMailboxesFull) => {
            let error = ClassicError::new(StatusCode::INSUFFICIENT_STORAGE, "the recipient's mailbox is full");
            ClassicSendMessageReply::Full(Json(error))
        }
        Err(SendMessageError::StorageFull) => return Err(StorageFull.into()),
        Err(SendMessageError::Port(error)) => return Err(PortFailed::from(error).into()),
        // These errors can't occur: a classic send has one recipient, no TTL, no idempotency key and no session.
        Err(
            error @ (SendMessageError::RecipientCount
            | SendMessageError::NamedTwice(_)
            | SendMessageError::Ttl { .. }
            | SendMessageError::KeyReused
            | SendMessageError::SessionEnded),
        ) => ClassicSendMessageReply::BadRequest(ClassicError::bad_request(error)),
    })
}
