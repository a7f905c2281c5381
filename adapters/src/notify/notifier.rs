use std::sync::Arc;
use std::time::Duration;

use woosh_domain::model::DeviceId;
use woosh_domain::planner::PlannedSend;
use woosh_domain::ports::{self, NewDelivery, Subscription};

use super::replicas::Replicas;
use super::waiters::Waiters;
use crate::pool::Pool;

/// Notifies the waiting readers of this process and, on Postgres, of other replicas.
#[derive(Clone, Default)]
pub(crate) struct Notifier {
    waiters: Waiters,
    replicas: Option<Arc<Replicas>>,
}

impl Notifier {
    /// Creates a notifier that also exchanges notifications with other replicas, over connections of `pool`. The
    /// notifier uses `read_pool` to poll for messages whose notification was lost.
    pub(crate) async fn connect(pool: Pool, read_pool: Pool) -> sqlx::Result<Self> {
        let waiters = Waiters::default();
        let replicas = Replicas::start(pool, read_pool, waiters.clone()).await?;
        Ok(Self { waiters, replicas: Some(Arc::new(replicas)) })
    }

    /// Notifies the readers that wait on `mailboxes`, after a message was stored or a session ended.
    pub(crate) fn notify(&self, mailboxes: &[DeviceId]) {
        for mailbox in mailboxes {
            self.waiters.notify(*mailbox);
            if let Some(replicas) = &self.replicas {
                replicas.publish(*mailbox);
            }
        }
    }

    /// Notifies the readers that wait on the mailboxes of a committed send. Hands the envelopes of the send over to the
    /// readers in this process.
    pub(crate) fn deliver(&self, send: &NewDelivery, planned: &PlannedSend) {
        for copy in &planned.copies {
            self.waiters.deliver(copy, || planned.envelope(send, copy));
            if let Some(replicas) = &self.replicas {
                replicas.publish(copy.mailbox);
            }
        }
    }

    /// Ends all current and future waits for new envelopes, so that they don't delay a shutdown.
    pub(crate) fn close(&self) {
        self.waiters.close();
    }

    /// Returns whether [`Self::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.waiters.is_closed()
    }
}

impl ports::Notifier for Notifier {
    fn subscribe(&self, mailbox: DeviceId, timeout: Duration) -> Box<dyn Subscription> {
        Box::new(self.waiters.subscribe(mailbox, timeout))
    }
}
