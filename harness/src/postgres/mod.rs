//! Postgres databases for tests.
//!
//! The server comes from the first rung of a ladder that holds (see `ladder`); there is one per process. A database
//! is cloned from a template that has been migrated once, and dropped by the keeper, a thread of its own, since
//! whoever drops one may not be able to wait for it.

mod docker;
mod keeper;
mod ladder;
mod local;
mod template;

use tokio::sync::OnceCell;

pub use self::ladder::probe;

use self::keeper::Keeper;

static KEEPER: OnceCell<Keeper> = OnceCell::const_new();

/// A database on the server of this process; dropped with this value.
pub(crate) struct PostgresDatabase {
    keeper: &'static Keeper,
    name: String,
    url: String,
}

/// Makes a fresh database, and starts the server where it is the first.
pub(crate) async fn create() -> anyhow::Result<PostgresDatabase> {
    let keeper = KEEPER.get_or_try_init(Keeper::start).await?;
    let (name, url) = keeper.create().await?;
    Ok(PostgresDatabase { keeper, name, url })
}

impl PostgresDatabase {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        self.keeper.drop(std::mem::take(&mut self.name));
    }
}
