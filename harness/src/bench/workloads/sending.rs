//! Clients that send one message after another, for most workloads.

use std::rc::Rc;

use crate::bench::accounts::Account;
use crate::bench::closed_loop::{self, Measured, Operation};
use crate::bench::sender::Sender;
use crate::bench::stage::Stage;

/// A client that sends messages to the users of a list in turn.
pub(super) struct Sending {
    sender: Sender,
    recipients: Rc<[Rc<Account>]>,
    /// The number of recipients of each message.
    at_once: usize,
    next: usize,
}

impl Operation for Sending {
    async fn run(&mut self) -> anyhow::Result<u64> {
        if self.next + self.at_once > self.recipients.len() {
            self.next = 0;
        }
        self.sender.send(&self.recipients[self.next..self.next + self.at_once]).await?;
        self.next += self.at_once;
        Ok(1)
    }
}

/// Creates `count` clients that send messages to these users. Each message has `at_once` recipients. The clients start
/// at evenly spaced positions in the list of users.
pub(super) async fn clients(
    stage: &Stage,
    count: usize,
    recipients: &[Rc<Account>],
    at_once: usize,
) -> anyhow::Result<Vec<Sending>> {
    let at_once = at_once.min(recipients.len());
    let shared: Rc<[_]> = recipients.into();
    let senders = stage.senders(count).await?.into_iter().enumerate();
    let client = |(index, sender)| {
        let next = index * recipients.len() / count;
        Sending { sender, recipients: shared.clone(), at_once, next }
    };
    Ok(senders.map(client).collect())
}

/// Measures clients that send one message after another without a pause. Returns the measurement and the clients.
pub(super) async fn measure(stage: &Stage, clients: Vec<Sending>) -> anyhow::Result<(Measured, Vec<Sending>)> {
    closed_loop::run(stage.target.processes(), clients, stage.seconds()).await
}
