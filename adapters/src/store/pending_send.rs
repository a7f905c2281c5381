use tokio::sync::oneshot;
use woosh_domain::planner::PlannedSend;
use woosh_domain::ports::{DeliverOutcome, NewDelivery, PortError};

use crate::notify::Notifier;

/// A send that waits to be stored together with others.
pub(crate) struct PendingSend {
    delivery: NewDelivery,
    notifier: Notifier,
    planned: Option<Result<PlannedSend, PortError>>,
    reply: oneshot::Sender<Result<DeliverOutcome, PortError>>,
}

impl PendingSend {
    /// A send whose outcome goes to the receiver, after the recipients were notified.
    pub(crate) fn new(
        delivery: NewDelivery,
        notifier: Notifier,
    ) -> (Self, oneshot::Receiver<Result<DeliverOutcome, PortError>>) {
        let (reply, outcome) = oneshot::channel();
        (Self { delivery, notifier, planned: None, reply }, outcome)
    }

    /// What is to be sent.
    pub(crate) fn delivery(&self) -> &NewDelivery {
        &self.delivery
    }

    /// Whether the caller was cancelled. A cancelled caller was never told that its send is stored, so the send can
    /// be dropped.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }

    /// Keeps what becomes of it, until the commit.
    pub(crate) fn set(&mut self, planned: Result<PlannedSend, PortError>) {
        self.planned = Some(planned);
    }

    /// Notifies the recipients and answers; with `failed` if the commit failed.
    pub(crate) fn answer(self, failed: Option<PortError>) {
        let outcome = match (self.planned, failed) {
            (Some(Err(error)), _) | (_, Some(error)) => Err(error),
            (Some(Ok(planned)), None) => {
                self.notifier.notify(&planned.mailboxes);
                Ok(planned.outcome)
            }
            (None, None) => return,
        };
        // A caller that was cancelled needs no answer.
        let _ = self.reply.send(outcome);
    }
}
