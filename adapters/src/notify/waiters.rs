use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep_until};
use woosh_domain::model::{DeviceId, Envelope, SequenceNumber};
use woosh_domain::planner::PlannedCopy;
use woosh_domain::ports::{Subscription, WaitOutcome};

use super::recent::Recent;

/// The readers that wait in this process, by mailbox.
#[derive(Clone, Default)]
pub(super) struct Waiters(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    mailboxes: HashMap<DeviceId, WaitingReaders>,
    closed: bool,
}

/// The readers that wait on one mailbox.
struct WaitingReaders {
    notify: Arc<Notify>,
    count: usize,
    /// The lowest cursor of the waiting readers: all of them have seen everything up to this number.
    seen: SequenceNumber,
    recent: Recent,
}

impl Waiters {
    /// Notifies readers that wait on a mailbox.
    pub(super) fn notify(&self, mailbox: DeviceId) {
        if let Some(readers) = self.state().mailboxes.get_mut(&mailbox) {
            readers.notify();
        }
    }

    /// Notifies readers that wait on the mailbox of a committed envelope, and keeps the envelope for them.
    pub(super) fn deliver(&self, copy: &PlannedCopy, envelope: impl FnOnce() -> Option<Envelope>) {
        if let Some(readers) = self.state().mailboxes.get_mut(&copy.mailbox) {
            match envelope() {
                Some(envelope) => readers.recent.add(envelope, copy.acknowledged),
                None => readers.recent.clear(),
            }
            readers.notify();
        }
    }

    /// Notifies all readers.
    pub(super) fn notify_all(&self) {
        self.state().mailboxes.values_mut().for_each(WaitingReaders::notify);
    }

    /// Ends all current and future waits for new envelopes, so that they don't delay a shutdown.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.notify_all();
    }

    /// Returns whether [`Self::close`] was called.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Returns the mailboxes that readers wait on, each with the lowest cursor of its readers. The poll for lost
    /// notifications looks for messages after these cursors.
    pub(super) fn waiting(&self) -> Vec<(DeviceId, SequenceNumber)> {
        let state = self.state();
        state.mailboxes.iter().map(|(mailbox, readers)| (*mailbox, readers.seen)).collect()
    }

    /// Subscribes to a mailbox until `timeout` has elapsed.
    pub(super) fn subscribe(&self, mailbox: DeviceId, timeout: Duration) -> MailboxSubscription {
        let mut state = self.state();
        let readers = state.mailboxes.entry(mailbox).or_insert_with(|| WaitingReaders {
            notify: Arc::default(),
            count: 0,
            seen: WaitingReaders::NONE_WAITS,
            recent: Recent::EMPTY,
        });
        readers.count += 1;
        let notify = readers.notify.clone();
        // The future receives notifications from its creation on, even before it is first polled.
        let notified = Box::pin(notify.clone().notified_owned());
        let deadline = Box::pin(sleep_until(Instant::now() + timeout));
        MailboxSubscription { waiters: self.clone(), mailbox, notify, notified, deadline }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Ignores poisoning, because a panic under this lock can't leave the state inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingReaders {
    /// The value of `seen` while no reader waits on the mailbox. It is higher than any sequence number, so that the
    /// poll for lost notifications finds no new message in the mailbox.
    const NONE_WAITS: SequenceNumber = SequenceNumber::MAX;

    fn notify(&mut self) {
        self.seen = Self::NONE_WAITS;
        self.notify.notify_waiters();
    }
}

pub(super) struct MailboxSubscription {
    waiters: Waiters,
    mailbox: DeviceId,
    notify: Arc<Notify>,
    notified: Pin<Box<OwnedNotified>>,
    deadline: Pin<Box<Sleep>>,
}

