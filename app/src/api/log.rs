//! Request ids, and a log line for each request.

use std::sync::Arc;
use std::time::Instant;

use poem::http::{HeaderName, HeaderValue};
use poem::{Endpoint, Request, Response};
use tracing::Instrument as _;

/// The header of a response with the id of its request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Middleware: assigns a random id to each request, and logs the request with the status of its response. The response
/// and all log lines of the request carry the id. The log omits the query string, because it may contain usernames.
pub(super) async fn log_request<E>(next: Arc<E>, request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let id = format!("{:032x}", fastrand::u128(..));
    let span = tracing::error_span!("request", request_id = id);
    let header = HeaderValue::from_str(&id);
    let mut response = call(next, request).instrument(span).await?;
    if let Ok(header) = header {
        response.headers_mut().insert(REQUEST_ID, header);
    }
    Ok(response)
}

async fn call<E>(next: Arc<E>, request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let (method, uri, start) = (request.method().clone(), request.uri().clone(), Instant::now());
    let response = next.call(request).await?;
    let (status, elapsed) = (response.status().as_u16(), start.elapsed());
    tracing::debug!(%method, path = uri.path(), status, ?elapsed, "request completed");
    Ok(response)
}
