//! Notifications: those between the replicas, which can be late, lost or repeated, and those from a replica to its
//! waiting readers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use woosh_domain::model::{DeviceId, Envelope, SequenceNumber, Timestamp};
use woosh_domain::ports::{Delivered, Notifier, Subscription, WaitOutcome};

use crate::time::VirtualTime;
use crate::world::REPLICAS;

/// The notifications that are on their way to each replica. Also counts the lost ones, by replica and mailbox.
#[derive(Debug, Default)]
pub(crate) struct Network {
    inboxes: [VecDeque<DeviceId>; REPLICAS],
    lost: BTreeMap<(usize, DeviceId), u64>,
}

impl Network {
    pub(crate) fn send(&mut self, replica: usize, mailbox: DeviceId) {
        self.inboxes[replica].push_back(mailbox);
    }

    pub(crate) fn take(&mut self, replica: usize) -> Option<DeviceId> {
        self.inboxes[replica].pop_front()
    }

    pub(crate) fn lose(&mut self, replica: usize, mailbox: DeviceId) {
        *self.lost.entry((replica, mailbox)).or_default() += 1;
    }

    /// Returns how many notifications for `mailbox` the replica has missed.
    pub(crate) fn lost(&self, replica: usize, mailbox: DeviceId) -> u64 {
        self.lost.get(&(replica, mailbox)).copied().unwrap_or_default()
    }

    pub(crate) fn is_on_its_way(&self, replica: usize, mailbox: DeviceId) -> bool {
        self.inboxes[replica].contains(&mailbox)
    }

    pub(crate) fn clear(&mut self, replica: usize) {
        self.inboxes[replica].clear();
    }
}

/// Notifies the reads that wait on a replica.
#[derive(Clone)]
pub(crate) struct ReplicaNotifier {
    mailboxes: Arc<Mutex<BTreeMap<DeviceId, Notifications>>>,
    time: Arc<VirtualTime>,
}

#[derive(Debug, Default)]
struct Notifications {
    count: u64,
    /// The newest envelopes, whose sequence numbers are consecutive. Waiting reads can take them without reading the
    /// store. Beside each envelope is the sequence number up to which the mailbox was acknowledged when this envelope
    /// was committed.
    recent: Vec<(Envelope, SequenceNumber)>,
}

impl ReplicaNotifier {
    pub(crate) fn new(time: Arc<VirtualTime>) -> Self {
        Self { mailboxes: Arc::default(), time }
    }

    /// Notifies the reads that wait for a mailbox. These reads can take the envelopes in `delivered` without reading
    /// the store.
    pub(crate) fn notify(&self, mailbox: DeviceId, delivered: &[(DeviceId, Envelope, SequenceNumber)]) {
        let mut mailboxes = self.mailboxes();
        let notifications = mailboxes.entry(mailbox).or_default();
        notifications.count += 1;
        let recent = &mut notifications.recent;
        let mut own = delivered.iter().filter(|(device, ..)| *device == mailbox).peekable();
        if own.peek().is_none() {
            recent.clear();
        }
        for (_, envelope, acknowledged) in own {
            if recent.last().is_some_and(|(last, _)| last.sequence.next() != envelope.sequence) {
                recent.clear();
            }
            recent.push((envelope.clone(), *acknowledged));
        }
        let excess = recent.len().saturating_sub(8);
        recent.drain(..excess);
    }

    fn mailboxes(&self) -> MutexGuard<'_, BTreeMap<DeviceId, Notifications>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notifier for ReplicaNotifier {
    fn subscribe(&self, mailbox: DeviceId, timeout: Duration) -> Box<dyn Subscription> {
        let received = self.mailboxes().entry(mailbox).or_default().count;
        let deadline = self.time.now().plus(timeout);
        Box::new(ReaderSubscription { notifier: self.clone(), mailbox, received, deadline })
    }
}

struct ReaderSubscription {
    notifier: ReplicaNotifier,
    mailbox: DeviceId,
    received: u64,
    deadline: Timestamp,
}

#[async_trait]
impl Subscription for ReaderSubscription {
    async fn wait(&mut self, seen: SequenceNumber) -> WaitOutcome {
        std::future::poll_fn(|_| {
            let mailboxes = self.notifier.mailboxes();
            let Some(notifications) = mailboxes.get(&self.mailbox) else { return Poll::Pending };
            if notifications.count > self.received {
                self.received = notifications.count;
                return Poll::Ready(notifications.after(seen).map_or(WaitOutcome::Notified, WaitOutcome::Delivered));
            }
            let is_over = self.notifier.time.now() >= self.deadline;
            if is_over { Poll::Ready(WaitOutcome::TimedOut) } else { Poll::Pending }
        })
        .await
    }
}

impl Notifications {
    /// Returns all envelopes after `seen`. `None` if there are none, or if `recent` does not have all of them.
    fn after(&self, seen: SequenceNumber) -> Option<Delivered> {
        let (first, _) = self.recent.first()?;
        let (_, acknowledged) = self.recent.last()?;
        let newer = self.recent.iter().map(|(envelope, _)| envelope).filter(|envelope| envelope.sequence > seen);
        let envelopes: Vec<_> = newer.cloned().collect();
        (first.sequence <= seen.next() && !envelopes.is_empty())
            .then_some(Delivered { envelopes, acknowledged: *acknowledged })
    }
}
