//! Notices when a client closes its sending side of a connection, or resets the connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

/// A request that waits for messages continues to wait for this time after its client has closed its sending side of
/// the connection. The client may be gone, or it may only have nothing more to send and still expect the response.
pub(crate) const HALF_CLOSED_WAIT: Duration = Duration::from_secs(5);

/// Tells whether the client of a request has closed its sending side of the connection.
#[derive(Debug, Clone)]
pub(crate) struct HangUp(watch::Receiver<bool>);

impl HangUp {
    /// Returns whether the client has closed its sending side.
    pub(crate) fn is_closed(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when the client closes its sending side.
    pub(crate) async fn closed(&self) {
        if self.0.clone().wait_for(|closed| *closed).await.is_err() {
            // The connection has ended, and this request is about to be cancelled.
            std::future::pending::<()>().await;
        }
    }

    /// Completes when the client has closed its sending side, and [`HALF_CLOSED_WAIT`] has passed since then.
    pub(crate) async fn waited(&self) {
        self.closed().await;
        sleep(HALF_CLOSED_WAIT).await;
    }
}

/// Watches a connection. Returns a handle that tells whether the client has closed its sending side, and a future that
/// completes when the connection is reset, which means that the client is gone. The handle is updated only while the
/// future is polled.
pub(super) fn watch(stream: Arc<TcpStream>) -> (HangUp, impl Future<Output = ()>) {
    let (sender, receiver) = watch::channel(false);
    let watching = async move {
        let close = async {
            // tokio registers no interest in urgent data, so `PRIORITY` becomes ready only when the client closes its
            // sending side. Readiness to read would not tell unread bytes from the end.
            let _ = stream.ready(Interest::PRIORITY).await;
            sender.send_replace(true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = stream.ready(Interest::ERROR) => {}
            () = close => {}
        }
    };
    (HangUp(receiver), watching)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    async fn pair() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(listener.local_addr().unwrap()));
        (Arc::new(accepted.unwrap().0), client.unwrap())
    }

    #[tokio::test]
    async fn a_client_that_closes_its_side_is_noticed_even_if_its_bytes_are_unread() {
        let (stream, mut client) = pair().await;
        let (hang_up, watching) = watch(stream);
        client.write_all(b"unread").await.unwrap();
        client.shutdown().await.unwrap();
        tokio::select! {
            () = hang_up.closed() => {}
            () = watching => panic!("the client still reads"),
        }
        assert!(hang_up.is_closed());
    }

    #[tokio::test]
    async fn a_reset_ends_the_connection() {
        let (stream, client) = pair().await;
        let (_hang_up, watching) = watch(stream.clone());
        drop(client);
        // The socket of the client is closed, so its operating system answers the bytes with a reset.
        stream.writable().await.unwrap();
        stream.try_write(b"too late").unwrap();
        watching.await;
    }
}
