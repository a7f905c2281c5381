//! Postgres databases for tests.
//!
//! A process starts one server for tests, and another one if it measures. Each is started with the first provider that works
//! (see `provider`). Each database is a clone of a template, which is migrated once. A thread, the `Manager`, creates and drops
//! the databases, because `Drop` can't await.

mod docker;
mod durability;
mod local;
mod manager;
mod provider;
mod template;

use tokio::sync::OnceCell;

pub(crate) use self::durability::Durability;
pub(crate) use self::provider::is_local;
pub use self::provider::probe;

use self::manager::Manager;

static FAST: OnceCell<Manager> = OnceCell::const_new();
static DURABLE: OnceCell<Manager> = OnceCell::const_new();

/// A database on the server of this process. Dropping this value drops the database.
pub(crate) struct PostgresDatabase {
    manager: &'static Manager,
    name: String,
    url: String,
}

/// Creates a database. The first one of each durability starts a server.
pub(crate) async fn create(durability: Durability) -> anyhow::Result<PostgresDatabase> {
    let manager = match durability {
        Durability::Fast => &FAST,
        Durability::Durable => &DURABLE,
    };
    let manager = manager.get_or_try_init(|| Manager::start(durability)).await?;
    let (name, url) = manager.create().await?;
    Ok(PostgresDatabase { manager, name, url })
}

impl PostgresDatabase {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        self.manager.drop(std::mem::take(&mut self.name));
    }
}
