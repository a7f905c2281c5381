//! Limits on requests: the size of the body, the duration, and the memory of bodies in flight.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http_body::Body as _;
use http_body_util::combinators::BoxBody;
use poem::error::ResponseError;
use poem::http::{StatusCode, header};
use poem::{Body, Endpoint, Request, Response};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout};
use woosh_domain::model::UserId;

use crate::budget::{Budget, Client, REQUEST_BODIES, RESPONSE_BODIES, Reservation};
use crate::server::HangUp;

/// Maximum size of a request body, in bytes. Large enough for a body whose fields all have their maximum length, even
/// if JSON escapes every character.
pub(super) const MAX_BODY: usize = 1024 * 1024;
/// Maximum time for a request body to arrive.
const MAX_BODY_TIME: Duration = Duration::from_secs(20);
/// Maximum duration of a request, including the arrival of its body. A request that waits for messages extends its
/// [`Deadline`].
const MAX_TIME: Duration = Duration::from_secs(30);
/// If a request is refused before its body is read, the server reads and discards the body: at most `MAX_DRAINED`
/// bytes, and for at most `MAX_DRAINING`. If it did not, a client that sends the whole body before it reads the
/// response would see a reset connection instead of the response.
const MAX_DRAINED: usize = 16 * 1024 * 1024;
const MAX_DRAINING: Duration = Duration::from_secs(5);

/// Marks a response whose body is a buffer that many responses share, such as the OpenAPI document. The server does not
/// count this body towards the memory limits of the client, because it takes no additional memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedBody;

/// Why a request was aborted.
#[derive(Debug, thiserror::Error)]
pub(super) enum LimitError {
    #[error("the body is longer than {MAX_BODY} bytes")]
    TooLarge,
    #[error("the body took longer than {} seconds to arrive", MAX_BODY_TIME.as_secs())]
    SlowBody,
    #[error("the body ended early: {0}")]
    BrokenBody(io::Error),
    #[error("the request bodies in flight take too much memory")]
    TooManyBodies,
    #[error("the responses in flight take too much memory")]
    TooManyResponses,
    #[error("the request took longer than {} seconds", MAX_TIME.as_secs())]
    SlowRequest,
}

impl LimitError {
    /// Returns whether clients caused the error, because their requests or responses take too much memory. Such an
    /// error does not mean that the server has failed.
    pub(super) fn is_by_clients(&self) -> bool {
        matches!(self, Self::TooManyBodies | Self::TooManyResponses)
    }
}

impl ResponseError for LimitError {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenBody(_) => StatusCode::BAD_REQUEST,
            Self::TooManyBodies | Self::TooManyResponses | Self::SlowRequest => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A request body that has not been read yet. An operation reads the body only after the caller is authenticated, so
/// that unauthenticated requests can't fill the memory.
#[derive(Clone)]
pub(super) struct IncomingBody(Arc<Mutex<Incoming>>);

struct Incoming {
    client: Arc<Client>,
    chunks: BoxStream<'static, io::Result<Bytes>>,
    /// The size of the body in bytes, as declared in `Content-Length`.
    declared: Option<usize>,
    /// Reservations of memory for the body. Kept until the request is answered, because the values parsed from the body
    /// take memory, too.
    reservations: Vec<Reservation>,
}

impl IncomingBody {
    /// Reads the whole body.
    pub(super) async fn read(&self) -> Result<Vec<u8>, LimitError> {
        timeout(MAX_BODY_TIME, self.read_up_to_limit()).await.map_err(|_| LimitError::SlowBody)?
    }

