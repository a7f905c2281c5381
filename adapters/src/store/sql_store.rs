use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::FromRow;
use tokio::sync::Semaphore;
use woosh_domain::model::{DeviceId, Incarnation, MailboxPosition, SequenceNumber, Timestamp, TokenHash, UserId};
use woosh_domain::ports::{DeliverOutcome, FreeSpace, MailboxPage, NewDelivery, PageLimit, PortError};

use super::{OwnerRow, SessionCache, SqlError};
use crate::notify::Notifier;

/// A connection to the database of a store.
pub(crate) type Connection<Store> = <<Store as SqlStore>::Database as sqlx::Database>::Connection;

/// The interface of a backend, SQLite or Postgres: pools, transactions, and the operations whose SQL differs between
/// the backends. The module `crate::ports` implements the traits of the domain with this interface.
pub(crate) trait SqlStore: Send + Sync + 'static {
    /// The sqlx driver of the backend.
    type Database: sqlx::Database;
    /// The pool that runs statements that only read.
    type ReadPool;

    /// Whether only this process writes to the database, so that cached sessions are never outdated.
    const IS_ONLY_PROCESS: bool;

    /// Returns the pool for statements that only read.
    fn read_pool(&self) -> &Self::ReadPool;

    /// Returns the permits for reading pages of mailboxes. They limit the number of pages that are read at the same
    /// time to [`CONCURRENT_PAGES`].
    fn page_permits(&self) -> &Semaphore;

    fn session_cache(&self) -> &Arc<SessionCache>;

    fn notifier(&self) -> &Notifier;

    /// Runs `work` in a transaction, then runs `then` after the commit. If `work` fails, rolls the transaction back and
    /// does not run `then`. If the caller is cancelled, either `work` and `then` both run, or neither of them runs.
    fn write_then<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Connection<Self>) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> impl Future<Output = Result<T, PortError>> + Send;

    /// Runs `work` in a transaction. If `work` fails, rolls the transaction back.
    fn write<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut Connection<Self>) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
    ) -> impl Future<Output = Result<T, PortError>> + Send {
        self.write_then(work, |_| ())
    }

    /// Locks the mailboxes of a user in the order in which sends lock mailboxes, so that the caller and a send don't
    /// deadlock.
    fn lock_mailboxes(
        connection: &mut Connection<Self>,
        user: UserId,
    ) -> impl Future<Output = Result<(), SqlError>> + Send;

    /// Returns the session that a token belongs to, with its user and device. `None` if the token belongs to no
    /// session. MUST NOT return a session that ended before the call.
    fn find_session(&self, token: &TokenHash) -> impl Future<Output = Result<Option<OwnerRow>, PortError>> + Send;

    /// Reads a page as [`Mailboxes::read`](woosh_domain::ports::Mailboxes::read) specifies, except that `gaps` is
    /// empty.
    fn read_page(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<MailboxPage>, PortError>> + Send;

    /// Stores a send, as [`Mailboxes::deliver`](woosh_domain::ports::Mailboxes::deliver) specifies.
    fn deliver(&self, delivery: NewDelivery) -> impl Future<Output = Result<DeliverOutcome, PortError>> + Send;

    /// Acknowledges and deletes the oldest envelopes of a mailbox up to the sequence number `up_to`, at most `limit` of
    /// them. Changes nothing if `up_to` is beyond the last sequence number of the mailbox, or if `incarnation` is given
    /// and differs from the incarnation of the mailbox. Returns `None` if the mailbox does not exist.
    fn delete_up_to(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
    ) -> impl Future<Output = Result<Option<Acknowledged>, PortError>> + Send;

    /// Raises the watermark, as [`Mailboxes::raise_not_before`](woosh_domain::ports::Mailboxes::raise_not_before)
    /// specifies.
    fn raise_not_before(
        &self,
        mailbox: DeviceId,
        moment: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Deletes at most `limit` expired envelopes, of all mailboxes. Returns the number of deleted envelopes.
    fn delete_expired(&self, now: Timestamp, limit: usize) -> impl Future<Output = Result<u64, PortError>> + Send;

    /// Deletes at most `limit` envelopes of a deleted device. If no envelope of the device remains, deletes its row in
    /// `purges`, the table of deleted devices that may still have envelopes.
    fn delete_leftovers(&self, device: DeviceId, limit: usize) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Returns the time of the clock that all replicas share, as
    /// [`TimeStore::shared_time`](woosh_domain::ports::TimeStore::shared_time) specifies.
    fn shared_time(&self) -> impl Future<Output = Result<Option<Timestamp>, PortError>> + Send;

    /// Returns the space into which the store can grow, as [`Disk::free_space`](woosh_domain::ports::Disk::free_space)
    /// specifies.
    fn free_space(&self) -> impl Future<Output = Result<Option<FreeSpace>, PortError>> + Send;

    /// Checks that each writer of the store can commit, with [`COUNT_CHECK`].
    fn check_commit(&self) -> impl Future<Output = Result<(), PortError>> + Send;

    /// Checks for failures that only a restart of the process can fix, such as the unexpected end of a background task
    /// or thread of the store. Does not ask the database.
    fn check_alive(&self) -> Result<(), PortError>;

    /// Finishes pending writes and closes all connections.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// The statement with which health checks try to write. The statement changes a row each time, so that the commit
/// reaches the disk.
pub(crate) const COUNT_CHECK: &str =
    "INSERT INTO health (id, checks) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET checks = health.checks + 1";

/// The result of [`SqlStore::delete_up_to`].
#[derive(Debug, FromRow)]
pub(crate) struct Acknowledged {
    /// The incarnation of the mailbox.
    pub(crate) incarnation: i64,
    /// The last acknowledged sequence number.
    pub(crate) acknowledged: i64,
    /// The last sequence number assigned in the mailbox.
    pub(crate) last_sequence: i64,
    /// The number of envelopes that this acknowledgement deleted.
    pub(crate) deleted: i64,
}

impl Acknowledged {
    /// Returns the incarnation and the sequence numbers that decide whether the mailbox accepts a reader's cursor.
    pub(crate) fn position(&self) -> MailboxPosition {
        MailboxPosition {
            incarnation: Incarnation::new(self.incarnation),
            acknowledged: SequenceNumber::new(self.acknowledged),
            last: SequenceNumber::new(self.last_sequence),
        }
    }
}

/// Converts a count to the integer type of the databases. A count that is too large becomes the largest integer.
pub(crate) fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Maximum number of pages of mailboxes that a store reads at the same time.
pub(crate) const CONCURRENT_PAGES: usize = 16;
