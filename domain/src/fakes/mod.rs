//! In-memory implementations of the ports (the traits through which the use cases reach a database, a clock and so on),
//! for tests. They fulfil the contract of these traits and do no I/O. The clock shows the time that a test sets.

mod clock;
mod password_hasher;
mod randomness;
mod store;

pub use clock::ManualClock;
pub use password_hasher::PlainHasher;
pub use randomness::CountingRandomness;
pub use store::{Backup, MemoryStore};
