//! Errors of v1: [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details, and the list of their codes.

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON as _, Type};
use poem_openapi::{Enum, Object};

/// How a problem looks on the wire.
pub(in crate::api) const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($code:ident, $name:literal, $status:ident, $title:literal;)*) => {
        /// Says what went wrong, for programs. It never changes; there may be more of them in future.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[oai(rename = "ProblemCode")]
        pub(in crate::api) enum Code {
            $(#[oai(rename = $name)] $code,)*
        }

        impl Code {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$code,)*];

            fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// The one status that it comes with.
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
    InvalidRequest, "invalid_request", BAD_REQUEST, "The request is not valid";
    Unauthenticated, "unauthenticated", UNAUTHORIZED, "The request is not authenticated";
    WrongCredentials, "wrong_credentials", UNAUTHORIZED, "The username or the password is wrong";
    WrongPassword, "wrong_password", FORBIDDEN, "The password is wrong";
    SearchOff, "search_off", FORBIDDEN, "The search is turned off";
    NotFound, "not_found", NOT_FOUND, "There is nothing here";
    UserNotFound, "user_not_found", NOT_FOUND, "The user does not exist";
    RecipientNotFound, "recipient_not_found", NOT_FOUND, "A recipient does not exist";
    SessionNotFound, "session_not_found", NOT_FOUND, "The session does not exist";
    DeviceNotFound, "device_not_found", NOT_FOUND, "The device does not exist";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    RequestTimeout, "request_timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    UsernameTaken, "username_taken", CONFLICT, "The username is taken";
    TooManyDevices, "too_many_devices", CONFLICT, "The user has too many devices";
    LastDevice, "last_device", CONFLICT, "The last device can't be deleted";
    VersionMismatch, "version_mismatch", PRECONDITION_FAILED, "It has changed since";
    BodyTooLarge, "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    IdempotencyKeyReused, "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used before";
    BeyondMailbox, "beyond_mailbox", UNPROCESSABLE_ENTITY, "The number is beyond the mailbox";
    InternalError, "internal_error", INTERNAL_SERVER_ERROR, "The server failed";
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "The server is unavailable";
    MailboxFull, "mailbox_full", INSUFFICIENT_STORAGE, "The mailbox is full";
}

impl Code {
    /// The code of what the framework answers with a status.
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_server_error() => Self::InternalError,
            _ => Self::InvalidRequest,
        }
    }
}

/// What went wrong: problem details of RFC 9457.
#[derive(Debug, Object)]
pub(in crate::api) struct Problem {
    /// Names the kind of problem: `urn:woosh:problem:` and the code.
    r#type: String,
    /// The kind of problem, for a person; always the same for a code.
    title: String,
    /// The HTTP status again.
    status: u16,
    /// What is wrong with this request, for a person. It names the field and its limit.
    detail: String,
    code: Code,
}

impl Problem {
    /// A problem of a kind, with what is particular about it.
    pub(super) fn new(code: Code, detail: impl ToString) -> Self {
        Self {
            r#type: format!("urn:woosh:problem:{}", code.name()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            detail: detail.to_string(),
            code,
        }
    }

    /// The problem that the framework has with a request.
    pub(in crate::api) fn of(status: StatusCode, detail: impl ToString) -> Self {
        Self::new(Code::of(status), detail)
    }

    /// Nobody may ask this without a session.
    pub(super) fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "the token is missing or unknown, or its session has ended")
    }
}

impl Payload for Problem {
    const CONTENT_TYPE: &'static str = MEDIA_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        <Self as Type>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        <Self as Type>::register(registry);
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let response = Response::builder().status(status).content_type(MEDIA_TYPE);
        let mut response = response.body(self.to_json_string());
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Problem> for poem::Error {
    fn from(problem: Problem) -> Self {
        Self::from_response(problem.into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_its_code_on_the_wire_and_in_its_type() {
        for code in Code::ALL {
            let problem = Problem::new(*code, "why").to_json().unwrap_or_default();
            assert_eq!(problem["code"], code.name());
            assert_eq!(problem["type"], format!("urn:woosh:problem:{}", code.name()));
            assert_eq!(problem["status"], code.status().as_u16());
        }
    }

    #[test]
    fn whatever_status_the_framework_gives_there_is_a_code_for_it() {
        for status in 400..600 {
            let status = StatusCode::from_u16(status).unwrap();
            let code = Code::of(status);
            assert_eq!(code.status().is_server_error(), status.is_server_error(), "{status}");
        }
    }
}
