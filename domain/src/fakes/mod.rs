//! In-memory implementations of the ports for tests: same contract, no I/O, and a clock that the test sets.

mod clock;
mod password_hasher;
mod randomness;
mod store;

pub use clock::ManualClock;
pub use password_hasher::PlainHasher;
pub use randomness::CountingRandomness;
pub use store::MemoryStore;
