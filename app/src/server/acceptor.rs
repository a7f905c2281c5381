//! Accepts connections, up to a maximum number.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Maximum number of open connections, if enough file handles are available. Further clients wait in the queue of the
/// operating system until a connection closes.
const MAX_CONNECTIONS: u64 = 20_000;
/// Number of file handles that are kept for other purposes than connections, such as the database.
const OTHER_HANDLES: u64 = 64;
/// After an error, such as a lack of file handles, the server accepts no connection for this time.
const BACK_OFF: Duration = Duration::from_millis(250);

/// TCP keepalive: after `PROBE_AFTER` without data, the operating system sends a probe to the client every
/// `PROBE_INTERVAL`. If `PROBES` probes get no answer, the operating system ends the connection, because the client's
/// machine is gone.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Accepts connections up to the maximum number of open connections.
pub(super) struct ConnectionAcceptor {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

/// An accepted connection, with its permit. The number of permits limits the number of open connections.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) remote: SocketAddr,
    pub(super) permit: OwnedSemaphorePermit,
}

impl ConnectionAcceptor {
    pub(super) fn new(listener: TcpListener) -> Self {
        let handles = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let permits = handles.saturating_sub(OTHER_HANDLES).clamp(1, MAX_CONNECTIONS);
        Self { listener, permits: Arc::new(Semaphore::new(permits as usize)) }
    }

    /// Waits until the number of open connections is below the maximum, then accepts the next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        let permit = self.permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        loop {
            match self.listener.accept().await {
                Ok((stream, remote)) => match configure(&stream) {
                    Ok(()) => return Ok(Accepted { stream, remote, permit }),
                    // The client has closed the connection already: accept the next one.
                    Err(error) => tracing::debug!(%error, "failed to configure a connection"),
                },
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    sleep(BACK_OFF).await;
                }
            }
        }
    }
}

fn configure(stream: &TcpStream) -> io::Result<()> {
    // Nagle's algorithm would delay responses and gain nothing, because each response is written in one piece.
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    Ok(())
}
