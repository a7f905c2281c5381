//! Runs the writes that `mailbox_writer` does not run, such as those of users, devices and sessions, and commits them
//! in batches.
//!
//! A commit costs one sync of the disk, regardless of its size. So the writer takes all queued writes, at most
//! [`MAX_BATCH`], runs them in one transaction, commits, and only then reports their outcomes. Each write runs in a
//! separate savepoint, which is rolled back if the write fails.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use woosh_domain::ports::PortError;

use crate::store::{SqlError, after_commit, catch_panic, closed};
use crate::transient::is_full;

/// Maximum number of writes in one transaction.
const MAX_BATCH: usize = 256;
/// Maximum number of queued writes. If the queue is full, callers wait until there is room for their write.
const MAX_QUEUED: usize = 1024;

pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the writer on a connection. If the connection fails, the writer opens a new connection with `options`.
    /// The writer holds the lock `turn` during each transaction, because SQLite lets only one connection write at a
    /// time.
    pub(super) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        turn: Arc<AsyncMutex<()>>,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(MAX_QUEUED);
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(serve(connection, options, queue, stop.clone(), turn));
        Self { jobs, stop, task: Mutex::new(Some(task)) }
    }

    /// Runs `work` in a transaction with other queued writes, then runs `then` after the commit. Returns the outcome of
    /// `work`. If the caller is cancelled, either `work` and `then` both run, or neither of them runs.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, PortError> {
        let (reply, outcome) = oneshot::channel();
        let job = Task { work: Some(Box::new(work)), then: Box::new(then), outcome: None, reply };
        self.jobs.send(Box::new(job)).await.map_err(|_| closed())?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Returns whether the writer takes jobs. After [`Self::close`], it does not.
    pub(super) fn is_running(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Finishes queued writes, then closes the connection.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.stop.notify_one();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer task panicked");
        }
    }
}

/// A queued write, which runs in a separate savepoint.
#[async_trait]
trait Job: Send {
    /// Runs the write and keeps its outcome for [`Self::answer`]. Returns whether to commit its changes.
    async fn run(&mut self, connection: &mut SqliteConnection) -> bool;

    /// Sends the outcome to the caller. If the commit failed, sends the error `failed` instead.
    fn answer(self: Box<Self>, failed: Option<PortError>);
}

type Work<T> = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send>;

struct Task<T> {
    work: Option<Work<T>>,
    then: Box<dyn FnOnce(&T) + Send>,
    outcome: Option<Result<T, PortError>>,
    reply: oneshot::Sender<Result<T, PortError>>,
}

#[async_trait]
impl<T: Send> Job for Task<T> {
    async fn run(&mut self, connection: &mut SqliteConnection) -> bool {
        // A closed reply means that the caller was cancelled. The caller was never told that the write succeeded, so
        // the write can be skipped.
        let Some(work) = self.work.take().filter(|_| !self.reply.is_closed()) else {
            return false;
        };
        let outcome = catch_panic(work(connection)).await.map_err(PortError::from);
        self.outcome.insert(outcome).is_ok()
    }

    fn answer(self: Box<Self>, failed: Option<PortError>) {
        let Self { then, outcome, reply, .. } = *self;
        let outcome = match (outcome, failed) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok(outcome)), None) => {
                after_commit(|| then(&outcome));
                Ok(outcome)
            }
            (None, None) => return,
        };
        // Fails only if the caller was cancelled and no longer needs the outcome.
        let _ = reply.send(outcome);
    }
}

async fn serve(
    connection: SqliteConnection,
    options: SqliteConnectOptions,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    stop: Arc<Notify>,
    turn: Arc<AsyncMutex<()>>,
) {
    let mut connection = Some(connection);
    let mut jobs = Vec::with_capacity(MAX_BATCH);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = queue.recv_many(&mut jobs, MAX_BATCH) => {}
            () = stop.notified() => {
                queue.close();
                continue;
            }
        }
        if jobs.is_empty() {
            break;
        }
        let turn = turn.lock().await;
        let committed = commit_on(&mut connection, &options, &mut jobs).await.map_err(Arc::new);
        drop(turn);
        // Each request that fails is logged, too. While the disk is full, more would only fill it further.
        match &committed {
            Err(error) if !failing => {
                tracing::error!(%error, jobs = jobs.len(), "can't commit a batch of writes");
            }
            Ok(()) if failing => tracing::info!("batches of writes are committed again"),
            _ => {}
        }
        failing = committed.is_err();
        let failed = || committed.as_ref().err().map(|error| failed(error.clone()));
        jobs.drain(..).for_each(|job| job.answer(failed()));
    }
    if let Some(connection) = connection
        && let Err(error) = connection.close().await
    {
        tracing::error!(%error, "the database was not closed cleanly");
    }
}

/// Returns the error for the jobs of a batch that was not committed. The error is always transient, because `cause` may
/// hide the real reason. For example, if a job fills the disk, SQLite itself rolls back the transaction of all jobs.
/// Then `cause` only says that there is no transaction.
fn failed(cause: Arc<sqlx::Error>) -> PortError {
    if is_full(&cause) { PortError::full(cause) } else { PortError::unavailable(cause) }
}

/// Commits a batch on the connection in `slot`, or on a new connection if `slot` is empty. Drops the connection after
/// an error, because the connection may be in an unknown state: if the disk is full, for example, SQLite rolls the
/// transaction back by itself, and sqlx does not notice.
async fn commit_on(
    slot: &mut Option<SqliteConnection>,
    options: &SqliteConnectOptions,
    jobs: &mut [Box<dyn Job>],
) -> Result<(), sqlx::Error> {
    let mut connection = match slot.take() {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    commit(&mut connection, jobs).await?;
    *slot = Some(connection);
    Ok(())
}

async fn commit(connection: &mut SqliteConnection, jobs: &mut [Box<dyn Job>]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for job in jobs {
        let mut savepoint = transaction.begin().await?;
        if job.run(&mut savepoint).await {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
    }
    transaction.commit().await
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
