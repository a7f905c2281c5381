use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::client::Message;

/// What was accepted and received, and what of it must not be.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accepted: Vec<Sent>,
    mailboxes: BTreeMap<String, BTreeMap<i64, Message>>,
    /// The sends that no answer was read to.
    pub(super) unanswered: usize,
    pub(super) kills: usize,
    repeated: usize,
    violations: Vec<String>,
}

/// A message that was answered with 201. No two have the same contents.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) sender: String,
    pub(super) contents: String,
    pub(super) recipients: Vec<String>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Sends that were answered with 201.
    pub accepted: usize,
    /// Times that somebody did not read the answer to a send, and asked again.
    pub unanswered: usize,
    /// Kills of a server.
    pub kills: usize,
    /// Copies that were received.
    pub received: usize,
    /// Copies that were received again, with the same sequence number.
    pub repeated: usize,
    /// Copies that were accepted and never received.
    pub lost: usize,
    /// What the contract does not allow, one line for each.
    pub violations: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, unanswered, kills, received, repeated, lost, .. } = self;
        write!(
            f,
            "{accepted} sends accepted, {unanswered} unanswered and repeated, {kills} kills, {received} received, \
             {repeated} again, {lost} lost"
        )
    }
}

impl Ledger {
    pub(super) fn accept(&mut self, sent: Sent) {
        self.accepted.push(sent);
    }

    pub(super) fn receive(&mut self, recipient: &str, message: Message) {
        let mailbox = self.mailboxes.entry(recipient.to_owned()).or_default();
        match mailbox.get(&message.sequence) {
            None => {
                mailbox.insert(message.sequence, message);
            }
            Some(first) if *first == message => self.repeated += 1,
            Some(first) => {
                let violation = format!("{recipient}: {message:?} came in place of {first:?}");
                self.violate(violation);
            }
        }
    }

    pub(super) fn violate(&mut self, violation: String) {
        self.violations.push(violation);
    }

    /// Compares what was received with what was accepted, once no more can come.
    pub(super) fn check(mut self, recipients: &[String]) -> Outcome {
        let mut lost = 0;
        for recipient in recipients {
            let mailbox = self.mailboxes.remove(recipient).unwrap_or_default();
            lost += self.check_mailbox(recipient, &mailbox);
            self.mailboxes.insert(recipient.clone(), mailbox);
        }
        Outcome {
            accepted: self.accepted.len(),
            unanswered: self.unanswered,
            kills: self.kills,
            received: self.mailboxes.values().map(BTreeMap::len).sum(),
            repeated: self.repeated,
            lost,
            violations: self.violations,
        }
    }

    /// Gives how many messages are lost.
    fn check_mailbox(&mut self, recipient: &str, mailbox: &BTreeMap<i64, Message>) -> usize {
        let mut violations = Vec::new();
        let hole = mailbox.keys().zip(1..).find(|(sequence, place)| *sequence != place);
        if let Some((sequence, place)) = hole {
            violations.push(format!("{recipient}: {sequence} is where {place} should be"));
        }
        let mut places: HashMap<&str, i64> = HashMap::new();
        for (sequence, Message { sender, contents, .. }) in mailbox {
            if let Some(first) = places.insert(contents, *sequence) {
                violations.push(format!("{recipient}: {contents} of {sender} is {first} and {sequence}"));
            }
        }

        let mut lost = 0;
        let mut last: HashMap<&str, i64> = HashMap::new();
        for Sent { sender, contents, .. } in self.accepted.iter().filter(|sent| sent.is_for(recipient)) {
            let Some(sequence) = places.remove(contents.as_str()) else {
                lost += 1;
                violations.push(format!("{recipient}: {contents} of {sender} is lost"));
                continue;
            };
            if mailbox.get(&sequence).is_some_and(|message| message.sender != *sender) {
                violations.push(format!("{recipient}: {contents} is not of {sender}"));
            }
            if let Some(before) = last.insert(sender, sequence).filter(|before| *before > sequence) {
                violations.push(format!("{recipient}: {sender} sent {before} before {sequence}"));
            }
        }
        for (contents, sequence) in places {
            violations.push(format!("{recipient}: {sequence} is {contents}, which nobody sent"));
        }
        self.violations.extend(violations);
        lost
    }
}

impl Sent {
    fn is_for(&self, recipient: &str) -> bool {
        self.recipients.iter().any(|name| name == recipient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: i64, contents: &str) -> Message {
        Message { sequence, sender: "bob".to_owned(), contents: contents.to_owned() }
    }

    /// What comes of it when bob has sent these and alice has received those.
    fn outcome(sent: &[&str], received: &[(i64, &str)]) -> Outcome {
        let mut ledger = Ledger::default();
        for contents in sent {
            let (sender, recipients) = ("bob".to_owned(), vec!["alice".to_owned()]);
            ledger.accept(Sent { sender, contents: (*contents).to_owned(), recipients });
        }
        for (sequence, contents) in received {
            ledger.receive("alice", message(*sequence, contents));
        }
        ledger.check(&["alice".to_owned()])
    }

    #[test]
    fn what_was_received_in_order_and_again_is_allowed() {
        let outcome = outcome(&["a", "b", "c"], &[(1, "a"), (2, "b"), (1, "a"), (2, "b"), (3, "c")]);
        assert_eq!(outcome.violations, Vec::<String>::new());
        assert_eq!((outcome.accepted, outcome.received, outcome.repeated, outcome.lost), (3, 3, 2, 0));
    }

    #[test]
    fn what_the_contract_does_not_allow_is_found() {
        for (received, violation) in [
            (vec![(1, "a")], "alice: b of bob is lost"),
            (vec![(1, "a"), (3, "b")], "alice: 3 is where 2 should be"),
            (vec![(1, "b"), (2, "a")], "alice: bob sent 2 before 1"),
            (vec![(1, "a"), (2, "b"), (3, "a")], "alice: a of bob is 1 and 3"),
            (vec![(1, "a"), (2, "b"), (3, "c")], "alice: 3 is c, which nobody sent"),
        ] {
            let outcome = outcome(&["a", "b"], &received);
            assert!(outcome.violations.contains(&violation.to_owned()), "{:?}", outcome.violations);
        }
    }

    #[test]
    fn another_message_under_the_same_number_is_found() {
        let outcome = outcome(&["a", "b"], &[(1, "a"), (2, "b"), (2, "a")]);
        assert_eq!(outcome.violations.len(), 1);
    }
}
