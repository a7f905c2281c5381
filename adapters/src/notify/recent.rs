use std::collections::VecDeque;

use woosh_domain::model::{Envelope, SequenceNumber};
use woosh_domain::ports::Delivered;

/// Maximum number of envelopes that are kept in memory for the waiting readers of a mailbox.
const MAX_ENVELOPES: usize = 16;
/// Maximum total size of the contents that are kept in memory for the waiting readers of a mailbox, in bytes.
const MAX_BYTES: usize = 128 * 1024;

/// The newest envelopes that were committed to a mailbox while readers waited. Their sequence numbers are consecutive.
pub(super) struct Recent {
    envelopes: VecDeque<Envelope>,
    /// The last acknowledged sequence number at the time when the newest envelope was committed.
    acknowledged: SequenceNumber,
    /// The total size of the contents of the kept envelopes, in bytes.
    bytes: usize,
}

impl Recent {
    /// No envelopes.
    pub(super) const EMPTY: Self = Self { envelopes: VecDeque::new(), acknowledged: SequenceNumber::ZERO, bytes: 0 };

    /// Adds a committed envelope. If its sequence number does not directly follow that of the newest kept envelope,
    /// drops the kept envelopes first, so that the kept numbers stay consecutive. Numbers can be missing because
    /// another replica stored their envelopes, or because the mailbox was full.
    pub(super) fn add(&mut self, envelope: Envelope, acknowledged: SequenceNumber) {
        if self.envelopes.back().is_some_and(|last| last.sequence.next() != envelope.sequence) {
            self.clear();
        }
        self.bytes += envelope.message.contents.as_str().len();
        self.envelopes.push_back(envelope);
        self.acknowledged = acknowledged;
        while self.envelopes.len() > MAX_ENVELOPES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.envelopes.pop_front() else { break };
            self.bytes -= oldest.message.contents.as_str().len();
        }
    }

    /// Drops all envelopes.
    pub(super) fn clear(&mut self) {
        *self = Self::EMPTY;
    }

    /// Returns all envelopes after the cursor `seen`. Returns `None` if there are none, or if some of them are not kept
    /// in memory.
    pub(super) fn after(&self, seen: SequenceNumber) -> Option<Delivered> {
        if self.envelopes.front()?.sequence > seen.next() {
            return None;
        }
        let envelopes: Vec<_> = self.envelopes.iter().filter(|envelope| envelope.sequence > seen).cloned().collect();
        (!envelopes.is_empty()).then_some(Delivered { envelopes, acknowledged: self.acknowledged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use woosh_domain::model::{Contents, Message, MessageId, Timestamp, Username};

    fn envelope(sequence: i64, bytes: usize) -> Envelope {
        let message = Message {
            id: MessageId::new(sequence),
            sender: Username::new("bob").unwrap(),
            sender_device: None,
            recipient: Username::new("alice").unwrap(),
            contents: Contents::new("x".repeat(bytes)).unwrap(),
            sent_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH,
        };
        Envelope { sequence: SequenceNumber::new(sequence), message }
    }

    fn recent(envelopes: impl IntoIterator<Item = (i64, usize)>) -> Recent {
        let mut recent = Recent::EMPTY;
        for (sequence, bytes) in envelopes {
            recent.add(envelope(sequence, bytes), SequenceNumber::new(1));
        }
        recent
    }

    fn after(recent: &Recent, seen: i64) -> Option<Vec<i64>> {
        let delivered = recent.after(SequenceNumber::new(seen))?;
        Some(delivered.envelopes.iter().map(|envelope| envelope.sequence.get()).collect())
    }

    /// Verifies promise D3 (order).
    #[test]
    fn a_reader_gets_the_envelopes_after_its_cursor_only_if_all_of_them_are_known() {
        let recent = recent([(5, 1), (6, 1), (7, 1)]);
        assert_eq!(after(&recent, 4), Some(vec![5, 6, 7]));
        assert_eq!(after(&recent, 6), Some(vec![7]));
        for seen in [3, 7, 8] {
            assert_eq!(after(&recent, seen), None, "{seen}");
        }
        assert_eq!(after(&Recent::EMPTY, 0), None);
    }

    /// Verifies promise D3 (order). A sequence number is unknown to this process if another replica stored its
    /// envelope, or if the mailbox was full.
    #[test]
    fn an_unknown_number_between_envelopes_drops_those_before_it() {
        for second in [7, 5, 4] {
            let recent = recent([(5, 1), (second, 1)]);
            assert_eq!(after(&recent, 4), (second == 5).then(|| vec![5]), "{second}");
            assert_eq!(after(&recent, second - 1), Some(vec![second]), "{second}");
        }
    }

    #[test]
    fn only_few_envelopes_and_bytes_are_kept() {
        let many = recent((1..=100).map(|sequence| (sequence, 1)));
        assert_eq!(after(&many, 0), None);
        assert_eq!(after(&many, 84).map(|envelopes| envelopes.len()), Some(16));
        let large = recent((1..=5).map(|sequence| (sequence, 60 * 1024)));
        assert_eq!(after(&large, 2), None);
        assert_eq!(after(&large, 3), Some(vec![4, 5]));
    }
}
