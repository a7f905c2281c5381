//! Binds, serves and shuts down.

mod acceptor;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use woosh_adapters::database::{Database, DatabaseUrl, OpenError};
use woosh_domain::ports::PortError;

pub use woosh_domain::model::{Limits, Quota};

use self::acceptor::ConnectionAcceptor;
use crate::api;
use crate::logging::causes;
use crate::services::Services;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address or name to listen on.
    pub host: String,
    /// The port to listen on; 0 for any free one.
    pub port: u16,
    /// Where the messages are kept.
    pub database: DatabaseUrl,
    /// How long to wait for a database that is out of reach at the start.
    pub database_wait: Duration,
    /// What users may take up.
    pub limits: Limits,
    /// How long requests in flight may take to finish once the server is told to stop.
    pub grace: Duration,
}

/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;

/// How often what nobody can have any more is deleted.
const TIDY_INTERVAL: Duration = Duration::from_secs(10);

/// Why a server did not start. Each text is one line, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nobody can listen there.
    #[error("can't listen on {host}:{port}: {cause}")]
    Address {
        /// The host that was asked for.
        host: String,
        /// The port that was asked for.
        port: u16,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The database can't be had.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The system has no randomness to give.
    #[error("the system gives no randomness")]
    Randomness(#[source] PortError),
}

/// A server that listens, with its database open and migrated.
pub struct Server {
    address: SocketAddr,
    acceptor: ConnectionAcceptor,
    services: Arc<Services>,
    grace: Duration,
}

impl Server {
    /// Listens and opens the database. Connections wait until [`Self::run_until`] serves them.
    ///
    /// # Errors
    ///
    /// Where the address or the database can't be had.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let Config { host, port, database, database_wait, limits, grace } = config;
        let refused = |cause| StartError::Address { host: host.clone(), port: *port, cause };
        let listener = TcpListener::bind((host.as_str(), *port)).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let database = Database::open(database, *database_wait).await?;
        let services = Services::new(database, *limits).map_err(StartError::Randomness)?.into();
        Ok(Self { address, acceptor: ConnectionAcceptor::new(listener, address), services, grace: *grace })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done; then takes no more connections, lets the requests in flight finish for as long as
    /// the grace period lasts, and closes the database.
    ///
    /// # Errors
    ///
    /// Where the server can't be run.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> std::io::Result<()> {
        let services = self.services;
        let tidying = tokio::spawn(keep_tidy(services.clone()));
        let stop = async {
            stop.await;
            services.stop();
        };
        let served = poem::Server::new_with_acceptor(self.acceptor)
            .http2_max_concurrent_streams(MAX_STREAMS)
            .run_with_graceful_shutdown(api::endpoint(services.clone()), stop, Some(self.grace))
            .await;
        tidying.abort();
        services.database.close().await;
        served
    }
}

/// Tidies up again and again. What fails is tried again the next time.
async fn keep_tidy(services: Arc<Services>) {
    loop {
        tokio::time::sleep(TIDY_INTERVAL).await;
        if let Err(error) = services.sweep.execute().await {
            tracing::warn!(%error, causes = causes(&error), "what nobody can have any more was not deleted");
        }
    }
}
