//! Stores sends in batches.
//!
//! A commit costs a sync of the disk, regardless of its size. Therefore sends queue in a few lanes, and each lane
//! stores all of its queued sends, at most [`MAX_BATCH`], in one transaction. Sends with the same first recipient queue
//! in the same lane, so that a mailbox with many senders, or a slow commit, delays only its own lane.

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

/// Number of lanes (queues of sends). With more lanes, each batch would contain fewer sends, and each send would cost
/// more.
const LANES: usize = 2;
/// Maximum number of sends in one transaction.
const MAX_BATCH: usize = 64;
/// Maximum time that a lane waits until another lane has stored its batch. During the wait, more sends queue in the
/// waiting lane, and a larger batch costs less per send. A lane that has waited for this time stores its batch without
/// waiting any longer.
const MAX_WAIT: Duration = Duration::from_millis(2);
/// Upper limit of `Lane::conflicts`, the number of conflicts in a row. A conflict is a batch that could not be stored
/// without locks, for example because another transaction changed the same mailboxes. After `n` conflicts in a row, the
/// failed batch and the batches after it, 2 to the power of `n` in total, are stored with locks. If several replicas
/// send to the same mailboxes all the time, locks are cheaper than conflicts.
const MAX_CONFLICTS: u32 = 5;
/// Maximum number of attempts to store a batch with locks. An attempt fails if, in spite of the locks, another
/// transaction makes its plan outdated, for example by adding a device. This is rare, and the next attempt loads the
/// current state.
const LOCKED_ATTEMPTS: usize = 3;
/// Maximum time for storing the sends of a failed batch one by one, while other sends wait.
const MAX_RETRYING: Duration = Duration::from_secs(10);

/// The lanes (queues of sends) of one server. The tasks of the lanes end when this value is dropped.
pub(super) struct Writer(Lanes<PendingSend>);

impl Writer {
    /// Starts the lanes, which take connections from `pool`.
    pub(super) fn start(pool: &Pool) -> Self {
        let turn = Arc::new(Mutex::new(()));
        Self(Lanes::start(LANES, |queued| run_lane(pool.clone(), turn.clone(), queued)))
    }

    /// Returns whether the tasks of all lanes still take sends.
    pub(super) fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// Stores a send in a batch with other sends, and notifies the recipients. If the caller is cancelled, either the
    /// send is stored and the recipients are notified, or the send is dropped.
    pub(super) async fn deliver(&self, delivery: NewDelivery, notifier: Notifier) -> Result<DeliverOutcome, PortError> {
        let first = delivery.recipients.first().map(|addressed| addressed.recipient.key());
        let (send, outcome) = PendingSend::new(delivery, notifier);
        self.0.send(first, send).await?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// Stores the sends of a lane, in batches, until the lane is closed.
async fn run_lane(pool: Pool, turn: Arc<Mutex<()>>, mut queued: mpsc::Receiver<PendingSend>) {
    let mut lane = Lane { pool, deliverer: Deliverer::default(), conflicts: 0, locked_batches: 0 };
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while queued.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let turn = timeout(MAX_WAIT, turn.lock()).await;
        // More sends may have been queued while the lane waited for its turn.
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
    /// How many batches in a row could not be stored without locks, at most [`MAX_CONFLICTS`].
    conflicts: u32,
    /// How many of the next batches are stored with locks.
    locked_batches: u32,
}

impl Lane {
    /// Stores a batch, and sets the outcome of each send. If the database refuses the batch, stores each send alone, so
    /// that a send that can't be stored does not fail the others.
    async fn store(&mut self, batch: &mut [PendingSend]) {
        let mut waiting: Vec<_> = batch.iter_mut().filter(|send| !send.is_cancelled()).collect();
        let deliveries: Vec<_> = waiting.iter().map(|send| send.delivery()).collect();
        match self.store_all(&deliveries).await {
            Ok(planned) => {
                for (send, planned) in waiting.iter_mut().zip(planned) {
                    send.set(Ok(planned));
                }
            }
            // If the database did not answer, the batch may have been committed. Storing its sends again could
            // duplicate them.
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

    /// Stores sends in one transaction. Unless recent batches had conflicts, tries this without locks first. If that
    /// fails because of a conflict, uses locks. Returns the outcomes in the order of `sends`.
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
