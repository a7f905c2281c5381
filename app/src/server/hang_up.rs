//! Notices when a client closes its side of a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

/// How long a request goes on waiting after its client has closed its side of the connection. The client may be gone, or it
/// may have said that it sends no more and still wait for the response.
pub(crate) const HALF_CLOSED_WAIT: Duration = Duration::from_secs(5);

/// Whether the client of a request has closed its side of the connection.
#[derive(Debug, Clone)]
pub(crate) struct HangUp(watch::Receiver<bool>);

impl HangUp {
    /// Returns whether the client has closed its side.
    pub(crate) fn is_closed(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when the client closes its side.
    pub(crate) async fn closed(&self) {
        if self.0.clone().wait_for(|closed| *closed).await.is_err() {
            // The connection ends, and this request with it.
            std::future::pending::<()>().await;
        }
    }

    /// Completes [`HALF_CLOSED_WAIT`] after the client has closed its side.
    pub(crate) async fn waited(&self) {
        self.closed().await;
        sleep(HALF_CLOSED_WAIT).await;
    }
}

/// Watches a connection. The future completes when the connection is reset, which means that the client is gone.
pub(super) fn watch(stream: Arc<TcpStream>) -> (HangUp, impl Future<Output = ()>) {
    let (sender, receiver) = watch::channel(false);
    let watching = async move {
        let close = async {
            // Urgent data is not registered, so that this is the end of what the client sends.
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
        // The client's system answers with a reset.
        stream.writable().await.unwrap();
        stream.try_write(b"too late").unwrap();
        watching.await;
    }
}
