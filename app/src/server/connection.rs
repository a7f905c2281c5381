//! Closes connections that are idle for too long, and connections whose request gets no response for too long.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

/// The server closes a connection if no byte was read or written for this time, so that a client that stalls in the
/// middle of a request or response can't hold a connection. The server checks a connection at intervals of this time,
/// so an idle connection lasts at most twice as long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// The server closes a connection if this time passes between the first byte of a request and the first byte of the
/// response, even if more of the request keeps arriving. This time is far above the time limits of operations.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(150);

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    idle: Duration,
    response: Duration,
}

/// A connection that fails with `TimedOut` if the connection is idle for too long, or if a request gets no response for
/// too long.
pub(super) struct Connection {
    /// The TCP stream. Shared with the future of [`hang_up::watch`](super::hang_up::watch), which notices when the
    /// client closes the connection.
    stream: Arc<TcpStream>,
    timeouts: Timeouts,
    progress: bool,
    unanswered_since: Option<Instant>,
    check: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Timeouts {
    pub(super) const DEFAULT: Self = Self { idle: IDLE_TIMEOUT, response: RESPONSE_TIMEOUT };
}

impl Connection {
    pub(super) fn new(stream: Arc<TcpStream>, permit: OwnedSemaphorePermit, timeouts: Timeouts) -> Self {
        let check = Box::pin(sleep(timeouts.idle));
        Self { stream, timeouts, progress: false, unanswered_since: None, check, _permit: permit }
    }

    /// Checks the timeouts. `io` is the outcome of a read or a write. If `io` is ready, records that the connection
    /// makes progress, and returns `io`. If `io` is pending and a timeout has elapsed, returns an error.
    fn watch<T>(&mut self, context: &mut Context<'_>, io: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if io.is_ready() {
            self.progress = true;
            return io;
        }
        loop {
            ready!(self.check.as_mut().poll(context));
            let unanswered = self.unanswered_since.is_some_and(|since| since.elapsed() >= self.timeouts.response);
            if !std::mem::take(&mut self.progress) || unanswered {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let next = Instant::now() + self.timeouts.idle;
            self.check.as_mut().reset(next);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let io = loop {
            match self.stream.poll_read_ready(context) {
                Poll::Ready(Ok(())) => {}
                other => break other,
            }
            match self.stream.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => break Poll::Ready(read.map(drop)),
            }
        };
        if io.is_ready() {
            self.unanswered_since.get_or_insert_with(Instant::now);
        }
        self.watch(context, io)
    }
}

impl Connection {
    fn write(
        &mut self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let io = loop {
            match self.stream.poll_write_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => break Poll::Ready(written),
            }
        };
        if io.is_ready() {
            self.unanswered_since = None;
        }
        self.watch(context, io)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |stream| stream.try_write_vectored(bufs))
    }

    /// Returns true, so that hyper writes response bodies directly from their buffers. If hyper copied a body into a
    /// buffer of its own, the body would count as written before it is written to the connection.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&*self.stream, Shutdown::Write).map_err(io::Error::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    /// Returns a connection that the server accepted, with the default timeouts, and the client's end of it.
    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        (Connection::new(Arc::new(accepted.unwrap().0), permit, Timeouts::DEFAULT), client.unwrap())
    }

    /// Reads a byte. Panics after an hour, so that a test fails if the connection has no timeout.
    async fn read(connection: &mut Connection) -> io::Result<u8> {
        timeout(Duration::from_secs(3600), connection.read_u8()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed() {
        let (mut connection, _client) = pair().await;
        let start = Instant::now();
        let error = read(&mut connection).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 75);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_keeps_a_connection_open() {
        let (mut connection, mut client) = pair().await;
        let start = Instant::now();
        client.write_u8(1).await.unwrap();
        assert_eq!(read(&mut connection).await.unwrap(), 1);
        connection.write_u8(2).await.unwrap();
        let error = read(&mut connection).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_whose_request_never_ends_is_closed() {
        let (mut connection, mut client) = pair().await;
        let start = Instant::now();
        // Single bytes are progress, but never a complete request.
        let dripping = tokio::spawn(async move {
            while client.write_u8(1).await.is_ok() {
                sleep(Duration::from_secs(15)).await;
            }
        });
        let error = loop {
            if let Err(error) = read(&mut connection).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 150);
        dripping.abort();
    }
}