#[async_trait]
impl Subscription for MailboxSubscription {
    async fn wait(&mut self, seen: SequenceNumber) -> WaitOutcome {
        {
            let mut state = self.waiters.state();
            if state.closed {
                return WaitOutcome::Stopping;
            }
            if let Some(readers) = state.mailboxes.get_mut(&self.mailbox) {
                readers.seen = readers.seen.min(seen);
            }
        }
        tokio::select! {
            biased;
            () = &mut self.notified => {}
            () = &mut self.deadline => return WaitOutcome::TimedOut,
        }
        // Subscribes again before the caller reads the mailbox, so that the caller is notified of messages that are
        // stored while it reads.
        self.notified.set(self.notify.clone().notified_owned());
        let state = self.waiters.state();
        if state.closed {
            return WaitOutcome::Stopping;
        }
        let readers = state.mailboxes.get(&self.mailbox);
        readers.and_then(|readers| readers.recent.after(seen)).map_or(WaitOutcome::Notified, WaitOutcome::Delivered)
    }
}

impl Drop for MailboxSubscription {
    fn drop(&mut self) {
        let mut state = self.waiters.state();
        if let Entry::Occupied(mut readers) = state.mailboxes.entry(self.mailbox) {
            readers.get_mut().count -= 1;
            if readers.get().count == 0 {
                readers.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const MAILBOX: DeviceId = DeviceId::new(1);

    /// Verifies promise D8 (prompt).
    #[tokio::test]
    async fn a_notification_between_subscribing_and_waiting_is_received_once() {
        let waiters = Waiters::default();
        let mut subscription = waiters.subscribe(MAILBOX, Duration::from_millis(50));
        waiters.notify(DeviceId::new(2));
        waiters.notify(MAILBOX);
        assert_eq!(subscription.wait(SequenceNumber::ZERO).await, WaitOutcome::Notified);
        assert_eq!(subscription.wait(SequenceNumber::ZERO).await, WaitOutcome::TimedOut);
    }

    /// Verifies promise D8 (prompt).
    #[tokio::test]
    async fn every_reader_of_a_mailbox_is_notified() {
        let waiters = Waiters::default();
        let mut subscriptions: Vec<_> = (0..10).map(|_| waiters.subscribe(MAILBOX, LONG)).collect();
        let waiting = subscriptions.iter_mut().map(|subscription| subscription.wait(SequenceNumber::ZERO));
        let (outcomes, ()) =
            futures_util::future::join(futures_util::future::join_all(waiting), async { waiters.notify(MAILBOX) })
                .await;
        assert_eq!(outcomes, [const { WaitOutcome::Notified }; 10]);
    }

    #[tokio::test]
    async fn a_mailbox_is_forgotten_with_its_last_subscription() {
        let waiters = Waiters::default();
        let (first, mut second) = (waiters.subscribe(MAILBOX, LONG), waiters.subscribe(MAILBOX, LONG));
        drop(first);
        waiters.notify(MAILBOX);
        assert_eq!(second.wait(SequenceNumber::ZERO).await, WaitOutcome::Notified);
        drop(second);
        assert!(waiters.state().mailboxes.is_empty());
    }

    /// Verifies promise D8 (prompt). The poll for lost notifications uses the list that this test checks.
    #[tokio::test]
    async fn waiting_mailboxes_are_listed_with_the_lowest_cursor() {
        let waiters = Waiters::default();
        let (mut first, mut second) = (waiters.subscribe(MAILBOX, LONG), waiters.subscribe(MAILBOX, LONG));
        let waiting = async {
            tokio::join!(first.wait(SequenceNumber::new(7)), second.wait(SequenceNumber::new(5)));
        };
        let list = async {
            assert_eq!(waiters.waiting(), [(MAILBOX, SequenceNumber::new(5))]);
            waiters.notify_all();
        };
        tokio::join!(waiting, list);
    }

    #[tokio::test]
    async fn closing_ends_all_current_and_future_waits() {
        let waiters = Waiters::default();
        let mut early = waiters.subscribe(MAILBOX, LONG);
        let (outcome, ()) = tokio::join!(early.wait(SequenceNumber::ZERO), async { waiters.close() });
        assert_eq!(outcome, WaitOutcome::Stopping);
        assert_eq!(waiters.subscribe(MAILBOX, LONG).wait(SequenceNumber::ZERO).await, WaitOutcome::Stopping);
    }
}
