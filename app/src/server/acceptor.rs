//! Accepts connections, up to a number.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Maximum number of connections, if enough file handles are available. Further connections wait until one closes.
const MAX_CONNECTIONS: u64 = 20_000;
/// Number of file handles that are reserved for purposes other than connections.
const OTHER_HANDLES: u64 = 64;
/// Delay before the server accepts connections again after an error, such as a lack of file handles.
const BACK_OFF: Duration = Duration::from_millis(250);

/// The time after which the system probes a silent client, the interval of further probes, and their number. A client
/// whose machine is gone loses its connection after the last one.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// Accepts connections up to the limit.
pub(super) struct ConnectionAcceptor {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

/// An accepted connection.
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

    /// Accepts the next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        let permit = self.permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        loop {
            match self.listener.accept().await {
                Ok((stream, remote)) => match configure(&stream) {
                    Ok(()) => return Ok(Accepted { stream, remote, permit }),
                    // The client is gone already.
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
    // Responses are written in one piece, so that Nagle's algorithm would only delay them.
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    Ok(())
}
