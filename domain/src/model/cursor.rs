use super::{Incarnation, SequenceNumber};

/// The position in a mailbox after which a reader continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// The last sequence number that the reader has seen. Defaults to the last acknowledged number.
    pub after: Option<SequenceNumber>,
    /// The [incarnation](Incarnation) of the mailbox when the reader saw `after`. `None` skips the check of the
    /// incarnation.
    pub incarnation: Option<Incarnation>,
}

/// The part of a mailbox's state against which the cursors of readers are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxPosition {
    /// The incarnation of the mailbox.
    pub incarnation: Incarnation,
    /// Everything up to this number is acknowledged.
    pub acknowledged: SequenceNumber,
    /// The last sequence number assigned in this mailbox.
    pub last: SequenceNumber,
}

/// Why a mailbox refuses a cursor. Each variant holds the position of the mailbox, so that the reader can continue:
/// after `acknowledged`, in the current `incarnation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The mailbox has not assigned the cursor's sequence number yet, so the reader can't have seen that number.
    #[error("the cursor is beyond the newest sequence number of the mailbox, {}", .0.last.get())]
    Ahead(MailboxPosition),
    /// The cursor's sequence number belongs to another incarnation of the mailbox, so it may refer to another envelope
    /// now.
    #[error(
        "the cursor is of another incarnation: the mailbox was restored from a backup, or the cursor is of another mailbox"
    )]
    OtherIncarnation(MailboxPosition),
}

impl MailboxPosition {
    /// Checks that a reader can have received `cursor` from this mailbox. Any number up to [`Self::last`] is valid,
    /// even if it is acknowledged already.
    ///
    /// # Errors
    ///
    /// If the cursor has another incarnation than the mailbox, or a number above [`Self::last`].
    pub fn check(self, cursor: Cursor) -> Result<(), CursorError> {
        if cursor.incarnation.is_some_and(|incarnation| incarnation != self.incarnation) {
            return Err(CursorError::OtherIncarnation(self));
        }
        if cursor.after.is_some_and(|after| after > self.last) {
            return Err(CursorError::Ahead(self));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_up_to_the_last_number_of_its_incarnation() {
        let (current, other) = (Incarnation::new(7), Incarnation::new(8));
        let (acknowledged, last) = (SequenceNumber::new(2), SequenceNumber::new(3));
        let position = MailboxPosition { incarnation: current, acknowledged, last };
        let check = |after: Option<i64>, incarnation| {
            position.check(Cursor { after: after.map(SequenceNumber::new), incarnation })
        };
        for after in [None, Some(0), Some(2), Some(3)] {
            assert_eq!(check(after, None), Ok(()));
            assert_eq!(check(after, Some(current)), Ok(()));
            assert_eq!(check(after, Some(other)), Err(CursorError::OtherIncarnation(position)));
        }
        for after in [Some(4), Some(i64::MAX)] {
            assert_eq!(check(after, None), Err(CursorError::Ahead(position)));
            assert_eq!(check(after, Some(current)), Err(CursorError::Ahead(position)));
            // Another incarnation is reported even if the number is too high as well.
            assert_eq!(check(after, Some(other)), Err(CursorError::OtherIncarnation(position)));
        }
    }
}
