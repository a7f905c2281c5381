//! The model of a mailbox: the simplest code that fulfils the delivery contract. Tests run the same steps on a store
//! and on the model, and compare.

use crate::model::{
    Cursor, GapReason, Incarnation, MailboxPosition, MessageId, Quota, SequenceNumber, Timestamp, json_size,
};
use crate::ports::{AcknowledgeOutcome, MailboxPage, PageLimit};

/// The expected state of a mailbox.
#[derive(Debug, Clone)]
pub struct MailboxModel {
    /// All envelopes that the mailbox ever had: the one with sequence number `n` is at index `n - 1`.
    pub envelopes: Vec<ModelEnvelope>,
    /// The incarnation.
    pub incarnation: Incarnation,
    /// Everything up to this number is acknowledged.
    pub acknowledged: SequenceNumber,
    /// The watermark: every message added from now on has `sent_at >= not_before`.
    pub not_before: Timestamp,
}

/// An envelope, or the gap that a refused or expired envelope left.
#[derive(Debug, Clone)]
pub struct ModelEnvelope {
    /// The identifier of the send that the envelope belongs to. 0 if the mailboxes of all recipients were full.
    pub id: MessageId,
    /// The contents.
    pub text: String,
    /// The time at which the message was stored.
    pub sent_at: Timestamp,
    /// The time at which the message expires.
    pub expires_at: Timestamp,
    /// What became of the envelope.
    pub state: EnvelopeState,
}

/// What became of an envelope. [`MailboxModel::acknowledged`] tells whether the envelope is also acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeState {
    /// The envelope is in the mailbox, even if it has expired.
    Stored,
    /// The envelope was not stored, because the mailbox was full.
    Refused,
    /// The envelope was deleted, because it had expired.
    Deleted,
}

impl MailboxModel {
    /// Returns the model of an empty mailbox.
    pub fn new(incarnation: Incarnation, created_at: Timestamp) -> Self {
        Self { envelopes: Vec::new(), incarnation, acknowledged: SequenceNumber::ZERO, not_before: created_at }
    }

    /// Returns the last sequence number assigned.
    pub fn last(&self) -> SequenceNumber {
        SequenceNumber::new(self.envelopes.len() as i64)
    }

    /// Returns the part of the state that decides whether a cursor is valid.
    pub fn position(&self) -> MailboxPosition {
        MailboxPosition { incarnation: self.incarnation, acknowledged: self.acknowledged, last: self.last() }
    }

    /// Returns the envelope with this number, or `None` if the number was not assigned.
    pub fn envelope(&self, number: SequenceNumber) -> Option<&ModelEnvelope> {
        self.envelopes.get(usize::try_from(number.get() - 1).ok()?)
    }

    /// Returns the envelopes that count towards the quota, with their sequence numbers.
    pub fn pending(&self) -> impl Iterator<Item = (SequenceNumber, &ModelEnvelope)> {
        let numbered = (1..).map(SequenceNumber::new).zip(&self.envelopes).skip(self.acknowledged.get() as usize);
        numbered.filter(|(_, envelope)| envelope.state == EnvelopeState::Stored)
    }

    /// Returns whether the mailbox has room for an envelope with contents of `size` bytes.
    pub fn has_room(&self, size: usize, quota: Quota) -> bool {
        let bytes: usize = self.pending().map(|(_, envelope)| envelope.text.len()).sum();
        (self.pending().count() as u64) < quota.messages && (bytes + size) as u64 <= quota.bytes
    }

    /// Adds an envelope, or the gap of a refused envelope, with the next sequence number.
    pub fn add(&mut self, envelope: ModelEnvelope) {
        self.not_before = envelope.sent_at;
        self.envelopes.push(envelope);
    }

