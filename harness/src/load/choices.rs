use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

/// Random choices that are reproducible from a seed.
#[derive(Debug)]
pub(crate) struct Choices(Rng);

impl Choices {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Returns an independent sequence of choices, for one task.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// Returns a number in a non-empty range.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        self.0.u64(range)
    }

    /// Returns an index of a non-empty slice of that length.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.0.usize(0..length)
    }

    /// Returns `true` with a probability of `percent`.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.within(0..100) < percent
    }

    /// Returns a duration in a range of microseconds.
    pub(crate) fn micros(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.within(range))
    }
}
