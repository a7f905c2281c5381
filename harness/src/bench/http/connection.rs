use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::body::Decoder;
use super::endpoint::Endpoint;
use super::head::Head;

/// Maximum time to connect.
const CONNECT: Duration = Duration::from_secs(30);
/// After this idle time, a connection is tested before its next request, because the server may have closed it.
const IDLE: Duration = Duration::from_secs(1);
/// Size of the read buffer of a new connection, in bytes. It is small, because thousands of connections may wait for a
/// message, each with its buffer.
const FIRST_READ: usize = 4 * 1024;
const MAX_READ: usize = 64 * 1024;

/// A persistent HTTP/1.1 connection, with one request at a time.
#[derive(Debug)]
pub(in crate::bench) struct Connection {
    endpoint: Rc<Endpoint>,
    stream: TcpStream,
    /// Received bytes that are not decoded yet.
    input: Vec<u8>,
    body: Vec<u8>,
    /// The minimum free space in `input` before each read, in bytes. After a read that fills all free space, this value
    /// doubles, up to `MAX_READ`.
    read: usize,
    used: Instant,
}

/// A complete response.
#[derive(Debug)]
pub(in crate::bench) struct Response<'a> {
    pub(in crate::bench) status: u16,
    pub(in crate::bench) body: &'a [u8],
}

impl<'a> Response<'a> {
    /// Returns the body. Fails if the status of the response is not `status`; the error names `operation`.
    pub(in crate::bench) fn expect(self, status: u16, operation: &str) -> anyhow::Result<&'a [u8]> {
        ensure!(
            self.status == status,
            "{operation} returned {}, expected {status}: {}",
            self.status,
            excerpt(self.body)
        );
        Ok(self.body)
    }
}

/// Returns the start of a body, for error messages.
pub(in crate::bench) fn excerpt(body: &[u8]) -> String {
    const LENGTH: usize = 300;
    let text = String::from_utf8_lossy(&body[..body.len().min(LENGTH)]).into_owned();
    if body.len() > LENGTH { text + " …" } else { text }
}

impl Connection {
    pub(in crate::bench) async fn open(endpoint: &Rc<Endpoint>) -> anyhow::Result<Self> {
        let stream = connect(endpoint).await?;
        let (endpoint, used) = (endpoint.clone(), Instant::now());
        Ok(Self { endpoint, stream, input: Vec::new(), body: Vec::new(), read: FIRST_READ, used })
    }

    /// Sends a request and receives the complete response. Fails if the response takes longer than `limit`.
    pub(in crate::bench) async fn exchange(&mut self, request: &[u8], limit: Duration) -> anyhow::Result<Response<'_>> {
        if self.used.elapsed() > IDLE && self.is_closed() {
            self.stream = connect(&self.endpoint).await?;
        }
        let receive = async {
            let mut head = self.request(request).await?;
            while self.decode(&mut head.body)? {
                self.read().await?;
            }
            anyhow::Ok(head.status)
        };
        let status =
            timeout(limit, receive).await.with_context(|| format!("no complete response within {limit:.0?}"))??;
        ensure!(self.input.is_empty(), "the server sent more than one response");
        self.used = Instant::now();
        Ok(Response { status, body: &self.body })
    }

    /// Sends a request and receives the head of the response: its status and headers.
    pub(super) async fn request(&mut self, request: &[u8]) -> anyhow::Result<Head> {
        self.body.clear();
        self.stream.write_all(request).await.context("the connection was lost")?;
        loop {
            if let Some(head) = Head::parse(&self.input)? {
                self.input.drain(..head.length);
                return Ok(head);
            }
            self.read().await?;
        }
    }

    /// Decodes the part of the body that was received. Returns whether more of the body is to come.
    pub(super) fn decode(&mut self, decoder: &mut Decoder) -> anyhow::Result<bool> {
        let used = decoder.decode(&self.input, &mut self.body)?;
        self.input.drain(..used);
        Ok(!decoder.is_done())
    }

    /// Waits until the connection receives more bytes.
    pub(super) async fn read(&mut self) -> anyhow::Result<()> {
        self.input.reserve(self.read);
        let free = self.input.capacity() - self.input.len();
        let read = self.stream.read_buf(&mut self.input).await.context("the connection was lost")?;
        ensure!(read > 0, "the server closed the connection");
        if read == free {
            self.read = (2 * self.read).min(MAX_READ);
        }
        Ok(())
    }

    /// Returns the decoded part of the response body.
    pub(super) fn body(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }

    /// Returns whether the server has closed the connection. The connection must be idle.
    fn is_closed(&self) -> bool {
        !matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

async fn connect(endpoint: &Endpoint) -> anyhow::Result<TcpStream> {
    let address = endpoint.address;
    let connected = timeout(CONNECT, TcpStream::connect(address)).await;
    let stream = connected
        .with_context(|| format!("can't connect to {address} within {CONNECT:.0?}"))?
        .with_context(|| format!("can't connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
