use std::sync::Arc;
use std::time::Instant;

use poem::{Endpoint, Request, Response};

/// Logs a request and its answer. Of the URL only the path, for the query may tell who looks for whom.
pub(super) async fn request<E>(next: Arc<E>, request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let start = Instant::now();
    let response = next.call(request).await?;
    tracing::debug!(%method, path, status = response.status().as_u16(), elapsed = ?start.elapsed(), "answered");
    Ok(response)
}
