use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object};
use serde::{Deserialize, Serialize};
use woosh_domain::model::{Contents, IdempotencyKey, IdempotencyKeyError, Username};
use woosh_domain::ports::{self, AddressedContents};
use woosh_domain::use_cases::{SendMessageError, SendRequest, SessionCaller};

use crate::api::errors::{PortFailed, StorageFull};
use crate::api::json_response::JsonResponse;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::{Integer, Nullable, Text, Time};
use crate::services::Services;

/// A message to send.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct SendMessageRequest {
    /// Recipients with their contents: 1 to 100 users, each at most once. The whole request body is limited to 1 MiB.
    #[oai(validator(min_items = 1, max_items = 100))]
    recipients: Vec<Recipient>,
    /// Seconds after which the message expires if it is not acknowledged. Defaults to the maximum of the server. A
    /// value above the maximum is invalid. The maximum is 30 days, unless the operator of the server has set another
    /// maximum.
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    ttl_seconds: Nullable<Integer<1>>,
}

/// A recipient, and the contents for this recipient.
#[derive(Object, Deserialize)]
#[serde(expecting = "an object")]
struct Recipient {
    /// Username of the recipient, case-insensitive.
    username: String,
    contents: Text<Contents>,
}

impl Example for SendMessageRequest {
    fn example() -> Self {
        let recipient = Recipient { username: "alice".to_owned(), contents: Text::example() };
        Self { recipients: vec![recipient], ttl_seconds: Nullable(Some(Integer(86_400))) }
    }
}

/// Confirmation that the message is stored.
#[derive(Object, Serialize)]
#[oai(example)]
pub(super) struct Receipt {
    /// Permanent unique identifier of the message. Recipients receive it as the `id` of the message.
    id: i64,
    /// When the message was stored.
    sent_at: Time,
    /// Devices that did not receive the message, because their mailboxes were full. Usually empty.
    undelivered: Vec<UndeliveredDevice>,
}

/// A device that did not receive the message.
#[derive(Object, Serialize)]
struct UndeliveredDevice {
    /// Username of the user that the device belongs to.
    username: String,
    /// Identifier of the device.
    device_id: i64,
    reason: UndeliveredReason,
}

/// Why a device did not receive the message. `mailbox_full`: the mailbox of the device was full.
#[derive(Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum UndeliveredReason {
    MailboxFull,
}

impl From<ports::Receipt> for Receipt {
    fn from(receipt: ports::Receipt) -> Self {
        Self {
            id: receipt.id.get(),
            sent_at: receipt.sent_at.into(),
            undelivered: receipt.undelivered.into_iter().map(UndeliveredDevice::from).collect(),
        }
    }
}

impl From<ports::Undelivered> for UndeliveredDevice {
    fn from(undelivered: ports::Undelivered) -> Self {
        Self {
            username: undelivered.recipient.to_string(),
            device_id: undelivered.device.get(),
            reason: UndeliveredReason::MailboxFull,
        }
    }
}

impl Example for Receipt {
    fn example() -> Self {
        Self { id: 1, sent_at: Time::example(), undelivered: Vec::new() }
    }
}

#[derive(ApiResponse)]
pub(super) enum SendMessageReply {
    /// The message is stored.
    #[oai(status = 201)]
    Created(JsonResponse<Receipt>),
    /// `invalid_request`: a field is missing, invalid or too long, or the `Idempotency-Key` is invalid.
    #[oai(status = 400)]
    BadRequest(Problem),
    /// `recipient_not_found`: at least one recipient does not exist. No recipient received the message.
    #[oai(status = 404)]
    NotFound(Problem),
    /// `idempotency_key_reused`: this device has already sent a different body with this `Idempotency-Key`. Nothing was
    /// sent. Use a new key for this body.
    #[oai(status = 422)]
    Reused(Problem),
    /// `mailbox_full`: the mailboxes of all devices of all recipients are full. Retry after the recipients have read
    /// and acknowledged messages. `storage_full`: the server has too little disk space left. Retry after the number of
    /// seconds in `Retry-After`. In both cases, nothing was sent.
    #[oai(status = 507)]
    Full(Problem),
}

