use tokio::sync::oneshot;
use woosh_domain::planner::PlannedSend;
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError};

use super::after_commit;
use crate::notify::Notifier;

/// A send that waits until the store writes it in a batch with other sends.
pub(crate) struct PendingSend {
    delivery: NewDelivery,
    notifier: Notifier,
    planned: Option<Result<PlannedSend, PortError>>,
    reply: oneshot::Sender<Result<DeliverOutcome, PortError>>,
}

impl PendingSend {
    /// Creates a pending send. The returned receiver gets the outcome after the recipients were notified.
    pub(crate) fn new(
        delivery: NewDelivery,
        notifier: Notifier,
    ) -> (Self, oneshot::Receiver<Result<DeliverOutcome, PortError>>) {
        let (reply, outcome) = oneshot::channel();
        (Self { delivery, notifier, planned: None, reply }, outcome)
    }

    /// Returns the send that the caller requested.
    pub(crate) fn delivery(&self) -> &NewDelivery {
        &self.delivery
    }

    /// Returns whether the caller was cancelled. A cancelled caller was never told that its send is stored, so the
    /// store may drop the send.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }

    /// Keeps the planned outcome until the commit.
    pub(crate) fn set(&mut self, planned: Result<PlannedSend, PortError>) {
        self.planned = Some(planned);
    }

    /// Notifies the recipients and sends the outcome to the caller. If the commit failed, sends the error `failed`
    /// instead.
    pub(crate) fn answer(self, failed: Option<PortError>) {
        let outcome = match (self.planned, failed) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok(planned)), None) => {
                after_commit(|| self.notifier.deliver(&self.delivery, &planned));
                Ok(planned.outcome)
            }
            (None, None) => return,
        };
        // A caller that was cancelled needs no answer.
        let _ = self.reply.send(outcome);
    }
}
