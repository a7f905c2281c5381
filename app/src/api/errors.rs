//! Turns errors that no operation declares into responses: errors of the web framework, failures of ports (such as the
//! database), and panics. The response has the error format of the API that the path belongs to.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use poem::error::{NotFoundError, ResponseError};
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Request, Response};
use woosh_domain::ports::PortError;

use super::classic::ClassicError;
use super::document;
use super::limits::LimitError;
use super::v1::Problem;
use crate::logging::causes;

/// A port failed. A port is an interface to the outside, such as the database. The cause is logged and never sent to
/// the client.
#[derive(Debug, thiserror::Error)]
#[error("a port failed")]
pub(super) struct PortFailed(#[from] PortError);

impl ResponseError for PortFailed {
    fn status(&self) -> StatusCode {
        match self.0 {
            PortError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            PortError::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            PortError::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The store has no room for more data.
#[derive(Debug, thiserror::Error)]
#[error("no room for more data")]
pub(super) struct StorageFull;

impl ResponseError for StorageFull {
    fn status(&self) -> StatusCode {
        StatusCode::INSUFFICIENT_STORAGE
    }
}

#[derive(Debug, Clone, Copy)]
enum ErrorFormat {
    Classic,
    V1,
}

impl ErrorFormat {
    fn for_path(path: &str) -> Self {
        if path == "/v1" || path.starts_with("/v1/") { Self::V1 } else { Self::Classic }
    }

    fn response(self, status: StatusCode, detail: impl ToString) -> Response {
        match self {
            Self::Classic => ClassicError::new(status, detail).into_response(),
            Self::V1 => Problem::from_status(status, detail).into_response(),
        }
    }

    /// Returns the response to a server error. The response tells the client only whether a retry can help; the cause
    /// is in the log.
    fn server_error(self, status: StatusCode) -> Response {
        let (message, retry_after) = match status {
            StatusCode::SERVICE_UNAVAILABLE => ("the server is temporarily unavailable: try again", Some("1")),
            // It takes a while until there is space, and each refused request costs the server work.
            StatusCode::INSUFFICIENT_STORAGE => ("the server has no space for more data: try again later", Some("30")),
            _ => ("internal error", None),
        };
        let mut response = self.response(status, message);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

/// Turns panics, and errors that are not responses yet, into responses in the error format of the API that the path
/// belongs to.
pub(super) async fn format_errors<E>(next: Arc<E>, request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let uri = request.uri().clone();
    let path = uri.path();
    let format = ErrorFormat::for_path(path);
    let error = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => return Ok(response),
        Ok(Err(error)) if error.is_from_response() => return Ok(error.into_response()),
        Ok(Err(error)) => error,
        Err(_) => {
            // The panic message is not logged here, because the panic hook has already written it to standard error.
            tracing::error!("request handler panicked");
            return Ok(format.server_error(StatusCode::INTERNAL_SERVER_ERROR));
        }
    };
    let error =
        if matches!(format, ErrorFormat::V1) && is_bad_path_parameter(&error) { NotFoundError.into() } else { error };
    let status = error.status();
    if status.is_server_error() {
        log(&error);
        return Ok(format.server_error(status));
    }
    let mut response = format.response(status, &error);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let methods: Vec<_> = document().methods(path).map(Method::to_string).collect();
        if let Ok(allowed) = HeaderValue::from_str(&methods.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
    }
    Ok(response)
}

/// Returns whether the error is an invalid path parameter. v1 then responds with 404, because no resource exists at the
/// path.
fn is_bad_path_parameter(error: &poem::Error) -> bool {
    error.is::<poem_openapi::error::ParsePathError>() || error.is::<poem::error::ParsePathError>()
}

fn log(error: &poem::Error) {
    if error.is::<StorageFull>() || error.downcast_ref::<LimitError>().is_some_and(LimitError::is_by_clients) {
        // A client can cause this error at will, and would fill the log, and the disk, at a higher level.
        tracing::debug!(%error, "request refused");
        return;
    }
    match error.downcast_ref::<PortFailed>() {
        Some(PortFailed(error)) => tracing::error!(%error, causes = causes(error), "request failed"),
        None => tracing::error!(%error, "request failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::endpoint::make_sync;

    async fn respond(path: &'static str, outcome: fn() -> poem::Result<Response>) -> Response {
        let request = Request::builder().uri(path.parse().unwrap()).finish();
        format_errors(Arc::new(make_sync(move |_| outcome())), request).await.unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_in_the_format_of_the_api() {
        for (path, media_type) in
            [("/v1/users", "application/problem+json"), ("/users", "application/json; charset=utf-8")]
        {
            let response = respond(path, || panic!("in a test")).await;
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(response.content_type(), Some(media_type));
        }
    }

    #[tokio::test]
    async fn a_transient_error_has_retry_after_and_hides_its_cause() {
        for path in ["/v1/users", "/users"] {
            let response = respond(path, || Err(PortFailed(PortError::unavailable("disk full")).into())).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[header::RETRY_AFTER], "1");
            assert!(!response.into_body().into_string().await.unwrap().contains("disk"));
        }
    }

    #[tokio::test]
    async fn no_room_and_a_full_disk_are_the_same_error_in_the_format_of_the_api() {
        for (path, parts) in [
            ("/v1/messages", &["\"code\":\"storage_full\"", "\"status\":507"][..]),
            ("/messages", &["\"status\":507", "\"message\""]),
        ] {
            let full = respond(path, || Err(PortFailed(PortError::full("53100")).into())).await;
            let refused = respond(path, || Err(StorageFull.into())).await;
            let mut bodies = Vec::new();
            for response in [full, refused] {
                assert_eq!(response.status(), StatusCode::INSUFFICIENT_STORAGE);
                assert_eq!(response.headers()[header::RETRY_AFTER], "30");
                bodies.push(response.into_body().into_string().await.unwrap());
            }
            assert_eq!(bodies[0], bodies[1]);
            assert!(parts.iter().all(|part| bodies[0].contains(part)), "{}", bodies[0]);
            assert!(!bodies[0].contains("53100"), "{}", bodies[0]);
        }
    }
}
