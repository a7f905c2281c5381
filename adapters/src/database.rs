//! The database of a server. Callers open it by its URL and use it through the traits of the domain (ports), and need
//! not know whether it is SQLite or Postgres.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use woosh_domain::ports::{Devices, Mailboxes, PortError, Sessions, Stores, TimeStore, Users};

use crate::database_url::Location;
use crate::notify::Notifier;
use crate::pool::Requirements;
use crate::ports::Audit;
use crate::postgres::{self, PostgresStore};
use crate::sqlite::SqliteStore;
use crate::store::SqlStore;

pub use crate::database_url::{DatabaseUrl, DatabaseUrlError};
pub use crate::store::OpenError;

/// The operations of a store that [`Database`] needs: the traits of the domain (ports), and operations that the server
/// calls directly. Both stores implement this trait, so that a `Database` can hold either of them.
#[async_trait]
trait Backend: Users + Devices + Sessions + Mailboxes + TimeStore {
    fn notifier(&self) -> &Notifier;
    async fn ping(&self) -> Result<(), PortError>;
    async fn audit(&self) -> Result<Vec<String>, PortError>;
    async fn close(&self);
}

#[async_trait]
impl<S: Audit + Users + Devices + Sessions + Mailboxes + TimeStore> Backend for S {
    fn notifier(&self) -> &Notifier {
        SqlStore::notifier(self)
    }

    async fn ping(&self) -> Result<(), PortError> {
        SqlStore::ping(self).await
    }

    async fn audit(&self) -> Result<Vec<String>, PortError> {
        Audit::audit(self).await
    }

    async fn close(&self) {
        SqlStore::close(self).await;
    }
}

/// An open database with an up-to-date schema.
#[derive(Clone)]
pub struct Database(Arc<dyn Backend>);

impl Database {
    /// Opens a database and migrates its schema. Creates a SQLite file if the file does not exist. If an attempt fails
    /// with a transient error, for example because the database is unreachable, read-only or busy, retries until
    /// `timeout` has elapsed.
    ///
    /// # Errors
    ///
    /// If the database can't be opened or migrated. In that case, the contents of the database are unchanged.
    pub async fn open(url: &DatabaseUrl, timeout: Duration) -> Result<Self, OpenError> {
        Ok(match url.location() {
            Location::Sqlite(url) => Self(Arc::new(SqliteStore::open(url, timeout).await?)),
            Location::Postgres(options) => {
                let requirements = Requirements { allow_fsync_off: url.allows_fsync_off() };
                let location = url.to_string();
                // Boxed, because the future is large.
                let opening = Box::pin(PostgresStore::open(options, requirements, &location, timeout));
                Self(Arc::new(opening.await?))
            }
        })
    }

    /// Returns the traits of the domain (ports), implemented on this database.
    pub fn stores(&self) -> Stores {
        Stores {
            users: self.0.clone(),
            devices: self.0.clone(),
            sessions: self.0.clone(),
            mailboxes: self.0.clone(),
            notifier: Arc::new(self.0.notifier().clone()),
            time: self.0.clone(),
        }
    }

    /// Ends all current and future waits for messages, so that they don't delay a shutdown.
    pub fn stop_waiting(&self) {
        self.0.notifier().close();
    }

    /// Returns whether [`Self::stop_waiting`] was called.
    pub fn is_stopping(&self) -> bool {
        self.0.notifier().is_closed()
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn ping(&self) -> Result<(), PortError> {
        self.0.ping().await
    }

    /// Reads all tables and checks them against each other, for tests. Returns a line of text for each kind of
    /// inconsistency. If the tables are consistent, returns no line.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn audit(&self) -> Result<Vec<String>, PortError> {
        self.0.audit().await
    }

    /// Finishes pending writes and closes all connections. Afterwards, operations on the database return errors.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

/// Returns an identifier of the schema that this version creates in a Postgres database: a hash of its migrations, as
/// 32 hexadecimal digits.
pub fn postgres_schema() -> String {
    let mut hash = Sha256::new();
    for migration in postgres::migrations().iter() {
        hash.update(&migration.checksum);
    }
    let digest: [u8; 32] = hash.finalize().into();
    format!("{:032x}", u128::from_be_bytes(*digest.first_chunk().unwrap_or(&[0; 16])))
}
