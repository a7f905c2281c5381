use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{DeviceId, SequenceNumber};
use crate::ports::{Notifier, Subscription, WaitOutcome};

/// Counts what each mailbox was woken for. No time passes here: timeout lasts for ever, unless there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryNotifier(Arc<Mutex<HashMap<DeviceId, Bell>>>);

#[derive(Debug, Default)]
struct Bell {
    rung: u64,
    waiting: Vec<Waker>,
}

impl MemoryNotifier {
    pub(super) fn wake(&self, mailboxes: impl Iterator<Item = DeviceId>) {
        let mut bells = self.bells();
        for mailbox in mailboxes {
            let bell = bells.entry(mailbox).or_default();
            bell.rung += 1;
            bell.waiting.drain(..).for_each(Waker::wake);
        }
    }

    fn bells(&self) -> MutexGuard<'_, HashMap<DeviceId, Bell>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notifier for MemoryNotifier {
    fn subscribe(&self, mailbox: DeviceId, timeout: Duration) -> Box<dyn Subscription> {
        let heard = self.bells().entry(mailbox).or_default().rung;
        Box::new(Listener { notifier: self.clone(), mailbox, heard, patient: !timeout.is_zero() })
    }
}

struct Listener {
    notifier: MemoryNotifier,
    mailbox: DeviceId,
    heard: u64,
    patient: bool,
}

#[async_trait]
impl Subscription for Listener {
    async fn wait(&mut self, _: SequenceNumber) -> WaitOutcome {
        poll_fn(|context| {
            let mut bells = self.notifier.bells();
            let bell = bells.entry(self.mailbox).or_default();
            if bell.rung > self.heard {
                self.heard = bell.rung;
                return Poll::Ready(WaitOutcome::Notified);
            }
            if !self.patient {
                return Poll::Ready(WaitOutcome::TimedOut);
            }
            bell.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
