//! The database of a server. Callers open it by its URL and use it through the traits of the domain (ports), and need
//! not know whether it is SQLite or Postgres.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use woosh_domain::model::Timestamp;
use woosh_domain::ports::{
    Clock, Devices, Disk, LocalClock as _, Mailboxes, PortError, Sessions, Stores, StreamTickets, TimeStore, Users,
};
use woosh_domain::use_cases::{ForgetKeys, Sweep};

use crate::clock::SystemClock;
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
trait Backend: Users + Devices + Sessions + StreamTickets + Mailboxes + TimeStore + Disk {
    fn notifier(&self) -> &Notifier;
    async fn check_commit(&self) -> Result<(), PortError>;
    fn check_alive(&self) -> Result<(), PortError>;
    async fn audit(&self, now: Timestamp) -> Result<Vec<String>, PortError>;
    async fn close(&self);
}

#[async_trait]
impl<S: Audit + Users + Devices + Sessions + StreamTickets + Mailboxes + TimeStore + Disk> Backend for S {
    fn notifier(&self) -> &Notifier {
        SqlStore::notifier(self)
    }

    async fn check_commit(&self) -> Result<(), PortError> {
        SqlStore::check_commit(self).await
    }

    fn check_alive(&self) -> Result<(), PortError> {
        SqlStore::check_alive(self)
    }

    async fn audit(&self, now: Timestamp) -> Result<Vec<String>, PortError> {
        Audit::audit(self, now).await
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
            stream_tickets: self.0.clone(),
            mailboxes: self.0.clone(),
            notifier: Arc::new(self.0.notifier().clone()),
            time: self.0.clone(),
            disk: self.0.clone(),
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

    /// Checks that a write can be committed, by committing one. On SQLite, the check waits without a deadline until the
    /// writes that were queued before it are done.
    ///
    /// # Errors
    ///
    /// If the write can't be committed.
    pub async fn check_commit(&self) -> Result<(), PortError> {
        self.0.check_commit().await
    }

    /// Checks for failures that only a restart of the process can fix.
    ///
    /// # Errors
    ///
    /// If a file of the database was removed or replaced, or if a background task or thread of the store has ended by
    /// itself.
    pub fn check_alive(&self) -> Result<(), PortError> {
        self.0.check_alive()
    }

    /// Reads all tables and checks them against each other, for tests. A sweep with the same time `now` must have run
    /// before, and nothing may have been written since. Returns a line of text for each kind of inconsistency. If the
    /// tables are consistent, returns no line.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn audit(&self, now: Timestamp) -> Result<Vec<String>, PortError> {
        self.0.audit(now).await
    }

    /// Sweeps as if the time were `now`, and then [audits](Self::audit) the tables, for tests. A sweep is what servers
    /// do in the background: it deletes expired envelopes, for example. If `now` is `None`, uses the current time of
    /// this machine.
    ///
    /// # Errors
    ///
    /// If the database does not answer.
    pub async fn sweep_and_audit(&self, now: Option<Timestamp>) -> Result<Vec<String>, PortError> {
        let machine = SystemClock::start();
        let now = now.unwrap_or_else(|| machine.read().wall);
        Sweep::new(self.0.clone(), self.0.clone(), Arc::new(FixedClock(now))).execute().await?;
        ForgetKeys::new(self.0.clone(), Arc::new(machine)).execute().await?;
        self.audit(now).await
    }

    /// Finishes pending writes and closes all connections. Afterwards, operations on the database return errors.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

/// A clock that always shows the same time. Its time is never in doubt.
struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn expiry_time(&self) -> Timestamp {
        self.0
    }

    fn lag_seconds(&self) -> u64 {
        0
    }
}

/// Returns a hash of all migrations for Postgres, as 32 hexadecimal digits. It identifies the schema that this version
/// of the server creates.
pub fn postgres_schema() -> String {
    let mut hash = Sha256::new();
    for migration in postgres::migrations().iter() {
        hash.update(&migration.checksum);
    }
    let digest: [u8; 32] = hash.finalize().into();
    format!("{:032x}", u128::from_be_bytes(*digest.first_chunk().unwrap_or(&[0; 16])))
}
