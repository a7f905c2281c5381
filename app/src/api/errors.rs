//! Errors that no operation gives: those of the framework, of the ports, and panics. They get the shape of the API
//! that was asked.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use poem::error::{NotFoundError, ResponseError};
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Request, Response};
use poem_openapi::error::ParseParamError;
use woosh_domain::ports::PortError;

use super::classic::ClassicError;
use super::document;
use super::v1::Problem;
use crate::logging::causes;

/// A port failed. The cause goes to the log, never to the client.
#[derive(Debug, thiserror::Error)]
#[error("a port failed")]
pub(super) struct PortFailed(#[from] PortError);

impl ResponseError for PortFailed {
    fn status(&self) -> StatusCode {
        match self.0 {
            PortError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            PortError::Fault(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The shapes that an error may have.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Classic,
    V1,
}

impl Shape {
    fn of(path: &str) -> Self {
        if path == "/v1" || path.starts_with("/v1/") { Self::V1 } else { Self::Classic }
    }

    fn response(self, status: StatusCode, detail: impl ToString) -> Response {
        match self {
            Self::Classic => ClassicError::new(status, detail).into_response(),
            Self::V1 => Problem::of(status, detail).into_response(),
        }
    }

    /// Of a failure, clients get to know only whether it passes.
    fn failure(self, status: StatusCode) -> Response {
        let passing = status == StatusCode::SERVICE_UNAVAILABLE;
        let message = if passing { "unavailable for now; try again" } else { "internal error" };
        let mut response = self.response(status, message);
        if passing {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Gives every error that has no shape yet the one of the API, a panic included.
pub(super) async fn shape<E>(next: Arc<E>, request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let path = request.uri().path().to_owned();
    let shape = Shape::of(&path);
    let error = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => return Ok(response),
        Ok(Err(error)) if error.is_from_response() => return Ok(error.into_response()),
        Ok(Err(error)) => error,
        Err(_) => {
            // The panic itself is on standard error.
            tracing::error!("an operation panicked");
            return Ok(shape.failure(StatusCode::INTERNAL_SERVER_ERROR));
        }
    };
    let error = if matches!(shape, Shape::V1) && leads_nowhere(&error) { NotFoundError.into() } else { error };
    let status = error.status();
    if status.is_server_error() {
        log(&error);
        return Ok(shape.failure(status));
    }
    let mut response = shape.response(status, describe(&error, shape));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let methods: Vec<_> = document().methods(&path).map(Method::to_string).collect();
        if let Ok(allowed) = HeaderValue::from_str(&methods.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
    }
    Ok(response)
}

/// Whether a part of the path can't be what it stands for.
fn leads_nowhere(error: &poem::Error) -> bool {
    error.is::<poem_openapi::error::ParsePathError>() || error.is::<poem::error::ParsePathError>()
}

/// Says what is wrong with a request. The framework's words for a parameter name types of its own, not of the API.
fn describe(error: &poem::Error, shape: Shape) -> String {
    let Some(ParseParamError { name, reason }) = error.downcast_ref() else {
        return error.to_string();
    };
    if reason.ends_with("expects an input value.") {
        return format!("parameter {name} is missing");
    }
    let cause = reason.rsplit_once("\": ").map_or(reason.as_str(), |(_, cause)| cause);
    match shape {
        Shape::Classic => format!("parameter {name} is wrong: {cause}"),
        // There the values say it in a way that goes on from their name.
        Shape::V1 => format!("parameter {name} {}", cause.split(" (occurred while").next().unwrap_or_default()),
    }
}

fn log(error: &poem::Error) {
    match error.downcast_ref::<PortFailed>() {
        Some(PortFailed(error)) => tracing::error!(%error, causes = causes(error), "a port failed"),
        None => tracing::error!(%error, "an operation failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::endpoint::make_sync;

    async fn answer(path: &'static str, outcome: fn() -> poem::Result<Response>) -> Response {
        let request = Request::builder().uri(path.parse().unwrap()).finish();
        shape(Arc::new(make_sync(move |_| outcome())), request).await.unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_in_the_shape_of_the_api() {
        for (path, media_type) in
            [("/v1/users", "application/problem+json"), ("/users", "application/json; charset=utf-8")]
        {
            let answer = answer(path, || panic!("in a test")).await;
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.content_type(), Some(media_type));
        }
    }

    #[tokio::test]
    async fn what_passes_says_when_to_try_again_and_no_cause() {
        for path in ["/v1/users", "/users"] {
            let answer = answer(path, || Err(PortFailed(PortError::unavailable("disk full")).into())).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
            assert!(!answer.into_body().into_string().await.unwrap().contains("disk"));
        }
    }
}
