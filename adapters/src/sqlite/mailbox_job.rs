use rusqlite::Connection;
use tokio::sync::oneshot;
use woosh_domain::ports::PortError;

use super::deliver;
use super::mailbox_writer::Job;
use crate::store::{PendingSend, SqlError};

/// A write to mailboxes, which the [`MailboxWriter`](super::mailbox_writer::MailboxWriter) commits together with other
/// writes.
#[expect(clippy::large_enum_variant, reason = "most jobs are sends")]
pub(super) enum MailboxJob {
    /// A send, which is stored together with the other sends of its batch.
    Send(PendingSend),
    /// A write to mailboxes that is not a send.
    Step(Box<dyn Step>),
}

impl MailboxJob {
    /// Creates a job that runs the write `work`. The returned receiver gets the outcome of `work` after the commit.
    pub(super) fn step<T: Send + 'static>(
        work: impl Fn(&Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, PortError>>) {
        let (reply, outcome) = oneshot::channel();
        (Self::Step(Box::new(Task { work, outcome: None, reply })), outcome)
    }
}

impl Job for MailboxJob {
    fn run_all(connection: &Connection, jobs: &mut [Self]) -> Result<(), SqlError> {
        let mut sends = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Self::Step(step) => step.run(connection)?,
                Self::Send(send) if send.is_cancelled() => {}
                Self::Send(send) => sends.push(send),
            }
        }
        deliver::store(connection, &mut sends)
    }

    fn answer(self, failed: Option<PortError>) {
        match self {
            Self::Send(send) => send.answer(failed),
            Self::Step(step) => step.answer(failed),
        }
    }
}

/// A write to mailboxes that is not a send.
pub(super) trait Step: Send {
    /// Runs the write and keeps its outcome for [`Self::answer`].
    fn run(&mut self, connection: &Connection) -> Result<(), SqlError>;

    /// Sends the outcome to the caller. If the write was not committed, sends the error `failed` instead.
    fn answer(self: Box<Self>, failed: Option<PortError>);
}

struct Task<T, Work> {
    work: Work,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T, PortError>>,
}

impl<T: Send, Work: Fn(&Connection) -> Result<T, SqlError> + Send> Step for Task<T, Work> {
    fn run(&mut self, connection: &Connection) -> Result<(), SqlError> {
        // A closed reply means that the caller was cancelled. The caller was never told that the write succeeded, so
        // the write can be skipped.
        if !self.reply.is_closed() {
            self.outcome = Some((self.work)(connection)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<PortError>) {
        let outcome = match (failed, self.outcome) {
            (Some(error), _) => Err(error),
            (None, Some(outcome)) => Ok(outcome),
            (None, None) => return,
        };
        // Fails only if the caller was cancelled and no longer needs the outcome.
        let _ = self.reply.send(outcome);
    }
}
