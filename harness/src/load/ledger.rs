use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::client::Message;

/// The record of a run: the accepted and received messages, and the violations of the delivery contract found so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    accepted: Vec<SentMessage>,
    mailboxes: BTreeMap<String, BTreeMap<i64, Message>>,
    /// Number of attempts to send that failed, because no response arrived or no server was available.
    pub(super) unanswered: usize,
    /// Number of responses to sends, reads and acknowledgements, by status.
    pub(super) answers: BTreeMap<u16, usize>,
    /// Number of requests whose connection failed.
    pub(super) no_response: usize,
    pub(crate) kills: usize,
    /// Number of injected faults other than kills, by kind.
    pub(crate) faults: BTreeMap<&'static str, usize>,
    repeated: usize,
    violations: Vec<String>,
}

/// A message that a server accepted with 201. No two messages of a run have the same contents.
#[derive(Debug, Clone)]
pub(super) struct SentMessage {
    pub(super) sender: String,
    pub(super) contents: String,
    pub(super) recipients: Vec<String>,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Number of sends that were accepted with 201.
    pub accepted: usize,
    /// Number of attempts to send that were retried, because no response arrived or no server was available.
    pub unanswered: usize,
    /// Number of times that the run killed a server, or that the restart command restarted the server.
    pub kills: usize,
    /// Number of faults other than kills that the run injected, by kind.
    pub faults: BTreeMap<&'static str, usize>,
    /// Number of envelopes that were received. An envelope that was received repeatedly counts once.
    pub received: usize,
    /// Number of envelopes that were received again, with the same sequence number.
    pub repeated: usize,
    /// Number of envelopes of accepted messages that were never received.
    pub lost: usize,
    /// Number of envelopes that were received again, with another sequence number.
    pub duplicated: usize,
    /// Number of responses to sends, reads and acknowledgements, by status.
    pub answers: BTreeMap<u16, usize>,
    /// Number of requests that received no response, because their connection failed.
    pub no_response: usize,
    /// Violations of the delivery contract, one line each.
    pub violations: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, unanswered, kills, faults, received, repeated, lost, duplicated, .. } = self;
        write!(f, "{accepted} sends accepted, {unanswered} attempts retried, {kills} kills, ")?;
        for (fault, count) in faults {
            write!(f, "{count} {fault}, ")?;
        }
        write!(f, "{received} envelopes received, {repeated} received again, {lost} lost, {duplicated} duplicated")
    }
}

