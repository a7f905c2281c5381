/// An envelope's place in its mailbox: 1, 2, 3 … without gaps, in the order of commits. Zero is the place before
/// the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(i64);

impl SequenceNumber {
    /// The place before the first envelope.
    pub const ZERO: Self = Self(0);

    /// A place that no envelope ever has.
    pub const MAX: Self = Self(i64::MAX);

    /// Takes the number as a store gave it out.
    pub fn new(value: i64) -> Self {
        Self(value)
    }

    /// The number itself.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The place after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The place before this one.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}
