//! Enforces a minimum rate at which clients read responses. If a client reads more slowly, the server ends its
//! connection, or on HTTP/2 only the stream, so that unsent responses don't fill the memory.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use hyper::rt::Executor;
use tokio::time::{Instant, sleep};

/// Minimum rate at which a client has to read responses, in bytes per second. The rate is an average over at least the
/// time [`WINDOW`]. Only time in which the server has unsent bytes counts: when all bytes are written, the measurement
/// ends.
const MIN_RATE: usize = 4 * 1024;
const WINDOW: Duration = Duration::from_secs(20);
/// How often the server checks the rate at which a client reads.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum size of the pieces in which a response body is written, in bytes. Between two pieces, the task of the
/// connection or stream yields, so that other connections make progress.
const PIECE: usize = 32 * 1024;

tokio::task_local! {
    static PROGRESS: Arc<Progress>;
}

/// Runs a future that serves a connection or an HTTP/2 stream, and returns its output. If the client reads responses
/// too slowly, drops the future, and returns `None`.
pub(super) async fn drained<T>(future: impl Future<Output = T>) -> Option<T> {
    let progress = Arc::new(Progress::default());
    tokio::select! {
        output = PROGRESS.scope(progress.clone(), future) => Some(output),
        () = progress.stalled() => {
            tracing::debug!("ended a connection or stream, because its client reads too slowly");
            None
        }
    }
}

/// Runs each stream of an HTTP/2 connection in a task that ends if the client reads too slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct DrainedStreams;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for DrainedStreams {
    fn execute(&self, stream: F) {
        tokio::spawn(drained(stream));
    }
}

/// Counts bytes of responses, for one connection or HTTP/2 stream: how many are not written yet, and how many were
/// written.
#[derive(Default)]
struct Progress(Mutex<Unsent>);

#[derive(Default)]
struct Unsent {
    /// Number of bytes that are not written to the connection yet.
    bytes: usize,
    /// Number of bytes that were written in the current measurement of the rate.
    written: usize,
    /// The start of the current measurement of the rate. `None` if all bytes are written.
    since: Option<Instant>,
    /// Wakes the response body that waits until all bytes are written.
    waker: Option<Waker>,
}

impl Progress {
    fn unsent(&self) -> MutexGuard<'_, Unsent> {
        // Ignores poisoning, because a panic under this lock can't leave the data inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: usize) {
        let mut unsent = self.unsent();
        unsent.bytes += bytes;
        if unsent.since.is_none() {
            unsent.since = Some(Instant::now());
            unsent.written = 0;
        }
    }

    fn written(&self, bytes: usize) {
        let mut unsent = self.unsent();
        unsent.bytes -= bytes;
        unsent.written += bytes;
        if unsent.bytes == 0 {
            unsent.since = None;
            let waker = unsent.waker.take();
            drop(unsent);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Completes when all bytes are written to the connection.
    fn poll_written(&self, context: &Context<'_>) -> Poll<()> {
        let mut unsent = self.unsent();
        if unsent.bytes == 0 {
            return Poll::Ready(());
        }
        unsent.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Completes when the client reads more slowly than [`MIN_RATE`].
    async fn stalled(&self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            if self.has_stalled() {
                return;
            }
        }
    }

    fn has_stalled(&self) -> bool {
        let mut unsent = self.unsent();
        let Some(since) = unsent.since.filter(|since| since.elapsed() >= WINDOW) else {
            return false;
        };
        let due = MIN_RATE * usize::try_from(since.elapsed().as_secs()).unwrap_or(usize::MAX);
        // Tolerates one piece, because a piece counts as written only when all of it is.
        let stalled = unsent.written + PIECE < due;
        unsent.since = Some(Instant::now());
        unsent.written = 0;
        stalled
    }
}

/// A response body that is written in pieces, and that counts the written bytes, so that the server notices a client
/// that reads too slowly.
pub(super) struct DrainedBody {
    inner: BoxBody<Bytes, io::Error>,
    progress: Option<Arc<Progress>>,
    rest: Bytes,
    yields: bool,
    /// Whether `inner` has ended.
    ended: bool,
}

impl DrainedBody {
    /// Wraps the body of a response. Call this in a future that [`drained`] runs; otherwise, nothing checks how fast
    /// the client reads this body.
    pub(super) fn new(inner: BoxBody<Bytes, io::Error>) -> Self {
        Self { inner, progress: PROGRESS.try_with(Arc::clone).ok(), rest: Bytes::new(), yields: false, ended: false }
    }
}

impl Body for DrainedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(progress) = self.progress.clone() else {
            return Pin::new(&mut self.inner).poll_frame(context);
        };
        if std::mem::take(&mut self.yields) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.ended {
            // The end is reported only when everything is written, because an HTTP/2 stream is watched only until its
            // body ends.
            ready!(progress.poll_written(context));
            return Poll::Ready(None);
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        progress.add(data.len());
                        self.rest = data;
                    }
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    return self.poll_frame(context);
                }
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = Piece { bytes: self.rest.split_to(length), progress };
        self.yields = !self.rest.is_empty();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }

    fn is_end_stream(&self) -> bool {
        // The body ends only when everything is written (see `poll_frame`).
        self.rest.is_empty()
            && (self.ended || self.inner.is_end_stream())
            && self.progress.as_ref().is_none_or(|progress| progress.unsent().bytes == 0)
    }
}

impl Drop for DrainedBody {
    fn drop(&mut self) {
        if let Some(progress) = &self.progress {
            progress.written(self.rest.len());
        }
    }
}

/// A piece of a response body. hyper drops a piece once it is written to the connection, and `drop` then counts its
/// bytes as written.
struct Piece {
    bytes: Bytes,
    progress: Arc<Progress>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.progress.written(self.bytes.len());
    }
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod tests;
