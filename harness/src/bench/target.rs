use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context as _;
use sqlx::ConnectOptions as _;

use super::accounts::{self, Credentials};
use super::http::Endpoint;
use super::measure::{self, Processes};
use crate::postgres::Durability;
use crate::server_process::ServerSettings;
use crate::{Backend, ServerProcess, TestDatabase};

/// The server that is measured: a fresh one, or one that was already running.
pub(super) struct Target {
    pub(super) endpoint: Rc<Endpoint>,
    url: String,
    fresh: Option<Fresh>,
    processes: Processes,
}

/// A fresh server and its database.
struct Fresh {
    database: Arc<TestDatabase>,
    _server: ServerProcess,
}

/// Command line arguments that raise the limits of mailboxes, so that no mailbox becomes full during a measurement.
const LIMITS: [&str; 4] = ["--mailbox-messages", "1000000000", "--mailbox-bytes", "1000000000000"];

impl Target {
    /// Starts a server on a fresh database.
    pub(super) async fn start(program: &Path, backend: Backend) -> anyhow::Result<Self> {
        let database = Arc::new(TestDatabase::create_with(backend, Durability::Durable).await?);
        let settings = ServerSettings { arguments: LIMITS.map(str::to_owned).to_vec(), ..ServerSettings::default() };
        let server = ServerProcess::start_with(program, database.clone(), 0, settings).await?;
        let url = server.url();
        let processes = Processes {
            server: server.id(),
            has_database: backend == Backend::Postgres,
            database: database_process(&database).await?,
        };
        let endpoint = Rc::new(Endpoint::resolve(&url).await?);
        Ok(Self { endpoint, url, fresh: Some(Fresh { database, _server: server }), processes })
    }

    /// Uses a server that is already running.
    pub(super) async fn running(url: &str) -> anyhow::Result<Self> {
        let endpoint = Rc::new(Endpoint::resolve(url).await?);
        let processes = Processes { has_database: true, ..Processes::default() };
        Ok(Self { endpoint, url: url.to_owned(), fresh: None, processes })
    }

    pub(super) fn processes(&self) -> Processes {
        self.processes
    }

    /// Returns whether the server and its database were started for this run.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh.is_some()
    }

    /// Returns the maximum resident memory of the server, in MiB. Returns `None` if it is unknown.
    pub(super) fn peak_memory(&self) -> Option<f64> {
        measure::peak_mib(self.processes.server?)
    }

    /// Resets the maximum resident memory of the server to its current memory, if the kernel permits this.
    pub(super) fn reset_peak_memory(&self) {
        if let Some(server) = self.processes.server {
            measure::reset_peak(server);
        }
    }

    /// Returns the current resident memory of the server, in KiB. Returns `None` if it is unknown.
    pub(super) fn memory_kib(&self) -> Option<f64> {
        measure::resident_kib(self.processes.server?)
    }

    /// Adds users. On a fresh server, writes them directly to its database; on a running server, registers them through
    /// the API.
    pub(super) async fn add_users(&self, prefix: &str, users: u32, devices: u32) -> anyhow::Result<Vec<Credentials>> {
        match &self.fresh {
            Some(fresh) => accounts::add(&fresh.database, prefix, users, devices).await,
            None => accounts::register(&self.url, prefix, users, devices).await,
        }
    }
}

/// Returns the id of the main process of Postgres, or `None` if the database has no process on this machine.
async fn database_process(database: &TestDatabase) -> anyhow::Result<Option<u32>> {
    let (Some(options), Some(name)) = (database.postgres_options(), database.postgres_name()) else { return Ok(None) };
    let mut connection = options.connect().await?;
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
    let backend = u32::try_from(backend).context("the process id is negative")?;
    Ok(measure::first_process(backend, name))
}

/// Returns a description of a database for the report: its name, its version, and the settings that its durability
/// depends on.
pub(super) async fn describe_database(backend: Backend) -> anyhow::Result<String> {
    let database = TestDatabase::create_with(backend, Durability::Durable).await?;
    let Some(options) = database.postgres_options() else {
        let mut memory = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true).connect().await?;
        let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut memory).await?;
        return Ok(format!("SQLite {version}, synchronous=full"));
    };
    let mut connection = options.connect().await?;
    let mut text = String::from("Postgres");
    for (setting, label) in
        [("server_version", " "), ("fsync", ", fsync="), ("synchronous_commit", ", synchronous_commit=")]
    {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut connection).await?;
        text = text + label + &value;
    }
    Ok(text)
}
