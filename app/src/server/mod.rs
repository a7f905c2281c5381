//! The server: binds, serves and shuts down.

mod acceptor;
mod connection;
mod disk_watch;
mod drain;
mod hang_up;
mod serve;
mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use woosh_adapters::clock::SystemClock;
use woosh_adapters::database::{Database, DatabaseUrl, OpenError};
use woosh_domain::ports::PortError;
use woosh_domain::use_cases::KeepTime;

pub use woosh_domain::model::{Limits, Quota};

pub use crate::api::{CorsOrigins, OriginError};

use self::acceptor::ConnectionAcceptor;
use self::disk_watch::DiskWatch;
pub(crate) use self::hang_up::{HALF_CLOSED_WAIT, HangUp};
use self::serve::serve;
use crate::api;
use crate::services::Services;

/// Configuration of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Host name or IP address to listen on.
    pub host: String,
    /// Port to listen on. 0 selects a free port.
    pub port: u16,
    /// The database.
    pub database: DatabaseUrl,
    /// Maximum time to wait at startup for a database that is unreachable or otherwise unavailable.
    pub database_wait: Duration,
    /// Limits on mailboxes, on the lifetime of messages, and on search.
    pub limits: Limits,
    /// Origins whose web pages may call the API from a browser.
    pub cors_origins: CorsOrigins,
    /// Maximum time for requests in flight to finish when the server stops.
    pub grace: Duration,
}

/// Why a server can't start. Each error message is one line for the operator of the server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server can't listen on the address.
    #[error("can't listen on {host}:{port}: {cause}")]
    Address {
        /// The configured host.
        host: String,
        /// The configured port.
        port: u16,
        /// The error of the operating system.
        cause: std::io::Error,
    },
    /// The database can't be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database can't be asked for the time.
    #[error("can't read the time from the database")]
    Clock(#[source] PortError),
    /// The operating system provides no random bytes.
    #[error("can't get random bytes from the operating system")]
    Randomness(#[source] PortError),
}

/// A server that is bound to its address, with its database open and migrated.
pub struct Server {
    address: SocketAddr,
    acceptor: ConnectionAcceptor,
    services: Arc<Services>,
    disk: DiskWatch,
    cors_origins: CorsOrigins,
    grace: Duration,
}

impl Server {
    /// Binds the address and opens the database. Afterwards, clients can connect, but get no response before
    /// [`Self::run_until`] runs.
    ///
    /// # Errors
    ///
    /// If the address can't be bound, the database can't be opened or asked for the time, or the operating system
    /// provides no random bytes.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let Config { host, port, database, database_wait, limits, cors_origins, grace } = config;
        let refused = |cause| StartError::Address { host: host.clone(), port: *port, cause };
        let listener = TcpListener::bind((host.as_str(), *port)).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let database = Database::open(database, *database_wait).await?;
        let clock = KeepTime::start(Arc::new(SystemClock::start()), database.stores().time);
        let (keep_time, change) = clock.await.map_err(StartError::Clock)?;
        upkeep::log(change);
        let services = Arc::new(Services::new(database, keep_time, *limits).map_err(StartError::Randomness)?);
        let disk = DiskWatch::start(services.clone()).await;
        let acceptor = ConnectionAcceptor::new(listener);
        Ok(Self { address, acceptor, services, disk, cors_origins: cors_origins.clone(), grace: *grace })
    }

    /// Returns the address that the server listens on, with the port that was selected if [`Config::port`] is 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes. Then accepts no more connections, and waits for requests in flight to finish. If
    /// some requests have not finished after [`Config::grace`], ends them. Finally closes the database.
    ///
    /// # Errors
    ///
    /// If the listener fails.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        let services = self.services;
        let cleanup = tokio::spawn(upkeep::run(services.clone()));
        let disk = tokio::spawn(self.disk.run());
        let stop = async {
            stop.await;
            services.stop();
        };
        let endpoint = api::endpoint(services.clone(), self.cors_origins);
        let served = serve(self.acceptor, self.address, endpoint, stop, self.grace).await;
        cleanup.abort();
        disk.abort();
        services.database.close().await;
        served
    }
}
