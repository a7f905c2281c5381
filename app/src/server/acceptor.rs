//! Connections: how many at once, and how long one may be silent.

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

/// The most connections at once, as far as there are file handles; whoever comes then waits to be accepted.
const MAX_CONNECTIONS: u64 = 20_000;
/// File handles for all but connections.
const OTHER_HANDLES: u64 = 64;
/// A connection without progress for this long, or up to twice as long, is ended: a client that stalls in the middle of
/// a request or an answer holds it no longer.
const MAX_SILENCE: Duration = Duration::from_secs(75);
/// A request that nothing was answered to for this long after its first byte came ends its connection, however steadily
/// the bytes still come. All that an operation may take is well below it.
const MAX_UNANSWERED: Duration = Duration::from_secs(150);
/// How long to leave off when the system has no more file handles to give.
const BACK_OFF: Duration = Duration::from_millis(250);

/// Accepts connections, never more than there is room for.
pub(super) struct ConnectionAcceptor {
    listener: TcpListener,
    address: SocketAddr,
    room: Arc<Semaphore>,
}

impl ConnectionAcceptor {
    pub(super) fn new(listener: TcpListener, address: SocketAddr) -> Self {
        let handles = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let room = handles.saturating_sub(OTHER_HANDLES).clamp(1, MAX_CONNECTIONS);
        Self { listener, address, room: Arc::new(Semaphore::new(room as usize)) }
    }
}

impl Acceptor for ConnectionAcceptor {
    type Io = Connection;

    fn local_addr(&self) -> Vec<LocalAddr> {
        vec![LocalAddr(self.address.into())]
    }

    async fn accept(&mut self) -> io::Result<(Connection, LocalAddr, RemoteAddr, Scheme)> {
        let place = self.room.clone().acquire_owned().await.map_err(io::Error::other)?;
        loop {
            match self.listener.accept().await {
                Ok((stream, remote)) => {
                    // An answer is written in one piece; waiting for more of it would only delay it.
                    stream.set_nodelay(true)?;
                    let limits = ConnectionLimits { silence: MAX_SILENCE, unanswered: MAX_UNANSWERED };
                    let connection = Connection::new(stream, place, limits);
                    return Ok((connection, LocalAddr(self.address.into()), RemoteAddr(remote.into()), Scheme::HTTP));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(BACK_OFF).await;
                }
            }
        }
    }
}

/// How long a connection may make no progress.
#[derive(Debug, Clone, Copy)]
struct ConnectionLimits {
    silence: Duration,
    unanswered: Duration,
}

/// A connection that ends when it is silent, or a request on it unanswered, for too long.
pub(super) struct Connection {
    stream: TcpStream,
    limits: ConnectionLimits,
    progress: bool,
    unanswered_since: Option<Instant>,
    check: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, limits: ConnectionLimits) -> Self {
        let check = Box::pin(sleep(limits.silence));
        Self { stream, limits, progress: false, unanswered_since: None, check, _place: place }
    }

    /// Notes progress, or fails where there was none for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, io: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if io.is_ready() {
            self.progress = true;
            return io;
        }
        loop {
            ready!(self.check.as_mut().poll(context));
            let unanswered = self.unanswered_since.is_some_and(|since| since.elapsed() >= self.limits.unanswered);
            if !std::mem::take(&mut self.progress) || unanswered {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let next = Instant::now() + self.limits.silence;
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

    const SILENCE: Duration = Duration::from_millis(100);
    const UNANSWERED: Duration = Duration::from_millis(300);

    /// An accepted connection and its other end.
    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let limits = ConnectionLimits { silence: SILENCE, unanswered: UNANSWERED };
        (Connection::new(accepted.unwrap().0, place, limits), client.unwrap())
    }

    #[tokio::test]
    async fn a_silent_connection_is_ended() {
        let (mut connection, _client) = pair().await;
        let start = Instant::now();
        let error = connection.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= SILENCE);
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
        assert!(start.elapsed() >= SILENCE * 2, "the silence was counted from before the progress");
    }

    #[tokio::test]
    async fn a_request_that_never_ends_is_ended() {
        let (mut connection, mut client) = pair().await;
        let start = Instant::now();
        // A byte now and then is progress, and still not a request.
        let dripping = tokio::spawn(async move {
            while client.write_u8(1).await.is_ok() {
                sleep(SILENCE / 5).await;
            }
        });
        let error = loop {
            if let Err(error) = connection.read_u8().await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= UNANSWERED);
        dripping.abort();
    }
}
