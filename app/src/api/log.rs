use std::sync::Arc;
use std::time::Instant;

use poem::{Endpoint, Request, Response};

/// Middleware: logs each request with the status of its response. The query string is omitted, because it may contain
/// usernames.
pub(super) async fn log_request<E>(next: Arc<E>, request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let response = next.call(request).await?;
    tracing::debug!(%method, path, status = response.status().as_u16(), elapsed = ?start.elapsed(), "request completed");
    Ok(response)
}
