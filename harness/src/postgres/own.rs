use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::durability::Durability;
use super::local::{self, LocalServer};
use super::template;

/// A Postgres server with one database. The server can be stopped and started again. The server runs the Postgres
/// programs that are installed on this machine. Dropping this value deletes the database.
pub(crate) struct OwnPostgres(LocalServer);

impl OwnPostgres {
    /// The name of the database on the server.
    pub(crate) const DATABASE: &str = "woosh";

    /// Returns `Ok` if a Postgres server can be started on this machine, otherwise the reason why not.
    pub(crate) fn probe() -> Result<(), &'static str> {
        local::programs().map(drop).ok_or("no postgres and initdb on this machine")
    }

    /// Starts a server.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let programs = local::programs().context("there is no postgres and initdb on this machine")?;
        // A crash of the server, unlike one of the machine, loses nothing without fsync either.
        let server = LocalServer::start(&programs, Durability::Fast).await?;
        let admin = server.admin();
        let mut connection = admin.connect().await?;
        template::ensure(&mut connection, &admin).await?;
        template::clone(&admin, Self::DATABASE).await?;
        Ok(Self(server))
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.0.admin().database(Self::DATABASE)
    }

    pub(crate) fn url(&self) -> String {
        template::url(&self.0.admin(), Self::DATABASE)
    }

    /// Stops the server with an immediate shutdown, which ends all its processes at once. When the server is started
    /// again, it recovers from its WAL.
    ///
    /// # Errors
    ///
    /// If the server does not run.
    pub(crate) fn crash(&self) -> anyhow::Result<()> {
        self.0.crash()
    }

    /// Starts the server again after [`Self::crash`]. Does not wait until it is ready.
    ///
    /// # Errors
    ///
    /// If the server was not stopped.
    pub(crate) fn start_again(&self) -> anyhow::Result<()> {
        Ok(self.0.start_again()?)
    }
}
