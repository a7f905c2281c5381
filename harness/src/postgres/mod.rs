//! Postgres databases for tests.
//!
//! A process uses at most two servers: a fast one for tests, and a durable one for the benchmark. Each is from the
//! first provider that works, such as Docker (see `provider`). Each database is a clone of a template database, so that
//! the schema is migrated only once. A thread, the `Manager`, creates and drops the databases, because the method
//! `drop` can't await.

mod docker;
mod durability;
mod local;
mod manager;
mod own;
mod provider;
mod proxy;
mod template;
pub mod wire;

use tokio::sync::OnceCell;

pub(crate) use self::durability::Durability;
pub(crate) use self::local::wait_until_ready;
pub(crate) use self::own::OwnPostgres;
pub(crate) use self::provider::is_local;
pub use self::provider::probe;
pub use self::proxy::Proxy;

use self::manager::Manager;

static FAST: OnceCell<Manager> = OnceCell::const_new();
static DURABLE: OnceCell<Manager> = OnceCell::const_new();

/// A database on a server of this process. Dropping this value drops the database.
pub(crate) struct PostgresDatabase {
    manager: &'static Manager,
    name: String,
    url: String,
}

/// Creates a database. The first call with each [`Durability`] starts a server.
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
