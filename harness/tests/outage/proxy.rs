//! A proxy between a server and its database, which simulates faults of the network.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{RwLock, watch};
use woosh_harness::TestDatabase;
use woosh_server::database::DatabaseUrl;

#[derive(Clone, Copy, PartialEq)]
enum Network {
    Up,
    /// Closes all connections, and accepts no others.
    Down,
}

/// A proxy between a server and Postgres that can cut and silence connections. Like some poolers, it drops the settings
/// that the server passes in `options` when it connects.
pub(crate) struct Proxy {
    port: u16,
    database: String,
    network: watch::Sender<Network>,
    /// The number of calls of [`Self::silence`]. Each call silences the connections that are open at that time.
    silences: watch::Sender<u32>,
    /// Each connection holds a read lock while it is open, so that [`Self::cut`] can wait until all are closed.
    connections: Arc<RwLock<()>>,
}

impl Proxy {
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        let options = Arc::new(database.postgres_options().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = options.get_database().unwrap().to_owned();
        let (network, silences) = (watch::Sender::new(Network::Up), watch::Sender::new(0));
        let (state, silence) = (network.subscribe(), silences.subscribe());
        let connections = Arc::new(RwLock::new(()));
        let open = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (options, mut state, mut silence) = (options.clone(), state.clone(), silence.clone());
                silence.mark_unchanged();
                let open = Arc::clone(&open);
                tokio::spawn(async move {
                    let _open = open.read().await;
                    let mut sockets = tokio::select! {
                        biased;
                        () = is_down(&mut state) => return,
                        sockets = connect(client, &options) => sockets,
                    };
                    tokio::select! {
                        biased;
                        () = is_down(&mut state) => return,
                        // Ends when the client or the database closes its connection.
                        _ = copy_bidirectional(&mut sockets.0, &mut sockets.1) => return,
                        _ = silence.changed() => {}
                    }
                    // Forwards nothing more, but keeps both sockets open, so that neither side learns of it.
                    is_down(&mut state).await;
                });
            }
        });
        Self { port, database: name, network, silences, connections }
    }

    /// Returns the URL for connecting to the database through the proxy.
    pub(crate) fn url(&self) -> DatabaseUrl {
        let url = format!("postgres://woosh@127.0.0.1:{}/{}?sslmode=disable", self.port, self.database);
        url.parse::<DatabaseUrl>().unwrap().allow_fsync_off()
    }

    /// Closes all connections, and refuses others until [`Self::restore`] is called. When this returns, nothing is
    /// forwarded any more.
    pub(crate) async fn cut(&self) {
        self.network.send_replace(Network::Down);
        drop(self.connections.write().await);
    }

    pub(crate) fn restore(&self) {
        self.network.send_replace(Network::Up);
    }

    /// Forwards nothing more on the connections that are open now, as if all their packets were dropped. New
    /// connections work.
    pub(crate) fn silence(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }
}

async fn is_down(network: &mut watch::Receiver<Network>) {
    let _ = network.wait_for(|network| *network == Network::Down).await;
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects a client to the database. Removes the parameter `options`, in which the client passes settings, from the
/// client's first message.
async fn connect(mut client: TcpStream, database: &PgConnectOptions) -> (TcpStream, Box<dyn Stream>) {
    let startup = read_startup(&mut client).await;
    let mut server = dial(database).await;
    server.write_all(&without_options(&startup)).await.unwrap();
    (client, server)
}

/// Connects to the database.
pub(crate) async fn dial(database: &PgConnectOptions) -> Box<dyn Stream> {
    match database.get_socket() {
        Some(folder) => {
            let path = folder.join(format!(".s.PGSQL.{}", database.get_port()));
            Box::new(UnixStream::connect(path).await.unwrap())
        }
        None => Box::new(TcpStream::connect((database.get_host(), database.get_port())).await.unwrap()),
    }
}

/// Reads the first message of a client.
pub(crate) async fn read_startup(client: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let length = client.read_u32().await.unwrap();
    let mut message = length.to_be_bytes().to_vec();
    message.resize(length as usize, 0);
    client.read_exact(&mut message[4..]).await.unwrap();
    message
}

/// Removes the parameter `options`, in which a client passes settings, from the first message of the client.
pub(crate) fn without_options(startup: &[u8]) -> Vec<u8> {
    let mut parameters = startup[8..].split(|byte| *byte == 0);
    let mut message = startup[..8].to_vec();
    while let Some((name, value)) = parameters.next().filter(|name| !name.is_empty()).zip(parameters.next()) {
        if name != b"options" {
            message.extend([name, value].join(&0));
            message.push(0);
        }
    }
    message.push(0);
    let length = u32::try_from(message.len()).unwrap();
    message[..4].copy_from_slice(&length.to_be_bytes());
    message
}
