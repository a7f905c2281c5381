use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, sleep_until};
use woosh_domain::model::{DeviceId, SequenceNumber};
use woosh_domain::ports::{Subscription, Wakeup};

/// A bell for each mailbox that somebody waits on.
#[derive(Clone, Default)]
pub(super) struct Bells(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bells: HashMap<DeviceId, Bell>,
    closed: bool,
}

struct Bell {
    notify: Arc<Notify>,
    listeners: usize,
    /// The lowest number that a waiting listener has seen last.
    seen: SequenceNumber,
}

impl Bells {
    /// Wakes who waits on a mailbox.
    pub(super) fn ring(&self, mailbox: DeviceId) {
        if let Some(bell) = self.state().bells.get_mut(&mailbox) {
            bell.ring();
        }
    }

    /// Wakes everybody.
    pub(super) fn ring_all(&self) {
        self.state().bells.values_mut().for_each(Bell::ring);
    }

    /// Ends all waiting, now and from now on.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.ring_all();
    }

    /// The mailboxes that somebody waits on, with what they have seen.
    pub(super) fn waiting(&self) -> (Vec<i64>, Vec<i64>) {
        let state = self.state();
        state.bells.iter().map(|(mailbox, bell)| (mailbox.get(), bell.seen.get())).unzip()
    }

    pub(super) fn listen(&self, mailbox: DeviceId, patience: Duration) -> Listener {
        let mut state = self.state();
        let bell = state.bells.entry(mailbox).or_insert_with(|| Bell {
            notify: Arc::default(),
            listeners: 0,
            seen: Bell::NOBODY_WAITS,
        });
        bell.listeners += 1;
        let notify = bell.notify.clone();
        // From here on it hears, also before it is polled.
        let rung = Box::pin(notify.clone().notified_owned());
        let deadline = Box::pin(sleep_until(Instant::now() + patience));
        Listener { bells: self.clone(), mailbox, notify, rung, deadline }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each step leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    const NOBODY_WAITS: SequenceNumber = SequenceNumber::MAX;

    fn ring(&mut self) {
        self.seen = Self::NOBODY_WAITS;
        self.notify.notify_waiters();
    }
}

/// Hears the bell of a mailbox.
pub(super) struct Listener {
    bells: Bells,
    mailbox: DeviceId,
    notify: Arc<Notify>,
    rung: Pin<Box<OwnedNotified>>,
    deadline: Pin<Box<Sleep>>,
}

#[async_trait]
impl Subscription for Listener {
    async fn wait(&mut self, seen: SequenceNumber) -> Wakeup {
        {
            let mut state = self.bells.state();
            if state.closed {
                return Wakeup::Stopping;
            }
            if let Some(bell) = state.bells.get_mut(&self.mailbox) {
                bell.seen = bell.seen.min(seen);
            }
        }
        tokio::select! {
            biased;
            () = &mut self.rung => {}
            () = &mut self.deadline => return Wakeup::TimeUp,
        }
        // Before whoever was woken looks, so that what comes while it looks is heard.
        self.rung.set(self.notify.clone().notified_owned());
        if self.bells.state().closed { Wakeup::Stopping } else { Wakeup::Look }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.bells.state();
        if let Entry::Occupied(mut bell) = state.bells.entry(self.mailbox) {
            bell.get_mut().listeners -= 1;
            if bell.get().listeners == 0 {
                bell.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const MAILBOX: DeviceId = DeviceId::new(1);

    #[tokio::test]
    async fn a_ring_between_subscribing_and_waiting_is_heard_once() {
        let bells = Bells::default();
        let mut listener = bells.listen(MAILBOX, Duration::from_millis(50));
        bells.ring(DeviceId::new(2));
        bells.ring(MAILBOX);
        assert_eq!(listener.wait(SequenceNumber::ZERO).await, Wakeup::Look);
        assert_eq!(listener.wait(SequenceNumber::ZERO).await, Wakeup::TimeUp);
    }

    #[tokio::test]
    async fn everybody_who_waits_on_a_mailbox_hears_it() {
        let bells = Bells::default();
        let mut listeners: Vec<_> = (0..10).map(|_| bells.listen(MAILBOX, LONG)).collect();
        let waiting = listeners.iter_mut().map(|listener| listener.wait(SequenceNumber::ZERO));
        let (heard, ()) =
            futures_util::future::join(futures_util::future::join_all(waiting), async { bells.ring(MAILBOX) }).await;
        assert_eq!(heard, [Wakeup::Look; 10]);
    }

    #[tokio::test]
    async fn a_mailbox_that_nobody_waits_on_costs_nothing() {
        let bells = Bells::default();
        let (one, mut two) = (bells.listen(MAILBOX, LONG), bells.listen(MAILBOX, LONG));
        drop(one);
        bells.ring(MAILBOX);
        assert_eq!(two.wait(SequenceNumber::ZERO).await, Wakeup::Look);
        drop(two);
        assert!(bells.state().bells.is_empty());
    }

    #[tokio::test]
    async fn who_waits_is_known_with_the_lowest_number_that_was_seen() {
        let bells = Bells::default();
        let (mut one, mut two) = (bells.listen(MAILBOX, LONG), bells.listen(MAILBOX, LONG));
        let waiting = async {
            tokio::join!(one.wait(SequenceNumber::new(7)), two.wait(SequenceNumber::new(5)));
        };
        let look = async {
            assert_eq!(bells.waiting(), (vec![1], vec![5]));
            bells.ring_all();
        };
        tokio::join!(waiting, look);
    }

    #[tokio::test]
    async fn closing_ends_all_waiting_now_and_from_then_on() {
        let bells = Bells::default();
        let mut early = bells.listen(MAILBOX, LONG);
        let (heard, ()) = tokio::join!(early.wait(SequenceNumber::ZERO), async { bells.close() });
        assert_eq!(heard, Wakeup::Stopping);
        assert_eq!(bells.listen(MAILBOX, LONG).wait(SequenceNumber::ZERO).await, Wakeup::Stopping);
    }
}
