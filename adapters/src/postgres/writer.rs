//! Stores sends in batches.
//!
//! A commit costs a sync of the disk, whatever its size. So sends wait in a few lanes, and each lane stores all that wait in
//! it, at most [`MAX_BATCH`], in one transaction. Sends to the same user wait in the same lane, so that a mailbox with many
//! senders, or a slow commit, holds up its own lane only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use woosh_domain::planner::PlannedSend;
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError};

use super::deliver::Deliverer;
use super::lanes::Lanes;
use crate::notify::Notifier;
use crate::pool::Pool;
use crate::store::{PendingSend, SqlError, catch_panic, closed};

/// Number of lanes. With more lanes, each batch would contain fewer sends, and each send would cost more.
const LANES: usize = 2;
/// Maximum number of sends in one transaction.
const MAX_BATCH: usize = 64;
/// How long a lane waits for its turn. Lanes take turns, because larger batches cost less per send. If a lane is held up for
/// longer than this, the others go on without their turn.
const MAX_WAIT: Duration = Duration::from_millis(2);
/// After this many conflicts in a row, the number of batches that are stored with locks stops to double. If several replicas
/// send to the same mailboxes all the time, locks are cheaper than conflicts.
const MAX_CONFLICTS: u32 = 5;
/// Maximum number of attempts to store a batch with locks. What conflicts with it is rare, and the next attempt finds it.
const LOCKED_ATTEMPTS: usize = 3;
/// Maximum time for storing the sends of a failed batch one by one, while other sends wait.
const MAX_RETRYING: Duration = Duration::from_secs(10);

/// The lanes of one server. The tasks of the lanes end when this value is dropped.
pub(super) struct Writer(Lanes<PendingSend>);

impl Writer {
    /// Starts the lanes. They take their connections from `pool`.
    pub(super) fn start(pool: &Pool) -> Self {
        let turn = Arc::new(Mutex::new(()));
        Self(Lanes::start(LANES, |queued| run_lane(pool.clone(), turn.clone(), queued)))
    }

    /// Returns whether all lanes take sends.
    pub(super) fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// Stores a send together with others, and notifies the recipients, even if the caller was cancelled.
    pub(super) async fn deliver(&self, delivery: NewDelivery, notifier: Notifier) -> Result<DeliverOutcome, PortError> {
        let first = delivery.recipients.first().map(|addressed| addressed.recipient.key());
        let (send, outcome) = PendingSend::new(delivery, notifier);
        self.0.send(first, send).await?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// Takes batches from a lane until the lane is closed.
async fn run_lane(pool: Pool, turn: Arc<Mutex<()>>, mut queued: mpsc::Receiver<PendingSend>) {
    let mut lane = Lane { pool, deliverer: Deliverer::default(), conflicts: 0, locked_batches: 0 };
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while queued.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let turn = timeout(MAX_WAIT, turn.lock()).await;
        // More sends may have arrived meanwhile.
        while batch.len() < MAX_BATCH
            && let Ok(send) = queued.try_recv()
        {
            batch.push(send);
        }
        lane.store(&mut batch).await;
        drop(turn);
        for send in batch.drain(..) {
            send.answer(None);
        }
    }
}

struct Lane {
    pool: Pool,
    deliverer: Deliverer,
    /// How many batches in a row could not be stored without locks.
    conflicts: u32,
    /// How many of the next batches are stored with locks.
    locked_batches: u32,
}

impl Lane {
    /// Stores a batch. If the database refuses it, stores each send alone, so that one that can't be stored does not
    /// fail the others.
    async fn store(&mut self, batch: &mut [PendingSend]) {
        let mut waiting: Vec<_> = batch.iter_mut().filter(|send| !send.is_cancelled()).collect();
        let deliveries: Vec<_> = waiting.iter().map(|send| send.delivery()).collect();
        match self.store_all(&deliveries).await {
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
                    let planned = self.store_all(&[send.delivery()]).await;
                    let only = planned.and_then(|mut planned| planned.pop().ok_or(sqlx::Error::RowNotFound.into()));
                    send.set(only.map_err(PortError::from));
                }
            }
        }
    }

    /// Stores sends together: without locks, unless there were conflicts.
    async fn store_all(&mut self, sends: &[&NewDelivery]) -> Result<Vec<PlannedSend>, SqlError> {
        let Self { pool, deliverer, .. } = self;
        if self.locked_batches == 0 {
            if let Some(planned) = catch_panic(Box::pin(pool.run(deliverer.deliver(pool, sends)))).await? {
                self.conflicts = 0;
                return Ok(planned);
            }
            self.conflicts = (self.conflicts + 1).min(MAX_CONFLICTS);
            self.locked_batches = 1 << self.conflicts;
        }
        self.locked_batches -= 1;
        for _ in 0..LOCKED_ATTEMPTS {
            if let Some(planned) = catch_panic(Box::pin(pool.run(deliverer.deliver_locked(pool, sends)))).await? {
                return Ok(planned);
            }
        }
        Err(SqlError::Conflict)
    }
}
