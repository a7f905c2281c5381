//! The store as a replica sees it: the in-memory store, but its operations can fail, and other requests can run during
//! an operation.

mod ports;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use woosh_domain::fakes::MemoryStore;
use woosh_domain::model::*;
use woosh_domain::ports::*;

use crate::defect::Defect;
use crate::notify::{Network, ReplicaNotifier};
use crate::oracle::{Check, Oracle};
use crate::step::Fault;
use crate::time::VirtualTime;
use crate::world::REPLICAS;

/// What all replicas share.
pub(crate) struct Shared {
    pub(crate) store: MemoryStore,
    pub(crate) oracle: Mutex<Oracle>,
    pub(crate) network: Mutex<Network>,
    pub(crate) time: Arc<VirtualTime>,
    pub(crate) faults: Mutex<[Faults; REPLICAS]>,
    pub(crate) defect: Option<Defect>,
}

/// The faults that a replica meets when it uses the store.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// The fault that affects the next operation. If it is `BeforeCommit` or `AfterCommit`, it affects the next write
    /// instead.
    pub(crate) next: Option<Fault>,
    /// How many operations of the replica on the store have failed because of a fault.
    pub(crate) count: u64,
}

impl Shared {
    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the oracle check an operation of the store. The oracle remembers the first violation of a promise. The
    /// current step then fails, and reports this violation.
    fn check(&self, check: impl FnOnce(&mut Oracle) -> Check) {
        let mut oracle = self.oracle();
        let checked = check(&mut oracle);
        oracle.record(checked);
    }

    pub(crate) fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, [Faults; REPLICAS]> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct ReplicaStore {
    pub(crate) shared: Arc<Shared>,
    pub(crate) replica: usize,
    pub(crate) notifier: ReplicaNotifier,
    /// The sends that wait to be committed together. `None` if this replica commits each send by itself.
    batch: Option<Mutex<Vec<WaitingSend>>>,
    /// A cache of the sessions' owners, by token. `Sessions::find` adds every owner that it finds, and
    /// `Sessions::recall` only reads this cache.
    owners: Mutex<HashMap<TokenHash, SessionOwner>>,
}

/// A send that waits to be committed in a batch, and the variable for its outcome.
type WaitingSend = (NewDelivery, Arc<Mutex<Option<Result<DeliverOutcome, PortError>>>>);

/// Interrupts the calling operation once, so that other requests can run before the operation goes on.
async fn turn() {
    let mut is_over = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut is_over, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReplicaStore {
    /// Connects a replica to the store. The first replica commits sends in batches that the planner works out.
    pub(crate) fn new(shared: Arc<Shared>, replica: usize) -> Self {
        let notifier = ReplicaNotifier::new(shared.time.clone());
        let batch = (replica == 0).then(Mutex::default);
        Self { shared, replica, notifier, batch, owners: Mutex::default() }
    }

    /// Returns the fault that affects the operation that runs now, if any. Removes this fault, so that it affects no
    /// later operation.
    fn fault(&self, is_write: bool) -> Option<Fault> {
        let faults = &mut self.shared.faults()[self.replica];
        let fault = faults.next.take_if(|fault| is_write || *fault == Fault::Unreachable)?;
        faults.count += 1;
        Some(fault)
    }

    async fn read<T>(
        &self,
        operation: impl Future<Output = Result<T, PortError>>,
        check: impl FnOnce(&Oracle, &T) -> Check,
    ) -> Result<T, PortError> {
        turn().await;
        if self.fault(false).is_some() {
            return Err(PortError::unavailable("a fault"));
        }
        let outcome = operation.await?;
        self.shared.check(|oracle| check(oracle, &outcome));
        turn().await;
        Ok(outcome)
    }

    async fn write<T>(
        &self,
        operation: impl Future<Output = Result<T, PortError>>,
        check: impl FnOnce(&mut Oracle, &T) -> Check,
    ) -> Result<T, PortError> {
        turn().await;
        let fault = self.fault(true);
        if matches!(fault, Some(Fault::Unreachable | Fault::BeforeCommit)) {
            return Err(PortError::unavailable("a fault before the commit"));
        }
        let outcome = operation.await?;
        self.shared.check(|oracle| check(oracle, &outcome));
        self.publish(fault.is_none(), &[]);
        turn().await;
        if fault.is_some() {
            return Err(PortError::unavailable("a fault after the commit"));
        }
        Ok(outcome)
    }

    /// Sends the notifications of a write to the readers of this replica and to the other replicas. If `is_known` is
    /// false, the replica does not know that its write succeeded, so it notifies nobody.
    fn publish(&self, is_known: bool, delivered: &[(DeviceId, Envelope, SequenceNumber)]) {
        let notified = self.shared.store.take_notified();
        let mut network = self.shared.network();
        for mailbox in notified {
            for replica in 0..REPLICAS {
                match (is_known, replica == self.replica) {
                    (false, _) => network.lose(replica, mailbox),
                    _ if self.shared.defect == Some(Defect::NotificationsLost) => {}
                    (true, true) => self.notifier.notify(mailbox, delivered),
                    (true, false) => network.send(replica, mailbox),
                }
            }
        }
    }

    /// Commits all waiting sends in one batch, even if the clients that sent them are gone.
    pub(crate) fn flush(&self) {
        if let Some(batch) = self.batch.as_ref().filter(|batch| !lock(batch).is_empty()) {
            self.commit(batch);
        }
    }

    fn commit(&self, batch: &Mutex<Vec<WaitingSend>>) {
        let waiting = std::mem::take(&mut *lock(batch));
        let (sends, outcomes): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let fault = self.fault(true);
        if matches!(fault, Some(Fault::Unreachable | Fault::BeforeCommit)) {
            for outcome in outcomes {
                *lock(&outcome) = Some(Err(PortError::unavailable("a fault before the commit")));
            }
            return;
        }
        let planned = self.shared.store.deliver_batch(&sends);
        let mut delivered = Vec::new();
        for ((send, planned), outcome) in sends.iter().zip(planned).zip(outcomes) {
            self.shared.check(|oracle| oracle.deliver(send, &planned.outcome));
            for copy in &planned.copies {
                delivered
                    .extend(planned.envelope(send, copy).map(|envelope| (copy.mailbox, envelope, copy.acknowledged)));
            }
            *lock(&outcome) = Some(match fault {
                None => Ok(planned.outcome),
                Some(_) => Err(PortError::unavailable("a fault after the commit")),
            });
        }
        self.publish(fault.is_none(), &delivered);
    }
}
