//! Serves connections until the server stops.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response, http};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::acceptor::{Accepted, ConnectionAcceptor};
use super::connection::{Connection, Timeouts};
use super::drain::{DrainedBody, DrainedStreams, drained};
use super::hang_up;

/// Maximum number of concurrent requests per HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// Maximum size of the headers of an HTTP/2 request, in bytes.
const MAX_HEADERS: u32 = 16 * 1024;
/// Maximum number of HTTP/2 streams that the client has opened and reset, and that the server has not processed yet. If
/// a client exceeds this number, hyper ends the connection.
const MAX_RESET_STREAMS: usize = 20;
/// Maximum size of the read buffer and of the write buffer of a connection, in bytes. On HTTP/2, also of the write
/// buffer of each stream.
const BUFFER: usize = 64 * 1024;
/// Maximum size of request bodies that are buffered before an operation reads them, in bytes. `CONNECTION_WINDOW`
/// limits all streams of an HTTP/2 connection together, and `STREAM_WINDOW` limits each stream.
const CONNECTION_WINDOW: u32 = 256 * 1024;
const STREAM_WINDOW: u32 = 64 * 1024;

/// Serves connections until `stop` completes. Then accepts no more connections, and waits for requests in flight to
/// finish. If some requests have not finished after `grace`, ends them.
pub(super) async fn serve(
    acceptor: ConnectionAcceptor,
    local: SocketAddr,
    endpoint: impl Endpoint<Output = Response> + 'static,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    let endpoint = Arc::new(endpoint);
    let stopping = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            accepted = acceptor.accept() => {
                connections.spawn(serve_connection(accepted?, local, endpoint.clone(), stopping.subscribe()));
            }
            Some(_) = connections.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop(acceptor);
    stopping.send_replace(true);
    let finished = timeout(grace, async { while connections.join_next().await.is_some() {} });
    if finished.await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

async fn serve_connection(
    Accepted { stream, remote, permit }: Accepted,
    local: SocketAddr,
    endpoint: Arc<impl Endpoint<Output = Response> + 'static>,
    mut stopping: watch::Receiver<bool>,
) {
    let stream = Arc::new(stream);
    let (hang_up, gone) = hang_up::watch(stream.clone());
    let io = TokioIo::new(Connection::new(stream, permit, Timeouts::DEFAULT));
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (endpoint, hang_up) = (endpoint.clone(), hang_up.clone());
        async move {
            let addresses = (LocalAddr(local.into()), RemoteAddr(remote.into()));
            let mut request = Request::from((request, addresses.0, addresses.1, Scheme::HTTP));
            request.set_data(hang_up);
            let response: http::Response<BoxBody<Bytes, io::Error>> = endpoint.get_response(request).await.into();
            Ok::<_, Infallible>(response.map(DrainedBody::new))
        }
    });
    let mut builder = auto::Builder::new(DrainedStreams);
    builder.http1().max_buf_size(BUFFER).half_close(true);
    builder
        .http2()
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buf_size(BUFFER)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW);
    let connection = builder.serve_connection(io, service);
    let served = async {
        tokio::pin!(connection);
        tokio::select! {
            _ = &mut connection => return,
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        connection.as_mut().graceful_shutdown();
        // Ignores an error, which means that the client is gone.
        let _ = connection.await;
    };
    tokio::select! {
        _ = drained(served) => {}
        () = gone => {}
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
