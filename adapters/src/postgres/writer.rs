//! Stores sends in batches.
//!
//! A commit costs a sync of the disk, whatever its size. So sends wait in a few lanes, and each lane stores all that wait in
//! it, at most [`MAX_BATCH`], in one transaction. Sends to the same user wait in the same lane, so that a mailbox with many
//! senders, or a slow commit, holds up its own lane only.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use woosh_domain::planner::PlannedSend;
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError};

use super::deliver;
use crate::notify::Notifier;
use crate::pool::Pool;
use crate::store::{PendingSend, SqlError};

/// How many lanes there are. Two keep a database busy: while one waits for its commit, the other one works. With more lanes,
/// each batch would hold fewer sends, and each send would cost more.
const LANES: usize = 2;
/// The most sends of one transaction.
const MAX_BATCH: usize = 64;
/// The most sends that wait in a lane. Beyond it, callers wait before they queue theirs.
const MAX_QUEUED: usize = 1024;

/// How long the sends of a failed batch are stored one by one, while others wait.
const MAX_RETRYING: Duration = Duration::from_secs(10);

/// The lanes of one server. They end when they are dropped.
pub(super) struct Writer {
    lanes: Vec<mpsc::Sender<PendingSend>>,
}

impl Writer {
    /// Starts the lanes. They take their connections from `pool`.
    pub(super) fn start(pool: &Pool) -> Self {
        let start = |_| {
            let (lane, queued) = mpsc::channel(MAX_QUEUED);
            tokio::spawn(run_lane(pool.clone(), queued));
            lane
        };
        Self { lanes: (0..LANES).map(start).collect() }
    }

    /// Stores a send together with others, and notifies the recipients, even if the caller was cancelled.
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

async fn run_lane(pool: Pool, mut queued: mpsc::Receiver<PendingSend>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    let mut ids = VecDeque::new();
    while queued.recv_many(&mut batch, MAX_BATCH).await > 0 {
        store(&pool, &mut ids, &mut batch).await;
        for send in batch.drain(..) {
            send.answer(None);
        }
    }
}

/// Stores a batch in one transaction. If that fails, stores each send in its own, so that one that can't be stored does not
/// fail the others.
async fn store(pool: &Pool, ids: &mut VecDeque<i64>, batch: &mut [PendingSend]) {
    let mut waiting: Vec<_> = batch.iter_mut().filter(|send| !send.is_cancelled()).collect();
    let deliveries: Vec<_> = waiting.iter().map(|send| send.delivery()).collect();
    match try_to_store(pool, ids, &deliveries).await {
        Ok(planned) => {
            for (send, planned) in waiting.iter_mut().zip(planned) {
                send.set(Ok(planned));
            }
        }
        // If there was no answer, perhaps it was committed. Storing the sends again could duplicate them.
        Err(error) if waiting.len() == 1 || error.is_unanswered() => {
            let error = Arc::new(error);
            for send in waiting {
                send.set(Err(SqlError::Shared(error.clone()).into()));
            }
        }
        Err(_) => {
            let start = Instant::now();
            for send in waiting {
                if start.elapsed() > MAX_RETRYING {
                    send.set(Err(PortError::unavailable("the database is too slow")));
                    continue;
                }
                let planned = try_to_store(pool, ids, &[send.delivery()]).await;
                let only = planned.and_then(|mut planned| planned.pop().ok_or(sqlx::Error::RowNotFound.into()));
                send.set(only.map_err(PortError::from));
            }
        }
    }
}

async fn try_to_store(
    pool: &Pool,
    ids: &mut VecDeque<i64>,
    sends: &[&NewDelivery],
) -> Result<Vec<PlannedSend>, SqlError> {
    // A panic must not end the lane.
    let stored = pool.run(deliver::deliver(pool, ids, sends));
    let stored = AssertUnwindSafe(stored).catch_unwind().await;
    stored.unwrap_or_else(|panic| Err(SqlError::panicked(panic.as_ref())))
}