pub(super) async fn send(
    services: &Services,
    caller: &SessionCaller,
    key: Option<&str>,
    body: SendMessageRequest,
) -> poem::Result<SendMessageReply> {
    let key = match key.map(parse_key).transpose() {
        Ok(key) => key,
        Err(error) => return Ok(SendMessageReply::BadRequest(Problem::new(Code::InvalidRequest, error))),
    };
    let (mut recipients, mut invalid) = (Vec::new(), Vec::new());
    for Recipient { username, contents } in body.recipients {
        match Username::new(&username) {
            Ok(recipient) => recipients.push(AddressedContents { recipient, contents: contents.0 }),
            Err(_) => invalid.push(truncated(&username)),
        }
    }
    if !invalid.is_empty() {
        let detail = format!("recipient does not exist: {}", invalid.join(", "));
        return Ok(SendMessageReply::NotFound(Problem::new(Code::RecipientNotFound, detail)));
    }
    let request = SendRequest { recipients, ttl_seconds: body.ttl_seconds.0.map(Integer::unsigned), key };
    Ok(match services.send_message.execute(&caller.caller, Some(caller.session), request).await {
        Ok(sent) => SendMessageReply::Created(JsonResponse(sent.receipt.into())),
        Err(
            error @ (SendMessageError::RecipientCount | SendMessageError::NamedTwice(_) | SendMessageError::Ttl { .. }),
        ) => SendMessageReply::BadRequest(Problem::new(Code::InvalidRequest, error)),
        Err(error @ SendMessageError::UnknownRecipients(_)) => {
            SendMessageReply::NotFound(Problem::new(Code::RecipientNotFound, error))
        }
        Err(error @ SendMessageError::KeyReused) => {
            SendMessageReply::Reused(Problem::new(Code::IdempotencyKeyReused, error))
        }
        Err(error @ SendMessageError::AllMailboxesFull) => {
            SendMessageReply::Full(Problem::new(Code::MailboxFull, error))
        }
        Err(SendMessageError::SessionEnded) => return Err(Problem::unauthenticated().into()),
        Err(SendMessageError::StorageFull) => return Err(StorageFull.into()),
        Err(SendMessageError::Port(error)) => return Err(PortFailed::from(error).into()),
    })
}

/// Truncates an invalid username for an error message, because an invalid username can be long.
fn truncated(name: &str) -> String {
    match name.char_indices().nth(Username::MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Parses the header `Idempotency-Key`: a string in quotes as in [RFC
/// 8941](https://www.rfc-editor.org/rfc/rfc8941#name-parsing-a-string), or a key without quotes, as many clients send
/// it.
fn parse_key(header: &str) -> Result<IdempotencyKey, IdempotencyKeyError> {
    let header = header.trim_matches([' ', '\t']);
    let Some(quoted) = header.strip_prefix('"') else {
        return IdempotencyKey::new(header);
    };
    let quoted = quoted.strip_suffix('"').ok_or(IdempotencyKeyError)?;
    let (mut key, mut characters) = (String::new(), quoted.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => return Err(IdempotencyKeyError),
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => return Err(IdempotencyKeyError),
            },
            other => key.push(other),
        }
    }
    IdempotencyKey::new(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        for header in ["8e03978e", "\"8e03978e\"", " \"8e03978e\" "] {
            assert_eq!(parse_key(header), IdempotencyKey::new("8e03978e"), "{header}");
        }
        assert_eq!(parse_key(r#""a\"b\\c""#), IdempotencyKey::new(r#"a"b\c"#));
        assert_eq!(parse_key(&format!("\"{}\"", "k".repeat(255))), IdempotencyKey::new(&"k".repeat(255)));
    }

    #[test]
    fn invalid_keys_are_refused() {
        let long = format!("\"{}\"", "k".repeat(256));
        for header in ["", "\"\"", "\"", "\"abc", "\"a\", \"b\"", "a, b", "\"a b\"", "\"a\\\"", "\"a\\b\"", "é", &long]
        {
            assert_eq!(parse_key(header), Err(IdempotencyKeyError), "{header}");
        }
    }

    #[test]
    fn long_invalid_usernames_are_truncated() {
        assert_eq!(truncated("no body"), "no body");
        assert_eq!(truncated(&"é".repeat(100_000)), format!("{}…", "é".repeat(32)));
    }
}
