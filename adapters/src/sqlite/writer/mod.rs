//! The one writer of a SQLite file, which groups what waits for it.
//!
//! A commit costs a sync of the disk, whatever it holds. So the writer takes all jobs that wait, at most
//! [`MAX_BATCH`], runs each in a savepoint of one transaction, and the sends among them together, commits, and only
//! then answers. A job that fails is rolled back to its savepoint and harms no other.

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

use super::deliver::{self, PendingSend};
use crate::sql::SqlError;

/// The most jobs that one transaction takes.
const MAX_BATCH: usize = 256;
/// The most jobs that wait; whoever comes then waits outside.
const MAX_WAITING: usize = 1024;

pub(super) struct Writer {
    jobs: mpsc::Sender<Waiting>,
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the writer on its connection. With the options it makes itself another where this one fails.
    pub(super) fn start(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (jobs, waiting) = mpsc::channel(MAX_WAITING);
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(serve(connection, options, waiting, stop.clone()));
        Self { jobs, stop, task: Mutex::new(Some(task)) }
    }

    /// Runs a job, and gives its outcome once that is on the disk and `then` was done, which happens even where nobody
    /// waits any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, PortError> {
        let (reply, outcome) = oneshot::channel();
        let job = Task { work: Some(Box::new(work)), then: Box::new(then), outcome: None, reply };
        self.jobs.send(Waiting::Job(Box::new(job))).await.map_err(|_| closed())?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Stores a send, together with others that wait. It answers by itself.
    pub(super) async fn send(&self, send: PendingSend) -> Result<(), PortError> {
        self.jobs.send(Waiting::Send(Box::new(send))).await.map_err(|_| closed())
    }

    /// Does what waits, then stops and closes the connection.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.stop.notify_one();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the writer did not end well");
        }
    }
}

pub(super) fn closed() -> PortError {
    PortError::unavailable("the database is closed")
}

/// What waits for the writer.
enum Waiting {
    Job(Box<dyn Job>),
    Send(Box<PendingSend>),
}

/// What one transaction takes.
#[derive(Default)]
struct Batch {
    jobs: Vec<Box<dyn Job>>,
    sends: Vec<PendingSend>,
}

impl Batch {
    fn add(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::Job(job) => self.jobs.push(job),
            Waiting::Send(send) => self.sends.push(*send),
        }
    }

    fn len(&self) -> usize {
        self.jobs.len() + self.sends.len()
    }

    fn answer(self, committed: &Result<(), Arc<sqlx::Error>>) {
        let failed = || committed.as_ref().err().map(|error| PortError::unavailable(error.clone()));
        self.jobs.into_iter().for_each(|job| job.answer(failed()));
        self.sends.into_iter().for_each(|send| send.answer(failed()));
    }
}

/// A unit of work that waits for the writer.
#[async_trait]
trait Job: Send {
    /// Does the work and keeps its outcome. Gives whether it is to be kept in the database too.
    async fn run(&mut self, connection: &mut SqliteConnection) -> bool;

    /// Answers with the outcome, or with what went wrong when that was to be committed.
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
        // Whoever gave up waiting was not told that it is done, so it need not be.
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
        // Whoever gave up waiting needs no answer.
        let _ = self.reply.send(outcome);
    }
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

async fn serve(
    connection: SqliteConnection,
    options: SqliteConnectOptions,
    mut waiting: mpsc::Receiver<Waiting>,
    stop: Arc<Notify>,
) {
    let mut connection = Some(connection);
    let mut taken = Vec::with_capacity(MAX_BATCH);
    loop {
        tokio::select! {
            _ = waiting.recv_many(&mut taken, MAX_BATCH) => {}
            () = stop.notified() => {
                waiting.close();
                continue;
            }
        }
        if taken.is_empty() {
            break;
        }
        let mut batch = Batch::default();
        taken.drain(..).for_each(|waiting| batch.add(waiting));
        let committed = commit_on(&mut connection, &options, &mut batch).await.map_err(Arc::new);
        if let Err(error) = &committed {
            tracing::error!(%error, jobs = batch.len(), "a batch of writes was not committed");
        }
        batch.answer(&committed);
    }
    if let Some(connection) = connection
        && let Err(error) = connection.close().await
    {
        tracing::error!(%error, "the database did not close well");
    }
}

/// Commits a batch, on a new connection where there is none. One that fails is given up: where the disk was full, for
/// one, SQLite has ended the transaction by itself, and the connection is of no more use.
async fn commit_on(
    place: &mut Option<SqliteConnection>,
    options: &SqliteConnectOptions,
    batch: &mut Batch,
) -> Result<(), sqlx::Error> {
    let mut connection = match place.take() {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    commit(&mut connection, batch).await?;
    *place = Some(connection);
    Ok(())
}

async fn commit(connection: &mut SqliteConnection, batch: &mut Batch) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for job in &mut batch.jobs {
        let mut savepoint = transaction.begin().await?;
        if job.run(&mut savepoint).await {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
    }
    if !batch.sends.is_empty() {
        deliver::store(&mut transaction, &mut batch.sends).await?;
    }
    transaction.commit().await
}

#[cfg(test)]
mod tests;