    /// Compares `page` with the page that the model expects (D3, D7, D10). A store returned `page` for a read with the
    /// same `after`, `limit` and `now`. The mailbox must have so few gaps that all of them fit on one page.
    ///
    /// # Errors
    ///
    /// If the page is not the expected one.
    pub fn check_page(
        &self,
        page: &MailboxPage,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<(), String> {
        equal("position", &page.position(), &self.position())?;
        equal("not_before", &page.not_before, &self.not_before)?;
        let live: Vec<_> =
            self.pending().filter(|(number, envelope)| *number > after && envelope.expires_at > now).collect();
        let mut total = 0;
        let taken = live.iter().enumerate().take_while(|(index, (_, envelope))| {
            total += json_size(envelope.text.as_bytes());
            *index < limit.count && (*index == 0 || total <= limit.bytes)
        });
        let (taken, rest) = live.split_at(taken.count());
        let expected: Vec<_> = taken
            .iter()
            .map(|(number, envelope)| (*number, envelope.id, envelope.text.as_str(), envelope.expires_at))
            .collect();
        let read = page.envelopes.iter().map(|envelope| {
            let message = &envelope.message;
            (envelope.sequence, message.id, message.contents.as_str(), message.expires_at)
        });
        equal("envelopes", &read.collect::<Vec<_>>(), &expected)?;
        equal("has_more", &page.has_more, &!rest.is_empty())?;
        let up_to = expected.last().filter(|_| page.has_more).map_or_else(|| self.last(), |(number, ..)| *number);
        let covered = after.max(self.acknowledged).get() + 1..=up_to.get();
        let missing = covered.map(SequenceNumber::new).filter(|number| expected.iter().all(|(one, ..)| one != number));
        let missing = missing.map(|number| (number, self.reason(number))).collect::<Vec<_>>();
        let gaps = page.gaps.iter().flat_map(|gap| {
            (gap.first.get()..=gap.last.get()).map(|number| (SequenceNumber::new(number), Some(gap.reason)))
        });
        equal("gaps", &gaps.collect::<Vec<_>>(), &missing)
    }

    /// Returns the reason that a page has to give if it reports this number as a gap. `None` if the number was not
    /// assigned.
    fn reason(&self, number: SequenceNumber) -> Option<GapReason> {
        Some(match self.envelope(number)?.state {
            EnvelopeState::Refused => GapReason::MailboxFull,
            EnvelopeState::Stored | EnvelopeState::Deleted => GapReason::Expired,
        })
    }

    /// Acknowledges at most `limit` envelopes up to the sequence number `up_to`, and checks the outcome that the store
    /// returned (D2, D5).
    ///
    /// # Errors
    ///
    /// If the outcome is not the expected one.
    pub fn acknowledge(
        &mut self,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
        outcome: AcknowledgeOutcome,
    ) -> Result<(), String> {
        if let Err(refused) = self.position().check(Cursor { after: Some(up_to), incarnation }) {
            return equal("acknowledgement", &outcome, &AcknowledgeOutcome::Refused(refused));
        }
        let due: Vec<_> = self.pending().map(|(number, _)| number).take_while(|number| *number <= up_to).collect();
        // A store that deletes exactly `limit` envelopes may not know that these were all, so it may report either
        // number.
        let all = due.len() < limit || (due.len() == limit && outcome == AcknowledgeOutcome::UpTo(up_to));
        self.acknowledged = self.acknowledged.max(if all { up_to } else { due[limit - 1] });
        equal("acknowledgement", &outcome, &AcknowledgeOutcome::UpTo(self.acknowledged))
    }

    /// Acknowledges at most `limit` envelopes that were sent before `moment`, and all gaps before the last of these
    /// envelopes. Returns the sequence numbers of the envelopes.
    pub fn acknowledge_before(&mut self, moment: Timestamp, limit: usize) -> Vec<SequenceNumber> {
        let due = self.pending().take_while(|(_, envelope)| envelope.sent_at < moment).take(limit);
        let due: Vec<_> = due.map(|(number, _)| number).collect();
        self.acknowledged = due.last().copied().unwrap_or(self.acknowledged);
        due
    }

    /// Deletes all envelopes that have expired at `now`. Returns how many envelopes were deleted.
    pub fn expire(&mut self, now: Timestamp) -> usize {
        let pending = self.envelopes.iter_mut().skip(self.acknowledged.get() as usize);
        let expired = pending.filter(|envelope| envelope.state == EnvelopeState::Stored && envelope.expires_at <= now);
        expired.map(|envelope| envelope.state = EnvelopeState::Deleted).count()
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, actual: &T, expected: &T) -> Result<(), String> {
    if actual == expected { Ok(()) } else { Err(format!("{what}: {actual:?}, expected {expected:?}")) }
}
