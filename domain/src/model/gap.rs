use super::SequenceNumber;

/// A range of sequence numbers whose envelopes can no longer be read: they expired, or were not stored because the
/// mailbox was full (D7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first sequence number of the range.
    pub first: SequenceNumber,
    /// The last sequence number of the range, inclusive.
    pub last: SequenceNumber,
    /// Why the envelopes can't be read.
    pub reason: GapReason,
}

/// Why the envelopes of a gap can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// The envelopes expired before they were acknowledged.
    Expired,
    /// The mailbox was full when the messages were sent, so the envelopes were never stored.
    MailboxFull,
}

impl Gap {
    /// Returns the first `most` gaps among the sequence numbers above `after`, up to and including `up_to`.
    ///
    /// `present` holds the sequence numbers that still have an envelope. `refused` holds the ranges (first and last
    /// number) whose envelopes were not stored because the mailbox was full. Both are in ascending order. The result
    /// reports all other numbers as expired, because an unread envelope disappears in no other way.
    pub fn between(
        after: SequenceNumber,
        up_to: SequenceNumber,
        present: impl Iterator<Item = SequenceNumber>,
        refused: &[(SequenceNumber, SequenceNumber)],
        most: usize,
    ) -> Vec<Self> {
        let mut gaps: Vec<Self> = Vec::new();
        let mut refused = refused.iter().peekable();
        let mut next = after.next();
        for existing in present.chain([up_to.next()]) {
            while next < existing {
                while refused.next_if(|(_, last)| *last < next).is_some() {}
                // `beyond` is the first number after `next` that may not be missing, or may be missing for another
                // reason.
                let (reason, beyond) = match refused.peek() {
                    Some((first, last)) if *first <= next => (GapReason::MailboxFull, last.next()),
                    Some((first, _)) => (GapReason::Expired, *first),
                    None => (GapReason::Expired, existing),
                };
                let beyond = beyond.min(existing);
                match gaps.last_mut() {
                    Some(gap) if gap.reason == reason && gap.last.next() == next => gap.last = beyond.previous(),
                    _ => gaps.push(Self { first: next, last: beyond.previous(), reason }),
                }
                if gaps.len() > most {
                    gaps.truncate(most);
                    return gaps;
                }
                next = beyond;
            }
            next = existing.next();
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: i64) -> SequenceNumber {
        SequenceNumber::new(value)
    }

    fn gaps(after: i64, up_to: i64, present: &[i64], refused: &[(i64, i64)]) -> Vec<(i64, i64, GapReason)> {
        let refused: Vec<_> = refused.iter().map(|(first, last)| (number(*first), number(*last))).collect();
        let present = present.iter().copied().map(number);
        let gaps = Gap::between(number(after), number(up_to), present, &refused, usize::MAX);
        gaps.into_iter().map(|gap| (gap.first.get(), gap.last.get(), gap.reason)).collect()
    }

    #[test]
    fn every_missing_number_is_in_a_gap_with_its_reason() {
        use GapReason::{Expired, MailboxFull};
        assert_eq!(gaps(0, 3, &[1, 2, 3], &[]), []);
        assert_eq!(gaps(0, 0, &[], &[]), []);
        assert_eq!(gaps(0, 5, &[3], &[]), [(1, 2, Expired), (4, 5, Expired)]);
        assert_eq!(gaps(2, 6, &[4], &[(1, 3), (6, 9)]), [(3, 3, MailboxFull), (5, 5, Expired), (6, 6, MailboxFull)]);
        assert_eq!(gaps(0, 6, &[], &[(2, 3), (4, 4)]), [(1, 1, Expired), (2, 4, MailboxFull), (5, 6, Expired)]);
    }

    #[test]
    fn time_is_linear_in_the_number_of_gaps() {
        let refused: Vec<_> = (1..=1_000_000).map(|number| (number * 2, number * 2)).collect();
        assert_eq!(gaps(0, 2_000_000, &[], &refused).len(), 2_000_000);
    }

    proptest! {
        #[test]
        fn gaps_and_present_envelopes_cover_every_number_once(
            after in 0_i64..20, present in prop::collection::btree_set(1_i64..40, 0..20), more in 0_i64..5,
            refused in (1_i64..40, 0_i64..6),
        ) {
            let present: Vec<_> = present.into_iter().filter(|number| *number > after).collect();
            let up_to = present.last().copied().unwrap_or(after) + more;
            let gaps = gaps(after, up_to, &present, &[(refused.0, refused.0 + refused.1)]);
            let missing = gaps.iter().flat_map(|(first, last, _)| *first..=*last);
            let mut all: Vec<_> = missing.chain(present).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (after + 1..=up_to).collect::<Vec<_>>());
        }
    }
}
