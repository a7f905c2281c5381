//! The startup message, which a client sends first on a connection to Postgres. Proxies between a server and its
//! database read and change it (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use std::io;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Maximum length of a startup message in bytes, the same as in Postgres.
const MAX_STARTUP: u32 = 10_000;
/// Number of bytes before the parameters of a startup message: its length, and the version of the protocol.
const HEADER: usize = 8;

/// A connection to Postgres, over TCP or a socket in the file system.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the server of a database.
///
/// # Errors
///
/// If the server can't be reached.
pub async fn dial(database: &PgConnectOptions) -> io::Result<Box<dyn Stream>> {
    Ok(match database.get_socket() {
        Some(folder) => {
            let path = folder.join(format!(".s.PGSQL.{}", database.get_port()));
            Box::new(UnixStream::connect(path).await?)
        }
        None => Box::new(TcpStream::connect((database.get_host(), database.get_port())).await?),
    })
}

/// Reads the startup message of a client.
///
/// # Errors
///
/// If the connection is lost, or the length of the message is invalid.
pub async fn read_startup(client: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = client.read_u32().await?;
    if !(HEADER as u32..=MAX_STARTUP).contains(&length) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the length of the first message is invalid"));
    }
    let mut message = length.to_be_bytes().to_vec();
    message.resize(length as usize, 0);
    client.read_exact(&mut message[4..]).await?;
    Ok(message)
}

/// Returns the startup message `startup`, but without the parameter `options`, in which clients pass settings of the
/// session.
pub fn without_options(startup: &[u8]) -> Vec<u8> {
    let (header, parameters) = startup.split_at(HEADER);
    let mut parameters = parameters.split(|byte| *byte == 0);
    let mut message = header.to_vec();
    while let Some((name, value)) = parameters.next().filter(|name| !name.is_empty()).zip(parameters.next()) {
        if name != b"options" {
            message.extend([name, value].join(&0));
            message.push(0);
        }
    }
    message.push(0);
    // At most as long as the original.
    let length = u32::try_from(message.len()).unwrap_or(MAX_STARTUP);
    message[..4].copy_from_slice(&length.to_be_bytes());
    message
}
