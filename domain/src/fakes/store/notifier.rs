use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{DeviceId, SequenceNumber};
use crate::ports::{Notifier, Subscription, WaitOutcome};

/// The waiting readers of each mailbox. This notifier has no clock: a timeout of zero elapses at once, and any other
/// timeout never elapses.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryNotifier(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    readers: HashMap<DeviceId, WaitingReaders>,
    /// The mailboxes that were notified since [`MemoryNotifier::take_notified`] was last called.
    notified: BTreeSet<DeviceId>,
}

#[derive(Debug, Default)]
struct WaitingReaders {
    notifications: u64,
    wakers: Vec<Waker>,
}

impl MemoryNotifier {
    /// Notifies readers that wait on these mailboxes.
    pub(super) fn notify(&self, mailboxes: impl Iterator<Item = DeviceId>) {
        let mut state = self.state();
        for mailbox in mailboxes {
            state.notified.insert(mailbox);
            let readers = state.readers.entry(mailbox).or_default();
            readers.notifications += 1;
            readers.wakers.drain(..).for_each(Waker::wake);
        }
    }

    pub(super) fn take_notified(&self) -> BTreeSet<DeviceId> {
        std::mem::take(&mut self.state().notified)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notifier for MemoryNotifier {
    fn subscribe(&self, mailbox: DeviceId, timeout: Duration) -> Box<dyn Subscription> {
        let received = self.state().readers.entry(mailbox).or_default().notifications;
        Box::new(MailboxSubscription { notifier: self.clone(), mailbox, received, times_out: timeout.is_zero() })
    }
}

struct MailboxSubscription {
    notifier: MemoryNotifier,
    mailbox: DeviceId,
    /// How many notifications the mailbox had when the reader subscribed, or when the reader was last notified. As soon
    /// as the mailbox has had more, the reader is notified again.
    received: u64,
    times_out: bool,
}

#[async_trait]
impl Subscription for MailboxSubscription {
    async fn wait(&mut self, _: SequenceNumber) -> WaitOutcome {
        poll_fn(|context| {
            let mut state = self.notifier.state();
            let readers = state.readers.entry(self.mailbox).or_default();
            if readers.notifications > self.received {
                self.received = readers.notifications;
                return Poll::Ready(WaitOutcome::Notified);
            }
            if self.times_out {
                return Poll::Ready(WaitOutcome::TimedOut);
            }
            readers.wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