    async fn read_up_to_limit(&self) -> Result<Vec<u8>, LimitError> {
        let Incoming { client, chunks, declared, reservations } = &mut *self.0.lock().await;
        // Reserves the declared size at once. If bodies reserved memory as they arrive, many concurrent bodies could
        // use up the budget while all of them are incomplete, and all would be refused.
        let mut reserved = declared.unwrap_or(0).min(MAX_BODY);
        reservations.push(REQUEST_BODIES.reserve(client, reserved).ok_or(LimitError::TooManyBodies)?);
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(LimitError::BrokenBody)?;
            if bytes.len() + chunk.len() > MAX_BODY {
                return Err(LimitError::TooLarge);
            }
            let missing = (bytes.len() + chunk.len()).saturating_sub(reserved);
            if missing > 0 {
                reservations.push(REQUEST_BODIES.reserve(client, missing).ok_or(LimitError::TooManyBodies)?);
                reserved += missing;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads and discards the rest of the body.
    async fn drain(&self) {
        let drained = timeout(MAX_DRAINING, async {
            let (mut incoming, mut drained) = (self.0.lock().await, 0);
            while let Some(Ok(chunk)) = incoming.chunks.next().await {
                drained += chunk.len();
                if drained > MAX_DRAINED {
                    break;
                }
            }
        });
        // If the client sends even more, it sees a reset connection.
        let _ = drained.await;
    }
}

/// Records the account of the authenticated caller, so that the memory of the request counts towards the limit of this
/// account, and not only towards the limit of the client's address.
pub(super) fn set_account(request: &Request, account: UserId) {
    if let Some(client) = request.data::<Arc<Client>>() {
        client.set_account(account);
    }
}

/// The time by which a request must be answered.
#[derive(Clone)]
pub(super) struct Deadline {
    at: Arc<watch::Sender<Instant>>,
    hang_up: Option<HangUp>,
}

impl Deadline {
    fn new(hang_up: Option<HangUp>) -> Self {
        Self { at: Arc::new(watch::Sender::new(Instant::now() + MAX_TIME)), hang_up }
    }

    /// Extends the deadline by the time for which the request may wait for messages.
    pub(super) fn extend(&self, by: Duration) {
        self.at.send_modify(|deadline| *deadline += by);
    }

    /// Completes when the client has closed its sending side of the connection, and
    /// [`HALF_CLOSED_WAIT`](crate::server::HALF_CLOSED_WAIT) has passed since then. A request that waits for messages
    /// then stops waiting.
    pub(super) async fn client_waited(&self) {
        match &self.hang_up {
            Some(hang_up) => hang_up.waited().await,
            None => std::future::pending().await,
        }
    }

    async fn expired(&self) {
        loop {
            let deadline = *self.at.borrow();
            sleep_until(deadline).await;
            if *self.at.borrow() <= deadline {
                return;
            }
        }
    }
}

/// Middleware: refuses requests that exceed the limits.
pub(super) async fn limit<E>(next: Arc<E>, mut request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    // A client that sends `Expect: 100-continue` sends its body only if the server asks for it. So there may be no body
    // to drain.
    let expects_continue = request.headers().contains_key(header::EXPECT);
    let client = Arc::new(Client::new(request.remote_addr().as_socket_addr().map(SocketAddr::ip)));
    let declared = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let chunks = request.take_body().into_bytes_stream().boxed();
    let incoming = Incoming { client: client.clone(), chunks, declared, reservations: Vec::new() };
    let body = IncomingBody(Arc::new(Mutex::new(incoming)));
    let deadline = Deadline::new(request.data::<HangUp>().cloned());
    request.set_data(client.clone());
    request.set_data(body.clone());
    request.set_data(deadline.clone());
    let response = tokio::select! {
        response = next.call(request) => match response {
            Ok(response) => charge(response, &client, &RESPONSE_BODIES).await,
            // Returned below, after the body is drained.
            Err(error) => Err(error),
        },
        () = deadline.expired() => return Err(LimitError::SlowRequest.into()),
    };
    if !expects_continue {
        body.drain().await;
    }
    response
}

/// Counts the memory of a response body towards the limits of the client until the body is written to the connection.
/// Leaves out streamed bodies: the stream itself counts the parts that it produces.
async fn charge(mut response: Response, client: &Client, budget: &'static Budget) -> poem::Result<Response> {
    if response.extensions().get::<SharedBody>().is_some() {
        return Ok(response);
    }
    let body: BoxBody<Bytes, io::Error> = response.take_body().into();
    if body.size_hint().exact().is_none_or(|size| size == 0) {
        response.set_body(body);
        return Ok(response);
    }
    let bytes = Body::from(body).into_bytes().await?;
    response.set_body(budget.charge(client, bytes).ok_or(LimitError::TooManyResponses)?);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::endpoint::make;

    /// A test fails if its request was not aborted after this time. The test does not really wait: its clock is paused.
    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn extending_a_deadline_moves_it() {
        let (start, deadline) = (Instant::now(), Deadline::new(None));
        deadline.extend(Duration::from_secs(60));
        deadline.expired().await;
        assert_eq!(start.elapsed().as_secs(), 90);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_response_is_aborted_after_30_seconds() {
        let start = Instant::now();
        let endpoint = make(|_| std::future::pending::<poem::Result<Response>>());
        let limited = timeout(HOUR, limit(Arc::new(endpoint), Request::default()));
        let error = limited.await.unwrap().unwrap_err();
        assert_eq!((error.status(), start.elapsed().as_secs()), (StatusCode::SERVICE_UNAVAILABLE, 30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_take_20_seconds_and_what_is_not_read_of_it_5_seconds() {
        let unending = || {
            let chunks = futures_util::stream::pending::<io::Result<Bytes>>();
            Request::builder().body(Body::from_bytes_stream(chunks))
        };
        let start = Instant::now();
        let endpoint = make(move |request| async move {
            let read = request.data::<IncomingBody>().unwrap().read().await;
            assert_eq!(start.elapsed().as_secs(), 20);
            read.map(|_| Response::default()).map_err(poem::Error::from)
        });
        let error = timeout(HOUR, limit(Arc::new(endpoint), unending())).await.unwrap().unwrap_err();
        assert_eq!((error.status(), start.elapsed().as_secs()), (StatusCode::REQUEST_TIMEOUT, 25));

        let start = Instant::now();
        let endpoint = make(|_| async { Ok::<_, poem::Error>(Response::default()) });
        assert!(timeout(HOUR, limit(Arc::new(endpoint), unending())).await.unwrap().is_ok());
        assert_eq!(start.elapsed().as_secs(), 5);
    }
}
