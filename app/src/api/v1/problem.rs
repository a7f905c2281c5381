//! Errors of the v1 API: [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details and their codes.

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type};
use poem_openapi::{Enum, Object};
use serde_json::Value;
use woosh_domain::model::{Incarnation, MailboxPosition};

use super::values::Text;

/// The content type of problem details.
pub(in crate::api) const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($code:ident, $name:literal, $status:ident, $title:literal;)*) => {
        /// Machine-readable error code. The meaning of a code never changes, but new codes may be added. If the client
        /// does not know a code, it should handle the error by the HTTP status of the response.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[oai(rename = "ProblemCode")]
        pub(in crate::api) enum Code {
            $(#[oai(rename = $name)] $code,)*
        }

        impl Code {
            const ALL: &[Self] = &[$(Self::$code,)*];

            fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$code => $title,)* }
            }
        }
    };
}

codes! {
    InvalidRequest, "invalid_request", BAD_REQUEST, "The request is invalid";
    Unauthenticated, "unauthenticated", UNAUTHORIZED, "The request is not authenticated";
    WrongCredentials, "wrong_credentials", UNAUTHORIZED, "The username or the password is wrong";
    WrongPassword, "wrong_password", FORBIDDEN, "The current password is wrong";
    SearchOff, "search_off", FORBIDDEN, "User search is turned off";
    NotFound, "not_found", NOT_FOUND, "Not found";
    UserNotFound, "user_not_found", NOT_FOUND, "The user does not exist";
    RecipientNotFound, "recipient_not_found", NOT_FOUND, "A recipient does not exist";
    SessionNotFound, "session_not_found", NOT_FOUND, "The session does not exist";
    DeviceNotFound, "device_not_found", NOT_FOUND, "The device does not exist";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "The path does not support the method";
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "The request body took too long to arrive";
    UsernameTaken, "username_taken", CONFLICT, "The username is taken";
    TooManyDevices, "too_many_devices", CONFLICT, "The user has the maximum number of devices";
    LastDevice, "last_device", CONFLICT, "The last device of a user can't be deleted";
    CursorAhead, "cursor_ahead", CONFLICT, "The cursor is higher than the newest sequence number of the mailbox";
    MailboxRestored, "mailbox_restored", CONFLICT, "The mailbox has another incarnation than the request";
    VersionMismatch, "version_mismatch", PRECONDITION_FAILED, "The user was changed by another request";
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, "The request body is too large";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The request body is not uncompressed JSON";
    IdempotencyKeyReused, "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used with another body";
    BeyondMailbox, "beyond_mailbox", UNPROCESSABLE_ENTITY, "The sequence number is higher than the newest of the mailbox";
    InternalError, "internal_error", INTERNAL_SERVER_ERROR, "Internal server error";
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "The server is temporarily unavailable";
    MailboxFull, "mailbox_full", INSUFFICIENT_STORAGE, "The mailboxes of all recipients are full";
    StorageFull, "storage_full", INSUFFICIENT_STORAGE, "The server has no space left";
}

impl Code {
    /// Returns the code for an error status that the web framework returned.
    fn from_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            StatusCode::INSUFFICIENT_STORAGE => Self::StorageFull,
            status if status.is_server_error() => Self::InternalError,
            _ => Self::InvalidRequest,
        }
    }
}

/// Error response in the problem details format (RFC 9457).
#[derive(Debug, Object)]
pub(in crate::api) struct Problem {
    /// URI of the problem type: `urn:woosh:problem:` followed by `code`.
    r#type: String,
    /// Human-readable summary. All problems with the same `code` have the same summary.
    title: String,
    /// HTTP status code.
    status: u16,
    /// Human-readable explanation of this error. If a field is invalid, the explanation names the field.
    detail: String,
    code: Code,
}

impl Problem {
    /// Creates a problem. `detail` explains to the client why the request failed.
    pub(super) fn new(code: Code, detail: impl ToString) -> Self {
        Self {
            r#type: format!("urn:woosh:problem:{}", code.name()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            detail: detail.to_string(),
            code,
        }
    }

