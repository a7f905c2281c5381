use std::path::PathBuf;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use woosh_server::database::DatabaseUrl;

use crate::Backend;
use crate::postgres::{self, Durability, OwnPostgres, PostgresDatabase};
use crate::temp_folder::TempFolder;

/// A fresh database. The database is deleted when this value is dropped or this process ends, even if this process is
/// killed.
pub struct TestDatabase {
    url: DatabaseUrl,
    storage: Storage,
}

/// The name of the file of a SQLite database.
const FILE: &str = "woosh.db";

enum Storage {
    Sqlite { folder: TempFolder },
    Postgres { database: PostgresDatabase },
    OwnPostgres(OwnPostgres),
}

impl TestDatabase {
    /// Creates a database.
    ///
    /// # Errors
    ///
    /// If the database can't be created. For Postgres, the error lists the servers that were tried.
    pub async fn create(backend: Backend) -> anyhow::Result<Self> {
        Self::create_with(backend, Durability::Fast).await
    }

    /// Creates a database like [`Self::create`], with the given durability. SQLite ignores `durability`, because a
    /// SQLite database is always durable.
    pub(crate) async fn create_with(backend: Backend, durability: Durability) -> anyhow::Result<Self> {
        match backend {
            Backend::Sqlite => Self::create_in(TempFolder::new().context("can't create a folder for SQLite")?),
            Backend::Postgres => {
                let database = postgres::create(durability).await.context("can't create a Postgres database")?;
                let url = durability.accept(database.url().parse()?);
                Ok(Self { url, storage: Storage::Postgres { database } })
            }
        }
    }

    /// Creates a SQLite database in a folder.
    pub(crate) fn create_in(folder: TempFolder) -> anyhow::Result<Self> {
        let url = format!("sqlite:{}", folder.path().join(FILE).display()).parse()?;
        Ok(Self { url, storage: Storage::Sqlite { folder } })
    }

    /// Creates a database on a Postgres server of its own, which can be stopped.
    pub(crate) async fn create_on_own_postgres() -> anyhow::Result<Self> {
        let server = OwnPostgres::start().await.context("can't start a Postgres server")?;
        Ok(Self { url: Durability::Fast.accept(server.url().parse()?), storage: Storage::OwnPostgres(server) })
    }

    /// Returns the Postgres server that only this database uses, or `None` if there is no such server.
    pub(crate) fn own_postgres(&self) -> Option<&OwnPostgres> {
        match &self.storage {
            Storage::OwnPostgres(server) => Some(server),
            Storage::Sqlite { .. } | Storage::Postgres { .. } => None,
        }
    }

    /// Returns the folder of the SQLite file, or `None` for Postgres.
    pub(crate) fn folder(&self) -> Option<&TempFolder> {
        match &self.storage {
            Storage::Sqlite { folder } => Some(folder),
            Storage::Postgres { .. } | Storage::OwnPostgres(_) => None,
        }
    }

    /// Returns the path of the SQLite file, or `None` for Postgres.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.folder().map(|folder| folder.path().join(FILE))
    }

    /// Returns the URL of the database. The `Display` and `Debug` forms of the URL hide the password.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Returns the URL including the password, to pass it to another process.
    pub(crate) fn secret_url(&self) -> String {
        match &self.storage {
            Storage::Sqlite { .. } => self.url.to_string(),
            Storage::Postgres { database } => database.url().to_owned(),
            Storage::OwnPostgres(server) => server.url(),
        }
    }

    /// Returns whether Woosh servers may use this database although the `fsync` of Postgres is off.
    pub(crate) fn allows_fsync_off(&self) -> bool {
        self.url.allows_fsync_off()
    }

    /// Returns the options to connect to the database directly, or `None` for SQLite.
    pub fn postgres_options(&self) -> Option<PgConnectOptions> {
        match &self.storage {
            Storage::Sqlite { .. } => None,
            Storage::Postgres { database } => database.url().parse().ok(),
            Storage::OwnPostgres(server) => Some(server.options()),
        }
    }

    /// Returns the name of the Postgres database, or `None` for SQLite.
    pub(crate) fn postgres_name(&self) -> Option<&str> {
        match &self.storage {
            Storage::Sqlite { .. } => None,
            Storage::Postgres { database } => Some(database.name()),
            Storage::OwnPostgres(_) => Some(OwnPostgres::DATABASE),
        }
    }

    /// Returns the kind of database.
    pub fn backend(&self) -> Backend {
        match self.storage {
            Storage::Sqlite { .. } => Backend::Sqlite,
            Storage::Postgres { .. } | Storage::OwnPostgres(_) => Backend::Postgres,
        }
    }
}
