use std::io;
use std::sync::Arc;

use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{RwLock, watch};
use woosh_server::database::DatabaseUrl;

use super::wire::{Stream, dial, read_startup, without_options};
use crate::TestDatabase;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Network {
    Up,
    /// Accepts new connections, but forwards nothing on them.
    Silent,
    /// Closes all connections, and accepts no others.
    Down,
}

/// A proxy between a server and Postgres that can cut and silence connections. Like some poolers, it drops the settings
/// that the server passes in `options` when it connects.
#[derive(Debug)]
pub struct Proxy {
    /// The URL of the database behind the proxy, with the password.
    url: String,
    network: watch::Sender<Network>,
    /// The number of calls of [`Self::silence`]. Each call silences the connections that are open at that time.
    silences: watch::Sender<u32>,
    /// Each connection holds a read lock while it is open, so that [`Self::cut`] can wait until all are closed.
    connections: Arc<RwLock<()>>,
}

impl Proxy {
    /// Starts a proxy in front of a Postgres database. The proxy runs until the tokio runtime ends.
    ///
    /// # Errors
    ///
    /// If the database is not on Postgres, or no port is free.
    pub async fn start(database: &TestDatabase) -> anyhow::Result<Self> {
        let options = Arc::new(database.postgres_options().context("a proxy needs a database on Postgres")?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut url = options.to_url_lossy();
        url.set_host(Some("127.0.0.1"))?;
        url.set_port(Some(listener.local_addr()?.port())).ok().context("the URL has no port")?;
        // Replaces the folder of a socket, too.
        url.set_query(Some("sslmode=disable"));
        let (network, silences) = (watch::Sender::new(Network::Up), watch::Sender::new(0));
        let connections = Arc::new(RwLock::new(()));
        let proxy = Self { url: url.into(), network, silences, connections };
        let connection = Connection {
            database: options,
            network: proxy.network.subscribe(),
            silence: proxy.silences.subscribe(),
            open: proxy.connections.clone(),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection.clone().serve(client));
            }
        });
        Ok(proxy)
    }

    /// Returns the URL for connecting to the database through the proxy. Its `Display` and `Debug` forms hide the
    /// password.
    ///
    /// # Errors
    ///
    /// If Woosh does not accept the URL as the URL of a database.
    pub fn url(&self) -> anyhow::Result<DatabaseUrl> {
        Ok(self.url.parse::<DatabaseUrl>()?.allow_fsync_off())
    }

    /// Returns the URL including the password, to pass it to another process.
    pub(crate) fn secret_url(&self) -> &str {
        &self.url
    }

    /// Closes all connections, and refuses others until [`Self::restore`] is called. When this returns, nothing is
    /// forwarded any more.
    pub async fn cut(&self) {
        self.network.send_replace(Network::Down);
        drop(self.connections.write().await);
    }

    /// Accepts and serves new connections again, after [`Self::cut`] or [`Self::silence_all`].
    pub fn restore(&self) {
        self.network.send_replace(Network::Up);
    }

    /// Forwards nothing more on the connections that are open now, as if all their packets were dropped. New
    /// connections work.
    pub fn silence(&self) {
        self.silences.send_modify(|silences| *silences += 1);
    }

    /// Forwards nothing more on the connections that are open now. Also forwards nothing on new connections until
    /// [`Self::restore`] is called.
    pub fn silence_all(&self) {
        self.network.send_replace(Network::Silent);
        self.silence();
    }
}

/// What each connection needs.
#[derive(Clone)]
struct Connection {
    database: Arc<PgConnectOptions>,
    network: watch::Receiver<Network>,
    silence: watch::Receiver<u32>,
    open: Arc<RwLock<()>>,
}

impl Connection {
    /// Forwards the bytes of a client to the database, and those of the database to the client. Ends when one of them
    /// closes the connection, or when the network is down.
    async fn serve(mut self, client: TcpStream) {
        self.silence.mark_unchanged();
        let open = self.open.clone();
        let _open = open.read().await;
        let mut network = self.network.clone();
        tokio::select! {
            biased;
            () = is_down(&mut network) => {}
            () = self.forward(client) => {}
        }
    }

    async fn forward(mut self, client: TcpStream) {
        if self.network.wait_for(|network| *network != Network::Silent).await.is_err() {
            return;
        }
        // The client tries again if the database can't be reached.
        let Ok((mut client, mut server)) = connect(client, &self.database).await else { return };
        tokio::select! {
            biased;
            // Forwards nothing more, but keeps both sockets open, so that neither side learns of it.
            Ok(()) = self.silence.changed() => std::future::pending().await,
            // Ends when the client or the database closes its connection.
            _ = copy_bidirectional(&mut client, &mut server) => {}
        }
    }
}

async fn is_down(network: &mut watch::Receiver<Network>) {
    let _ = network.wait_for(|network| *network == Network::Down).await;
}

/// Connects a client to the database, but drops the settings that the client passes in `options`.
async fn connect(mut client: TcpStream, database: &PgConnectOptions) -> io::Result<(TcpStream, Box<dyn Stream>)> {
    let startup = read_startup(&mut client).await?;
    let mut server = dial(database).await?;
    server.write_all(&without_options(&startup)).await?;
    Ok((client, server))
}
