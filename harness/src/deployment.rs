//! The servers of a run, with their database and the network between them. A run kills and restarts the servers, and
//! injects faults.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use woosh_server::database::Database;

use crate::postgres::{OwnPostgres, Proxy, wait_until_ready};
use crate::server_process::ServerSettings;
use crate::{ServerProcess, TestDatabase};

/// The extension under which a removed SQLite file is kept until it is put back.
const REMOVED: &str = "removed";
/// Maximum time to wait for a Postgres server that recovers from a crash. Much longer than usual, for busy machines.
const RECOVERY: Duration = Duration::from_secs(60);

/// Servers in their own processes, on one database.
pub(crate) struct Deployment {
    pub(crate) program: PathBuf,
    pub(crate) servers: Vec<ServerProcess>,
    /// The proxy between the servers and Postgres, which can make the network fail. `None` if the servers connect to
    /// their database directly.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) database: Arc<TestDatabase>,
}

impl Deployment {
    /// Starts servers, which are processes of `program`, the binary of the harness. They connect to their database
    /// directly.
    pub(crate) async fn start(program: &Path, database: TestDatabase, replicas: u16) -> anyhow::Result<Self> {
        Self::start_with(program, database, replicas, None, Vec::new()).await
    }

    /// Starts servers with additional environment variables. If their database is on Postgres, they connect through a
    /// proxy, which can make the network fail.
    pub(crate) async fn start_fallible(
        program: &Path,
        database: TestDatabase,
        replicas: u16,
        mut variables: Vec<(&'static str, OsString)>,
    ) -> anyhow::Result<Self> {
        let proxy = match database.postgres_options() {
            Some(_) => Some(Proxy::start(&database).await?),
            None => None,
        };
        variables.extend(proxy.iter().map(|proxy| ("WOOSH_DATABASE", proxy.secret_url().into())));
        Self::start_with(program, database, replicas, proxy, variables).await
    }

    async fn start_with(
        program: &Path,
        database: TestDatabase,
        replicas: u16,
        proxy: Option<Proxy>,
        variables: Vec<(&'static str, OsString)>,
    ) -> anyhow::Result<Self> {
        let database = Arc::new(database);
        let settings = ServerSettings { variables, ..ServerSettings::default() };
        let start = |_| ServerProcess::start_with(program, database.clone(), 0, settings.clone());
        let servers = try_join_all((0..replicas).map(start)).await?;
        Ok(Self { program: program.to_owned(), servers, proxy, database })
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(ServerProcess::url).collect()
    }

    /// Kills all servers.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        for server in &mut self.servers {
            server.kill().await?;
        }
        Ok(())
    }

    /// Starts all servers again. When this returns, they are ready.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        try_join_all(self.servers.iter_mut().map(ServerProcess::restart)).await.map(drop)
    }

    /// Sends a signal to all servers.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.servers.iter().try_for_each(|server| server.signal(signal))
    }

    /// Kills the servers, sweeps, and checks the tables of the database for inconsistencies. Returns the
    /// inconsistencies, one line each.
    pub(crate) async fn audit(&mut self) -> anyhow::Result<Vec<String>> {
        self.kill().await?;
        let tables = Database::open(self.database.url(), RECOVERY).await?;
        let violations = tables.sweep_and_audit(None).await;
        tables.close().await;
        Ok(violations?)
    }

    /// Returns the proxy between the servers and Postgres.
    pub(crate) fn network(&self) -> anyhow::Result<&Proxy> {
        self.proxy.as_ref().context("there is no proxy before the database")
    }

    /// Returns the Postgres server that only this run uses. Fails if there is no such server.
    pub(crate) fn own_postgres(&self) -> anyhow::Result<&OwnPostgres> {
        self.database.own_postgres().context("the run has no Postgres server of its own")
    }

    /// Ends the connections of the servers to Postgres.
    pub(crate) async fn end_connections(&self) -> anyhow::Result<()> {
        self.run_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'woosh-server'",
        )
        .await
    }

    /// Runs statements on Postgres, even while the database is read-only.
    pub(crate) async fn run_sql(&self, statements: &str) -> anyhow::Result<()> {
        run_sql(&self.database, statements).await
    }

    /// Returns the path of the SQLite file.
    pub(crate) fn file(&self) -> anyhow::Result<PathBuf> {
        self.database.file().context("the database is not a file")
    }

    /// Removes the SQLite file, or replaces it by another file.
    pub(crate) fn remove_file(&self, replacement: Option<&Path>) -> anyhow::Result<()> {
        let file = self.file()?;
        // The file itself, not a copy, so that it can be put back.
        std::fs::hard_link(&file, file.with_extension(REMOVED))?;
        match replacement {
            Some(replacement) => std::fs::rename(replacement, &file)?,
            None => std::fs::remove_file(&file)?,
        }
        Ok(())
    }

    /// Puts the removed SQLite file back.
    pub(crate) fn put_file_back(&self) -> anyhow::Result<()> {
        let file = self.file()?;
        Ok(std::fs::rename(file.with_extension(REMOVED), &file)?)
    }
}

/// Runs statements on a Postgres database, even while it is read-only. If Postgres is recovering from a crash, first
/// waits until it is ready.
pub(crate) async fn run_sql(database: &TestDatabase, statements: &str) -> anyhow::Result<()> {
    let options = database.postgres_options().context("the database is not on Postgres")?;
    let options = options.options([("default_transaction_read_only", "off")]);
    wait_until_ready(&options, || Ok(())).await?;
    let mut connection = options.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
    Ok(connection.close().await?)
}
