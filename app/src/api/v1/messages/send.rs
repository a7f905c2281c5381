use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Enum, Object};
use serde::Deserialize;
use woosh_domain::model::{Contents, IdempotencyKey, IdempotencyKeyError, Username};
use woosh_domain::ports::{self, AddressedContents, Receipt};
use woosh_domain::use_cases::{Caller, SendMessageError, SendRequest};

use crate::api::body::text;
use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::{Integer, Nullable, Text, Time};
use crate::services::Services;

/// What is to be sent.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct NewMessage {
    /// What is for whom: 1 to 100 users, none of them twice, in a body of at most 1 MiB.
    #[oai(validator(min_items = 1, max_items = 100))]
    recipients: Vec<Recipient>,
    /// How many seconds it waits to be read; as long as the server lets it where nothing is said.
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    ttl_seconds: Nullable<Integer<1>>,
}

/// Contents for a user.
#[derive(Object, Deserialize)]
#[serde(expecting = "an object")]
struct Recipient {
    /// The name of the user, ignoring case.
    #[serde(deserialize_with = "text")]
    username: String,
    contents: Text<Contents>,
}

impl Example for NewMessage {
    fn example() -> Self {
        let recipient = Recipient { username: "alice".to_owned(), contents: Text::example() };
        Self { recipients: vec![recipient], ttl_seconds: Nullable(Some(Integer(86_400))) }
    }
}

/// A send that is stored.
#[derive(Object)]
#[oai(example)]
pub(super) struct Sent {
    /// Names the send for good.
    id: i64,
    /// When it was stored.
    sent_at: Time,
    /// The devices that did not get it.
    undelivered: Vec<Undelivered>,
}

/// A device that did not get a message.
#[derive(Object)]
struct Undelivered {
    /// Whose it is.
    username: String,
    /// The device.
    device_id: i64,
    reason: UndeliveredReason,
}

/// Why a device did not get a message.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
enum UndeliveredReason {
    MailboxFull,
}

impl From<Receipt> for Sent {
    fn from(receipt: Receipt) -> Self {
        Self {
            id: receipt.id.get(),
            sent_at: receipt.sent_at.into(),
            undelivered: receipt.undelivered.into_iter().map(Undelivered::from).collect(),
        }
    }
}

impl From<ports::Undelivered> for Undelivered {
    fn from(undelivered: ports::Undelivered) -> Self {
        Self {
            username: undelivered.recipient.to_string(),
            device_id: undelivered.device.get(),
            reason: UndeliveredReason::MailboxFull,
        }
    }
}

impl Example for Sent {
    fn example() -> Self {
        Self { id: 1, sent_at: Time::example(), undelivered: Vec::new() }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The message is stored.
    #[oai(status = 201)]
    Created(Json<Sent>),
    /// `invalid_request`: a field or the `Idempotency-Key` is missing, wrong or too long.
    #[oai(status = 400)]
    BadRequest(Problem),
    /// `recipient_not_found`: nobody has one of the names. Nothing was sent.
    #[oai(status = 404)]
    NotFound(Problem),
    /// `idempotency_key_reused`: another send had this key.
    #[oai(status = 422)]
    Reused(Problem),
    /// `mailbox_full`: no device of any recipient could take it.
    #[oai(status = 507)]
    Full(Problem),
}

pub(super) async fn send(
    services: &Services,
    caller: &Caller,
    key: Option<&str>,
    body: NewMessage,
) -> poem::Result<Response> {
    let key = match key.map(parse_key).transpose() {
        Ok(key) => key,
        Err(error) => return Ok(Response::BadRequest(Problem::new(Code::InvalidRequest, error))),
    };
    let (mut recipients, mut impossible) = (Vec::new(), Vec::new());
    for Recipient { username, contents } in body.recipients {
        match Username::new(&username) {
            Ok(recipient) => recipients.push(AddressedContents { recipient, contents: contents.0 }),
            Err(_) => impossible.push(shortened(&username)),
        }
    }
    if !impossible.is_empty() {
        let detail = format!("recipient does not exist: {}", impossible.join(", "));
        return Ok(Response::NotFound(Problem::new(Code::RecipientNotFound, detail)));
    }
    let outgoing = SendRequest { recipients, ttl_seconds: body.ttl_seconds.0.map(Integer::unsigned), key };
    Ok(match services.send_message.execute(caller, outgoing).await {
        Ok(sent) => Response::Created(Json(sent.receipt.into())),
        Err(
            error @ (SendMessageError::RecipientCount | SendMessageError::NamedTwice(_) | SendMessageError::Ttl { .. }),
        ) => Response::BadRequest(Problem::new(Code::InvalidRequest, error)),
        Err(error @ SendMessageError::UnknownRecipients(_)) => {
            Response::NotFound(Problem::new(Code::RecipientNotFound, error))
        }
        Err(error @ SendMessageError::KeyReused) => Response::Reused(Problem::new(Code::IdempotencyKeyReused, error)),
        Err(error @ SendMessageError::AllMailboxesFull) => Response::Full(Problem::new(Code::MailboxFull, error)),
        Err(SendMessageError::Port(error)) => return Err(PortFailed::from(error).into()),
    })
}

/// What nobody can be called may be of any length.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(Username::MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Reads an `Idempotency-Key`: a string of [RFC 8941](https://www.rfc-editor.org/rfc/rfc8941#name-parsing-a-string), or bare
/// text, as many clients send it.
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
    fn a_key_is_the_same_in_quotes_and_without() {
        for header in ["8e03978e", "\"8e03978e\"", " \"8e03978e\" "] {
            assert_eq!(parse_key(header), IdempotencyKey::new("8e03978e"), "{header}");
        }
        assert_eq!(parse_key(r#""a\"b\\c""#), IdempotencyKey::new(r#"a"b\c"#));
        assert_eq!(parse_key(&format!("\"{}\"", "k".repeat(255))), IdempotencyKey::new(&"k".repeat(255)));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = format!("\"{}\"", "k".repeat(256));
        for header in ["", "\"\"", "\"", "\"abc", "\"a\", \"b\"", "a, b", "\"a b\"", "\"a\\\"", "\"a\\b\"", "é", &long]
        {
            assert_eq!(parse_key(header), Err(IdempotencyKeyError), "{header}");
        }
    }

    #[test]
    fn a_name_that_nobody_can_have_is_repeated_in_part() {
        assert_eq!(shortened("no body"), "no body");
        assert_eq!(shortened(&"é".repeat(100_000)), format!("{}…", "é".repeat(32)));
    }
}
