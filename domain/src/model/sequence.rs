/// An envelope's position in its mailbox: 1, 2, 3 … in commit order, with no number skipped (D3). Zero is the position
/// before the first envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(i64);

impl SequenceNumber {
    /// The position before the first envelope.
    pub const ZERO: Self = Self(0);

    /// A number greater than the sequence number of any envelope.
    pub const MAX: Self = Self(i64::MAX);

    /// Wraps a number from a store or a client.
    pub fn new(value: i64) -> Self {
        Self(value)
    }

    /// Returns the number.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Returns the number after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the number before this one.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}
