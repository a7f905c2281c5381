//! Limits of every request: the size of its body, and the time that it may take.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, pin_mut};
use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::{Body, Endpoint, Request, Response};
use tokio::time::timeout;

/// The longest body: room for the largest fields, each character of them escaped.
pub(super) const MAX_BODY: usize = 1024 * 1024;
/// How much of a body that is too long is read all the same, so that the client gets to read the answer.
const MAX_DRAINED: usize = 16 * 1024 * 1024;
/// How long a body may take to arrive, and how long an operation may take then.
const MAX_TIME: Duration = Duration::from_secs(30);

/// Marks a request whose body was too long. Only an operation that wants the body, and gets to read it, minds.
#[derive(Debug, Clone, Copy)]
pub(super) struct TooLarge;

#[derive(Debug, thiserror::Error)]
enum LimitError {
    #[error("the body took longer than {} seconds to arrive", MAX_TIME.as_secs())]
    SlowBody,
    #[error("the body broke off: {0}")]
    BrokenBody(std::io::Error),
    #[error("the request took longer than {} seconds", MAX_TIME.as_secs())]
    SlowOperation,
}

impl ResponseError for LimitError {
    fn status(&self) -> StatusCode {
        match self {
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenBody(_) => StatusCode::BAD_REQUEST,
            Self::SlowOperation => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Reads the body up to the limit, then runs the operation up to the time limit.
pub(super) async fn limit<E>(next: Arc<E>, mut request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let body = timeout(MAX_TIME, read(request.take_body())).await.map_err(|_| LimitError::SlowBody)?;
    match body.map_err(LimitError::BrokenBody)? {
        Some(bytes) => request.set_body(bytes),
        None => {
            request.set_data(TooLarge);
        }
    }
    timeout(MAX_TIME, next.call(request)).await.map_err(|_| LimitError::SlowOperation)?
}

/// The bytes of a body, or nothing where it is too long.
async fn read(body: Body) -> std::io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut drained) = (Vec::new(), 0);
    let chunks = body.into_bytes_stream();
    pin_mut!(chunks);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if drained == 0 && bytes.len() + chunk.len() <= MAX_BODY {
            bytes.extend_from_slice(&chunk);
            continue;
        }
        drained += chunk.len();
        if drained > MAX_DRAINED {
            break;
        }
    }
    Ok((drained == 0).then_some(bytes))
}
