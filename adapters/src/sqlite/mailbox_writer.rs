//! Runs the writes to mailboxes on a dedicated thread and connection, and commits them in batches.
//!
//! A commit costs one sync of the disk, regardless of its size. So the thread takes all queued writes, at most
//! [`MAX_BATCH`], runs them in one transaction, commits, and only then reports their outcomes. If one write fails, the
//! thread rolls the transaction back, and runs each write of the batch again in a separate transaction.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use woosh_domain::ports::PortError;

use crate::store::{SqlError, closed};

/// Maximum number of writes in one transaction.
const MAX_BATCH: usize = 256;
/// Maximum number of queued writes. If the queue is full, callers wait until there is room for their write.
const MAX_QUEUED: usize = 1024;

/// A check that runs before each commit. An error prevents the commit.
pub(super) type Check = Box<dyn Fn() -> Result<(), SqlError> + Send>;

/// A write to mailboxes.
pub(super) trait Job: Send + Sized + 'static {
    /// Runs the writes `jobs` in a transaction, and keeps their outcomes for [`Self::answer`]. If this returns an
    /// error, none of the writes takes effect. After an error, each write MUST be able to run again.
    fn run_all(connection: &Connection, jobs: &mut [Self]) -> Result<(), SqlError>;

    /// Sends the outcome to the caller. If the write was not committed, sends the error `failed` instead.
    fn answer(self, failed: Option<PortError>);
}

/// The handle of the thread that writes to mailboxes.
pub(super) struct MailboxWriter<J> {
    /// `None` after [`Self::close`].
    queue: Mutex<Option<mpsc::Sender<J>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<J: Job> MailboxWriter<J> {
    /// Starts the thread. The thread holds the lock `turn` during each transaction, because SQLite lets only one
    /// connection write at a time. Before each commit, the thread calls `check`. If `check` fails, the writes of the
    /// transaction fail.
    pub(super) fn start(connection: Connection, turn: Arc<AsyncMutex<()>>, check: Check) -> io::Result<Self> {
        let (queue, queued) = mpsc::channel(MAX_QUEUED);
        let thread = thread::Builder::new().name("mailbox-writer".to_owned());
        let thread = thread.spawn(move || serve(connection, queued, &turn, &check))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// Queues a write. Returns when the write is queued, before it runs: [`Job::answer`] reports the outcome.
    pub(super) async fn run(&self, job: J) -> Result<(), PortError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        queue.ok_or_else(closed)?.send(job).await.map_err(|_| closed())
    }

    /// Returns whether the thread takes writes. After [`Self::close`], it does not.
    pub(super) fn is_running(&self) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.as_ref().is_some_and(|queue| !queue.is_closed())
    }

    /// Finishes queued writes, then closes the connection.
    pub(super) async fn close(&self) {
        // The thread ends when the last sender is dropped.
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let joined = tokio::task::spawn_blocking(|| thread.map(JoinHandle::join));
        if !matches!(joined.await, Ok(None | Some(Ok(())))) {
            tracing::error!("the mailbox writer thread panicked");
        }
    }
}

fn serve<J: Job>(mut connection: Connection, mut queued: mpsc::Receiver<J>, turn: &AsyncMutex<()>, check: &Check) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while queued.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        run(&mut connection, &mut batch, turn, check);
    }
    if let Err((_, error)) = connection.close() {
        tracing::error!(%error, "the database was not closed cleanly");
    }
}

/// Commits a batch and reports the outcomes of its writes. If the batch fails, retries each write in a separate
/// transaction.
fn run<J: Job>(connection: &mut Connection, batch: &mut Vec<J>, turn: &AsyncMutex<()>, check: &Check) {
    match commit(connection, batch, turn, check) {
        Ok(()) => batch.drain(..).for_each(|job| job.answer(None)),
        Err(error) => match batch.pop() {
            Some(only) if batch.is_empty() => only.answer(Some(error.into())),
            last => batch.drain(..).chain(last).for_each(|job| run(connection, &mut vec![job], turn, check)),
        },
    }
}

fn commit<J: Job>(
    connection: &mut Connection,
    jobs: &mut [J],
    turn: &AsyncMutex<()>,
    check: &Check,
) -> Result<(), SqlError> {
    let _turn = turn.blocking_lock();
    // Dropping the transaction without a commit rolls it back.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // A panic must not end the thread.
    let ran = catch_unwind(AssertUnwindSafe(|| J::run_all(&transaction, jobs)));
    ran.unwrap_or_else(|panic| Err(SqlError::panicked(panic.as_ref())))?;
    check()?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
#[path = "mailbox_writer_tests.rs"]
mod tests;