impl Ledger {
    pub(super) fn accept(&mut self, sent: SentMessage) {
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
                let violation =
                    format!("{recipient}: received both {first:?} and {message:?} under the same sequence number");
                self.violate(violation);
            }
        }
    }

    /// Returns the violations found so far.
    pub(crate) fn violations(&self) -> &[String] {
        &self.violations
    }

    pub(crate) fn violate(&mut self, violation: String) {
        self.violations.push(violation);
    }

    /// Returns the number of requests that were refused with 503 or 507.
    pub(crate) fn refused(&self) -> usize {
        [503, 507].iter().filter_map(|status| self.answers.get(status)).sum()
    }

    /// Compares the received messages with the accepted messages, at the end of a run.
    pub(super) fn check(mut self, recipients: &[String]) -> Outcome {
        let (mut lost, mut duplicated) = (0, 0);
        for recipient in recipients {
            let mailbox = self.mailboxes.remove(recipient).unwrap_or_default();
            let found = self.check_mailbox(recipient, &mailbox);
            (lost, duplicated) = (lost + found.0, duplicated + found.1);
            self.mailboxes.insert(recipient.clone(), mailbox);
        }
        Outcome {
            accepted: self.accepted.len(),
            unanswered: self.unanswered,
            kills: self.kills,
            faults: self.faults,
            received: self.mailboxes.values().map(BTreeMap::len).sum(),
            repeated: self.repeated,
            lost,
            duplicated,
            answers: self.answers,
            no_response: self.no_response,
            violations: self.violations,
        }
    }

    /// Compares the messages that one recipient received with the messages that were accepted for this recipient.
    /// Returns the numbers of lost and of duplicated envelopes.
    fn check_mailbox(&mut self, recipient: &str, mailbox: &BTreeMap<i64, Message>) -> (usize, usize) {
        let mut violations = Vec::new();
        let hole = mailbox.keys().zip(1..).find(|(sequence, expected)| *sequence != expected);
        if let Some((sequence, expected)) = hole {
            violations.push(format!("{recipient}: received sequence number {sequence}, expected {expected}"));
        }
        let mut duplicated = 0;
        let mut sequences: HashMap<&str, i64> = HashMap::new();
        for (sequence, Message { sender, contents, .. }) in mailbox {
            if let Some(first) = sequences.insert(contents, *sequence) {
                duplicated += 1;
                violations.push(format!(
                    "{recipient}: {contents} from {sender} has the sequence numbers {first} and {sequence}"
                ));
            }
        }

        let mut lost = 0;
        let mut last: HashMap<&str, i64> = HashMap::new();
        for SentMessage { sender, contents, .. } in self.accepted.iter().filter(|sent| sent.is_for(recipient)) {
            let Some(sequence) = sequences.remove(contents.as_str()) else {
                lost += 1;
                violations.push(format!("{recipient}: the message {contents} from {sender} is lost"));
                continue;
            };
            if mailbox.get(&sequence).is_some_and(|message| message.sender != *sender) {
                violations.push(format!("{recipient}: {contents} was sent by {sender}, but has another sender"));
            }
            if let Some(before) = last.insert(sender, sequence).filter(|before| *before > sequence) {
                violations
                    .push(format!("{recipient}: {sender} sent the message {before} before the message {sequence}"));
            }
        }
        for (contents, sequence) in sequences {
            violations.push(format!("{recipient}: the message {sequence} is {contents}, which was not sent"));
        }
        self.violations.extend(violations);
        (lost, duplicated)
    }
}

impl SentMessage {
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

    /// Returns the outcome if bob sent the messages `sent` and alice received `received`.
    fn outcome(sent: &[&str], received: &[(i64, &str)]) -> Outcome {
        let mut ledger = Ledger::default();
        for contents in sent {
            let (sender, recipients) = ("bob".to_owned(), vec!["alice".to_owned()]);
            ledger.accept(SentMessage { sender, contents: (*contents).to_owned(), recipients });
        }
        for (sequence, contents) in received {
            ledger.receive("alice", message(*sequence, contents));
        }
        ledger.check(&["alice".to_owned()])
    }

    #[test]
    fn messages_received_in_order_and_repeatedly_are_allowed() {
        let outcome = outcome(&["a", "b", "c"], &[(1, "a"), (2, "b"), (1, "a"), (2, "b"), (3, "c")]);
        assert_eq!(outcome.violations, Vec::<String>::new());
        assert_eq!((outcome.accepted, outcome.received, outcome.repeated, outcome.lost), (3, 3, 2, 0));
    }

    #[test]
    fn violations_of_the_contract_are_found() {
        for (received, violation) in [
            (vec![(1, "a")], "alice: the message b from bob is lost"),
            (vec![(1, "a"), (3, "b")], "alice: received sequence number 3, expected 2"),
            (vec![(1, "b"), (2, "a")], "alice: bob sent the message 2 before the message 1"),
            (vec![(1, "a"), (2, "b"), (3, "a")], "alice: a from bob has the sequence numbers 1 and 3"),
            (vec![(1, "a"), (2, "b"), (3, "c")], "alice: the message 3 is c, which was not sent"),
        ] {
            let outcome = outcome(&["a", "b"], &received);
            assert!(outcome.violations.contains(&violation.to_owned()), "{:?}", outcome.violations);
        }
    }

    #[test]
    fn lost_and_duplicated_envelopes_are_counted() {
        let outcome = outcome(&["a", "b", "c"], &[(1, "a"), (2, "b"), (3, "a")]);
        assert_eq!((outcome.lost, outcome.duplicated, outcome.repeated), (1, 1, 0));
    }

    #[test]
    fn a_different_message_with_the_same_number_is_found() {
        let outcome = outcome(&["a", "b"], &[(1, "a"), (2, "b"), (2, "a")]);
        assert_eq!(outcome.violations.len(), 1);
    }
}
