//! Limits of every request: the size of its body, and the time that it may take.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use poem::error::ResponseError;
use poem::http::{StatusCode, header};
use poem::{Endpoint, Request, Response};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// The longest body: room for the largest fields, each character of them escaped.
pub(super) const MAX_BODY: usize = 1024 * 1024;
/// How long a body may take to arrive.
const MAX_BODY_TIME: Duration = Duration::from_secs(20);
/// How long a request may take, its body included, unless it extends its [`Deadline`].
const MAX_TIME: Duration = Duration::from_secs(30);
/// How much of a body that nobody wants is read all the same, and for how long, so that a client that sends it before it
/// reads anything gets to read the answer.
const MAX_DRAINED: usize = 16 * 1024 * 1024;
const MAX_DRAINING: Duration = Duration::from_secs(5);

/// The kibibytes that the bodies being read may hold together.
static ROOM: Semaphore = Semaphore::const_new(128 * 1024);

/// Why a request was not let through.
#[derive(Debug, thiserror::Error)]
pub(super) enum LimitError {
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the body took longer than {} seconds to arrive", MAX_BODY_TIME.as_secs())]
    SlowBody,
    #[error("the body broke off: {0}")]
    BrokenBody(io::Error),
    #[error("too many bodies arrive at once")]
    NoRoom,
    #[error("the request took longer than {} seconds", MAX_TIME.as_secs())]
    SlowRequest,
}

impl ResponseError for LimitError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenBody(_) => StatusCode::BAD_REQUEST,
            Self::NoRoom | Self::SlowRequest => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The body of a request as it arrives. It is read by the operations that want one, once they know who asks: nobody
/// makes the server keep a body for nothing.
#[derive(Clone)]
pub(super) struct Incoming(Arc<Mutex<BoxStream<'static, io::Result<Bytes>>>>);

impl Incoming {
    /// All of it.
    pub(super) async fn read(&self) -> Result<Vec<u8>, LimitError> {
        timeout(MAX_BODY_TIME, self.read_up_to_limit()).await.map_err(|_| LimitError::SlowBody)?
    }

    async fn read_up_to_limit(&self) -> Result<Vec<u8>, LimitError> {
        let mut chunks = self.0.lock().await;
        let (mut bytes, mut rooms) = (Vec::new(), Vec::new());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(LimitError::BrokenBody)?;
            if bytes.len() + chunk.len() > MAX_BODY {
                return Err(LimitError::TooLarge);
            }
            let kibibytes = u32::try_from(chunk.len().div_ceil(1024)).unwrap_or(u32::MAX);
            rooms.push(ROOM.try_acquire_many(kibibytes).map_err(|_| LimitError::NoRoom)?);
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Lets the rest of it go by.
    async fn drain(&self) {
        let drained = timeout(MAX_DRAINING, async {
            let (mut chunks, mut drained) = (self.0.lock().await, 0);
            while let Some(Ok(chunk)) = chunks.next().await {
                drained += chunk.len();
                if drained > MAX_DRAINED {
                    break;
                }
            }
        });
        // Whoever goes on after that sees the connection end.
        let _ = drained.await;
    }
}

/// When a request has to be answered.
#[derive(Clone)]
pub(super) struct Deadline(Arc<watch::Sender<Instant>>);

impl Deadline {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Instant::now() + MAX_TIME)))
    }

    /// Lets the request take so much longer, which it will spend waiting.
    pub(super) fn extend(&self, by: Duration) {
        self.0.send_modify(|deadline| *deadline += by);
    }

    async fn passed(&self) {
        loop {
            let deadline = *self.0.borrow();
            sleep_until(deadline).await;
            if *self.0.borrow() <= deadline {
                return;
            }
        }
    }
}

/// Runs an operation up to the time limit.
pub(super) async fn limit<E>(next: Arc<E>, mut request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    // Whoever waits for a go-ahead has not sent the body yet, and won't be asked to.
    let waits = request.headers().contains_key(header::EXPECT);
    let body = Incoming(Arc::new(Mutex::new(request.take_body().into_bytes_stream().boxed())));
    let deadline = Deadline::new();
    request.set_data(body.clone());
    request.set_data(deadline.clone());
    let answer = tokio::select! {
        answer = next.call(request) => answer,
        () = deadline.passed() => return Err(LimitError::SlowRequest.into()),
    };
    if !waits {
        body.drain().await;
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_extends_its_deadline_has_so_much_longer() {
        let (start, deadline) = (Instant::now(), Deadline::new());
        deadline.extend(Duration::from_secs(60));
        deadline.passed().await;
        assert_eq!(start.elapsed().as_secs(), 90);
    }
}
