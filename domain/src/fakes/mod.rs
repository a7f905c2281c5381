//! In-memory implementations of the ports for tests. They keep the contract of the ports and do no I/O. The test sets
//! their clock.

mod clock;
mod password_hasher;
mod randomness;
mod store;

pub use clock::ManualClock;
pub use password_hasher::PlainHasher;
pub use randomness::CountingRandomness;
pub use store::{Backup, MemoryStore};
