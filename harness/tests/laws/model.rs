//! The model of a mailbox: the simplest code that fulfils the delivery contract.

use woosh_domain::model::{Incarnation, MailboxPosition, MessageId, Quota, SequenceNumber};

/// A quota that is so small that mailboxes are often full.
pub(crate) const QUOTA: Quota = Quota { messages: 6, bytes: 40 };
pub(crate) const START: i64 = 1_700_000_000;

/// The model of a mailbox: its expected state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// The envelope with sequence number `n` is at index `n - 1`.
    pub(crate) envelopes: Vec<ModelEnvelope>,
    pub(crate) incarnation: i64,
    pub(crate) acknowledged: i64,
    pub(crate) not_before: i64,
}

/// An envelope, or the gap that a refused or expired envelope left.
#[derive(Debug, Clone)]
pub(crate) struct ModelEnvelope {
    pub(crate) id: MessageId,
    pub(crate) text: String,
    pub(crate) sent_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) state: EnvelopeState,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum EnvelopeState {
    /// The envelope is in the mailbox, even if it has expired.
    Stored,
    /// The envelope was not stored, because the mailbox was full.
    Refused,
    /// The envelope was deleted, because it had expired.
    Deleted,
}

impl Model {
    pub(crate) fn newest(&self) -> i64 {
        self.envelopes.len() as i64
    }

    pub(crate) fn position(&self) -> MailboxPosition {
        MailboxPosition {
            incarnation: Incarnation::new(self.incarnation),
            acknowledged: SequenceNumber::new(self.acknowledged),
            last: SequenceNumber::new(self.newest()),
        }
    }

    /// Returns the envelopes that count towards the quota, with their sequence numbers.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (i64, &ModelEnvelope)> {
        let numbered = (1..).zip(&self.envelopes).skip(self.acknowledged as usize);
        numbered.filter(|(_, envelope)| envelope.state == EnvelopeState::Stored)
    }

    pub(crate) fn has_room(&self, size: usize) -> bool {
        let bytes: usize = self.pending().map(|(_, envelope)| envelope.text.len()).sum();
        (self.pending().count() as u64) < QUOTA.messages && (bytes + size) as u64 <= QUOTA.bytes
    }

    /// Returns the expected page: its envelopes, the sequence numbers in its gaps, and whether there are more
    /// envelopes.
    pub(crate) fn page(
        &self,
        after: i64,
        count: usize,
        bytes: usize,
        now: i64,
    ) -> (Vec<(i64, MessageId, String)>, Vec<i64>, bool) {
        let live: Vec<_> =
            self.pending().filter(|(number, envelope)| *number > after && envelope.expires_at > now).collect();
        let mut total = 0;
        let taken = live.iter().enumerate().take_while(|(index, (_, envelope))| {
            total += envelope.text.len();
            *index < count && (*index == 0 || total <= bytes)
        });
        let taken = taken.count();
        let has_more = taken < live.len();
        let page = live[..taken].iter().map(|(number, envelope)| (*number, envelope.id, envelope.text.clone()));
        let page: Vec<_> = page.collect();
        let up_to = page.last().filter(|_| has_more).map_or_else(|| self.newest(), |(number, ..)| *number);
        let covered = after.max(self.acknowledged) + 1..=up_to;
        let missing = covered.filter(|number| page.iter().all(|(present, ..)| present != number)).collect();
        (page, missing, has_more)
    }
}
