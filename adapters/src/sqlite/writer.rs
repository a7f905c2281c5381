//! The only writer of a SQLite file. Commits queued jobs in batches.
//!
//! A commit costs one sync of the disk, regardless of its size. So the writer takes all queued jobs, at most
//! [`MAX_BATCH`], runs them in one transaction, commits, and only then answers. Each job runs in a savepoint of its
//! own, which is rolled back if the job fails. Bulk jobs run together.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use woosh_domain::ports::PortError;

use crate::store::SqlError;

/// The most jobs in one transaction.
const MAX_BATCH: usize = 256;
/// The most jobs that are queued. Beyond it, callers wait before they queue theirs.
const MAX_QUEUED: usize = 1024;

/// Jobs of one kind that the writer runs together.
#[async_trait]
pub(super) trait BulkJob: Sized + Send + 'static {
    /// Runs the bulk jobs of a batch and keeps their outcomes. An error fails the whole transaction.
    async fn run_all(connection: &mut SqliteConnection, jobs: &mut [Self]) -> sqlx::Result<()>;

    /// Answers with the outcome, or with `failed` if the commit failed.
    fn answer(self, failed: Option<PortError>);
}

pub(super) struct Writer<B> {
    jobs: mpsc::Sender<Queued<B>>,
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<B: BulkJob> Writer<B> {
    /// Starts the writer on a connection. If the connection fails, the writer opens another one with `options`.
    pub(super) fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (jobs, queue) = mpsc::channel(MAX_QUEUED);
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(serve(connection, options, queue, stop.clone()));
        Self { jobs, stop, task: Mutex::new(Some(task)) }
    }

    /// Runs a job. Returns its outcome after the commit and after `then`, which runs even if the caller was cancelled.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, PortError> {
        let (reply, outcome) = oneshot::channel();
        let job = Task { work: Some(Box::new(work)), then: Box::new(then), outcome: None, reply };
        self.jobs.send(Queued::Job(Box::new(job))).await.map_err(|_| closed())?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Queues a bulk job. Returns once it is queued; [`BulkJob::answer`] gets the outcome.
    pub(super) async fn run_in_bulk(&self, job: B) -> Result<(), PortError> {
        self.jobs.send(Queued::Bulk(job)).await.map_err(|_| closed())
    }

    /// Finishes queued jobs, then closes the connection.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.stop.notify_one();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer failed");
        }
    }
}

pub(super) fn closed() -> PortError {
    PortError::unavailable("the database is closed")
}

/// A queued job.
enum Queued<B> {
    Job(Box<dyn Job>),
    Bulk(B),
}

/// The jobs of one transaction.
struct Batch<B> {
    jobs: Vec<Box<dyn Job>>,
    bulk: Vec<B>,
}

impl<B: BulkJob> Batch<B> {
    fn new(queued: impl Iterator<Item = Queued<B>>) -> Self {
        let mut batch = Self { jobs: Vec::new(), bulk: Vec::new() };
        for job in queued {
            match job {
                Queued::Job(job) => batch.jobs.push(job),
                Queued::Bulk(job) => batch.bulk.push(job),
            }
        }
        batch
    }

    fn len(&self) -> usize {
        self.jobs.len() + self.bulk.len()
    }

    fn answer(self, committed: &Result<(), Arc<sqlx::Error>>) {
        let failed = || committed.as_ref().err().map(|error| PortError::unavailable(error.clone()));
        self.jobs.into_iter().for_each(|job| job.answer(failed()));
        self.bulk.into_iter().for_each(|job| job.answer(failed()));
    }
}

/// A job with a savepoint of its own.
#[async_trait]
trait Job: Send {
    /// Runs the job and keeps its outcome. Returns whether to commit its changes.
    async fn run(&mut self, connection: &mut SqliteConnection) -> bool;

    /// Answers with the outcome, or with `failed` if the commit failed.
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
        // The caller of a closed reply was cancelled before it got an answer, so its job can be dropped.
        let Some(work) = self.work.take().filter(|_| !self.reply.is_closed()) else {
            return false;
        };
        let outcome = match AssertUnwindSafe(work(connection)).catch_unwind().await {
            Ok(outcome) => outcome.map_err(PortError::from),
            Err(panic) => Err(PortError::fault(format!("a write panicked: {}", message(panic.as_ref())))),
        };
        self.outcome.insert(outcome).is_ok()
    }

    fn answer(self: Box<Self>, failed: Option<PortError>) {
        let outcome = match (self.outcome, failed) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok(outcome)), None) => {
                (self.then)(&outcome);
                Ok(outcome)
            }
            (None, None) => return,
        };
        // Fails if the caller was cancelled, which needs no answer then.
        let _ = self.reply.send(outcome);
    }
}

/// The message of a panic.
pub(super) fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

async fn serve<B: BulkJob>(
    connection: SqliteConnection,
    options: SqliteConnectOptions,
    mut queue: mpsc::Receiver<Queued<B>>,
    stop: Arc<Notify>,
) {
    let mut connection = Some(connection);
    let mut jobs = Vec::with_capacity(MAX_BATCH);
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
        let mut batch = Batch::new(jobs.drain(..));
        let committed = commit_on(&mut connection, &options, &mut batch).await.map_err(Arc::new);
        if let Err(error) = &committed {
            tracing::error!(%error, jobs = batch.len(), "can't commit a batch of writes");
        }
        batch.answer(&committed);
    }
    if let Some(connection) = connection
        && let Err(error) = connection.close().await
    {
        tracing::error!(%error, "the database was not closed cleanly");
    }
}

/// Commits a batch, on a new connection if there is none. Drops a connection that fails: if the disk is full, for
/// example, SQLite rolls the transaction back by itself, which sqlx does not notice.
async fn commit_on<B: BulkJob>(
    slot: &mut Option<SqliteConnection>,
    options: &SqliteConnectOptions,
    batch: &mut Batch<B>,
) -> Result<(), sqlx::Error> {
    let mut connection = match slot.take() {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    commit(&mut connection, batch).await?;
    *slot = Some(connection);
    Ok(())
}

async fn commit<B: BulkJob>(connection: &mut SqliteConnection, batch: &mut Batch<B>) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for job in &mut batch.jobs {
        let mut savepoint = transaction.begin().await?;
        if job.run(&mut savepoint).await {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
    }
    if !batch.bulk.is_empty() {
        B::run_all(&mut transaction, &mut batch.bulk).await?;
    }
    transaction.commit().await
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
