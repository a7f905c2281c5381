//! Errors that no operation gives: those of the framework, of the ports, and panics. They get the shape of the API
//! that was asked.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;

use poem::error::ResponseError;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::middleware::PanicHandler;
use poem::{Endpoint, Request, Response};
use poem_openapi::error::ParseParamError;
use woosh_domain::ports::PortError;

use super::classic::ClassicError;
use super::document;

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

/// Gives every error that has no shape yet the one of the API.
pub(super) async fn shape<E>(next: Arc<E>, request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let path = request.uri().path().to_owned();
    let error = match next.call(request).await {
        Ok(response) => return Ok(response),
        Err(error) if error.is_from_response() => return Ok(error.into_response()),
        Err(error) => error,
    };
    let status = error.status();
    let mut response = if status.is_server_error() {
        log(&error);
        failure(status)
    } else {
        ClassicError::new(status, describe(&error)).into_response()
    };
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let methods: Vec<_> = document().methods(&path).map(Method::to_string).collect();
        if let Ok(allowed) = HeaderValue::from_str(&methods.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
    }
    Ok(response)
}

/// Says what is wrong with a request. The framework's words for a parameter name types of its own, not of the API.
fn describe(error: &poem::Error) -> String {
    let Some(ParseParamError { name, reason }) = error.downcast_ref() else {
        return error.to_string();
    };
    if reason.ends_with("expects an input value.") {
        return format!("parameter {name} is missing");
    }
    let cause = reason.rsplit_once("\": ").map_or(reason.as_str(), |(_, cause)| cause);
    format!("parameter {name} is wrong: {cause}")
}

fn failure(status: StatusCode) -> Response {
    let passing = status == StatusCode::SERVICE_UNAVAILABLE;
    let message = if passing { "unavailable for now; try again" } else { "internal error" };
    let mut response = ClassicError::new(status, message).into_response();
    if passing {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn log(error: &poem::Error) {
    let Some(failed) = error.downcast_ref::<PortFailed>() else {
        tracing::error!(%error, "an operation failed");
        return;
    };
    let mut causes = Vec::new();
    let mut source = failed.0.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    tracing::error!(error = %failed.0, causes = causes.join(": "), "a port failed");
}

/// Answers for an operation that panicked. The panic itself is on standard error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panicked;

impl PanicHandler for Panicked {
    type Response = Response;

    fn get_response(&self, _: Box<dyn Any + Send>) -> Response {
        tracing::error!("an operation panicked");
        failure(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