    /// Creates a problem for an error status that the web framework returned.
    pub(in crate::api) fn from_status(status: StatusCode, detail: impl ToString) -> Self {
        Self::new(Code::from_status(status), detail)
    }

    /// Creates the 401 problem for a request without a valid session.
    pub(super) fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "the token is missing or unknown, or its session has ended")
    }

    /// Creates the 401 problem for a request with a stream ticket that opens no stream.
    pub(super) fn invalid_ticket() -> Self {
        Self::new(
            Code::Unauthenticated,
            "the ticket is unknown, was used before or has expired, or its session has ended: create a new ticket",
        )
    }
}

/// Returns an example for each problem code that `description`, the description of a response, names as `` `code`: ``.
/// Each example comes with its code. If `has_position` is true, the examples are [`MailboxProblem`]s, otherwise
/// [`Problem`]s.
pub(in crate::api) fn examples(description: &str, has_position: bool) -> Vec<(&'static str, Option<Value>)> {
    let named = |code: &&Code| description.contains(&format!("`{}`:", code.name()));
    let example = |code: &Code| {
        let problem = Problem::new(*code, code.title());
        let example = if has_position { MailboxProblem::example(problem).to_json() } else { problem.to_json() };
        (code.name(), example)
    };
    Code::ALL.iter().filter(named).map(example).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = respond(status, &self);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Error response if the sequence number in the request is higher than the newest sequence number of the mailbox, or if
/// the incarnation in the request is not the current incarnation of the mailbox. Contains the state of the mailbox, so
/// that the client can correct the sequence number and the incarnation that it has stored.
#[derive(Debug, Object)]
pub(super) struct MailboxProblem {
    #[oai(flatten)]
    problem: Problem,
    /// Current incarnation of the mailbox.
    incarnation: Text<Incarnation>,
    /// Last acknowledged sequence number. To read on, pass it as `after`.
    acknowledged: i64,
    /// Newest sequence number of the mailbox. 0 if the mailbox never had a message.
    newest: i64,
}

impl MailboxProblem {
    /// Creates a problem with the state of the mailbox. `detail` explains to the client why the request failed.
    pub(super) fn new(code: Code, detail: impl ToString, position: MailboxPosition) -> Self {
        Self {
            problem: Problem::new(code, detail),
            incarnation: Text(position.incarnation),
            acknowledged: position.acknowledged.get(),
            newest: position.last.get(),
        }
    }

    fn example(problem: Problem) -> Self {
        Self { problem, incarnation: Text::example(), acknowledged: 1, newest: 1 }
    }
}

impl IntoResponse for MailboxProblem {
    fn into_response(self) -> Response {
        respond(self.problem.code.status(), &self)
    }
}

fn respond(status: StatusCode, problem: &impl ToJSON) -> Response {
    Response::builder().status(status).content_type(MEDIA_TYPE).body(problem.to_json_string())
}

/// Implements [`Payload`] and the conversion to [`poem::Error`] for problem types. A handler can then return a problem
/// as the body of a response that its operation declares, or as an error.
macro_rules! response {
    ($($problem:ident),+) => {$(
        impl Payload for $problem {
            const CONTENT_TYPE: &'static str = MEDIA_TYPE;

            fn schema_ref() -> MetaSchemaRef {
                <Self as Type>::schema_ref()
            }

            fn register(registry: &mut Registry) {
                <Self as Type>::register(registry);
            }
        }

        impl From<$problem> for poem::Error {
            fn from(problem: $problem) -> Self {
                Self::from_response(problem.into_response())
            }
        }
    )+};
}

response!(Problem, MailboxProblem);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_type_and_status_of_a_problem_agree() {
        for code in Code::ALL {
            let problem = Problem::new(*code, "why").to_json().unwrap_or_default();
            assert_eq!(problem["code"], code.name());
            assert_eq!(problem["type"], format!("urn:woosh:problem:{}", code.name()));
            assert_eq!(problem["status"], code.status().as_u16());
        }
    }

    #[test]
    fn every_error_status_has_a_code() {
        for status in 400..600 {
            let status = StatusCode::from_u16(status).unwrap();
            let code = Code::from_status(status);
            assert_eq!(code.status().is_server_error(), status.is_server_error(), "{status}");
        }
    }
}
