use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{DeviceId, SequenceNumber};
use crate::ports::{Subscription, Wakeup, Wakeups};

/// Counts what each mailbox was woken for. No time passes here: patience lasts for ever, unless there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoryWakeups(Arc<Mutex<HashMap<DeviceId, Bell>>>);

#[derive(Debug, Default)]
struct Bell {
    rung: u64,
    waiting: Vec<Waker>,
}

impl MemoryWakeups {
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

impl Wakeups for MemoryWakeups {
    fn subscribe(&self, mailbox: DeviceId, patience: Duration) -> Box<dyn Subscription> {
        let heard = self.bells().entry(mailbox).or_default().rung;
        Box::new(Listener { wakeups: self.clone(), mailbox, heard, patient: !patience.is_zero() })
    }
}

struct Listener {
    wakeups: MemoryWakeups,
    mailbox: DeviceId,
    heard: u64,
    patient: bool,
}

#[async_trait]
impl Subscription for Listener {
    async fn wait(&mut self, _: SequenceNumber) -> Wakeup {
        poll_fn(|context| {
            let mut bells = self.wakeups.bells();
            let bell = bells.entry(self.mailbox).or_default();
            if bell.rung > self.heard {
                self.heard = bell.rung;
                return Poll::Ready(Wakeup::Look);
            }
            if !self.patient {
                return Poll::Ready(Wakeup::TimeUp);
            }
            bell.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
