//! Connection limits: number, idle time and time without a response.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use poem::http::uri::Scheme;
use poem::listener::Acceptor;
use poem::web::{LocalAddr, RemoteAddr};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Maximum number of connections, if enough file handles are available. Further connections wait until one closes.
const MAX_CONNECTIONS: u64 = 20_000;
/// Number of file handles that are reserved for purposes other than connections.
const OTHER_HANDLES: u64 = 64;
/// The server closes a connection that makes no progress for this time, and at the latest after twice this time. So a
/// client that stalls in the middle of a request or response can't hold a connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// The server closes a connection if this time passes after the first byte of a request without any byte of the
/// response being written, even if more of the request keeps arriving. This time is far above the time limits of
/// operations.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(150);
/// Delay before the server accepts connections again after an error, such as a lack of file handles.
const BACK_OFF: Duration = Duration::from_millis(250);

/// Accepts connections up to the limit.
pub(super) struct ConnectionAcceptor {
    listener: TcpListener,
    address: SocketAddr,
    permits: Arc<Semaphore>,
}

impl ConnectionAcceptor {
    pub(super) fn new(listener: TcpListener, address: SocketAddr) -> Self {
        let handles = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let permits = handles.saturating_sub(OTHER_HANDLES).clamp(1, MAX_CONNECTIONS);
        Self { listener, address, permits: Arc::new(Semaphore::new(permits as usize)) }
    }
}

impl Acceptor for ConnectionAcceptor {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        let permit = self.permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        loop {
            match self.listener.accept().await {
                Ok((stream, remote)) => {
                    // Responses are written in one piece, so that Nagle's algorithm would only delay them.
                    stream.set_nodelay(true)?;
                    let timeouts = Timeouts { idle: IDLE_TIMEOUT, response: RESPONSE_TIMEOUT };
                    let connection = Connection::new(stream, permit, timeouts);
                    return Ok((connection, LocalAddr(self.address.into()), RemoteAddr(remote.into()), Scheme::HTTP));
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    sleep(BACK_OFF).await;
                }
            }
        }
    }
}

/// The timeouts of a connection.
#[derive(Debug, Clone, Copy)]
struct Timeouts {
    idle: Duration,
    response: Duration,
}

/// A connection that fails with `TimedOut` if the connection is idle for too long, or if a request on the connection
/// gets no response for too long.
pub(super) struct Connection {
    stream: TcpStream,
    timeouts: Timeouts,
    progress: bool,
    unanswered_since: Option<Instant>,
    check: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit, timeouts: Timeouts) -> Self {
        let check = Box::pin(sleep(timeouts.idle));
        Self { stream, timeouts, progress: false, unanswered_since: None, check, _permit: permit }
    }

    /// Records progress, or fails if a timeout has elapsed.
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
        let io = Pin::new(&mut self.stream).poll_read(context, buf);
        if io.is_ready() {
            self.unanswered_since.get_or_insert_with(Instant::now);
        }
        self.watch(context, io)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let io = Pin::new(&mut self.stream).poll_write(context, buf);
        if io.is_ready() {
            self.unanswered_since = None;
        }
        self.watch(context, io)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const IDLE: Duration = Duration::from_millis(100);
    const RESPONSE: Duration = Duration::from_millis(300);

    /// An accepted connection and its client.
    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let timeouts = Timeouts { idle: IDLE, response: RESPONSE };
        (Connection::new(accepted.unwrap().0, permit, timeouts), client.unwrap())
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed() {
        let (mut connection, _client) = pair().await;
        let start = Instant::now();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= IDLE);
    }

    #[tokio::test]
    async fn progress_keeps_a_connection_open() {
        let (mut connection, mut client) = pair().await;
        let start = Instant::now();
        client.write_u8(1).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 1);
        connection.write_u8(2).await.unwrap();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= IDLE * 2, "idle time before the progress was counted");
    }

    #[tokio::test]
    async fn a_connection_whose_request_never_ends_is_closed() {
        let (mut connection, mut client) = pair().await;
        let start = Instant::now();
        // Single bytes are progress, but never a complete request.
        let dripping = tokio::spawn(async move {
            while client.write_u8(1).await.is_ok() {
                sleep(IDLE / 5).await;
            }
        });
        let error = loop {
            if let Err(error) = connection.read_u8().await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= RESPONSE);
        dripping.abort();
    }
}
