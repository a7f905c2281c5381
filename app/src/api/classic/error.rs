use poem::http::StatusCode;
use poem::{IntoResponse as _, Response};
use poem_openapi::Object;
use poem_openapi::payload::Json;

/// Error response of the classic API.
#[derive(Debug, Object)]
pub(in crate::api) struct ClassicError {
    /// HTTP status code.
    status: u16,
    /// Human-readable explanation of the error.
    message: String,
}

impl ClassicError {
    pub(in crate::api) fn new(status: StatusCode, message: impl ToString) -> Self {
        Self { status: status.as_u16(), message: message.to_string() }
    }

    pub(super) fn bad_request(message: impl ToString) -> Json<Self> {
        Json(Self::new(StatusCode::BAD_REQUEST, message))
    }

    pub(super) fn not_found(message: impl ToString) -> Json<Self> {
        Json(Self::new(StatusCode::NOT_FOUND, message))
    }

    pub(in crate::api) fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Json(self).with_status(status).into_response()
    }
}
