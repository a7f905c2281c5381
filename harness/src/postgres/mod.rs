//! Postgres databases for tests.
//!
//! A process starts one server, with the first provider that works (see `provider`). Each database is a clone of a
//! template, which is migrated once. A thread, the `Manager`, creates and drops the databases, because `Drop` can't
//! await.

mod docker;
mod local;
mod manager;
mod provider;
mod template;

use tokio::sync::OnceCell;

pub use self::provider::probe;

use self::manager::Manager;

static MANAGER: OnceCell<Manager> = OnceCell::const_new();

/// A database on the server of this process. Dropping this value drops the database.
pub(crate) struct PostgresDatabase {
    manager: &'static Manager,
    name: String,
    url: String,
}

/// Creates a database. The first call starts the server.
pub(crate) async fn create() -> anyhow::Result<PostgresDatabase> {
    let manager = MANAGER.get_or_try_init(Manager::start).await?;
    let (name, url) = manager.create().await?;
    Ok(PostgresDatabase { manager, name, url })
}

impl PostgresDatabase {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        self.manager.drop(std::mem::take(&mut self.name));
    }
}
