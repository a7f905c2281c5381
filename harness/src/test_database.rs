use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use woosh_server::database::DatabaseUrl;

use crate::Backend;
use crate::postgres::{self, PostgresDatabase};
use crate::scratch::Scratch;

/// A fresh database. It goes when it is dropped, and also where the process is killed before.
pub struct TestDatabase {
    url: DatabaseUrl,
    place: Place,
}

enum Place {
    Sqlite { _folder: Scratch },
    Postgres { database: PostgresDatabase },
}

impl TestDatabase {
    /// Makes a fresh database.
    ///
    /// # Errors
    ///
    /// Where it can't be had; for Postgres, with what was tried.
    pub async fn create(backend: Backend) -> anyhow::Result<Self> {
        match backend {
            Backend::Sqlite => {
                let folder = Scratch::new().context("no folder for a SQLite file")?;
                let url = format!("sqlite:{}", folder.path().join("woosh.db").display()).parse()?;
                Ok(Self { url, place: Place::Sqlite { _folder: folder } })
            }
            Backend::Postgres => {
                let database = postgres::create().await.context("no Postgres database")?;
                let url = database.url().parse()?;
                Ok(Self { url, place: Place::Postgres { database } })
            }
        }
    }

    /// Where it is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Its URL with all that is secret in it, for a process that is to use it.
    pub(crate) fn secret_url(&self) -> String {
        match &self.place {
            Place::Sqlite { .. } => self.url.to_string(),
            Place::Postgres { database } => database.url().to_owned(),
        }
    }

    /// How to connect to it past the server, where it is Postgres.
    pub fn postgres_options(&self) -> Option<PgConnectOptions> {
        match &self.place {
            Place::Sqlite { .. } => None,
            Place::Postgres { database } => database.url().parse().ok(),
        }
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        match self.place {
            Place::Sqlite { .. } => Backend::Sqlite,
            Place::Postgres { .. } => Backend::Postgres,
        }
    }
}
