use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// Records which messages were sent to each mailbox and are not received yet, to check that readers receive all
/// messages in order.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    mailboxes: Vec<Mailbox>,
}

/// The messages that were sent to one mailbox and are not received yet: for each sender, in the order of sending.
#[derive(Debug, Default)]
struct Mailbox {
    senders: HashMap<u32, VecDeque<(u32, Instant)>>,
    pending: usize,
}

impl Ledger {
    /// Adds an empty mailbox, and returns its index.
    pub(super) fn add_mailbox(&mut self) -> usize {
        self.mailboxes.push(Mailbox::default());
        self.mailboxes.len() - 1
    }

    /// Records a message that is about to be sent. Call this before the request, because the reader may receive the
    /// message before the sender receives the response.
    pub(super) fn send(&mut self, mailbox: usize, sender: u32, number: u32, now: Instant) {
        let mailbox = &mut self.mailboxes[mailbox];
        mailbox.senders.entry(sender).or_default().push_back((number, now));
        mailbox.pending += 1;
    }

    /// Records that a message was received. Returns the time since it was sent. Fails unless the message is the next
    /// one of its sender in this mailbox. A sender waits for each response before it sends the next message, so its
    /// messages have to arrive in order.
    pub(super) fn receive(&mut self, mailbox: usize, sender: u32, number: u32) -> anyhow::Result<Duration> {
        let mailbox = &mut self.mailboxes[mailbox];
        let sent = mailbox.senders.get_mut(&sender).and_then(VecDeque::pop_front);
        let (expected, sent) = sent.with_context(|| {
            format!("message {number} of sender {sender} was received, but no message of this sender is due")
        })?;
        ensure!(
            expected == number,
            "message {number} of sender {sender} was received, but {expected} is next in this mailbox"
        );
        mailbox.pending -= 1;
        Ok(sent.elapsed())
    }

    /// Returns the number of messages that were sent to a mailbox and not yet received.
    pub(super) fn pending(&self, mailbox: usize) -> usize {
        self.mailboxes[mailbox].pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_to_arrive_once_and_in_the_order_of_their_sender() {
        let mut ledger = Ledger::default();
        let (mailbox, other) = (ledger.add_mailbox(), ledger.add_mailbox());
        for (sender, number) in [(1, 1), (2, 1), (1, 2), (1, 3)] {
            ledger.send(mailbox, sender, number, Instant::now());
        }
        assert!(ledger.receive(mailbox, 2, 1).is_ok());
        assert!(ledger.receive(mailbox, 2, 1).is_err(), "twice");
        assert!(ledger.receive(mailbox, 1, 1).is_ok());
        assert!(ledger.receive(other, 1, 2).is_err(), "not sent there");
        assert_eq!(ledger.pending(mailbox), 2);
        assert!(ledger.receive(mailbox, 1, 3).is_err(), "2 is missing");
    }
}
