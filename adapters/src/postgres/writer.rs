//! Stores sends in batches.
//!
//! A commit costs one sync of the disk, regardless of its size. So sends are queued in a few lanes. A lane is a queue
//! with a task that takes all queued sends, at most [`MAX_BATCH`], and stores them in one transaction. Sends to the
//! same user use the same lane, so that lanes rarely wait for each other's locks.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use sqlx::PgPool;
use tokio::sync::mpsc;
use woosh_domain::planner::PlannedSend;
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError};

use super::deliver;
use crate::notify::Notifier;
use crate::store::{PendingSend, SqlError};

/// Number of lanes. Two lanes keep a database busy: while one lane waits for its commit, the second lane runs its
/// statements. With more lanes, each batch would contain fewer sends, and each send would cost more.
const LANES: usize = 2;
/// Maximum number of sends in one transaction.
const MAX_BATCH: usize = 64;
/// Maximum number of sends queued in a lane. If the queue is full, callers wait until there is room for their send.
const MAX_QUEUED: usize = 1024;

/// The lanes of one server. The tasks of the lanes end when this value is dropped.
pub(super) struct Writer {
    lanes: Vec<mpsc::Sender<PendingSend>>,
}

impl Writer {
    /// Starts the lanes, which take connections from `pool`.
    pub(super) fn start(pool: &PgPool) -> Self {
        let start = |_| {
            let (lane, queued) = mpsc::channel(MAX_QUEUED);
            tokio::spawn(run_lane(pool.clone(), queued));
            lane
        };
        Self { lanes: (0..LANES).map(start).collect() }
    }

    /// Stores a send in a batch with other sends, and notifies the recipients, even if the caller was cancelled.
    pub(super) async fn deliver(&self, delivery: NewDelivery, notifier: Notifier) -> Result<DeliverOutcome, PortError> {
        let mut hash = DefaultHasher::new();
        delivery.recipients.first().map(|addressed| addressed.recipient.key()).hash(&mut hash);
        let lane = hash.finish() as usize % self.lanes.len();
        let (send, outcome) = PendingSend::new(delivery, notifier);
        let stopped = || PortError::unavailable("the database is closed");
        self.lanes[lane].send(send).await.map_err(|_| stopped())?;
        outcome.await.unwrap_or_else(|_| Err(stopped()))
    }
}

async fn run_lane(pool: PgPool, mut queued: mpsc::Receiver<PendingSend>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut ids = VecDeque::new();
    while queued.recv_many(&mut batch, MAX_BATCH).await > 0 {
        store(&pool, &mut ids, &mut batch).await;
        for send in batch.drain(..) {
            send.answer(None);
        }
    }
}

/// Stores a batch in one transaction. If the transaction fails, stores each send in a separate transaction, so that a
/// send that can't be stored does not make the other sends fail.
async fn store(pool: &PgPool, ids: &mut VecDeque<i64>, batch: &mut [PendingSend]) {
    let mut waiting: Vec<_> = batch.iter_mut().filter(|send| !send.is_cancelled()).collect();
    let deliveries: Vec<_> = waiting.iter().map(|send| send.delivery()).collect();
    match try_to_store(pool, ids, &deliveries).await {
        Ok(planned) => {
            for (send, planned) in waiting.iter_mut().zip(planned) {
                send.set(Ok(planned));
            }
        }
        Err(error) if waiting.len() == 1 => waiting[0].set(Err(error.into())),
        Err(_) => {
            for send in waiting {
                let planned = try_to_store(pool, ids, &[send.delivery()]).await;
                let only = planned.and_then(|mut planned| planned.pop().ok_or(sqlx::Error::RowNotFound.into()));
                send.set(only.map_err(PortError::from));
            }
        }
    }
}

async fn try_to_store(
    pool: &PgPool,
    ids: &mut VecDeque<i64>,
    sends: &[&NewDelivery],
) -> Result<Vec<PlannedSend>, SqlError> {
    // A panic must not end the task of the lane.
    let stored = AssertUnwindSafe(deliver::deliver(pool, ids, sends)).catch_unwind().await;
    stored.unwrap_or_else(|panic| Err(SqlError::panicked(panic.as_ref())))
}
