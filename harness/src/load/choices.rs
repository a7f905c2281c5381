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

    /// Returns a separate sequence of random choices, for a concurrent task. The choices of the task then depend only
    /// on the seed, and not on the choices of other tasks.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// Returns a random number from `range`, which must not be empty.
    pub(crate) fn within(&mut self, range: Range<u64>) -> u64 {
        self.0.u64(range)
    }

    /// Returns a random index of a slice with `length` elements, which must not be empty.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.0.usize(0..length)
    }

    /// Returns `true` with a probability of `percent` %.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.within(0..100) < percent
    }

    /// Returns a random duration from `range`, in microseconds.
    pub(crate) fn micros(&mut self, range: Range<u64>) -> Duration {
        Duration::from_micros(self.within(range))
    }
}
